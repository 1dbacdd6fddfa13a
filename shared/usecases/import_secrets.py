"""Taking over into the vault what a destination holds, once on request or before its first sync."""

from collections.abc import Collection, Mapping, Sequence
from operator import itemgetter

from pydantic import SecretStr
from sqlalchemy.orm import Session

from shared.broker import Task
from shared.db import change_events, vault
from shared.db.jobs import Kind
from shared.db.syncs import Sync
from shared.errors import InvalidInput
from shared.plan import Remote
from shared.providers.base import Destination, Pulled
from shared.references import holds_reference
from shared.sync_options import InitialBehavior
from shared.usecases.claim import Claim
from shared.usecases.edit_secrets import Draft, check_draft, put_secret
from shared.usecases.outcome import Outcome
from shared.usecases.reach import open_destination
from shared.usecases.view import View, read_view

#: Who is named as the author of imported versions.
_ACTOR = "import"


def import_secrets(claim: Claim, outcome: Outcome) -> None:
    """Take over what the destination holds, as the trigger's ``importBehavior`` says."""
    behavior = InitialBehavior(claim.job_options["importBehavior"])
    _take_over(claim, open_destination(claim), behavior, outcome)


def import_on_first_run(claim: Claim, destination: Destination, outcome: Outcome) -> None:
    """Carry out the initial behaviour, unless that was done for this destination before."""
    if claim.sync.initialized_key == claim.sync.destination_key:
        return
    behavior = claim.options.initial_sync_behavior
    if behavior is InitialBehavior.OVERWRITE:
        with claim.writing() as session:
            _mark_initialized(claim, session)
    else:
        _take_over(claim, destination, behavior, outcome)


def _take_over(claim: Claim, destination: Destination, behavior: InitialBehavior, outcome: Outcome) -> None:
    runtime = claim.runtime
    with runtime.database.snapshot() as session:
        before = read_view(runtime, session, claim.sync)
    pulled = destination.pull()
    found = readable_values(destination, pulled)
    only_missing = behavior is InitialBehavior.IMPORT_PRIORITIZE_SOURCE
    with claim.writing() as session:
        # What is noted under a folder's old name, nobody follows.
        vault.keep_slug(session, claim.sync.environment_id)
        view = read_view(runtime, session, claim.sync)
        newer = view.source.changed_since(before.source)
        wanted = choose(view, _without_our_own(claim, view, found), behavior, outcome, newer)
        # In the order in which edits lock secrets, too.
        for key, value in sorted(wanted.items(), key=itemgetter(0)):
            draft = Draft(key, value)
            put_secret(runtime, session, view.place, draft, actor=_ACTOR, only_missing=only_missing)
        if wanted:
            place = view.place
            change_events.record(
                session,
                place.project.id,
                place.environment.slug,
                place.folder.path,
                sorted(wanted),
                now=runtime.clock(),
            )
        _spare(claim, session, view, found, outcome.not_imported)
        if pulled.incomplete is None:
            _mark_initialized(claim, session)
        else:
            outcome.warnings.append(f"The import will be repeated: {pulled.incomplete}")
    outcome.imported += sorted(wanted)
    outcome.overwritten += sorted(wanted.keys() & view.source.secrets.keys())
    outcome.unchanged = len(found) - len(wanted)
    runtime.broker.send(Task.DISPATCH)


def readable_values(destination: Destination, pulled: Pulled) -> dict[str, SecretStr | None]:
    """Return every value that the destination can be made to show; None for the others."""
    remotes = pulled.remotes
    hidden: Sequence[Remote] = [
        remote for remote in remotes.values() if remote.value is None and not remote.locked
    ]
    revealed: Mapping[str, SecretStr] = destination.reveal(hidden) if hidden else {}
    return {
        key: remote.value if remote.value is not None else revealed.get(key)
        for key, remote in remotes.items()
        if not remote.locked
    }


def _without_our_own(
    claim: Claim, view: View, found: Mapping[str, SecretStr | None]
) -> dict[str, SecretStr | None]:
    """Return what of *found* is to be imported: on a first run, not what Keytide itself wrote there once.

    Such a run comes again while the list is incomplete, and when a sync returns to a former destination: the
    vault may have moved on since. Who asks for an import by hand gets what is there.
    """
    if claim.kind is Kind.IMPORT:
        return dict(found)
    return {key: value for key, value in found.items() if not _is_our_own(view, key, value)}


def _is_our_own(view: View, key: str, value: SecretStr | None) -> bool:
    written = view.written.get(key)
    return (
        written is not None and value is not None and written.fingerprint == view.data_key.fingerprint(value)
    )


def choose(
    view: View,
    found: Mapping[str, SecretStr | None],
    behavior: InitialBehavior,
    outcome: Outcome,
    newer: Collection[str] = (),
) -> dict[str, SecretStr]:
    """Return what is to be written to the vault, by the vault's keys. What is left out is warned of.

    *newer* are keys of the vault that somebody edited after the destination was read: those edits stay.
    """
    chosen: dict[str, SecretStr] = {}
    present = view.source.secrets
    for remote_key in sorted(found):
        if not view.covers(remote_key) or remote_key in view.foreign:
            continue
        key = view.options.parsed_key_schema.strip(remote_key, view.place.environment.slug) or ""
        if key in newer:
            continue
        value = found[remote_key]
        is_empty = value is not None and not value
        if key in present and (behavior is InitialBehavior.IMPORT_PRIORITIZE_SOURCE or is_empty):
            continue
        problem = _problem(key, value)
        if problem:
            outcome.not_imported.append(remote_key)
            outcome.warnings.append(f"{remote_key} was not imported: {problem}")
        elif value is not None and (key not in present or present[key].value != value):
            chosen[key] = value
    return chosen


def _problem(key: str, value: SecretStr | None) -> str | None:
    if value is None:
        return "the provider does not show its value."
    if holds_reference(value):
        # In the vault it would come alive, and could show what the destination must not see.
        return "its value holds text that the vault would read as a reference."
    try:
        check_draft(Draft(key, value))
    except InvalidInput as error:
        return error.message
    return None


def _spare(
    claim: Claim, session: Session, view: View, found: Collection[str], not_imported: Collection[str]
) -> None:
    """Keep the next runs from deleting or replacing what could not be imported.

    A first import that comes again leaves edits alone that were made since. Who asks for an import by hand
    decides anew on all that was *found*.
    """
    sync = session.get_one(Sync, claim.sync.id)
    known = sync.spared_keys
    if claim.kind is Kind.IMPORT:
        known = {key: then for key, then in known.items() if key not in found}
    now = {entry.key: view.data_key.fingerprint(entry.value) for entry in view.desired}
    sync.spared_keys = {key: now.get(key) for key in not_imported} | known
    claim.sync.spared_keys = sync.spared_keys


def _mark_initialized(claim: Claim, session: Session) -> None:
    session.get_one(Sync, claim.sync.id).initialized_key = claim.sync.destination_key
