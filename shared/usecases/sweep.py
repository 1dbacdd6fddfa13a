"""Finding work that no message tells about any more: the reason why losing the broker loses nothing."""

from uuid import UUID

import structlog
from sqlalchemy.orm import Session

from shared.backoff import MAX_ATTEMPTS
from shared.broker import Task
from shared.db import change_events, jobs, syncs
from shared.db.jobs import JobStatus, Kind
from shared.db.syncs import Status
from shared.runtime import Runtime
from shared.usecases.dispatch import dispatch
from shared.usecases.sync_status import set_message, set_status

log = structlog.get_logger()

#: Jobs looked at in one sweep. What is left over comes next time.
LIMIT = 200


def sweep(runtime: Runtime) -> None:
    """Dispatch open change events, free jobs whose worker died, and hint at every job that is due."""
    free_expired_jobs(runtime)
    with runtime.database.snapshot() as session:
        has_open = change_events.has_open(session)
    if has_open:
        dispatch(runtime)
    with runtime.database.snapshot() as session:
        limit = runtime.settings.connection_concurrency
        found = jobs.due(session, runtime.clock(), per_connection=limit, limit=LIMIT)
        due = [job.id for job in found]
    for job_id in due:
        runtime.broker.send(Task.RUN_JOB, job_id)


def free_expired_jobs(runtime: Runtime) -> None:
    """Queue again every job whose lease ran out, unless a newer one waits to do the same."""
    with runtime.database.snapshot() as session:
        expired = jobs.expired(session, runtime.clock(), limit=LIMIT)
    for job_id in expired:
        with runtime.database.transaction() as session:
            _free(runtime, session, job_id)


def take_over_from(runtime: Runtime, worker: str) -> None:
    """Free at once what *worker* left running in an earlier life."""
    with runtime.database.transaction() as session:
        count = jobs.expire_leases_of(session, worker, runtime.clock())
    if count:
        log.warning("jobs.taken_over", worker=worker, jobs=count)
        sweep(runtime)


def _free(runtime: Runtime, session: Session, job_id: UUID) -> None:
    concerned = jobs.concerns(session, job_id)
    sync = syncs.lock(session, concerned.sync_id) if concerned else None
    job = jobs.lock(session, job_id)
    now = runtime.clock()
    if job is None or not job.has_expired(now):
        return
    log.warning("job.lease_expired", job_id=str(job_id))
    if sync is not None:
        set_status(sync, Kind(job.kind), Status.PENDING)
    successor = jobs.waiting_job(session, sync.id, job.kind) if sync else None
    # Not before that query: it writes out what was set so far, and a running job has to have a lease.
    job.lease_expires_at = None
    if successor is not None:
        jobs.hand_over(job, successor)
    if sync is None or successor is not None:
        job.status, job.finished_at = JobStatus.CANCELLED, now
        job.message = "Its worker stopped; the sync is gone or a newer job does the work."
        return
    job.attempt += 1
    if job.attempt >= MAX_ATTEMPTS:
        # Perhaps it is this job that kills the workers.
        job.status, job.finished_at = JobStatus.FAILED, now
        job.message = f"The worker of each of its {job.attempt} attempts stopped; see the workers' log."
        set_status(sync, Kind(job.kind), Status.FAILED)
        set_message(sync, Kind(job.kind), job.message)
        return
    job.status, job.run_after = JobStatus.QUEUED, now
