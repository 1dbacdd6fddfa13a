"""``keytide connect``, ``connections``, ``disconnect`` and ``projects``."""

import json
from typing import Annotated, Any
from urllib.parse import urlencode

import typer

from cli.client import LOG_IN, Client, part
from cli.providers import (
    NotConnected,
    checked_provider,
    find_connection,
    list_connections,
    list_projects,
)
from cli.render import Screen, ago, state
from cli.session import AsJson, Yes, begin
from shared.errors import InvalidInput, KeytideError, Unauthenticated

ProviderName = Annotated[str, typer.Argument(metavar="PROVIDER", help="For example railway.")]

#: Seconds a person may take on the provider's page: as long as the server remembers the sign-in.
_SIGN_IN = 600.0

#: Where each provider hands out tokens.
_TOKEN_PAGES = {
    "vercel": "https://vercel.com/account/settings/tokens",
    "netlify": "https://app.netlify.com/user/applications#personal-access-tokens",
    "railway": "https://railway.com/account/tokens",
    "flyio": "https://fly.io/user/personal_access_tokens",
}


def connect(
    context: typer.Context,
    provider: ProviderName,
    browser: Annotated[
        bool | None,
        typer.Option("--browser/--token", help="Sign in with a browser, or give a token of the provider's."),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            metavar="METHOD",
            help="Where a token is not enough: the method. The credentials are then asked for, in JSON.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Connect a provider. Its token is asked for, or comes from standard input."""
    with begin(context, as_json=as_json) as (client, screen):
        title = checked_provider(client, provider)
        offered = _offered(client)
        if method or provider not in offered:
            connected = _connect_with_method(client, screen, provider, method)
        elif browser and not offered[provider]:
            raise InvalidInput(f"{title} cannot be connected with a browser here. Use --token.")
        elif browser or (browser is None and screen.has_person and offered[provider]):
            connected = _connect_with_browser(client, screen, provider)
        else:
            connected = _connect_with_token(client, screen, provider, title)
        screen.done(f"Connected to {title}{_account(connected)}.", data=connected)
        screen.hint(_next_step(provider, has_projects=provider in offered))


def connections(context: typer.Context, as_json: AsJson = False) -> None:
    """List the connections to providers, and whether their credentials work."""
    with begin(context, as_json=as_json) as (client, screen):
        found = list_connections(client)
        rows = [
            (
                each["app"],
                each["name"],
                each["accountName"] or "",
                each["method"],
                state(each["status"]),
                each["lastError"] or "",
                ago(each["createdAt"]),
            )
            for each in found
        ]
        columns = ("Provider", "Connection", "Account", "Method", "State", "Problem", "Connected")
        screen.table(columns, rows, data=found, empty="Nothing is connected yet: 'keytide connect railway'.")


def disconnect(
    context: typer.Context,
    provider: ProviderName,
    connection: Annotated[
        str | None,
        typer.Option("--connection", "-c", metavar="NAME", help="Its name or id, where there are several."),
    ] = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Forget the credentials at a provider. What was written there stays."""
    with begin(context, as_json=as_json) as (client, screen):
        title = checked_provider(client, provider)
        found = find_connection(client, provider, connection)
        screen.confirm(f"Disconnect {title} ({found['name']})?", yes=yes)
        if provider in _offered(client):
            client.delete(f"/v1/integrations/connections/{part(found['id'])}")
        else:
            client.delete(f"/api/v1/app-connections/{part(provider)}/{part(found['id'])}")
        screen.done(f"Disconnected from {title} ({found['name']}).", data=found)


def projects(context: typer.Context, provider: ProviderName, as_json: AsJson = False) -> None:
    """List what your connections show at a provider."""
    with begin(context, as_json=as_json) as (client, screen):
        found = list_projects(client, screen, provider)
        rows = [
            (
                each["name"],
                each["serviceName"] or "",
                ", ".join(each["environments"]),
                each["linkedRepo"] or "",
                each["teamName"] or "",
                " ".join(filter(None, (each["id"], each["serviceId"]))),
            )
            for each in found
        ]
        columns = ("Project", "Service", "Environments", "Built from", "Team", "Ids")
        screen.table(columns, rows, data=found, empty=f"There is no project at {provider} yet.")


# --- ways to connect -----------------------------------------------------------------------------------


def _connect_with_token(client: Client, screen: Screen, provider: str, title: str) -> dict[str, Any]:
    if page := _TOKEN_PAGES.get(provider):
        screen.hint(f"Create a token at {page}")
    token = screen.ask_secret(f"{title} token")
    if not token:
        raise InvalidInput("No token was given, so nothing was connected.")
    with screen.working(f"Asking {title} whose token that is"):
        answer = client.post(f"/v1/integrations/{part(provider)}/connect", token=token)
    return dict(answer["data"]["connection"])


def _connect_with_browser(client: Client, screen: Screen, provider: str) -> dict[str, Any]:
    from cli.browser import Detour

    server = client.server
    if server.token is None:
        raise Unauthenticated(f"No token is known for {server.url}. {LOG_IN}")
    token = server.token.get_secret_value()
    page = f"{server.url}/v1/integrations/{part(provider)}/authorize"
    detour = Detour(lambda back: f"{page}?{urlencode({'token': token, 'redirect_uri': back})}")
    screen.hint(f"Your browser opens {detour.url} once; sign in there. Ctrl-C stops waiting.")
    with screen.working("Waiting for your browser"):
        if not detour.send_off(within=_SIGN_IN):
            raise KeytideError("Nobody signed in within ten minutes, so nothing was connected. Start again.")
    found = client.get("/v1/integrations/connections")["data"]["connections"]
    known = [each for each in found if each["provider"] == provider]
    if not known:
        raise NotConnected(f"{provider} was not connected. Your browser shows why.")
    return dict(max(known, key=lambda each: str(each["createdAt"])))


def _connect_with_method(client: Client, screen: Screen, provider: str, method: str | None) -> dict[str, Any]:
    options = client.get("/api/v1/app-connections/options")["appConnectionOptions"]
    methods = next(each["methods"] for each in options if each["app"] == provider)
    if method is None and len(methods) > 1:
        raise InvalidInput(f"How? Say --method: {', '.join(methods)}.")
    method = method or methods[0]
    known = list_connections(client, provider)
    if method == "directory" and known:
        # There are no credentials that a second connection could differ in.
        return dict(known[0])
    credentials = {} if method == "directory" else _credentials(screen, provider)
    return dict(
        client.send(
            "POST",
            f"/api/v1/app-connections/{part(provider)}",
            body={"name": _free_name(client, provider), "method": method, "credentials": credentials},
        )["appConnection"]
    )


def _credentials(screen: Screen, provider: str) -> dict[str, Any]:
    text = screen.ask_secret(
        f"Credentials for {provider}, as docs/providers/{provider}.md names them, in JSON"
    )
    try:
        read = json.loads(text)
    except ValueError:
        read = None
    if not isinstance(read, dict):
        raise InvalidInput('The credentials are no JSON object such as {"apiToken": "…"}.')
    return read


def _free_name(client: Client, provider: str) -> str:
    known = {each["name"] for each in list_connections(client, provider)}
    names = [provider, *(f"{provider}-{number}" for number in range(2, len(known) + 2))]
    return next(name for name in names if name not in known)


def _offered(client: Client) -> dict[str, bool]:
    """Return the providers that take a token alone, and whether each offers a browser's sign-in here."""
    found = client.get("/v1/integrations")["data"]["providers"]
    options = client.get("/api/v1/app-connections/options")["appConnectionOptions"]
    by_browser = {each["app"] for each in options if "oauth" in each["methods"]}
    return {each["name"]: each["configured"] and each["name"] in by_browser for each in found}


def _next_step(provider: str, *, has_projects: bool) -> str:
    if has_projects:
        return f"Next: 'keytide projects {provider}', then 'keytide sync {provider}'."
    return (
        f"Next: 'keytide syncs create {provider} --name … --to …', as docs/providers/{provider}.md names "
        "the fields."
    )


def _account(connection: dict[str, Any]) -> str:
    name = connection.get("accountName") or connection.get("name")
    return f" ({name})" if name else ""
