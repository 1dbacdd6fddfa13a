"""Recording how a run ended: on the job, on the sync, and for those who waited for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Self
from uuid import UUID

import structlog
from sqlalchemy.orm import Session

from shared.db import connections, jobs, syncs
from shared.db.jobs import Job, JobStatus, Kind, Request, Trigger
from shared.db.syncs import Status, Sync
from shared.errors import CredentialsRejected, KeytideError, RateLimited, SyncChanged
from shared.runtime import Runtime
from shared.usecases.claim import Claim
from shared.usecases.outcome import Outcome
from shared.usecases.sync_status import enqueue, set_message, set_status, shortened

log = structlog.get_logger()

#: Longest message on a job, which names more keys.
MAX_JOB_MESSAGE = 16_384
#: Jobs woken when one ends: it leaves room at its destination and in its connection's budget, once each.
MAX_WOKEN = 2


class End(Enum):
    """The ways a run can end."""

    DONE = auto()
    FAILED = auto()
    AGAIN = auto()
    STOPPED = auto()


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended, and what a person is told."""

    end: End
    message: str | None = None
    wait: timedelta = timedelta(0)
    error: KeytideError | None = None

    @classmethod
    def done(cls, outcome: Outcome) -> Self:
        """It went through; it succeeded only if the destination lacks nothing."""
        shortfall = outcome.shortfall()
        return cls(End.FAILED, shortfall) if shortfall else cls(End.DONE)

    @classmethod
    def failed(cls, message: str, error: KeytideError | None = None) -> Self:
        return cls(End.FAILED, message, error=error)

    @classmethod
    def again(cls, message: str, wait: timedelta, error: KeytideError) -> Self:
        return cls(End.AGAIN, message, wait, error)

    @classmethod
    def stopped(cls, message: str) -> Self:
        return cls(End.STOPPED, message)


def finish(claim: Claim, outcome: Outcome, ending: Ending) -> Sequence[UUID]:
    """Record the end of a run, and return the jobs it made room for.

    A run that is no longer the job's own records nothing: another one does.
    """
    runtime = claim.runtime
    with runtime.database.transaction() as session:
        _note_on_connection(claim, session, ending)
        sync = syncs.lock(session, claim.sync.id)
        job = claim.own(session)
        if job is None:
            return []
        if ending.end in (End.DONE, End.FAILED) and sync is not None and sync.generation != job.generation:
            # It tells of the sync as it was, which may have written somewhere else.
            ending = Ending.stopped(SyncChanged().message)
        _tally(job, outcome)
        job.message = shortened(ending.message, limit=MAX_JOB_MESSAGE)
        status = _settle(runtime, session, job, sync, ending)
        session.flush()
        if sync is not None:
            _record(claim, session, sync, status, ending)
        woken = jobs.claimable_after(
            session,
            connection_id=claim.connection.id,
            destination_key=claim.sync.destination_key,
            now=runtime.clock(),
            limit=MAX_WOKEN,
        )
    _tell(claim, outcome, ending)
    return [row.id for row in woken]


def _settle(runtime: Runtime, session: Session, job: Job, sync: Sync | None, ending: Ending) -> JobStatus:
    """Give the job its next status, and return it."""
    now = runtime.clock()
    match ending.end:
        case End.DONE:
            job.status = JobStatus.SUCCEEDED
        case End.FAILED:
            job.status = JobStatus.FAILED
        case End.STOPPED:
            job.status = JobStatus.CANCELLED
        case End.AGAIN:
            job.attempt += 1
            return _queue_again(session, job, sync, ending, now)
    job.lease_expires_at, job.finished_at = None, now
    return JobStatus(job.status)


def _queue_again(session: Session, job: Job, sync: Sync | None, ending: Ending, now: datetime) -> JobStatus:
    newer = jobs.waiting_job(session, sync.id, job.kind) if sync else None
    # Not before that query: it writes out what was set so far, and a running job has to have a lease.
    job.lease_expires_at = None
    if newer is None and sync is not None:
        job.status, job.run_after = JobStatus.QUEUED, now + ending.wait
        return JobStatus.QUEUED
    if newer is not None:
        jobs.hand_over(job, newer)
        newer.run_after = max(newer.run_after, now + ending.wait)
    job.status, job.finished_at = JobStatus.CANCELLED, now
    return JobStatus.QUEUED


