"""Access grants: what a token or a machine identity may do, and in which project."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, or_, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from shared.db.base import Base, Identified


class AccessGrant(Identified, Base):
    """What a token or an identity may do in one project, or without a project in all of them."""

    __tablename__ = "access_grants"
    token_id: Mapped[UUID | None] = mapped_column(ForeignKey("api_tokens.id", ondelete="CASCADE"), index=True)
    identity_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("identities.id", ondelete="CASCADE"), index=True
    )
    project_id: Mapped[UUID | None] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), index=True)
    scopes: Mapped[list[str]]

    __table_args__ = (CheckConstraint("(token_id IS NULL) <> (identity_id IS NULL)", name="belongs_to_one"),)


def list_grants(
    session: Session, *, tokens: Iterable[UUID] = (), identities: Iterable[UUID] = ()
) -> Sequence[AccessGrant]:
    """Return what these tokens and identities may do."""
    held = or_(AccessGrant.token_id.in_(list(tokens)), AccessGrant.identity_id.in_(list(identities)))
    return session.scalars(select(AccessGrant).where(held)).all()
