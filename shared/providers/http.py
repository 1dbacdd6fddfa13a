"""One client for JSON and GraphQL over HTTP, and the one table that turns answers into errors.

Every request is bounded in time as a whole, not only between two bytes: a run's lease must outlive it.
"""

import math
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
from pydantic import SecretStr

from shared.errors import (
    AccessDenied,
    CredentialsRejected,
    DestinationNotFound,
    ProviderError,
    RateLimited,
    RequestRejected,
    Transient,
    Unavailable,
    UnexpectedAnswer,
    Unreachable,
)
from shared.providers.base import Access, RateLimit
from shared.providers.deadline import deadline, watch

#: Longest answer read, in bytes.
MAX_ANSWER = 32 * 1024 * 1024

#: What an HTTP status means. 429 is told apart below, because it carries a waiting time.
STATUS_ERRORS: Mapping[int, type[ProviderError]] = {
    400: RequestRejected,
    401: CredentialsRejected,
    402: AccessDenied,
    403: AccessDenied,
    404: DestinationNotFound,
    408: Unavailable,
    409: RequestRejected,
    410: DestinationNotFound,
    422: RequestRejected,
    423: Unavailable,
    425: Unavailable,
    429: RateLimited,
}

#: What reading a number or a date out of a header may raise.
UNREADABLE = (ValueError, TypeError, OverflowError)

#: What to tell a person to do.
ADVICE: Mapping[type[ProviderError], str] = {
    CredentialsRejected: "Renew the credentials of this connection.",
    AccessDenied: "Give these credentials the right to read and write variables there.",
    DestinationNotFound: "Check that the destination still exists and that these credentials can see it.",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A provider's answer, read whole. ``body`` is the decoded JSON, None when there was none."""

    status: int
    headers: httpx.Headers
    body: Any


@dataclass(frozen=True)
class Api:
    """A provider's API, called with one set of credentials.

    ``authorization`` is opened only while a request is built. ``error_code`` reads the provider's own code
    out of an error body. ``codes`` says which of those codes mean something else than their status does;
    they are compared in lower case.
    """

    title: str
    access: Access
    authorization: Mapping[str, SecretStr]
    error_code: Callable[[Any], str | None] = lambda body: None
    codes: Mapping[str, type[ProviderError]] = field(default_factory=dict)

    def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        form: Mapping[str, str] | None = None,
    ) -> Any:
        """Send one request and return the decoded body of its answer. Raises a ``ProviderError``."""
        answer = self.send(method, path, params=params, json=json, form=form)
        self.raise_for_status(answer)
        return answer.body

    def graphql(self, path: str, document: str, variables: Mapping[str, Any] | None = None) -> Any:
        """Send one GraphQL document and return its ``data``. An error inside a 200 is an error."""
        sent = {key: value for key, value in (variables or {}).items() if value is not None}
        answer = self.send("POST", path, json={"query": document, "variables": sent})
        body = answer.body if isinstance(answer.body, dict) else {}
        if body.get("errors"):
            raise self.error(answer.status if answer.status >= 400 else None, self.error_code(body), answer)
        self.raise_for_status(answer)
        if not isinstance(body.get("data"), dict):
            raise UnexpectedAnswer(
                f"{self.title} answered without data.", provider=self.title, status=answer.status
            )
        return body["data"]

    def send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        form: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request and return its answer, whatever its status."""
        self.access.before_call()
        query = {key: value for key, value in (params or {}).items() if value is not None}
        answer = self._read(self._build(method, path, params=query or None, json=json, data=form))
        limit = rate_limit(answer.headers)
        if limit is not None:
            self.access.observe(limit)
        return answer

    def raise_for_status(self, answer: Answer) -> None:
        """Raise what the status of *answer* means, unless it is a success."""
        if not 200 <= answer.status < 300:
            raise self.error(answer.status, self.error_code(answer.body), answer)

    def error(self, status: int | None, code: str | None, answer: Answer | None = None) -> ProviderError:
        """Return the error that *status* and the provider's *code* stand for."""
        kind = self.codes.get((code or "").lower()) or _by_status(status)
        told = " ".join(str(part) for part in (status, code) if part is not None) or "an error"
        message = f"{self.title} answered {told}. {ADVICE.get(kind, '')}".rstrip()
        if issubclass(kind, Transient):
            wait = retry_after(answer.headers) if answer and _says_when(kind, answer) else None
            return kind(message, provider=self.title, status=status, code=code, retry_after=wait)
        return kind(message, provider=self.title, status=status, code=code)

    def _build(self, method: str, path: str, **content: Any) -> httpx.Request:
        headers = {name: value.get_secret_value() for name, value in self.authorization.items()}
        seconds = self.access.call_seconds
        try:
            return self.access.http.build_request(
                method,
                self.access.address.rstrip("/") + path,
                headers={**headers, "Accept": "application/json", "User-Agent": "keytide"},
                timeout=httpx.Timeout(seconds / 2, connect=min(10.0, seconds)),
                extensions={"trace": watch},
                **content,
            )
        except UnicodeEncodeError:
            # The error holds the whole text, which is a credential or a value.
            raise RequestRejected(
                f"What was to be sent to {self.title} holds characters that cannot be sent.",
                provider=self.title,
            ) from None

    def _read(self, request: httpx.Request) -> Answer:
        try:
            with deadline(self.access.call_seconds):
                # A redirect could carry the credentials to another host: it is an answer like any other here.
                response = self.access.http.send(request, stream=True, follow_redirects=False)
                try:
                    content = _content(response)
                finally:
                    response.close()
        except httpx.HTTPError as error:
            # The message of an httpx error can hold the URL; its class name says what happened.
            raise Unreachable(
                f"{self.title} did not answer ({type(error).__name__}).", provider=self.title
            ) from None
        return Answer(response.status_code, response.headers, self._decode(response, content))

    def _decode(self, response: httpx.Response, content: bytes) -> Any:
        # Error pages come in any form. A success has to be JSON: a page that says that the service is being
        # mended comes with 200 as well, and must not pass for the answer to a write.
        if not content:
            return None
        if "json" in response.headers.get("content-type", ""):
            with suppress(ValueError, RecursionError):
                return httpx.Response(200, content=content).json()
        if response.is_success:
            status = response.status_code
            raise UnexpectedAnswer(f"{self.title} answered without JSON.", provider=self.title, status=status)
        return None


