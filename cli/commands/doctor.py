"""``keytide doctor``: is everything in order here, and what to do where it is not."""

import stat
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from pathlib import Path

import httpx
import typer

from cli.client import Client
from cli.environment import read_settings
from cli.render import state
from cli.session import AsJson, begin
from shared.clock import utc_now
from shared.errors import KeytideError

#: How far clocks may be apart, in seconds.
_TOLERANCE = 30.0

_REMEDIES = {
    "database": "Is it running, and is KEYTIDE_DATABASE_URL right? Its schema comes with 'keytide migrate'.",
    "broker": "Changes wait in the database meanwhile. Is it running, and is KEYTIDE_BROKER_URL right?",
    "masterKey": "Start Keytide with the KEYTIDE_MASTER_KEY that this database was sealed with.",
}
_TITLES = {"masterKey": "master key"}


class NotWell(KeytideError):
    """Something is not in order: see above."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look found. ``state`` is ok, warning or failed; ``remedy`` is what to do."""

    what: str
    state: str
    found: str
    remedy: str = ""


def doctor(context: typer.Context, as_json: AsJson = False) -> None:
    """Check server, token, clock, versions and files, and say what to do."""
    with begin(context, as_json=as_json) as (client, screen):
        findings = [*_server(client), *_files()]
        rows = [(each.what, state(each.state), each.found, each.remedy) for each in findings]
        screen.table(
            ("", "State", "Found", "What to do"), rows, data=[asdict(each) for each in findings], empty=""
        )
        if any(each.state == "failed" for each in findings):
            raise NotWell


def _server(client: Client) -> Iterator[Finding]:
    server = client.server
    try:
        alive = client.request("GET", "/livez", timeout=10)
    except KeytideError as error:
        yield Finding("server", "failed", server.url, error.message)
        return
    if not _is_keytide(alive):
        yield Finding("server", "failed", server.url, "What answers there is not Keytide. Set KEYTIDE_URL.")
        return
    if server.is_private:
        yield Finding("server", "ok", server.url)
    else:
        yield Finding("server", "warning", server.url, "Whoever is in between reads your token: use https.")
    yield from _ready(client)
    yield _token(client)
    yield _clock(alive)
    yield _version(client)


def _is_keytide(alive: httpx.Response) -> bool:
    try:
        return bool(alive.json() == {"status": "ok"})
    except ValueError:
        return False


def _ready(client: Client) -> Iterator[Finding]:
    answer = client.request("GET", "/readyz", timeout=30)
    for name, works in answer.json()["checks"].items():
        what = _TITLES.get(name, name)
        if works:
            yield Finding(what, "ok", "works")
        else:
            yield Finding(
                what, "failed", "does not work", _REMEDIES.get(name, "The server's log tells more.")
            )


def _token(client: Client) -> Finding:
    if client.server.token is None:
        return Finding("token", "failed", "none", "Log in with 'keytide login', or set KEYTIDE_TOKEN.")
    source = f"from {client.server.token_from}"
    try:
        client.get("/api/v1/projects", limit=1)
    except KeytideError as error:
        return Finding("token", "failed", source, error.message)
    return Finding("token", "ok", source)


def _clock(answer: httpx.Response) -> Finding:
    try:
        theirs = parsedate_to_datetime(answer.headers["date"])
    except (KeyError, ValueError):
        return Finding("clock", "warning", "the server does not say its time")
    apart = abs((utc_now() - theirs).total_seconds())
    if apart <= _TOLERANCE:
        return Finding("clock", "ok", "as the server's")
    return Finding("clock", "warning", f"{apart:.0f} s apart from the server's", "Set both by NTP.")


def _version(client: Client) -> Finding:
    ours = version("keytide")
    theirs = client.get("/openapi.json")["info"]["version"]
    if ours == theirs:
        return Finding("version", "ok", ours)
    return Finding("version", "warning", f"{ours} here, {theirs} there", "Bring both to the same version.")


def _files() -> Iterator[Finding]:
    settings = read_settings()
    if not settings.data_dir.exists():
        return
    files = (settings.data_dir, settings.admin_token_file, settings.master_key_file)
    open_to_others = [path for path in files if path.exists() and _is_open(path)]
    if not open_to_others:
        yield Finding("data directory", "ok", str(settings.data_dir))
        return
    names = " ".join(map(str, open_to_others))
    yield Finding("data directory", "failed", "others may read it", f"chmod go-rwx {names}")


def _is_open(path: Path) -> bool:
    return bool(path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))
