"""An HTTP client of a running Keytide. What the command line knows, it knows from there."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any
from urllib.parse import quote

import httpx

from cli.server import Server
from shared.errors import (
    Conflict,
    Forbidden,
    InvalidInput,
    KeytideError,
    NotFound,
    Unauthenticated,
)

#: Seconds an answer may take: the server waits for a provider, but not this long.
_PATIENCE = 90.0

_ERRORS: Mapping[int, type[KeytideError]] = {
    400: InvalidInput,
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    422: InvalidInput,
}

LOG_IN = "Log in with 'keytide login', or set KEYTIDE_TOKEN."


class NoAnswer(KeytideError):
    """Keytide did not answer."""


class Client:
    """Requests to one server, with its token. A refusal becomes an error that says what to do."""

    def __init__(self, server: Server, http: httpx.Client) -> None:
        self.server = server
        self._http = http

    def get(self, path: str, **params: Any) -> Any:
        return self.send("GET", path, params=params)

    def post(self, path: str, **body: Any) -> Any:
        return self.send("POST", path, body=body)

    def patch(self, path: str, **body: Any) -> Any:
        return self.send("PATCH", path, body=body)

    def delete(self, path: str, **params: Any) -> Any:
        return self.send("DELETE", path, params=params)

    def send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the JSON that *path* answers, None where there is none. What is None is not sent."""
        answer = self.request(method, path, params=_given(params), json=body and _given(body))
        if answer.is_error:
            raise self._refusal(answer)
        if not answer.content:
            return None
        try:
            return answer.json()
        except ValueError:
            raise NoAnswer(f"What answers at {self.server.url} is not Keytide.") from None

    def _refusal(self, answer: httpx.Response) -> KeytideError:
        # Whoever else answers may repeat what was sent, the token included.
        if "x-request-id" not in answer.headers:
            return NoAnswer(
                f"What answers at {self.server.url} is not Keytide, or something before it: it refuses "
                f"with {answer.status_code}."
            )
        if answer.status_code == 401 and self.server.token is None:
            return Unauthenticated(f"There is no token for {self.server.url} here. {LOG_IN}")
        return _refusal(answer)

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Return the answer as it is. Raises ``NoAnswer`` if there is none."""
        try:
            return self._http.request(method, path, **options)
        except httpx.TimeoutException:
            raise NoAnswer(
                f"{self.server.url} took longer than {_PATIENCE:.0f} s to answer. It may still be at work: "
                "look with 'keytide syncs list'."
            ) from None
        except httpx.HTTPError as error:
            raise NoAnswer(
                f"Keytide does not answer at {self.server.url} ({type(error).__name__}). Start it with "
                "'keytide up', or set KEYTIDE_URL to where it runs."
            ) from None


@contextmanager
def connect(server: Server) -> Iterator[Client]:
    """Yield a client of *server*."""
    headers = {"User-Agent": f"keytide-cli/{version('keytide')}"}
    if server.token:
        headers["Authorization"] = f"Bearer {server.token.get_secret_value()}"
    with httpx.Client(
        base_url=server.url,
        headers=headers,
        timeout=_PATIENCE,
        # What runs on this machine is not reached through somebody's proxy.
        trust_env=not server.is_local,
    ) as http:
        yield Client(server, http)


def part(text: str) -> str:
    """Return *text* as one part of a path."""
    return quote(text, safe="")


def _given(fields: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (fields or {}).items() if value is not None}


def _refusal(answer: httpx.Response) -> KeytideError:
    kind = _ERRORS.get(answer.status_code, KeytideError)
    text = _explanation(answer)
    match answer.status_code:
        case 401:
            text += f" {LOG_IN}"
        case 403 if _body(answer).get("error") == "TokenError":
            kind, text = Unauthenticated, f"{text} {LOG_IN}"
        case 403:
            text += " Use a token that may do this."
        # What a provider has to answer for (502, 503) says so itself, and no log tells more.
        case 500:
            named = answer.headers.get("x-request-id", "this time")
            text = f"{text.removesuffix('.')}. The server's log tells more under {named}."
    return kind(text)


def _explanation(answer: httpx.Response) -> str:
    """Return what either wire says about its refusal."""
    body = _body(answer)
    fields = body.get("errors") or body.get("message")
    if isinstance(fields, list):
        return " ".join(_field(each) for each in fields)
    said = body.get("detail") or body.get("message") or body.get("title")
    return str(said or f"The answer was {answer.status_code}.")


def _field(issue: Mapping[str, Any]) -> str:
    name = issue.get("field") or ".".join(str(step) for step in issue.get("path", ()))
    message = f"{str(issue.get('message')).removesuffix('.')}."
    return f"{name}: {message}" if name else message


def _body(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
