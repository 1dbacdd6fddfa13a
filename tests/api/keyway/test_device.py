"""Device login: from the code on a screen to a token."""

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI

from shared.runtime import Runtime
from shared.usecases.projects import create_project
from shared.usecases.tokens import Scope
from tests.api.client import ApiClient
from tests.api.keyway.conftest import PUSHED, KeywayClient
from tests.support import ManualClock, create_token

VERIFY = "/v1/auth/device/verify"


@pytest.fixture
def started(anonymous: ApiClient) -> Any:
    """A login that waits."""
    answer = anonymous.post("/v1/auth/device/start", {"repository": "owner/repo"})
    assert answer.status_code == 200, answer.text
    return answer.json()


def poll(anonymous: ApiClient, started: Any) -> Any:
    answer = anonymous.post("/v1/auth/device/poll", {"deviceCode": started["deviceCode"]})
    assert answer.status_code == 200, answer.text
    return answer.json()


def decide(
    anonymous: ApiClient, code: str, token: str | None, decision: str = "approve", **options: Any
) -> httpx.Response:
    form = urlencode({"user_code": code, "token": token or "", "decision": decision})
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return anonymous.request("POST", VERIFY, content=form, headers=headers, **options)


def test_a_confirmed_login_gets_a_token(
    app: FastAPI, anonymous: ApiClient, keyway: KeywayClient, started: Any
) -> None:
    waiting = poll(anonymous, started)
    page = decide(anonymous, started["userCode"], keyway.token)
    told = poll(anonymous, started)

    assert waiting == {"status": "pending"}
    assert page.status_code == 200
    assert told["status"] == "approved"
    assert told["githubLogin"] == "administrator"
    assert told["expiresAt"] == "2026-01-08T00:00:00.000Z"
    assert KeywayClient(app, told["keywayToken"]).get("/v1/vaults").status_code == 200


def test_a_login_bears_the_name_of_whoever_confirmed_it_once(
    app: FastAPI, anonymous: ApiClient, keyway: KeywayClient
) -> None:
    token: str | None = keyway.token
    names = []
    for _ in range(2):
        started = anonymous.post("/v1/auth/device/start", {}).json()
        decide(anonymous, started["userCode"], token)
        token = poll(anonymous, started)["keywayToken"]
        client = KeywayClient(app, token)
        names.append(client.data(client.post("/v1/auth/token/validate", {}))["username"])

    assert names == ["administrator (device login)"] * 2


def test_what_a_program_is_told_at_the_start(started: Any) -> None:
    assert len(started["deviceCode"]) == 64
    assert [len(part) for part in started["userCode"].split("-")] == [5, 5]
    assert started["verificationUri"] == "http://127.0.0.1:8200/v1/auth/device/verify"
    assert started["verificationUriComplete"].endswith(f"?user_code={started['userCode']}")
    assert (started["expiresIn"], started["interval"]) == (900, 5)


def test_a_token_is_handed_out_once(anonymous: ApiClient, keyway: KeywayClient, started: Any) -> None:
    decide(anonymous, started["userCode"], keyway.token)
    poll(anonymous, started)

    again = poll(anonymous, started)

    assert again["status"] == "expired"
    assert "keywayToken" not in again


def test_a_refused_login_is_told_so_that_the_program_stops(
    anonymous: ApiClient, keyway: KeywayClient, started: Any
) -> None:
    decide(anonymous, started["userCode"], keyway.token, "deny")

    told = poll(anonymous, started)

    assert (told["status"], told["error"]) == ("denied", "authorization_denied")


def test_a_login_expires_after_a_quarter_of_an_hour(
    anonymous: ApiClient, keyway: KeywayClient, started: Any, clock: ManualClock
) -> None:
    clock.advance(seconds=900)

    late = decide(anonymous, started["userCode"], keyway.token)

    assert late.status_code == 400
    assert poll(anonymous, started)["status"] == "expired"


def test_a_code_is_taken_in_lower_case_and_confirmed_once(
    anonymous: ApiClient, keyway: KeywayClient, started: Any
) -> None:
    first = decide(anonymous, f" {started['userCode'].lower()} ", keyway.token)
    second = decide(anonymous, started["userCode"], keyway.token)

    assert (first.status_code, second.status_code) == (200, 400)


