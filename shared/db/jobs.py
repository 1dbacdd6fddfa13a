"""Jobs: one execution for one sync each. The row is the truth; a message about it is only a hint.

Two partial unique indexes carry the weight. One queued job per sync and kind: a burst of edits is one run.
One running job per destination: nobody else writes there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    String,
    Text,
    case,
    delete,
    func,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, Session, aliased, mapped_column

from shared.backoff import MAX_ATTEMPTS
from shared.db.base import Base, Identified, count_of, one_of
from shared.db.syncs import Sync


class Kind(StrEnum):
    """What a job does."""

    SYNC = "sync"
    IMPORT = "import"
    REMOVE = "remove"


class Trigger(StrEnum):
    """What asked for a job, the most urgent first."""

    MANUAL = "manual"
    CREATE = "create"
    UPDATE = "update"
    CHANGE = "change"
    RECONCILE = "reconcile"


class JobStatus(StrEnum):
    """The state of a job. A job that waits for its next attempt is queued."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Job(Identified, Base):
    """An execution. Messages carry its id, and the sync shows that of the last one: ``lastSyncJobId``.

    ``generation`` is the sync's at the claim. ``fence`` rises with every claim; a run whose fence is not
    the row's may write no more. ``attempt`` counts failed attempts. ``changed_at`` is the commit of the
    oldest edit that the job carries. ``details`` holds key names and reasons, never values.
    """

    __tablename__ = "jobs"
    sync_id: Mapped[UUID | None] = mapped_column(ForeignKey("syncs.id", ondelete="SET NULL"))
    connection_id: Mapped[UUID]
    destination_key: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(16))
    trigger: Mapped[str] = mapped_column(String(16))
    status: Mapped[str] = mapped_column(String(16))
    options: Mapped[dict[str, Any]]
    run_after: Mapped[datetime]
    attempt: Mapped[int] = mapped_column(default=0)
    generation: Mapped[int] = mapped_column(default=0)
    fence: Mapped[int] = mapped_column(default=0)
    lease_expires_at: Mapped[datetime | None]
    worker: Mapped[str | None] = mapped_column(String(255))
    changed_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    message: Mapped[str | None] = mapped_column(Text)
    created_count: Mapped[int] = mapped_column(default=0)
    updated_count: Mapped[int] = mapped_column(default=0)
    deleted_count: Mapped[int] = mapped_column(default=0)
    unchanged_count: Mapped[int] = mapped_column(default=0)
    details: Mapped[dict[str, Any]]

    __table_args__ = (
        Index(
            "uq_jobs_one_queued",
            "sync_id",
            "kind",
            unique=True,
            postgresql_where=text("status = 'queued'"),
            sqlite_where=text("status = 'queued'"),
        ),
        Index(
            "uq_jobs_one_running",
            "destination_key",
            unique=True,
            postgresql_where=text("status = 'running'"),
            sqlite_where=text("status = 'running'"),
        ),
        Index("ix_jobs_due", "status", "run_after"),
        Index("ix_jobs_history", "sync_id", "created_at"),
        Index("ix_jobs_connection", "connection_id", "status"),
        Index("ix_jobs_finished_at", "finished_at"),
        CheckConstraint(one_of("status", JobStatus), name="status_is_known"),
        CheckConstraint(one_of("kind", Kind), name="kind_is_known"),
        CheckConstraint("status <> 'running' OR lease_expires_at IS NOT NULL", name="running_has_a_lease"),
    )

    @property
    def latency_ms(self) -> int | None:
        """How long the oldest edit took to be confirmed at the destination, in milliseconds."""
        if self.status != JobStatus.SUCCEEDED or self.changed_at is None or self.finished_at is None:
            return None
        return round((self.finished_at - self.changed_at).total_seconds() * 1000)

    def has_expired(self, now: datetime) -> bool:
        """Has its worker given no sign of life for the length of a lease?"""
        expires_at = self.lease_expires_at
        return self.status == JobStatus.RUNNING and expires_at is not None and expires_at < now


@dataclass(frozen=True, slots=True)
class Request:
    """A wish for a job, before it is one."""

    kind: Kind
    trigger: Trigger
    changed_at: datetime | None = None
    options: dict[str, Any] = field(default_factory=dict)


# --- queueing ------------------------------------------------------------------------------------------


def enqueue(session: Session, sync: Sync, request: Request, *, now: datetime) -> UUID:
    """Make sure that a job of that kind waits for *sync*, and return its id.

    A waiting one takes the wish over: it reads the source only when it runs, so it carries later edits too.
    """
    while True:
        waiting = _lock_waiting(session, sync.id, request.kind)
        if waiting is not None:
            _merge(waiting, sync, request, now)
            return waiting.id
        inserted = _insert_unless_waiting(session, sync, request, now)
        if inserted is not None:
            return inserted
        # Between the two somebody queued one: look again.


