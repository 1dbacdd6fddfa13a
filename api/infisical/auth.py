"""Logging in as a machine identity. A token can also be made by hand and sent as it is."""

from datetime import timedelta
from typing import Annotated, Any, Literal

from fastapi import Depends, Request
from pydantic import Field, SecretStr, StringConstraints

from api.dependencies import RuntimeOf, address_of, take_turn
from api.infisical.errors import ErrorEnvelope
from api.infisical.wire import WireModel, new_router
from shared.usecases import log_in
from shared.usecases.log_in import Login, WrongSecret
from shared.usecases.rate_limit import Limit

router = new_router(tag="Authentication")

#: What one address may ask for without a token. A whole fleet that logs in from behind one address may.
OPEN_LIMIT = Limit(300, timedelta(minutes=1))
_TOO_MANY: dict[int | str, dict[str, Any]] = {
    429: {"model": ErrorEnvelope, "description": "Too many requests; `Retry-After` says how long to wait."}
}


def count_open(request: Request, runtime: RuntimeOf) -> None:
    """Count a request that needs no token towards the limit of its address. Raises a 429 beyond it."""
    take_turn(request, runtime, f"open:{address_of(request)}", OPEN_LIMIT)


_OPEN: dict[str, Any] = {"dependencies": [Depends(count_open)], "responses": _TOO_MANY}

Sent = Annotated[str, StringConstraints(min_length=1, max_length=255)]


class Credentials(WireModel):
    client_id: Sent = Field(examples=["5a39e55e-7b0c-4d37-b1f1-7ab5b38ab0b2"])
    client_secret: Annotated[SecretStr, Field(min_length=1, max_length=255)] = Field(examples=["…"])


class Renewal(WireModel):
    access_token: Annotated[SecretStr, Field(min_length=1, max_length=255)] = Field(examples=["kt_…"])


class Revoked(WireModel):
    message: str


class AccessToken(WireModel):
    access_token: str = Field(examples=["kt_…"])
    expires_in: int = Field(description="Seconds.", examples=[2_592_000])
    access_token_max_ttl: int = Field(
        alias="accessTokenMaxTTL", description="Seconds since the login.", examples=[2_592_000]
    )
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - a word of HTTP


@router.post("/v1/auth/universal-auth/login", summary="Log in", **_OPEN)
def login(body: Credentials, request: Request, runtime: RuntimeOf) -> AccessToken:
    """Exchange the client id and a client secret of a machine identity for a token.

    After three failures in a row, nobody can log in with that id for 300 seconds.
    """
    try:
        return _token(request, log_in.log_in(runtime, body.client_id, body.client_secret))
    except WrongSecret:
        request.state.objects = {"clientId": body.client_id}
        raise


@router.post("/v1/auth/token/renew", summary="Renew a token", **_OPEN)
def renew_token(body: Renewal, request: Request, runtime: RuntimeOf) -> AccessToken:
    """Let the token of a login be valid for longer, up to the identity's limit. It stays the same token."""
    return _token(request, log_in.renew(runtime, body.access_token))


@router.post("/v1/auth/token/revoke", summary="Revoke a token", **_OPEN)
def revoke_login(body: Renewal, request: Request, runtime: RuntimeOf) -> Revoked:
    """End the token of a login at once. Tokens that were made by hand are deleted by their id."""
    identity = log_in.revoke(runtime, body.access_token)
    request.state.actor = identity
    return Revoked(message="Successfully revoked access token")


def _token(request: Request, login: Login) -> AccessToken:
    request.state.actor = login.identity
    return AccessToken(
        access_token=login.token.get_secret_value(),
        expires_in=login.expires_in,
        access_token_max_ttl=login.max_ttl,
    )
