"""One seed, one run: storm, quiet, and the final look."""

import os
import random
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import structlog

from shared.providers import http
from tests.simulation.kernel import Kernel
from tests.simulation.promises import Watch
from tests.simulation.quiet import final_look, settle
from tests.simulation.runs import Broken
from tests.simulation.world import World, innermost


@dataclass(frozen=True, slots=True)
class Report:
    """What became of one seed. ``broken`` is the first promise that was not kept."""

    seed: int
    broken: Broken | None
    trace: tuple[str, ...]


def simulate(seed: int) -> Report:
    """Live through the world of *seed*, the same each time."""
    with _seeded_entropy(seed), World(seed) as world, _simulated_time(world.kernel), _listening(world.watch):
        world.storm()
        for stage in (settle, final_look):
            if world.watch.broken is None:
                stage(world)
    return Report(seed, world.watch.broken, tuple(world.kernel.trace))


@contextmanager
def _seeded_entropy(seed: int) -> Iterator[None]:
    """Let ids, keys and nonces come from *seed* as well."""
    source = random.Random(f"entropy {seed}")
    with mock.patch.object(os, "urandom", source.randbytes):
        yield


@dataclass(frozen=True)
class _Time:
    """What ``shared.providers.http`` uses of the module ``time``."""

    kernel: Kernel

    def time(self) -> float:
        return self.kernel.clock.now.timestamp()

    monotonic = time


@contextmanager
def _simulated_time(kernel: Kernel) -> Iterator[None]:
    with mock.patch.object(http, "time", _Time(kernel)):
        yield


@contextmanager
def _listening(watch: Watch) -> Iterator[None]:
    """Keep the log quiet, but notice what a run calls an internal error."""

    def hear(logger: Any, method: str, event: MutableMapping[str, Any]) -> str:
        error = sys.exception()
        if event["event"] == "job.crashed" and error is not None:
            watch.breaks("nothing fails by itself", f"a run met {error!r}: {innermost(error)}")
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(processors=[hear])
    try:
        yield
    finally:
        structlog.configure(**before)
