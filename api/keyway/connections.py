"""Providers, connections to them, and the projects that these show."""

from collections.abc import Iterable
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import Field, SecretStr

from api.dependencies import RuntimeOf
from api.keyway.dependencies import GitHubOf, VisitorOf, count_request
from api.keyway.errors import RESPONSES
from api.keyway.pages import message_page
from api.keyway.wire import Envelope, MetaOf, Moment, WireModel, new_router
from shared.db.connections import Connection
from shared.errors import InvalidInput, KeytideError
from shared.providers import PROVIDERS
from shared.runtime import Runtime
from shared.usecases import oauth
from shared.usecases.keyway import connections
from shared.usecases.keyway.access import Permission
from shared.usecases.keyway.connections import NAMES, Entry, known_provider

router = new_router(tag="integrations", prefix="/integrations")
#: What needs no token: the list of providers, and where they send browsers back to.
public_router = APIRouter(
    prefix="/v1/integrations", tags=["Keyway: integrations"], responses={404: RESPONSES[404]}
)

ProviderName = Annotated[str, Depends(lambda provider: known_provider(provider))]

#: How long the cookie that ties a sign-in to its browser lives, in seconds.
_COOKIE_SECONDS = 600

# --- what is sent and answered -------------------------------------------------------------------------


class ConnectBody(WireModel):
    token: SecretStr = Field(min_length=1, max_length=5000, description="An API token of the provider.")


class AuthorizeQuery(WireModel):
    redirect_uri: str | None = Field(None, alias="redirect_uri", max_length=2048)


class ProviderOut(WireModel):
    name: str
    display_name: str
    configured: bool


class Providers(WireModel):
    providers: list[ProviderOut]


class ConnectionOut(WireModel):
    """A connection, never its credentials. ``createdAt`` is when they were last given.

    So a client that waits for its sign-in sees a renewed connection as a new one.
    """

    id: UUID
    provider: str
    provider_user_id: str | None
    provider_team_id: str | None
    provider_account_id: str | None
    name: str
    status: str
    last_error: str | None
    created_at: Moment
    updated_at: Moment


class Connections(WireModel):
    connections: list[ConnectionOut]


class ConnectedUser(WireModel):
    id: str | None
    username: str | None
    email: str | None
    team_name: str | None


class Connected(WireModel):
    success: bool
    provider: str
    user: ConnectedUser
    connection: ConnectionOut


class ProjectOut(WireModel):
    """A project at the provider; where it has services, one of them."""

    id: str
    name: str
    service_id: str | None
    service_name: str | None
    linked_repo: str | None
    framework: str | None
    environments: list[str]
    connection_id: UUID
    team_id: str | None
    team_name: str | None


class Projects(WireModel):
    projects: list[ProjectOut]


class FailedConnection(WireModel):
    connection_id: UUID
    error: str


class AllProjects(Projects):
    connections: list[ConnectionOut]
    failed: list[FailedConnection]


# --- providers and connections -------------------------------------------------------------------------


@public_router.get("", summary="List the providers", dependencies=[Depends(count_request)])
def list_providers(runtime: RuntimeOf, meta: MetaOf) -> Envelope[Providers]:
    """List the providers, and which of them can be connected here."""
    listed = [
        ProviderOut(name=name, display_name=PROVIDERS[name].title, configured=_is_configured(runtime, name))
        for name in NAMES
    ]
    return Envelope(data=Providers(providers=listed), meta=meta)


@router.get("/connections", summary="List the connections")
def list_connections(
    runtime: RuntimeOf, github: GitHubOf, visitor: VisitorOf, meta: MetaOf
) -> Envelope[Connections]:
    """List the connections that the caller may use, oldest first."""
    visitor.require(Permission.READ)
    rows = connections.visible(runtime, github, visitor)
    return Envelope(data=Connections(connections=_connections(rows)), meta=meta)


@router.delete("/connections/{connection_id}", summary="Delete a connection", status_code=204)
def delete_connection(connection_id: UUID, runtime: RuntimeOf, visitor: VisitorOf) -> Response:
    """Delete a connection and the syncs made for it here, and end its tokens at the provider if possible.

    What was written stays there. A sync that somebody relies on stops this: 409 names it.
    """
    connections.disconnect(runtime, visitor, connection_id)
    return Response(status_code=204)


@router.post("/{provider}/connect", summary="Connect a provider with a token")
def connect(
    provider: ProviderName, body: ConnectBody, runtime: RuntimeOf, visitor: VisitorOf, meta: MetaOf
) -> Envelope[Connected]:
    """Store a token of the provider's after it accepted it. An account that is connected is renewed."""
    row = connections.connect_with_token(runtime, visitor, provider, body.token)
    is_team = _team(row) is not None
    user = ConnectedUser(
        id=row.account_id,
        username=row.account_name,
        email=None,
        team_name=row.account_name if is_team else None,
    )
    [connection] = _connections([row])
    told = Connected(success=True, provider=provider, user=user, connection=connection)
    return Envelope(data=told, meta=meta)


# --- projects ------------------------------------------------------------------------------------------


