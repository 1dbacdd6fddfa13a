"""Connecting with a browser: to the provider's page, and back with a code that becomes a connection.

What comes back is trusted only if it answers a question of ours: the state serves once, for ten minutes, for
one provider, and only in the browser that it was given to.
"""

import re
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID, uuid4

import structlog
from pydantic import SecretStr

from shared.crypto import hash_token, new_nonce, verifier_place
from shared.db import oauth_states
from shared.db.connections import Connection
from shared.db.oauth_states import OAuthState
from shared.errors import Forbidden, InvalidInput, Permanent
from shared.providers.base import OAUTH, OAuthCredentials
from shared.providers.oauth import OAuthFlow
from shared.runtime import Runtime
from shared.settings import Settings
from shared.usecases.connections import Grant, connect, provider_named
from shared.usecases.credentials import oauth_flow, verify
from shared.usecases.tokens import Caller

log = structlog.get_logger()

#: How long a person may take on the provider's page.
LIFETIME = timedelta(minutes=10)
LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]", "::1"})

STATE_REFUSED = (
    "This sign-in is not known here: it was finished already, took longer than ten minutes, or was begun in "
    "another browser. Start again."
)

#: What a browser and we read alike: no user name, no backslash, nothing that needs decoding.
_WEB_ADDRESS = re.compile(
    r"(https?)://([a-z0-9.-]+|\[[0-9a-f:]+\])(?::(\d{1,5}))?(?:[/?#][!-\[\]-~]*)?", re.I
)
_PORTS = {"http": "80", "https": "443"}


@dataclass(frozen=True, slots=True)
class Begun:
    """Where to send the browser, and what to give it as a cookie (HttpOnly, SameSite=Lax)."""

    url: str = field(repr=False)
    browser_nonce: SecretStr


@dataclass(frozen=True, slots=True)
class Completed:
    """The connection that came of it, and where the browser goes now, if whoever began it said so."""

    connection: Connection
    redirect_uri: str | None


def is_offered(runtime: Runtime, app: str) -> bool:
    """Can people connect *app* with a browser here?"""
    return provider_named(app).oauth is not None and runtime.settings.oauth_client(app) is not None


def begin(
    runtime: Runtime,
    app: str,
    caller: Caller,
    *,
    project_id: UUID | None = None,
    redirect_uri: str | None = None,
) -> Begun:
    """Start connecting the provider *app*, for one project or for all, on behalf of *caller*.

    Raises ``Forbidden`` if *redirect_uri* leads elsewhere than back to us or to this machine, and
    ``InvalidInput`` if the provider is not offered here.
    """
    provider_named(app)
    flow = oauth_flow(runtime, app)
    callback = callback_url(runtime.settings, app)
    if redirect_uri is not None:
        _check_redirect(runtime.settings, redirect_uri)
    state, browser_nonce, verifier = new_nonce(), new_nonce(), new_nonce()
    row = _new_state(runtime, app, state, browser_nonce, verifier)
    row.token_id, row.project_id, row.redirect_uri = caller.token_id, project_id, redirect_uri
    with runtime.database.transaction() as session:
        session.add(row)
    return Begun(flow.authorize_url(state=state, verifier=verifier, redirect_uri=callback), browser_nonce)


def complete(runtime: Runtime, app: str, *, code: SecretStr, state: str, browser_nonce: str) -> Completed:
    """Turn the code that a browser came back with into a connection.

    An account, or team, that is connected already gets its new tokens in place. Raises ``InvalidInput`` if
    the state is not good any more or the provider does not accept the code, a ``Transient`` if the provider
    cannot tell just now. The state is used up in any case, so a person starts again.
    """
    provider_named(app)
    flow = oauth_flow(runtime, app)
    signin = _take(runtime, app, state, browser_nonce)
    credentials = _exchange(runtime, flow, signin, code)
    account = verify(runtime, app, OAUTH, credentials)
    connection = connect(runtime, Grant(app, OAUTH, credentials, account, signin.project_id))
    log.info("connection.connected", app=app, connection_id=str(connection.id), by=str(signin.token_id))
    return Completed(connection, signin.redirect_uri)


def callback_url(settings: Settings, app: str) -> str:
    """Return where the provider *app* sends browsers back to. Raises ``InvalidInput`` if that is not known.

    It comes from the settings and never from a request, whose ``Host`` anybody can choose.
    """
    return f"{own_address(settings)}/v1/integrations/{app}/callback"


# --- who came back -------------------------------------------------------------------------------------


def _new_state(
    runtime: Runtime, app: str, state: SecretStr, browser_nonce: SecretStr, verifier: SecretStr
) -> OAuthState:
    now = runtime.clock()
    row = OAuthState(
        id=uuid4(),
        app=app,
        hash=hash_token(state.get_secret_value()),
        browser_hash=hash_token(browser_nonce.get_secret_value()),
        data_key=runtime.keyring.new_data_key(),
        created_at=now,
        expires_at=now + LIFETIME,
    )
    row.verifier = runtime.data_key(row.data_key).seal(verifier, *verifier_place(row.id))
    return row


def _take(runtime: Runtime, app: str, state: str, browser_nonce: str) -> OAuthState:
    with runtime.database.transaction() as session:
        signin = oauth_states.take(
            session,
            app=app,
            digest=hash_token(state),
            browser_digest=hash_token(browser_nonce),
            now=runtime.clock(),
        )
    if signin is None:
        raise InvalidInput(STATE_REFUSED, field=("state",))
    return signin


def _exchange(runtime: Runtime, flow: OAuthFlow, signin: OAuthState, code: SecretStr) -> OAuthCredentials:
    verifier = runtime.data_key(signin.data_key).open(signin.verifier, *verifier_place(signin.id))
    try:
        return flow.exchange(
            code,
            verifier=verifier,
            redirect_uri=callback_url(runtime.settings, signin.app),
            now=runtime.clock(),
        )
    except Permanent as error:
        raise InvalidInput(
            f"{flow.title} did not accept this sign-in. {error.message} Start again.", field=("code",)
        ) from None


# --- addresses -----------------------------------------------------------------------------------------


def own_address(settings: Settings) -> str:
    """Return where browsers reach us. Raises ``InvalidInput`` if the settings do not say."""
    if settings.public_url:
        return settings.public_url.rstrip("/")
    if settings.host not in LOOPBACK:
        raise InvalidInput("Set KEYTIDE_PUBLIC_URL, so that providers know where to send browsers back to.")
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{settings.port}"


def _check_redirect(settings: Settings, uri: str) -> None:
    origin = _origin(uri)
    if origin is None:
        raise Forbidden("redirect_uri is not a web address that browsers can be sent to.")
    if origin != _origin(own_address(settings)) and origin[1] not in LOOPBACK:
        raise Forbidden("redirect_uri leads neither to this server's public address nor to the loopback.")


def _origin(address: str) -> tuple[str, str, str] | None:
    """Return scheme, host and port of a web address, None if it is none or could be read in two ways."""
    found = _WEB_ADDRESS.fullmatch(address)
    if found is None or len(address) > 2048:
        return None
    scheme, host = found[1].lower(), found[2].lower()
    return scheme, host, found[3] or _PORTS[scheme]
