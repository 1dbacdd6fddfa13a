"""One hundred requests in a quarter of an hour, whichever process they meet."""

from dataclasses import replace

import pytest
from fastapi import FastAPI
from sqlalchemy import select

from api.app import create_app
from shared.db.device_logins import DeviceLogin
from shared.db.rate_limits import RateLimitWindow
from shared.runtime import Runtime
from shared.usecases.prune import prune
from shared.usecases.tokens import Scope
from tests.api.client import ApiClient
from tests.api.keyway.conftest import KeywayClient
from tests.support import ManualClock, create_token

ME = "/v1/users/me"


@pytest.fixture
def three(runtime: Runtime, app: FastAPI) -> Runtime:
    """Only three requests are allowed."""
    app.state.runtime = replace(runtime, settings=runtime.settings.model_copy(update={"rate_limit_max": 3}))
    return app.state.runtime  # type: ignore[no-any-return]


def test_every_answer_says_what_is_left(keyway: KeywayClient, three: Runtime, clock: ManualClock) -> None:
    first = keyway.get(ME)
    clock.advance(seconds=100)
    second = keyway.get("/v1/vaults/owner/nothing")

    assert (first.headers["x-ratelimit-limit"], first.headers["x-ratelimit-remaining"]) == ("3", "2")
    assert first.headers["x-ratelimit-reset"] == "900"
    assert second.status_code == 404
    assert (second.headers["x-ratelimit-remaining"], second.headers["x-ratelimit-reset"]) == ("1", "800")


def test_beyond_the_limit_the_answer_says_how_long_to_wait(
    keyway: KeywayClient, three: Runtime, clock: ManualClock
) -> None:
    for _ in range(3):
        keyway.get(ME)
    clock.advance(seconds=60)

    refused = keyway.get(ME)

    assert refused.status_code == 429
    assert refused.headers["retry-after"] == "840"
    assert refused.headers["content-type"] == "application/json"
    assert refused.json()["type"] == "https://keyway.sh/errors/rate-limited"
    assert refused.json()["status"] == 429


def test_after_the_window_requests_are_let_through_again(
    keyway: KeywayClient, three: Runtime, clock: ManualClock
) -> None:
    statuses = [keyway.get(ME).status_code for _ in range(4)]
    clock.advance(seconds=900)

    assert statuses == [200, 200, 200, 429]
    assert keyway.get(ME).status_code == 200


def test_each_token_has_its_own_limit(app: FastAPI, keyway: KeywayClient, three: Runtime) -> None:
    other = KeywayClient(app, create_token(three, "other", [Scope.READ]).get_secret_value())
    for _ in range(4):
        keyway.get(ME)

    assert other.get(ME).status_code == 200


def test_wrong_tokens_share_the_limit_of_their_address(
    app: FastAPI, anonymous: ApiClient, three: Runtime
) -> None:
    statuses = [ApiClient(app, f"kt_guess{number}").get(ME).status_code for number in range(4)]

    assert statuses == [401, 401, 401, 429]
    assert anonymous.get("/v1/integrations").status_code == 429


def test_two_processes_count_together(keyway: KeywayClient, three: Runtime) -> None:
    second = KeywayClient(create_app(three), keyway.token)

    statuses = [client.get(ME).status_code for client in (keyway, second, keyway, second)]

    assert statuses == [200, 200, 200, 429]


def test_a_limit_of_zero_is_none(keyway: KeywayClient, runtime: Runtime, app: FastAPI) -> None:
    app.state.runtime = replace(runtime, settings=runtime.settings.model_copy(update={"rate_limit_max": 0}))

    answer = keyway.get(ME)

    assert answer.status_code == 200
    assert "x-ratelimit-limit" not in answer.headers


def test_health_is_not_counted(anonymous: ApiClient, three: Runtime) -> None:
    answers = [anonymous.get(path) for path in ("/health", "/v1/health") for _ in range(3)]
    head = anonymous.request("HEAD", "/v1/health")

    assert [answer.status_code for answer in answers] == [200] * 6
    assert answers[0].json()["status"] == "healthy"
    assert head.status_code == 200


def test_the_other_wire_is_not_counted(keyway: KeywayClient, three: Runtime) -> None:
    statuses = [keyway.get("/api/v1/projects").status_code for _ in range(5)]

    assert statuses == [200] * 5


def test_windows_and_logins_that_are_over_are_pruned(
    keyway: KeywayClient, anonymous: ApiClient, runtime: Runtime, clock: ManualClock
) -> None:
    keyway.get(ME)
    anonymous.post("/v1/auth/device/start", {})
    clock.advance(seconds=2 * 86_400)

    prune(runtime)

    with runtime.database.snapshot() as session:
        assert session.scalars(select(RateLimitWindow)).all() == []
        assert session.scalars(select(DeviceLogin)).all() == []
