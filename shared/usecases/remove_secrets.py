"""Removing from a destination what a sync wrote there, and nothing else."""

from shared.db import ledger
from shared.db.vault import Project
from shared.plan import Delete, known_ours
from shared.usecases.claim import Claim
from shared.usecases.outcome import Outcome
from shared.usecases.reach import open_destination
from shared.usecases.sync_secrets import batches
from shared.usecases.view import foreign_keys


def remove_secrets(claim: Claim, outcome: Outcome) -> None:
    """Delete every key of the destination that the ledger says this sync wrote."""
    destination = open_destination(claim)
    sync = claim.sync
    with claim.runtime.database.snapshot() as session:
        written = ledger.read(session, sync.id, sync.destination_key)
        foreign = foreign_keys(session, sync)
        data_key = claim.runtime.data_key(session.get_one(Project, sync.project_id).data_key)
    pulled = destination.pull()
    remotes = pulled.remotes
    if pulled.incomplete:
        # What is not shown may still be there.
        outcome.missing |= dict.fromkeys(written.keys() - remotes.keys() - foreign, pulled.incomplete)
    keys = known_ours(written, remotes, data_key.fingerprint).keys() - foreign
    ours = [remotes[key] for key in sorted(keys) if key in remotes]
    for remote in ours:
        if remote.locked:
            outcome.missing[remote.key] = remote.locked
    deletes = [Delete(remote.key, remote) for remote in ours if not remote.locked]
    for batch in batches(deletes, destination.batch_size):
        pushed = destination.push(batch)
        outcome.pushed(batch, pushed.refused)
    with claim.writing() as session:
        left = outcome.missing.keys() | outcome.refused.keys()
        ledger.forget(session, sync.id, sync.destination_key, written.keys() - left)
