"""Syncs: creating, changing, triggering and deleting them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy.orm import Session

from shared.broker import Queue, Task
from shared.db import jobs, syncs, vault
from shared.db.connections import Connection
from shared.db.jobs import EVERY_JOB, Job, JobFilter, Kind, Request, Trigger
from shared.db.syncs import Status, Sync, destination_key
from shared.db.vault import Environment, Folder
from shared.errors import InvalidInput, NotFound
from shared.providers.base import DestinationConfig
from shared.runtime import Runtime
from shared.sync_options import SyncOptions
from shared.usecases.connections import provider_named
from shared.usecases.reconcile import reconcile_after
from shared.usecases.retarget import Left, remove_from
from shared.usecases.sync_rules import (
    check_options,
    colliding,
    find_source,
    parse_config,
    refuse_overlap,
    refuse_removal_from_a_part,
    refuse_taken_name,
    usable_connection,
)
from shared.usecases.sync_status import enqueue, set_message, set_status


@dataclass(frozen=True, slots=True)
class SyncDraft:
    """A sync to create. ``destination_config`` is as the wire has it."""

    destination: str
    name: str
    project_id: UUID
    connection_id: UUID
    environment: str
    secret_path: str
    destination_config: Mapping[str, Any]
    sync_options: SyncOptions
    description: str | None = None
    is_auto_sync_enabled: bool = True


@dataclass(frozen=True, slots=True)
class SyncChanges:
    """What to change of a sync. None leaves a part as it is."""

    name: str | None = None
    description: str | None = None
    connection_id: UUID | None = None
    environment: str | None = None
    secret_path: str | None = None
    destination_config: Mapping[str, Any] | None = None
    sync_options: SyncOptions | None = None
    is_auto_sync_enabled: bool | None = None
    is_paused: bool | None = None
    #: With another destination: remove from the old one what the sync wrote there.
    remove_secrets: bool = False


@dataclass(frozen=True, slots=True)
class SyncView:
    """A sync with the rows that its wire form shows. Environment and folder are None once deleted.

    ``job_id`` is the job that a trigger queued.
    """

    sync: Sync
    connection: Connection
    environment: Environment | None
    folder: Folder | None
    job_id: UUID | None = None


def create_sync(runtime: Runtime, draft: SyncDraft) -> SyncView:
    """Create the sync and, if it follows changes by itself, queue its first run.

    Raises ``InvalidInput`` or ``NotFound`` for what does not fit, ``Conflict`` if the name is taken or
    another sync writes the same keys of that destination.
    """
    config = parse_config(draft.destination, draft.destination_config)
    now = runtime.clock()
    with runtime.database.transaction() as session:
        place = find_source(session, draft.project_id, draft.environment, draft.secret_path)
        refuse_taken_name(session, draft.project_id, draft.name)
        sync = Sync(
            id=uuid4(),
            project_id=draft.project_id,
            name=draft.name,
            description=draft.description,
            connection_id=usable_connection(
                session, draft.connection_id, draft.project_id, draft.destination
            ).id,
            environment_id=place.environment.id,
            folder_id=place.folder.id,
            destination=draft.destination,
            destination_config=config.model_dump(mode="json", by_alias=True, exclude_none=True),
            destination_key=destination_key(draft.destination, config.identity()),
            sync_options=draft.sync_options.stored(),
            is_recursive=draft.sync_options.recursive,
            is_auto_sync_enabled=draft.is_auto_sync_enabled,
            is_paused=False,
            version=1,
            generation=1,
            created_at=now,
            updated_at=now,
        )
        check_options(sync)
        refuse_overlap(session, sync, place.environment.slug)
        _plan_reconcile(runtime, sync)
        session.add(sync)
        session.flush()
        job_id = _queue(runtime, session, sync, Trigger.CREATE) if sync.is_auto_sync_enabled else None
        view = _view(session, sync)
    _hint(runtime, job_id)
    return view


def update_sync(runtime: Runtime, destination: str, sync_id: UUID, changes: SyncChanges) -> SyncView:
    """Change a sync. Only what changes the outcome stops a run under way and queues a new one."""
    with runtime.database.transaction() as session:
        sync = _locked(session, destination, sync_id)
        before, left = _outcome(sync), Left.of(sync)
        _apply(session, sync, changes)
        changed = _outcome(sync) != before
        if changed:
            check_options(sync)
            refuse_overlap(session, sync, vault.keep_slug(session, sync.environment_id))
            if changes.remove_secrets:
                refuse_removal_from_a_part(sync, left)
            sync.generation += 1
        sync.version += 1
        sync.updated_at = runtime.clock()
        _plan_reconcile(runtime, sync)
        job_id = _after_update(runtime, session, sync, changed=changed)
        removal = remove_from(runtime, session, sync, left) if changes.remove_secrets else None
        view = _view(session, sync)
    _hint(runtime, job_id)
    _hint(runtime, removal)
    return view


def delete_sync(
    runtime: Runtime, destination: str, sync_id: UUID, *, remove_secrets: bool = False
) -> SyncView:
    """Delete a sync; with *remove_secrets* only once the keys it wrote are gone from the destination.

    A run under way writes nothing more.
    """
    with runtime.database.transaction() as session:
        sync = _locked(session, destination, sync_id)
        jobs.cancel_waiting(session, sync.id, reason="The sync was deleted.", now=runtime.clock())
        job_id = None
        if remove_secrets:
            sync.generation += 1
            sync.is_auto_sync_enabled = False
            job_id = _queue(runtime, session, sync, Trigger.MANUAL, Kind.REMOVE, {"deleteSync": True})
            view = _view(session, sync)
        else:
            view = _view(session, sync)
            session.delete(sync)
    _hint(runtime, job_id, Queue.INTERACTIVE)
    return view


def trigger(
    runtime: Runtime,
    destination: str,
    sync_id: UUID,
    kind: Kind,
    *,
    options: Mapping[str, Any] | None = None,
) -> SyncView:
    """Queue a job that a person asked for, ahead of everything else.

    Raises ``InvalidInput`` if the sync is paused or its source is gone.
    """
    if kind is Kind.IMPORT and not provider_named(destination).can_import:
        raise InvalidInput(
            f"{provider_named(destination).title} does not show values, so nothing can be imported from it."
        )
    with runtime.database.transaction() as session:
        sync = _locked(session, destination, sync_id)
        if sync.is_paused:
            raise InvalidInput(f"The sync '{sync.name}' is paused. Resume it first.", field=("syncId",))
        if kind is Kind.IMPORT and sync.is_recursive:
            raise InvalidInput(
                f"The sync '{sync.name}' covers several folders, so nothing can be imported to it.",
                field=("syncId",),
            )
        if kind is not Kind.REMOVE and sync.folder_id is None:
            raise InvalidInput(
                f"The source folder of the sync '{sync.name}' no longer exists.", field=("syncId",)
            )
        job_id = _queue(runtime, session, sync, Trigger.MANUAL, kind, dict(options or {}))
        view = replace(_view(session, sync), job_id=job_id)
    _hint(runtime, job_id, Queue.INTERACTIVE)
    return view


def get_sync(runtime: Runtime, destination: str, sync_id: UUID) -> SyncView:
    """Return a sync to that destination. Raises ``NotFound``."""
    with runtime.database.snapshot() as session:
        return _view(session, _found(session.get(Sync, sync_id), destination, sync_id))


def find_sync(runtime: Runtime, destination: str, project_id: UUID, name: str) -> SyncView:
    """Return a project's sync with that name. Raises ``NotFound``."""
    with runtime.database.snapshot() as session:
        sync = syncs.find_by_name(session, project_id, name)
        if sync is None or sync.destination != destination:
            raise NotFound(f"The project has no {destination} sync named '{name}'.")
        return _view(session, sync)


