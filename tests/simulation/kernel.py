"""Cooperative actors on one clock: whoever has waited out runs next, until they pause again.

An actor is a greenlet, so real code, many calls deep, can be held at a pause, and resumed or killed there.
How long a pause lasts, and who dies in it, is decided by the seed and nothing else.
"""

import random
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from greenlet import GreenletExit, getcurrent, greenlet  # type: ignore[import-untyped]

from tests.support import ManualClock

#: Seconds that anything takes at least.
BLINK = 0.02
#: Seconds for which a stalled process stands still: often longer than a lease.
STALL = (50.0, 300.0)
#: Seconds until a dead process is back.
RESTART = (0.5, 20.0)


NEVER = datetime.max.replace(tzinfo=UTC)


class Crash(BaseException):
    """The process ends here. Nothing that it would have done afterwards happens."""


class Actor:
    """A process or a person. ``wake`` says when it goes on; an idle one waits for work."""

    def __init__(self, name: str, life: Callable[[], None], *, stalls: bool) -> None:
        self.name = name
        self.life = life
        self.stalls = stalls
        self.is_idle = False
        self.wake: Callable[[], datetime] = lambda: NEVER
        self.body: greenlet = greenlet(life)


class Kernel:
    """The scheduler. ``trace`` is what happened, in order."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.clock = ManualClock()
        self.crash_rate = 0.0
        self.stall_rate = 0.0
        self.current: Actor | None = None
        self.trace: list[str] = []
        self._began = self.clock.now
        self._actors: list[Actor] = []

    def spawn(self, name: str, life: Callable[[], None], *, stalls: bool = False) -> None:
        """Let an actor live from now on. Whoever crashes begins anew after a while."""
        actor = Actor(name, life, stalls=stalls)
        self._rest(actor, self.rng.uniform(0, BLINK))
        self._actors.append(actor)

    def pause(self, where: str, *, seconds: float = 0.0, may_stall: bool = False) -> None:
        """Let time pass and others act. May never return. Outside of any actor nothing happens."""
        actor = self.current
        if actor is None:
            return
        if may_stall and actor.stalls and self.rng.random() < self.stall_rate:
            seconds += self.rng.uniform(*STALL)
            where += f", stalled for {seconds:.0f} s"
        self.note(where)
        self._rest(actor, seconds + self.rng.uniform(0, BLINK))
        self._switch_back()

    def idle(self, until: Callable[[], datetime]) -> None:
        """Wait for work, which comes at the moment that *until* tells."""
        actor = self.current
        assert actor is not None
        actor.wake, actor.is_idle = until, True
        self._switch_back()
        actor.is_idle = False

    def step(self) -> bool:
        """Let the next actor act, and return whether anybody will ever act again."""
        moment, _, actor = min((actor.wake(), number, actor) for number, actor in enumerate(self._actors))
        if moment == NEVER:
            return False
        self.clock.now = max(self.clock.now, moment)
        self.current = actor
        try:
            self._resume(actor)
        finally:
            self.current = None
        return True

    @property
    def is_at_rest(self) -> bool:
        """Is everybody waiting for work?"""
        return all(actor.is_idle for actor in self._actors)

    def note(self, what: str) -> None:
        """Add a line to the trace."""
        who = self.current.name if self.current else "-"
        elapsed = (self.clock.now - self._began).total_seconds()
        self.trace.append(f"{elapsed:10.3f} {who:<9} {what}")

    def dismiss(self, name: str) -> None:
        """End an actor, at the pause it is in."""
        for actor in [each for each in self._actors if each.name == name]:
            self._actors.remove(actor)
            actor.body.throw(GreenletExit)

    def close(self) -> None:
        """End everybody."""
        for actor in list(self._actors):
            self.dismiss(actor.name)

    def _rest(self, actor: Actor, seconds: float) -> None:
        moment = self.clock.now + timedelta(seconds=seconds)
        actor.wake = lambda: moment

    def _switch_back(self) -> None:
        getcurrent().parent.switch()

    def _resume(self, actor: Actor) -> None:
        if not actor.is_idle and self.rng.random() < self.crash_rate:
            self._crash(actor)
        else:
            actor.body.switch()
        if actor.body.dead and actor in self._actors:
            self._actors.remove(actor)

    def _crash(self, actor: Actor) -> None:
        self.note("crashes")
        if actor.body:
            with suppress(Crash):
                actor.body.throw(Crash)
        actor.body = greenlet(actor.life)
        self._rest(actor, self.rng.uniform(*RESTART))
