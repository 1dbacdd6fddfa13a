"""The state that a sync shows: one status and one message for each kind of job."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from shared.db import jobs
from shared.db.jobs import Kind, Request
from shared.db.syncs import Status, Sync

#: Longest message on a sync, as on the original's wire.
MAX_MESSAGE = 1024


def enqueue(session: Session, sync: Sync, request: Request, *, now: datetime) -> UUID:
    """Make sure that a job waits for *sync*, that the sync shows it as pending, and return the job's id.

    A reconcile is queued without this: until it finds something, nothing is pending.
    """
    set_status(sync, request.kind, Status.PENDING)
    return jobs.enqueue(session, sync, request, now=now)


def set_status(sync: Sync, kind: str, status: Status | None) -> None:
    """Set the status that belongs to jobs of that kind."""
    match Kind(kind):
        case Kind.SYNC:
            sync.sync_status = status
        case Kind.IMPORT:
            sync.import_status = status
        case Kind.REMOVE:
            sync.remove_status = status


def set_message(sync: Sync, kind: str, message: str | None) -> None:
    """Set the message that belongs to jobs of that kind."""
    match Kind(kind):
        case Kind.SYNC:
            sync.last_sync_message = shortened(message)
        case Kind.IMPORT:
            sync.last_import_message = shortened(message)
        case Kind.REMOVE:
            sync.last_remove_message = shortened(message)


def shortened(message: str | None, *, limit: int = MAX_MESSAGE) -> str | None:
    """Return *message*, cut to *limit* characters: by default what the wire takes."""
    if message is None or len(message) <= limit:
        return message
    return message[: limit - 1] + "…"
