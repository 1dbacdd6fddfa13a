"""One client for all providers: a call has an end, and strange headers do no harm."""

import socket
import threading
from collections.abc import Iterator, Sequence

import httpx
import pytest

from shared.errors import Unreachable
from shared.providers.base import Access
from shared.providers.http import Api, rate_limit, retry_after
from tests.shared.providers.contract import loopback_client

PATIENCE = 0.5
#: Between two drips. Many of them take longer than a call may, and none as long.
PAUSE = 0.02
DRIPS = 200

Script = Sequence[bytes]

AT_ONCE: Script = [b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"]
SLOW_HEADERS: Script = [b"HTTP/1.1 200 OK\r\nX-Slow: ", *[b"x"] * DRIPS, b"\r\nContent-Length: 2\r\n\r\nok"]
SLOW_BODY: Script = [b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % DRIPS, *[b"x"] * DRIPS]


class Dripping:
    """Answers the requests of one connection, each with the next of *scripts*, a drip at a time."""

    def __init__(self, scripts: Sequence[Script]) -> None:
        self.connections = 0
        self._scripts = list(scripts)
        self._closing = threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        # A listening socket that is shut down stops accepting.
        self._server.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._server.close()

    def _serve(self) -> None:
        while not self._closing.is_set():
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            self.connections += 1
            with connection:
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        try:
            while connection.recv(65536):
                for drip in self._scripts.pop(0):
                    connection.sendall(drip)
                    self._closing.wait(PAUSE)
        except OSError:
            return


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with loopback_client() as client:
        yield client


@pytest.fixture
def api(http: httpx.Client, dripping: Dripping) -> Api:
    return Api("Acme", Access("token", None, http, dripping.address, call_seconds=PATIENCE), {})


@pytest.fixture
def scripts() -> Sequence[Script]:
    return [AT_ONCE]


@pytest.fixture
def dripping(http: httpx.Client, scripts: Sequence[Script]) -> Iterator[Dripping]:
    server = Dripping(scripts)
    yield server
    http.close()
    server.close()


@pytest.mark.parametrize("scripts", [[SLOW_HEADERS], [SLOW_BODY]], ids=["headers", "body"])
def test_an_answer_that_comes_in_drips_is_given_up(api: Api) -> None:
    with pytest.raises(Unreachable, match="ReadTimeout"):
        api.send("GET", "/")


@pytest.mark.parametrize("scripts", [[AT_ONCE, SLOW_HEADERS, AT_ONCE]])
def test_a_connection_that_is_used_again_is_watched_as_well(api: Api, dripping: Dripping) -> None:
    api.send("GET", "/")

    with pytest.raises(Unreachable, match="ReadTimeout"):
        api.send("GET", "/")
    assert dripping.connections == 1

    assert api.send("GET", "/").status == 200
    assert dripping.connections == 2


STRANGE = ["inf", "-inf", "nan", "1e999", "9" * 400, "", "soon", "٣٣x", "2026-01-01T00:00:00"]
FAR_AWAY = ["Mon, 01 Jan 2026 00:00:00 +99999999999999", "0001-01-01T00:00:00+23:59"]


@pytest.mark.parametrize("text", [*STRANGE, *FAR_AWAY])
def test_a_strange_number_of_remaining_calls_is_ignored(text: str) -> None:
    headers = httpx.Headers({"x-ratelimit-remaining": text, "x-ratelimit-reset": "5"}, encoding="utf-8")

    assert rate_limit(headers) is None


@pytest.mark.parametrize("text", STRANGE)
def test_a_strange_reset_is_ignored(text: str) -> None:
    headers = httpx.Headers({"x-ratelimit-remaining": "0", "x-ratelimit-reset": text}, encoding="utf-8")

    assert rate_limit(headers) is None
    assert retry_after(headers) is None


@pytest.mark.parametrize("text", STRANGE)
def test_a_strange_wait_is_ignored(text: str) -> None:
    assert retry_after(httpx.Headers({"retry-after": text}, encoding="utf-8")) is None


@pytest.mark.parametrize("text", FAR_AWAY)
def test_a_moment_at_the_edge_of_time_raises_nothing(text: str) -> None:
    headers = httpx.Headers({"x-ratelimit-remaining": "0", "x-ratelimit-reset": text})

    assert retry_after(headers) in (None, 0.0)


@pytest.mark.parametrize("remaining", ["3", "3.0", "1e1"])
def test_a_number_in_another_notation_is_read(remaining: str) -> None:
    headers = httpx.Headers({"x-ratelimit-remaining": remaining, "x-ratelimit-reset": "5"})

    limit = rate_limit(headers)

    assert limit is not None
    assert (limit.remaining, limit.resets_in) == (int(float(remaining)), 5.0)
