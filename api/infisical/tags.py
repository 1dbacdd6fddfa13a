"""The tags of a project, under the present paths of the wire and those of older clients."""

from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from api.dependencies import CallerOf, RuntimeOf
from api.infisical.wire import Slug, WireModel, new_router
from shared.db.labels import Tag
from shared.usecases import tags
from shared.usecases.tokens import Scope

router = new_router(tag="Tags")

_NEW = "/v1/projects/{project_id}/tags"
_OLD = "/v1/workspace/{project_id}/tags"

TagSlug = Annotated[Slug, StringConstraints(max_length=64)]
TagName = Annotated[str, StringConstraints(strip_whitespace=True, max_length=64)]
Color = Annotated[str, StringConstraints(max_length=32)]


class NewTag(WireModel):
    slug: TagSlug = Field(examples=["database"])
    name: TagName | None = Field(None, description="The slug, unless it is said.")
    color: Color = Field("", examples=["#2f7d32"])


class ChangedTag(WireModel):
    """What is not sent stays as it is."""

    slug: TagSlug | None = None
    name: TagName | None = None
    color: Color | None = Field(None, examples=["#2f7d32"])


class TagOut(WireModel):
    id: UUID
    slug: str
    name: str
    color: str
    project_id: UUID


class OneTag(WireModel):
    tag: TagOut


class Tags(WireModel):
    tags: list[TagOut]


class OneWorkspaceTag(WireModel):
    workspace_tag: TagOut


class WorkspaceTags(WireModel):
    workspace_tags: list[TagOut]


@router.post(_NEW, summary="Create a tag")
def create_tag(project_id: UUID, body: NewTag, runtime: RuntimeOf, caller: CallerOf) -> OneTag:
    """Add a tag that the project's secrets can carry."""
    caller.require(Scope.WRITE, project_id)
    name = body.name or body.slug
    row = tags.create_tag(runtime, project_id, slug=body.slug, name=name, color=body.color)
    return OneTag(tag=tag_out(row))


@router.get(_NEW, summary="List the tags")
def list_tags(project_id: UUID, runtime: RuntimeOf, caller: CallerOf) -> Tags:
    """List the tags of a project by their slugs."""
    caller.require(Scope.READ, project_id)
    return Tags(tags=[tag_out(row) for row in tags.list_tags(runtime, project_id)])


@router.get(f"{_NEW}/slug/{{tag_slug}}", summary="Get a tag by its slug")
def get_tag_by_slug(project_id: UUID, tag_slug: str, runtime: RuntimeOf, caller: CallerOf) -> OneTag:
    """Return a tag by its slug."""
    caller.require(Scope.READ, project_id)
    return OneTag(tag=tag_out(tags.find_tag(runtime, project_id, tag_slug)))


@router.get(f"{_NEW}/{{tag_id}}", summary="Get a tag")
def get_tag(project_id: UUID, tag_id: UUID, runtime: RuntimeOf, caller: CallerOf) -> OneTag:
    """Return a tag by its id."""
    caller.require(Scope.READ, project_id)
    return OneTag(tag=tag_out(tags.get_tag(runtime, project_id, tag_id)))


@router.patch(f"{_NEW}/{{tag_id}}", summary="Change a tag")
def update_tag(
    project_id: UUID, tag_id: UUID, body: ChangedTag, runtime: RuntimeOf, caller: CallerOf
) -> OneTag:
    """Change a tag. The secrets that carry it go on carrying it, and no sync runs for that."""
    caller.require(Scope.WRITE, project_id)
    row = tags.update_tag(runtime, project_id, tag_id, slug=body.slug, name=body.name, color=body.color)
    return OneTag(tag=tag_out(row))


@router.delete(f"{_NEW}/{{tag_id}}", summary="Delete a tag")
def delete_tag(project_id: UUID, tag_id: UUID, runtime: RuntimeOf, caller: CallerOf) -> OneTag:
    """Remove a tag, from the secrets that carry it as well. No sync runs for that."""
    caller.require(Scope.WRITE, project_id)
    return OneTag(tag=tag_out(tags.delete_tag(runtime, project_id, tag_id)))


# --- the same for older clients ------------------------------------------------------------------------


@router.post(_OLD, summary="Create a tag", deprecated=True)
def create_workspace_tag(
    project_id: UUID, body: NewTag, runtime: RuntimeOf, caller: CallerOf
) -> OneWorkspaceTag:
    """Add a tag that the project's secrets can carry."""
    return OneWorkspaceTag(workspace_tag=create_tag(project_id, body, runtime, caller).tag)


@router.get(_OLD, summary="List the tags", deprecated=True)
def list_workspace_tags(project_id: UUID, runtime: RuntimeOf, caller: CallerOf) -> WorkspaceTags:
    """List the tags of a project by their slugs."""
    return WorkspaceTags(workspace_tags=list_tags(project_id, runtime, caller).tags)


@router.get(f"{_OLD}/slug/{{tag_slug}}", summary="Get a tag by its slug", deprecated=True)
def get_workspace_tag_by_slug(
    project_id: UUID, tag_slug: str, runtime: RuntimeOf, caller: CallerOf
) -> OneWorkspaceTag:
    """Return a tag by its slug."""
    return OneWorkspaceTag(workspace_tag=get_tag_by_slug(project_id, tag_slug, runtime, caller).tag)


@router.get(f"{_OLD}/{{tag_id}}", summary="Get a tag", deprecated=True)
def get_workspace_tag(
    project_id: UUID, tag_id: UUID, runtime: RuntimeOf, caller: CallerOf
) -> OneWorkspaceTag:
    """Return a tag by its id."""
    return OneWorkspaceTag(workspace_tag=get_tag(project_id, tag_id, runtime, caller).tag)


@router.patch(f"{_OLD}/{{tag_id}}", summary="Change a tag", deprecated=True)
def update_workspace_tag(
    project_id: UUID, tag_id: UUID, body: ChangedTag, runtime: RuntimeOf, caller: CallerOf
) -> OneWorkspaceTag:
    """Change a tag. The secrets that carry it go on carrying it, and no sync runs for that."""
    return OneWorkspaceTag(workspace_tag=update_tag(project_id, tag_id, body, runtime, caller).tag)


@router.delete(f"{_OLD}/{{tag_id}}", summary="Delete a tag", deprecated=True)
def delete_workspace_tag(
    project_id: UUID, tag_id: UUID, runtime: RuntimeOf, caller: CallerOf
) -> OneWorkspaceTag:
    """Remove a tag, from the secrets that carry it as well. No sync runs for that."""
    return OneWorkspaceTag(workspace_tag=delete_tag(project_id, tag_id, runtime, caller).tag)


def tag_out(row: Tag) -> TagOut:
    """Return the wire form of a tag."""
    return TagOut(id=row.id, slug=row.slug, name=row.name, color=row.color, project_id=row.project_id)
