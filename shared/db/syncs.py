"""Syncs: from a source (environment and folder) to a destination, and the state of each."""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ColumnElement,
    ColumnExpressionArgument,
    ForeignKey,
    Index,
    Select,
    String,
    UniqueConstraint,
    select,
    text,
    tuple_,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from shared.db.base import Base, Identified, one_of, slices
from shared.db.connections import Connection
from shared.db.vault import Environment, Folder
from shared.sync_options import SyncOptions


class Status(StrEnum):
    """The state of a sync, an import or a removal, as the wire shows it."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class Sync(Identified, Base):
    """A sync. ``destination`` is the provider's name, ``destination_key`` the same for the same place.

    ``generation`` rises with every change that a running job must not outlive. ``initialized_key`` is the
    destination whose initial behaviour was carried out: another destination starts over. ``spared_keys``
    were there first and could not be imported: each with the fingerprint of what the source had for it
    then, None for nothing.
    """

    __tablename__ = "syncs"
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(256))
    description: Mapped[str | None] = mapped_column(String(256))
    connection_id: Mapped[UUID] = mapped_column(ForeignKey("connections.id", ondelete="RESTRICT"), index=True)
    environment_id: Mapped[UUID | None] = mapped_column(ForeignKey("environments.id", ondelete="SET NULL"))
    folder_id: Mapped[UUID | None] = mapped_column(ForeignKey("folders.id", ondelete="SET NULL"), index=True)
    destination: Mapped[str] = mapped_column(String(64))
    destination_config: Mapped[dict[str, Any]]
    destination_key: Mapped[str] = mapped_column(String(64), index=True)
    sync_options: Mapped[dict[str, Any]]
    is_recursive: Mapped[bool] = mapped_column(default=False)
    is_auto_sync_enabled: Mapped[bool]
    is_paused: Mapped[bool] = mapped_column(default=False)
    version: Mapped[int] = mapped_column(default=1)
    generation: Mapped[int] = mapped_column(default=1)
    initialized_key: Mapped[str | None] = mapped_column(String(64))
    spared_keys: Mapped[dict[str, str | None]] = mapped_column(default=dict)
    # Something was written that running services have not been told about.
    redeploy_owed: Mapped[bool] = mapped_column(default=False)
    next_reconcile_at: Mapped[datetime | None] = mapped_column(index=True)
    updated_at: Mapped[datetime]

    sync_status: Mapped[str | None] = mapped_column(String(16))
    last_sync_job_id: Mapped[UUID | None]
    last_sync_message: Mapped[str | None] = mapped_column(String(1024))
    last_synced_at: Mapped[datetime | None]
    import_status: Mapped[str | None] = mapped_column(String(16))
    last_import_job_id: Mapped[UUID | None]
    last_import_message: Mapped[str | None] = mapped_column(String(1024))
    last_imported_at: Mapped[datetime | None]
    remove_status: Mapped[str | None] = mapped_column(String(16))
    last_remove_job_id: Mapped[UUID | None]
    last_remove_message: Mapped[str | None] = mapped_column(String(1024))
    last_removed_at: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("project_id", "name"),
        Index("ix_syncs_environment_id", "environment_id"),
        *(
            CheckConstraint(f"{column} IS NULL OR {one_of(column, Status)}", name=f"{column}_is_known")
            for column in ("sync_status", "import_status", "remove_status")
        ),
    )

    @property
    def options(self) -> SyncOptions:
        """What ``sync_options`` says, with the defaults for what it leaves out."""
        return SyncOptions.model_validate(self.sync_options)


def destination_key(provider: str, identity: str) -> str:
    """Return the short text under which a destination is known to the ledger and to running jobs."""
    return hashlib.sha256(f"{provider}:{identity}".encode()).hexdigest()


# --- queries -------------------------------------------------------------------------------------------


def list_syncs(session: Session, project_id: UUID, *, destination: str | None = None) -> Sequence[Sync]:
    """Return the syncs of a project, by name."""
    query = select(Sync).where(Sync.project_id == project_id)
    if destination is not None:
        query = query.where(Sync.destination == destination)
    return session.scalars(query.order_by(Sync.name)).all()


#: A sync with what it uses and reads. Environment and folder are None once they were deleted.
Joined = tuple[Sync, Connection, Environment | None, Folder | None]


def list_joined(
    session: Session,
    project_id: UUID,
    *,
    destination: str | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> Sequence[Joined]:
    """Return a project's syncs by name, each with its connection and its source, in one query."""
    query = (
        select(Sync, Connection, Environment, Folder)
        .join(Connection, Connection.id == Sync.connection_id)
        .outerjoin(Environment, Environment.id == Sync.environment_id)
        .outerjoin(Folder, Folder.id == Sync.folder_id)
        .where(Sync.project_id == project_id)
    )
    if destination is not None:
        query = query.where(Sync.destination == destination)
    rows = session.execute(query.order_by(Sync.name).limit(limit).offset(offset))
    return [(sync, connection, environment, folder) for sync, connection, environment, folder in rows]


def find_by_name(session: Session, project_id: UUID, name: str) -> Sync | None:
    """Return the project's sync with that name."""
    return session.scalar(select(Sync).where(Sync.project_id == project_id, Sync.name == name))


