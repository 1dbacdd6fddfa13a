"""Connections: one set of credentials at a provider each."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, LargeBinary, String, UniqueConstraint, or_, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from shared.db.base import Base, Identified, one_of

_MAX_ERROR = 1024
#: Without it every run that finds nothing to do would still write to its connection.
_NOTED_FOR = timedelta(hours=1)


class ConnectionStatus(StrEnum):
    """What the provider last said to the credentials."""

    CONNECTED = "connected"
    FAILED = "failed"


class Connection(Identified, Base):
    """Credentials, sealed with a data key of their own, and what the provider last said to them.

    ``blocked_until`` is the provider's own rate limit, as its answers told it: no job of this connection
    starts before. ``grant_key`` keeps an account that is connected again from becoming two connections.
    ``connected_at`` is when a person last gave the credentials. While ``refreshing_until`` lies ahead, one
    worker renews them and nobody else may.
    """

    __tablename__ = "connections"
    project_id: Mapped[UUID | None] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), index=True)
    app: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(64))
    description: Mapped[str | None] = mapped_column(String(256))
    method: Mapped[str] = mapped_column(String(64))
    data_key: Mapped[bytes] = mapped_column(LargeBinary)
    credentials: Mapped[bytes] = mapped_column(LargeBinary)
    account_id: Mapped[str | None] = mapped_column(String(255))
    account_name: Mapped[str | None] = mapped_column(String(255))
    team_id: Mapped[str | None] = mapped_column(String(255))
    grant_key: Mapped[str | None] = mapped_column(String(64), unique=True)
    version: Mapped[int] = mapped_column(default=1)
    status: Mapped[str] = mapped_column(String(16), default=ConnectionStatus.CONNECTED)
    last_error: Mapped[str | None] = mapped_column(String(_MAX_ERROR))
    last_checked_at: Mapped[datetime | None]
    blocked_until: Mapped[datetime | None]
    connected_at: Mapped[datetime]
    refreshing_until: Mapped[datetime | None]
    updated_at: Mapped[datetime]

    __table_args__ = (
        UniqueConstraint("app", "name"),
        CheckConstraint(one_of("status", ConnectionStatus), name="status_is_known"),
    )

    def note(self, rejected: str | None, now: datetime) -> None:
        """Record what the provider said: why it rejects the credentials, or with None that they work."""
        self.status = ConnectionStatus.CONNECTED if rejected is None else ConnectionStatus.FAILED
        self.last_error = None if rejected is None else rejected[:_MAX_ERROR]
        self.last_checked_at = now

    def is_known_to_work(self, now: datetime) -> bool:
        """Did the provider accept the credentials so lately that this need not be written again?"""
        checked = self.last_checked_at
        return (
            self.status == ConnectionStatus.CONNECTED and checked is not None and now - checked < _NOTED_FOR
        )


def list_connections(
    session: Session, *, app: str | None = None, project_id: UUID | None = None
) -> Sequence[Connection]:
    """Return the connections of *app*, or all; with *project_id* those that the project may use."""
    query = select(Connection).order_by(Connection.name)
    if app is not None:
        query = query.where(Connection.app == app)
    if project_id is not None:
        query = query.where(or_(Connection.project_id.is_(None), Connection.project_id == project_id))
    return session.scalars(query).all()


def owned_by(session: Session, project_id: UUID) -> Sequence[Connection]:
    """Return the connections that only this project may use."""
    return session.scalars(select(Connection).where(Connection.project_id == project_id)).all()


def find_by_name(session: Session, app: str, name: str) -> Connection | None:
    return session.scalar(select(Connection).where(Connection.app == app, Connection.name == name))


def lock_granted(session: Session, grant_key: str) -> Connection | None:
    """Return the connection that the same account made before, locked."""
    found = session.scalar(select(Connection.id).where(Connection.grant_key == grant_key))
    return None if found is None else lock(session, found)


def free_name(session: Session, app: str, wished: str) -> str:
    """Return *wished*, with a number if another connection of *app* has that name."""
    name, number = wished, 1
    while find_by_name(session, app, name) is not None:
        number += 1
        name = f"{wished}-{number}"
    return name


def lock(session: Session, connection_id: UUID) -> Connection | None:
    """Return the connection, locked until the transaction ends."""
    return session.scalar(
        select(Connection)
        .where(Connection.id == connection_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
