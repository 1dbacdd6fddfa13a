"""The environments of a project, under the present paths of the wire and those of older clients."""

from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from api.dependencies import CallerOf, RuntimeOf, require_own
from api.infisical.projects import EnvironmentOut, Name, environment_out
from api.infisical.wire import Slug, WireModel, new_router
from shared.db.vault import Environment
from shared.errors import NotFound
from shared.runtime import Runtime
from shared.usecases import environments
from shared.usecases.tokens import Caller, Scope

router = new_router(tag="Projects")

_NEW = "/v1/projects/{project_id}/environments"
_OLD = "/v1/workspace/{project_id}/environments"

EnvironmentName = Annotated[Slug, StringConstraints(max_length=64)]
Position = Annotated[int, Field(ge=1, le=10_000)]


class NewEnvironment(WireModel):
    name: Name = Field(examples=["Quality assurance"])
    slug: EnvironmentName = Field(examples=["qa"])
    position: Position | None = Field(
        None, description="Counted from 1; behind the others unless it is said."
    )


class ChangedEnvironment(WireModel):
    """What is not sent stays as it is."""

    name: Name | None = Field(None, examples=["Quality assurance"])
    slug: EnvironmentName | None = None
    position: Position | None = Field(None, description="Counted from 1; the others close up.")


class OneEnvironment(WireModel):
    environment: EnvironmentOut


class ChangedEnvironmentOut(OneEnvironment):
    message: str
    project_id: UUID
    workspace: UUID


@router.post(_NEW, summary="Add an environment")
@router.post(_OLD, summary="Add an environment", deprecated=True, operation_id="createEnvironmentV1")
def create_environment(
    project_id: UUID, body: NewEnvironment, runtime: RuntimeOf, caller: CallerOf
) -> ChangedEnvironmentOut:
    """Add an environment with an empty root folder."""
    caller.require(Scope.WRITE, project_id)
    row = environments.create_environment(
        runtime, project_id, slug=body.slug, name=body.name, position=body.position
    )
    return _done("Successfully created environment", row)


@router.get(f"{_NEW}/slug/{{environment_slug}}", summary="Get an environment by its slug")
def get_environment_by_slug(
    project_id: UUID, environment_slug: str, runtime: RuntimeOf, caller: CallerOf
) -> EnvironmentOut:
    """Return an environment by its slug."""
    caller.require(Scope.READ, project_id)
    return environment_out(environments.get_by_slug(runtime, project_id, environment_slug))


@router.get(f"{_NEW}/{{environment_id}}", summary="Get an environment")
def get_environment(
    project_id: UUID, environment_id: UUID, runtime: RuntimeOf, caller: CallerOf
) -> OneEnvironment:
    """Return an environment by its id."""
    return OneEnvironment(
        environment=environment_out(_own(runtime, caller, Scope.READ, environment_id, project_id))
    )


@router.get("/v1/workspace/environments/{environment_id}", summary="Get an environment", deprecated=True)
def get_workspace_environment(environment_id: UUID, runtime: RuntimeOf, caller: CallerOf) -> OneEnvironment:
    """Return an environment by its id."""
    return OneEnvironment(environment=environment_out(_own(runtime, caller, Scope.READ, environment_id)))


@router.patch(f"{_NEW}/{{environment_id}}", summary="Change an environment")
@router.patch(
    f"{_OLD}/{{environment_id}}",
    summary="Change an environment",
    deprecated=True,
    operation_id="updateEnvironmentV1",
)
def update_environment(
    project_id: UUID, environment_id: UUID, body: ChangedEnvironment, runtime: RuntimeOf, caller: CallerOf
) -> ChangedEnvironmentOut:
    """Name an environment anew, or move it. Its slug stays while secrets refer to it."""
    _own(runtime, caller, Scope.WRITE, environment_id, project_id)
    row = environments.update_environment(
        runtime, environment_id, name=body.name, slug=body.slug, position=body.position
    )
    return _done("Successfully updated environment", row)


@router.delete(f"{_NEW}/{{environment_id}}", summary="Delete an environment")
@router.delete(
    f"{_OLD}/{{environment_id}}",
    summary="Delete an environment",
    deprecated=True,
    operation_id="deleteEnvironmentV1",
)
def delete_environment(
    project_id: UUID, environment_id: UUID, runtime: RuntimeOf, caller: CallerOf
) -> ChangedEnvironmentOut:
    """Delete an environment with all that lies in it, unless another one shows it.

    A sync whose source lies there fails from then on; it never empties its destination.
    """
    _own(runtime, caller, Scope.WRITE, environment_id, project_id)
    return _done("Successfully deleted environment", environments.delete_environment(runtime, environment_id))


def _own(
    runtime: Runtime, caller: Caller, scope: Scope, environment_id: UUID, project_id: UUID | None = None
) -> Environment:
    row = environments.get_environment(runtime, environment_id)
    what = f"environment with the id {environment_id}"
    require_own(caller, scope, row.project_id, what=what)
    if project_id not in (None, row.project_id):
        raise NotFound(f"There is no {what}.")
    return row


def _done(message: str, row: Environment) -> ChangedEnvironmentOut:
    return ChangedEnvironmentOut(
        message=message,
        environment=environment_out(row),
        project_id=row.project_id,
        workspace=row.project_id,
    )