def lock(session: Session, sync_id: UUID) -> Sync | None:
    """Return the sync as it is now, locked until the transaction ends."""
    return session.scalar(
        select(Sync)
        .where(Sync.id == sync_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )


def auto_syncs_of(session: Session, project_id: UUID, places: Iterable[tuple[str, str]]) -> Sequence[Sync]:
    """Return the syncs that follow changes by themselves and whose source covers one of *places*, locked."""
    found = _covering(session, project_id, places)
    return _lock_all(session, found, Sync.is_auto_sync_enabled, ~Sync.is_paused)


def syncs_of(session: Session, project_id: UUID, places: Iterable[tuple[str, str]]) -> Sequence[Sync]:
    """Return the syncs whose source covers one of *places*."""
    found = sorted(_covering(session, project_id, places))
    queries = [select(Sync).where(Sync.id.in_(part)).order_by(Sync.id) for part in slices(found)]
    return [sync for query in queries for sync in session.scalars(query)]


def _covering(session: Session, project_id: UUID, places: Iterable[tuple[str, str]]) -> set[UUID]:
    shown = set(places)
    above = {(slug, str(parent)) for slug, path in shown for parent in PurePosixPath(path).parents}
    query = (
        select(Sync.id)
        .join(Folder, Folder.id == Sync.folder_id)
        .join(Environment, Environment.id == Folder.environment_id)
        .where(Environment.project_id == project_id)
    )
    asked = [query.where(_is_at(part)) for part in slices(sorted(shown))]
    asked += [query.where(Sync.is_recursive, _is_at(part)) for part in slices(sorted(above))]
    return {sync_id for each in asked for sync_id in session.scalars(each)}


def _is_at(places: Sequence[tuple[str, str]]) -> ColumnElement[bool]:
    return tuple_(Environment.slug, Folder.path).in_(places)


def syncs_from(session: Session, environment_id: UUID) -> Sequence[Sync]:
    """Return the syncs that read the environment, by name."""
    return session.scalars(
        select(Sync).where(Sync.environment_id == environment_id).order_by(Sync.name)
    ).all()


def syncs_at(session: Session, key: str) -> Sequence[Sync]:
    """Return every sync that writes to the destination *key*."""
    return session.scalars(select(Sync).where(Sync.destination_key == key).order_by(Sync.id)).all()


def syncs_to(session: Session, provider: str) -> Sequence[Sync]:
    """Return every sync that writes to that provider."""
    return session.scalars(select(Sync).where(Sync.destination == provider).order_by(Sync.id)).all()


def reserve(session: Session, key: str) -> None:
    """Let nobody else settle who writes to *key*, a destination or a provider, until the transaction ends."""
    # SQLite has one writer at a time anyway.
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": key})


def lock_of_project(session: Session, project_id: UUID) -> Sequence[Sync]:
    """Return every sync of the project, locked."""
    return session.scalars(_locking(select(Sync).where(Sync.project_id == project_id))).all()


def lock_using(session: Session, connection_id: UUID) -> Sequence[Sync]:
    """Return every sync that uses the connection, locked."""
    return session.scalars(_locking(select(Sync).where(Sync.connection_id == connection_id))).all()


def lock_reading(session: Session, folder_ids: Iterable[UUID]) -> Sequence[Sync]:
    """Return every sync whose source is one of these folders, locked."""
    found = {
        sync_id
        for part in slices(folder_ids)
        for sync_id in session.scalars(select(Sync.id).where(Sync.folder_id.in_(part)))
    }
    return _lock_all(session, found)


def active(
    session: Session,
    *,
    project_id: UUID | None = None,
    destination: str | None = None,
    connection_id: UUID | None = None,
    sync_id: UUID | None = None,
) -> Sequence[Sync]:
    """Return the syncs that follow changes by themselves and match every part that is given, locked."""
    wanted = {
        Sync.project_id: project_id,
        Sync.destination: destination,
        Sync.connection_id: connection_id,
        Sync.id: sync_id,
    }
    query = select(Sync).where(~Sync.is_paused, Sync.is_auto_sync_enabled)
    for column, value in wanted.items():
        if value is not None:
            query = query.where(column == value)
    return session.scalars(_locking(query)).all()


def _lock_all(
    session: Session, sync_ids: set[UUID], *conditions: ColumnExpressionArgument[bool]
) -> list[Sync]:
    # One slice after the other keeps the order: all of them belong to one project.
    queries = [select(Sync).where(Sync.id.in_(part), *conditions) for part in slices(sorted(sync_ids))]
    return [sync for query in queries for sync in session.scalars(_locking(query))]


def _locking(query: Select[Sync]) -> Select[Sync]:
    # Always in the same order, or two that lock several could wait for each other.
    return (
        query.order_by(Sync.project_id, Sync.id)
        .with_for_update(of=Sync, key_share=True)
        .execution_options(populate_existing=True)
    )


def due_for_reconcile(session: Session, now: datetime, *, limit: int) -> Sequence[Sync]:
    """Return syncs whose reconcile is due, locked so that a second beat passes them over."""
    return session.scalars(
        select(Sync)
        .where(Sync.next_reconcile_at <= now, ~Sync.is_paused)
        .order_by(Sync.next_reconcile_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
