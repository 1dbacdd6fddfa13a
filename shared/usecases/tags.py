"""The tags of a project."""

from collections.abc import Sequence
from uuid import UUID, uuid4

from sqlalchemy.orm import Session

from shared.db import labels
from shared.db.labels import Tag
from shared.errors import Conflict, NotFound
from shared.runtime import Runtime
from shared.usecases.places import find_project


def create_tag(runtime: Runtime, project_id: UUID, *, slug: str, name: str, color: str) -> Tag:
    """Add a tag. Raises ``Conflict`` if the slug is taken."""
    with runtime.database.transaction() as session:
        find_project(session, project_id)
        if labels.find_tag(session, project_id, slug) is not None:
            raise Conflict(f"The project already has a tag '{slug}'.")
        tag = Tag(
            id=uuid4(),
            project_id=project_id,
            slug=slug,
            name=name,
            color=color,
            created_at=runtime.clock(),
        )
        session.add(tag)
    return tag


def list_tags(runtime: Runtime, project_id: UUID) -> Sequence[Tag]:
    """Return the tags of a project by their slugs. Raises ``NotFound``."""
    with runtime.database.snapshot() as session:
        find_project(session, project_id)
        return labels.list_tags(session, project_id)


def get_tag(runtime: Runtime, project_id: UUID, tag_id: UUID) -> Tag:
    """Return a tag of the project. Raises ``NotFound``."""
    with runtime.database.snapshot() as session:
        return _found(session, project_id, tag_id)


def find_tag(runtime: Runtime, project_id: UUID, slug: str) -> Tag:
    """Return the project's tag with that slug. Raises ``NotFound``."""
    with runtime.database.snapshot() as session:
        tag = labels.find_tag(session, project_id, slug)
    if tag is None:
        raise NotFound(f"The project has no tag '{slug}'.")
    return tag


def update_tag(
    runtime: Runtime,
    project_id: UUID,
    tag_id: UUID,
    *,
    slug: str | None = None,
    name: str | None = None,
    color: str | None = None,
) -> Tag:
    """Change a tag; secrets go on carrying it. Raises ``Conflict`` if the slug is taken."""
    with runtime.database.transaction() as session:
        tag = _found(session, project_id, tag_id)
        if slug is not None and slug != tag.slug:
            if labels.find_tag(session, project_id, slug) is not None:
                raise Conflict(f"The project already has a tag '{slug}'.")
            tag.slug = slug
        if name is not None:
            tag.name = name
        if color is not None:
            tag.color = color
    return tag


def delete_tag(runtime: Runtime, project_id: UUID, tag_id: UUID) -> Tag:
    """Remove a tag, from the secrets that carry it as well. Raises ``NotFound``."""
    with runtime.database.transaction() as session:
        tag = _found(session, project_id, tag_id)
        session.delete(tag)
    return tag


def _found(session: Session, project_id: UUID, tag_id: UUID) -> Tag:
    tag = session.get(Tag, tag_id)
    if tag is None or tag.project_id != project_id:
        raise NotFound(f"The project has no tag with the id {tag_id}.")
    return tag
