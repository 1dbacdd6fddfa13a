"""A broker that loses, repeats, delays and reorders what it is given."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from shared.broker import Queue, Task
from tests.simulation.kernel import NEVER, Kernel


@dataclass(frozen=True, slots=True)
class Message:
    """A hint on its way."""

    arrives_at: datetime
    number: int
    task: Task
    ids: tuple[UUID, ...]


@dataclass
class UnreliableBroker:
    """Takes hints to the workers, more or less. The rates are between 0 and 1."""

    kernel: Kernel
    loss: float = 0.0
    repetition: float = 0.0
    delay: float = 0.0

    def __post_init__(self) -> None:
        self._waiting: list[Message] = []
        self._count = 0

    def send(self, task: Task, *ids: UUID, queue: Queue | None = None) -> None:
        rng = self.kernel.rng
        if rng.random() < self.loss:
            self.kernel.note(f"message lost: {task}")
            return
        for _ in range(2 if rng.random() < self.repetition else 1):
            self._count += 1
            seconds = rng.expovariate(1 / self.delay) if self.delay else 0.0
            arrives_at = self.kernel.clock.now + timedelta(seconds=seconds)
            self._waiting.append(Message(arrives_at, self._count, task, ids))

    def is_reachable(self) -> bool:
        """Does it answer? It always does: what it loses, it loses in silence."""
        return True

    def take(self) -> Message | None:
        """Return one of the messages that have arrived, in no particular order."""
        arrived = [each for each in self._waiting if each.arrives_at <= self.kernel.clock.now]
        if not arrived:
            return None
        message = self.kernel.rng.choice(arrived)
        self._waiting.remove(message)
        return message

    def next_arrival(self) -> datetime:
        """Return when a worker that waits now will be needed."""
        return min((each.arrives_at for each in self._waiting), default=NEVER)

    @property
    def is_empty(self) -> bool:
        return not self._waiting
