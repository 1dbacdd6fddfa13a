"""Who calls, and what they may do: tokens, with scopes in one project or in all."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from ipaddress import ip_address, ip_network
from uuid import UUID, uuid4

from pydantic import SecretStr
from sqlalchemy.orm import Session

from shared.crypto import hash_token, new_token
from shared.db import tokens
from shared.db.access_grants import AccessGrant, list_grants
from shared.db.tokens import ApiToken
from shared.errors import Forbidden, InvalidInput, NotFound, Unauthenticated
from shared.runtime import Runtime
from shared.usecases.places import find_project


class Scope(StrEnum):
    """What a caller may do."""

    READ = "read"
    WRITE = "write"
    SYNC = "sync"
    ADMIN = "admin"


#: Scopes by project; under None those for all projects, and for what belongs to none.
Grants = Mapping[UUID | None, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: the holder of a token, for an identity if it comes of a login.

    ``asked`` collects the projects that permissions were asked about: they are what the request concerns.
    """

    token_id: UUID
    name: str
    grants: Grants
    identity_id: UUID | None = None
    created_at: datetime | None = None
    expires_at: datetime | None = None
    prefix: str | None = None
    allowed_ips: Sequence[str] = ()
    asked: set[UUID] = field(default_factory=set, compare=False, repr=False)

    def may(self, scope: Scope, project_id: UUID | None) -> bool:
        """May the caller do that there? ``admin`` includes the others, and all projects include each.

        A *project_id* of None stands for what belongs to no project.
        """
        scopes = self._scopes(project_id)
        return scope in scopes or Scope.ADMIN in scopes

    def require(self, scope: Scope, project_id: UUID | None) -> None:
        """Raise ``Forbidden`` unless the caller may do that there."""
        if not self.knows(project_id):
            raise Forbidden("This token is valid for another project.")
        if not self.may(scope, project_id):
            raise Forbidden(f"This token does not carry the scope '{scope}'.")

    def require_somewhere(self, scope: Scope) -> None:
        """Raise ``Forbidden`` unless the caller may do that in some project."""
        if not any({scope, Scope.ADMIN} & scopes for scopes in self.grants.values()):
            raise Forbidden(f"This token does not carry the scope '{scope}'.")

    def knows(self, project_id: UUID | None) -> bool:
        """May the caller do anything there? If not, what is there does not exist for the caller."""
        return bool(self._scopes(project_id))

    def projects(self, scope: Scope) -> frozenset[UUID] | None:
        """Return the projects in which the caller may do that; None stands for all."""
        allowed = {each for each, scopes in self.grants.items() if {scope, Scope.ADMIN} & scopes}
        return None if None in allowed else frozenset(each for each in allowed if each is not None)

    def only_grant(self) -> tuple[UUID | None, frozenset[str]]:
        """Return the one project, or None for all, and the scopes there. Raises ``Forbidden`` for several.

        For the wire that knows callers of one vault or of all.
        """
        if len(self.grants) != 1:
            raise Forbidden("A token for several projects cannot be used here. Use one for this project.")
        return next(iter(self.grants.items()))

    def _scopes(self, project_id: UUID | None) -> frozenset[str]:
        if project_id is not None:
            self.asked.add(project_id)
        everywhere = self.grants.get(None, frozenset())
        return everywhere | self.grants.get(project_id, frozenset())


@dataclass(frozen=True, slots=True)
class TokenView:
    """A token, never the token itself, and what it may do."""

    id: UUID
    name: str
    grants: Grants
    expires_at: datetime | None
    created_at: datetime


# --- making and ending them ----------------------------------------------------------------------------


def issue_token(
    runtime: Runtime, name: str, grants: Grants, *, expires_at: datetime | None = None
) -> tuple[TokenView, SecretStr]:
    """Store a new token with these grants and return it. It is shown this once.

    Raises ``InvalidInput`` if it would have expired already.
    """
    token = new_token()
    if expires_at is not None and expires_at < runtime.clock():
        raise InvalidInput("A token that has expired already is of no use.", field=("expiresAt",))
    with runtime.database.transaction() as session:
        row = _add(runtime, session, token, name, grants, expires_at)
    return _view(row, grants), token


def hand_on(
    runtime: Runtime, session: Session, parent: ApiToken, name: str, *, expires_at: datetime
) -> SecretStr:
    """Store a token that can do what *parent* can, and return it. It is shown this once.

    It ends with *parent*, and with the identity that logged in, and is not renewed.
    """
    token = new_token()
    grants = {} if parent.identity_id else grants_of(session, parent)
    row = _add(runtime, session, token, name, grants, expires_at)
    row.parent_id, row.identity_id, row.renewable_until = parent.id, parent.identity_id, expires_at
    return token


def create_first_token(runtime: Runtime) -> SecretStr | None:
    """Return a new administrator token if there is no token yet, else None."""
    token = new_token()
    with runtime.database.transaction() as session:
        if tokens.any_exists(session):
            return None
        _add(runtime, session, token, "administrator", {None: frozenset({Scope.ADMIN.value})}, None)
    return token


