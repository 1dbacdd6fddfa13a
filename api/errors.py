"""What a caller is told when something goes wrong: error → status in one table, then the form of the wire.

The two wires word the same failure differently. Each brings an ``ErrorForm``; which one answers is decided
by the path. Nothing of what was sent is repeated: neither values nor the text of an unexpected error.
"""

import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import ceil
from typing import Any, Protocol

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from psycopg.errors import DeadlockDetected
from sqlalchemy.exc import IntegrityError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.responses import Response

from shared.crypto import CryptoError
from shared.errors import (
    Conflict,
    Forbidden,
    InputError,
    InvalidInput,
    KeytideError,
    NotFound,
    Permanent,
    PlanError,
    ProviderError,
    RateLimited,
    RunStopped,
    Transient,
    Unauthenticated,
    Unreachable,
)

log = structlog.get_logger()

#: What each error means over HTTP. What the database's driver says counts first, then the nearest class
#: above an error.
STATUS: Mapping[type[Exception], int] = {
    RequestValidationError: 422,
    InputError: 400,
    InvalidInput: 400,
    Unauthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    PlanError: 409,
    RunStopped: 409,
    Permanent: 400,
    Transient: 503,
    RateLimited: 503,
    Unreachable: 502,
    CryptoError: 500,
    IntegrityError: 409,
    DeadlockDetected: 409,
    OperationalError: 503,
    PoolTimeout: 503,
}

#: What is said where an error's own text is not ours, or says nothing to the caller.
MESSAGES: Mapping[int, str] = {
    404: "There is no such route.",
    405: "This route does not take that method.",
    409: "Somebody else changed this at the same moment. Try again.",
    500: "Something went wrong",
    503: "The database does not answer just now. Try again.",
}


class TokenRejected(Unauthenticated):
    """The token is not valid."""


@dataclass(frozen=True, slots=True)
class Issue:
    """What is wrong with one field of a request."""

    code: str
    path: tuple[str | int, ...]
    message: str


@dataclass(frozen=True, slots=True)
class Failure:
    """An error, ready to be worded for a wire. ``issues`` are set when fields have the wrong form.

    ``path`` is that of the request.
    """

    status: int
    cause: Exception
    message: str
    issues: tuple[Issue, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    path: str = ""


class ErrorForm(Protocol):
    """How one wire words a failure."""

    def __call__(self, failure: Failure, request_id: str) -> Response: ...


def install(app: FastAPI, forms: Mapping[str, ErrorForm]) -> None:
    """Let *app* word its errors in *forms*, by the beginning of the path; the longest that fits counts."""
    app.state.error_forms = dict(sorted(forms.items(), key=lambda form: -len(form[0])))
    for kind in (KeytideError, RequestValidationError, HTTPException, SQLAlchemyError):
        app.add_exception_handler(kind, _handle)


def answer(request: Request, error: Exception) -> Response:
    """Return the answer to *request* that tells of *error*."""
    forms: dict[str, ErrorForm] = request.app.state.error_forms
    form = next(form for prefix, form in forms.items() if request.url.path.startswith(prefix))
    return form(replace(describe(error), path=request.url.path), request.state.request_id)


async def _handle(request: Request, error: Exception) -> Response:
    return answer(request, error)


def describe(error: Exception) -> Failure:
    """Return what a caller may know of *error*. What nobody foresaw is written to the log."""
    match error:
        case RequestValidationError():
            return Failure(422, error, "The request has the wrong form.", tuple(_issues(error.errors())))
        case HTTPException():
            message = MESSAGES.get(error.status_code, str(error.detail))
            return Failure(error.status_code, error, message, headers=error.headers or {})
    status = _status(error)
    if status >= 500 and not isinstance(error, ProviderError):
        _report(error)
    if isinstance(error, KeytideError):
        return Failure(status, error, error.message, headers=_headers(error))
    return Failure(status, error, MESSAGES[status])


def _status(error: Exception) -> int:
    kinds = (type(getattr(error, "orig", None)), *type(error).__mro__)
    return next((STATUS[kind] for kind in kinds if kind in STATUS), 500)


def _issues(errors: Iterable[Mapping[str, Any]]) -> Iterable[Issue]:
    for error in errors:
        # The first step says where the field was sent (body, query); the wires count from there.
        message = error["msg"].removeprefix("Value error, ")
        yield Issue(code=error["type"], path=tuple(error["loc"][1:]), message=message)


def _headers(error: KeytideError) -> Mapping[str, str]:
    match error:
        case Transient(retry_after=seconds) if seconds is not None:
            return {"Retry-After": str(ceil(seconds))}
        case Unauthenticated():
            return {"WWW-Authenticate": "Bearer"}
    return {}


def _report(error: Exception) -> None:
    # The frames show our source, the error's own text may show a value: only the first is logged.
    frames = "".join(traceback.format_tb(error.__traceback__))
    log.error("request.failed", error=type(error).__name__, traceback=frames)
