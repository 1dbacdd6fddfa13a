"""From change events to jobs: which syncs show what was changed?"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy.orm import Session

from shared.broker import Task
from shared.db import change_events, syncs, vault
from shared.db.change_events import ChangeEvent
from shared.db.jobs import Kind, Request, Trigger
from shared.runtime import Runtime
from shared.usecases.sync_status import enqueue

log = structlog.get_logger()

#: Events taken in one transaction. What is left over is taken in the next.
BATCH = 500
#: How many imports and references may lie between an edit and a sync that shows it.
MAX_HOPS = 20

#: Slug of an environment, and path of a folder in it.
FolderName = tuple[str, str]


def dispatch(runtime: Runtime) -> int:
    """Queue a job for each sync that an open change event concerns, and return how many were queued.

    Several may do this at once: each takes other events. An event and the jobs it asks for are one
    transaction, so it can be neither lost nor carried out twice.
    """
    with runtime.database.snapshot() as session:
        project_ids = change_events.projects_with_open(session)
    return sum(_dispatch_of(runtime, project_id) for project_id in project_ids)


def has_open_changes(runtime: Runtime, project_id: UUID) -> bool:
    """Does the project have edits whose jobs are not queued yet?"""
    with runtime.database.snapshot() as session:
        return change_events.has_open(session, project_id)


def _dispatch_of(runtime: Runtime, project_id: UUID) -> int:
    try:
        return _dispatch_project(runtime, project_id)
    except Exception as error:
        # Nobody else's edits wait for this project's. Its events stay open: the sweep comes back to them.
        log.exception("changes.not_dispatched", project_id=str(project_id), error=type(error).__name__)
        return 0


def _dispatch_project(runtime: Runtime, project_id: UUID) -> int:
    queued = 0
    while True:
        with runtime.database.transaction() as session:
            events = change_events.claim_open(session, project_id, limit=BATCH)
            job_ids = _queue_jobs(session, project_id, events, runtime.clock()) if events else []
        for job_id in job_ids:
            runtime.broker.send(Task.RUN_JOB, job_id)
        queued += len(job_ids)
        if len(events) < BATCH:
            return queued


def _queue_jobs(
    session: Session, project_id: UUID, events: Sequence[ChangeEvent], now: datetime
) -> list[UUID]:
    for event in events:
        event.dispatched_at = now
    session.flush()
    changed_at = min(event.created_at for event in events)
    places = places_showing(session, project_id, {(event.environment, event.path) for event in events})
    request = Request(Kind.SYNC, Trigger.CHANGE, changed_at=changed_at)
    job_ids = []
    for sync in syncs.auto_syncs_of(session, project_id, places):
        job_ids.append(enqueue(session, sync, request, now=now))
    log.info("changes.dispatched", project_id=str(project_id), events=len(events), syncs=len(job_ids))
    return job_ids


def places_showing(session: Session, project_id: UUID, changed: set[FolderName]) -> set[FolderName]:
    """Return *changed* and every folder that imports or references one of them, directly or not."""
    seen = set(changed)
    frontier = set(changed)
    for _ in range(MAX_HOPS):
        frontier = vault.folders_showing(session, project_id, frontier) - seen
        if not frontier:
            break
        seen |= frontier
    return seen
