"""Projects and their environments."""

from typing import Annotated
from uuid import UUID

from fastapi import Query
from pydantic import Field, StringConstraints

from api.dependencies import CallerOf, RuntimeOf
from api.infisical.wire import Dated, Description, Page, Slug, WireModel, find_own_project, new_router
from shared.usecases import projects
from shared.usecases.projects import ProjectView
from shared.usecases.tokens import Scope

router = new_router(tag="Projects")

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)]


class NewProject(WireModel):
    project_name: Name = Field(examples=["Shop"])
    slug: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = Field(
        None, examples=["shop"]
    )
    project_description: Description | None = None


class NewEnvironment(WireModel):
    name: Name = Field(examples=["Quality assurance"])
    slug: Annotated[Slug, StringConstraints(max_length=64)] = Field(examples=["qa"])


class EnvironmentOut(WireModel):
    id: UUID
    name: str
    slug: str


class ProjectOut(Dated):
    id: UUID
    old_id: UUID = Field(alias="_id")
    name: str
    slug: str
    description: str | None
    environments: list[EnvironmentOut]


class OneProject(WireModel):
    project: ProjectOut


class OneWorkspace(WireModel):
    workspace: ProjectOut


class Projects(WireModel):
    projects: list[ProjectOut]


class Workspaces(WireModel):
    workspaces: list[ProjectOut]


class CreatedEnvironment(WireModel):
    message: str
    environment: EnvironmentOut
    workspace: UUID


def project_out(view: ProjectView) -> ProjectOut:
    """Return the wire form of a project."""
    row = view.project
    return ProjectOut(
        id=row.id,
        old_id=row.id,
        name=row.name,
        slug=row.slug,
        description=row.description,
        environments=[
            EnvironmentOut(id=each.id, name=each.name, slug=each.slug) for each in view.environments
        ],
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


@router.post("/v1/projects", summary="Create a project")
def create_project(body: NewProject, runtime: RuntimeOf, caller: CallerOf) -> OneProject:
    """Create a project with the environments development, staging and production."""
    caller.require(Scope.ADMIN, None)
    view = projects.create_project(
        runtime, body.project_name, slug=body.slug, description=body.project_description
    )
    return OneProject(project=project_out(view))


@router.get("/v1/projects", summary="List the projects")
def list_projects(runtime: RuntimeOf, caller: CallerOf, page: Annotated[Page, Query()]) -> Projects:
    """List the projects that this token is valid for, oldest first."""
    caller.require_somewhere(Scope.READ)
    among = caller.projects(Scope.READ)
    found = projects.list_projects(runtime, among=among, limit=page.limit, offset=page.offset)
    return Projects(projects=[project_out(view) for view in found])


@router.get("/v1/workspace", summary="List the projects under their old name", deprecated=True)
def list_workspaces(runtime: RuntimeOf, caller: CallerOf, page: Annotated[Page, Query()]) -> Workspaces:
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


@router.post("/v1/projects/{project_id}/environments", summary="Add an environment")
def create_environment(
    project_id: UUID, body: NewEnvironment, runtime: RuntimeOf, caller: CallerOf
) -> CreatedEnvironment:
    """Add an environment with an empty root folder."""
    caller.require(Scope.WRITE, project_id)
    row = projects.create_environment(runtime, project_id, slug=body.slug, name=body.name)
    return CreatedEnvironment(
        message="Successfully created environment",
        environment=EnvironmentOut(id=row.id, name=row.name, slug=row.slug),
        workspace=project_id,
    )
