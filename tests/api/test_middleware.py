import logging
from collections.abc import Iterator
from uuid import UUID

import pytest
import structlog
from structlog.testing import LogCapture

from tests.api.client import ApiClient


@pytest.fixture
def logged() -> Iterator[LogCapture]:
    """Everything that is logged, with the fields that were bound to it."""
    capture = LogCapture()
    structlog.configure(processors=[structlog.contextvars.merge_contextvars, capture])
    yield capture
    structlog.reset_defaults()
    logging.getLogger().handlers.clear()


def test_the_id_of_a_request_is_taken_over(anonymous: ApiClient) -> None:
    answer = anonymous.request("GET", "/livez", headers={"x-request-id": "from-outside.1"})

    assert answer.headers["x-request-id"] == "from-outside.1"


@pytest.mark.parametrize("given", [None, "", "two words", "x" * 129, "a\tb", "<script>"])
def test_without_a_well_formed_id_a_new_one_is_made(anonymous: ApiClient, given: str | None) -> None:
    answer = anonymous.request("GET", "/livez", headers={} if given is None else {"x-request-id": given})

    assert UUID(answer.headers["x-request-id"])


def test_one_line_tells_about_a_request(api: ApiClient, project_id: UUID, logged: LogCapture) -> None:
    api.request("GET", f"/api/v1/projects/{project_id}", headers={"x-request-id": "r-1"})

    [line] = [entry for entry in logged.entries if entry["event"] == "request.finished"]
    assert line.pop("ms") >= 0
    assert line == {
        "event": "request.finished",
        "log_level": "info",
        "request_id": "r-1",
        "method": "GET",
        "route": "/api/v1/projects/{project_id}",
        "status": 200,
        "caller": "administrator",
    }


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_a_probe_that_went_well_is_logged_for_debugging_only(
    anonymous: ApiClient, logged: LogCapture, path: str
) -> None:
    status = anonymous.get(path).status_code

    [line] = [entry for entry in logged.entries if entry["event"] == "request.finished"]
    assert line["log_level"] == ("debug" if status == 200 else "info")


def test_a_request_that_fits_no_route_leaves_its_path_out_of_the_log(
    anonymous: ApiClient, logged: LogCapture
) -> None:
    anonymous.get("/api/v1/canary-route", canary="canary-query")

    assert "canary" not in str(logged.entries)


def test_what_a_request_carries_stays_out_of_the_log(
    api: ApiClient, project_id: UUID, logged: LogCapture
) -> None:
    place = {"projectId": str(project_id), "environment": "production"}

    api.post("/api/v4/secrets/CANARY_KEY", {**place, "secretValue": "canary-value"})
    api.get("/api/v4/secrets", **place, secretPath="/canary-path")

    assert "canary" not in str(logged.entries).lower()
    assert str(api.token) not in str(logged.entries)


def test_answers_stay_out_of_caches_and_frames(anonymous: ApiClient) -> None:
    headers = anonymous.get("/api/v1/projects").headers

    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert "default-src 'none'" in headers["content-security-policy"]
