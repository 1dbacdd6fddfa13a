"""OAuth states: what has to be known again when a provider sends a browser back to us. Each serves once."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, LargeBinary, String, delete
from sqlalchemy.orm import Mapped, Session, mapped_column

from shared.db.base import Base, Identified, count_of


class OAuthState(Identified, Base):
    """A sign-in under way. Of its state and of the browser's nonce only hashes are kept.

    It ends with the token of whoever began it. ``redirect_uri`` is where the browser goes in the end.
    """

    __tablename__ = "oauth_states"
    app: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64), unique=True)
    browser_hash: Mapped[str] = mapped_column(String(64))
    token_id: Mapped[UUID] = mapped_column(ForeignKey("api_tokens.id", ondelete="CASCADE"), index=True)
    project_id: Mapped[UUID | None] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), index=True)
    redirect_uri: Mapped[str | None] = mapped_column(String(2048))
    data_key: Mapped[bytes] = mapped_column(LargeBinary)
    verifier: Mapped[bytes] = mapped_column(LargeBinary)
    expires_at: Mapped[datetime] = mapped_column(index=True)


def take(session: Session, *, app: str, digest: str, browser_digest: str, now: datetime) -> OAuthState | None:
    """Remove the state and return it, if it is valid and that browser's. Of two at once, one gets it."""
    return session.scalar(
        delete(OAuthState)
        .where(
            OAuthState.app == app,
            OAuthState.hash == digest,
            OAuthState.browser_hash == browser_digest,
            OAuthState.expires_at > now,
        )
        .returning(OAuthState)
    )


def delete_expired(session: Session, now: datetime) -> int:
    """Remove the states that nobody came back with in time, and return how many."""
    return count_of(session, delete(OAuthState).where(OAuthState.expires_at <= now))
