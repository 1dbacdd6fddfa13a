"""App connections: credentials at a provider. They are taken, and never given out again."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Depends, Query
from pydantic import Field, StringConstraints

from api.dependencies import CallerOf, RuntimeOf, require_own
from api.infisical.wire import (
    Dated,
    Description,
    Limit,
    Offset,
    ProviderName,
    Slug,
    WireModel,
    checked,
    new_router,
)
from shared.db.connections import Connection
from shared.errors import InvalidInput
from shared.providers import PROVIDERS
from shared.runtime import Runtime
from shared.usecases import connections, projects
from shared.usecases.connections import ConnectionDraft, provider_named
from shared.usecases.tokens import Caller, Scope

router = new_router(tag="App connections")

ConnectionName = Annotated[Slug, StringConstraints(max_length=64)]


def known_app(app: ProviderName) -> str:
    """Return *app* if there is such a provider. Raises ``NotFound`` naming those that exist."""
    return provider_named(app).name


App = Annotated[str, Depends(known_app)]

# --- what is sent --------------------------------------------------------------------------------------


class NewConnection(WireModel):
    name: ConnectionName = Field(examples=["railway-production"])
    description: Description | None = None
    project_id: UUID | None = Field(None, description="Only this project may use it; null: every project.")
    method: str = Field(max_length=64, examples=["account-token"])
    credentials: dict[str, Any] = Field(examples=[{"apiToken": "…"}])
    is_platform_managed_credentials: Literal[False] = False


class ChangedConnection(WireModel):
    """The method cannot change. New credentials are checked first."""

    name: ConnectionName | None = None
    description: Description | None = None
    credentials: dict[str, Any] | None = None
    method: Annotated[str, Field(max_length=64)] | None = Field(
        None, description="As it is: some clients send it again."
    )


class ConnectionFilter(WireModel):
    project_id: UUID | None = None
    limit: Limit = 1000
    offset: Offset = 0


class NameFilter(WireModel):
    project_id: UUID | None = None


# --- what is answered ----------------------------------------------------------------------------------


class OptionOut(WireModel):
    name: str
    app: str
    methods: list[str]


class Options(WireModel):
    app_connection_options: list[OptionOut]


class ProjectRef(WireModel):
    id: UUID
    name: str
    slug: str
    type: str = "secret-manager"


class ConnectionOut(Dated):
    id: UUID
    name: str
    description: str | None
    version: int
    org_id: None = None
    project_id: UUID | None
    project: ProjectRef | None
    app: str
    method: str
    credentials: dict[str, str] = Field(description="Never holds a secret.")
    is_platform_managed_credentials: bool = False
    gateway_id: None = None
    status: str
    account_name: str | None
    last_error: str | None
    last_checked_at: datetime | None


class OneConnection(WireModel):
    app_connection: ConnectionOut


class Connections(WireModel):
    app_connections: list[ConnectionOut]


class AvailableOut(WireModel):
    app: str
    name: str
    id: UUID
    project_id: UUID | None
    org_id: None = None


class AvailableConnections(WireModel):
    app_connections: list[AvailableOut]


# --- routes --------------------------------------------------------------------------------------------


@router.get("/v1/app-connections/options", summary="List the providers and their methods")
def list_connection_options(caller: CallerOf) -> Options:
    """List what one can connect to, and how."""
    return Options(
        app_connection_options=[
            OptionOut(name=kind.title, app=app, methods=list(kind.methods))
            for app, kind in sorted(PROVIDERS.items(), key=lambda entry: entry[1].title)
        ]
    )


@router.get("/v1/app-connections", summary="List the connections")
def list_connections(
    query: Annotated[ConnectionFilter, Query()], runtime: RuntimeOf, caller: CallerOf
) -> Connections:
    """List the connections that the caller may see, with `projectId` those that project may use."""
    return _shown(runtime, _listed(runtime, caller, query))


@router.get("/v1/app-connections/{app}", summary="List the connections to a provider")
def list_app_connections(
    app: App, query: Annotated[ConnectionFilter, Query()], runtime: RuntimeOf, caller: CallerOf
) -> Connections:
    """List the connections to one provider, with `projectId` those that project may use."""
    return _shown(runtime, _listed(runtime, caller, query, app))


@router.get("/v1/app-connections/{app}/available", summary="List the connections a sync can use")
def list_available_connections(
    app: App, query: Annotated[ConnectionFilter, Query()], runtime: RuntimeOf, caller: CallerOf
) -> AvailableConnections:
    """List the connections to one provider in short form."""
    return AvailableConnections(
        app_connections=[
            AvailableOut(app=row.app, name=row.name, id=row.id, project_id=row.project_id)
            for row in _listed(runtime, caller, query, app)
        ]
    )


@router.get("/v1/app-connections/{app}/connection-name/{name}", summary="Get a connection by its name")
def get_connection_by_name(
    app: App, name: str, query: Annotated[NameFilter, Query()], runtime: RuntimeOf, caller: CallerOf
) -> OneConnection:
    """Return a connection by its name."""
    row = connections.find_connection(runtime, app, name)
    _require(caller, Scope.READ, row, what=f"{app} connection named '{name}'")
    return _one(runtime, row)


@router.get("/v1/app-connections/{app}/{connection_id}", summary="Get a connection")
def get_connection(app: App, connection_id: UUID, runtime: RuntimeOf, caller: CallerOf) -> OneConnection:
    """Return a connection by its id."""
    row = connections.get_connection(runtime, app, connection_id)
    _require(caller, Scope.READ, row, what=f"{app} connection with the id {connection_id}")
    return _one(runtime, row)


@router.post("/v1/app-connections/{app}", summary="Create a connection")
def create_connection(app: App, body: NewConnection, runtime: RuntimeOf, caller: CallerOf) -> OneConnection:
    """Store credentials, after the provider accepted them."""
    _require_change(caller, body.project_id)
    if body.project_id is not None:
        projects.get_project(runtime, body.project_id)
    draft = ConnectionDraft(
        app=app,
        name=body.name,
        method=body.method,
        credentials=_checked_credentials(app, body.method, body.credentials),
        description=body.description,
        project_id=body.project_id,
    )
    return _one(runtime, connections.create_connection(runtime, draft))


@router.patch("/v1/app-connections/{app}/{connection_id}", summary="Change a connection")
def update_connection(
    app: App, connection_id: UUID, body: ChangedConnection, runtime: RuntimeOf, caller: CallerOf
) -> OneConnection:
    """Change a connection. After new credentials its syncs run again."""
    row = _changeable(runtime, caller, app, connection_id)
    if body.method not in (None, row.method):
        raise InvalidInput("The method of a connection cannot change. Make another one.", field=("method",))
    credentials = body.credentials
    if credentials is not None:
        credentials = _checked_credentials(app, row.method, credentials)
    changed = connections.update_connection(
        runtime,
        app,
        connection_id,
        name=body.name,
        description=body.text_of("description"),
        credentials=credentials,
    )
    return _one(runtime, changed)


@router.post("/v1/app-connections/{app}/{connection_id}/check", summary="Check a connection")
def check_connection(app: App, connection_id: UUID, runtime: RuntimeOf, caller: CallerOf) -> OneConnection:
    """Ask the provider whether the credentials still work; `status` and `lastError` say what it answered."""
    require_use(runtime, caller, app, connection_id)
    return _one(runtime, connections.check_connection(runtime, app, connection_id))


@router.delete("/v1/app-connections/{app}/{connection_id}", summary="Delete a connection")
def delete_connection(app: App, connection_id: UUID, runtime: RuntimeOf, caller: CallerOf) -> OneConnection:
    """Delete a connection that no sync uses."""
    _changeable(runtime, caller, app, connection_id)
    return _one(runtime, connections.delete_connection(runtime, app, connection_id))


# --- who may -------------------------------------------------------------------------------------------


def require_use(runtime: Runtime, caller: Caller, app: str, connection_id: UUID) -> None:
    """Raise an error unless *caller* may let that connection call its provider."""
    row = connections.get_connection(runtime, app, connection_id)
    what = f"{app} connection with the id {connection_id}"
    _require(caller, Scope.SYNC, row, what=what)


def _changeable(runtime: Runtime, caller: Caller, app: str, connection_id: UUID) -> Connection:
    row = connections.get_connection(runtime, app, connection_id)
    if row.project_id is None:
        _require_change(caller, None)
    else:
        what = f"{app} connection with the id {connection_id}"
        require_own(caller, Scope.SYNC, row.project_id, what=what)
    return row


def _require_change(caller: Caller, project_id: UUID | None) -> None:
    # What every project may use is the administrator's.
    caller.require(Scope.ADMIN if project_id is None else Scope.SYNC, project_id)


def _require(caller: Caller, scope: Scope, row: Connection, *, what: str) -> None:
    if row.project_id is None:
        # Every project may use it, and so may everybody who may do that in one.
        caller.require_somewhere(scope)
    else:
        require_own(caller, scope, row.project_id, what=what)


# --- help ----------------------------------------------------------------------------------------------


def _listed(
    runtime: Runtime, caller: Caller, query: ConnectionFilter, app: str | None = None
) -> Sequence[Connection]:
    rows = connections.list_connections(runtime, app=app, project_id=query.project_id)
    if query.project_id is not None:
        caller.require(Scope.READ, query.project_id)
    else:
        caller.require_somewhere(Scope.READ)
        rows = [row for row in rows if row.project_id is None or caller.may(Scope.READ, row.project_id)]
    return rows[query.offset : query.offset + query.limit]


def _checked_credentials(app: str, method: str, fields: dict[str, Any]) -> dict[str, Any]:
    kind = provider_named(app).methods.get(method)
    # A method that does not exist is the use-case's to name.
    return checked(kind, fields, at="credentials") if kind else fields


def _shown(runtime: Runtime, rows: Sequence[Connection]) -> Connections:
    owners = {row.project_id: _project_of(runtime, row.project_id) for row in rows}
    return Connections(app_connections=[connection_out(row, owners[row.project_id]) for row in rows])


def _one(runtime: Runtime, row: Connection) -> OneConnection:
    return OneConnection(app_connection=connection_out(row, _project_of(runtime, row.project_id)))


def _project_of(runtime: Runtime, project_id: UUID | None) -> ProjectRef | None:
    if project_id is None:
        return None
    project = projects.get_project(runtime, project_id).project
    return ProjectRef(id=project.id, name=project.name, slug=project.slug)


def connection_out(row: Connection, project: ProjectRef | None) -> ConnectionOut:
    """Return the wire form of a connection, which has no credentials."""
    return ConnectionOut(
        id=row.id,
        name=row.name,
        description=row.description or None,
        version=row.version,
        project_id=row.project_id,
        project=project,
        app=row.app,
        method=row.method,
        credentials={},
        status=row.status,
        account_name=row.account_name,
        last_error=row.last_error,
        last_checked_at=row.last_checked_at,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
