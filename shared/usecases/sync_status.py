"""The state that a sync shows: one status and one message for each kind of job."""

from shared.db.jobs import Kind
from shared.db.syncs import Status, Sync

#: Longest message on a sync, as on the original's wire.
MAX_MESSAGE = 1024


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
