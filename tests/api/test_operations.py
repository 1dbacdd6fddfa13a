from uuid import UUID

import pytest
from fastapi import FastAPI

from shared.crypto import Keyring
from shared.db.session import Database
from shared.runtime import Runtime
from shared.usecases.tokens import Scope
from tests.api.client import ApiClient
from tests.support import ManualClock, RecordingBroker, create_token


def metric(api: ApiClient, name: str) -> float:
    lines = dict(line.rsplit(" ", 1) for line in api.get("/metrics").text.splitlines() if line[0] != "#")
    return float(lines[name])


def test_a_living_process_says_so_without_a_token(anonymous: ApiClient) -> None:
    answer = anonymous.get("/livez")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_a_ready_installation_says_what_it_looked_at(anonymous: ApiClient, project_id: UUID) -> None:
    answer = anonymous.get("/readyz")

    assert answer.status_code == 200
    checks = {"database": True, "broker": True, "masterKey": True}
    assert answer.json() == {"status": "ok", "checks": checks}


def test_a_missing_broker_is_named(anonymous: ApiClient, broker: RecordingBroker) -> None:
    broker.reachable = False

    answer = anonymous.get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["checks"] == {"database": True, "broker": False, "masterKey": True}


def test_another_master_key_is_named(app: FastAPI, runtime: Runtime, project_id: UUID) -> None:
    app.state.runtime = Runtime(
        settings=runtime.settings,
        database=runtime.database,
        broker=runtime.broker,
        keyring=Keyring([bytes(32)]),
        http=runtime.http,
    )

    answer = ApiClient(app).get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["checks"]["masterKey"] is False


def test_a_missing_database_is_named(app: FastAPI, runtime: Runtime) -> None:
    app.state.runtime = Runtime(
        settings=runtime.settings,
        database=Database("sqlite:////nowhere/keytide.db"),
        broker=runtime.broker,
        keyring=runtime.keyring,
        http=runtime.http,
    )

    answer = ApiClient(app).get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["checks"] == {"database": False, "broker": True, "masterKey": False}


def test_what_waits_is_counted(api: ApiClient, clock: ManualClock, project_id: UUID) -> None:
    place = {"projectId": str(project_id), "environment": "production"}
    api.post("/api/v4/secrets/KEY", {**place, "secretValue": "x"})
    clock.advance(seconds=90)

    assert metric(api, "keytide_change_events_open") == 1
    assert metric(api, "keytide_change_event_oldest_seconds") == 90
    assert metric(api, "keytide_jobs_due") == 0
    assert metric(api, 'keytide_jobs{status="queued"}') == 0


def test_what_is_due_is_counted(api: ApiClient, clock: ManualClock, project_id: UUID) -> None:
    place = {"projectId": str(project_id), "environment": "production", "secretPath": "/"}
    connection = api.post(
        "/api/v1/app-connections/dotenv", {"name": "files", "method": "directory", "credentials": {}}
    ).json()["appConnection"]
    sync = {
        **place,
        "name": "to-file",
        "connectionId": connection["id"],
        "syncOptions": {"initialSyncBehavior": "overwrite-destination"},
        "destinationConfig": {"path": "shop.env"},
    }
    api.post("/api/v1/secret-syncs/dotenv", sync)

    assert metric(api, 'keytide_jobs{status="queued"}') == 1
    assert metric(api, "keytide_jobs_due") == 1


@pytest.mark.parametrize(
    ("host", "status"), [("127.0.0.1", 200), ("::1", 200), ("localhost", 200), ("0.0.0.0", 401), ("api", 401)]
)
def test_only_this_machine_reads_the_counts_without_a_token(
    anonymous: ApiClient, runtime: Runtime, host: str, status: int
) -> None:
    runtime.settings.host = host

    assert anonymous.get("/metrics").status_code == status


def test_the_counts_of_all_projects_are_not_for_a_token_of_one(
    app: FastAPI, runtime: Runtime, project_id: UUID
) -> None:
    runtime.settings.host = "0.0.0.0"
    everywhere = create_token(runtime, "scraper", [Scope.READ])
    one = create_token(runtime, "one", [Scope.READ], project_id=project_id)

    assert ApiClient(app, everywhere.get_secret_value()).get("/metrics").status_code == 200
    assert ApiClient(app, one.get_secret_value()).get("/metrics").status_code == 403
