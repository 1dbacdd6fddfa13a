"""Projects, also under the names and paths of older clients."""

from collections.abc import Sequence
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Query
from pydantic import Field, StrictBool, StringConstraints

from api.dependencies import CallerOf, RuntimeOf
from api.infisical.wire import (
    Dated,
    Description,
    Limit,
    NoneIfEmpty,
    Page,
    WireModel,
    find_own_project,
    new_router,
)
from shared.db.vault import Environment
from shared.runtime import Runtime
from shared.usecases import projects
from shared.usecases.projects import ProjectView
from shared.usecases.tokens import Caller, Scope

router = new_router(tag="Projects")

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)]


#: What Infisical has and Keytide has not is refused: it would be missed later.
NoText = Annotated[Literal[""] | None, Field(description="Not known here.")]


class NewProject(WireModel):
    project_name: Name = Field(examples=["Shop"])
    slug: Annotated[Annotated[str, StringConstraints(min_length=1, max_length=255)] | None, NoneIfEmpty] = (
        Field(None, examples=["shop"])
    )
    project_description: Description | None = None
    type: Literal["secret-manager"] = "secret-manager"
    should_create_default_envs: StrictBool = Field(True, description="False: it begins without environments.")
    template: Literal["default", ""] | None = None
    kms_key_id: NoText = None
    has_delete_protection: Literal[False] = False


class ChangedProject(WireModel):
    """What is not sent stays as it is."""

    name: Name | None = Field(None, examples=["Shop"])
    slug: Annotated[Annotated[str, StringConstraints(min_length=1, max_length=255)] | None, NoneIfEmpty] = (
        None
    )
    description: Description | None = None
    has_delete_protection: Literal[False] = False


class ProjectPage(Page):
    limit: Limit = 1000


class EnvironmentOut(WireModel):
    id: UUID
    name: str
    slug: str
    position: int
    project_id: UUID


class ProjectOut(Dated):
    id: UUID
    old_id: UUID = Field(alias="_id")
    name: str
    slug: str
    description: str | None
    type: str = "secret-manager"
    version: int = Field(3, description="Values are encrypted here, not by clients.")
    org_id: None = None
    auto_capitalization: bool = False
    has_delete_protection: bool = False
    environments: list[EnvironmentOut]


class OneProject(WireModel):
    project: ProjectOut


class OneWorkspace(WireModel):
    workspace: ProjectOut


class Projects(WireModel):
    projects: list[ProjectOut]


class Workspaces(WireModel):
    workspaces: list[ProjectOut]


