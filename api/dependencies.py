"""What routes ask for: the runtime, and who calls."""

from typing import Annotated, cast
from uuid import UUID

from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.errors import TokenRejected
from shared.errors import NotFound, Unauthenticated
from shared.runtime import Runtime
from shared.usecases import rate_limit, tokens
from shared.usecases.rate_limit import Limit
from shared.usecases.tokens import Caller, Scope

_bearer = HTTPBearer(
    auto_error=False, description="A Keytide token, such as the one in the file `admin-token`."
)


async def get_runtime(request: Request) -> Runtime:
    """Return the outside world of this application."""
    return cast(Runtime, request.app.state.runtime)


RuntimeOf = Annotated[Runtime, Depends(get_runtime)]


#: What stands behind ``Authorization: Bearer``, if anything.
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


def get_caller(request: Request, runtime: RuntimeOf, sent: Credentials) -> Caller:
    """Return who calls. Raises ``Unauthenticated`` without a token, ``TokenRejected`` with a wrong one."""
    if sent is None or not sent.credentials:
        raise Unauthenticated
    try:
        caller = tokens.authenticate(runtime, sent.credentials, address=address_of(request))
    except Unauthenticated as error:
        raise TokenRejected(error.message) from None
    request.state.actor = caller
    return caller


def address_of(request: Request) -> str | None:
    """Return the network address that *request* came from. No header is believed."""
    return request.client.host if request.client else None


def take_turn(request: Request, runtime: Runtime, client: str, limit: Limit) -> None:
    """Count the request towards the *limit* of *client*. Raises a 429 beyond it."""
    if runtime.settings.rate_limit_max == 0:
        return
    allowance = rate_limit.take(runtime, client, limit)
    request.state.allowance = allowance
    if allowance.is_exceeded:
        raise HTTPException(
            429,
            f"Too many requests, please try again in {allowance.resets_in} s.",
            headers={"Retry-After": str(allowance.resets_in)},
        )


CallerOf = Annotated[Caller, Depends(get_caller)]


def require_own(caller: Caller, scope: Scope, project_id: UUID | None, *, what: str) -> None:
    """Raise ``Forbidden`` unless the caller may do that with an object of *project_id*.

    To a caller of another project the object does not exist: ``NotFound`` says that there is no *what*.
    """
    if not caller.knows(project_id):
        raise NotFound(f"There is no {what}.")
    caller.require(scope, project_id)
