"""Who did what: writing it down, and reading it again."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from shared.db import audit
from shared.db.audit import AuditEntry, AuditFilter
from shared.runtime import Runtime


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it. ``kind`` is token, api-key, identity, github, or nobody where that is not known."""

    kind: str
    id: str | None = None
    name: str | None = None


NOBODY = Actor("nobody")


@dataclass(frozen=True, slots=True)
class Deed:
    """What was asked for and how it was answered. ``objects`` are names and ids of what it was about."""

    actor: Actor
    address: str | None
    action: str
    status: int
    objects: Mapping[str, Any]
    projects: Collection[UUID] = ()


def record(runtime: Runtime, deed: Deed) -> None:
    """Write *deed* down: once for each project that it is about, so that each one's administrator sees it."""
    now = runtime.clock()
    with runtime.database.transaction() as session:
        for project_id in deed.projects or (None,):
            session.add(
                AuditEntry(
                    id=uuid4(),
                    actor_kind=deed.actor.kind,
                    actor_id=deed.actor.id,
                    actor_name=deed.actor.name,
                    address=deed.address,
                    action=deed.action,
                    project_id=project_id,
                    status=deed.status,
                    objects=dict(deed.objects),
                    created_at=now,
                )
            )


def list_deeds(runtime: Runtime, which: AuditFilter, *, limit: int, offset: int) -> Sequence[AuditEntry]:
    """Return what was done, newest first."""
    with runtime.database.snapshot() as session:
        return audit.list_entries(session, which, limit=limit, offset=offset)