def _record(claim: Claim, session: Session, sync: Sync, status: JobStatus, ending: Ending) -> None:
    """Bring the state that the sync shows up to date."""
    if ending.end is End.STOPPED:
        _record_stop(claim, session, sync, ending)
        return
    waiting = status is JobStatus.QUEUED or jobs.waiting_job(session, sync.id, claim.kind) is not None
    shown = Status.PENDING if waiting else Status(status.value)
    set_status(sync, claim.kind, shown)
    set_message(sync, claim.kind, ending.message)
    now = claim.runtime.clock() if ending.end is End.DONE else None
    match claim.kind:
        case Kind.SYNC:
            sync.last_sync_job_id, sync.last_synced_at = claim.job_id, now or sync.last_synced_at
        case Kind.IMPORT:
            sync.last_import_job_id, sync.last_imported_at = claim.job_id, now or sync.last_imported_at
        case Kind.REMOVE:
            sync.last_remove_job_id, sync.last_removed_at = claim.job_id, now or sync.last_removed_at
    if now is not None and claim.job_options.get("deleteSync"):
        # Whatever waits for it would wait for ever.
        jobs.cancel_waiting(session, sync.id, reason="The sync was deleted.", now=now)
        session.delete(sync)


def _record_stop(claim: Claim, session: Session, sync: Sync, ending: Ending) -> None:
    """The sync was changed under this run: whatever it asks for now is queued, or it waits for a person."""
    if jobs.has_run(session, sync, claim.kind):
        # What it asks for now has been seen to already, and that is what it shows.
        return
    if jobs.waiting_job(session, sync.id, claim.kind) is not None:
        set_status(sync, claim.kind, Status.PENDING)
        return
    if claim.trigger is Trigger.MANUAL and not sync.is_paused and not _is_going(session, sync):
        # The person's wish outlives the change.
        request = Request(claim.kind, claim.trigger, options=claim.job_options)
        enqueue(session, sync, request, now=claim.runtime.clock())
        return
    set_status(sync, claim.kind, Status.FAILED)
    set_message(sync, claim.kind, ending.message)


def _is_going(session: Session, sync: Sync) -> bool:
    """Is the sync to be deleted once its keys are removed?"""
    removal = jobs.waiting_job(session, sync.id, Kind.REMOVE)
    return removal is not None and "deleteSync" in removal.options


def _note_on_connection(claim: Claim, session: Session, ending: Ending) -> None:
    """Remember what the provider said about these credentials and their budget."""
    now = claim.runtime.clock()
    works = ending.end is End.DONE and not claim.connection.is_known_to_work(now)
    if not works and not isinstance(ending.error, CredentialsRejected | RateLimited):
        return
    connection = connections.lock(session, claim.connection.id)
    if connection is None or connection.version != claim.connection.version:
        return
    match ending.error:
        case RateLimited():
            connection.blocked_until = now + ending.wait
        case CredentialsRejected(message=message):
            connection.note(message, now)
        case _:
            connection.note(None, now)


def _tally(job: Job, outcome: Outcome) -> None:
    """Add what this attempt did to what earlier ones did."""
    job.created_count += len(outcome.created)
    job.updated_count += len(outcome.updated)
    job.deleted_count += len(outcome.deleted)
    job.unchanged_count = outcome.unchanged
    job.details = outcome.details()


def _tell(claim: Claim, outcome: Outcome, ending: Ending) -> None:
    log.info(
        "job.finished",
        kind=claim.kind.value,
        end=ending.end.name.lower(),
        creates=len(outcome.created),
        updates=len(outcome.updated),
        deletes=len(outcome.deleted),
        unchanged=outcome.unchanged,
        refused=len(outcome.refused) + len(outcome.missing),
        message=ending.message,
    )
