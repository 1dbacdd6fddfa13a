"""How Keyway's wire words an error: problem details, under the type application/json.

Clients of this wire look for that type and show anything else as raw text.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.responses import Response

from api.errors import Failure

TYPE_BASE = "https://keyway.sh/errors/"

#: The wire's name of each status.
NAMES: Mapping[int, str] = {
    400: "bad-request",
    401: "unauthorized",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    409: "conflict",
    413: "payload-too-large",
    415: "unsupported-media-type",
    429: "rate-limited",
    500: "internal-error",
    502: "service-unavailable",
    503: "service-unavailable",
}


class FieldError(BaseModel):
    field: str
    code: str
    message: str


class Problem(BaseModel):
    """An error. ``requestId`` and ``traceId`` are the same; ``errors`` lists fields of the wrong form."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    requestId: str  # noqa: N815 - the wire's names
    traceId: str  # noqa: N815
    errors: list[FieldError] | None = None


#: Documented on every route.
RESPONSES: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "The request cannot be carried out; nothing was changed."},
    401: {"model": Problem, "description": "No valid token was sent."},
    403: {"model": Problem, "description": "The token, or your role, does not include that right."},
    404: {"model": Problem, "description": "There is nothing by that name, or not for this caller."},
    409: {"model": Problem, "description": "It exists already, is in use, or is not what was approved."},
    429: {"model": Problem, "description": "Too many requests; `Retry-After` says how long to wait."},
    500: {"model": Problem, "description": "Something went wrong. The log tells more under `requestId`."},
    502: {"model": Problem, "description": "The provider did not answer."},
    503: {"model": Problem, "description": "The provider, or the database, cannot do it just now."},
}


def problem(failure: Failure, request_id: str) -> Response:
    """Return *failure* as Keyway's wire words it."""
    # The wire knows no 422: what has the wrong form is a bad request.
    status, name = failure.status, NAMES.get(failure.status, "error")
    if failure.issues:
        status, name = 400, "validation-error"
    errors = [
        FieldError(field=".".join(map(str, issue.path)), code="invalid", message=issue.message)
        for issue in failure.issues
    ]
    told = "; ".join(f"{each.field}: {each.message}" if each.field else each.message for each in errors)
    body = Problem(
        type=TYPE_BASE + name,
        title="Validation Error" if errors else HTTPStatus(status).phrase,
        status=status,
        detail=told or failure.message,
        instance=failure.path,
        requestId=request_id,
        traceId=request_id,
        errors=errors or None,
    )
    return JSONResponse(body.model_dump(exclude_none=True), status, headers=dict(failure.headers))