def project_out(view: ProjectView) -> ProjectOut:
    """Return the wire form of a project."""
    row = view.project
    return ProjectOut(
        id=row.id,
        old_id=row.id,
        name=row.name,
        slug=row.slug,
        description=row.description,
        environments=[environment_out(each) for each in view.environments],
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def environment_out(row: Environment) -> EnvironmentOut:
    """Return the wire form of an environment."""
    return EnvironmentOut(
        id=row.id, name=row.name, slug=row.slug, position=row.position, project_id=row.project_id
    )


@router.post("/v1/projects", summary="Create a project")
def create_project(body: NewProject, runtime: RuntimeOf, caller: CallerOf) -> OneProject:
    """Create a project with the environments development, staging and production."""
    return _create(runtime, caller, body, projects.DEFAULT_ENVIRONMENTS)


@router.post("/v2/workspace", summary="Create a project as older clients do", deprecated=True)
def create_workspace(body: NewProject, runtime: RuntimeOf, caller: CallerOf) -> OneProject:
    """Create a project with the environments that those clients count on: dev, staging and prod."""
    return _create(runtime, caller, body, projects.INFISICAL_ENVIRONMENTS)


def _create(
    runtime: Runtime, caller: Caller, body: NewProject, environments: Sequence[tuple[str, str]]
) -> OneProject:
    caller.require(Scope.ADMIN, None)
    view = projects.create_project(
        runtime,
        body.project_name,
        slug=body.slug,
        description=body.project_description,
        environments=environments if body.should_create_default_envs else (),
    )
    return OneProject(project=project_out(view))


@router.get("/v1/projects", summary="List the projects")
def list_projects(runtime: RuntimeOf, caller: CallerOf, page: Annotated[ProjectPage, Query()]) -> Projects:
    """List the projects that this token is valid for, oldest first."""
    caller.require_somewhere(Scope.READ)
    among = caller.projects(Scope.READ)
    found = projects.list_projects(runtime, among=among, limit=page.limit, offset=page.offset)
    return Projects(projects=[project_out(view) for view in found])


@router.get("/v1/workspace", summary="List the projects under their old name", deprecated=True)
def list_workspaces(
    runtime: RuntimeOf, caller: CallerOf, page: Annotated[ProjectPage, Query()]
) -> Workspaces:
    """List the projects that this token is valid for, oldest first."""
    return Workspaces(workspaces=list_projects(runtime, caller, page).projects)


@router.get("/v1/projects/slug/{slug:path}", summary="Get a project by its slug")
def get_project_by_slug(slug: str, runtime: RuntimeOf, caller: CallerOf) -> OneProject:
    """Return the project with that slug."""
    return OneProject(project=project_out(find_own_project(runtime, caller, Scope.READ, slug)))


@router.get("/v1/projects/{project_id}", summary="Get a project")
def get_project(project_id: UUID, runtime: RuntimeOf, caller: CallerOf) -> OneProject:
    """Return a project with its environments."""
    caller.require(Scope.READ, project_id)
    return OneProject(project=project_out(projects.get_project(runtime, project_id)))


@router.get("/v1/workspace/{project_id}", summary="Get a project under its old name", deprecated=True)
def get_workspace(project_id: UUID, runtime: RuntimeOf, caller: CallerOf) -> OneWorkspace:
    """Return a project with its environments."""
    return OneWorkspace(workspace=get_project(project_id, runtime, caller).project)


@router.get("/v2/workspace/{slug:path}", summary="Get a project by its slug", deprecated=True)
def get_workspace_by_slug(slug: str, runtime: RuntimeOf, caller: CallerOf) -> ProjectOut:
    """Return the project with that slug."""
    return project_out(find_own_project(runtime, caller, Scope.READ, slug))


@router.patch("/v1/projects/{project_id}", summary="Change a project")
def update_project(
    project_id: UUID, body: ChangedProject, runtime: RuntimeOf, caller: CallerOf
) -> OneProject:
    """Name or describe a project anew. A slug with `/` takes an administrator of all projects."""
    caller.require(Scope.ADMIN, project_id)
    view = projects.update_project(
        runtime, caller, project_id, name=body.name, slug=body.slug, description=body.text_of("description")
    )
    return OneProject(project=project_out(view))


@router.patch("/v1/workspace/{project_id}", summary="Change a project under its old name", deprecated=True)
def update_workspace(
    project_id: UUID, body: ChangedProject, runtime: RuntimeOf, caller: CallerOf
) -> OneWorkspace:
    """Name or describe a project anew."""
    return OneWorkspace(workspace=update_project(project_id, body, runtime, caller).project)


@router.delete("/v1/projects/{project_id}", summary="Delete a project")
def delete_project(project_id: UUID, runtime: RuntimeOf, caller: CallerOf) -> OneProject:
    """Delete a project with its secrets, syncs and connections. Destinations keep what they have."""
    caller.require(Scope.ADMIN, project_id)
    return OneProject(project=project_out(projects.delete_project(runtime, project_id)))


@router.delete("/v1/workspace/{project_id}", summary="Delete a project under its old name", deprecated=True)
def delete_workspace(project_id: UUID, runtime: RuntimeOf, caller: CallerOf) -> OneWorkspace:
    """Delete a project with its secrets, syncs and connections. Destinations keep what they have."""
    return OneWorkspace(workspace=delete_project(project_id, runtime, caller).project)


@router.delete("/v2/workspace/{slug:path}", summary="Delete a project by its slug", deprecated=True)
def delete_workspace_by_slug(slug: str, runtime: RuntimeOf, caller: CallerOf) -> ProjectOut:
    """Delete a project with its secrets, syncs and connections. Destinations keep what they have."""
    found = find_own_project(runtime, caller, Scope.ADMIN, slug)
    return project_out(projects.delete_project(runtime, found.project.id))
