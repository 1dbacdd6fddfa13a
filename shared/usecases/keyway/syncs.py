"""Carrying out syncs of Keyway's wire: each is one of our syncs with auto-sync off, found or made.

Nothing runs here: jobs are queued, and looked at.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from uuid import UUID

from shared.db import syncs, vault
from shared.db.jobs import Job, JobStatus, Kind
from shared.db.syncs import Sync, destination_key
from shared.db.vault import ROOT
from shared.errors import Conflict
from shared.runtime import Runtime
from shared.sync_options import InitialBehavior, SyncOptions
from shared.usecases.keyway.locate import Direction, Order, Target
from shared.usecases.keyway.targets import is_ours, sync_name
from shared.usecases.sync_rules import named, parse_config
from shared.usecases.syncs import SyncChanges, SyncDraft, create_sync, trigger, update_sync

_SERVICE_FIELDS = frozenset({"serviceId", "serviceName"})


@dataclass(frozen=True, slots=True)
class Ticket:
    """A job that was queued, and what it is for."""

    destination: str
    sync_id: UUID
    job_id: UUID
    direction: Direction


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a job: success, partial, failed, or pending while it is still to be finished."""

    status: str
    ticket: Ticket
    created: int = 0
    updated: int = 0
    deleted: int = 0
    skipped: int = 0
    error: str | None = None
    failed_keys: Mapping[str, str] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    plan_hash: str | None = None


# --- doing ---------------------------------------------------------------------------------------------


def link(runtime: Runtime, target: Target) -> tuple[Sync, bool]:
    """Return the sync between the two places, made if there is none, and whether it was. Runs nothing."""
    known = find_sync_of(runtime, target)
    return (known, False) if known else (_ensure(runtime, target, Order()), True)


def start(runtime: Runtime, target: Target, order: Order) -> Ticket:
    """Queue a job that carries *order* out, ahead of everything else. Raises ``Conflict``.

    Several at once for the same two places are one job.
    """
    sync = _ensure(runtime, target, order)
    kind, options = Kind.SYNC, {}
    if order.direction is Direction.PULL:
        kind, options = Kind.IMPORT, {"importBehavior": order.import_behavior.value}
    elif order.plan_hash is not None:
        options = {"approvePlan": order.plan_hash}
    queued = trigger(runtime, sync.destination, sync.id, kind, options=options)
    if queued.job_id is None:
        raise Conflict("The sync was deleted meanwhile. Start again.")
    return Ticket(sync.destination, sync.id, queued.job_id, order.direction)


def result_of(runtime: Runtime, ticket: Ticket) -> Result:
    """Return what became of a job so far."""
    with runtime.database.snapshot() as session:
        job = session.get(Job, ticket.job_id)
        sync = session.get(Sync, ticket.sync_id)
    if job is None or sync is None:
        return Result("failed", ticket, error="The sync was deleted before it was finished.")
    result = _counted(job, ticket)
    if job.status in (JobStatus.QUEUED, JobStatus.RUNNING):
        return replace(result, status="pending", error=job.message)
    if job.status == JobStatus.SUCCEEDED:
        return replace(result, status="success")
    changed = result.created + result.updated + result.deleted
    return replace(result, status="partial" if changed else "failed", error=_reason(job, sync))


def _reason(job: Job, sync: Sync) -> str | None:
    """Return why *job* failed, for people at Keyway's command line: it shows no more, and sends no hash."""
    if job.message is None or "approvePlan" not in job.message:
        return job.message
    return f"{job.message} At a command line: keytide syncs approve {sync.name}"


def _counted(job: Job, ticket: Ticket) -> Result:
    details = job.details
    overwritten = len(details.get("overwritten", ()))
    refused = details.get("refused", {})
    is_pull = ticket.direction is Direction.PULL
    return Result(
        status="",
        ticket=ticket,
        created=len(details.get("imported", ())) - overwritten if is_pull else job.created_count,
        updated=overwritten if is_pull else job.updated_count,
        deleted=job.deleted_count,
        skipped=job.unchanged_count + len(refused),
        failed_keys=refused,
        warnings=details.get("warnings", ()),
        plan_hash=details.get("planHash"),
    )


# --- the sync ------------------------------------------------------------------------------------------