def list_syncs(
    runtime: Runtime,
    project_id: UUID,
    *,
    destination: str | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> list[SyncView]:
    """Return a project's syncs by name."""
    with runtime.database.snapshot() as session:
        rows = syncs.list_joined(session, project_id, destination=destination, limit=limit, offset=offset)
    return [SyncView(*row) for row in rows]


def list_jobs(
    runtime: Runtime,
    destination: str,
    sync_id: UUID,
    which: JobFilter = EVERY_JOB,
    *,
    limit: int,
    offset: int,
) -> Sequence[Job]:
    """Return the jobs of a sync, newest first. Raises ``NotFound``."""
    with runtime.database.snapshot() as session:
        _found(session.get(Sync, sync_id), destination, sync_id)
        return jobs.list_jobs(session, sync_id, which, limit=limit, offset=offset)


def get_job(runtime: Runtime, destination: str, sync_id: UUID, job_id: UUID) -> Job:
    """Return a job of a sync. Raises ``NotFound``."""
    with runtime.database.snapshot() as session:
        _found(session.get(Sync, sync_id), destination, sync_id)
        job = session.get(Job, job_id)
        if job is None or job.sync_id != sync_id:
            raise NotFound(f"The sync has no job with the id {job_id}.")
        return job


def find_duplicate(
    runtime: Runtime,
    destination: str,
    destination_config: Mapping[str, Any],
    *,
    exclude: UUID | None = None,
) -> Sync | None:
    """Return a sync that already writes to that destination or to a part of it, whatever its keys."""
    config = parse_config(destination, destination_config)
    with runtime.database.snapshot() as session:
        found = colliding(session, destination, config)
        return next((sync for sync in found if sync.id != exclude), None)


# --- what changes --------------------------------------------------------------------------------------


def _outcome(sync: Sync) -> tuple[object, ...]:
    """Everything of a sync that decides what is written where, and whether."""
    return (
        sync.connection_id,
        sync.folder_id,
        sync.destination_config,
        sync.sync_options,
        sync.is_auto_sync_enabled,
        sync.is_paused,
    )


def _apply(session: Session, sync: Sync, changes: SyncChanges) -> None:
    if changes.name is not None and changes.name != sync.name:
        refuse_taken_name(session, sync.project_id, changes.name)
        sync.name = changes.name
    if changes.description is not None:
        sync.description = changes.description
    if changes.connection_id is not None:
        sync.connection_id = usable_connection(
            session, changes.connection_id, sync.project_id, sync.destination
        ).id
    if changes.destination_config is not None:
        _point_to(sync, parse_config(sync.destination, changes.destination_config))
    if changes.sync_options is not None:
        sync.sync_options = changes.sync_options.stored()
        sync.is_recursive = changes.sync_options.recursive
    _apply_source(session, sync, changes)
    if changes.is_auto_sync_enabled is not None:
        sync.is_auto_sync_enabled = changes.is_auto_sync_enabled
    if changes.is_paused is not None:
        sync.is_paused = changes.is_paused


def _point_to(sync: Sync, config: DestinationConfig) -> None:
    key = destination_key(sync.destination, config.identity())
    sync.destination_config = config.model_dump(mode="json", by_alias=True, exclude_none=True)
    if key != sync.destination_key:
        # It starts over, also when it comes back before it ran elsewhere: much may be new there by then.
        sync.destination_key, sync.initialized_key, sync.spared_keys = key, None, {}


def _apply_source(session: Session, sync: Sync, changes: SyncChanges) -> None:
    if changes.environment is None and changes.secret_path is None:
        return
    view = _view(session, sync)
    environment = changes.environment or (view.environment.slug if view.environment else "")
    path = changes.secret_path or (view.folder.path if view.folder else vault.ROOT)
    place = find_source(session, sync.project_id, environment, path)
    sync.environment_id, sync.folder_id = place.environment.id, place.folder.id


def _after_update(runtime: Runtime, session: Session, sync: Sync, *, changed: bool) -> UUID | None:
    if not changed:
        return None
    if sync.is_paused or not sync.is_auto_sync_enabled:
        _stand_still(session, sync, runtime.clock())
        return None
    return _queue(runtime, session, sync, Trigger.UPDATE)


def _stand_still(session: Session, sync: Sync, now: datetime) -> None:
    """Cancel what waits; while only auto-sync is off, a person's own wishes stay."""
    reason = "The sync was paused." if sync.is_paused else "Auto-sync was switched off."
    cancelled = jobs.cancel_waiting(session, sync.id, reason=reason, now=now, also_manual=sync.is_paused)
    for kind in cancelled:
        set_status(sync, kind, Status.FAILED)
        set_message(sync, kind, f"{reason} Changes are waiting.")


def _queue(
    runtime: Runtime,
    session: Session,
    sync: Sync,
    why: Trigger,
    kind: Kind = Kind.SYNC,
    options: dict[str, Any] | None = None,
) -> UUID:
    session.flush()
    return enqueue(session, sync, Request(kind, why, options=options or {}), now=runtime.clock())


def _plan_reconcile(runtime: Runtime, sync: Sync) -> None:
    sync.next_reconcile_at = reconcile_after(runtime, sync)


# --- help ----------------------------------------------------------------------------------------------


def _hint(runtime: Runtime, job_id: UUID | None, queue: Queue | None = None) -> None:
    if job_id is not None:
        runtime.broker.send(Task.RUN_JOB, job_id, queue=queue)


def _locked(session: Session, destination: str, sync_id: UUID) -> Sync:
    return _found(syncs.lock(session, sync_id), destination, sync_id)


def _found(sync: Sync | None, destination: str, sync_id: UUID) -> Sync:
    if sync is None or sync.destination != destination:
        raise NotFound(f"There is no {destination} sync with the id {sync_id}.")
    return sync


def _view(session: Session, sync: Sync) -> SyncView:
    return SyncView(
        sync=sync,
        connection=session.get_one(Connection, sync.connection_id),
        environment=session.get(Environment, sync.environment_id) if sync.environment_id else None,
        folder=session.get(Folder, sync.folder_id) if sync.folder_id else None,
    )
