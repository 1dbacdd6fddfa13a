"""Machine identities and their client secrets."""

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import Body, Query
from pydantic import Field, StringConstraints

from api.dependencies import CallerOf, RuntimeOf
from api.infisical.tokens import Grant, GrantList, PrincipalName, as_grants
from api.infisical.wire import Dated, Page, WireModel, new_router
from shared.db.identities import ClientSecret, Identity
from shared.usecases import identities
from shared.usecases.identities import IdentityDraft, IdentityView
from shared.usecases.tokens import Caller

router = new_router(tag="Tokens and identities")

_UNIVERSAL_AUTH = "/v1/auth/universal-auth/identities/{identity_id}"
_SECRETS = f"{_UNIVERSAL_AUTH}/client-secrets"

#: Ten years.
Ttl = Annotated[int, Field(ge=60, le=315_360_000, examples=[3600])]

# --- what is sent --------------------------------------------------------------------------------------


class NewIdentity(WireModel):
    name: PrincipalName = Field(examples=["deploy-bot"])
    grants: GrantList | None = Field(None, description="What it may do; nothing unless it is said here.")


class ChangedIdentity(WireModel):
    name: PrincipalName | None = None
    grants: GrantList | None = Field(None, description="Replaces what it may do as a whole, at once.")


class IdentityFilter(Page):
    project_id: UUID | None = Field(None, description="Only identities that may do something there.")


class ChangedUniversalAuth(WireModel):
    access_token_ttl: Ttl | None = Field(None, alias="accessTokenTTL")
    access_token_max_ttl: Ttl | None = Field(None, alias="accessTokenMaxTTL")


class NewClientSecret(WireModel):
    description: Annotated[str, StringConstraints(strip_whitespace=True, max_length=256)] = ""
    num_uses_limit: Annotated[int, Field(ge=0, le=2**31 - 1)] = Field(0, description="0: any number.")
    ttl: Annotated[int, Field(ge=0, le=315_360_000)] = Field(0, description="Seconds; 0: it does not end.")


# --- what is answered ----------------------------------------------------------------------------------


class IdentityOut(Dated):
    id: UUID
    name: str
    auth_methods: list[str] = Field(default_factory=lambda: ["universal-auth"])
    grants: list[Grant]


class OneIdentity(WireModel):
    identity: IdentityOut


class Identities(WireModel):
    identities: list[IdentityOut]


class UniversalAuthOut(WireModel):
    id: UUID
    identity_id: UUID
    client_id: UUID
    access_token_ttl: int = Field(alias="accessTokenTTL")
    access_token_max_ttl: int = Field(alias="accessTokenMaxTTL")
    created_at: datetime
    updated_at: datetime


class OneUniversalAuth(WireModel):
    identity_universal_auth: UniversalAuthOut


class ClientSecretOut(Dated):
    id: UUID
    identity_id: UUID = Field(alias="identityUAId")
    description: str
    client_secret_prefix: str
    client_secret_num_uses: int
    client_secret_num_uses_limit: int
    client_secret_ttl: int = Field(alias="clientSecretTTL")
    is_client_secret_revoked: bool


class CreatedClientSecret(WireModel):
    client_secret: str = Field(description="Shown this once.", examples=["…"])
    client_secret_data: ClientSecretOut


class OneClientSecret(WireModel):
    client_secret_data: ClientSecretOut


class ClientSecrets(WireModel):
    client_secret_data: list[ClientSecretOut]


# --- identities ----------------------------------------------------------------------------------------


@router.post("/v1/identities", summary="Create an identity")
def create_identity(body: NewIdentity, runtime: RuntimeOf, caller: CallerOf) -> OneIdentity:
    """Create a machine identity. Needs the scope `admin` wherever it shall be allowed something."""
    draft = IdentityDraft(body.name, as_grants(body.grants or ()))
    return _one(identities.create_identity(runtime, caller, draft), caller)


@router.get("/v1/identities", summary="List the identities")
def list_identities(
    query: Annotated[IdentityFilter, Query()], runtime: RuntimeOf, caller: CallerOf
) -> Identities:
    """List the identities, oldest first. Needs the scope `admin`, in `projectId` or for all projects."""
    found = identities.list_identities(
        runtime, caller, query.project_id, limit=query.limit, offset=query.offset
    )
    return Identities(identities=[_out(view, caller) for view in found])


@router.get("/v1/identities/{identity_id}", summary="Get an identity")
def get_identity(identity_id: UUID, runtime: RuntimeOf, caller: CallerOf) -> OneIdentity:
    """Return an identity and what it may do."""
    return _one(identities.get_identity(runtime, caller, identity_id), caller)


@router.patch("/v1/identities/{identity_id}", summary="Change an identity")
def update_identity(
    identity_id: UUID, body: ChangedIdentity, runtime: RuntimeOf, caller: CallerOf
) -> OneIdentity:
    """Change an identity's name, or what it may do; the latter also for those who are logged in."""
    grants = as_grants(body.grants) if body.grants is not None else None
    draft = IdentityDraft(body.name, grants)
    return _one(identities.update_identity(runtime, caller, identity_id, draft), caller)


