"""Following a job until it is finished."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from cli.client import Client
from cli.render import Screen, ago
from shared.errors import KeytideError

Sync = Mapping[str, Any]
Job = Mapping[str, Any]

_FINISHED = frozenset({"succeeded", "failed", "cancelled"})
#: Seconds between two looks: quick at first, as most jobs are.
_FIRST_LOOK, _LAST_LOOK = 0.2, 2.0


def sync_path(sync: Sync) -> str:
    """Return where a sync lies in the API."""
    return f"/api/v1/secret-syncs/{sync['destination']}/{sync['id']}"


def follow(
    client: Client, screen: Screen, sync: Sync, job_id: str, *, sleep: Callable[[float], None] = time.sleep
) -> Job:
    """Return the job once it is finished, showing meanwhile what becomes of it."""
    wait = _FIRST_LOOK
    with screen.working(f"{sync['name']}: waiting") as now:
        while True:
            job: Job = client.get(f"{sync_path(sync)}/jobs/{job_id}")["job"]
            if job["status"] in _FINISHED:
                return job
            now(f"{sync['name']}: {_described(job)}")
            sleep(wait)
            wait = min(wait * 1.3, _LAST_LOOK)


def wait_for_edits(client: Client, screen: Screen, sync: Sync) -> None:
    """Return once every edit made before this call is carried by a job of each sync that shows it."""
    with screen.working(f"{sync['name']}: waiting for the last edit to be passed on"):
        while client.get(f"{sync_path(sync)}/jobs", limit=1)["hasOpenChanges"]:
            time.sleep(_FIRST_LOOK)


def tell(screen: Screen, sync: Sync, job: Job) -> None:
    """Say how a job ended. Raises ``KeytideError`` with what to do unless it succeeded."""
    if job["status"] == "succeeded":
        for warning in job["details"].get("warnings", ()):
            screen.warn(warning)
        screen.done(f"{sync['name']} succeeded: {counted(job)}.", data=job)
        return
    if screen.as_json:
        screen.data(job)
    message = str(job["message"] or "It was stopped.")
    if "approvePlan" in message:
        message += f" Here: 'keytide syncs approve {sync['name']}'."
    raise KeytideError(f"{sync['name']} {job['status']}. {message}")


def counted(job: Job) -> str:
    """Return what a job did, in words."""
    counts = job["counts"]
    done = [f"{counts[verb]} {verb}" for verb in ("created", "updated", "deleted") if counts[verb]]
    imported = len(job["details"].get("imported", ()))
    if imported:
        done.append(f"{imported} imported")
    return ", ".join(done) or f"nothing to change, {counts['unchanged']} already right"


def _described(job: Job) -> str:
    if job["status"] == "running":
        return "running"
    if job["attempt"]:
        return f"attempt {job['attempt']} failed, next {ago(job['runAfter'])}. {job['message'] or ''}"
    return "waiting for its turn"
