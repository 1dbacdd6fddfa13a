"""Sending a person's browser to a page, and knowing when it comes back.

The address of the page may hold a token, and whoever looks at the list of processes can read the command
line of a browser. So the browser is sent to this program first, which sends it on, once.
"""

import http.server
import secrets
import threading
import webbrowser
from collections.abc import Callable
from http import HTTPStatus

_BACK = "/back"
_THANKS = b"<!doctype html><title>Keytide</title><p>Done. You can close this page."


class Detour(http.server.HTTPServer):
    """A page on this machine that sends one browser to *target* of the address where it shall come back."""

    def __init__(self, target: Callable[[str], str]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.came_back = threading.Event()
        self._start = f"/{secrets.token_urlsafe(24)}"
        self._root = f"http://127.0.0.1:{self.server_port}"
        self._target: str | None = target(f"{self._root}{_BACK}")

    @property
    def url(self) -> str:
        """Where the browser begins. It serves once."""
        return f"{self._root}{self._start}"

    def send_off(self, *, within: float, open_page: Callable[[str], bool] = webbrowser.open) -> bool:
        """Open the browser, and return whether it came back *within* so many seconds."""
        server = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        server.start()
        try:
            open_page(self.url)
            return self.came_back.wait(within)
        finally:
            self.shutdown()
            self.server_close()
            server.join()

    def take_target(self, path: str) -> str | None:
        """Return where to send whoever asks for *path*: the first time for the right one, then nowhere."""
        if not secrets.compare_digest(path.encode(), self._start.encode()):
            return None
        target, self._target = self._target, None
        return target


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Detour

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == _BACK:
            self._answer(HTTPStatus.OK, _THANKS)
            self.server.came_back.set()
        elif target := self.server.take_target(path):
            self.send_response(HTTPStatus.FOUND)
            self.send_header("Location", target)
            self.send_header("Referrer-Policy", "no-referrer")
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self._answer(HTTPStatus.NOT_FOUND, b"")

    def _answer(self, status: HTTPStatus, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing: the lines would hold addresses."""