@pytest.mark.parametrize("token", ["", "kt_wrong", "ghp_octocat0000000000", "<script>"])
def test_nobody_confirms_without_a_token_of_ours(anonymous: ApiClient, started: Any, token: str) -> None:
    answer = decide(anonymous, started["userCode"], token)

    assert answer.status_code == 400
    assert poll(anonymous, started)["status"] == "pending"
    assert "<script>" not in answer.text


def test_an_api_key_confirms_nothing(anonymous: ApiClient, keyway: KeywayClient, started: Any) -> None:
    body = {"name": "x", "environment": "live", "scopes": ["read:secrets"]}
    key = keyway.data(keyway.post("/v1/api-keys", body))["token"]

    assert decide(anonymous, started["userCode"], key).status_code == 400


def test_the_new_token_can_do_no_more_than_that_of_who_confirmed(
    app: FastAPI, anonymous: ApiClient, runtime: Runtime, started: Any
) -> None:
    own = create_project(runtime, "owner/own", slug="owner/own").project.id
    create_project(runtime, "owner/repo", slug="owner/repo")
    token = create_token(runtime, "reader", [Scope.READ], project_id=own).get_secret_value()

    decide(anonymous, started["userCode"], token)
    holder = KeywayClient(app, poll(anonymous, started)["keywayToken"])

    assert holder.get("/v1/vaults/owner/own").status_code == 200
    assert holder.get("/v1/vaults/owner/repo").status_code == 404
    body = {"repoFullName": "owner/own", "environment": "production", "secrets": {"A": "1"}}
    assert holder.post("/v1/secrets/push", body).status_code == 403


def test_the_new_token_ends_with_that_of_who_confirmed(
    app: FastAPI, anonymous: ApiClient, keyway: KeywayClient, runtime: Runtime
) -> None:
    """Also one that was confirmed with such a token in turn."""
    token: str | None = create_token(runtime, "leaving", [Scope.ADMIN]).get_secret_value()
    held = []
    for _ in range(2):
        started = anonymous.post("/v1/auth/device/start", {}).json()
        decide(anonymous, started["userCode"], token)
        token = poll(anonymous, started)["keywayToken"]
        held.append(KeywayClient(app, token))
    before = [each.get("/v1/vaults").status_code for each in held]
    listed = ApiClient(app, keyway.token).get("/api/v1/tokens").json()["tokens"]
    [leaving] = [each["id"] for each in listed if each["name"] == "leaving"]

    ApiClient(app, keyway.token).delete(f"/api/v1/tokens/{leaving}")

    assert before == [200, 200]
    assert [each.get("/v1/vaults").status_code for each in held] == [401, 401]


@pytest.mark.parametrize("end", ["the login is revoked", "the identity is deleted"])
def test_the_new_token_ends_with_the_login_of_who_confirmed(
    app: FastAPI, anonymous: ApiClient, keyway: KeywayClient, started: Any, end: str
) -> None:
    admin = ApiClient(app, keyway.token)
    identity, login = log_in(admin, anonymous)
    decide(anonymous, started["userCode"], login)
    left = KeywayClient(app, poll(anonymous, started)["keywayToken"])
    before = left.get("/v1/vaults").status_code

    if end == "the login is revoked":
        anonymous.post("/api/v1/auth/token/revoke", {"accessToken": login})
    else:
        admin.delete(f"/api/v1/identities/{identity}")

    assert (before, left.get("/v1/vaults").status_code) == (200, 401)


def test_the_new_token_can_do_what_the_identity_can_now(
    app: FastAPI, anonymous: ApiClient, keyway: KeywayClient, vault: UUID, started: Any
) -> None:
    admin = ApiClient(app, keyway.token)
    identity, login = log_in(admin, anonymous)
    decide(anonymous, started["userCode"], login)
    left = KeywayClient(app, poll(anonymous, started)["keywayToken"])
    left.push({"A": "1"})

    admin.patch(f"/api/v1/identities/{identity}", {"grants": [{"scopes": ["read"]}]})

    assert left.post("/v1/secrets/push", {**PUSHED, "secrets": {"A": "2"}}).status_code == 403
    assert left.pull() == "A=1"


