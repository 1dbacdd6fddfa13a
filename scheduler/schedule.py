"""The schedule: which task, how often, why.

It is short and never changes at run time. When a single sync is due stands in the database and is claimed
there, so a second beat does no harm.
"""

from datetime import timedelta
from typing import Any

from shared.broker import ROUTES, Task
from shared.settings import Settings


def schedule(settings: Settings) -> dict[str, dict[str, Any]]:
    """Return the schedule in Celery's form."""
    often = timedelta(seconds=settings.sweep_seconds)
    return {
        # Lost messages, due retries, dead workers: the longest that any of them goes unnoticed.
        "sweep": _entry(Task.SWEEP, often),
        # Looks for due syncs; how often each is due is its own affair.
        "reconcile": _entry(Task.RECONCILE, max(often, timedelta(seconds=5))),
        # History is kept in days, so an hour more or less is nothing.
        "prune": _entry(Task.PRUNE, timedelta(hours=1)),
    }


def _entry(task: Task, every: timedelta) -> dict[str, Any]:
    # A message that waited longer than its interval has a successor that does the same.
    options = {"queue": ROUTES[task].value, "expires": every.total_seconds()}
    return {"task": task.value, "schedule": every, "options": options}
