"""What ``/openapi.json`` says beyond what the routes say themselves: examples, and errors that all share.

An example is put together from those of the fields, so that no model repeats what its fields tell.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI

Schema = Mapping[str, Any]

#: What stands for a value that a field gives no example of: by the field's name, its format, its type.
_BY_NAME: Mapping[str, Any] = {
    "action": "updateSecret",
    "app": "railway",
    "clientSecretPrefix": "3f9a",
    "description": "for the web shop",
    "destination": "railway",
    "destinationKey": "DATABASE_URL",
    "environment": "production",
    "importPath": "/common",
    "kind": "sync",
    "key": "DATABASE_URL",
    "message": "Done",
    "method": "account-token",
    "name": "shop",
    "path": "/",
    "provider": "railway",
    "secretKey": "DATABASE_URL",
    "secretPath": "/",
    "secretValue": "postgres://shop@db/shop",
    "slug": "shop",
    "status": "succeeded",
    "syncName": "shop-to-railway",
    "syncStatus": "succeeded",
    "value": "postgres://shop@db/shop",
}
_BY_FORMAT: Mapping[str, Any] = {
    "date-time": "2026-01-01T12:00:00Z",
    "password": "…",
    "uuid": "3c90c3cc-0d44-4b50-8888-8dd25736052a",
}
_BY_TYPE: Mapping[str, Any] = {"boolean": True, "integer": 1, "null": None, "number": 1.0, "string": "…"}

#: The answers to a body that is not even looked at.
_OF_BODIES = {
    "413": "The body is longer than 10 MiB.",
    "415": "The body is not declared to be JSON.",
}


class DescribedApi(FastAPI):
    """An application that describes each operation with examples and with every status it may answer."""

    def openapi(self) -> dict[str, Any]:
        """Return the description, which is put together once."""
        if self.openapi_schema is None:
            described = super().openapi()
            _complete(described)
            self.openapi_schema = described
        return self.openapi_schema


def _complete(described: dict[str, Any]) -> None:
    schemas = described["components"]["schemas"]
    for path, operations in described["paths"].items():
        for operation in operations.values():
            if path.startswith("/v1/") and _is_frameworks_own(operation["responses"].get("422", {})):
                # That wire answers 400 where another one answers 422.
                del operation["responses"]["422"]
            if "requestBody" in operation:
                _add_errors_of_bodies(operation["responses"])
            _add_examples(operation, schemas)
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)


def _is_frameworks_own(response: Schema) -> bool:
    return "HTTPValidationError" in str(response)


def _add_errors_of_bodies(responses: dict[str, Any]) -> None:
    like = responses.get("400") or {}
    for status, text in _OF_BODIES.items():
        responses.setdefault(status, {**like, "description": text})


def _add_examples(operation: Schema, schemas: Mapping[str, Schema]) -> None:
    taken = _json(operation.get("requestBody", {}))
    answers = [_json(response) for response in operation["responses"].values()]
    for content in (taken, *answers):
        if content is not None and "example" not in content and "examples" not in content:
            only_needed = content is taken
            content["example"] = Examples(schemas, only_needed=only_needed).of(content.get("schema", {}))


def _json(place: Schema) -> dict[str, Any] | None:
    content: dict[str, Any] | None = place.get("content", {}).get("application/json")
    return content


@dataclass(frozen=True, slots=True)
class Examples:
    """Makes up examples; with *only_needed* without what may be left out, unless it brings its own."""

    schemas: Mapping[str, Schema]
    only_needed: bool

    def of(self, schema: Schema, name: str = "") -> Any:
        """Return a value that *schema* allows: its own example if it has one, else one made of its parts'."""
        if "$ref" in schema:
            return self.of(self.schemas[schema["$ref"].split("/")[-1]], name)
        for given in ("examples", "enum"):
            if schema.get(given):
                return schema[given][0]
        for given in ("const", "default"):
            if schema.get(given) is not None:
                return schema[given]
        for choice in ("anyOf", "oneOf", "allOf"):
            if choice in schema:
                return self._chosen(schema[choice], name)
        return self._made_up(schema, name)

    def _chosen(self, choices: Sequence[Schema], name: str) -> Any:
        is_plain = choices[0].get("type") == "string" and "format" not in choices[0]
        if is_plain and name not in _BY_NAME and {"type": "null"} in choices:
            return None
        return self.of(choices[0], name)

    def _made_up(self, schema: Schema, name: str) -> Any:
        match schema.get("type"):
            case "object":
                return {each: self.of(field, each) for each, field in self._fields(schema)}
            case "array":
                return [self.of(schema.get("items", {}))]
            case "string" if schema.get("format") in _BY_FORMAT:
                return _BY_FORMAT[schema["format"]]
            case "string" if name in _BY_NAME:
                return _BY_NAME[name]
            case "integer":
                return max(1, int(schema.get("minimum", 1)))
            case kind:
                return _BY_TYPE.get(str(kind), {})

    def _fields(self, schema: Schema) -> Iterator[tuple[str, Schema]]:
        for name, field in schema.get("properties", {}).items():
            if not self.only_needed or name in schema.get("required", ()) or "examples" in field:
                yield name, field