@router.get("/connections/{connection_id}/projects", summary="List the projects of a connection")
def list_projects(
    connection_id: UUID, runtime: RuntimeOf, github: GitHubOf, visitor: VisitorOf, meta: MetaOf
) -> Envelope[Projects]:
    """List the projects that a connection shows."""
    visitor.require(Permission.READ)
    row = connections.find_visible(runtime, github, visitor, connection_id)
    found = connections.entries(runtime, row)
    return Envelope(data=Projects(projects=_projects(found)), meta=meta)


@router.get("/providers/{provider}/all-projects", summary="List the projects of every connection")
def list_all_projects(
    provider: ProviderName, runtime: RuntimeOf, github: GitHubOf, visitor: VisitorOf, meta: MetaOf
) -> Envelope[AllProjects]:
    """List the projects of all connections to a provider; `failed` names those that do not answer."""
    visitor.require(Permission.READ)
    rows = [row for row in connections.visible(runtime, github, visitor) if row.app == provider]
    found, failed = connections.all_entries(runtime, rows)
    told = AllProjects(
        projects=_projects(found),
        connections=_connections(rows),
        failed=[FailedConnection(connection_id=id_, error=error) for id_, error in failed.items()],
    )
    return Envelope(data=told, meta=meta)


# --- with a browser ------------------------------------------------------------------------------------


@router.get(
    "/{provider}/authorize",
    summary="Connect a provider with a browser",
    status_code=302,
    response_class=RedirectResponse,
)
def authorize(
    provider: ProviderName,
    query: Annotated[AuthorizeQuery, Query()],
    runtime: RuntimeOf,
    visitor: VisitorOf,
) -> Response:
    """Send the browser to the provider. Only here a token may stand in the query: browsers send no header."""
    visitor.require(Permission.CONNECT)
    begun = oauth.begin(
        runtime,
        provider,
        visitor.require_token(),
        project_id=visitor.project_id,
        redirect_uri=query.redirect_uri,
    )
    response = RedirectResponse(begun.url, 302)
    response.set_cookie(
        _cookie(provider),
        begun.browser_nonce.get_secret_value(),
        max_age=_COOKIE_SECONDS,
        path="/v1/integrations",
        secure=runtime.settings.public_url.startswith("https://"),
        httponly=True,
        samesite="lax",
    )
    return response


@public_router.get(
    "/{provider}/callback",
    summary="Come back from a provider",
    response_class=Response,
    responses={
        302: {"description": "Connected: the browser goes back to where it was begun."},
        400: {"description": "It was not connected; the page says why."},
    },
)
def come_back(
    provider: ProviderName,
    request: Request,
    runtime: RuntimeOf,
    code: Annotated[str, Query(max_length=4096)] = "",
    state: Annotated[str, Query(max_length=512)] = "",
    error: Annotated[str, Query(max_length=512)] = "",
) -> Response:
    """Finish connecting, in the browser that began it."""
    if error:
        # What the provider says about it could be anybody's text: it is not repeated.
        return message_page("Authorization Denied", f"{PROVIDERS[provider].title} was not connected.")
    if not code or not state:
        raise InvalidInput("Missing code or state", field=("code",))
    nonce = request.cookies.get(_cookie(provider), "")
    try:
        done = oauth.complete(runtime, provider, code=SecretStr(code), state=state, browser_nonce=nonce)
    except KeytideError as failed:
        return message_page("Connection Failed", failed.message, status=400)
    request.state.objects = {"connection": str(done.connection.id)}
    told = f"{PROVIDERS[provider].title} is connected as {done.connection.account_name}."
    response = (
        RedirectResponse(done.redirect_uri, 302)
        if done.redirect_uri
        else message_page("You're all set!", f"{told} You can close this page.")
    )
    response.delete_cookie(_cookie(provider), path="/v1/integrations")
    return response


def _cookie(provider: str) -> str:
    return f"keytide_connect_{provider}"


# --- shown ---------------------------------------------------------------------------------------------


def _is_configured(runtime: Runtime, name: str) -> bool:
    # Where there is OAuth, clients connect with a browser only; else with a token, which needs no set-up.
    return PROVIDERS[name].oauth is None or oauth.is_offered(runtime, name)


def _connections(rows: Iterable[Connection]) -> list[ConnectionOut]:
    return [
        ConnectionOut(
            id=row.id,
            provider=row.app,
            provider_user_id=row.account_id,
            provider_team_id=_team(row),
            provider_account_id=_team(row) or row.account_id,
            name=row.name,
            status=row.status,
            last_error=row.last_error,
            created_at=row.connected_at,
            updated_at=row.updated_at,
        )
        for row in rows
    ]


def _team(row: Connection) -> str | None:
    """Return the team that a connection belongs to as a whole."""
    return row.account_id if row.method in ("workspace-token", "team-token") else row.team_id


def _projects(found: Iterable[Entry]) -> list[ProjectOut]:
    return [
        ProjectOut(
            id=each.project.id,
            name=each.project.name,
            service_id=each.service.id if each.service else None,
            service_name=each.service.name if each.service else None,
            linked_repo=each.linked_repo,
            framework=each.project.framework,
            environments=[environment.name for environment in each.project.environments],
            connection_id=each.connection.id,
            team_id=each.project.team_id,
            team_name=each.project.team_name,
        )
        for each in found
    ]
