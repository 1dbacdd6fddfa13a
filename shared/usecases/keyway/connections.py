"""Connections as Keyway's clients see them: made with a token alone, and used by whole vaults."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog
from pydantic import SecretStr, ValidationError

from shared.db import connections, syncs, vault
from shared.db.connections import Connection
from shared.errors import Conflict, InvalidInput, KeytideError, NotFound
from shared.providers.base import Project, Service
from shared.runtime import Runtime
from shared.usecases.connections import Grant, connect, delete_connection, list_projects, provider_named
from shared.usecases.credentials import verify
from shared.usecases.github import GitHub, Role
from shared.usecases.keyway.access import Member, Permission, Visitor, role_in
from shared.usecases.keyway.targets import is_ours
from shared.usecases.syncs import delete_sync

log = structlog.get_logger()

#: The providers of this wire, in its order.
NAMES = ("vercel", "railway", "netlify", "flyio")

#: What a token may be at each provider: connection method, and the field that holds it.
TOKEN_METHODS: Mapping[str, Sequence[tuple[str, str]]] = {
    "vercel": [("api-token", "apiToken")],
    "railway": [
        ("account-token", "apiToken"),
        ("workspace-token", "apiToken"),
        ("project-token", "apiToken"),
    ],
    "netlify": [("access-token", "accessToken")],
    "flyio": [("access-token", "accessToken")],
}

INVALID_TOKEN = "Invalid API token. Please check your token and try again."  # noqa: S105 - a message
NO_CONNECTION = "Connection not found"


@dataclass(frozen=True, slots=True)
class Entry:
    """A project at a provider; where it has services, one of them."""

    connection: Connection
    project: Project
    service: Service | None = None

    @property
    def linked_repo(self) -> str | None:
        """The repository it is built from, ``owner/name``."""
        return self.service.linked_repo if self.service else self.project.linked_repo


def known_provider(name: str) -> str:
    """Return *name* if it is a provider of this wire. Raises ``NotFound``."""
    if name not in NAMES:
        raise NotFound(f"Provider {name} not found. There are: {', '.join(NAMES)}.")
    return name


# --- who may use which ---------------------------------------------------------------------------------


def visible(runtime: Runtime, github: GitHub, visitor: Visitor) -> list[Connection]:
    """Return the connections that the caller may know of, oldest first.

    People known to GitHub see those that the vaults use in which they may write.
    """
    with runtime.database.snapshot() as session:
        rows = [row for row in connections.list_connections(session) if row.app in NAMES]
        vaults = vault.list_vaults(session, visitor.project_id)
        used = {row.id: {sync.connection_id for sync in syncs.list_syncs(session, row.id)} for row in vaults}
    if visitor.github is None:
        seen = [row for row in rows if row.project_id is None or visitor.project_id in (None, row.project_id)]
        return sorted(seen, key=_age)
    allowed: set[UUID] = set()
    for project in vaults:
        bound = {row.id for row in rows if row.project_id == project.id}
        if used[project.id] | bound and (role_in(github, visitor, project) or 0) >= Role.WRITE:
            allowed |= used[project.id] | bound
    return sorted((row for row in rows if row.id in allowed), key=_age)


def usable(runtime: Runtime, member: Member, connection_id: UUID) -> Connection:
    """Return a connection that the caller may use for this vault. Raises ``NotFound``.

    People known to GitHub may use those that the vault uses already.
    """
    with runtime.database.snapshot() as session:
        row = session.get(Connection, connection_id)
        used = {sync.connection_id for sync in syncs.list_syncs(session, member.project.id)}
    if row is None or row.app not in NAMES or row.project_id not in (None, member.project.id):
        raise NotFound(f"{NO_CONNECTION} or does not belong to you")
    if member.visitor.github is not None and row.project_id is None and row.id not in used:
        raise NotFound(f"{NO_CONNECTION} or does not belong to you")
    return row


def find_visible(runtime: Runtime, github: GitHub, visitor: Visitor, connection_id: UUID) -> Connection:
    """Return a connection that the caller may know of. Raises ``NotFound``."""
    for row in visible(runtime, github, visitor):
        if row.id == connection_id:
            return row
    raise NotFound(NO_CONNECTION)


# --- making and ending them ----------------------------------------------------------------------------


def connect_with_token(runtime: Runtime, visitor: Visitor, provider: str, token: SecretStr) -> Connection:
    """Connect a provider, after it accepted *token*. An account that is connected already is renewed.

    Raises ``InvalidInput`` if the provider does not accept it.
    """
    visitor.require(Permission.CONNECT)
    for method, name in TOKEN_METHODS[known_provider(provider)]:
        try:
            credentials = provider_named(provider).methods[method].model_validate({name: token})
            account = verify(runtime, provider, method, credentials)
        except (ValidationError, InvalidInput):
            continue
        return connect(runtime, Grant(provider, method, credentials, account, visitor.project_id))
    raise InvalidInput(INVALID_TOKEN, field=("token",))


def disconnect(runtime: Runtime, visitor: Visitor, connection_id: UUID) -> None:
    """Delete a connection with the syncs that this wire made for it, and end its tokens where possible.

    What was written stays at the provider. Raises ``NotFound``, or ``Conflict`` naming other syncs.
    """
    visitor.require(Permission.CONNECT)
    with runtime.database.transaction() as session:
        row = session.get(Connection, connection_id)
        if row is None or row.app not in NAMES or visitor.project_id not in (None, row.project_id):
            raise NotFound(NO_CONNECTION)
        users = syncs.lock_using(session, connection_id)
    others = sorted(sync.name for sync in users if not is_ours(sync))
    if others:
        raise Conflict(f"The connection '{row.name}' is still used by: {', '.join(others)}.")
    for sync in users:
        delete_sync(runtime, sync.destination, sync.id)
    delete_connection(runtime, row.app, row.id)


# --- what they show ------------------------------------------------------------------------------------


def entries(runtime: Runtime, connection: Connection) -> list[Entry]:
    """Return the projects that a connection shows, those with services once for each of them."""
    found = []
    for project in list_projects(runtime, connection.app, connection.id):
        services: Sequence[Service | None] = project.services or (None,)
        found += [Entry(connection, project, service) for service in services]
    return found


def all_entries(runtime: Runtime, seen: Sequence[Connection]) -> tuple[list[Entry], dict[UUID, str]]:
    """Return what all these connections show, and why those fail that do. One failure hides no other's."""
    found: list[Entry] = []
    failed: dict[UUID, str] = {}
    for connection in seen:
        try:
            found += entries(runtime, connection)
        except KeytideError as error:
            log.warning("projects.unavailable", connection_id=str(connection.id), error=type(error).__name__)
            failed[connection.id] = error.message
    return found, failed


def _age(row: Connection) -> tuple[object, ...]:
    return row.created_at, str(row.id)