@router.delete("/v1/identities/{identity_id}", summary="Delete an identity")
def delete_identity(identity_id: UUID, runtime: RuntimeOf, caller: CallerOf) -> OneIdentity:
    """Delete an identity. Its client secrets and tokens end with it."""
    return _one(identities.delete_identity(runtime, caller, identity_id), caller)


# --- how it logs in ------------------------------------------------------------------------------------


@router.get(_UNIVERSAL_AUTH, summary="See how an identity logs in")
def get_universal_auth(identity_id: UUID, runtime: RuntimeOf, caller: CallerOf) -> OneUniversalAuth:
    """Return the client id of an identity, and how long its tokens live."""
    return _universal_auth(identities.get_identity(runtime, caller, identity_id))


@router.post(_UNIVERSAL_AUTH, summary="Say how an identity logs in")
@router.patch(_UNIVERSAL_AUTH, summary="Change how an identity logs in", operation_id="updateUniversalAuth")
def attach_universal_auth(
    identity_id: UUID, body: ChangedUniversalAuth, runtime: RuntimeOf, caller: CallerOf
) -> OneUniversalAuth:
    """Set how long its tokens live. Every identity has a client id from the beginning."""
    draft = IdentityDraft(token_ttl=body.access_token_ttl, token_max_ttl=body.access_token_max_ttl)
    return _universal_auth(identities.update_identity(runtime, caller, identity_id, draft))


@router.post(_SECRETS, summary="Create a client secret")
def create_client_secret(
    identity_id: UUID,
    runtime: RuntimeOf,
    caller: CallerOf,
    body: Annotated[NewClientSecret | None, Body()] = None,
) -> CreatedClientSecret:
    """Create a client secret. An identity may have several, so that one can replace another."""
    wanted = body or NewClientSecret()
    row, secret = identities.create_client_secret(
        runtime,
        caller,
        identity_id,
        description=wanted.description,
        lives=timedelta(seconds=wanted.ttl) if wanted.ttl else None,
        uses_limit=wanted.num_uses_limit or None,
    )
    return CreatedClientSecret(client_secret=secret.get_secret_value(), client_secret_data=_secret_out(row))


@router.get(_SECRETS, summary="List the client secrets")
def list_client_secrets(identity_id: UUID, runtime: RuntimeOf, caller: CallerOf) -> ClientSecrets:
    """List the client secrets of an identity, newest first; what they are is not shown."""
    found = identities.list_client_secrets(runtime, caller, identity_id)
    return ClientSecrets(client_secret_data=[_secret_out(row) for row in found])


@router.get(f"{_SECRETS}/{{client_secret_id}}", summary="Get a client secret")
def get_client_secret(
    identity_id: UUID, client_secret_id: UUID, runtime: RuntimeOf, caller: CallerOf
) -> OneClientSecret:
    """Return when a client secret ends and how often it was used; what it is is not shown."""
    row = identities.get_client_secret(runtime, caller, identity_id, client_secret_id)
    return OneClientSecret(client_secret_data=_secret_out(row))


@router.post(f"{_SECRETS}/{{client_secret_id}}/revoke", summary="Revoke a client secret")
def revoke_client_secret(
    identity_id: UUID, client_secret_id: UUID, runtime: RuntimeOf, caller: CallerOf
) -> OneClientSecret:
    """Let nobody log in with it any more. Tokens given out before stay valid until they expire."""
    row = identities.revoke_client_secret(runtime, caller, identity_id, client_secret_id)
    return OneClientSecret(client_secret_data=_secret_out(row))


# --- from ours to the wire's ---------------------------------------------------------------------------


def _one(view: IdentityView, caller: Caller) -> OneIdentity:
    return OneIdentity(identity=_out(view, caller))


def _out(view: IdentityView, caller: Caller) -> IdentityOut:
    row = view.row
    return IdentityOut(
        id=row.id,
        name=row.name,
        grants=Grant.of(view.grants, caller),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _universal_auth(view: IdentityView) -> OneUniversalAuth:
    row: Identity = view.row
    return OneUniversalAuth(
        identity_universal_auth=UniversalAuthOut(
            id=row.id,
            identity_id=row.id,
            client_id=row.client_id,
            access_token_ttl=row.token_ttl,
            access_token_max_ttl=row.token_max_ttl,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )
    )


def _secret_out(row: ClientSecret) -> ClientSecretOut:
    return ClientSecretOut(
        id=row.id,
        identity_id=row.identity_id,
        description=row.description,
        client_secret_prefix=row.prefix,
        client_secret_num_uses=row.uses,
        client_secret_num_uses_limit=row.uses_limit or 0,
        client_secret_ttl=int(row.ttl.total_seconds()) if row.ttl else 0,
        is_client_secret_revoked=row.is_revoked,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
