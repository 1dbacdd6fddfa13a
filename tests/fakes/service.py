"""The base of every provider emulator.

An emulator is a ``FakeService``: state, and ``answer(request)``. It is pure Python, thread-safe, and does the
same thing each time, so a simulation calls it directly (``InProcess``); tests and people reach the very same
object over real HTTP (``FakeServer``, ``main``). Faults are queued with ``fail_next``.
"""

import argparse
import json
import signal
import socket
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

import httpx

#: Seconds after which a hanging answer is given up, should nobody release it.
HANG_SECONDS = 30.0

#: What every place of a service holds: place → key → value.
Places = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Request:
    """A request as the service sees it. Header names are in lower case."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def json(self) -> Any:
        """The decoded body, None if it is empty or no JSON."""
        try:
            return json.loads(self.body) if self.body else None
        except ValueError:
            return None

    def param(self, name: str) -> str | None:
        """Return the first query parameter of that name, or None."""
        return next((value for key, value in self.query if key == name), None)

    @classmethod
    def to(cls, method: str, url: str, headers: Iterable[tuple[str, str]], body: bytes) -> Self:
        """Build a request from its parts as they are on the wire."""
        parts = urlsplit(url)
        query = tuple(parse_qsl(parts.query, keep_blank_values=True))
        return cls(method, parts.path, query, {name.lower(): value for name, value in headers}, body)


@dataclass(frozen=True, slots=True)
class Response:
    """An answer. ``body`` is sent as JSON; None sends no body."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        return b"" if self.body is None else json.dumps(self.body).encode()

    @property
    def all_headers(self) -> dict[str, str]:
        """The headers to send: the service's own, and the type of the body if there is one."""
        return {**({} if self.body is None else {"Content-Type": "application/json"}), **self.headers}


@dataclass(frozen=True, slots=True)
class Call:
    """A request that arrived, and what it was answered. ``status`` is None if no answer was sent."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    body: Any
    is_write: bool
    status: int | None


@dataclass(frozen=True, slots=True)
class Fail:
    """Answer with ``status`` in the service's own words; nothing is applied."""

    status: int


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer with exactly this; nothing is applied."""

    response: Response


@dataclass(frozen=True, slots=True)
class Drop:
    """Close the connection without an answer, before or after the request was applied."""

    applied: bool


@dataclass(frozen=True, slots=True)
class Hang:
    """Answer nothing until ``released`` is set, then close the connection."""

    applied: bool = False


Fault = Fail | Reply | Drop | Hang


class NoAnswer(Exception):
    """The service sends nothing back."""

    def __init__(self, *, hangs: bool) -> None:
        super().__init__("hangs" if hangs else "drops the connection")
        self.hangs = hangs


class FakeService(ABC):
    """A provider's service with its state, its oddities and its faults.

    ``calls`` is every request that arrived; ``history`` every state the service was in, oldest first;
    ``violations`` what the official schema had to say against a request; ``refused`` are the keys whose
    writes it refuses.
    """

    #: Was an official schema found to check requests against?
    checks_schema: bool = False

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self.now = now
        self.calls: list[Call] = []
        self.history: list[Places] = []
        self.violations: list[str] = []
        self.refused: set[str] = set()
        self.released = threading.Event()
        self._faults: list[tuple[Fault, Callable[[Request], bool]]] = []
        self._lock = threading.RLock()

    # --- what an emulator provides ---------------------------------------------------------------------

    @abstractmethod
    def answer(self, request: Request) -> Response:
        """Apply *request* and answer it as the service would."""

    @abstractmethod
    def refusal(self, status: int, request: Request) -> Response:
        """Return this service's error answer with *status*. Echoes the request, as real ones may."""

    @abstractmethod
    def places(self) -> Places:
        """Return a copy of what every place holds, hidden values included."""

    @abstractmethod
    def seed(self, place: str, variables: Mapping[str, str]) -> None:
        """Put *variables* into *place* as if somebody had done so by hand."""

    @abstractmethod
    def demo(self) -> Mapping[str, str]:
        """Return what a person needs to try the emulator by hand: a working token, ids."""

    def is_write(self, request: Request) -> bool:
        """Does *request* change anything?"""
        return request.method not in {"GET", "HEAD"}

    def check(self, request: Request) -> list[str]:
        """Return what the official schema has against *request*."""
        return []

    # --- what tests use --------------------------------------------------------------------------------

    def fail_next(
        self, fault: Fault, *, times: int = 1, where: Callable[[Request], bool] = lambda request: True
    ) -> None:
        """Let the next *times* requests that match *where* meet *fault*."""
        with self._lock:
            self._faults.extend([(fault, where)] * times)

    @property
    def reads(self) -> list[Call]:
        """The calls that changed nothing."""
        return [call for call in self.calls if not call.is_write]

    @property
    def writes(self) -> list[Call]:
        """The calls that meant to change something."""
        return [call for call in self.calls if call.is_write]

    def forget_calls(self) -> None:
        """Start counting calls, and remembering states, anew."""
        with self._lock:
            self.calls.clear()
            self.history[:] = [self.places()]

    def was_ever_absent(self, place: str, key: str) -> bool:
        """Was there a state, since the history starts, in which *place* lacked *key*?"""
        return any(key not in state.get(place, {}) for state in self.history)

    def handle(self, request: Request) -> Response:
        """Answer *request*. Raises ``NoAnswer`` where the connection would end or hang."""
        with self._lock:
            self.violations.extend(self.check(request))
            status: int | None = None
            try:
                response = self._respond(request, self._fault_for(request))
                status = response.status
            finally:
                self._record(request, status)
            return response

    def _respond(self, request: Request, fault: Fault | None) -> Response:
        match fault:
            case None:
                return self.answer(request)
            case Fail(status):
                return self.refusal(status, request)
            case Reply(response):
                return response
            case Drop(applied) | Hang(applied):
                if applied:
                    self.answer(request)
                raise NoAnswer(hangs=isinstance(fault, Hang))

    def _fault_for(self, request: Request) -> Fault | None:
        for position, (fault, where) in enumerate(self._faults):
            if where(request):
                del self._faults[position]
                return fault
        return None

    def _record(self, request: Request, status: int | None) -> None:
        body = request.json
        if body is None and request.body:
            body = request.body.decode(errors="replace")
        writes = self.is_write(request)
        self.calls.append(Call(request.method, request.path, request.query, body, writes, status))
        state = self.places()
        if not self.history or state != self.history[-1]:
            self.history.append(state)


