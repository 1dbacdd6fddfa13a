"""Logging in over the wire, as SDKs do."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from api.infisical import auth
from shared.usecases.rate_limit import Limit
from tests.api.client import UNKNOWN_ID, ApiClient
from tests.support import ManualClock

LOGIN = "/api/v1/auth/universal-auth/login"
RENEW = "/api/v1/auth/token/renew"
REVOKE = "/api/v1/auth/token/revoke"
IDENTITIES = "/api/v1/identities"
AUTH = "/api/v1/auth/universal-auth/identities"
Body = dict[str, Any]


@pytest.fixture
def identity(api: ApiClient, project_id: UUID) -> Body:
    """An identity that may read in the project."""
    body = {"name": "bot", "grants": [{"projectId": str(project_id), "scopes": ["read"]}]}
    return dict(api.post(IDENTITIES, body).json()["identity"])


@pytest.fixture
def credentials(api: ApiClient, identity: Body) -> Body:
    """What it logs in with."""
    auth = api.get(f"{AUTH}/{identity['id']}").json()["identityUniversalAuth"]
    secret = api.post(f"{AUTH}/{identity['id']}/client-secrets").json()["clientSecret"]
    return {"clientId": auth["clientId"], "clientSecret": secret}


def test_an_identity_logs_in_and_may_do_what_it_may(
    anonymous: ApiClient, credentials: Body, project_id: UUID, foreign_id: UUID
) -> None:
    answer = anonymous.post(LOGIN, credentials)

    token = answer.json()["accessToken"]
    client = ApiClient(anonymous.app, token)
    assert answer.json() == {
        "accessToken": token,
        "expiresIn": 2_592_000,
        "accessTokenMaxTTL": 2_592_000,
        "tokenType": "Bearer",
    }
    assert client.get(f"/api/v1/projects/{project_id}").status_code == 200
    assert client.get(f"/api/v1/projects/{foreign_id}").status_code == 403
    assert (
        client.post(f"/api/v1/projects/{project_id}/environments", {"name": "Q", "slug": "q"}).status_code
        == 403
    )


@pytest.mark.parametrize(
    "change", [{"clientSecret": "canary"}, {"clientId": UNKNOWN_ID}, {"clientId": "canary"}]
)
def test_whatever_is_wrong_with_a_login_is_answered_alike(
    anonymous: ApiClient, credentials: Body, change: Body
) -> None:
    answer = anonymous.post(LOGIN, {**credentials, **change})

    assert (answer.status_code, answer.json()["error"]) == (401, "Unauthorized")
    assert answer.json()["message"] == "Invalid credentials"


def test_a_locked_identity_is_answered_like_an_unknown_one(anonymous: ApiClient, credentials: Body) -> None:
    for _ in range(3):
        anonymous.post(LOGIN, {**credentials, "clientSecret": "wrong"})

    answer = anonymous.post(LOGIN, credentials)

    assert (answer.status_code, answer.json()["message"]) == (401, "Invalid credentials")


@pytest.mark.parametrize("body", [{}, {"clientId": "x"}, {"clientId": "x", "clientSecret": ["canary"]}])
def test_a_login_without_a_secret_is_refused(anonymous: ApiClient, body: Body) -> None:
    answer = anonymous.post(LOGIN, body)

    assert answer.status_code == 422
    assert "canary" not in answer.text


def test_a_login_can_be_made_to_last_longer(
    api: ApiClient, anonymous: ApiClient, identity: Body, credentials: Body
) -> None:
    times = {"accessTokenTTL": 600, "accessTokenMaxTTL": 900}
    api.post(f"{AUTH}/{identity['id']}", times)
    login = anonymous.post(LOGIN, credentials).json()

    renewed = anonymous.post(RENEW, {"accessToken": login["accessToken"]}).json()

    assert (login["expiresIn"], login["accessTokenMaxTTL"]) == (600, 900)
    assert renewed == login


def test_a_token_that_was_made_by_hand_is_not_renewed(api: ApiClient, anonymous: ApiClient) -> None:
    answer = anonymous.post(RENEW, {"accessToken": api.token})

    assert answer.status_code == 401
    assert str(api.token) not in answer.text


def test_a_login_can_be_ended_before_its_time(
    anonymous: ApiClient, credentials: Body, project_id: UUID
) -> None:
    first, second = (anonymous.post(LOGIN, credentials).json()["accessToken"] for _ in range(2))

    answer = anonymous.post(REVOKE, {"accessToken": first})

    assert (answer.status_code, first in answer.text) == (200, False)
    assert ApiClient(anonymous.app, first).get(f"/api/v1/projects/{project_id}").status_code == 403
    assert ApiClient(anonymous.app, second).get(f"/api/v1/projects/{project_id}").status_code == 200
    assert anonymous.post(REVOKE, {"accessToken": first}).status_code == 401


def test_a_token_that_was_made_by_hand_is_not_ended_by_whoever_holds_it(
    api: ApiClient, anonymous: ApiClient
) -> None:
    answer = anonymous.post(REVOKE, {"accessToken": api.token})

    assert (answer.status_code, str(api.token) in answer.text) == (401, False)
    assert api.get("/api/v1/projects").status_code == 200


@pytest.mark.parametrize("way", ["oidc", "aws", "kubernetes", "ldap"])
def test_other_ways_to_log_in_are_said_not_to_exist(anonymous: ApiClient, way: str) -> None:
    answer = anonymous.post(f"/api/v1/auth/{way}-auth/login", {"identityId": UNKNOWN_ID, "jwt": "canary"})

    assert (answer.status_code, answer.json()["error"]) == (404, "NotFound")
    assert "use universal auth" in answer.json()["message"]
    assert "canary" not in answer.text


def test_client_secrets_are_shown_once_and_can_be_revoked(
    api: ApiClient, anonymous: ApiClient, identity: Body, credentials: Body
) -> None:
    path = f"{AUTH}/{identity['id']}/client-secrets"
    anonymous.post(LOGIN, credentials)

    listed = api.get(path)
    [shown] = listed.json()["clientSecretData"]
    revoked = api.post(f"{path}/{shown['id']}/revoke").json()["clientSecretData"]

    assert credentials["clientSecret"] not in listed.text
    assert credentials["clientSecret"].startswith(shown["clientSecretPrefix"])
    assert (shown["clientSecretNumUses"], shown["isClientSecretRevoked"]) == (1, False)
    assert api.get(f"{path}/{shown['id']}").json()["clientSecretData"] == revoked
    assert revoked["isClientSecretRevoked"] is True
    assert anonymous.post(LOGIN, credentials).status_code == 401


def test_a_client_secret_can_be_given_an_end(api: ApiClient, identity: Body) -> None:
    body = {"description": "for ci", "ttl": 3600, "numUsesLimit": 5}

    made = api.post(f"{AUTH}/{identity['id']}/client-secrets", body).json()["clientSecretData"]

    assert (made["description"], made["clientSecretTTL"], made["clientSecretNumUsesLimit"]) == (
        "for ci",
        3600,
        5,
    )


def test_identities_can_be_listed_changed_and_deleted(
    api: ApiClient, identity: Body, project_id: UUID
) -> None:
    path = f"{IDENTITIES}/{identity['id']}"

    changed = api.patch(path, {"name": "robot", "grants": [{"scopes": ["read", "write"]}]}).json()["identity"]

    assert changed["grants"] == [{"projectId": None, "scopes": ["read", "write"]}]
    assert api.get(path).json()["identity"] == changed
    assert api.get(IDENTITIES).json()["identities"] == [changed]
    assert api.get(IDENTITIES, projectId=str(project_id)).json()["identities"] == []
    assert api.delete(path).json()["identity"]["name"] == "robot"
    assert api.get(path).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": " "},
        {"name": "x", "grants": []},
        {"name": "x", "grants": [{"scopes": []}]},
        {"name": "x", "grants": [{"scopes": ["root"]}]},
        {"name": "x", "grants": [{"scopes": ["read"], "projectId": "no-id"}]},
    ],
)
def test_a_wrong_identity_is_refused_and_not_stored(api: ApiClient, body: Body) -> None:
    assert api.post(IDENTITIES, body).status_code == 422
    assert api.get(IDENTITIES).json()["identities"] == []


def test_without_a_token_one_address_may_ask_so_often_and_no_more(
    anonymous: ApiClient, credentials: Body, monkeypatch: pytest.MonkeyPatch, clock: ManualClock
) -> None:
    monkeypatch.setattr(auth, "OPEN_LIMIT", Limit(3, timedelta(minutes=1)))
    for path in (LOGIN, RENEW, REVOKE):
        anonymous.post(path, {"accessToken": "x", "clientId": "x", "clientSecret": "x"})
    clock.advance(seconds=20)

    refused = anonymous.post(LOGIN, credentials)
    clock.advance(seconds=40)
    later = anonymous.post(LOGIN, credentials)

    assert (refused.status_code, refused.headers["retry-after"]) == (429, "40")
    assert refused.json()["error"] == "RateLimitExceeded"
    assert later.status_code == 200


def test_a_fleet_behind_one_address_is_not_held_up(anonymous: ApiClient, credentials: Body) -> None:
    statuses = {anonymous.post(LOGIN, credentials).status_code for _ in range(100)}

    assert statuses == {200}
