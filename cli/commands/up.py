"""``keytide up``: everything on one machine, in the foreground."""

import hashlib
import secrets
import socket
import sys
import threading
import time

import httpx
import typer
from pydantic import SecretStr

from cli.environment import read_settings
from cli.sockets import base_url, listen
from cli.supervisor import Child, Supervisor, exclusive, until_told_to_stop
from shared import log
from shared.settings import Settings

#: How long to wait for the API before saying that something is wrong, in seconds.
_READY_WITHIN = 60.0


def up() -> None:
    """Run everything here: API, worker and scheduler. Ctrl-C stops all.

    Without KEYTIDE_DATABASE_URL and KEYTIDE_BROKER_URL, an embedded database and broker are used.
    """
    # Imported here, as it brings the database along, which the broker's process has no use for.
    from shared.usecases.setup import prepare

    settings = read_settings()
    log.configure(settings)
    with (
        exclusive(settings.data_dir),
        listen(settings.host, settings.port) as api,
        listen("127.0.0.1", 0) as broker,
    ):
        prepare(settings)
        show = _show_plain if settings.log_format == "json" else _show_named
        supervisor = Supervisor(children_of(settings, api=api, broker=broker), show=show)
        try:
            with until_told_to_stop():
                supervisor.start()
                _announce(base_url(*api.getsockname()[:2]), settings)
                threading.Event().wait()
        finally:
            supervisor.stop()
            typer.echo("Keytide has stopped.")


def children_of(settings: Settings, *, api: socket.socket, broker: socket.socket) -> list[Child]:
    """Return the processes of one installation, which serve on the sockets *api* and *broker*."""
    environment = {"KEYTIDE_PORT": str(api.getsockname()[1])}
    children = []
    if not settings.broker_url.get_secret_value():
        url = _new_broker_url(broker)
        environment["KEYTIDE_BROKER_URL"] = url.get_secret_value()
        children.append(_child("broker", environment, broker, serves_the_others=True))
    return [
        *children,
        _child("api", environment, api),
        _child("worker", {**environment, "KEYTIDE_WORKER_NAME": _worker_name(settings)}),
        _child("beat", environment),
    ]


def _child(
    name: str,
    environment: dict[str, str],
    listener: socket.socket | None = None,
    *,
    serves_the_others: bool = False,
) -> Child:
    # -P: the working directory may hold a "cli" of its own.
    arguments = [sys.executable, "-P", "-m", "cli", name, "--supervised"]
    sockets = () if listener is None else (listener.fileno(),)
    arguments += [f"--descriptor={number}" for number in sockets]
    return Child(name, tuple(arguments), environment, sockets, serves_the_others=serves_the_others)


def _new_broker_url(listener: socket.socket) -> SecretStr:
    password, port = secrets.token_urlsafe(32), listener.getsockname()[1]
    return SecretStr(f"redis://:{password}@127.0.0.1:{port}/0")


def _worker_name(settings: Settings) -> str:
    """Return a name that stays the same over restarts and is nobody else's: one `up` per data directory."""
    place = hashlib.sha256(str(settings.data_dir.absolute()).encode()).hexdigest()[:8]
    return f"up-{socket.gethostname()}-{place}"


def _announce(url: str, settings: Settings) -> None:
    if _becomes_ready(url):
        typer.echo(
            f"Keytide is ready at {url} (Ctrl-C stops it)\n"
            f"  API documentation: {url}/docs\n"
            f"  Administrator's token: {settings.admin_token_file}"
        )
    else:
        typer.echo(f"Keytide is not ready after {_READY_WITHIN:.0f} s; {url}/readyz says why.", err=True)


def _becomes_ready(url: str) -> bool:
    deadline = time.monotonic() + _READY_WITHIN
    with httpx.Client(base_url=url, timeout=5, trust_env=False) as client:
        while time.monotonic() < deadline:
            if _is_ready(client):
                return True
            time.sleep(0.1)
    return False


def _is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").is_success
    except httpx.HTTPError:
        return False


def _show_named(name: str, line: str) -> None:
    if not line:
        return
    # One write for the whole line, so that the lines of several processes do not mix.
    sys.stderr.write(f"{name:<6} | {line}\n")


def _show_plain(_: str, line: str) -> None:
    # A line of JSON stays one.
    sys.stderr.write(f"{line}\n")
