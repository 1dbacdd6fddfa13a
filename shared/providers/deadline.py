"""An end for a call as a whole.

httpx bounds each wait for the socket by itself. A service that sends its headers in drips, a byte at a time,
would hold a call for ever.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import httpx

#: Bytes written at a time: a write has no end between its first byte and its last.
_PIECE = 16 * 1024
#: Connections are shared by the calls of many threads, so each thread knows its own end.
_ends_at: ContextVar[float | None] = ContextVar("ends_at", default=None)


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Let everything that is read from and written to watched connections end within *seconds*."""
    token = _ends_at.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _ends_at.reset(token)


def watch(event: str, info: Mapping[str, Any]) -> None:
    """Watch each connection that a request opens, as long as it lives. The request's ``trace`` extension."""
    # https://www.encode.io/httpcore/extensions/#trace
    if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
        stream = info["return_value"]
        for name, bounded in {"read": _read(stream.read), "write": _write(stream.write)}.items():
            setattr(stream, name, bounded)


def _read(read: Callable[..., bytes]) -> Callable[..., bytes]:
    def bounded(max_bytes: int, timeout: float | None = None) -> bytes:
        return read(max_bytes, _within(timeout))

    return bounded


def _write(write: Callable[..., None]) -> Callable[..., None]:
    def bounded(buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), _PIECE):
            write(buffer[start : start + _PIECE], _within(timeout))

    return bounded


def _within(timeout: float | None) -> float | None:
    """Return how long one wait may take. Raises if the call has taken its time."""
    ends_at = _ends_at.get()
    if ends_at is None:
        return timeout
    left = ends_at - time.monotonic()
    if left <= 0:
        raise httpx.ReadTimeout("The call took too long as a whole.")
    return left if timeout is None else min(timeout, left)
