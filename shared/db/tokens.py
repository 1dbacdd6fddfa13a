"""API tokens: hashed, with an expiry. What each may do stands in the grants."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Select, String, delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from shared.db.access_grants import AccessGrant
from shared.db.base import Base, Identified, count_of


class ApiToken(Identified, Base):
    """A token as it is stored: never the token itself.

    One with an identity was given out at a login, may do what the identity may, and is not renewed beyond
    ``renewable_until``. ``prefix`` is the beginning of an API key, for people to know it by; other tokens
    have none. ``allowed_ips`` are the networks it may be used from, none for everywhere. ``parent_id`` is the
    token whose holder let somebody have this one: it does not outlive that.
    """

    __tablename__ = "api_tokens"
    name: Mapped[str] = mapped_column(String(255))
    hash: Mapped[str] = mapped_column(String(64), unique=True)
    identity_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("identities.id", ondelete="CASCADE"), index=True
    )
    parent_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("api_tokens.id", ondelete="CASCADE"), index=True
    )
    expires_at: Mapped[datetime | None] = mapped_column(index=True)
    renewable_until: Mapped[datetime | None]
    prefix: Mapped[str | None] = mapped_column(String(32))
    allowed_ips: Mapped[list[str]] = mapped_column(default=list)


def find_by_hash(session: Session, digest: str) -> ApiToken | None:
    return session.scalar(select(ApiToken).where(ApiToken.hash == digest))


def lock_by_hash(session: Session, digest: str) -> ApiToken | None:
    """Return the token, locked until the transaction ends."""
    return session.scalar(select(ApiToken).where(ApiToken.hash == digest).with_for_update())


def list_tokens(session: Session, project_id: UUID | None, *, limit: int, offset: int) -> Sequence[ApiToken]:
    """Return the tokens that were made one by one, newest first; with *project_id* those valid there."""
    query = _granted(ApiToken.prefix.is_(None), project_id).where(ApiToken.identity_id.is_(None))
    return session.scalars(query.limit(limit).offset(offset)).all()


def list_api_keys(session: Session, project_id: UUID | None) -> Sequence[ApiToken]:
    """Return the API keys, newest first; with *project_id* those of that project alone."""
    return session.scalars(_granted(ApiToken.prefix.is_not(None), project_id)).all()


def _granted(which: Any, project_id: UUID | None) -> Select[ApiToken]:
    query = select(ApiToken).where(which).order_by(ApiToken.created_at.desc(), ApiToken.id)
    if project_id is None:
        return query
    there = select(AccessGrant.token_id).where(AccessGrant.project_id == project_id)
    return query.where(ApiToken.id.in_(there))


def any_exists(session: Session) -> bool:
    """Has a token ever been made here?"""
    return session.scalar(select(ApiToken.id).limit(1)) is not None


def delete_expired_logins(session: Session, now: datetime) -> int:
    """Remove the tokens of logins that have expired, and return how many. Others stay for people to see."""
    ended = delete(ApiToken).where(ApiToken.identity_id.is_not(None), ApiToken.expires_at <= now)
    return count_of(session, ended)
