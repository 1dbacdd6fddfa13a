"""What is read and written on a watched connection ends with the call."""

from dataclasses import dataclass, field

import httpx
import pytest

from shared.providers.deadline import deadline, watch

LONG = b"x" * 100_000


@dataclass
class Stream:
    """A connection that takes and gives everything at once, and remembers how long it was given for it."""

    written: list[bytes] = field(default_factory=list)
    timeouts: list[float | None] = field(default_factory=list)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self.timeouts.append(timeout)
        return b"x" * max_bytes

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.timeouts.append(timeout)
        self.written.append(buffer)


@pytest.fixture(params=["connection.connect_tcp.complete", "connection.start_tls.complete"])
def stream(request: pytest.FixtureRequest) -> Stream:
    opened = Stream()
    watch(request.param, {"return_value": opened})
    return opened


def test_nothing_is_read_or_written_after_the_end(stream: Stream) -> None:
    with deadline(0.0):
        with pytest.raises(httpx.ReadTimeout):
            stream.read(1, 30.0)
        with pytest.raises(httpx.ReadTimeout):
            stream.write(b"x", 30.0)

    assert stream.timeouts == []


@pytest.mark.parametrize("asked", [30.0, None])
def test_no_wait_is_longer_than_the_time_that_is_left(stream: Stream, asked: float | None) -> None:
    with deadline(10.0):
        stream.read(1, asked)
        stream.write(b"x", asked)

    assert all(timeout is not None and 0 < timeout <= 10 for timeout in stream.timeouts)


def test_a_wait_that_fits_stays_as_it_is(stream: Stream) -> None:
    with deadline(100.0):
        stream.read(1, 30.0)

    assert stream.timeouts == [30.0]


def test_a_long_write_looks_at_the_time_now_and_then(stream: Stream) -> None:
    with deadline(10.0):
        stream.write(LONG, 30.0)

    assert b"".join(stream.written) == LONG
    assert len(set(stream.timeouts)) == len(stream.timeouts) > 1


def test_outside_a_call_nothing_is_bounded(stream: Stream) -> None:
    with deadline(0.0):
        pass
    stream.read(1, 30.0)
    stream.write(LONG, None)

    assert set(stream.timeouts) == {30.0, None}


def test_what_is_no_connection_is_left_alone() -> None:
    watch("http11.receive_response_headers.complete", {"return_value": None})
    watch("connection.connect_tcp.failed", {"exception": OSError()})
