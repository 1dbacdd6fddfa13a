"""``keytide demo``: one edit, and the file that follows it. Everything happens over HTTP, as for a user."""

import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import typer

from cli.environment import read_settings
from cli.sockets import base_url, listen
from shared.errors import KeytideError
from shared.settings import Settings

_STARTS_WITHIN = 90.0
_SYNCS_WITHIN = 30.0


class DemoFailed(KeytideError):
    """The demonstration did not come to its end."""


@dataclass(frozen=True)
class _Service:
    """A Keytide that answers, and the directory its ``dotenv`` destinations lie in."""

    http: httpx.Client
    directory: Path

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        try:
            answer = self.http.request(method, path, json=body)
            answered: dict[str, Any] = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise DemoFailed(f"{method} {path} was not answered: {type(error).__name__}.") from None
        if not answer.is_success:
            raise DemoFailed(f"{method} {path}: {answer.status_code}, {answered.get('message')}")
        return answered


def demo() -> None:
    """Show one secret travel to a file: in the running service, or in one that is started for it."""
    with _service(read_settings()) as service:
        name = f"demo-{secrets.token_hex(3)}"
        file = service.directory / f"{name}.env"
        typer.echo(f"1. A project, a secret, and a sync to a file, all named {name}")
        project = _create_project(service, name)
        _put_secret(service, "POST", project, "a first value")
        _create_sync(service, project, file)
        _show(file, _wait_for(file, "a first value"))

        typer.echo("2. Somebody edits the secret")
        _put_secret(service, "PATCH", project, "a second value")
        _show(file, _wait_for(file, "a second value"))


def _create_project(service: _Service, name: str) -> str:
    created = service.call("POST", "/api/v1/projects", {"projectName": name})
    return str(created["project"]["id"])


def _put_secret(service: _Service, method: str, project: str, value: str) -> None:
    body = {"projectId": project, "environment": "production", "secretPath": "/", "secretValue": value}
    service.call(method, "/api/v4/secrets/GREETING", body)


def _create_sync(service: _Service, project: str, file: Path) -> None:
    sync = {
        "name": file.stem,
        "projectId": project,
        "connectionId": _connection(service),
        "environment": "production",
        "secretPath": "/",
        "syncOptions": {"initialSyncBehavior": "overwrite-destination"},
        "destinationConfig": {"path": file.name},
    }
    service.call("POST", "/api/v1/secret-syncs/dotenv", sync)


def _connection(service: _Service) -> str:
    """Return the id of a connection to files: that of an earlier time, or a new one."""
    path = "/api/v1/app-connections/dotenv"
    known = service.call("GET", path)["appConnections"]
    if known:
        return str(known[0]["id"])
    created = service.call("POST", path, {"name": "dotenv", "method": "directory", "credentials": {}})
    return str(created["appConnection"]["id"])


def _wait_for(file: Path, text: str) -> float:
    """Return after how many seconds *text* stands in *file*."""
    started = time.monotonic()
    while time.monotonic() - started < _SYNCS_WITHIN:
        if file.exists() and text in file.read_text():
            return time.monotonic() - started
        time.sleep(0.002)
    raise DemoFailed(f"{file} did not change within {_SYNCS_WITHIN:.0f} s.")


def _show(file: Path, seconds: float) -> None:
    typer.echo(f"   {seconds * 1000:.0f} ms after the API's answer, {file} holds:")
    for line in file.read_text().splitlines():
        typer.echo(f"      {line}")


@contextmanager
def _service(settings: Settings) -> Iterator[_Service]:
    url = base_url(settings.host, settings.port)
    if settings.admin_token_file.exists() and _answers(url):
        typer.echo(f"Using the service at {url}, where what is made here stays")
        with _connect(url, settings) as service:
            yield service
        return
    typer.echo("No service is running here; starting one in a temporary directory")
    with tempfile.TemporaryDirectory(prefix="keytide-demo-") as place, _started(Path(place)) as service:
        yield service


@contextmanager
def _started(place: Path) -> Iterator[_Service]:
    with listen("127.0.0.1", 0) as free:
        port = free.getsockname()[1]
    url = base_url("127.0.0.1", port)
    output = place / "output"
    # -P: the working directory may hold a "cli" of its own.
    arguments = [sys.executable, "-P", "-m", "cli", "up"]
    with output.open("w") as log:
        process = subprocess.Popen(arguments, env=_fresh(place, port), stdout=log, stderr=log)
    try:
        _wait_until_ready(url, process, output)
        data = place / "data"
        with _connect(url, Settings(data_dir=data, dotenv_dir=data / "dotenv")) as service:
            yield service
    finally:
        process.terminate()
        process.wait()


def _fresh(place: Path, port: int) -> dict[str, str]:
    """Return our environment without settings that point to anybody's real service."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KEYTIDE_")}
    return {**kept, "KEYTIDE_DATA_DIR": str(place / "data"), "KEYTIDE_PORT": str(port)}


def _wait_until_ready(url: str, process: "subprocess.Popen[bytes]", output: Path) -> None:
    deadline = time.monotonic() + _STARTS_WITHIN
    while not _answers(url):
        if process.poll() is not None or time.monotonic() > deadline:
            raise DemoFailed(f"The service did not start:\n{output.read_text()}")
        time.sleep(0.1)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=5, trust_env=False).is_success
    except httpx.HTTPError:
        return False


@contextmanager
def _connect(url: str, settings: Settings) -> Iterator[_Service]:
    token = settings.admin_token_file.read_text().strip()
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=url, headers=headers, timeout=30, trust_env=False) as http:
        yield _Service(http, Path(settings.address("dotenv")))
