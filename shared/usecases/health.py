"""Is this installation fit to work, and how much work waits."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import func, select

from shared.crypto import CryptoError
from shared.db import vault
from shared.db.change_events import ChangeEvent
from shared.db.jobs import Job, JobStatus
from shared.runtime import Runtime


@dataclass(frozen=True, slots=True)
class Load:
    """How much work there is. ``oldest_event_seconds`` is 0 when every edit was passed on."""

    jobs: Mapping[JobStatus, int]
    due_jobs: int
    open_events: int
    oldest_event_seconds: float


def check(runtime: Runtime) -> dict[str, bool]:
    """Return of each thing that work depends on whether it is there."""
    database = runtime.database.is_reachable()
    return {
        "database": database,
        "broker": runtime.broker.is_reachable(),
        "masterKey": database and _opens_a_data_key(runtime),
    }


def measure(runtime: Runtime) -> Load:
    """Count what waits and what was done; jobs that were pruned are no longer counted."""
    now = runtime.clock()
    with runtime.database.snapshot() as session:
        counted = session.execute(select(Job.status, func.count()).group_by(Job.status))
        jobs = {JobStatus(status): count for status, count in counted}
        due = select(func.count()).where(Job.status == JobStatus.QUEUED, Job.run_after <= now)
        waiting = select(func.count(), func.min(ChangeEvent.created_at))
        count, oldest = session.execute(waiting.where(ChangeEvent.dispatched_at.is_(None))).one()
        return Load(
            jobs={status: jobs.get(status, 0) for status in JobStatus},
            due_jobs=session.scalar(due) or 0,
            open_events=count,
            oldest_event_seconds=max(0.0, (now - oldest).total_seconds()) if oldest else 0.0,
        )


def _opens_a_data_key(runtime: Runtime) -> bool:
    with runtime.database.snapshot() as session:
        projects = vault.list_projects(session, limit=1, offset=0)
    try:
        for project in projects:
            runtime.data_key(project.data_key)
    except CryptoError:
        return False
    return True
