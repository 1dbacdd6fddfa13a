"""API keys: tokens for programs, with scopes, an end, and the networks they may be used from."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Self, TypeGuard
from uuid import UUID, uuid4

from pydantic import SecretStr
from sqlalchemy.orm import Session

from shared.crypto import hash_token, new_api_key
from shared.db import tokens
from shared.db.access_grants import AccessGrant, list_grants
from shared.db.tokens import ApiToken
from shared.errors import Forbidden, InvalidInput, NotFound
from shared.runtime import Runtime
from shared.usecases.tokens import Caller

Network = IPv4Network | IPv6Network

#: How much of a key is kept in clear: its kind and four characters, for people to know it by.
_SHOWN = len("kw_live_") + 4


@dataclass(frozen=True, slots=True)
class ApiKeyDraft:
    """A key to create. ``kind`` is live or test; without ``lives`` it does not end.

    ``maker`` is whose rights it has. If that is a key as well, the new one does not outlive it, and is valid
    from its networks only.
    """

    name: str
    kind: str
    scopes: Sequence[str]
    lives: timedelta | None = None
    allowed_ips: Sequence[str] = ()
    project_id: UUID | None = None
    maker: Caller | None = None


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as people see it, never the key itself. Without a project it is valid for all of them."""

    id: UUID
    name: str
    prefix: str
    project_id: UUID | None
    scopes: Sequence[str]
    allowed_ips: Sequence[str]
    expires_at: datetime | None
    created_at: datetime

    @classmethod
    def of(cls, row: ApiToken, grant: AccessGrant) -> Self:
        return cls(
            id=row.id,
            name=row.name,
            prefix=row.prefix or "",
            project_id=grant.project_id,
            scopes=tuple(grant.scopes),
            allowed_ips=tuple(row.allowed_ips),
            expires_at=row.expires_at,
            created_at=row.created_at,
        )


def create_api_key(runtime: Runtime, draft: ApiKeyDraft) -> tuple[ApiKey, SecretStr]:
    """Store a new key and return it with its secret, which is shown this once.

    Raises ``InvalidInput``, or ``Forbidden`` if it could be used where its maker cannot.
    """
    key = new_api_key(draft.kind)
    now = runtime.clock()
    row = ApiToken(
        id=uuid4(),
        name=draft.name,
        hash=hash_token(key.get_secret_value()),
        expires_at=_end(draft, now),
        prefix=key.get_secret_value()[:_SHOWN],
        allowed_ips=_networks(draft),
        created_at=now,
    )
    grant = AccessGrant(
        id=uuid4(),
        token_id=row.id,
        project_id=draft.project_id,
        scopes=list(dict.fromkeys(draft.scopes)),
        created_at=now,
    )
    with runtime.database.transaction() as session:
        session.add(row)
        session.flush()
        session.add(grant)
    return ApiKey.of(row, grant), key


def list_api_keys(runtime: Runtime, project_id: UUID | None) -> list[ApiKey]:
    """Return the keys, newest first; with *project_id* those of that project alone."""
    with runtime.database.snapshot() as session:
        rows = tokens.list_api_keys(session, project_id)
        held = list_grants(session, tokens=[row.id for row in rows])
    grants = {grant.token_id: grant for grant in held}
    return [ApiKey.of(row, grants[row.id]) for row in rows]


def get_api_key(runtime: Runtime, key_id: UUID, project_id: UUID | None) -> ApiKey:
    """Return a key. Raises ``NotFound``."""
    with runtime.database.snapshot() as session:
        return ApiKey.of(*_found(session, key_id, project_id))


def revoke_api_key(runtime: Runtime, key_id: UUID, project_id: UUID | None) -> None:
    """End a key: it is not known any more. Raises ``NotFound``."""
    with runtime.database.transaction() as session:
        session.delete(_found(session, key_id, project_id)[0])


def _found(session: Session, key_id: UUID, project_id: UUID | None) -> tuple[ApiToken, AccessGrant]:
    row = session.get(ApiToken, key_id)
    # The administrator's tokens are no API keys: they are neither shown nor ended here.
    if row is None or row.prefix is None:
        raise NotFound("API key not found")
    [grant] = list_grants(session, tokens=[row.id])
    if project_id not in (None, grant.project_id):
        raise NotFound("API key not found")
    return row, grant


def _end(draft: ApiKeyDraft, now: datetime) -> datetime | None:
    ends = [] if draft.lives is None else [now + draft.lives]
    if _is_key(draft.maker) and draft.maker.expires_at is not None:
        ends.append(draft.maker.expires_at)
    return min(ends, default=None)


def _networks(draft: ApiKeyDraft) -> list[str]:
    wished = [_network(each) for each in draft.allowed_ips]
    if not _is_key(draft.maker) or not draft.maker.allowed_ips:
        return [str(each) for each in wished]
    own = [_network(each) for each in draft.maker.allowed_ips]
    for each in wished:
        if not any(_is_part(each, network) for network in own):
            raise Forbidden(f"A key cannot be used where its maker cannot: {each} lies outside its networks.")
    return [str(each) for each in wished or own]


def _is_key(maker: Caller | None) -> TypeGuard[Caller]:
    return maker is not None and maker.prefix is not None


def _is_part(network: Network, whole: Network) -> bool:
    """Does *network* lie within *whole*? What is of another version does not."""
    return network.network_address in whole and network.prefixlen >= whole.prefixlen


def _network(text: str) -> Network:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        raise InvalidInput(
            f"'{text}' is neither an address nor a network such as 10.0.0.0/8.", field=("allowedIps",)
        ) from None
