"""The simulated world: three workers, a beat and two people around one database, in a stormy time."""

import random
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Self

import httpx

from shared.broker import Task
from shared.crypto import Keyring
from shared.errors import InputError
from shared.runtime import Runtime
from shared.usecases.dispatch import dispatch
from shared.usecases.projects import create_project
from shared.usecases.prune import prune
from shared.usecases.reconcile import reconcile_due
from shared.usecases.run_job import run_job
from shared.usecases.sweep import sweep, take_over_from
from tests.simulation.broker import Message, UnreliableBroker
from tests.simulation.database import shared_database
from tests.simulation.kernel import Kernel
from tests.simulation.network import SimulatedNetwork
from tests.simulation.oracle import Oracle
from tests.simulation.people import People
from tests.simulation.promises import Watch
from tests.simulation.targets import TARGETS, create_services
from tests.support import MASTER_KEY, make_settings

WORKERS = 3
PEOPLE = 2
#: Things each person does before it gets quiet.
ACTIONS = 20
#: Seconds between two sweeps, and between two looks for due reconciles.
SWEEP_EVERY = 15.0
RECONCILE_EVERY = 60.0
#: Steps after which a world that still does not come to rest is stuck.
MOST_STEPS = 20_000


class World:
    """Everything there is."""

    def __init__(self, seed: int) -> None:
        self.kernel = Kernel(seed)
        self.database = shared_database()
        self.services = create_services(lambda: self.kernel.clock.now.timestamp())
        self.keyring = Keyring([MASTER_KEY])
        self.watch = Watch(self.kernel, self.database, Oracle(self.keyring), self.services)
        self.database.attach(self.kernel, self.watch.committed)
        self.broker = UnreliableBroker(self.kernel)
        self.network = SimulatedNetwork(self.kernel, self.watch, self.services)
        self.client = httpx.Client(transport=self.network, trust_env=False)
        # Reconciles would mend what got lost. Half of the worlds do without, and nobody causes drift there.
        self.reconciles = self.kernel.rng.random() < 0.5
        self.people = self._settle_people()
        self._acts_left = PEOPLE * ACTIONS

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kernel.close()
        self.client.close()

    def runtime(self, worker: str) -> Runtime:
        """Return the outside world as *worker* sees it."""
        settings = make_settings(Path()).model_copy(
            update={"worker_name": worker, "reconcile_seconds": 300.0, "sweep_seconds": SWEEP_EVERY}
        )
        return Runtime(
            settings=settings,
            database=self.database,
            broker=self.broker,
            keyring=self.keyring,
            http=self.client,
            clock=self.kernel.clock,
            rng=random.Random(self.kernel.rng.random()),
        )

    def run_until(self, done: Callable[[], bool]) -> None:
        """Let everybody act until it is *done* or a promise is broken."""
        for _ in range(MOST_STEPS):
            if self.watch.broken is not None or done() or not self.kernel.step():
                return
        self.watch.breaks("it comes to rest", f"still busy after {MOST_STEPS} steps")

    # --- the storm -------------------------------------------------------------------------------------

    def look_for_drift(self) -> None:
        """Send what beat sends, in worlds that have reconciles."""
        if self.reconciles:
            self.broker.send(Task.RECONCILE)

    def _settle_people(self) -> People:
        rng, runtime = self.kernel.rng, self.runtime("")
        project = create_project(runtime, "Web").project
        people = People(
            self.kernel,
            runtime,
            self.database,
            self.watch,
            self.services,
            project.id,
            targets=rng.sample(TARGETS, rng.choice((2, 3, len(TARGETS)))),
            causes_drift=self.reconciles,
        )
        people.connect()
        people.make_folders()
        people.settle_in()
        for act in (people.fill, *[people.edit_secret] * 3, *[people.create_sync] * 5):
            with suppress(InputError):
                act()
        return people

    def storm(self) -> None:
        """Let everybody loose, with as many faults as the seed wants."""
        rng = self.kernel.rng
        self.broker.loss = rng.choice((0.0, 0.1, 0.5, 1.0))
        self.broker.repetition = rng.choice((0.0, 0.2))
        self.broker.delay = rng.choice((0.0, 0.3, 10.0))
        self.kernel.crash_rate = rng.choice((0.0, 0.005, 0.03))
        self.kernel.stall_rate = rng.choice((0.0, 0.01, 0.05))
        self.network.fault_rate = rng.choice((0.0, 0.1, 0.4))
        self.network.slow_rate = rng.choice((0.0, 0.1, 0.7))
        lives = {f"worker-{number + 1}": self._work for number in range(WORKERS)}
        lives |= {f"person-{number + 1}": self._act for number in range(PEOPLE)}
        for name, life in {**lives, "beat": self._beat}.items():
            self.kernel.spawn(name, partial(self._live, life, name), stalls=life == self._work)
        self.run_until(lambda: self._acts_left <= 0)

    def calm(self) -> None:
        """End every fault, and send beat and people home."""
        self.broker.loss = self.broker.repetition = self.broker.delay = 0.0
        self.kernel.crash_rate = self.kernel.stall_rate = 0.0
        self.network.fault_rate = self.network.slow_rate = 0.0
        for name in ("beat", *(f"person-{number + 1}" for number in range(PEOPLE))):
            self.kernel.dismiss(name)
        for service in self.services.values():
            service.refused = set()

    def _live(self, life: Callable[[str], None], name: str) -> None:
        try:
            life(name)
        except Exception as error:
            self.watch.breaks("nothing fails by itself", f"{name} met {error!r}: {innermost(error)}")

    def _work(self, name: str) -> None:
        runtime = self.runtime(name)
        self.watch.takes_up(None)
        take_over_from(runtime, name)
        while True:
            message = self.broker.take()
            if message is None:
                self.kernel.idle(self.broker.next_arrival)
            else:
                self._carry_out(runtime, message)

    def _carry_out(self, runtime: Runtime, message: Message) -> None:
        """Do what the task of that name does."""
        tasks: dict[Task, Callable[..., Any]] = {
            Task.DISPATCH: dispatch,
            Task.RUN_JOB: run_job,
            Task.SWEEP: sweep,
            Task.RECONCILE: reconcile_due,
            Task.PRUNE: prune,
        }
        self.kernel.note(f"takes {message.task} {' '.join(str(each)[:8] for each in message.ids)}")
        self.watch.takes_up(message.ids[0] if message.task is Task.RUN_JOB else None)
        tasks[message.task](runtime, *message.ids)
        self.watch.takes_up(None)

    def _beat(self, name: str) -> None:
        looked_at = self.kernel.clock.now
        while True:
            self.broker.send(Task.SWEEP)
            if (self.kernel.clock.now - looked_at).total_seconds() >= RECONCILE_EVERY:
                self.look_for_drift()
                self.broker.send(Task.PRUNE)
                looked_at = self.kernel.clock.now
            self.kernel.pause("waits", seconds=SWEEP_EVERY)

    def _act(self, name: str) -> None:
        rng = self.kernel.rng
        while True:
            # Bursts, and time to think, in which slow services may get something done.
            patience = 1 + 10 * self.network.slow_rate
            self.kernel.pause("thinks", seconds=rng.choice((0.0, 0.05, 0.5, 3.0, 20.0)) * patience)
            self._acts_left -= 1
            self.people.act()


def innermost(error: BaseException) -> str:
    """Return where *error* was raised."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{frame.filename}:{frame.lineno} {frame.line}"
