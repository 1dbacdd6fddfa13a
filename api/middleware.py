"""Around every request: its id, one line in the log, and headers that keep answers out of other hands."""

import re
import time
from uuid import uuid4

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import answer

log = structlog.get_logger()

REQUEST_ID = "x-request-id"
#: What is taken over from a caller: it goes into logs and answers.
_WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{1,128}")

#: Set unless an answer brings its own.
SECURITY_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class RequestLog:
    """Gives each request an id, writes one line about it, and answers what nobody else caught."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = _request_id(Headers(scope=scope))
        scope.setdefault("state", {})["request_id"] = request_id
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        sending = _Sending(send, request_id)
        started = time.perf_counter()
        try:
            await self._call(scope, receive, sending)
        finally:
            _log_request(scope, sending.status, time.perf_counter() - started)

    async def _call(self, scope: Scope, receive: Receive, sending: "_Sending") -> None:
        try:
            await self.app(scope, receive, sending)
        except Exception as error:
            # Beyond this point the server would print the error's text, and that may hold a value.
            response = answer(Request(scope), error)
            if sending.status is None:
                await response(scope, receive, sending)


class _Sending:
    """Sends an answer on, with our headers. ``status`` is None until it has begun."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self.status: int | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers[REQUEST_ID] = self._request_id
            for name, value in SECURITY_HEADERS.items():
                headers.setdefault(name, value)
        await self._send(message)


def _request_id(headers: Headers) -> str:
    given = headers.get(REQUEST_ID, "")
    return given if _WELL_FORMED.fullmatch(given) else str(uuid4())


def _log_request(scope: Scope, status: int | None, seconds: float) -> None:
    route = getattr(scope.get("route"), "path_format", None) or "unknown"
    # Whoever watches over us asks every few seconds; what goes wrong there is worth a line.
    quiet = route in ("/livez", "/readyz") and status == 200
    (log.debug if quiet else log.info)(
        "request.finished",
        method=scope["method"],
        # The template, not the path: names of secrets and ids of customers stay out of the log.
        route=route,
        status=status,
        ms=round(seconds * 1000, 1),
        caller=getattr(scope["state"].get("actor"), "name", None),
    )
