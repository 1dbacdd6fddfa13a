"""Machine identities: programs with rights of their own, which log in with an id and a secret."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid4

from pydantic import SecretStr
from sqlalchemy import delete
from sqlalchemy.orm import Session

from shared.crypto import hash_token, new_client_secret
from shared.db import identities
from shared.db.access_grants import AccessGrant, list_grants
from shared.db.identities import ClientSecret, Identity
from shared.errors import NotFound
from shared.runtime import Runtime
from shared.usecases.tokens import (
    Caller,
    Grants,
    Scope,
    add_grants,
    administers,
    grants_by_holder,
    require_over,
)

#: What clients of the wire are used to, in seconds.
THIRTY_DAYS = 30 * 86400


@dataclass(frozen=True, slots=True)
class IdentityDraft:
    """An identity to create, or what to change of one: None leaves a part as it is."""

    name: str | None = None
    grants: Grants | None = None
    token_ttl: int | None = None
    token_max_ttl: int | None = None


@dataclass(frozen=True, slots=True)
class IdentityView:
    """An identity and what it may do."""

    row: Identity
    grants: Grants


def create_identity(runtime: Runtime, caller: Caller, draft: IdentityDraft) -> IdentityView:
    """Create an identity, without any client secret yet.

    Raises ``Forbidden`` unless the caller administers every project in which it may do something.
    """
    now = runtime.clock()
    grants = draft.grants or {}
    require_over(caller, grants)
    row = Identity(
        id=uuid4(),
        name=draft.name,
        client_id=uuid4(),
        token_ttl=draft.token_ttl or THIRTY_DAYS,
        token_max_ttl=draft.token_max_ttl or THIRTY_DAYS,
        failed_logins=0,
        created_at=now,
        updated_at=now,
    )
    with runtime.database.transaction() as session:
        session.add(row)
        session.flush()
        add_grants(session, grants, now=now, identity_id=row.id)
    return IdentityView(row, grants)


def update_identity(
    runtime: Runtime, caller: Caller, identity_id: UUID, draft: IdentityDraft
) -> IdentityView:
    """Change an identity. Other grants hold at once, also for those that are logged in."""
    now = runtime.clock()
    with runtime.database.transaction() as session:
        view = _administered(session, caller, identity_id)
        row, grants = view.row, view.grants
        row.name = draft.name or row.name
        row.token_ttl = draft.token_ttl or row.token_ttl
        row.token_max_ttl = draft.token_max_ttl or row.token_max_ttl
        row.updated_at = now
        if draft.grants is not None:
            grants = draft.grants
            require_over(caller, grants)
            session.execute(delete(AccessGrant).where(AccessGrant.identity_id == row.id))
            add_grants(session, grants, now=now, identity_id=row.id)
    return IdentityView(row, grants)


def delete_identity(runtime: Runtime, caller: Caller, identity_id: UUID) -> IdentityView:
    """Delete an identity. Its client secrets, and the tokens of those that are logged in, end with it."""
    with runtime.database.transaction() as session:
        view = _administered(session, caller, identity_id)
        session.delete(view.row)
    return view


def get_identity(runtime: Runtime, caller: Caller, identity_id: UUID) -> IdentityView:
    """Return an identity that the caller administers. Raises ``NotFound``."""
    with runtime.database.snapshot() as session:
        return _administered(session, caller, identity_id)


def list_identities(
    runtime: Runtime, caller: Caller, project_id: UUID | None, *, limit: int, offset: int
) -> Sequence[IdentityView]:
    """Return the identities, oldest first; with *project_id* those that may do something there.

    Raises ``Forbidden`` unless the caller administers that project, or everything.
    """
    caller.require(Scope.ADMIN, project_id)
    with runtime.database.snapshot() as session:
        rows = identities.list_identities(session, project_id, limit=limit, offset=offset)
        held = list_grants(session, identities=[row.id for row in rows])
    granted = grants_by_holder(held)
    return [IdentityView(row, granted.get(row.id, {})) for row in rows]


# --- client secrets ------------------------------------------------------------------------------------


def create_client_secret(
    runtime: Runtime,
    caller: Caller,
    identity_id: UUID,
    *,
    description: str = "",
    lives: timedelta | None = None,
    uses_limit: int | None = None,
) -> tuple[ClientSecret, SecretStr]:
    """Store a new client secret and return it. It is shown this once."""
    secret = new_client_secret()
    now = runtime.clock()
    row = ClientSecret(
        id=uuid4(),
        identity_id=identity_id,
        hash=hash_token(secret.get_secret_value()),
        prefix=secret.get_secret_value()[:4],
        description=description,
        expires_at=None if lives is None else now + lives,
        uses=0,
        uses_limit=uses_limit,
        is_revoked=False,
        created_at=now,
        updated_at=now,
    )
    with runtime.database.transaction() as session:
        _administered(session, caller, identity_id)
        session.add(row)
    return row, secret


def list_client_secrets(runtime: Runtime, caller: Caller, identity_id: UUID) -> Sequence[ClientSecret]:
    """Return the client secrets of an identity, newest first."""
    with runtime.database.snapshot() as session:
        _administered(session, caller, identity_id)
        return identities.list_client_secrets(session, identity_id)


def get_client_secret(runtime: Runtime, caller: Caller, identity_id: UUID, secret_id: UUID) -> ClientSecret:
    """Return a client secret of an identity. Raises ``NotFound``."""
    with runtime.database.snapshot() as session:
        return _client_secret(session, caller, identity_id, secret_id)


def revoke_client_secret(
    runtime: Runtime, caller: Caller, identity_id: UUID, secret_id: UUID
) -> ClientSecret:
    """Let nobody log in with a client secret any more. Who is logged in stays so until the token expires."""
    with runtime.database.transaction() as session:
        row = _client_secret(session, caller, identity_id, secret_id)
        row.is_revoked, row.updated_at = True, runtime.clock()
    return row


# --- help ----------------------------------------------------------------------------------------------


def _client_secret(session: Session, caller: Caller, identity_id: UUID, secret_id: UUID) -> ClientSecret:
    _administered(session, caller, identity_id)
    row = session.get(ClientSecret, secret_id)
    if row is None or row.identity_id != identity_id:
        raise NotFound(f"The identity has no client secret with the id {secret_id}.")
    return row


def _administered(session: Session, caller: Caller, identity_id: UUID) -> IdentityView:
    """Return an identity, which exists only for who administers everything that it may touch."""
    row = session.get(Identity, identity_id)
    grants = grants_by_holder(list_grants(session, identities=[identity_id])).get(identity_id, {})
    if row is None or not administers(caller, grants):
        raise NotFound(f"There is no identity with the id {identity_id}.")
    return IdentityView(row, grants)
