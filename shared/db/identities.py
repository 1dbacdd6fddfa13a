"""Machine identities: programs that log in with a client id and one of several client secrets."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ForeignKey, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from shared.db.access_grants import AccessGrant
from shared.db.base import Base, Identified


class Identity(Identified, Base):
    """A program. ``token_ttl`` is how long a login lasts unless renewed, ``token_max_ttl`` how long at most.

    ``failed_logins`` counts since the last good one; until ``locked_until`` none is accepted.
    """

    __tablename__ = "identities"
    name: Mapped[str] = mapped_column(String(255))
    client_id: Mapped[UUID] = mapped_column(unique=True)
    token_ttl: Mapped[int]
    token_max_ttl: Mapped[int]
    failed_logins: Mapped[int] = mapped_column(default=0)
    locked_until: Mapped[datetime | None]
    updated_at: Mapped[datetime]


class ClientSecret(Identified, Base):
    """A client secret as it is stored: hashed. ``prefix`` is its beginning, for people to know it by.

    Without ``expires_at`` it does not end, without ``uses_limit`` it serves any number of times.
    """

    __tablename__ = "client_secrets"
    identity_id: Mapped[UUID] = mapped_column(ForeignKey("identities.id", ondelete="CASCADE"), index=True)
    hash: Mapped[str] = mapped_column(String(64), unique=True)
    prefix: Mapped[str] = mapped_column(String(8))
    description: Mapped[str] = mapped_column(String(256))
    expires_at: Mapped[datetime | None]
    uses: Mapped[int] = mapped_column(default=0)
    uses_limit: Mapped[int | None]
    is_revoked: Mapped[bool] = mapped_column(default=False)
    updated_at: Mapped[datetime]

    @property
    def ttl(self) -> timedelta | None:
        """How long it was made to live, None for ever."""
        return None if self.expires_at is None else self.expires_at - self.created_at

    def is_good(self, now: datetime) -> bool:
        """May one log in with it?"""
        if self.is_revoked or (self.expires_at is not None and self.expires_at <= now):
            return False
        return self.uses_limit is None or self.uses < self.uses_limit


def list_identities(
    session: Session, project_id: UUID | None, *, limit: int, offset: int
) -> Sequence[Identity]:
    """Return the identities, oldest first; with *project_id* those that may do something there."""
    query = select(Identity).order_by(Identity.created_at, Identity.id).limit(limit).offset(offset)
    if project_id is not None:
        there = select(AccessGrant.identity_id).where(AccessGrant.project_id == project_id)
        query = query.where(Identity.id.in_(there))
    return session.scalars(query).all()


def lock_by_client_id(session: Session, client_id: UUID) -> Identity | None:
    """Return the identity that logs in with that id, locked until the transaction ends."""
    return session.scalar(select(Identity).where(Identity.client_id == client_id).with_for_update())


def list_client_secrets(session: Session, identity_id: UUID) -> Sequence[ClientSecret]:
    """Return the client secrets of an identity, newest first."""
    query = select(ClientSecret).where(ClientSecret.identity_id == identity_id)
    return session.scalars(query.order_by(ClientSecret.created_at.desc(), ClientSecret.id)).all()


def find_client_secret(session: Session, identity_id: UUID, digest: str) -> ClientSecret | None:
    """Return the client secret of an identity that has that hash."""
    return session.scalar(
        select(ClientSecret).where(ClientSecret.identity_id == identity_id, ClientSecret.hash == digest)
    )
