"""Taking a job, and holding on to it: leases and fences.

A worker may run a job only between a claim that succeeded and the end of its lease. It asks before every
call to the provider and inside every transaction that records what it did. Whoever lost the lease, and
whoever's sync was changed meanwhile, writes no more.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from shared.db import connections, jobs, syncs
from shared.db.connections import Connection
from shared.db.jobs import Job, JobStatus, Kind, Trigger
from shared.db.syncs import Status, Sync
from shared.errors import Conflict, LeaseLost, SyncChanged
from shared.runtime import Runtime
from shared.sync_options import SyncOptions
from shared.usecases.sync_status import set_message, set_status


@dataclass(frozen=True)
class Claim:
    """A job that this worker runs, with its sync and connection as they were when it was taken.

    ``hold`` and ``writing`` compare the fence: after another claim of the same job they raise.
    """

    runtime: Runtime
    job_id: UUID
    fence: int
    kind: Kind
    trigger: Trigger
    job_options: dict[str, Any]
    attempt: int
    sync: Sync
    connection: Connection

    @cached_property
    def options(self) -> SyncOptions:
        """The sync's options. Options that cannot be read fail the run; the claim must not trip over them."""
        return self.sync.options

    def hold(self) -> None:
        """Make sure that this run may make one more call, and that its lease outlives that call.

        Raises ``LeaseLost`` or ``SyncChanged``.
        """
        with self.runtime.database.transaction() as session:
            self._check(session)

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Open a transaction that this run may still write in. Raises ``LeaseLost`` or ``SyncChanged``."""
        with self.runtime.database.transaction() as session:
            self._check(session)
            yield session

    def _check(self, session: Session) -> None:
        sync = syncs.lock(session, self.sync.id)
        job = self.own(session)
        if job is None:
            raise LeaseLost
        if sync is None or sync.generation != job.generation:
            raise SyncChanged
        _renew(self.runtime, job)

    def own(self, session: Session) -> Job | None:
        """Return the job's row, locked, if it is still this run's; else None."""
        job = jobs.lock(session, self.job_id)
        if job is None or job.status != JobStatus.RUNNING or job.fence != self.fence:
            return None
        return job


def claim(runtime: Runtime, job_id: UUID) -> Claim | None:
    """Take the job if its turn has come, and return it; None if it is not to be run now.

    A job that may not run yet stays queued: the end of the one in its way, or the sweep, comes back to it.
    """
    try:
        with runtime.database.transaction() as session:
            return _take(runtime, session, job_id)
    except Conflict:
        # Another worker took a job for the same destination in this very moment.
        return None


def _take(runtime: Runtime, session: Session, job_id: UUID) -> Claim | None:
    now = runtime.clock()
    # A hint that comes late costs one query, and waits for no lock.
    concerned = jobs.concerns(session, job_id, due_at=now)
    if concerned is None:
        return None
    # Locks are taken in one order everywhere: connection, sync, job.
    connection = connections.lock(session, concerned.connection_id)
    sync = syncs.lock(session, concerned.sync_id)
    job = jobs.lock(session, job_id)
    if job is None or job.status != JobStatus.QUEUED or job.run_after > now:
        return None
    if sync is None or connection is None or sync.connection_id != connection.id:
        # It was deleted, or moved to another connection, before it was locked here: the job is not lost.
        return None
    if not _is_wanted(job, sync):
        _cancel(job, sync, now)
        return None
    job.connection_id, job.destination_key = connection.id, sync.destination_key
    if not _has_room(runtime, session, job, connection):
        return None
    _start(runtime, job, sync)
    session.flush()
    return Claim(
        runtime=runtime,
        job_id=job.id,
        fence=job.fence,
        kind=Kind(job.kind),
        trigger=Trigger(job.trigger),
        job_options=job.options,
        attempt=job.attempt,
        sync=sync,
        connection=connection,
    )


def _is_wanted(job: Job, sync: Sync) -> bool:
    if sync.is_paused:
        # Whoever deletes a paused sync still wants its keys removed.
        return "deleteSync" in job.options
    return sync.is_auto_sync_enabled or job.trigger == Trigger.MANUAL


def _cancel(job: Job, sync: Sync, now: datetime) -> None:
    job.status, job.finished_at = JobStatus.CANCELLED, now
    job.message = "The sync was paused or auto-sync was switched off before this job began."
    set_status(sync, job.kind, Status.FAILED)
    set_message(sync, job.kind, job.message)


def _has_room(runtime: Runtime, session: Session, job: Job, connection: Connection) -> bool:
    """Is the destination free, and does the connection's budget allow another job?"""
    if connection.blocked_until is not None and connection.blocked_until > runtime.clock():
        job.run_after = connection.blocked_until
        return False
    if jobs.is_destination_busy(session, job.destination_key):
        return False
    # What failed before may hang again: such jobs never take all the threads from the healthy ones.
    retries_allowed = max(1, runtime.settings.worker_threads // 4)
    if job.attempt > 0 and jobs.count_retrying(session) >= retries_allowed:
        return False
    return jobs.count_running(session, connection.id) < runtime.settings.connection_concurrency


def _start(runtime: Runtime, job: Job, sync: Sync) -> None:
    now = runtime.clock()
    job.status = JobStatus.RUNNING
    job.fence += 1
    job.generation = sync.generation
    job.lease_expires_at = _lease_end(runtime)
    job.worker = runtime.settings.worker_name or None
    job.started_at = job.started_at or now
    set_status(sync, job.kind, Status.RUNNING)


def _renew(runtime: Runtime, job: Job) -> None:
    """Give the run a whole lease, unless seven eighths of one are left: the longest call ends within that."""
    end = _lease_end(runtime)
    missing = end - job.lease_expires_at if job.lease_expires_at else None
    if missing is None or missing.total_seconds() > runtime.settings.lease_seconds / 8:
        job.lease_expires_at = end


def _lease_end(runtime: Runtime) -> datetime:
    return runtime.clock() + timedelta(seconds=runtime.settings.lease_seconds)
