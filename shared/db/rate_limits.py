"""How many requests each client made lately. One row per client, shared by all API processes."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Index, String, case, delete
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, Session, mapped_column

from shared.db.base import Base


class RateLimitWindow(Base):
    """The requests of one client in its present window."""

    __tablename__ = "rate_limits"
    client: Mapped[str] = mapped_column(String(255), primary_key=True)
    count: Mapped[int]
    ends_at: Mapped[datetime]

    __table_args__ = (Index("ix_rate_limits_ends_at", "ends_at"),)


@dataclass(frozen=True, slots=True)
class Counted:
    """How many requests there were in the window, this one included, and when it ends."""

    count: int
    ends_at: datetime


def count_request(session: Session, client: str, window: timedelta, *, now: datetime) -> Counted:
    """Count a request of *client*. A window begins with the first request after the last one ended."""
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    fresh = {"count": 1, "ends_at": now + window}
    over = RateLimitWindow.ends_at <= now
    statement = (
        dialect.insert(RateLimitWindow)
        .values(client=client, **fresh)
        .on_conflict_do_update(
            index_elements=["client"],
            set_={
                "count": case((over, fresh["count"]), else_=RateLimitWindow.count + 1),
                "ends_at": case((over, fresh["ends_at"]), else_=RateLimitWindow.ends_at),
            },
        )
        .returning(RateLimitWindow.count, RateLimitWindow.ends_at)
    )
    return Counted(*session.execute(statement).one())


def delete_ended(session: Session, now: datetime) -> None:
    """Remove the windows that are over."""
    session.execute(delete(RateLimitWindow).where(RateLimitWindow.ends_at <= now))