# --- what an answer has to be -------------------------------------------------------------------------
#
# A wrong form must never pass for "there is nothing": the engine would create, forget or delete on that word.


def map_in(body: Any, title: str) -> Mapping[str, Any]:
    """Return *body*, which has to be an object. Raises ``UnexpectedAnswer``."""
    if not isinstance(body, dict):
        raise unexpected(title)
    return body


def maps_in(body: Any, title: str) -> list[Mapping[str, Any]]:
    """Return *body*, which has to be a list of objects. Raises ``UnexpectedAnswer``."""
    if not isinstance(body, list):
        raise unexpected(title)
    return [map_in(item, title) for item in body]


def text_in(item: Mapping[str, Any], name: str, title: str) -> str:
    """Return the field *name*, which has to be text, and some. Raises ``UnexpectedAnswer``."""
    text = item.get(name)
    if not isinstance(text, str) or not text:
        raise unexpected(title)
    return text


def texts_in(body: Any, title: str) -> list[str]:
    """Return *body*, which has to be a list of text. Raises ``UnexpectedAnswer``."""
    if not isinstance(body, list) or not all(isinstance(item, str) for item in body):
        raise unexpected(title)
    return body


def unexpected(title: str) -> UnexpectedAnswer:
    """Return the error for an answer of another form than documented. Its text repeats nothing of it."""
    return UnexpectedAnswer(f"{title}'s answer has a form that it does not document.", provider=title)


def _by_status(status: int | None) -> type[ProviderError]:
    if status is None:
        return RequestRejected
    if status >= 500:
        return Unavailable
    return STATUS_ERRORS.get(status, UnexpectedAnswer)


def _content(response: httpx.Response) -> bytes:
    parts: list[bytes] = []
    size = 0
    for part in response.iter_bytes():
        size += len(part)
        if size > MAX_ANSWER:
            raise httpx.ReadError("too long")
        parts.append(part)
    return b"".join(parts)


def _says_when(kind: type[ProviderError], answer: Answer) -> bool:
    """Is the waiting time in *answer* about this error? Rate-limit headers stand on good answers, too."""
    return issubclass(kind, RateLimited) or "retry-after" in answer.headers


def retry_after(headers: httpx.Headers) -> float | None:
    """Return the seconds a provider asks to wait, from ``Retry-After`` or its rate-limit headers."""
    value = headers.get("retry-after")
    if value is None:
        limit = rate_limit(headers)
        return limit.resets_in if limit else None
    try:
        return max(0.0, _number(value))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except UNREADABLE:
        return None


def rate_limit(headers: httpx.Headers) -> RateLimit | None:
    """Return what ``X-RateLimit-Remaining`` and ``-Reset`` say, None where they are absent or unreadable.

    The reset is given in epoch seconds, epoch milliseconds, seconds from now, or as a date.
    """
    remaining, reset = headers.get("x-ratelimit-remaining"), headers.get("x-ratelimit-reset")
    if remaining is None or reset is None:
        return None
    try:
        return RateLimit(remaining=int(_number(remaining)), resets_in=_seconds_until(reset))
    except UNREADABLE:
        return None


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError
    return number


def _seconds_until(reset: str) -> float:
    try:
        moment = _number(reset)
    except ValueError:
        parsed = datetime.fromisoformat(reset) if reset[:4].isdigit() else parsedate_to_datetime(reset)
        return max(0.0, (parsed - datetime.now(UTC)).total_seconds())
    if moment > 1e11:
        moment /= 1000
    return max(0.0, moment - time.time() if moment > 1e8 else moment)