def find_sync_of(runtime: Runtime, target: Target) -> Sync | None:
    """Return the sync between the two places. Raises ``Conflict`` if another one writes to the second."""
    with runtime.database.snapshot() as session:
        place = vault.find_folder_in_project(session, target.member.project.id, target.environment, ROOT)
        found = syncs.syncs_at(session, target.key)
    for sync in found:
        if place is not None and sync.folder_id == place.id:
            return sync
    if found:
        raise Conflict(
            f"{named(found[0], target.member.project.id)} already writes to that destination, from another "
            "place. Delete it first (keytide syncs delete), or choose another environment or project."
        )
    return None


def _ensure(runtime: Runtime, target: Target, order: Order) -> Sync:
    """Return the sync between the two places, with the options that *order* needs."""
    known = find_sync_of(runtime, target) or _completed_link(runtime, target, order)
    if known is None:
        # Somebody may be making it in this very moment.
        with suppress(Conflict):
            return create_sync(runtime, draft_for(target, order)).sync
        known = find_sync_of(runtime, target)
    if known is None:
        return create_sync(runtime, draft_for(target, order)).sync
    return _adapted(runtime, target, known, order)


def _completed_link(runtime: Runtime, target: Target, order: Order) -> Sync | None:
    """Point a link of the project, not used yet, at the service of *target*; None if there is no such link.

    Keyway's command line leaves the service out of a link, and means the one that it names to sync.
    """
    linked = _unused_link(runtime, target)
    if linked is None:
        return None
    draft = draft_for(target, order)
    changes = SyncChanges(
        name=draft.name,
        connection_id=draft.connection_id,
        destination_config=draft.destination_config,
        sync_options=draft.sync_options,
    )
    return update_sync(runtime, linked.destination, linked.id, changes).sync


def _unused_link(runtime: Runtime, target: Target) -> Sync | None:
    """Return the sync that was made for the whole project of *target* and has written nothing yet."""
    if "serviceId" not in target.config:
        return None
    project = {key: value for key, value in target.config.items() if key not in _SERVICE_FIELDS}
    app = target.connection.app
    with runtime.database.snapshot() as session:
        place = vault.find_folder_in_project(session, target.member.project.id, target.environment, ROOT)
        found = syncs.syncs_at(session, destination_key(app, parse_config(app, project).identity()))
    unused = (sync for sync in found if is_ours(sync) and not (sync.sync_status or sync.import_status))
    return next((sync for sync in unused if place is not None and sync.folder_id == place.id), None)


def draft_for(target: Target, order: Order) -> SyncDraft:
    """Return the sync to create for *target*."""
    app = target.connection.app
    # Railway's services take values up only when they are deployed anew; this wire always did that.
    redeploys = "serviceId" in target.config
    return SyncDraft(
        destination=app,
        name=sync_name(app, target.environment, target.key),
        description="Made by a client of Keyway's wire.",
        project_id=target.member.project.id,
        connection_id=target.connection.id,
        environment=target.environment,
        secret_path=ROOT,
        destination_config=target.config,
        sync_options=SyncOptions(
            initial_sync_behavior=InitialBehavior.OVERWRITE,
            disable_secret_deletion=not order.allow_delete,
            redeploy="after-change" if redeploys else "never",
        ),
        is_auto_sync_enabled=False,
    )


def _adapted(runtime: Runtime, target: Target, sync: Sync, order: Order) -> Sync:
    """Give our sync the options and the connection that *order* needs; another one must have them."""
    refuse_other_deletion(sync, order)
    if not is_ours(sync):
        return sync
    options = fitted_options(sync, order)
    if options.stored() == sync.sync_options and sync.connection_id == target.connection.id:
        return sync
    changes = SyncChanges(sync_options=options, connection_id=target.connection.id)
    return update_sync(runtime, sync.destination, sync.id, changes).sync


def fitted_options(sync: Sync, order: Order) -> SyncOptions:
    """Return the options of *sync* with what *order* asks for; those of somebody else's sync stay."""
    options = sync.options
    if not is_ours(sync) or order.direction is Direction.PULL:
        return options
    return options.model_copy(update={"disable_secret_deletion": not order.allow_delete})


def refuse_other_deletion(sync: Sync, order: Order) -> None:
    """Raise ``Conflict`` if *sync* is somebody else's and deletes where *order* must not, or the reverse."""
    deletes = not sync.options.disable_secret_deletion
    if is_ours(sync) or order.direction is Direction.PULL or deletes == order.allow_delete:
        return
    habit = "deletes what the vault does not have" if deletes else "deletes nothing"
    raise Conflict(
        f"The sync '{sync.name}' already writes to that destination, and it {habit}. Ask for "
        f"allowDelete={str(deletes).lower()}, or change that sync."
    )
