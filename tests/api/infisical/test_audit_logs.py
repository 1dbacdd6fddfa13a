"""Who did what: written down for whatever means to change something, on both wires, and for logins."""

import json
from typing import Any
from uuid import UUID

import pytest
from fastapi.routing import APIRoute
from pydantic.alias_generators import to_camel
from sqlalchemy import select

from api import infisical
from api.audit import action_of
from shared.db.audit import AuditEntry
from shared.runtime import Runtime
from shared.usecases import audit_log
from shared.usecases.projects import create_project
from shared.usecases.prune import prune
from shared.usecases.tokens import Scope
from tests.api.client import ApiClient
from tests.support import ManualClock, create_token

LOGS = "/api/v1/audit-logs"
LOGIN = "/api/v1/auth/universal-auth/login"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
Body = dict[str, Any]


def logged(api: ApiClient, **query: str) -> list[Body]:
    answer = api.get(LOGS, **query)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["auditLogs"])


def actions(api: ApiClient, **query: str) -> list[str]:
    return [entry["action"] for entry in logged(api, **query)]


@pytest.fixture
def secret(api: ApiClient, place: Body) -> Body:
    return dict(api.post("/api/v4/secrets/KEY", {**place, "secretValue": "canary"}).json()["secret"])


def test_an_edit_says_who_did_it_from_where_and_to_what(
    api: ApiClient, secret: Body, project_id: UUID
) -> None:
    [entry] = logged(api)

    assert entry["actor"].items() >= {"type": "token", "name": "administrator"}.items()
    assert (entry["action"], entry["status"]) == ("createSecret", 200)
    assert entry["projectId"] == str(project_id)
    assert entry["ipAddress"] == "127.0.0.1"
    assert entry["objects"] == {"secret_name": "KEY", "secret": secret["id"]}


def test_a_move_says_what_went_from_where_to_where(api: ApiClient, secret: Body, project_id: UUID) -> None:
    body = {
        "projectId": str(project_id),
        "sourceEnvironment": "production",
        "destinationEnvironment": "staging",
        "secretIds": [secret["id"]],
    }
    answers = [api.post("/api/v4/secrets/move", body) for _ in range(2)]

    entries = logged(api, action="moveSecrets")

    assert sorted(answer.status_code for answer in answers) == [200, 404]
    assert sorted(entry["status"] for entry in entries) == [200, 404]
    for entry in entries:
        assert entry["objects"] == {
            "secrets": [secret["id"]],
            "source": {"environment": "production", "path": "/"},
            "destination": {"environment": "staging", "path": "/"},
        }


def test_a_deed_has_one_name_on_every_path(api: ApiClient, runtime: Runtime, place: Body) -> None:
    create_project(runtime, "Shop", slug="acme/shop")
    for base in ("/api/v4/secrets", "/api/v3/secrets/raw"):
        api.post(f"{base}/KEY", {**place, "secretValue": "1"})
        api.delete(f"{base}/KEY", place)
    sent = {"key": "KEY", "value": "1", "environment": "production"}
    made = api.post("/v1/vaults/acme/shop/secrets", sent).json()["data"]["id"]
    api.delete(f"/v1/vaults/acme/shop/secrets/{made}")
    api.post("/api/v2/workspace", {"projectName": "Old"})
    api.post("/api/v1/projects", {"projectName": "New"})

    assert len(logged(api, action="deleteSecret")) == 3
    assert len(logged(api, action="createProject")) == 2


def test_no_old_path_has_a_name_of_its_own() -> None:
    """A filter by the present name would miss what is done there."""
    found = [each for router in infisical.ROUTERS for each in router.routes if isinstance(each, APIRoute)]
    writing = [each for each in found if "GET" not in (each.methods or ())]
    old, present = (
        {action_of(each, to_camel(each.name)) for each in writing if bool(each.deprecated) is deprecated}
        for deprecated in (True, False)
    )

    assert old
    assert old <= present


def test_no_value_is_written_down(api: ApiClient, runtime: Runtime, secret: Body, place: Body) -> None:
    api.patch("/api/v4/secrets/KEY", {**place, "secretValue": "canary-2", "secretComment": "canary-3"})
    api.post("/api/v4/secrets/batch", {**place, "secrets": [{"secretKey": "B", "secretValue": "canary-4"}]})
    credentials = {"apiToken": "canary-5"}
    api.post(
        "/api/v1/app-connections/railway",
        {"name": "x", "method": "account-token", "credentials": credentials},
    )

    with runtime.database.snapshot() as session:
        rows = session.scalars(select(AuditEntry)).all()

    assert len(rows) == 4
    assert "canary" not in json.dumps(
        [{name: str(value) for name, value in vars(row).items()} for row in rows]
    )


def test_reading_is_not_written_down(api: ApiClient, place: Body) -> None:
    api.get("/api/v4/secrets", **place)
    api.get("/api/v1/projects")

    assert logged(api) == []


def test_what_was_refused_is_written_down_too(
    api: ApiClient, runtime: Runtime, place: Body, project_id: UUID
) -> None:
    token = create_token(runtime, "reader", [Scope.READ], project_id=project_id)
    ApiClient(api.app, token.get_secret_value()).post("/api/v4/secrets/KEY", {**place, "secretValue": "1"})

    [entry] = logged(api, projectId=str(project_id))

    assert (entry["actor"]["name"], entry["action"], entry["status"]) == ("reader", "createSecret", 403)


