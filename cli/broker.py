"""The embedded broker: a Redis look-alike in pure Python, for running Keytide without any other service.

fakeredis speaks the protocol; what it lacks to serve more than a test is added here: a password that is
really asked for, answers that leave at once, and connections that cost nothing while they are idle.
It keeps everything in memory. Losing that is harmless: a message is only a hint (``shared/broker.py``).
"""

import hmac
import select
import socket
from contextlib import suppress
from typing import Any
from urllib.parse import unquote, urlsplit

from fakeredis import FakeStrictRedis, TcpFakeServer
from fakeredis._clients._tcp_server import TCPFakeRequestHandler
from pydantic import SecretStr

#: How long a stranger may take to say who it is, in seconds, and how much it may send meanwhile.
_GREETING_SECONDS = 5.0
_GREETING_BYTES = 4096
#: How long a pushed message may wait for its subscriber, in seconds.
_PUSH_SECONDS = 0.05
_CHUNK = 65536


def serve(listener: socket.socket, url: SecretStr) -> None:
    """Answer on *listener* for ever, to clients that know the password in *url*."""
    password = unquote(urlsplit(url.get_secret_value()).password or "")
    if not password:
        raise ValueError("The embedded broker needs a password in its URL.")
    server = EmbeddedBroker(listener, password.encode())
    try:
        server.serve_forever()
    finally:
        server.server_close()


class EmbeddedBroker(TcpFakeServer):
    """fakeredis on a socket that is already listening, behind a password."""

    def __init__(self, listener: socket.socket, password: bytes) -> None:
        super().__init__(listener.getsockname()[:2], bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.RequestHandlerClass = _Connection
        self.daemon_threads = True
        self.fake_server.config[b"requirepass"] = password
        self._password = password
        # Workers put back what others took and never acknowledged, one at a time, and let go of that lock
        # with a Lua script, which needs a compiled library. A lock that is always taken spares them the
        # script; what it would have put back is found by the sweep.
        FakeStrictRedis(server=self.fake_server).set("unacked_mutex", "taken")

    def admits(self, command: list[bytes]) -> bool:
        """Is *command* an ``AUTH``, or a ``HELLO`` with one, that carries the password?"""
        match command:
            case (
                [b"AUTH", given]
                | [b"AUTH", b"default", given]
                | [b"HELLO", _, b"AUTH", b"default", given, *_]
            ):
                return hmac.compare_digest(given, self._password)
        return False


class _Connection(TCPFakeRequestHandler):
    """One client: nothing of it reaches fakeredis before it has proved that it knows the password."""

    # Otherwise each small answer waits for the acknowledgement of the one before.
    disable_nagle_algorithm = True
    server: EmbeddedBroker

    def handle(self) -> None:
        # fakeredis polls, and made the socket non-blocking for that; a long answer must wait for its reader.
        self.connection.setblocking(True)
        with suppress(ConnectionError):
            self._admit()

    def _admit(self) -> None:
        greeting = self._receive_greeting()
        if self.server.admits(_first_command(greeting)):
            self._converse(greeting)
        else:
            self.wfile.write(b"-NOAUTH Authentication required.\r\n")

    def _receive_greeting(self) -> bytes:
        greeting = b""
        while not _first_command(greeting) and len(greeting) < _GREETING_BYTES:
            if not self._is_readable(_GREETING_SECONDS):
                break
            chunk = self.connection.recv(_GREETING_BYTES)
            if not chunk:
                break
            greeting += chunk
        return greeting

    def _converse(self, data: bytes) -> None:
        # The handler of fakeredis looks a hundred times a second; only a subscriber is ever sent what it
        # did not just ask for, so everybody else may sleep until something arrives.
        commands = self.current_client.get_socket()
        while data:
            commands.sendall(data)
            self._answer()
            while not self._is_readable(_PUSH_SECONDS if commands._pubsub else None):
                self._answer()
            data = self.connection.recv(_CHUNK)

    def _answer(self) -> None:
        while self.current_client.can_read():
            self.writer.dump(self._next_answer())

    def _next_answer(self) -> Any:
        try:
            return self.current_client.read_response()
        except Exception as error:  # fakeredis raises what Redis would send as an error
            return error

    def _is_readable(self, timeout: float | None) -> bool:
        return bool(select.select([self.connection], [], [], timeout)[0])


def _first_command(data: bytes) -> list[bytes]:
    """Return the words of the first command in *data*, or nothing while it is incomplete."""
    lines = data.split(b"\r\n")
    head, count = lines[0][:1], lines[0][1:]
    if head != b"*" or not count.isdigit() or len(lines) < 2 * int(count) + 2:
        return []
    return lines[2 : 2 * int(count) + 1 : 2]
