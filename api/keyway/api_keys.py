"""API keys: tokens for programs."""

from datetime import datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Response
from pydantic import Field

from api.dependencies import RuntimeOf
from api.keyway.dependencies import VisitorOf
from api.keyway.wire import Envelope, MetaOf, Moment, WireModel, new_router
from shared.errors import Forbidden, InvalidInput
from shared.usecases import api_keys
from shared.usecases.api_keys import ApiKey, ApiKeyDraft
from shared.usecases.keyway.access import API_KEY_SCOPES, Permission, Visitor

router = new_router(tag="API keys", prefix="/api-keys")


class NewApiKey(WireModel):
    name: str = Field(min_length=1, max_length=100, examples=["deploy"])
    environment: Literal["live", "test"] = "live"
    scopes: list[str] = Field(min_length=1, max_length=10, examples=[["read:secrets"]])
    expires_in_days: Annotated[int, Field(ge=1, le=365)] | None = None
    allowed_ips: list[Annotated[str, Field(max_length=64)]] = Field(
        default=[], max_length=100, description="Addresses or networks; none for everywhere."
    )


class ApiKeyOut(WireModel):
    id: UUID
    name: str
    prefix: str
    environment: str
    scopes: list[str]
    allowed_ips: list[str]
    expires_at: Moment | None
    created_at: Moment
    is_active: bool


class CreatedApiKey(ApiKeyOut):
    token: str = Field(description="The key itself, shown this once.")


class ApiKeys(WireModel):
    keys: list[ApiKeyOut]


@router.post("", summary="Create an API key")
def create_api_key(
    body: NewApiKey, runtime: RuntimeOf, visitor: VisitorOf, meta: MetaOf
) -> Envelope[CreatedApiKey]:
    """Create a key that may do no more than its maker, and if that is a key, nowhere else and no longer.

    It is shown this once.
    """
    _require_keys(visitor)
    _check_scopes(visitor, body.scopes)
    draft = ApiKeyDraft(
        name=body.name,
        kind=body.environment,
        scopes=body.scopes,
        lives=None if body.expires_in_days is None else timedelta(days=body.expires_in_days),
        allowed_ips=body.allowed_ips,
        project_id=visitor.project_id,
        maker=visitor.token,
    )
    row, key = api_keys.create_api_key(runtime, draft)
    shown = _shown(row, runtime.clock())
    created = CreatedApiKey(**shown.model_dump(), token=key.get_secret_value())
    return Envelope(data=created, meta=meta)


@router.get("", summary="List the API keys")
def list_api_keys(runtime: RuntimeOf, visitor: VisitorOf, meta: MetaOf) -> Envelope[ApiKeys]:
    """List the keys, newest first, without the keys themselves."""
    _require_keys(visitor)
    rows = api_keys.list_api_keys(runtime, visitor.project_id)
    return Envelope(data=ApiKeys(keys=[_shown(row, runtime.clock()) for row in rows]), meta=meta)


@router.get("/{key_id}", summary="Get an API key")
def get_api_key(key_id: UUID, runtime: RuntimeOf, visitor: VisitorOf, meta: MetaOf) -> Envelope[ApiKeyOut]:
    """Return what is known of a key."""
    _require_keys(visitor)
    row = api_keys.get_api_key(runtime, key_id, visitor.project_id)
    return Envelope(data=_shown(row, runtime.clock()), meta=meta)


@router.delete("/{key_id}", summary="Revoke an API key", status_code=204)
def revoke_api_key(key_id: UUID, runtime: RuntimeOf, visitor: VisitorOf) -> Response:
    """End a key at once."""
    _require_keys(visitor)
    api_keys.revoke_api_key(runtime, key_id, visitor.project_id)
    return Response(status_code=204)


def _require_keys(visitor: Visitor) -> None:
    visitor.require(Permission.KEYS)


def _check_scopes(visitor: Visitor, scopes: list[str]) -> None:
    unknown = sorted(set(scopes) - set(API_KEY_SCOPES))
    if unknown:
        raise InvalidInput(
            f"Invalid scopes. Valid scopes are: {', '.join(API_KEY_SCOPES)}", field=("scopes",)
        )
    beyond = sorted(set(scopes) - visitor.permissions)
    if beyond:
        raise Forbidden(f"A key cannot do more than its maker, who lacks: {', '.join(beyond)}")


def _shown(row: ApiKey, now: datetime) -> ApiKeyOut:
    return ApiKeyOut(
        id=row.id,
        name=row.name,
        prefix=row.prefix,
        environment=row.prefix.split("_")[1],
        scopes=list(row.scopes),
        allowed_ips=list(row.allowed_ips),
        expires_at=row.expires_at,
        created_at=row.created_at,
        is_active=row.expires_at is None or row.expires_at > now,
    )
