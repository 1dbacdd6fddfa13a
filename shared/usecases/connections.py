"""Connections: credentials at a provider, checked against it before they are stored."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from pydantic import ValidationError
from sqlalchemy.orm import Session

from shared.broker import Task
from shared.db import connections, syncs
from shared.db.connections import Connection
from shared.db.jobs import Kind, Request, Trigger
from shared.errors import Conflict, InvalidInput, NotFound, Permanent
from shared.providers import PROVIDERS
from shared.providers.base import Account, Credentials, Project, Provider
from shared.runtime import Runtime
from shared.usecases.credentials import open_provider, revoke, seal, verify
from shared.usecases.sync_status import enqueue


@dataclass(frozen=True, slots=True)
class ConnectionDraft:
    """A connection to create. ``credentials`` are as the wire has them: field name → text."""

    app: str
    name: str
    method: str
    credentials: Mapping[str, Any] = field(default_factory=dict)
    description: str | None = None
    project_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """Credentials that the provider accepted, and whose they are."""

    app: str
    method: str
    credentials: Credentials
    account: Account
    project_id: UUID | None = None

    @property
    def team_id(self) -> str | None:
        """The team that granted it, None if that was the account itself."""
        return getattr(self.credentials, "team_id", None)

    @property
    def key(self) -> str:
        """The same text whenever the same account, or team, grants the same project access in this way."""
        parts = (self.app, self.method, self.account.id, self.team_id, self.project_id)
        return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()


#: An account's name is for people: of a long one, as much as they can read is kept.
_MAX_NAME = 255
#: Of two at once that connect one account, or wish for one name, the second has to look again.
ATTEMPTS = 3


def provider_named(app: str) -> type[Provider[Any]]:
    """Return the provider called *app*. Raises ``NotFound`` naming those that exist."""
    if app not in PROVIDERS:
        raise NotFound(f"There is no provider '{app}'. There are: {', '.join(sorted(PROVIDERS))}.")
    return PROVIDERS[app]


def create_connection(runtime: Runtime, draft: ConnectionDraft) -> Connection:
    """Store the connection, after the provider accepted its credentials.

    Raises ``InvalidInput`` if they have the wrong form or the provider rejects them, ``Conflict`` if the
    name is taken, and a ``Transient`` if the provider cannot tell just now. Then nothing was stored.
    """
    credentials = _parse(draft.app, draft.method, draft.credentials)
    with runtime.database.snapshot() as session:
        _refuse_taken_name(connections.find_by_name(session, draft.app, draft.name), draft.name)
    account = verify(runtime, draft.app, draft.method, credentials)
    row = new_row(runtime, draft, credentials, account)
    with runtime.database.transaction() as session:
        _refuse_taken_name(connections.find_by_name(session, draft.app, draft.name), draft.name)
        session.add(row)
    return row


def connect(runtime: Runtime, grant: Grant) -> Connection:
    """Store what was granted; an account, or team, that is connected already is renewed in place."""
    for _ in range(ATTEMPTS):
        try:
            connection, queued = _connect_once(runtime, grant)
        except Conflict:
            continue
        for job_id in queued:
            runtime.broker.send(Task.RUN_JOB, job_id)
        return connection
    raise Conflict("Too much changed at the same moment for this connection to be saved. Start again.")


def _connect_once(runtime: Runtime, grant: Grant) -> tuple[Connection, list[UUID]]:
    with runtime.database.transaction() as session:
        known = connections.lock_granted(session, grant.key)
        if known is not None:
            known.version += 1
            known.updated_at = runtime.clock()
            return known, renew(runtime, session, known, grant.credentials, grant.account)
        name = connections.free_name(session, grant.app, _name(grant))
        draft = ConnectionDraft(grant.app, name, grant.method, project_id=grant.project_id)
        row = new_row(runtime, draft, grant.credentials, grant.account)
        row.grant_key = grant.key
        session.add(row)
        return row, []


def _name(grant: Grant) -> str:
    """Return a name for people: whose account it is, and the team's id where there is one."""
    told = "-".join(part for part in (grant.app, grant.account.name, grant.team_id) if part)
    return re.sub(r"[^a-z0-9]+", "-", told.lower()).strip("-")[:56]


def update_connection(
    runtime: Runtime,
    app: str,
    connection_id: UUID,
    *,
    name: str | None = None,
    description: str | None = None,
    credentials: Mapping[str, Any] | None = None,
) -> Connection:
    """Change a connection. New credentials are checked first, and its syncs are run again with them."""
    row = get_connection(runtime, app, connection_id)
    parsed = account = None
    if credentials is not None:
        parsed = _parse(app, row.method, credentials)
        account = verify(runtime, app, row.method, parsed)
    with runtime.database.transaction() as session:
        row = _found(connections.lock(session, connection_id), app, connection_id)
        if name is not None and name != row.name:
            _refuse_taken_name(connections.find_by_name(session, app, name), name)
            row.name = name
        row.description = description if description is not None else row.description
        row.version += 1
        row.updated_at = runtime.clock()
        queued: list[UUID] = []
        if parsed is not None and account is not None:
            queued = renew(runtime, session, row, parsed, account)
    for job_id in queued:
        runtime.broker.send(Task.RUN_JOB, job_id)
    return row


