"""A whole installation in real processes: what ``keytide up`` starts, and a hand on it from outside."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

#: How long anything may take here before the test gives up, in seconds.
PATIENCE = 60.0

_READY = re.compile(r"Keytide is ready at (\S+)")


@dataclass
class Installation:
    """A running ``keytide up``. ``output`` is all that its processes said."""

    data_dir: Path
    environment: Mapping[str, str]
    output: list[str] = field(default_factory=list)
    url: str = ""
    _process: "subprocess.Popen[str] | None" = None
    _listener: threading.Thread | None = None

    def start(self) -> None:
        """Start everything, and return when it is ready."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "cli", "up"],
            env={**_clean_environment(), **self.environment, "KEYTIDE_DATA_DIR": str(self.data_dir)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._listener = threading.Thread(target=self._listen, args=(self._process,), daemon=True)
        self._listener.start()
        self.url = eventually(self._announced_url)

    def stop(self) -> None:
        """End everything, and fail if it does not end by itself."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(timeout=PATIENCE)
        finally:
            self._process.kill()
            self._process.wait()
            if self._listener is not None:
                self._listener.join(timeout=PATIENCE)
            self._process = None

    def client(self) -> httpx.Client:
        """Return a client with the administrator's token."""
        token = (self.data_dir / "admin-token").read_text().strip()
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30, trust_env=False)

    def pid(self, name: str) -> int:
        """Return the process id of the child called *name*."""
        return eventually(lambda: self._find(name))

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to the child called *name*."""
        os.kill(self.pid(name), number)

    def said(self) -> str:
        """Return all that was printed so far."""
        return "\n".join(self.output)

    def _find(self, name: str) -> int | None:
        assert self._process is not None
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and _is_child(entry, self._process.pid, name):
                return int(entry.name)
        return None

    def _listen(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                self.output.append(line.rstrip())

    def _announced_url(self) -> str | None:
        assert self._process is not None
        found = _READY.search(self.said())
        if found is None and self._process.poll() is not None:
            raise AssertionError(f"It ended instead of getting ready:\n{self.said()}")
        return found[1] if found else None


def eventually(look: Callable[[], Any], *, within: float = PATIENCE, every: float = 0.02) -> Any:
    """Return what *look* returns as soon as it is true, or fail after *within* seconds."""
    deadline = time.monotonic() + within
    while True:
        seen = look()
        if seen:
            return seen
        if time.monotonic() > deadline:
            raise AssertionError(f"It did not happen within {within:.0f} s.")
        time.sleep(every)


def _is_child(entry: Path, parent: int, name: str) -> bool:
    try:
        words = (entry / "cmdline").read_bytes().split(b"\0")
        status = (entry / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return False
    return int(status[1]) == parent and status[0] != "Z" and name.encode() in words


def _clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("KEYTIDE_")}
