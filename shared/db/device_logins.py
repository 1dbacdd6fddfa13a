"""Device logins: a program waits for a token, and a person confirms in a browser that it may have one."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, String, delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from shared.db.base import Base, Identified, one_of


class DeviceStatus(StrEnum):
    """What became of a login so far. ``used``: its token was handed out."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    USED = "used"


class DeviceLogin(Identified, Base):
    """A login under way. Of its two codes only hashes are kept, and no token before it is fetched.

    ``repository`` is what the program said it wants to work with; it gives no right.
    """

    __tablename__ = "device_logins"
    device_hash: Mapped[str] = mapped_column(String(64), unique=True)
    user_hash: Mapped[str] = mapped_column(String(64), unique=True)
    repository: Mapped[str | None] = mapped_column(String(255))
    status: Mapped[str] = mapped_column(String(16))
    token_id: Mapped[UUID | None] = mapped_column(ForeignKey("api_tokens.id", ondelete="CASCADE"), index=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)

    __table_args__ = (CheckConstraint(one_of("status", DeviceStatus), name="status_is_known"),)


def find_by_device(session: Session, digest: str) -> DeviceLogin | None:
    """Return the login of a device code, locked until the transaction ends."""
    return session.scalar(select(DeviceLogin).where(DeviceLogin.device_hash == digest).with_for_update())


def find_by_user(session: Session, digest: str) -> DeviceLogin | None:
    """Return the login of a user code, locked until the transaction ends."""
    return session.scalar(select(DeviceLogin).where(DeviceLogin.user_hash == digest).with_for_update())


def delete_expired_before(session: Session, moment: datetime) -> None:
    """Remove the logins that expired before *moment*."""
    session.execute(delete(DeviceLogin).where(DeviceLogin.expires_at < moment))
