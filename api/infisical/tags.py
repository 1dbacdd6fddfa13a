"""The tags of a project."""

from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from api.dependencies import CallerOf, RuntimeOf
from api.infisical.wire import Slug, WireModel, new_router
from shared.db.labels import Tag
from shared.usecases import tags
from shared.usecases.tokens import Scope

router = new_router(tag="Tags")

_TAGS = "/v1/projects/{project_id}/tags"


class NewTag(WireModel):
    slug: Annotated[Slug, StringConstraints(max_length=64)] = Field(examples=["database"])
    name: Annotated[str, StringConstraints(strip_whitespace=True, max_length=64)] | None = Field(
        None, description="The slug, unless it is said."
    )
    color: Annotated[str, StringConstraints(max_length=32)] = Field("", examples=["#2f7d32"])


class TagOut(WireModel):
    id: UUID
    slug: str
    name: str
    color: str


class OneTag(WireModel):
    tag: TagOut


class Tags(WireModel):
    tags: list[TagOut]


@router.post(_TAGS, summary="Create a tag")
def create_tag(project_id: UUID, body: NewTag, runtime: RuntimeOf, caller: CallerOf) -> OneTag:
    """Add a tag that the project's secrets can carry."""
    caller.require(Scope.WRITE, project_id)
    name = body.name or body.slug
    row = tags.create_tag(runtime, project_id, slug=body.slug, name=name, color=body.color)
    return OneTag(tag=tag_out(row))


@router.get(_TAGS, summary="List the tags")
def list_tags(project_id: UUID, runtime: RuntimeOf, caller: CallerOf) -> Tags:
    """List the tags of a project by their slugs."""
    caller.require(Scope.READ, project_id)
    return Tags(tags=[tag_out(row) for row in tags.list_tags(runtime, project_id)])


@router.delete(f"{_TAGS}/{{tag_id}}", summary="Delete a tag")
def delete_tag(project_id: UUID, tag_id: UUID, runtime: RuntimeOf, caller: CallerOf) -> OneTag:
    """Remove a tag, from the secrets that carry it as well. No sync runs for that."""
    caller.require(Scope.WRITE, project_id)
    return OneTag(tag=tag_out(tags.delete_tag(runtime, project_id, tag_id)))


def tag_out(row: Tag) -> TagOut:
    """Return the wire form of a tag."""
    return TagOut(id=row.id, slug=row.slug, name=row.name, color=row.color)
