from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI
from psycopg.errors import DeadlockDetected
from sqlalchemy.exc import IntegrityError, OperationalError

from api.errors import install
from api.infisical.errors import envelope
from api.middleware import RequestLog
from shared.errors import (
    Conflict,
    CredentialsRejected,
    Forbidden,
    InvalidInput,
    KeytideError,
    LeaseLost,
    NotFound,
    PlanBlocked,
    RateLimited,
    SourceMissing,
    Unauthenticated,
    Unavailable,
    Unreachable,
)
from tests.api.client import ApiClient

CANARY = "canary-51d3"


def raising(error: Exception) -> ApiClient:
    """Return a client of an application whose one route, ``/api/raise``, raises *error*."""
    app = FastAPI()
    app.add_middleware(RequestLog)
    install(app, {"": envelope})

    @app.get("/api/raise")
    def route() -> None:
        raise error

    return ApiClient(app)


@pytest.mark.parametrize(
    ("error", "status", "name"),
    [
        (InvalidInput("no"), 400, "BadRequest"),
        (Conflict("taken"), 400, "BadRequest"),
        (Unauthenticated("who?"), 401, "Unauthorized"),
        (Forbidden("no"), 403, "PermissionDenied"),
        (NotFound("gone"), 404, "NotFound"),
        (CredentialsRejected("renew"), 400, "BadRequest"),
        (Unavailable("later"), 503, "ServiceUnavailable"),
        (RateLimited("slower"), 503, "ServiceUnavailable"),
        (Unreachable("silent"), 502, "BadGateway"),
        (SourceMissing("gone"), 400, "BadRequest"),
        (PlanBlocked("too much", plan_hash="f00"), 400, "BadRequest"),
        (LeaseLost("lost"), 400, "BadRequest"),
        (KeytideError("odd"), 500, "InternalServerError"),
    ],
)
def test_each_error_of_ours_has_its_status(error: Exception, status: int, name: str) -> None:
    answer = raising(error).get("/api/raise")

    assert answer.status_code == status
    assert answer.json() | {"details": None} == {
        "reqId": answer.headers["x-request-id"],
        "statusCode": status,
        "message": str(error),
        "error": name,
        "details": None,
    }


def test_a_missing_right_comes_with_empty_details() -> None:
    assert raising(Forbidden()).get("/api/raise").json()["details"] == []


def test_a_wrong_field_is_named_by_its_path() -> None:
    error = InvalidInput("Too long.", field=("syncOptions", "keySchema"))

    answer = raising(error).get("/api/raise")

    assert answer.json()["details"] == [{"path": ["syncOptions", "keySchema"], "message": "Too long."}]


def test_of_two_who_waited_for_each_other_one_hears_that_somebody_was_faster() -> None:
    answer = raising(OperationalError(CANARY, {}, DeadlockDetected(CANARY))).get("/api/raise")

    assert answer.status_code == 400
    assert answer.json()["message"] == "Somebody else changed this at the same moment. Try again."


@pytest.mark.parametrize("seconds", [7, 6.2])
def test_a_provider_that_asks_for_patience_is_quoted(seconds: float) -> None:
    answer = raising(RateLimited("slower", retry_after=seconds)).get("/api/raise")

    assert answer.headers["retry-after"] == "7"


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError(CANARY),
        KeyError(CANARY),
        OperationalError(CANARY, {}, Exception(CANARY)),
        IntegrityError(CANARY, {}, Exception(CANARY)),
    ],
)
def test_the_text_of_a_foreign_error_stays_here(error: Exception, capfd: pytest.CaptureFixture[str]) -> None:
    answer = raising(error).get("/api/raise")

    logged = "".join(capfd.readouterr())
    assert answer.status_code in (400, 500, 503)
    assert answer.headers["cache-control"] == "no-store"
    assert CANARY not in answer.text + logged


def test_an_unexpected_error_is_logged_with_its_type_and_place(capfd: pytest.CaptureFixture[str]) -> None:
    answer = raising(RuntimeError(CANARY)).get("/api/raise")

    logged = "".join(capfd.readouterr())
    assert answer.json()["message"] == "Something went wrong"
    assert "request.failed" in logged
    assert "RuntimeError" in logged
    assert "test_errors.py" in logged
    assert answer.json()["reqId"] in logged


def test_an_unknown_route_is_answered_in_the_form_of_the_wire(anonymous: ApiClient) -> None:
    answer = anonymous.get("/api/v1/nonsense")

    assert (answer.status_code, answer.json()["error"]) == (404, "NotFound")


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("/api/v1/dynamic-secrets/leases", "dynamic secrets"),
        ("/api/v1/kms/keys", "manages no keys"),
        ("/api/v1/webhooks", "webhooks"),
        ("/api/v2/service-token", "universal auth"),
    ],
)
def test_what_only_infisical_has_is_named(anonymous: ApiClient, path: str, named: str) -> None:
    answer = anonymous.get(path)

    assert (answer.status_code, answer.json()["error"]) == (404, "NotFound")
    assert named in answer.json()["message"]


def test_an_unknown_method_is_answered_in_the_form_of_the_wire(anonymous: ApiClient) -> None:
    answer = anonymous.request("PUT", "/api/v1/projects")

    assert (answer.status_code, answer.json()["error"]) == (405, "MethodNotAllowed")


@pytest.mark.parametrize("limit", ["0", "1001", "x", "9" * 30, "1e3", ""])
def test_a_wrong_query_is_listed_by_field(api: ApiClient, limit: str) -> None:
    answer = api.get("/api/v1/projects", limit=limit)

    assert answer.status_code == 422
    [issue] = answer.json()["message"]
    assert issue.keys() == {"code", "path", "message"}
    assert issue["path"] == ["limit"]


def test_a_rule_of_ours_is_told_in_its_own_words(api: ApiClient) -> None:
    answer = api.post("/api/v1/secret-syncs/railway", {"name": "Not_A_Slug"})

    told = {issue["message"] for issue in answer.json()["message"]}
    assert "Use lower-case letters, digits and single hyphens between them." in told


def test_what_was_sent_is_not_repeated_in_issues(api: ApiClient, project_id: UUID) -> None:
    body: dict[str, Any] = {
        "projectId": str(project_id),
        "environment": "production",
        "secretValue": [CANARY],
        "secretComment": {"x": CANARY},
        "type": CANARY,
    }

    answer = api.post("/api/v4/secrets/KEY", body)

    assert answer.status_code == 422
    assert {tuple(issue["path"]) for issue in answer.json()["message"]} == {
        ("secretValue",),
        ("secretComment",),
        ("type",),
    }
    assert CANARY not in answer.text
