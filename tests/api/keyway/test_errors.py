"""Errors: problem details under application/json, and never a 500 for what a caller sent."""

from typing import Any
from uuid import UUID

import pytest

from tests.api.client import ApiClient
from tests.api.keyway.conftest import SYNC, KeywayClient


def test_an_error_has_the_fields_of_the_documentation_and_of_the_original(keyway: KeywayClient) -> None:
    answer = keyway.request("GET", "/v1/vaults/owner/repo?x=1", headers={"x-request-id": "req-1"})

    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {
        "type": "https://keyway.sh/errors/not-found",
        "title": "Not Found",
        "status": 404,
        "detail": "Vault 'owner/repo' not found or you don't have access",
        "instance": "/v1/vaults/owner/repo",
        "requestId": "req-1",
        "traceId": "req-1",
    }


def test_fields_of_the_wrong_form_are_listed(keyway: KeywayClient, vault: UUID) -> None:
    answer = keyway.post(SYNC, {"connectionId": "x", "allowDelete": "yes", "direction": "sideways"})

    body = answer.json()
    assert answer.status_code == 400
    assert body["type"] == "https://keyway.sh/errors/validation-error"
    assert {each["field"] for each in body["errors"]} == {
        "connectionId",
        "projectId",
        "allowDelete",
        "direction",
    }
    assert {each["code"] for each in body["errors"]} == {"invalid"}
    assert "connectionId" in body["detail"]


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{broken", "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"", "application/json", 400),
        (b"[]", "application/json", 400),
        (b'"text"', "application/json", 400),
        (b"null", "application/json", 400),
        (b"<x/>", "text/xml", 415),
    ],
)
def test_a_body_that_cannot_be_read_is_no_fault_of_ours(
    keyway: KeywayClient, vault: UUID, content: bytes, kind: str, status: int
) -> None:
    paths = [SYNC, f"{SYNC}/link", "/v1/secrets/push", "/v1/vaults", "/v1/api-keys"]

    answers = [
        keyway.request("POST", path, content=content, headers={"Content-Type": kind}) for path in paths
    ]

    assert [answer.status_code for answer in answers] == [status] * len(paths)
    assert all(answer.json()["type"].startswith("https://keyway.sh/errors/") for answer in answers)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/integrations/connections/1/projects", 400),
        ("DELETE", "/v1/integrations/connections/1", 400),
        ("GET", f"{SYNC}/status?connectionId=1&projectId=x", 400),
        ("GET", f"{SYNC}/preview", 400),
        ("GET", f"{SYNC}/diff?connectionId=%00&projectId=x", 400),
        ("GET", "/v1/vaults/owner/repo/secrets/1/value", 400),
        ("DELETE", "/v1/api-keys/1", 400),
        ("GET", "/v1/no/such/route", 404),
        ("PUT", "/v1/vaults", 405),
        ("GET", "/v1/vaults/%F0%9F%92%A9/x", 404),
        ("GET", "/v1/secrets/pull?repo=owner/repo&environment=" + "x" * 51, 400),
        ("GET", "/v1/integrations/connections?limit=%27%20OR%201=1", 200),
    ],
)
def test_an_odd_address_is_no_fault_of_ours(
    keyway: KeywayClient, vault: UUID, method: str, path: str, status: int
) -> None:
    assert keyway.request(method, path).status_code == status


def test_names_that_no_client_escapes_are_taken_as_they_come(
    keyway: KeywayClient, place: dict[str, str]
) -> None:
    query = "&".join(f"{key}={value}" for key, value in place.items())

    answer = keyway.request("GET", f"{SYNC}/status?{query}&environment=a b#c&d")

    assert answer.status_code == 400
    assert "a b" in answer.json()["detail"]


def test_a_missing_token_names_how_to_send_one(anonymous: ApiClient) -> None:
    answer = anonymous.get("/v1/vaults")

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["title"] == "Unauthorized"


def test_a_value_is_never_part_of_an_error(keyway: KeywayClient, vault: UUID) -> None:
    secret = "hunter2-hunter2"
    bodies: list[Any] = [
        {"repoFullName": "owner/repo", "environment": "nowhere", "secrets": {"A": secret}},
        {"repoFullName": "owner/repo", "environment": "production", "secrets": {"A B": secret}},
        {"repoFullName": "owner/repo", "environment": "production", "secrets": {"A": [secret]}},
        {"repoFullName": "owner/repo", "environment": "production", "secrets": secret},
    ]

    answers = [keyway.post("/v1/secrets/push", body) for body in bodies]
    answers.append(keyway.post("/v1/integrations/railway/connect", {"token": {"a": secret}}))

    assert [answer.status_code for answer in answers] == [400] * 5
    assert all(secret not in answer.text for answer in answers)
