"""The credentials of a connection: sealing them, and keeping those fresh that OAuth gave out.

A token that is about to expire is renewed by one worker for all. It takes a lease in the database, calls the
provider with no transaction open, and stores the new tokens before anybody uses them. Meanwhile the others
go on with the old token, and come back later once that has expired.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeGuard
from uuid import UUID

import structlog

from shared.crypto import credentials_place
from shared.db import connections
from shared.db.connections import Connection
from shared.errors import (
    CredentialsRejected,
    InvalidInput,
    KeytideError,
    NotFound,
    Permanent,
    ProviderError,
    Unavailable,
)
from shared.providers import PROVIDERS
from shared.providers.base import (
    CALL_SECONDS,
    Access,
    Account,
    Credentials,
    OAuthCredentials,
    Provider,
    RateLimit,
)
from shared.providers.oauth import OAuthFlow
from shared.runtime import Runtime

log = structlog.get_logger()

#: How long before its end a token is renewed.
RENEW_BEFORE = timedelta(minutes=5)
#: How long one worker may take to renew a token: longer than the call can last, with the waits before it.
LEASE = timedelta(seconds=2 * CALL_SECONDS)


def open_provider(
    runtime: Runtime,
    connection: Connection,
    *,
    before_call: Callable[[], None] = lambda: None,
    observe: Callable[[RateLimit], None] = lambda limit: None,
) -> Provider[Any]:
    """Return the provider of *connection*; a token about to expire is renewed first.

    Raises ``CredentialsRejected`` if that is no longer possible, a ``Transient`` if it is not possible now.
    """
    if _due(unseal(runtime, connection), runtime.clock()):
        connection = _renewed(runtime, connection)
    access = Access(
        method=connection.method,
        credentials=unseal(runtime, connection),
        http=runtime.http,
        address=runtime.settings.address(connection.app),
        before_call=before_call,
        observe=observe,
    )
    return PROVIDERS[connection.app](access)


def unseal(runtime: Runtime, connection: Connection) -> Credentials:
    """Return the credentials of *connection*. Raises ``CryptoError``."""
    opened = runtime.data_key(connection.data_key).open(
        connection.credentials, *credentials_place(connection.id)
    )
    return PROVIDERS[connection.app].methods[connection.method].model_validate_json(opened.get_secret_value())


def verify(runtime: Runtime, app: str, method: str, credentials: Credentials) -> Account:
    """Return whose credentials these are. Raises ``InvalidInput`` if the provider does not accept them."""
    access = Access(
        method=method, credentials=credentials, http=runtime.http, address=runtime.settings.address(app)
    )
    try:
        return PROVIDERS[app](access).whoami()
    except Permanent as error:
        raise InvalidInput(
            f"The connection was not saved, because it could not be checked: {error.message}",
            field=("credentials",),
        ) from None


def seal(runtime: Runtime, connection: Connection, credentials: Credentials) -> None:
    """Put *credentials* into *connection*, sealed."""
    data_key = runtime.data_key(connection.data_key)
    connection.credentials = data_key.seal(credentials.reveal(), *credentials_place(connection.id))


def oauth_flow(runtime: Runtime, app: str) -> OAuthFlow:
    """Return the OAuth flow of the provider *app*. Raises ``InvalidInput`` if it is not offered here."""
    kind = PROVIDERS[app]
    if kind.oauth is None:
        raise InvalidInput(f"{kind.title} is not connected with a browser: connect it with a token.")
    client = runtime.settings.oauth_client(app)
    if client is None:
        raise InvalidInput(
            f"{kind.title} is not configured on this server: set KEYTIDE_{app.upper()}_CLIENT_ID and what "
            "belongs to it, or connect it with a token."
        )
    return OAuthFlow(kind.title, kind.oauth, client, runtime.http, runtime.settings.address(app))


def revoke(runtime: Runtime, connection: Connection) -> None:
    """End the tokens of *connection* at its provider if that is possible. A failure is logged, not raised."""
    fields = {"app": connection.app, "connection_id": str(connection.id)}
    try:
        credentials = unseal(runtime, connection)
        if isinstance(credentials, OAuthCredentials):
            done = oauth_flow(runtime, connection.app).revoke(credentials)
            log.info("connection.revoked" if done else "connection.not_revocable", **fields)
    except KeytideError as error:
        log.warning("connection.not_revoked", reason=error.message, **fields)


# --- renewing ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Lease:
    """The right to renew these credentials, ours alone until then."""

    connection: Connection
    credentials: OAuthCredentials
    until: datetime

    def holds(self, row: Connection | None) -> TypeGuard[Connection]:
        """Is *row* still as it was when the lease began?"""
        # Connecting anew ends the lease: those credentials are not to be replaced.
        return row is not None and row.refreshing_until == self.until


def _due(credentials: Credentials, now: datetime) -> OAuthCredentials | None:
    """Return *credentials* if they have to be renewed and can be, else None."""
    if not isinstance(credentials, OAuthCredentials) or credentials.refresh_token is None:
        return None
    ends = credentials.expires_at
    return credentials if ends is not None and ends - RENEW_BEFORE <= now else None


def _has_expired(credentials: OAuthCredentials, now: datetime) -> bool:
    return credentials.expires_at is not None and credentials.expires_at <= now


def _renewed(runtime: Runtime, connection: Connection) -> Connection:
    """Return *connection* with a token that can be used, renewed by us or by somebody else."""
    flow = oauth_flow(runtime, connection.app)
    claimed = _claim(runtime, connection.id)
    if isinstance(claimed, Connection):
        return claimed
    try:
        fresh = flow.refresh(claimed.credentials, now=runtime.clock())
    except ProviderError as error:
        _end(runtime, claimed, error)
        if isinstance(error, CredentialsRejected) or _has_expired(claimed.credentials, runtime.clock()):
            raise
        return claimed.connection
    return _store(runtime, claimed, fresh)


def _claim(runtime: Runtime, connection_id: UUID) -> _Lease | Connection:
    """Return the lease to renew the connection's token, or the connection if its token is good as it is.

    Raises ``Unavailable`` if somebody else renews it and the old one cannot be used any more.
    """
    now = runtime.clock()
    with runtime.database.transaction() as session:
        row = _found(connections.lock(session, connection_id))
        due = _due(unseal(runtime, row), now)
        if due is None:
            return row
        if row.refreshing_until is None or row.refreshing_until <= now:
            row.refreshing_until = now + LEASE
            return _Lease(row, due, row.refreshing_until)
    if _has_expired(due, now):
        title = PROVIDERS[row.app].title
        raise Unavailable(f"The access to {title} is being renewed by another worker.", provider=title)
    return row


def _store(runtime: Runtime, lease: _Lease, fresh: OAuthCredentials) -> Connection:
    with runtime.database.transaction() as session:
        row = _found(connections.lock(session, lease.connection.id))
        if lease.holds(row):
            seal(runtime, row, fresh)
            row.refreshing_until = None
    log.info("connection.renewed", app=row.app, connection_id=str(row.id))
    return row


def _end(runtime: Runtime, lease: _Lease, error: ProviderError) -> None:
    """Give the lease back; where the provider refuses for good, the connection shows it."""
    with runtime.database.transaction() as session:
        row = connections.lock(session, lease.connection.id)
        if not lease.holds(row):
            return
        row.refreshing_until = None
        if isinstance(error, CredentialsRejected):
            row.note(error.message, runtime.clock())


def _found(row: Connection | None) -> Connection:
    if row is None:
        raise NotFound("The connection was deleted.")
    return row
