import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cli.supervisor import Child, Supervisor, exclusive, restart_delay
from shared.errors import Conflict
from tests.cli.waiting import wait_until

#: Says on standard output that it runs, and goes on until it is asked to end.
SLEEPS = "import time; print('here', flush=True); time.sleep(600)"
ENDS = "print('here', flush=True)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEPS}"
#: Takes a while to end, and says when it did.
SLOW = (
    "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit());\n"
    "try: print('here', flush=True); time.sleep(600)\n"
    "finally: time.sleep({pause}); print('gone', flush=True)"
)

Lines = list[tuple[str, str]]


def child(name: str, code: str, *, serves_the_others: bool = False) -> Child:
    return Child(name, (sys.executable, "-c", code), serves_the_others=serves_the_others)


@contextmanager
def running(*children: Child, grace: float = 20.0) -> Iterator[tuple[Supervisor, Lines]]:
    """Supervise *children* and yield what they print."""
    lines: Lines = []
    supervisor = Supervisor(children, show=lambda name, line: lines.append((name, line)), grace=grace)
    supervisor.start()
    try:
        yield supervisor, lines
    finally:
        supervisor.stop()


def has_printed(lines: Lines, *expected: tuple[str, str]) -> Callable[[], bool]:
    return lambda: set(expected) <= set(lines)


def is_alive(pid: int) -> bool:
    # A zombie still has a pid, but no memory map any more.
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except FileNotFoundError:
        return False


def test_what_a_child_prints_is_shown_with_its_name() -> None:
    with running(child("one", SLEEPS), child("two", SLEEPS)) as (_, lines):
        wait_until(has_printed(lines, ("one", "here"), ("two", "here")))


def test_a_child_that_ends_is_started_again() -> None:
    with running(child("one", ENDS)) as (_, lines):
        wait_until(lambda: lines.count(("one", "here")) >= 2)


def test_a_child_that_is_killed_is_started_again_and_the_others_stay() -> None:
    with running(child("one", SLEEPS), child("two", SLEEPS)) as (supervisor, lines):
        wait_until(has_printed(lines, ("one", "here"), ("two", "here")))
        before = supervisor.pids()

        os.kill(before["one"], signal.SIGKILL)

        wait_until(lambda: lines.count(("one", "here")) == 2)
        after = supervisor.pids()
        assert after["one"] != before["one"]
        assert after["two"] == before["two"]


def test_stopping_ends_every_child() -> None:
    with running(child("one", SLEEPS), child("two", SLEEPS)) as (supervisor, lines):
        wait_until(has_printed(lines, ("one", "here"), ("two", "here")))
        pids = supervisor.pids().values()

    assert not any(is_alive(pid) for pid in pids)
    assert supervisor.pids() == {}


def test_a_child_that_does_not_end_when_asked_is_killed() -> None:
    with running(child("stubborn", STUBBORN), grace=0.2) as (supervisor, lines):
        wait_until(has_printed(lines, ("stubborn", "here")))
        pid = supervisor.pids()["stubborn"]

    assert not is_alive(pid)


def test_who_serves_the_others_ends_after_them() -> None:
    server = child("server", SLOW.format(pause=0), serves_the_others=True)
    user = child("user", SLOW.format(pause=0.3))

    with running(server, user) as (_, lines):
        wait_until(has_printed(lines, ("server", "here"), ("user", "here")))

    assert [name for name, line in lines if line == "gone"] == ["user", "server"]


def test_a_secret_reaches_a_child_through_its_environment_and_shows_in_no_text() -> None:
    code = "import os, time; print(len(os.environ['KEY']), flush=True); time.sleep(600)"
    keeper = Child("one", (sys.executable, "-c", code), {"KEY": "very-secret"})

    with running(keeper) as (supervisor, lines):
        wait_until(has_printed(lines, ("one", "11")))
        arguments = Path(f"/proc/{supervisor.pids()['one']}/cmdline").read_text()

    assert "very-secret" not in arguments + repr(keeper)


@pytest.mark.parametrize("code", [SLEEPS, STUBBORN])
def test_children_end_when_their_supervisor_is_killed(code: str) -> None:
    code = f"from cli.lifeline import end_with_parent; end_with_parent(grace=0.2); {code}"
    supervising = (
        "import sys; from cli.supervisor import Child, Supervisor;"
        "supervisor = Supervisor([Child('one', (sys.executable, '-c', sys.argv[1]))],"
        " show=lambda *_: print(supervisor.pids()['one'], flush=True));"
        "supervisor.start(); sys.stdin.read()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", supervising, code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert is_alive(pid)

        parent.kill()

        wait_until(lambda: not is_alive(pid))


def test_the_wait_before_a_restart_grows_up_to_a_limit() -> None:
    waits = [restart_delay(failures) for failures in range(1, 10)]

    assert waits[:4] == [0.5, 1, 2, 4]
    assert waits[-1] == waits[-2] == 15


def test_a_data_directory_in_use_is_refused_by_name(tmp_path: Path) -> None:
    with (
        exclusive(tmp_path),
        pytest.raises(Conflict, match=f"already running on {tmp_path}"),
        exclusive(tmp_path),
    ):
        pass


def test_a_data_directory_is_free_again_afterwards(tmp_path: Path) -> None:
    with exclusive(tmp_path):
        pass

    with exclusive(tmp_path):
        pass


def test_a_new_data_directory_is_its_owners_alone(tmp_path: Path) -> None:
    with exclusive(tmp_path / "new"):
        mode = (tmp_path / "new").stat().st_mode

    assert mode & 0o777 == 0o700
