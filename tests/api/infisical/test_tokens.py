"""Tokens that people make by hand."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.api.client import UNKNOWN_ID, ApiClient
from tests.support import ManualClock

TOKENS = "/api/v1/tokens"
Body = dict[str, Any]


def made(api: ApiClient, *projects: UUID, scopes: tuple[str, ...] = ("read",), **more: Any) -> Body:
    grants = [{"projectId": str(project_id), "scopes": scopes} for project_id in projects]
    answer = api.post(TOKENS, {"name": "ci", "grants": grants, **more})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_a_token_is_shown_once_and_works(api: ApiClient, project_id: UUID, foreign_id: UUID) -> None:
    created = made(api, project_id)

    client = ApiClient(api.app, created["token"])
    listed = api.get(TOKENS, projectId=str(project_id))
    assert client.get(f"/api/v1/projects/{project_id}").status_code == 200
    assert client.get(f"/api/v1/projects/{foreign_id}").status_code == 403
    assert listed.json()["tokens"] == [created["tokenData"]]
    assert created["token"] not in listed.text


def test_a_token_may_be_valid_in_several_projects(api: ApiClient, project_id: UUID, foreign_id: UUID) -> None:
    client = ApiClient(api.app, made(api, project_id, foreign_id)["token"])

    slugs = [each["slug"] for each in client.get("/api/v1/projects").json()["projects"]]

    assert sorted(slugs) == ["bank", "shop"]


def test_a_token_ends_when_it_was_made_to(api: ApiClient, project_id: UUID, clock: ManualClock) -> None:
    ends = clock() + timedelta(minutes=5)
    client = ApiClient(api.app, made(api, project_id, expiresAt=ends.isoformat())["token"])
    assert client.get("/api/v1/projects").status_code == 200

    clock.advance(seconds=300)

    assert client.get("/api/v1/projects").status_code == 403


def test_a_revoked_token_is_refused(api: ApiClient, project_id: UUID) -> None:
    created = made(api, project_id)

    answer = api.delete(f"{TOKENS}/{created['tokenData']['id']}")

    assert answer.json() == {"tokenData": created["tokenData"]}
    assert ApiClient(api.app, created["token"]).get("/api/v1/projects").status_code == 403


def test_an_administrator_of_one_project_deals_with_the_tokens_of_that_project(
    api: ApiClient, project_id: UUID, foreign_id: UUID
) -> None:
    owner = ApiClient(api.app, made(api, project_id, scopes=("admin",))["token"])
    both = made(api, project_id, foreign_id)["tokenData"]

    own = made(owner, project_id)["tokenData"]
    shown = owner.get(TOKENS, projectId=str(project_id)).json()["tokens"]

    [seen] = [each for each in shown if each["id"] == both["id"]]
    assert seen["grants"] == [{"projectId": str(project_id), "scopes": ["read"]}]
    assert owner.delete(f"{TOKENS}/{own['id']}").status_code == 200
    assert owner.delete(f"{TOKENS}/{both['id']}").status_code == 404
    assert owner.get(TOKENS).status_code == 403
    for grant in ({"scopes": ["read"]}, {"projectId": str(foreign_id), "scopes": ["read"]}):
        assert owner.post(TOKENS, {"name": "more", "grants": [grant]}).status_code == 403


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"name": ""}, 422),
        ({"grants": []}, 422),
        ({"grants": [{"scopes": ["root"]}]}, 422),
        ({"grants": [{"scopes": ["read"], "projectId": UNKNOWN_ID}]}, 404),
        ({"expiresAt": "2025-12-31T23:59:59Z"}, 400),
        ({"expiresAt": "2030-01-01T00:00:00"}, 422),
    ],
)
def test_a_wrong_token_is_refused_and_not_made(
    api: ApiClient, project_id: UUID, change: Body, status: int
) -> None:
    body = {"name": "ci", "grants": [{"projectId": str(project_id), "scopes": ["read"]}]}

    answer = api.post(TOKENS, {**body, **change})

    assert answer.status_code == status
    assert [each["name"] for each in api.get(TOKENS).json()["tokens"]] == ["administrator"]
