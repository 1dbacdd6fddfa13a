"""Logging in as a machine identity: a client id and a client secret for a token that ends.

Whatever is wrong with them, the answer is the same: it tells neither whether the id exists nor whether it
is locked. After ``MAX_FAILURES`` in a row nobody logs in with that id for ``LOCKOUT``, not even with the
right secret, so that secrets cannot be tried out.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from pydantic import SecretStr
from sqlalchemy.orm import Session

from shared.crypto import hash_token, new_token
from shared.db import identities, tokens
from shared.db.identities import Identity
from shared.db.tokens import ApiToken
from shared.errors import Unauthenticated
from shared.runtime import Runtime

MAX_FAILURES = 3
LOCKOUT = timedelta(seconds=300)

REFUSED = "Invalid credentials"
NOT_RENEWABLE = "This token cannot be renewed. Log in again."
NOT_REVOCABLE = "This is not the token of a login."


class WrongSecret(Unauthenticated):
    """Invalid credentials, for an identity that there is. The caller is not told the difference."""


@dataclass(frozen=True, slots=True)
class Login:
    """A token, who holds it, and in seconds how long it is valid and can be renewed to be."""

    token: SecretStr
    identity: Identity
    expires_in: int
    max_ttl: int


def log_in(runtime: Runtime, client_id: str, client_secret: SecretStr) -> Login:
    """Return a new token for the identity. Raises ``WrongSecret``; ``Unauthenticated`` if there is none."""
    login = None
    with runtime.database.transaction() as session:
        # A failure is counted, so it must not roll back.
        identity = _known(session, client_id)
        if identity is not None:
            login = _attempt(runtime, session, identity, client_secret)
    if login is None:
        raise (WrongSecret if identity else Unauthenticated)(REFUSED)
    return login


def renew(runtime: Runtime, token: SecretStr) -> Login:
    """Let a token of a login be valid for longer, up to its identity's limit. Raises ``Unauthenticated``."""
    now = runtime.clock()
    with runtime.database.transaction() as session:
        row = tokens.lock_by_hash(session, hash_token(token.get_secret_value()))
        identity = session.get(Identity, row.identity_id) if row and row.identity_id else None
        if row is None or identity is None or row.expires_at is None or row.expires_at <= now:
            raise Unauthenticated(NOT_RENEWABLE)
        row.expires_at = _end(now, identity.token_ttl, row.renewable_until)
    return Login(token, identity, _seconds(row.expires_at - now), identity.token_max_ttl)


def revoke(runtime: Runtime, token: SecretStr) -> Identity:
    """End a token of a login at once, and return who held it. Raises ``Unauthenticated``."""
    with runtime.database.transaction() as session:
        row = tokens.lock_by_hash(session, hash_token(token.get_secret_value()))
        identity = session.get(Identity, row.identity_id) if row and row.identity_id else None
        if row is None or identity is None:
            # Tokens that were made by hand are ended by their administrator, not by whoever holds them.
            raise Unauthenticated(NOT_REVOCABLE)
        session.delete(row)
    return identity


def _known(session: Session, client_id: str) -> Identity | None:
    return identities.lock_by_client_id(session, UUID(client_id)) if _is_client_id(client_id) else None


def _is_client_id(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def _attempt(runtime: Runtime, session: Session, identity: Identity, secret: SecretStr) -> Login | None:
    now = runtime.clock()
    if identity.locked_until is not None and now < identity.locked_until:
        return None
    digest = hash_token(secret.get_secret_value())
    row = identities.find_client_secret(session, identity.id, digest)
    if row is None or not row.is_good(now):
        _count_failure(identity, now)
        return None
    identity.failed_logins, identity.locked_until = 0, None
    row.uses += 1
    return _give_token(session, identity, now)


def _count_failure(identity: Identity, now: datetime) -> None:
    identity.failed_logins += 1
    if identity.failed_logins >= MAX_FAILURES:
        identity.failed_logins, identity.locked_until = 0, now + LOCKOUT


def _give_token(session: Session, identity: Identity, now: datetime) -> Login:
    token = new_token()
    limit = now + timedelta(seconds=identity.token_max_ttl)
    expires_at = _end(now, identity.token_ttl, limit)
    session.add(
        ApiToken(
            id=uuid4(),
            name=identity.name,
            hash=hash_token(token.get_secret_value()),
            identity_id=identity.id,
            expires_at=expires_at,
            renewable_until=limit,
            allowed_ips=[],
            created_at=now,
        )
    )
    return Login(token, identity, _seconds(expires_at - now), identity.token_max_ttl)


def _end(now: datetime, seconds: int, limit: datetime | None) -> datetime:
    wished = now + timedelta(seconds=seconds)
    return wished if limit is None else min(wished, limit)


def _seconds(duration: timedelta) -> int:
    return int(duration.total_seconds())
