"""Labels: tags and metadata, by which people find and sort secrets. They go to no destination."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ForeignKey, String, UniqueConstraint, delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from shared.db.base import Base, Identified, slices


class Tag(Identified, Base):
    """A word of a project that its secrets can carry."""

    __tablename__ = "tags"
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    slug: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(64))
    color: Mapped[str] = mapped_column(String(32))

    __table_args__ = (UniqueConstraint("project_id", "slug"),)


class SecretTag(Base):
    """That a secret carries a tag."""

    __tablename__ = "secret_tags"
    secret_id: Mapped[UUID] = mapped_column(ForeignKey("secrets.id", ondelete="CASCADE"), primary_key=True)
    tag_id: Mapped[UUID] = mapped_column(
        ForeignKey("tags.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class SecretMetadata(Base):
    """A name and a text that a secret carries, in clear."""

    __tablename__ = "secret_metadata"
    secret_id: Mapped[UUID] = mapped_column(ForeignKey("secrets.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    value: Mapped[str] = mapped_column(String(1020))


@dataclass(frozen=True, slots=True)
class Labels:
    """What a secret carries, in the order of the slugs and names."""

    tags: Sequence[Tag] = ()
    metadata: Sequence[tuple[str, str]] = ()


NO_LABELS = Labels()


def labels_of(session: Session, secret_ids: Sequence[UUID]) -> Mapping[UUID, Labels]:
    """Return what each of these secrets carries, as far as it carries anything."""
    found: dict[UUID, Labels] = {}
    for part in slices(secret_ids):
        found |= _labels_of(session, part)
    return found


def _labels_of(session: Session, secret_ids: Sequence[UUID]) -> dict[UUID, Labels]:
    tags: dict[UUID, list[Tag]] = {}
    tagged = select(SecretTag.secret_id, Tag).join(Tag, Tag.id == SecretTag.tag_id).order_by(Tag.slug)
    for secret_id, tag in session.execute(tagged.where(SecretTag.secret_id.in_(secret_ids))):
        tags.setdefault(secret_id, []).append(tag)
    metadata: dict[UUID, list[tuple[str, str]]] = {}
    noted = select(SecretMetadata).where(SecretMetadata.secret_id.in_(secret_ids))
    for row in session.scalars(noted.order_by(SecretMetadata.key)):
        metadata.setdefault(row.secret_id, []).append((row.key, row.value))
    return {each: Labels(tags.get(each, ()), metadata.get(each, ())) for each in {*tags, *metadata}}


def list_tags(session: Session, project_id: UUID) -> Sequence[Tag]:
    return session.scalars(select(Tag).where(Tag.project_id == project_id).order_by(Tag.slug)).all()


def find_tag(session: Session, project_id: UUID, slug: str) -> Tag | None:
    return session.scalar(select(Tag).where(Tag.project_id == project_id, Tag.slug == slug))


def replace_tags(session: Session, secret_id: UUID, tag_ids: Iterable[UUID]) -> None:
    """Let the secret carry these tags and no others."""
    session.execute(delete(SecretTag).where(SecretTag.secret_id == secret_id))
    session.add_all(SecretTag(secret_id=secret_id, tag_id=tag_id) for tag_id in set(tag_ids))


def replace_metadata(session: Session, secret_id: UUID, metadata: Mapping[str, str]) -> None:
    """Let the secret carry this metadata and no other."""
    session.execute(delete(SecretMetadata).where(SecretMetadata.secret_id == secret_id))
    session.add_all(
        SecretMetadata(secret_id=secret_id, key=key, value=value) for key, value in metadata.items()
    )