def test_an_unknown_caller_fills_no_log(api: ApiClient, anonymous: ApiClient, place: Body) -> None:
    anonymous.post("/api/v4/secrets/KEY", {**place, "secretValue": "1"})

    assert logged(api) == []


def test_who_tries_what_is_not_known_fills_no_log(api: ApiClient, anonymous: ApiClient) -> None:
    for unknown in ("nobody", "5a39e55e-7b0c-4d37-b1f1-7ab5b38ab0b2"):
        anonymous.post(LOGIN, {"clientId": unknown, "clientSecret": "x"})
    for path in ("renew", "revoke"):
        anonymous.post(f"/api/v1/auth/token/{path}", {"accessToken": "x"})
    anonymous.get("/v1/integrations/vercel/callback", code="x", state="x")
    anonymous.request("POST", "/v1/auth/device/verify", content=b"user_code=x&token=kt_x", headers=FORM)

    assert logged(api) == []


def test_logins_are_written_down_whether_they_succeed_or_not(
    api: ApiClient, anonymous: ApiClient, clock: ManualClock
) -> None:
    identity = api.post("/api/v1/identities", {"name": "bot"}).json()["identity"]["id"]
    auth = f"/api/v1/auth/universal-auth/identities/{identity}"
    client_id = api.get(auth).json()["identityUniversalAuth"]["clientId"]
    secret = api.post(f"{auth}/client-secrets").json()["clientSecret"]
    for each in (secret, "wrong"):
        clock.advance(seconds=1)
        anonymous.post(LOGIN, {"clientId": client_id, "clientSecret": each})

    failed, good = logged(api, action="login")

    assert (good["status"], good["actor"]) == (200, {"type": "identity", "id": identity, "name": "bot"})
    assert (failed["status"], failed["actor"]["type"]) == (401, "nobody")
    assert failed["objects"] == {"clientId": client_id}


def test_keyways_wire_is_written_down_as_well(api: ApiClient, runtime: Runtime) -> None:
    project = create_project(runtime, "Shop", slug="acme/shop").project
    body = {"repoFullName": "acme/shop", "environment": "production", "secrets": {"KEY": "canary"}}
    api.post("/v1/secrets/push", body)

    [entry] = logged(api)

    assert (entry["action"], entry["projectId"], entry["status"]) == ("keywayPush", str(project.id), 200)


def test_the_log_can_be_narrowed_down(
    api: ApiClient, runtime: Runtime, clock: ManualClock, place: Body, foreign_id: UUID
) -> None:
    other = ApiClient(api.app, create_token(runtime, "other", [Scope.ADMIN]).get_secret_value())
    api.post("/api/v4/secrets/A", {**place, "secretValue": "1"})
    clock.advance(seconds=10)
    other.post("/api/v4/secrets/B", {**place, "secretValue": "1"})
    other.post("/api/v4/secrets/C", {**place, "projectId": str(foreign_id), "secretValue": "1"})
    other.delete("/api/v4/secrets/C", {**place, "projectId": str(foreign_id)})

    assert actions(api, actor="administrator") == ["createSecret"]
    assert len(logged(api, actor=logged(other, actor="other")[0]["actor"]["id"])) == 3
    assert actions(api, action="deleteSecret") == ["deleteSecret"]
    assert [each["objects"]["secret_name"] for each in logged(api, projectId=place["projectId"])] == [
        "B",
        "A",
    ]
    assert len(logged(api, since=clock().isoformat())) == 3
    assert len(logged(api, limit="1", offset="3")) == 1


def test_an_administrator_of_one_project_sees_what_concerns_it(
    api: ApiClient, runtime: Runtime, place: Body, project_id: UUID, foreign_id: UUID
) -> None:
    api.post("/api/v4/secrets/A", {**place, "secretValue": "1"})
    api.post("/api/v4/secrets/A", {**place, "projectId": str(foreign_id), "secretValue": "1"})
    token = create_token(runtime, "owner", [Scope.ADMIN], project_id=project_id)
    owner = ApiClient(api.app, token.get_secret_value())

    assert actions(owner, projectId=str(project_id)) == ["createSecret"]
    assert owner.get(LOGS).status_code == 403
    assert owner.get(LOGS, projectId=str(foreign_id)).status_code == 403


def test_the_answer_is_sent_even_if_the_log_cannot_be_written(
    api: ApiClient, place: Body, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: object) -> None:
        raise OSError("canary")

    monkeypatch.setattr(audit_log, "record", fails)

    answer = api.post("/api/v4/secrets/KEY", {**place, "secretValue": "x"})

    told = capsys.readouterr()
    assert answer.status_code == 200
    assert "audit.not_written" in told.out + told.err
    assert "canary" not in told.out + told.err


def test_old_entries_are_removed(api: ApiClient, runtime: Runtime, secret: Body, clock: ManualClock) -> None:
    clock.advance(seconds=364 * 86400)
    prune(runtime)
    assert actions(api) == ["createSecret"]

    clock.advance(seconds=2 * 86400)
    prune(runtime)
    assert actions(api) == []
