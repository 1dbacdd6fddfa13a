"""The examples of the documentation, sent as they stand there, with ids that exist here."""

from typing import Any
from uuid import UUID

import pytest

from tests.api.keyway.conftest import SYNC, KeywayClient, connect
from tests.fakes.vercel import FakeVercel

#: What the documentation calls them, and what they are called here.
PROJECT = "prj_1"


@pytest.fixture
def vercel_connection(keyway: KeywayClient, vault: UUID, vercel: FakeVercel) -> str:
    return str(connect(keyway, "vercel", "demo-vercel-token")["id"])


def has_shape(answer: Any, documented: Any) -> bool:
    """Has *answer* at least the fields of the documented example, of the same types?"""
    if isinstance(documented, dict):
        return isinstance(answer, dict) and all(
            key in answer and has_shape(answer[key], value) for key, value in documented.items()
        )
    if isinstance(documented, list):
        return isinstance(answer, list) and all(has_shape(each, documented[0]) for each in answer)
    return type(answer) is type(documented)


def test_list_available_providers(keyway: KeywayClient) -> None:
    answer = keyway.get("/v1/integrations").json()

    documented = {
        "data": {"providers": [{"name": "vercel", "displayName": "Vercel", "configured": True}]},
        "meta": {"requestId": "550e8400-e29b-41d4-a716-446655440000"},
    }
    assert has_shape(answer, documented)
    assert answer["data"]["providers"][0]["name"] == "vercel"


def test_list_connections(keyway: KeywayClient, vercel_connection: str) -> None:
    answer = keyway.get("/v1/integrations/connections").json()

    documented = {
        "data": {
            "connections": [
                {
                    "id": "550e8400-e29b-41d4-a716-446655440000",
                    "provider": "vercel",
                    "providerAccountId": "team_xxx",
                    "createdAt": "2025-01-15T10:00:00Z",
                }
            ]
        },
        "meta": {"requestId": "550e8400-e29b-41d4-a716-446655440000"},
    }
    assert has_shape(answer, documented)
    assert [each["id"] for each in answer["data"]["connections"]] == [vercel_connection]


def test_list_projects(keyway: KeywayClient, vercel_connection: str, vercel: FakeVercel) -> None:
    vercel.projects[PROJECT].link = {"type": "github", "org": "owner", "repo": "repo"}

    answer = keyway.get(f"/v1/integrations/connections/{vercel_connection}/projects").json()

    [found] = [each for each in answer["data"]["projects"] if each["id"] == PROJECT]
    assert (found["name"], found["linkedRepo"]) == ("shop", "owner/repo")
    assert "framework" in found


def test_get_sync_status(keyway: KeywayClient, vercel_connection: str, vercel: FakeVercel) -> None:
    keyway.push({"A": "1"})
    for number in range(10):
        vercel.add(PROJECT, f"KEY_{number}", "x", "production")

    answer = keyway.get(
        f"{SYNC}/status", connectionId=vercel_connection, projectId=PROJECT, environment="production"
    )

    assert keyway.data(answer) == {
        "isFirstSync": True,
        "vaultIsEmpty": False,
        "providerHasSecrets": True,
        "providerSecretCount": 10,
    }


def test_preview_and_execute_sync(keyway: KeywayClient, vercel_connection: str, vercel: FakeVercel) -> None:
    vercel.add(PROJECT, "DATABASE_URL", "old", "production")
    keyway.push({"NEW_API_KEY": "1", "NEW_SECRET": "2", "DATABASE_URL": "new"})
    places = {
        "connectionId": vercel_connection,
        "projectId": PROJECT,
        "keywayEnvironment": "production",
        "providerEnvironment": "production",
        "direction": "push",
    }

    preview = keyway.data(keyway.get(f"{SYNC}/preview", **places, allowDelete="false"))
    result = keyway.data(keyway.post(SYNC, {**places, "allowDelete": False}))

    assert {key: preview[key] for key in ("toCreate", "toUpdate", "toDelete", "toSkip")} == {
        "toCreate": ["NEW_API_KEY", "NEW_SECRET"],
        "toUpdate": ["DATABASE_URL"],
        "toDelete": [],
        "toSkip": [],
    }
    assert {key: result[key] for key in ("status", "created", "updated", "deleted", "skipped")} == {
        "status": "success",
        "created": 2,
        "updated": 1,
        "deleted": 0,
        "skipped": 0,
    }


def test_the_two_required_fields_are_enough(
    keyway: KeywayClient, vercel_connection: str, vercel: FakeVercel
) -> None:
    keyway.push({"A": "1"})
    places = {"connectionId": vercel_connection, "projectId": PROJECT}

    preview = keyway.data(keyway.get(f"{SYNC}/preview", **places))
    result = keyway.data(keyway.post(SYNC, places))

    assert preview["toCreate"] == ["A"]
    assert result["status"] == "success"
    assert vercel.places()[f"{PROJECT}/production"] == {"A": "1"}


def test_delete_connection(keyway: KeywayClient, vercel_connection: str) -> None:
    answer = keyway.delete(f"/v1/integrations/connections/{vercel_connection}")

    assert (answer.status_code, answer.content) == (204, b"")


def test_responses_and_pages_are_wrapped(keyway: KeywayClient, vault: UUID) -> None:
    one = keyway.get("/v1/vaults/owner/repo").json()
    many = keyway.get("/v1/vaults", limit=25, offset=0).json()

    assert UUID(one["meta"]["requestId"])
    assert one.keys() == {"data", "meta"}
    assert many["meta"]["pagination"] == {"total": 1, "limit": 25, "offset": 0, "hasMore": False}


def test_an_error_is_a_problem(keyway: KeywayClient) -> None:
    answer = keyway.get("/v1/vaults/owner/repo")

    documented = {
        "type": "https://keyway.sh/errors/not-found",
        "title": "Not Found",
        "status": 404,
        "detail": "Vault not found for repository owner/repo",
        "instance": "/v1/vaults/owner/repo",
        "requestId": "550e8400-e29b-41d4-a716-446655440000",
    }
    body = answer.json()
    assert has_shape(body, documented)
    assert {key: body[key] for key in ("type", "title", "status", "instance")} == {
        key: documented[key] for key in ("type", "title", "status", "instance")
    }


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("production", "production"), ("staging", "preview"), ("development", "development")],
)
def test_the_mapping_of_the_guide_holds_for_vercel(
    keyway: KeywayClient, vercel_connection: str, vercel: FakeVercel, ours: str, theirs: str
) -> None:
    keyway.push({"A": "1"}, environment=ours)
    body = {"connectionId": vercel_connection, "projectId": PROJECT, "keywayEnvironment": ours}

    keyway.data(keyway.post(SYNC, body))

    assert vercel.places()[f"{PROJECT}/{theirs}"] == {"A": "1"}
