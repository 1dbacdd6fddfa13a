"""Keeping a few processes running, as ``keytide up`` does: start, start again, stop, all within bounds."""

import fcntl
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import structlog

from shared.errors import Conflict
from shared.settings import make_data_dir

log = structlog.get_logger()

#: Shows a line that a child printed, given the child's name.
Show = Callable[[str, str], None]

#: The wait before the first restart, the longest wait, and the life after which a child counts as healthy.
_FIRST_DELAY = 0.5
_LONGEST_DELAY = 15.0
_HEALTHY_AFTER = 30.0


@dataclass(frozen=True, slots=True)
class Child:
    """A process to keep running.

    Secrets belong into ``environment``, which is added to ours: everybody can read ``arguments``.
    ``sockets`` are descriptors it inherits; a connection made while it restarts waits there.
    ``serves_the_others``: it is stopped after them.
    """

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    sockets: tuple[int, ...] = ()
    serves_the_others: bool = False


class Supervisor:
    """Runs *children* until it is told to stop, and starts each again when it ends."""

    def __init__(self, children: Sequence[Child], *, show: Show, grace: float = 10.0) -> None:
        self._keepers = [_Keeper(child, show) for child in children]
        self._grace = grace

    def start(self) -> None:
        """Start every child and return at once."""
        for keeper in self._keepers:
            keeper.start()

    def stop(self) -> None:
        """End every child: ask, wait for the grace period, then insist."""
        for last in (False, True):
            batch = [keeper for keeper in self._keepers if keeper.child.serves_the_others is last]
            for keeper in batch:
                keeper.ask_to_end()
            deadline = time.monotonic() + self._grace
            for keeper in batch:
                keeper.end_by(deadline)

    def pids(self) -> dict[str, int]:
        """Return the process id of each child that runs just now."""
        return {keeper.child.name: keeper.pid for keeper in self._keepers if keeper.pid is not None}


class _Keeper(threading.Thread):
    """Keeps one child running, from a thread of its own."""

    def __init__(self, child: Child, show: Show) -> None:
        super().__init__(name=f"keep-{child.name}", daemon=True)
        self.child = child
        self._show = show
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self._stopping = threading.Event()

    @property
    def pid(self) -> int | None:
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def run(self) -> None:
        failures = 0
        while (process := self._spawn()) is not None:
            started = time.monotonic()
            status = self._accompany(process)
            failures = 1 if time.monotonic() - started > _HEALTHY_AFTER else failures + 1
            delay = restart_delay(failures)
            if not self._stopping.is_set():
                log.warning("process.ended", process=self.child.name, status=status, restart_in=delay)
            self._stopping.wait(delay)

    def ask_to_end(self) -> None:
        self._stopping.set()
        self._signal(signal.SIGTERM)

    def end_by(self, deadline: float) -> None:
        self.join(max(0.0, deadline - time.monotonic()))
        if self.is_alive():
            log.warning("process.killed", process=self.child.name)
            self._signal(signal.SIGKILL)
            self.join()

    def _spawn(self) -> "subprocess.Popen[str] | None":
        # The lock keeps stop() from missing a process that is just being started.
        with self._lock:
            if self._stopping.is_set():
                return None
            self._process = process = subprocess.Popen(
                self.child.arguments,
                env={**os.environ, **self.child.environment},
                # Nothing is ever written to it: see ``cli/lifeline.py``.
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=self.child.sockets,
                text=True,
                errors="replace",
                # Ctrl-C in the terminal is for us alone: we decide who ends when.
                process_group=0,
            )
        return process

    def _accompany(self, process: "subprocess.Popen[str]") -> int:
        relay = threading.Thread(target=self._relay, args=(process.stdout,), daemon=True)
        relay.start()
        status = process.wait()
        # Its last words; a grandchild that holds on to the pipe must not hold us up.
        relay.join(timeout=1)
        if process.stdin is not None:
            process.stdin.close()
        return status

    def _relay(self, output: IO[str]) -> None:
        with output:
            for line in output:
                self._show(self.child.name, line.rstrip())

    def _signal(self, number: int) -> None:
        with self._lock, suppress(ProcessLookupError):
            if self._process is not None:
                self._process.send_signal(number)


def restart_delay(failures: int) -> float:
    """Return how many seconds to wait after that many ends in a row."""
    return float(min(_FIRST_DELAY * 2 ** (failures - 1), _LONGEST_DELAY))


@contextmanager
def exclusive(data_dir: Path) -> Iterator[None]:
    """Hold *data_dir* for this process alone. Raises ``Conflict`` if another one holds it."""
    make_data_dir(data_dir)
    with (data_dir / "up.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(f"Keytide is already running on {data_dir}: stop it first.") from None
        yield


@contextmanager
def until_told_to_stop() -> Iterator[None]:
    """Let the block end, without an error, at Ctrl-C and at SIGTERM; both do nothing afterwards."""
    signals = (signal.SIGINT, signal.SIGTERM)
    for number in signals:
        signal.signal(number, signal.default_int_handler)
    try:
        with suppress(KeyboardInterrupt):
            yield
    finally:
        # Stopping takes a bounded time and is not to be cut short half-way.
        for number in signals:
            signal.signal(number, signal.SIG_IGN)
