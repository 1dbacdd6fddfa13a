"""One sync: read the source, pull the destination, plan, check, push batch by batch, remember.

The order is what keeps production safe. The source is read whole or not at all. The ledger names a key
as ours before it is written and as confirmed after. Creates come first, then updates in place, deletes
last, and the lease is checked before every call.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from shared.db import ledger
from shared.db.jobs import Trigger
from shared.db.syncs import Sync
from shared.errors import PlanBlocked, PlanOutdated
from shared.plan import Change, Create, Desired, Plan, Update, Written, check_safety, known_ours, mark_of
from shared.providers.base import Destination
from shared.usecases.claim import Claim
from shared.usecases.import_secrets import import_on_first_run
from shared.usecases.outcome import Outcome
from shared.usecases.reach import open_destination
from shared.usecases.view import View, read_view


def sync_secrets(claim: Claim, outcome: Outcome) -> None:
    """Make the destination hold what the source holds, noting in *outcome* what was done.

    Raises a ``PlanError`` before anything is written, or a ``ProviderError`` when the provider stops it.
    """
    destination = open_destination(claim)
    import_on_first_run(claim, destination, outcome)
    with claim.runtime.database.snapshot() as session:
        view = read_view(claim.runtime, session, claim.sync)
    plan = view.plan(destination.pull(), destination)
    outcome.planned(plan)
    outcome.warnings += view.source.warnings
    if claim.trigger is Trigger.RECONCILE and claim.options.reconcile_mode == "report":
        _report(plan, outcome)
        return
    _let_pass(claim, plan)
    _apply(claim, view, destination, plan, outcome)
    if claim.options.redeploy == "after-change":
        _redeploy(claim, destination, wrote=outcome.wrote)


# --- may it be done? -----------------------------------------------------------------------------------


def _let_pass(claim: Claim, plan: Plan) -> None:
    """Raise ``PlanBlocked`` if *plan* needs an approval, ``PlanOutdated`` if another one was approved."""
    try:
        check_safety(plan, limit_percent=claim.options.deletion_limit_percent)
    except PlanBlocked:
        approved = claim.job_options.get("approvePlan")
        if approved is None:
            raise
        # An attempt that broke off has done a part of what was approved: the rest needs no new approval.
        is_rest = set(plan.lost) <= set(claim.job_options.get("approvedLosses", ()))
        if approved != plan.hash and not is_rest:
            raise PlanOutdated(plan_hash=plan.hash) from None
        _remember_approval(claim, plan)


def _remember_approval(claim: Claim, plan: Plan) -> None:
    with claim.writing() as session:
        job = claim.own(session)
        if job is not None:
            job.options = {**job.options, "approvedLosses": list(plan.lost)}


def _report(plan: Plan, outcome: Outcome) -> None:
    """Name what differs instead of repairing it."""
    for change in plan.changes:
        outcome.missing[change.key] = "it differs at the destination, and this sync only reports"


# --- doing it ------------------------------------------------------------------------------------------


def _apply(claim: Claim, view: View, destination: Destination, plan: Plan, outcome: Outcome) -> None:
    _catch_up(claim, view, plan)
    for batch in batches((*plan.creates, *plan.updates), destination.batch_size):
        _push(claim, view, destination, batch, outcome)
    for batch in batches(plan.deletes, destination.batch_size):
        _push(claim, view, destination, batch, outcome)


def _redeploy(claim: Claim, destination: Destination, *, wrote: bool) -> None:
    """Make running services take the values up, once, and so for an earlier run that got no further."""
    if not (wrote or claim.sync.redeploy_owed):
        return
    destination.redeploy()
    with claim.writing() as session:
        session.get_one(Sync, claim.sync.id).redeploy_owed = False


def _push(
    claim: Claim, view: View, destination: Destination, batch: Sequence[Change], outcome: Outcome
) -> None:
    wanted = {change.key: change.desired for change in batch if isinstance(change, Create | Update)}
    sync = claim.sync
    with claim.writing() as session:
        # Should the answer never reach us, these keys are known to be ours all the same.
        before = _marks_of_theirs(view, batch)
        ledger.intend(session, sync.id, sync.destination_key, wanted.values(), before=before)
        if claim.options.redeploy == "after-change":
            session.get_one(Sync, sync.id).redeploy_owed = True
    pushed = destination.push(batch)
    done = [change.key for change in batch if change.key not in pushed.refused]
    with claim.writing() as session:
        ledger.confirm(
            session,
            sync.id,
            sync.destination_key,
            [wanted[key] for key in done if key in wanted],
            fingerprints={key: view.data_key.fingerprint(wanted[key].value) for key in wanted},
            stamps=pushed.stamps,
            now=claim.runtime.clock(),
        )
        # Deleted keys are gone, and a refused one that was not ours before has not become so.
        gone = [key for key in done if key not in wanted]
        gone += [key for key in pushed.refused if key not in view.written]
        ledger.forget(session, sync.id, sync.destination_key, gone)
    outcome.pushed(batch, pushed.refused)


def _marks_of_theirs(view: View, batch: Sequence[Change]) -> dict[str, str]:
    """Return marks of what *batch* overwrites that is not ours: while they fit, it is somebody else's."""
    remotes = {change.key: change.remote for change in batch if isinstance(change, Update)}
    ours = known_ours(view.written, remotes, view.data_key.fingerprint)
    return {key: mark_of(remotes[key], view.data_key.fingerprint) for key in remotes.keys() - ours.keys()}


def _catch_up(claim: Claim, view: View, plan: Plan) -> None:
    """Bring the ledger in line with what the destination turned out to hold already."""
    sync = claim.sync
    fingerprints = {entry.key: view.data_key.fingerprint(entry.value) for entry in plan.unchanged}
    late = [entry for entry in plan.unchanged if _is_news(view.written.get(entry.key), entry, fingerprints)]
    if not late and not plan.gone:
        return
    with claim.writing() as session:
        ledger.confirm(
            session,
            sync.id,
            sync.destination_key,
            late,
            fingerprints=fingerprints,
            stamps=plan.stamps,
            now=claim.runtime.clock(),
        )
        ledger.forget(session, sync.id, sync.destination_key, plan.gone)


def _is_news(written: Written | None, entry: Desired, fingerprints: Mapping[str, str]) -> bool:
    return (
        written is None or written.fingerprint != fingerprints[entry.key] or written.version != entry.version
    )


def batches(changes: Sequence[Change], size: int) -> Iterator[Sequence[Change]]:
    """Cut *changes* into pieces that the provider takes in one push."""
    rest = iter(changes)
    while batch := tuple(islice(rest, size)):
        yield batch
