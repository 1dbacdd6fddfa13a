"""Reading JSON bodies: strictly first, then forgiving a comma behind the last entry.

The published sample requests of the Infisical wire have such a comma, and its users copy them.
"""

import json
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, NoReturn

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import Response

from shared.errors import InvalidInput

MAX_BODY_BYTES = 10 * 1024 * 1024

#: A string, closed or not; a comma behind nothing, which stays an error; a comma behind the last entry.
_TOKEN = re.compile(
    r"""
    (?P<kept> "(?:[^"\\]|\\.)*+"? | [\[{,:][ \t\r\n]*+, )
    | ,(?=[ \t\r\n]*+[\]}])
    """,
    re.VERBOSE | re.DOTALL,
)
#: An escape that may stand for a NUL character or for half of a surrogate pair.
_DOUBTFUL_ESCAPE = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
#: What such an escape leaves in a text; neither can be stored everywhere.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def parse_json(body: bytes) -> Any:
    """Return what *body* says. Raises ``InvalidInput`` saying what is wrong with it, but not repeating it."""
    try:
        text = body.decode()
        try:
            parsed = _loads(text)
        except json.JSONDecodeError:
            # A space in place of the comma: places named in errors stay right.
            parsed = _loads(_TOKEN.sub(lambda token: token["kept"] or " ", text))
    except UnicodeDecodeError:
        raise InvalidInput("The body is not UTF-8 text.") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InvalidInput(f"The body is not valid JSON: {error.msg} ({where}).") from None
    except (ValueError, RecursionError):
        raise InvalidInput(
            "The body is not valid JSON: a number cannot be read, or it is nested too deeply."
        ) from None
    if _DOUBTFUL_ESCAPE.search(text) and any(map(_UNSTORABLE.search, _texts(parsed))):
        raise InvalidInput("The body holds a NUL character or half of a surrogate pair.")
    return parsed


def _loads(text: str) -> Any:
    return json.loads(text, parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _texts(parsed: Any) -> Iterator[str]:
    """Yield every text in *parsed*, names of fields included."""
    waiting = [parsed]
    while waiting:
        match waiting.pop():
            case str() as text:
                yield text
            case dict() as fields:
                waiting += [*fields, *fields.values()]
            case list() as entries:
                waiting += entries


class _JsonRequest(Request):
    async def body(self) -> bytes:
        if not hasattr(self, "_body"):
            self._body = b"".join([chunk async for chunk in self._limited()])
        return self._body

    async def _limited(self) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in self.stream():
            size += len(chunk)
            if size > MAX_BODY_BYTES:
                raise HTTPException(413, f"A body has at most {MAX_BODY_BYTES // 2**20} MiB.")
            yield chunk

    async def json(self) -> Any:
        try:
            return parse_json(await self.body())
        except InvalidInput as error:
            # The framework lets only its own kind of error through at this point.
            raise HTTPException(400, error.message) from None


class JsonRoute(APIRoute):
    """A route that takes JSON as ``parse_json`` reads it, and refuses every other kind of body."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            if "\0" in request.scope["path"] or b"%00" in request.scope["query_string"]:
                raise InvalidInput("The address holds a NUL character.")
            if _has_body(request) and not _is_json(request.headers.get("content-type", "")):
                raise HTTPException(415, "Send the body as JSON, with 'Content-Type: application/json'.")
            return await handler(_JsonRequest(request.scope, request.receive))

        return handle


def _has_body(request: Request) -> bool:
    length = request.headers.get("content-length")
    return length != "0" if length is not None else "transfer-encoding" in request.headers


def _is_json(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))
