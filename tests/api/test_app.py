import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from shared.usecases.setup import prepare
from tests.api.client import ApiClient
from tests.support import make_settings


@pytest.fixture
def described(app: FastAPI) -> dict[str, Any]:
    return app.openapi()


def operations(described: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for methods in described["paths"].values():
        yield from methods.values()


def test_every_route_is_described(described: dict[str, Any]) -> None:
    for operation in operations(described):
        assert operation["summary"]
        assert operation["description"], operation["operationId"]
        assert operation["tags"]


def test_what_names_its_project_in_one_of_several_ways_has_an_example_of_one(
    described: dict[str, Any],
) -> None:
    """The page shows what is required and what has an example; without a project all of these are refused."""
    bodies = [
        body["properties"] for body in described["components"]["schemas"].values() if "properties" in body
    ]
    queries = [
        {each["name"]: each["schema"] for each in operation.get("parameters", ())}
        for operation in operations(described)
    ]

    either = [fields for fields in (*bodies, *queries) if {"projectId", "workspaceId"} <= fields.keys()]

    assert either
    assert all(fields["projectId"]["examples"] for fields in either)


def test_operations_have_readable_names_of_their_own(described: dict[str, Any]) -> None:
    ids = [operation["operationId"] for operation in operations(described)]

    assert len(ids) == len(set(ids))
    assert {"createSync", "listSecrets", "listSecretsV3", "getSyncPreview"} <= set(ids)
    assert all(name.isalnum() for name in ids)


def test_errors_are_described_in_the_form_they_are_sent_in(described: dict[str, Any]) -> None:
    for path, methods in described["paths"].items():
        for operation in methods.values() if path.startswith("/api/") else ():
            for status in ("400", "401", "403", "404", "422"):
                schema = operation["responses"][status]["content"]["application/json"]["schema"]
                assert schema["$ref"].endswith("/ErrorEnvelope"), path


def test_the_documentation_can_be_opened_without_a_token(anonymous: ApiClient) -> None:
    assert anonymous.get("/openapi.json").json()["info"]["title"] == "Keytide"
    assert anonymous.get("/docs").headers["content-type"].startswith("text/html")


def test_the_documentation_loads_nothing_from_elsewhere(anonymous: ApiClient) -> None:
    page = anonymous.get("/docs")
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)

    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "http" not in page.headers["content-security-policy"]
    assert loaded
    for path in loaded:
        assert path.startswith("/")
        assert anonymous.get(path).status_code == 200


def test_the_application_opens_what_it_needs_by_itself(tmp_path: Path) -> None:
    settings = make_settings(tmp_path / "data")
    prepare(settings)
    token = settings.admin_token_file.read_text().strip()
    environment = {
        **os.environ,
        "KEYTIDE_DATA_DIR": str(settings.data_dir),
        "KEYTIDE_MASTER_KEY": settings.master_key.get_secret_value(),
        "KEYTIDE_BROKER_URL": "memory://",
        "KEYTIDE_LOG_FORMAT": "json",
    }
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "uvicorn", "--factory", "api.app:create_app"),
                *("--fd", str(listener.fileno()), "--no-access-log", "--log-level", "warning"),
            ],
            env=environment,
            pass_fds=[listener.fileno()],
            stderr=subprocess.PIPE,
            text=True,
        )
    # The process alone holds the listener now: a request waits until it is taken, or fails if nobody will.
    try:
        answer = httpx.get(f"{url}/api/v1/projects", headers={"Authorization": f"Bearer {token}"}, timeout=60)
    finally:
        process.send_signal(signal.SIGINT)
        _, logged = process.communicate()

    assert answer.json() == {"projects": []}
    [line] = [json.loads(each) for each in logged.splitlines() if "request.finished" in each]
    assert line["caller"] == "administrator"
    assert token not in logged