def test_the_new_token_is_not_renewed_beyond_its_end(
    anonymous: ApiClient, app: FastAPI, keyway: KeywayClient, started: Any, clock: ManualClock
) -> None:
    _, login = log_in(ApiClient(app, keyway.token), anonymous)
    decide(anonymous, started["userCode"], login)
    left = poll(anonymous, started)["keywayToken"]

    anonymous.post("/api/v1/auth/token/renew", {"accessToken": left})
    clock.advance(seconds=7 * 86_400)

    assert KeywayClient(app, left).get("/v1/vaults").status_code == 401


def test_an_approver_whose_token_has_expired_hands_nothing_on(
    anonymous: ApiClient, runtime: Runtime, started: Any, clock: ManualClock
) -> None:
    ends = clock() + timedelta(seconds=60)
    token = create_token(runtime, "short", [Scope.ADMIN], expires_at=ends).get_secret_value()
    decide(anonymous, started["userCode"], token)
    clock.advance(seconds=60)

    assert poll(anonymous, started)["status"] == "expired"


def log_in(admin: ApiClient, anonymous: ApiClient) -> tuple[str, str]:
    """Return a new identity, an administrator, and the token of a login of it."""
    body = {"name": "ci", "grants": [{"scopes": ["admin"]}]}
    identity = admin.post("/api/v1/identities", body).json()["identity"]["id"]
    path = f"/api/v1/auth/universal-auth/identities/{identity}"
    client_id = admin.post(path, {}).json()["identityUniversalAuth"]["clientId"]
    secret = admin.post(f"{path}/client-secrets", {}).json()["clientSecret"]
    sent = {"clientId": client_id, "clientSecret": secret}
    token = anonymous.post("/api/v1/auth/universal-auth/login", sent).json()["accessToken"]
    return str(identity), str(token)


def test_a_code_cannot_be_found_by_trying(anonymous: ApiClient, keyway: KeywayClient) -> None:
    statuses = [decide(anonymous, f"AAAAA-AAAA{number}", keyway.token).status_code for number in range(6)]

    assert statuses == [400] * 5 + [429]


def test_a_program_may_ask_for_a_quarter_of_an_hour(
    anonymous: ApiClient, keyway: KeywayClient, started: Any, clock: ManualClock
) -> None:
    for _ in range(178):
        clock.advance(seconds=5)
        assert poll(anonymous, started) == {"status": "pending"}
    decide(anonymous, started["userCode"], keyway.token)

    assert poll(anonymous, started)["status"] == "approved"


def test_an_unknown_device_code_is_not_found(anonymous: ApiClient) -> None:
    answer = anonymous.post("/v1/auth/device/poll", {"deviceCode": "0" * 64})

    assert answer.status_code == 404


def test_the_page_shows_what_it_was_given_as_text_only(anonymous: ApiClient) -> None:
    page = anonymous.get(VERIFY, user_code='"><script>alert(1)</script>')

    assert page.status_code == 200
    assert "<script" not in page.text
    assert "&quot;&gt;&lt;script" in page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "form-action 'self'" in policy
    assert page.headers["cache-control"] == "no-store"


def test_the_page_shows_the_code_of_the_link(anonymous: ApiClient, started: Any) -> None:
    page = anonymous.get(VERIFY, user_code=started["userCode"])

    assert f'value="{started["userCode"]}"' in page.text


def test_another_site_cannot_confirm_on_somebodys_behalf(
    anonymous: ApiClient, keyway: KeywayClient, started: Any
) -> None:
    """There is no session: what a browser sends by itself proves nothing."""
    form = urlencode({"user_code": started["userCode"], "decision": "approve"})
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Cookie": f"keyway_session={keyway.token}",
        "Authorization": f"Bearer {keyway.token}",
    }

    answer = anonymous.request("POST", VERIFY, content=form, headers=headers)

    assert answer.status_code == 400
    assert poll(anonymous, started)["status"] == "pending"


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{}", "application/json", 415),
        (b"x" * 5000, "application/x-www-form-urlencoded", 413),
        (b"\xff=\xfe", "application/x-www-form-urlencoded", 400),
    ],
)
def test_an_odd_form_does_no_harm(anonymous: ApiClient, content: bytes, kind: str, status: int) -> None:
    answer = anonymous.request("POST", VERIFY, content=content, headers={"Content-Type": kind})

    assert answer.status_code == status