def delete_connection(runtime: Runtime, app: str, connection_id: UUID) -> Connection:
    """Delete a connection, and end its tokens at the provider where that is possible.

    Raises ``Conflict`` naming the syncs that still use it; its tokens stay valid then.
    """
    with runtime.database.transaction() as session:
        row = _found(connections.lock(session, connection_id), app, connection_id)
        users = sorted(sync.name for sync in syncs.lock_using(session, connection_id))
        if users:
            raise Conflict(f"The connection '{row.name}' is still used by: {', '.join(users)}.")
        session.delete(row)
    revoke(runtime, row)
    return row


def check_connection(runtime: Runtime, app: str, connection_id: UUID) -> Connection:
    """Ask the provider whether the credentials still work, and return the connection with what it said.

    Raises a ``Transient`` if the provider cannot tell just now; then nothing is recorded.
    """
    seen = get_connection(runtime, app, connection_id)
    rejected = None
    try:
        open_provider(runtime, seen).whoami()
    except Permanent as error:
        rejected = error.message
    with runtime.database.transaction() as session:
        row = _found(connections.lock(session, connection_id), app, connection_id)
        # What was learnt about earlier credentials says nothing about new ones.
        if row.version == seen.version:
            row.note(rejected, runtime.clock())
    return row


def get_connection(runtime: Runtime, app: str, connection_id: UUID) -> Connection:
    """Return a connection of *app*. Raises ``NotFound``."""
    with runtime.database.snapshot() as session:
        return _found(session.get(Connection, connection_id), app, connection_id)


def find_connection(runtime: Runtime, app: str, name: str) -> Connection:
    """Return the connection of *app* with that name. Raises ``NotFound``."""
    with runtime.database.snapshot() as session:
        row = connections.find_by_name(session, app, name)
    if row is None:
        raise NotFound(f"There is no {app} connection named '{name}'.")
    return row


def list_connections(
    runtime: Runtime, *, app: str | None = None, project_id: UUID | None = None
) -> Sequence[Connection]:
    """Return the connections of *app*, or all; with *project_id* those that project may use."""
    with runtime.database.snapshot() as session:
        return connections.list_connections(session, app=app, project_id=project_id)


def open_connection(runtime: Runtime, app: str, connection_id: UUID) -> Provider[Any]:
    """Return the provider of a connection, ready to be asked for its listings."""
    return open_provider(runtime, get_connection(runtime, app, connection_id))


def list_projects(runtime: Runtime, app: str, connection_id: UUID) -> list[Project]:
    """Return the projects that the connection can see at its provider."""
    return open_connection(runtime, app, connection_id).projects()


def _parse(app: str, method: str, fields: Mapping[str, Any]) -> Credentials:
    kind = provider_named(app)
    if method not in kind.methods:
        raise InvalidInput(
            f"{kind.title} has no method '{method}'. It has: {', '.join(kind.methods)}.", field=("method",)
        )
    try:
        return kind.methods[method].model_validate(dict(fields))
    except ValidationError as error:
        # The error's own text would repeat what was sent.
        first = error.errors(include_input=False, include_url=False)[0]
        where = tuple(first["loc"])
        named = ".".join(map(str, where)) or "the credentials"
        raise InvalidInput(f"{named}: {first['msg']}.", field=("credentials", *where)) from None


def new_row(
    runtime: Runtime, draft: ConnectionDraft, credentials: Credentials, account: Account
) -> Connection:
    """Return a connection that is not stored yet, with credentials that the provider accepted."""
    now = runtime.clock()
    row = Connection(
        id=uuid4(),
        project_id=draft.project_id,
        app=draft.app,
        name=draft.name,
        description=draft.description,
        method=draft.method,
        data_key=runtime.keyring.new_data_key(),
        version=1,
        created_at=now,
        updated_at=now,
    )
    _install(runtime, row, credentials, account)
    return row


def renew(
    runtime: Runtime, session: Session, row: Connection, credentials: Credentials, account: Account
) -> list[UUID]:
    """Replace the credentials of a locked connection, and return the jobs that run its syncs with them."""
    _install(runtime, row, credentials, account)
    return _run_again(runtime, session, row.id)


def _install(runtime: Runtime, row: Connection, credentials: Credentials, account: Account) -> None:
    seal(runtime, row, credentials)
    team_id = getattr(credentials, "team_id", None)
    if (row.account_id, row.team_id) != (account.id, team_id):
        # What the former account grants again is another connection.
        row.grant_key = None
    row.account_id, row.account_name, row.team_id = account.id, account.name[:_MAX_NAME], team_id
    row.connected_at = row.updated_at
    row.blocked_until = row.refreshing_until = None
    row.note(None, row.updated_at)


def _run_again(runtime: Runtime, session: Session, connection_id: UUID) -> list[UUID]:
    """Stop what runs with the old credentials, and queue every active sync with the new ones."""
    now = runtime.clock()
    queued = []
    for sync in syncs.lock_using(session, connection_id):
        sync.generation += 1
        if sync.is_auto_sync_enabled and not sync.is_paused:
            queued.append(enqueue(session, sync, Request(Kind.SYNC, Trigger.UPDATE), now=now))
    return queued


def _refuse_taken_name(existing: Connection | None, name: str) -> None:
    if existing is not None:
        raise Conflict(f"There is already a connection named '{name}'.")


def _found(row: Connection | None, app: str, connection_id: UUID) -> Connection:
    if row is None or row.app != app:
        raise NotFound(f"There is no {app} connection with the id {connection_id}.")
    return row
