"""``keytide login`` and ``keytide logout``."""

import os
import time
import webbrowser
from typing import Annotated, Any

import typer
from pydantic import SecretStr

from cli.client import Client, connect
from cli.render import Screen
from cli.server import TOKEN_VARIABLES, Logins, Server, find_server
from cli.session import AsJson, begin, invocation
from shared.errors import InvalidInput, KeytideError


def login(
    context: typer.Context,
    browser: Annotated[
        bool, typer.Option("--browser", help="Confirm in a browser instead of typing a token.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Remember a token for this server. It is asked for, or comes from standard input."""
    with begin(context, as_json=as_json) as (client, screen):
        url = client.server.url
        token = SecretStr(_confirmed(client, screen) if browser else screen.ask_secret(f"Token for {url}"))
        if not token.get_secret_value():
            raise InvalidInput("No token was given, so nothing was remembered.")
        who = _who(url, token)
        Logins.read().with_login(url, token).write()
        screen.done(f"Logged in to {url} as {who}.", data={"url": url, "username": who})
        screen.hint(f"The token lies in {Logins.file()}; 'keytide logout' forgets it.")
        _warn_of_variables(screen)


def logout(context: typer.Context, as_json: AsJson = False) -> None:
    """Forget the token of this server."""
    url = find_server(invocation(context).url).url
    logins = Logins.read()
    known = logins.token(url) is not None
    if known:
        logins.without(url).write()
    text = f"The token for {url} is forgotten." if known else f"No token for {url} was remembered."
    Screen(as_json=as_json).done(text, data={"url": url, "forgotten": known})


def _who(url: str, token: SecretStr) -> str:
    """Return whose token that is. Raises ``Unauthenticated`` if it is nobody's."""
    with connect(Server(url, token, "login")) as client:
        return str(client.post("/v1/auth/token/validate")["data"]["username"])


def _confirmed(client: Client, screen: Screen) -> str:
    """Return the token of a login that a person confirmed in a browser."""
    started: dict[str, Any] = client.post("/v1/auth/device/start")
    screen.warn(f"Confirm the code {started['userCode']} at {started['verificationUri']}")
    if screen.has_person:
        webbrowser.open(started["verificationUriComplete"])
    deadline = time.monotonic() + started["expiresIn"]
    with screen.working("Waiting for your confirmation"):
        while time.monotonic() < deadline:
            found = client.post("/v1/auth/device/poll", deviceCode=started["deviceCode"])
            if found["status"] == "approved":
                return str(found["keywayToken"])
            if found["status"] != "pending":
                raise KeytideError(found["message"])
            time.sleep(started["interval"])
    raise KeytideError("Nobody confirmed the login in time. Start again.")


def _warn_of_variables(screen: Screen) -> None:
    for name in TOKEN_VARIABLES:
        if os.environ.get(name):
            screen.warn(f"{name} is set in this environment and goes before the login.")
