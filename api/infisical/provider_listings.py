"""What a connection can see at its provider, each in the form that clients of that provider expect."""

from collections.abc import Iterable
from typing import Annotated, Any, cast
from uuid import UUID

from fastapi import Query
from pydantic import Field

from api.dependencies import CallerOf, RuntimeOf
from api.infisical.app_connections import require_use
from api.infisical.wire import WireModel, new_router
from shared.errors import NotFound
from shared.providers.base import Named, Project, Provider
from shared.providers.netlify import NetlifyProvider
from shared.providers.vercel import VercelProvider
from shared.runtime import Runtime
from shared.usecases.connections import open_connection
from shared.usecases.tokens import Caller

router = new_router(tag="Provider listings")


class NamedOut(WireModel):
    id: str
    name: str


class RailwayProject(NamedOut):
    services: list[NamedOut]
    environments: list[NamedOut]


class RailwayProjects(WireModel):
    projects: list[RailwayProject]


class VercelTeam(NamedOut):
    slug: str
    apps: list[NamedOut] = Field(description="The team's projects.")


class VercelEnvironment(WireModel):
    id: str
    slug: str
    type: str


class VercelProject(NamedOut):
    envs: list[VercelEnvironment]
    preview_branches: list[str] = Field(description="Always empty: name the branch yourself.")


class NetlifyAccounts(WireModel):
    accounts: list[NamedOut]


class NetlifySites(WireModel):
    sites: list[NamedOut]


@router.get("/v1/app-connections/railway/{connection_id}/projects", summary="List Railway's projects")
def list_railway_projects(connection_id: UUID, runtime: RuntimeOf, caller: CallerOf) -> RailwayProjects:
    """List the projects with their services and environments."""
    found = _open(runtime, caller, "railway", connection_id).projects()
    return RailwayProjects(
        projects=[
            RailwayProject(
                id=each.id,
                name=each.name,
                services=_named(each.services),
                environments=_named(each.environments),
            )
            for each in found
        ]
    )


@router.get("/v1/app-connections/vercel/{connection_id}/projects", summary="List Vercel's teams and projects")
def list_vercel_projects(connection_id: UUID, runtime: RuntimeOf, caller: CallerOf) -> list[VercelTeam]:
    """List the teams with their projects; the personal account stands among them."""
    provider = cast(VercelProvider, _open(runtime, caller, "vercel", connection_id))
    found = provider.projects()
    teams = [
        VercelTeam(id=team.id, name=team.name, slug=team.slug, apps=_apps(found, team.id))
        for team in provider.teams()
    ]
    personal = _apps(found, None)
    if not personal:
        return teams
    account = provider.whoami()
    return [*teams, VercelTeam(id=account.id, name=account.name, slug=account.name, apps=personal)]


@router.get(
    "/v1/app-connections/vercel/{connection_id}/projects/{project_id}",
    summary="Get the environments of a Vercel project",
)
def get_vercel_project(
    connection_id: UUID,
    project_id: str,
    runtime: RuntimeOf,
    caller: CallerOf,
    team_id: Annotated[str | None, Query(alias="teamId", max_length=255)] = None,
) -> VercelProject:
    """Return the environments of a project, its custom ones included."""
    provider = cast(VercelProvider, _open(runtime, caller, "vercel", connection_id))
    found = next((each for each in provider.projects() if each.id == project_id), None)
    if found is None:
        raise NotFound("This connection cannot see a project with that id.")
    custom = provider.custom_environments(project_id, team_id or found.team_id)
    return VercelProject(
        id=found.id,
        name=found.name,
        envs=[
            *(VercelEnvironment(id=each.id, slug=each.name, type=each.id) for each in found.environments),
            *(VercelEnvironment(id=each.id, slug=each.name, type="custom") for each in custom),
        ],
        preview_branches=[],
    )


@router.get("/v1/app-connections/netlify/{connection_id}/accounts", summary="List Netlify's teams")
def list_netlify_accounts(connection_id: UUID, runtime: RuntimeOf, caller: CallerOf) -> NetlifyAccounts:
    """List the teams."""
    provider = cast(NetlifyProvider, _open(runtime, caller, "netlify", connection_id))
    return NetlifyAccounts(accounts=_named(provider.accounts()))


@router.get(
    "/v1/app-connections/netlify/{connection_id}/accounts/{account_id}/sites",
    summary="List the sites of a Netlify team",
)
def list_netlify_sites(
    connection_id: UUID, account_id: str, runtime: RuntimeOf, caller: CallerOf
) -> NetlifySites:
    """List the sites of a team."""
    provider = cast(NetlifyProvider, _open(runtime, caller, "netlify", connection_id))
    return NetlifySites(sites=_named(provider.sites(account_id)))


@router.get("/v1/app-connections/flyio/{connection_id}/apps", summary="List Fly.io's apps")
def list_flyio_apps(connection_id: UUID, runtime: RuntimeOf, caller: CallerOf) -> list[NamedOut]:
    """List the apps."""
    return _named(_open(runtime, caller, "flyio", connection_id).projects())


def _open(runtime: Runtime, caller: Caller, app: str, connection_id: UUID) -> Provider[Any]:
    require_use(runtime, caller, app, connection_id)
    return open_connection(runtime, app, connection_id)


def _apps(found: Iterable[Project], team_id: str | None) -> list[NamedOut]:
    return _named(each for each in found if each.team_id == team_id)


def _named(found: Iterable[Named | Project]) -> list[NamedOut]:
    return [NamedOut(id=each.id, name=each.name) for each in found]
