"""The audit log: who did what, when and from where. It holds names and ids, never values."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, String, delete, or_, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from shared.db.base import Base, Identified, count_of


class AuditEntry(Identified, Base):
    """One request that meant to change something, and how it was answered.

    It outlives what it tells about, so it refers to nothing by a foreign key.
    """

    __tablename__ = "audit_entries"
    actor_kind: Mapped[str] = mapped_column(String(16))
    actor_id: Mapped[str | None] = mapped_column(String(64))
    actor_name: Mapped[str | None] = mapped_column(String(255))
    address: Mapped[str | None] = mapped_column(String(64))
    action: Mapped[str] = mapped_column(String(64))
    project_id: Mapped[UUID | None]
    status: Mapped[int]
    objects: Mapped[dict[str, Any]]

    __table_args__ = (
        Index("ix_audit_entries_created_at", "created_at"),
        Index("ix_audit_entries_project", "project_id", "created_at"),
        Index("ix_audit_entries_actor_id", "actor_id", "created_at"),
        Index("ix_audit_entries_actor_name", "actor_name", "created_at"),
    )


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries to show: those that match every part that is given. ``actor`` is a name or an id."""

    project_id: UUID | None = None
    actor: str | None = None
    action: str | None = None
    since: datetime | None = None


def list_entries(session: Session, which: AuditFilter, *, limit: int, offset: int) -> Sequence[AuditEntry]:
    """Return the entries, newest first."""
    query = select(AuditEntry)
    if which.project_id is not None:
        query = query.where(AuditEntry.project_id == which.project_id)
    if which.actor is not None:
        query = query.where(or_(AuditEntry.actor_id == which.actor, AuditEntry.actor_name == which.actor))
    if which.action is not None:
        query = query.where(AuditEntry.action == which.action)
    if which.since is not None:
        query = query.where(AuditEntry.created_at >= which.since)
    newest_first = query.order_by(AuditEntry.created_at.desc(), AuditEntry.id)
    return session.scalars(newest_first.limit(limit).offset(offset)).all()


def delete_before(session: Session, moment: datetime) -> int:
    """Remove the entries from before *moment*, and return how many."""
    return count_of(session, delete(AuditEntry).where(AuditEntry.created_at < moment))