def _lock_waiting(session: Session, sync_id: UUID, kind: Kind) -> Job | None:
    return session.scalar(
        select(Job)
        .where(Job.sync_id == sync_id, Job.kind == kind, Job.status == JobStatus.QUEUED)
        .with_for_update()
        .execution_options(populate_existing=True)
    )


def _merge(waiting: Job, sync: Sync, request: Request, now: datetime) -> None:
    waiting.destination_key, waiting.connection_id = sync.destination_key, sync.connection_id
    waiting.options = waiting.options | request.options
    if request.changed_at is not None:
        waiting.changed_at = min(waiting.changed_at or request.changed_at, request.changed_at)
    if urgency(request.trigger) < urgency(waiting.trigger):
        waiting.trigger = request.trigger
    if request.trigger != Trigger.RECONCILE:
        # Something new is to be done: it gets attempts of its own, but not the short waits of a first one.
        waiting.attempt = min(waiting.attempt, MAX_ATTEMPTS // 2)
    if request.trigger in (Trigger.MANUAL, Trigger.UPDATE):
        # A person did something about it: try now, from the beginning.
        waiting.run_after, waiting.attempt = now, 0


def hand_over(job: Job, successor: Job) -> None:
    """Let *successor*, which waits already, do what *job* did not get done."""
    if urgency(job.trigger) < urgency(successor.trigger):
        # Nobody asked for anything new: what failed so often does not begin again.
        successor.trigger, successor.attempt = job.trigger, max(successor.attempt, job.attempt)
    successor.options = job.options | successor.options
    if job.changed_at is not None:
        successor.changed_at = min(successor.changed_at or job.changed_at, job.changed_at)


def _insert_unless_waiting(session: Session, sync: Sync, request: Request, now: datetime) -> UUID | None:
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    statement = (
        dialect.insert(Job)
        .values(
            id=uuid4(),
            created_at=now,
            sync_id=sync.id,
            connection_id=sync.connection_id,
            destination_key=sync.destination_key,
            kind=request.kind,
            trigger=request.trigger,
            status=JobStatus.QUEUED,
            options=request.options,
            run_after=now,
            changed_at=request.changed_at,
            details={},
        )
        .on_conflict_do_nothing(index_elements=["sync_id", "kind"], index_where=text("status = 'queued'"))
        .returning(Job.id)
    )
    return session.execute(statement).scalar_one_or_none()


def urgency(trigger: str) -> int:
    """Return the rank of *trigger*: lower goes first."""
    return list(Trigger).index(Trigger(trigger))


def cancel_waiting(
    session: Session, sync_id: UUID, *, reason: str, now: datetime, also_manual: bool = True
) -> Sequence[str]:
    """End the jobs of a sync that have not started, and return their kinds."""
    ended = (
        update(Job)
        .where(Job.sync_id == sync_id, Job.status == JobStatus.QUEUED)
        .values(status=JobStatus.CANCELLED, message=reason, finished_at=now)
        .returning(Job.kind)
    )
    if not also_manual:
        ended = ended.where(Job.trigger != Trigger.MANUAL)
    return session.scalars(ended).all()


# --- running -------------------------------------------------------------------------------------------


def lock(session: Session, job_id: UUID) -> Job | None:
    """Return the job as it is now, locked until the transaction ends."""
    return session.scalar(
        select(Job).where(Job.id == job_id).with_for_update().execution_options(populate_existing=True)
    )


@dataclass(frozen=True, slots=True)
class Concerned:
    """Whose job it is."""

    sync_id: UUID
    connection_id: UUID


def concerns(session: Session, job_id: UUID, *, due_at: datetime | None = None) -> Concerned | None:
    """Return the sync of a job and the connection that sync uses now; None once the sync is gone.

    With *due_at* also None unless the job waits and its turn has come by then.
    """
    query = select(Sync.id, Sync.connection_id).join(Job, Job.sync_id == Sync.id).where(Job.id == job_id)
    if due_at is not None:
        query = query.where(Job.status == JobStatus.QUEUED, Job.run_after <= due_at)
    row = session.execute(query).one_or_none()
    return Concerned(*row) if row else None


def is_destination_busy(session: Session, destination_key: str) -> bool:
    """Does a job run for that destination?"""
    return (
        session.scalar(
            select(Job.id)
            .where(Job.destination_key == destination_key, Job.status == JobStatus.RUNNING)
            .limit(1)
        )
        is not None
    )


def count_running(session: Session, connection_id: UUID) -> int:
    """Return how many jobs run with that connection."""
    query = select(func.count()).where(Job.connection_id == connection_id, Job.status == JobStatus.RUNNING)
    return session.scalar(query) or 0


def count_retrying(session: Session) -> int:
    """Return how many running jobs failed before."""
    query = select(func.count()).where(Job.status == JobStatus.RUNNING, Job.attempt > 0)
    return session.scalar(query) or 0


def claimable_after(
    session: Session, *, connection_id: UUID, destination_key: str, now: datetime, limit: int
) -> Sequence[Job]:
    """Return waiting jobs that the end of another one may have made room for, the most urgent first."""
    return session.scalars(
        _due(now)
        .where(or_(Job.connection_id == connection_id, Job.destination_key == destination_key))
        .limit(limit)
    ).all()


def due(session: Session, now: datetime, *, per_connection: int, limit: int) -> Sequence[Job]:
    """Return waiting jobs whose time has come and that nothing is in the way of, the most urgent first."""
    # What only waits for its own kind would fill the list, and others would never be on it.
    running = aliased(Job)
    others = select(func.count()).select_from(running).where(running.status == JobStatus.RUNNING)
    here = others.where(running.destination_key == Job.destination_key).correlate(Job).scalar_subquery()
    with_it = others.where(running.connection_id == Job.connection_id).correlate(Job).scalar_subquery()
    return session.scalars(_due(now).where(here == 0, with_it < per_connection).limit(limit)).all()


def _due(now: datetime) -> Any:
    rank = case({trigger.value: place for place, trigger in enumerate(Trigger)}, value=Job.trigger)
    return (
        select(Job).where(Job.status == JobStatus.QUEUED, Job.run_after <= now).order_by(rank, Job.run_after)
    )


def expired(session: Session, now: datetime, *, limit: int) -> Sequence[UUID]:
    """Return the running jobs whose worker gave no sign of life."""
    return session.scalars(
        select(Job.id)
        .where(Job.status == JobStatus.RUNNING, Job.lease_expires_at < now)
        .order_by(Job.lease_expires_at)
        .limit(limit)
    ).all()


def expire_leases_of(session: Session, worker: str, now: datetime) -> int:
    """End the leases that *worker* held in an earlier life, and return how many."""
    held = update(Job).where(Job.status == JobStatus.RUNNING, Job.worker == worker)
    return count_of(session, held.values(lease_expires_at=now - timedelta(seconds=1)))


def has_run(session: Session, sync: Sync, kind: str) -> bool:
    """Has a job of that kind begun for the sync as it is now?"""
    as_it_is = (Job.sync_id == sync.id, Job.kind == kind, Job.generation == sync.generation)
    return session.scalar(select(Job.id).where(*as_it_is, Job.status.in_(_BEGUN)).limit(1)) is not None


def waiting_job(session: Session, sync_id: UUID, kind: str) -> Job | None:
    """Return the job of that kind that waits for the sync, locked until the transaction ends."""
    return _lock_waiting(session, sync_id, Kind(kind))


# --- history -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs to show: those that match every part that is given."""

    kind: str | None = None
    status: str | None = None
    trigger: str | None = None


EVERY_JOB = JobFilter()


def list_jobs(
    session: Session, sync_id: UUID, which: JobFilter = EVERY_JOB, *, limit: int, offset: int
) -> Sequence[Job]:
    """Return the jobs of a sync, newest first."""
    query = select(Job).where(Job.sync_id == sync_id)
    for column, value in ((Job.kind, which.kind), (Job.status, which.status), (Job.trigger, which.trigger)):
        if value is not None:
            query = query.where(column == value)
    return session.scalars(query.order_by(Job.created_at.desc(), Job.id).limit(limit).offset(offset)).all()


_ENDED = (JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED)
_BEGUN = (JobStatus.RUNNING, JobStatus.SUCCEEDED, JobStatus.FAILED)


def delete_finished_before(session: Session, moment: datetime) -> int:
    """Remove jobs that ended before *moment*, and return how many."""
    # Who deletes a sync holds some of these rows; waiting for each other would be a deadlock.
    old = (
        select(Job.id)
        .where(
            Job.status.in_(_ENDED),
            Job.finished_at < moment,
        )
        .with_for_update(skip_locked=True)
    )
    return count_of(session, delete(Job).where(Job.id.in_(old)))


def delete_beyond(session: Session, keep: int) -> int:
    """Remove all but the newest *keep* ended jobs of each sync, and return how many."""
    crowded = select(Job.sync_id).where(Job.sync_id.is_not(None)).group_by(Job.sync_id)
    newest_first = (Job.created_at.desc(), Job.id)
    ranked = (
        select(Job.id, func.row_number().over(partition_by=Job.sync_id, order_by=newest_first).label("place"))
        .where(Job.sync_id.in_(crowded.having(func.count() > keep)), Job.status.in_(_ENDED))
        .subquery()
    )
    excess = select(ranked.c.id).where(ranked.c.place > keep)
    old = select(Job.id).where(Job.id.in_(excess)).with_for_update(skip_locked=True)
    return count_of(session, delete(Job).where(Job.id.in_(old)))