# --- reached without a socket --------------------------------------------------------------------------


class InProcess(httpx.BaseTransport):
    """Carries an ``httpx.Client``'s requests to a service by a plain call: no socket, no thread, no wait."""

    def __init__(self, service: FakeService) -> None:
        self._service = service

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        arrived = Request.to(request.method, str(request.url), request.headers.items(), request.read())
        try:
            answer = self._service.handle(arrived)
        except NoAnswer as silence:
            error = httpx.ReadTimeout if silence.hangs else httpx.ReadError
            raise error(str(silence), request=request) from None
        return httpx.Response(
            answer.status, headers=answer.all_headers, content=answer.content, request=request
        )


# --- reached over HTTP ---------------------------------------------------------------------------------


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keeps connections alive
    disable_nagle_algorithm = True
    server: "_Server"

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = Request.to(self.command, self.path, self.headers.items(), body)
        if self.server.latency:
            time.sleep(self.server.latency)
        try:
            response = self.server.service.handle(request)
        except NoAnswer as silence:
            if silence.hangs:
                self.server.service.released.wait(HANG_SECONDS)
            self.close_connection = True
            return
        self._send(response)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _serve  # noqa: N815 - the base's names

    def _send(self, response: Response) -> None:
        content = response.content
        self.send_response(response.status)
        for name, value in response.all_headers.items():
            self.send_header(name, value)
        if response.status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Say nothing: ``calls`` is the log."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, service: FakeService, port: int, latency: float) -> None:
        self.service = service
        self.latency = latency
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, client = super().get_request()
        self._open.add(connection)
        return connection, client

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Note a fault of the emulator itself. A client that went away is none."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            self.service.violations.append(f"the emulator failed: {error!r}")

    def end_connections(self) -> None:
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue


class FakeServer:
    """Serves a service on 127.0.0.1 from ``with`` to the end of its block. ``latency`` is in seconds."""

    def __init__(self, service: FakeService, *, port: int = 0, latency: float = 0.0) -> None:
        self.service = service
        service.released.clear()
        self._server = _Server(service, port, latency)
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening and end every connection."""
        self.service.released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.end_connections()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def main(service: FakeService, *, setting: str, arguments: Sequence[str] | None = None) -> None:
    """Serve *service* until interrupted. *setting* names the address setting that points Keytide at it."""
    parser = argparse.ArgumentParser(description=type(service).__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds each answer takes")
    options = parser.parse_args(arguments)
    ends = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    with FakeServer(service, port=options.port, latency=options.latency) as server:
        print(f"{setting}={server.address}")
        for name, value in service.demo().items():
            print(f"{name}={value}", flush=True)
        signal.sigwait(ends)
