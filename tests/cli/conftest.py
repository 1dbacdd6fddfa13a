"""A running Keytide for the command line to work with, and somebody who types commands."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pexpect
import pytest

from tests.e2e.installation import Installation
from tests.e2e.product import post
from tests.fakes.netlify import FakeNetlify
from tests.fakes.oauth import CLIENT_ID, CLIENT_SECRET
from tests.fakes.railway import FakeRailway
from tests.fakes.service import FakeServer

#: How long one command may take, in seconds.
PATIENCE = 60

_numbers = count(1)


@dataclass
class Service:
    """Keytide with the providers that it writes to."""

    installation: Installation
    railway: FakeRailway
    netlify: FakeNetlify


@pytest.fixture(scope="package")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    railway, netlify = FakeRailway.with_demo(), FakeNetlify.with_demo()
    with FakeServer(railway) as railway_server, FakeServer(netlify) as netlify_server:
        environment = {
            "KEYTIDE_PORT": "0",
            "KEYTIDE_SWEEP_SECONDS": "1",
            "KEYTIDE_RATE_LIMIT_MAX": "0",
            "KEYTIDE_RAILWAY_API_URL": railway_server.address,
            "KEYTIDE_NETLIFY_API_URL": netlify_server.address,
            "KEYTIDE_NETLIFY_SITE_URL": netlify_server.address,
            "KEYTIDE_NETLIFY_CLIENT_ID": CLIENT_ID,
            "KEYTIDE_NETLIFY_CLIENT_SECRET": CLIENT_SECRET,
        }
        installation = Installation(tmp_path_factory.mktemp("keytide"), environment)
        try:
            installation.start()
            yield Service(installation, railway, netlify)
        finally:
            installation.stop()


@dataclass(frozen=True)
class Done:
    """How a command ended and what it said."""

    status: int
    out: str
    err: str


@dataclass
class Person:
    """Somebody in a checkout of ``acme/shop-N``, which has a vault and a Railway project of that name."""

    service: Service
    directory: Path
    vault: str
    project_id: str
    client: httpx.Client
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """Where Railway keeps what the service ``web`` is given in production."""
        suffix = self.vault.rpartition("/")[2]
        return f"env-production-{suffix}/svc-web-{suffix}"

    def keytide(self, *arguments: str, stdin: str = "", **environment: str) -> Done:
        """Run a command without a terminal."""
        done = subprocess.run(
            [sys.executable, "-m", "cli", *arguments],
            input=stdin.encode(),
            capture_output=True,
            cwd=self.directory,
            env={**self.environment, **environment},
            timeout=PATIENCE,
            check=False,
        )
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    def done(self, *arguments: str, stdin: str = "") -> str:
        """Run a command that has to succeed, and return what it printed."""
        done = self.keytide(*arguments, stdin=stdin)
        assert done.status == 0, done
        return done.out

    def at_a_terminal(self, *arguments: str) -> "pexpect.spawn[str]":
        """Begin a command at a terminal, where Ctrl-C ends it."""
        return pexpect.spawn(
            sys.executable,
            ["-m", "cli", *arguments],
            cwd=str(self.directory),
            env={**self.environment, "TERM": "xterm"},
            encoding="utf-8",
            timeout=PATIENCE,
            dimensions=(50, 120),
            # Where the tests run in the background, Ctrl-C is ignored, and children inherit that.
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
        )

    def put(self, environment: str = "production", **secrets: str) -> None:
        """Give the vault secrets, not by the command line."""
        answer = self.client.patch(
            "/api/v4/secrets/batch",
            json={
                "projectId": self.project_id,
                "environment": environment,
                "mode": "upsert",
                "secrets": [{"secretKey": key, "secretValue": value} for key, value in secrets.items()],
            },
        )
        assert answer.status_code == 200, answer.text

    def held(self) -> dict[str, str]:
        """Return what Railway holds for the service ``web`` in production."""
        return dict(self.service.railway.places()[self.place])

    def get(self, path: str) -> Any:
        answer = self.client.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
def person(service: Service, tmp_path: Path) -> Iterator[Person]:
    """Somebody with a vault, and no connection yet."""
    name = f"shop-{next(_numbers)}"
    service.railway.add_project(name, name, workspace="ws-1")
    repository = tmp_path / "checkout"
    for command in (["init", "-q"], ["remote", "add", "origin", f"git@github.com:acme/{name}.git"]):
        repository.mkdir(exist_ok=True)
        subprocess.run(["git", *command], cwd=repository, check=True)
    with service.installation.client() as client:
        project = post(client, "/api/v1/projects", projectName=name, slug=f"acme/{name}")["project"]
        yield Person(
            service, repository, f"acme/{name}", project["id"], client, _environment(service, tmp_path)
        )


@pytest.fixture
def connected(person: Person) -> Person:
    """Somebody whose vault holds two secrets, and whose Keytide is connected to Railway."""
    token = person.service.railway.demo()["token"]
    answer = person.client.post("/v1/integrations/railway/connect", json={"token": token})
    assert answer.status_code == 200, answer.text
    person.put(TOKEN="one", URL="https://one.example")
    return person


def _environment(service: Service, home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KEYTIDE_", "KEYWAY_"))}
    kept.pop("CI", None)
    return {
        **kept,
        "KEYTIDE_URL": service.installation.url,
        "KEYTIDE_DATA_DIR": str(service.installation.data_dir),
        "XDG_CONFIG_HOME": str(home / "config"),
        "COLUMNS": "120",
    }
