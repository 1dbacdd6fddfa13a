"""Pointing a sync elsewhere, and what becomes of the destination it leaves.

What was written there stays, unless a person asks for its removal. Then the old destination becomes a sync
of its own that is deleted together with what it wrote: it is visible, tried again and reported like any
other removal, and gone when that succeeded.
"""

from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID, uuid4

from sqlalchemy.orm import Session

from shared.db import jobs, ledger
from shared.db.jobs import Kind, Request, Trigger
from shared.db.syncs import Status, Sync
from shared.runtime import Runtime

#: Longest part of a sync's name that stands in the name and the description of its old destination.
_NAME = 200


@dataclass(frozen=True, slots=True)
class Left:
    """The destination that a sync is about to leave."""

    key: str
    config: dict[str, Any]
    connection_id: UUID

    @classmethod
    def of(cls, sync: Sync) -> Self:
        return cls(sync.destination_key, sync.destination_config, sync.connection_id)


def remove_from(runtime: Runtime, session: Session, sync: Sync, left: Left) -> UUID | None:
    """Queue the removal of what *sync* wrote at the destination it *left*, and return the job.

    None if it wrote nothing there.
    """
    if left.key == sync.destination_key or not ledger.read(session, sync.id, left.key):
        return None
    now = runtime.clock()
    old = Sync(
        id=uuid4(),
        project_id=sync.project_id,
        name=f"{sync.name[:_NAME]}-old-{uuid4().hex[:8]}",
        description=f"What the sync '{sync.name[:_NAME]}' wrote at its former destination.",
        connection_id=left.connection_id,
        environment_id=sync.environment_id,
        folder_id=sync.folder_id,
        destination=sync.destination,
        destination_config=left.config,
        destination_key=left.key,
        sync_options=sync.sync_options,
        is_recursive=sync.is_recursive,
        is_auto_sync_enabled=False,
        is_paused=False,
        version=1,
        generation=1,
        remove_status=Status.PENDING,
        created_at=now,
        updated_at=now,
    )
    session.add(old)
    session.flush()
    ledger.hand_over(session, sync.id, old.id, left.key)
    request = Request(Kind.REMOVE, Trigger.MANUAL, options={"deleteSync": True})
    return jobs.enqueue(session, old, request, now=now)
