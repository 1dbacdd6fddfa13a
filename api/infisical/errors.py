"""How the Infisical wire words an error: ``{reqId, statusCode, message, error}``."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.responses import Response

from api.errors import Failure, TokenRejected
from shared.errors import InvalidInput, PlanOutdated

#: The wire's name of each status.
NAMES: Mapping[int, str] = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "PermissionDenied",
    404: "NotFound",
    405: "MethodNotAllowed",
    409: "PlanOutdated",
    413: "PayloadTooLarge",
    415: "UnsupportedMediaType",
    422: "ValidationFailure",
    429: "RateLimitExceeded",
    500: "InternalServerError",
    502: "BadGateway",
    503: "ServiceUnavailable",
}


#: Said where only Infisical has a route, by the part of its path that names the matter.
ABSENT: Mapping[str, str] = {
    "dynamic-secrets": "Keytide has no dynamic secrets.",
    "groups": "Keytide has no groups: identities have grants.",
    "identity-memberships": "Keytide has no memberships: identities have grants.",
    "integration": "Keytide has no native integrations: use secret syncs.",
    "integration-auth": "Keytide has no native integrations: use app connections.",
    "kms": "Keytide manages no keys for others.",
    "memberships": "Keytide has no memberships: identities have grants.",
    "pki": "Keytide has no certificates.",
    "roles": "Keytide has no roles: identities have grants.",
    "secret-approvals": "Keytide has no approvals of edits.",
    "secret-rotations": "Keytide does not rotate secrets.",
    "service-token": "Keytide has no service tokens: log in with universal auth.",
    "ssh": "Keytide has no certificates.",
    "webhooks": "Keytide sends no webhooks.",
    **{
        f"{way}-auth": "Keytide knows no such way to log in: use universal auth."
        for way in ("aws", "azure", "gcp", "jwt", "kubernetes", "ldap", "oci", "oidc", "tls-cert", "token")
    },
}


class ErrorEnvelope(BaseModel):
    """An error. ``message`` is a list of issues where fields have the wrong form."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "reqId": "7f1c2d9e-4c58-4d0a-9a58-0f7a3d1f1e55",
                    "statusCode": 404,
                    "message": "There is no railway sync with the id 3c90c3cc-0d44-4b50-8888-8dd25736052a.",
                    "error": "NotFound",
                }
            ]
        }
    )

    reqId: str  # noqa: N815 - the wire's names
    statusCode: int  # noqa: N815
    message: str | list[dict[str, Any]]
    error: str
    details: list[dict[str, Any]] | None = None
    plan: dict[str, Any] | None = None


class OtherPlan(PlanOutdated):
    """The source or the destination changed since this plan was approved. This is the plan now."""

    def __init__(self, plan: BaseModel, plan_hash: str) -> None:
        super().__init__(plan_hash=plan_hash)
        self.plan = plan


#: Documented on every route.
RESPONSES: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorEnvelope, "description": "The request cannot be carried out; nothing was changed."},
    401: {"model": ErrorEnvelope, "description": "No token was sent."},
    403: {"model": ErrorEnvelope, "description": "The token is not valid, or does not carry that right."},
    404: {"model": ErrorEnvelope, "description": "There is nothing by that name, or not for this caller."},
    409: {"model": ErrorEnvelope, "description": "Another plan was approved; `plan` is the one now."},
    422: {"model": ErrorEnvelope, "description": "Fields have the wrong form; `message` lists them."},
    500: {"model": ErrorEnvelope, "description": "Something went wrong. The log tells more under `reqId`."},
    502: {"model": ErrorEnvelope, "description": "The provider did not answer."},
    503: {"model": ErrorEnvelope, "description": "The provider, or the database, cannot do it just now."},
}


def envelope(failure: Failure, request_id: str) -> Response:
    """Return *failure* as the Infisical wire words it."""
    status, name = _status(failure)
    body: dict[str, Any] = {
        "reqId": request_id,
        "statusCode": status,
        "message": [asdict(issue) for issue in failure.issues] or _absence(failure) or failure.message,
        "error": name,
    }
    details = _details(failure)
    if details is not None:
        body["details"] = details
    if isinstance(failure.cause, OtherPlan):
        body["plan"] = failure.cause.plan.model_dump(mode="json", by_alias=True)
    return JSONResponse(body, status, headers=dict(failure.headers))


def _absence(failure: Failure) -> str | None:
    """Return what is said about a route that only Infisical has."""
    if not isinstance(failure.cause, HTTPException) or failure.status not in (404, 405):
        return None
    reason = next((ABSENT[part] for part in failure.path.split("/") if part in ABSENT), None)
    return reason and f"There is no such route. {reason}"


def _status(failure: Failure) -> tuple[int, str]:
    # Two statuses are not what one would expect; clients depend on them.
    if isinstance(failure.cause, TokenRejected):
        return 403, "TokenError"
    is_conflict = failure.status == 409 and not isinstance(failure.cause, PlanOutdated)
    status = 400 if is_conflict else failure.status
    return status, NAMES.get(status, "Error")


def _details(failure: Failure) -> list[dict[str, Any]] | None:
    """Return what the wire always has beside a missing right, and where the fault lies if that is known."""
    if isinstance(failure.cause, InvalidInput) and failure.cause.field:
        return [{"path": list(failure.cause.field), "message": failure.message}]
    return [] if failure.status == 403 else None
