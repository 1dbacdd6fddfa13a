"""The schema checks find what they are there for; otherwise "no violations" would prove nothing."""

import json
from typing import Any

import pytest

from tests.fakes.contracts import OpenApi, graphql_violations
from tests.fakes.railway import FakeRailway, official_schema
from tests.fakes.service import Request

THINGS = OpenApi(
    {
        "paths": {
            "/things/{id}": {
                "post": {
                    "parameters": [{"name": "team", "in": "query", "required": True}],
                    "requestBody": {
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}
                    },
                },
                "get": {},
            }
        },
        "components": {
            "schemas": {
                "Thing": {
                    "allOf": [
                        {"type": "object", "properties": {"name": {"type": "string"}}},
                        {"type": "object", "properties": {"note": {"type": "string", "nullable": True}}},
                    ]
                }
            }
        },
    },
    base="/v1",
)


def request(method: str, url: str, body: Any = None) -> Request:
    return Request.to(method, url, [], b"" if body is None else json.dumps(body).encode())


def test_a_request_that_follows_the_document_has_no_violations() -> None:
    assert THINGS.violations(request("POST", "/v1/things/7?team=a", {"name": "x", "note": None})) == []


@pytest.mark.parametrize(
    ("wrong", "found"),
    [
        (request("POST", "/v1/things/7?team=a", {"name": 1}), "body.name"),
        (request("POST", "/v1/things/7?team=a", {"title": "x"}), "'title' was unexpected"),
        (request("POST", "/v1/things/7?team=a&to=b", {}), "unknown query parameter to"),
        (request("POST", "/v1/things/7", {}), "query parameter team is missing"),
        (request("GET", "/v1/things/7", {"name": "x"}), "takes no body"),
        (request("PUT", "/v1/things/7"), "no such operation"),
        (request("GET", "/things/7"), "no such operation"),
        (request("GET", "/v1/things/7/parts"), "no such operation"),
    ],
)
def test_a_request_that_does_not_follow_the_document_is_found(wrong: Request, found: str) -> None:
    violations = THINGS.violations(wrong)

    assert any(found in violation for violation in violations)


@pytest.mark.parametrize(
    "body",
    [
        {"query": "query { variables(projectId: 1, environmentId: 2) }"},
        {"query": "query { nothingOfThatName }"},
        {"query": "query {"},
        {},
        {
            "query": "mutation($i: VariableCollectionUpsertInput!) { variableCollectionUpsert(input: $i) }",
            "variables": {"i": {"projectId": "p", "environmentId": "e", "variables": {}, "sealed": True}},
        },
    ],
)
def test_a_graphql_request_against_the_schema_is_found(body: dict[str, Any]) -> None:
    schema = official_schema()
    if schema is None:
        pytest.skip("the official schemas are not beside this checkout (KEYTIDE_CONTRACTS)")

    assert graphql_violations(schema, body)


def test_an_emulator_notes_every_violation() -> None:
    fake = FakeRailway.with_demo()
    if not fake.checks_schema:
        pytest.skip("the official schemas are not beside this checkout (KEYTIDE_CONTRACTS)")

    fake.handle(request("POST", "/graphql/v2", {"query": "query { nothingOfThatName }"}))

    assert len(fake.violations) == 1
