"""Change events: "these secrets of this folder changed", written in the same transaction as the edit."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, String, delete, func, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from shared.db.base import Base, Identified, count_of


class ChangeEvent(Identified, Base):
    """An edit that some syncs may have to follow. It names the place, which may be gone by now.

    ``dispatched_at`` is set when the jobs it asks for are queued.
    """

    __tablename__ = "change_events"
    project_id: Mapped[UUID]
    environment: Mapped[str] = mapped_column(String(64))
    path: Mapped[str] = mapped_column(String(2048))
    keys: Mapped[list[str]]
    dispatched_at: Mapped[datetime | None]

    __table_args__ = (
        Index(
            "ix_change_events_open",
            "created_at",
            postgresql_where=text("dispatched_at IS NULL"),
            sqlite_where=text("dispatched_at IS NULL"),
        ),
        Index("ix_change_events_dispatched_at", "dispatched_at"),
    )


def record(
    session: Session, project_id: UUID, environment: str, path: str, keys: Sequence[str], *, now: datetime
) -> None:
    """Note that *keys* of a folder changed. Goes with the caller's transaction, or not at all."""
    session.add(
        ChangeEvent(
            project_id=project_id, environment=environment, path=path, keys=list(keys), created_at=now
        )
    )


def projects_with_open(session: Session) -> Sequence[UUID]:
    """Return the projects that have open events, first those that have waited longest."""
    return session.scalars(
        select(ChangeEvent.project_id)
        .where(ChangeEvent.dispatched_at.is_(None))
        .group_by(ChangeEvent.project_id)
        .order_by(func.min(ChangeEvent.created_at), ChangeEvent.project_id)
    ).all()


def claim_open(session: Session, project_id: UUID, *, limit: int) -> Sequence[ChangeEvent]:
    """Return the project's oldest open events, locked against every other dispatcher from now on."""
    return session.scalars(
        select(ChangeEvent)
        .where(ChangeEvent.project_id == project_id, ChangeEvent.dispatched_at.is_(None))
        .order_by(ChangeEvent.created_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()


def delete_dispatched_before(session: Session, moment: datetime) -> int:
    """Remove events that were dispatched before *moment*, and return how many."""
    old = select(ChangeEvent.id).where(ChangeEvent.dispatched_at < moment).with_for_update(skip_locked=True)
    return count_of(session, delete(ChangeEvent).where(ChangeEvent.id.in_(old)))


def has_open(session: Session, project_id: UUID | None = None) -> bool:
    """Is any event, of that project if one is named, still to be dispatched?"""
    found = select(ChangeEvent.id).where(ChangeEvent.dispatched_at.is_(None)).limit(1)
    if project_id is not None:
        found = found.where(ChangeEvent.project_id == project_id)
    return session.scalar(found) is not None
