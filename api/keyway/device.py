"""Device login: a program shows a code, a person confirms it on a page here, and the program gets a token.

What the program sees is not wrapped in the envelope: so its clients expect.
"""

from typing import Annotated
from urllib.parse import parse_qs

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from pydantic import Field, SecretStr

from api.bodies import JsonRoute
from api.dependencies import RuntimeOf
from api.keyway.dependencies import count_poll, count_request, count_verify
from api.keyway.errors import RESPONSES
from api.keyway.pages import device_page, message_page
from api.keyway.wire import Moment, WireModel
from shared.crypto import TOKEN_PREFIX
from shared.errors import InvalidInput, Unauthenticated
from shared.usecases import device_login, tokens
from shared.usecases.device_login import LIFETIME, POLL_SECONDS
from shared.usecases.oauth import own_address

router = APIRouter(
    prefix="/v1/auth/device", tags=["Keyway: login"], route_class=JsonRoute, responses=RESPONSES
)
page_router = APIRouter(prefix="/v1/auth/device", include_in_schema=False)

_MAX_FORM = 4096
_FORM_TYPE = "application/x-www-form-urlencoded"


class NewLogin(WireModel):
    """What the program wants to work with; it gives no right."""

    repository: str | None = Field(None, max_length=255)
    owner_id: int | None = None
    repo_id: int | None = None


class StartedLogin(WireModel):
    device_code: str
    user_code: str
    verification_uri: str
    verification_uri_complete: str
    expires_in: int
    interval: int


class PollBody(WireModel):
    device_code: SecretStr = Field(max_length=128)


class LoginProgress(WireModel):
    """``pending``, ``approved``, ``expired`` or ``denied``, always with status 200.

    Clients stop asking only when they can read the answer, and an error they do not read.
    """

    status: str
    keyway_token: str | None = None
    github_login: str | None = None
    expires_at: Moment | None = None
    error: str | None = None
    message: str | None = None


_ENDINGS = {
    "expired": ("device_code_expired", "The code expired or was used already. Start again."),
    "denied": ("authorization_denied", "The login was refused."),
}


@router.post("/start", summary="Begin a login", dependencies=[Depends(count_request)])
def start_login(body: NewLogin, runtime: RuntimeOf) -> StartedLogin:
    """Return the code to show, and where a person confirms it."""
    page = f"{own_address(runtime.settings)}/v1/auth/device/verify"
    started = device_login.start(runtime, body.repository)
    user_code = started.user_code.get_secret_value()
    return StartedLogin(
        device_code=started.device_code.get_secret_value(),
        user_code=user_code,
        verification_uri=page,
        verification_uri_complete=f"{page}?user_code={user_code}",
        expires_in=int(LIFETIME.total_seconds()),
        interval=POLL_SECONDS,
    )


@router.post(
    "/poll",
    summary="Ask what became of a login",
    dependencies=[Depends(count_poll)],
    response_model_exclude_none=True,
)
def poll_login(body: PollBody, runtime: RuntimeOf) -> LoginProgress:
    """Return what became of a login; once, with the token."""
    found = device_login.poll(runtime, body.device_code)
    error, message = _ENDINGS.get(found.status, (None, None))
    return LoginProgress(
        status=found.status,
        keyway_token=found.token.get_secret_value() if found.token else None,
        github_login=found.login,
        expires_at=found.expires_at,
        error=error,
        message=message,
    )


# --- the page ------------------------------------------------------------------------------------------


async def read_form(request: Request) -> dict[str, str]:
    """Return the fields of a posted form, each once."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM_TYPE:
        raise HTTPException(415, f"Send the form as {_FORM_TYPE}.")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_FORM:
            raise HTTPException(413, "The form is too long.")
    return {name: values[0] for name, values in parse_qs(body.decode(errors="replace")).items()}


@page_router.get("/verify", dependencies=[Depends(count_request)])
def show_page(user_code: str = "") -> Response:
    """Show the page on which a person confirms a login."""
    return device_page(user_code[:20])


@page_router.post("/verify", dependencies=[Depends(count_verify)])
def decide(
    request: Request, form: Annotated[dict[str, str], Depends(read_form)], runtime: RuntimeOf
) -> Response:
    """Take a person's decision. The token in the form is the proof: there is no session to ride on."""
    code, token = form.get("user_code", ""), form.get("token", "").strip()
    approve = form.get("decision") == "approve"
    try:
        if not token.startswith(TOKEN_PREFIX):
            raise Unauthenticated("A Keytide token begins with kt_.")
        caller = request.state.actor = tokens.authenticate(runtime, token)
        device_login.decide(runtime, caller, SecretStr(code), approve=approve)
    except (Unauthenticated, InvalidInput) as error:
        return device_page(code[:20], error.message, status=400)
    if approve:
        return message_page("You're all set!", "The program has its token. You can close this page.")
    return message_page("Refused", "The program gets no token. You can close this page.")
