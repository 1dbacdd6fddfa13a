"""The official schemas of the provider APIs, as checks on a request.

They lie in ``../shared/contracts`` beside the checkout, or where ``KEYTIDE_CONTRACTS`` points. Without that
folder ``load`` returns None and the emulators check nothing.
"""

import gzip
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from graphql import GraphQLError, GraphQLSchema, OperationDefinitionNode, parse, validate
from graphql.execution.values import get_variable_values
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from tests.fakes.service import Request

_BESIDE = Path(__file__).resolve().parents[3] / "shared" / "contracts"


@cache
def load(name: str) -> bytes | None:
    """Return the unpacked contract file *name*, None if there is none."""
    path = Path(os.environ.get("KEYTIDE_CONTRACTS") or _BESIDE) / name
    return gzip.decompress(path.read_bytes()) if path.is_file() else None


def graphql_violations(schema: GraphQLSchema, body: Any) -> list[str]:
    """Return what *schema* has against a GraphQL request body: its document and its variables."""
    try:
        document = parse(body["query"])
    except (GraphQLError, KeyError, TypeError) as error:
        return [f"no GraphQL document: {error}"]
    found = [error.message for error in validate(schema, document)]
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if found or len(operations) != 1:
        return found or ["not exactly one operation"]
    values = get_variable_values(
        schema, operations[0].variable_definitions or (), body.get("variables") or {}
    )
    return [error.message for error in values] if isinstance(values, list) else []


@dataclass(frozen=True)
class OpenApi:
    """An OpenAPI 3.0 or Swagger 2.0 document. ``base`` is what the real URLs have before its paths."""

    document: Mapping[str, Any]
    base: str = ""

    @classmethod
    def load(cls, name: str, base: str = "") -> "OpenApi | None":
        """Return the contract file *name* as a checker, None if there is none."""
        found = load(name)
        return None if found is None else cls(json.loads(found), base)

    def violations(self, request: Request) -> list[str]:
        """Return what the document has against *request*: path, query parameters, body."""
        where = f"{request.method} {request.path}"
        found = self._operation(request)
        if found is None:
            return [f"{where}: no such operation"]
        parameters, operation = found
        problems = _query_problems(request, parameters)
        schema = self._body_schema(parameters, operation)
        if schema is None:
            problems += ["takes no body"] if request.body else []
        else:
            errors = Draft202012Validator(schema).iter_errors(request.json)
            problems += [f"body{error.json_path[1:]}: {_shortly(error.message)}" for error in errors]
        return [f"{where}: {problem}" for problem in problems]

    def _operation(self, request: Request) -> tuple[list[Any], Mapping[str, Any]] | None:
        for template in sorted(self.document["paths"], key=lambda path: path.count("{")):
            pattern = self.base + re.sub(r"\\\{[^/]+?\\\}", "[^/]+", re.escape(template))
            item = self.document["paths"][template]
            if request.method.lower() in item and re.fullmatch(pattern, request.path):
                operation = item[request.method.lower()]
                listed = [*item.get("parameters", ()), *operation.get("parameters", ())]
                return [self._resolved(parameter) for parameter in listed], operation
        return None

    def _body_schema(self, parameters: list[Any], operation: Mapping[str, Any]) -> Any:
        """Return the closed JSON schema of the request body, None if the operation takes none."""
        in_body = next((each["schema"] for each in parameters if each["in"] == "body"), None)
        content = self._resolved(operation.get("requestBody", {})).get("content", {})
        schema = in_body or content.get("application/json", {}).get("schema")
        return None if schema is None else self._closed(schema, ())

    def _resolved(self, node: Any) -> Any:
        while isinstance(node, dict) and "$ref" in node:
            found: Any = self.document
            for step in node["$ref"].removeprefix("#/").split("/"):
                found = found[step.replace("~1", "/").replace("~0", "~")]
            node = found
        return node

    def _closed(self, node: Any, seen: tuple[str, ...], *, part: bool = False) -> Any:
        """Return *node* with references inlined and unknown properties forbidden."""
        if isinstance(node, list):
            return [self._closed(each, seen, part=part) for each in node]
        if not isinstance(node, dict):
            return node
        if isinstance(node.get("$ref"), str):
            if node["$ref"] in seen:  # a recursive schema: what lies deeper is not checked
                return {}
            return self._closed(self._resolved(node), (*seen, node["$ref"]), part=part)
        joined = {"allOf", "anyOf", "oneOf"}
        closed = {
            key: self._closed_properties(value, seen)
            if key == "properties"
            else self._closed(value, seen, part=key in joined)
            for key, value in node.items()
            if key not in {"example", "nullable", "discriminator"}
        }
        if not part and "additionalProperties" not in node and ("properties" in node or joined & node.keys()):
            closed["unevaluatedProperties"] = False
        return {"anyOf": [closed, {"type": "null"}]} if node.get("nullable") else closed

    def _closed_properties(self, properties: Mapping[str, Any], seen: tuple[str, ...]) -> Any:
        return {name: self._closed(schema, seen) for name, schema in properties.items()}


def _query_problems(request: Request, parameters: list[Any]) -> list[str]:
    declared = {each["name"]: each for each in parameters if each["in"] == "query"}
    sent = {name for name, _ in request.query}
    unknown = [f"unknown query parameter {name}" for name in sorted(sent - declared.keys())]
    needed = {name for name, each in declared.items() if each.get("required")}
    return unknown + [f"query parameter {name} is missing" for name in sorted(needed - sent)]


def _shortly(message: str) -> str:
    return message if len(message) <= 200 else message[:200] + "…"
