"""Waiting for what other processes do, within bounds."""

import time
from collections.abc import Callable


def wait_until(condition: Callable[[], bool], within: float = 30.0) -> None:
    """Return as soon as *condition* holds; fail if it does not in time."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"not within {within:.0f} s"
        time.sleep(0.02)
