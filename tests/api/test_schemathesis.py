"""Whatever a client sends, the answer is one that the description of the API foresees, and never a fault.

The requests are made up from ``/openapi.json``: such as fit it, and such as do not. The ids of things that
exist are put in, so that they get further than "not found". The seed is fixed.
"""

from typing import Any

import httpx
import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, reject, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.core import NotSet

from shared.runtime import Runtime
from shared.usecases.projects import create_project
from tests.api.client import ApiClient
from tests.api.test_permissions import REPO, Shop

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
#: Per operation and mode. More find more; these keep the whole below a minute.
EXAMPLES = 8
#: Where the whole project may be changed or removed.
PROJECTS = {
    "/api/v1/projects/{project_id}",
    "/api/v1/workspace/{project_id}",
    "/api/v2/workspace/{slug}",
}

# The database makes no difference to the forms of answers.
pytestmark = [
    pytest.mark.parametrize("settings", ["sqlite"], indirect=True),
    pytest.mark.usefixtures("vercel", "netlify", "flyio"),
]


@pytest.mark.parametrize("mode", GenerationMode)
@pytest.mark.parametrize("wire", ["/api/", "/v1/"])
def test_no_request_is_answered_with_a_fault_or_in_an_undescribed_way(
    api: ApiClient, runtime: Runtime, mode: GenerationMode, wire: str
) -> None:
    # Limits on how often one may call are described, and proved elsewhere.
    runtime.settings.rate_limit_max = 0
    runtime.settings.sync_wait_seconds = 0
    shop = Shop(api, create_project(runtime, "Shop", slug=REPO).project.id)
    failures: dict[str, str] = {}

    for operation in _operations(api.app, wire):
        try:
            _try(operation, shop, mode)
        except Unsatisfiable:
            # What takes nothing cannot be sent anything wrong.
            continue
        except BaseExceptionGroup as failed:
            failures[operation.label] = "; ".join(str(each) for each in failed.exceptions)

    assert failures == {}


def _operations(app: FastAPI, wire: str) -> list[APIOperation]:
    schema = schemathesis.openapi.from_dict(app.openapi())
    operations = [each.ok() for each in schema.get_all_operations()]
    found = [each for each in operations if each.path.startswith(wire)]
    # What changes or removes the project comes last: the others need it.
    return sorted(found, key=lambda each: each.method != "get" and each.path in PROJECTS)


def _try(operation: APIOperation, shop: Shop, mode: GenerationMode) -> None:
    named = {parameter.name for parameter in operation.path_parameters}
    known = {name: text for name, text in shop.parameters(operation.path).items() if name in named}

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(mode, path_parameters=known))
    def attempt(case: Case) -> None:
        if mode is GenerationMode.POSITIVE:
            _name_what_exists(case, shop)
        case.validate_response(_send(shop.api, case), checks=CHECKS)

    attempt()


def _name_what_exists(case: Case, shop: Shop) -> None:
    keyway = case.path.startswith("/v1/")
    real = {
        "projectId": "prj-1" if keyway else shop.project,
        "connectionId": shop.connection,
        "environment": "production",
        "repo": REPO,
        "repoFullName": REPO,
    }
    for sent in (case.query, case.body):
        if isinstance(sent, dict):
            sent |= {name: text for name, text in real.items() if name in sent}


def _send(api: ApiClient, case: Case) -> httpx.Response:
    sent: dict[str, Any] = {"params": case.query or None}
    if isinstance(case.body, bytes):
        sent |= {"content": case.body, "headers": {"Content-Type": "application/json"}}
    elif not isinstance(case.body, NotSet):
        sent |= {"json": case.body}
    try:
        return api.request(case.method, case.formatted_path, **sent)
    except httpx.InvalidURL:
        # Longer than any server takes, and than this client sends.
        reject()
