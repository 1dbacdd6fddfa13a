"""Scheduled reconciliation: looking for drift at every destination, when its time has come."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from shared.backoff import next_reconcile, spread
from shared.broker import Queue, Task
from shared.db import jobs, syncs
from shared.db.jobs import Kind, Request, Trigger
from shared.db.syncs import Sync
from shared.runtime import Runtime

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Which:
    """A choice of syncs: those that match every part that is given; all of them if none is."""

    project_id: UUID | None = None
    destination: str | None = None
    connection_id: UUID | None = None
    sync_id: UUID | None = None


#: Syncs queued in one transaction.
BATCH = 100


def reconcile_now(runtime: Runtime, which: Which) -> int:
    """Queue a reconcile for every active sync that *which* selects, and return how many."""
    now = runtime.clock()
    with runtime.database.transaction() as session:
        chosen = syncs.active(
            session,
            project_id=which.project_id,
            destination=which.destination,
            connection_id=which.connection_id,
            sync_id=which.sync_id,
        )
        request = Request(Kind.SYNC, Trigger.RECONCILE)
        job_ids = [jobs.enqueue(session, sync, request, now=now) for sync in chosen]
    for job_id in job_ids:
        runtime.broker.send(Task.RUN_JOB, job_id, queue=Queue.BACKGROUND)
    log.info("reconcile.requested", syncs=len(job_ids))
    return len(job_ids)


def reconcile_due(runtime: Runtime) -> int:
    """Queue a reconcile for each sync that is due, and return how many. Two at once queue nothing twice."""
    total = 0
    while True:
        with runtime.database.transaction() as session:
            due = syncs.due_for_reconcile(session, runtime.clock(), limit=BATCH)
            job_ids = []
            for sync in due:
                sync.next_reconcile_at = reconcile_after(runtime, sync)
                request = Request(Kind.SYNC, Trigger.RECONCILE)
                job_ids.append(jobs.enqueue(session, sync, request, now=runtime.clock()))
        for job_id in job_ids:
            runtime.broker.send(Task.RUN_JOB, job_id, queue=Queue.BACKGROUND)
        total += len(job_ids)
        if len(due) < BATCH:
            break
    if total:
        log.info("reconcile.queued", syncs=total)
    return total


def reconcile_after(runtime: Runtime, sync: Sync) -> datetime | None:
    """Return when the sync is to be looked at next, or None if never."""
    options = sync.options
    if options.reconcile_mode == "off" or not sync.is_auto_sync_enabled or sync.is_paused:
        return None
    seconds = options.reconcile_every_seconds or runtime.settings.reconcile_seconds
    return next_reconcile(
        runtime.clock(),
        every=timedelta(seconds=seconds),
        cron=options.reconcile_cron,
        offset=spread(sync.id),
    )
