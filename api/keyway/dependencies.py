"""What routes of Keyway's wire ask for: who calls, in which vault, and whether they called too often."""

import re
from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Request
from pydantic import SecretStr
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.dependencies import Credentials, RuntimeOf, address_of, take_turn
from shared.errors import KeytideError, Unauthenticated
from shared.usecases.github import GitHub
from shared.usecases.keyway import access
from shared.usecases.keyway.access import Member, Visitor
from shared.usecases.rate_limit import Allowance, Limit

#: Confirming a login: five tries a minute, so that nobody finds a code by trying.
VERIFY_LIMIT = Limit(5, timedelta(minutes=1))
#: Asking whether a login was confirmed. Clients do so every five seconds, for a quarter of an hour.
POLL_LIMIT = Limit(60, timedelta(minutes=1))
#: Showing single values.
VALUE_LIMIT = Limit(10, timedelta(minutes=1))


# --- who calls -----------------------------------------------------------------------------------------


def get_github(request: Request, runtime: RuntimeOf) -> GitHub:
    """Return GitHub, with the answers that this process remembers."""
    state = request.app.state
    known: GitHub | None = getattr(state, "github", None)
    if known is None or known.runtime is not runtime:
        known = state.github = GitHub(runtime)
    return known


GitHubOf = Annotated[GitHub, Depends(get_github)]


#: The one address that clients open in a browser, where no header can be sent.
_OPENED_IN_BROWSERS = re.compile(r"/v1/integrations/[^/]+/authorize")


def sent_token(request: Request, sent: Credentials) -> SecretStr | None:
    """Return the token behind ``Authorization: Bearer``, if any; on one path also that of the query."""
    if sent is not None and sent.credentials:
        return SecretStr(sent.credentials)
    if _OPENED_IN_BROWSERS.fullmatch(request.url.path) and request.query_params.get("token"):
        return SecretStr(request.query_params["token"])
    return None


def identify(
    request: Request,
    runtime: RuntimeOf,
    github: GitHubOf,
    token: Annotated[SecretStr | None, Depends(sent_token)],
) -> Visitor | KeytideError:
    """Return who calls, or why that is not known: such callers are counted too, before they are refused."""
    if token is None:
        return Unauthenticated("Authentication required")
    try:
        visitor = access.identify(runtime, github, token, address=address_of(request))
    except KeytideError as error:
        return error
    request.state.actor = visitor
    return visitor


Identified = Annotated[Visitor | KeytideError, Depends(identify)]


def count_request(request: Request, runtime: RuntimeOf, found: Identified) -> None:
    """Count the request towards its caller's limit. Raises a 429 beyond it."""
    settings = runtime.settings
    client = found.id if isinstance(found, Visitor) else f"ip:{address_of(request)}"
    limit = Limit(settings.rate_limit_max, timedelta(seconds=settings.rate_limit_window_seconds))
    take_turn(request, runtime, client, limit)


def get_visitor(found: Identified, counted: Annotated[None, Depends(count_request)]) -> Visitor:
    """Return who calls. Raises ``Unauthenticated``."""
    if isinstance(found, Visitor):
        return found
    raise found


VisitorOf = Annotated[Visitor, Depends(get_visitor)]


def get_member(owner: str, repo: str, runtime: RuntimeOf, github: GitHubOf, visitor: VisitorOf) -> Member:
    """Return the caller in the vault that the path names. Raises ``NotFound``."""
    return access.find_member(runtime, github, visitor, f"{owner}/{repo}")


MemberOf = Annotated[Member, Depends(get_member)]


# --- too often -----------------------------------------------------------------------------------------


def count_verify(request: Request, runtime: RuntimeOf) -> None:
    """Count a try to confirm a login."""
    take_turn(request, runtime, f"verify:{address_of(request)}", VERIFY_LIMIT)


def count_poll(request: Request, runtime: RuntimeOf) -> None:
    """Count a question for the outcome of a login."""
    take_turn(request, runtime, f"poll:{address_of(request)}", POLL_LIMIT)


def count_value(request: Request, runtime: RuntimeOf, visitor: VisitorOf) -> None:
    """Count a look at a single value."""
    take_turn(request, runtime, f"value:{visitor.id}", VALUE_LIMIT)


class RateLimitHeaders:
    """Tells callers on every answer, errors included, what they may still do."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            allowance: Allowance | None = scope.get("state", {}).get("allowance")
            if message["type"] == "http.response.start" and allowance is not None:
                headers = MutableHeaders(scope=message)
                headers["x-ratelimit-limit"] = str(allowance.limit)
                headers["x-ratelimit-remaining"] = str(allowance.remaining)
                headers["x-ratelimit-reset"] = str(allowance.resets_in)
            await send(message)

        await self.app(scope, receive, sending)
