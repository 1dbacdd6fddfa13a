"""What ``/openapi.json`` says: for every operation, what to send and what comes back, by example."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from jsonschema import Draft202012Validator

Body = dict[str, Any]


@pytest.fixture
def described(app: FastAPI) -> Body:
    return app.openapi()


def bodies(described: Body) -> Iterator[tuple[str, Body]]:
    """Yield every JSON body that is taken or answered, and which one it is."""
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            taken = operation.get("requestBody", {})
            for name, place in (("body", taken), *operation["responses"].items()):
                content = place.get("content", {}).get("application/json")
                if content is not None:
                    yield f"{method} {path} {name}", content


def test_every_body_has_an_example_that_fits_it(described: Body) -> None:
    wrong = {
        name: [error.message for error in found]
        for name, content in bodies(described)
        if (found := list(_validator(described, content).iter_errors(content["example"])))
    }

    assert wrong == {}


def _validator(described: Body, content: Body) -> Draft202012Validator:
    return Draft202012Validator({**content["schema"], "components": described["components"]})


def test_examples_of_requests_hold_what_is_needed_and_no_more(described: Body) -> None:
    new_sync = described["paths"]["/api/v1/secret-syncs/{destination}"]["post"]

    example = new_sync["requestBody"]["content"]["application/json"]["example"]

    assert example["destinationConfig"]["serviceId"] == "svc-web"
    assert "isEnabled" not in example


def test_every_operation_names_the_statuses_of_faults(described: Body) -> None:
    for path, operations in described["paths"].items():
        if path.startswith("/api/"):
            for operation in operations.values():
                needed = {"200", "400", "401", "403", "404", "422", "500", "502", "503"}
                needed |= {"413", "415"} if "requestBody" in operation else set()
                assert operation["responses"].keys() >= needed, operation["operationId"]


def test_a_status_that_a_wire_does_not_have_is_not_described(described: Body) -> None:
    for path, operations in described["paths"].items():
        if path.startswith("/v1/"):
            for operation in operations.values():
                assert "422" not in operation["responses"], operation["operationId"]