def list_tokens(runtime: Runtime, project_id: UUID | None, *, limit: int, offset: int) -> list[TokenView]:
    """Return the tokens, newest first; with *project_id* those that are valid there."""
    with runtime.database.snapshot() as session:
        rows = tokens.list_tokens(session, project_id, limit=limit, offset=offset)
        held = list_grants(session, tokens=[row.id for row in rows])
    granted = grants_by_holder(held)
    return [_view(row, granted.get(row.id, {})) for row in rows]


def revoke_token(runtime: Runtime, caller: Caller, token_id: UUID) -> TokenView:
    """End a token at once, and return what it was. Raises ``NotFound``.

    Only who administers every project that it is valid for can, and to others it does not exist.
    """
    with runtime.database.transaction() as session:
        row = session.get(ApiToken, token_id)
        granted = grants_of(session, row) if row else {}
        ordinary = row is not None and row.prefix is None and row.identity_id is None
        if row is None or not ordinary or not administers(caller, granted):
            raise NotFound(f"There is no token with the id {token_id}.")
        session.delete(row)
    return _view(row, granted)


def administers(caller: Caller, grants: Grants) -> bool:
    """Is the caller an administrator of everything that *grants* open? Nothing at all is for all."""
    return all(caller.may(Scope.ADMIN, project_id) for project_id in grants or (None,))


def require_over(caller: Caller, grants: Grants) -> None:
    """Raise ``Forbidden`` unless the caller may give *grants* away: nobody gives more than they have."""
    if not administers(caller, grants):
        raise Forbidden("Only an administrator of every project that is named can give these rights.")


# --- who calls -----------------------------------------------------------------------------------------


def authenticate(runtime: Runtime, token: str, *, address: str | None = None) -> Caller:
    """Return who holds *token*, sent from *address*. Raises ``Unauthenticated`` if it is not valid."""
    with runtime.database.snapshot() as session:
        row = tokens.find_by_hash(session, hash_token(token))
        granted = grants_of(session, row) if row else {}
    if row is None:
        raise Unauthenticated("This token is not known here.")
    if row.expires_at is not None and row.expires_at <= runtime.clock():
        raise Unauthenticated("This token has expired.")
    if row.allowed_ips and not _is_within(address, row.allowed_ips):
        raise Unauthenticated("This token is not valid from this address.")
    return Caller(
        token_id=row.id,
        name=row.name,
        grants=granted,
        identity_id=row.identity_id,
        created_at=row.created_at,
        expires_at=row.expires_at,
        prefix=row.prefix,
        allowed_ips=tuple(row.allowed_ips),
    )


def _is_within(address: str | None, networks: Sequence[str]) -> bool:
    try:
        found = ip_address(address or "")
    except ValueError:
        return False
    # An IPv4 client of a socket that takes both is shown as ::ffff:a.b.c.d.
    seen = getattr(found, "ipv4_mapped", None) or found
    return any(seen in ip_network(each) for each in networks)


# --- grants --------------------------------------------------------------------------------------------


def grants_of(session: Session, token: ApiToken) -> Grants:
    """Return what a token may do: its own grants, or those of the identity that logged in."""
    if token.identity_id is not None:
        held = list_grants(session, identities=[token.identity_id])
    else:
        held = list_grants(session, tokens=[token.id])
    return grants_by_holder(held).get(token.identity_id or token.id, {})


def grants_by_holder(rows: Iterable[AccessGrant]) -> dict[UUID, Grants]:
    """Return the grants of each token or identity, by its id."""
    found: dict[UUID, dict[UUID | None, frozenset[str]]] = {}
    for row in rows:
        holder = row.token_id or row.identity_id
        if holder is not None:
            found.setdefault(holder, {})[row.project_id] = frozenset(row.scopes)
    return dict(found)


def add_grants(
    session: Session,
    grants: Grants,
    *,
    now: datetime,
    token_id: UUID | None = None,
    identity_id: UUID | None = None,
) -> None:
    """Store *grants* of a token or of an identity. Raises ``NotFound`` if a project does not exist."""
    for project_id, scopes in grants.items():
        if project_id is not None:
            find_project(session, project_id)
        session.add(
            AccessGrant(
                id=uuid4(),
                token_id=token_id,
                identity_id=identity_id,
                project_id=project_id,
                scopes=sorted(scopes),
                created_at=now,
            )
        )


def _add(
    runtime: Runtime,
    session: Session,
    token: SecretStr,
    name: str,
    grants: Grants,
    expires_at: datetime | None,
) -> ApiToken:
    now = runtime.clock()
    row = ApiToken(
        id=uuid4(),
        name=name,
        hash=hash_token(token.get_secret_value()),
        expires_at=expires_at,
        allowed_ips=[],
        created_at=now,
    )
    session.add(row)
    session.flush()
    add_grants(session, grants, now=now, token_id=row.id)
    return row


def _view(row: ApiToken, grants: Grants) -> TokenView:
    return TokenView(row.id, row.name, grants, row.expires_at, row.created_at)
