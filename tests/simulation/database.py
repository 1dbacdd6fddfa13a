"""The real database layer on SQLite, with a pause before each transaction and after each commit."""

import atexit
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from shared.db.session import Database
from shared.usecases.setup import migrate
from tests.simulation.kernel import Kernel
from tests.support import make_settings


class RolledBack(Exception):
    """Something went wrong inside the transaction, so nothing of it happened."""


class SimulatedDatabase(Database):
    """One database for all actors. As nobody pauses inside, transactions come one after the other.

    ``committed`` is called after each commit, before anybody else acts.
    """

    kernel: Kernel
    committed: Callable[[], None]

    def attach(self, kernel: Kernel, committed: Callable[[], None]) -> None:
        """Begin anew, with no row in any table."""
        self.kernel, self.committed = kernel, committed
        self.is_open = False
        self._doomed: set[object] = set()
        connection = self.engine.raw_connection()
        try:
            held = connection.driver_connection
            assert isinstance(held, sqlite3.Connection)
            _template().backup(held)
        finally:
            connection.close()

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        self.kernel.pause("begins", may_stall=True)
        with self._opened(), super().transaction() as session:
            yield session
            if self.kernel.current in self._doomed:
                self.kernel.note("rolls back")
                raise RolledBack
        self.committed()
        self.kernel.pause("committed")

    @contextmanager
    def doomed(self) -> Iterator[None]:
        """Let every transaction that the present actor opens inside fail at its very end."""
        actor = self.kernel.current
        self._doomed.add(actor)
        try:
            yield
        finally:
            self._doomed.discard(actor)

    @contextmanager
    def snapshot(self) -> Iterator[Session]:
        self.kernel.pause("reads", may_stall=True)
        with self._opened(), super().snapshot() as session:
            yield session

    @contextmanager
    def _opened(self) -> Iterator[None]:
        self.is_open = True
        try:
            yield
        finally:
            self.is_open = False


@cache
def _folder() -> Path:
    path = Path(tempfile.mkdtemp(prefix="keytide-simulation-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


@cache
def _template() -> sqlite3.Connection:
    settings = make_settings(_folder() / "template")
    settings.data_dir.mkdir()
    migrate(settings)
    return sqlite3.connect(settings.data_dir / "keytide.db")


@cache
def shared_database() -> SimulatedDatabase:
    """Return the one database of this process. Each run empties it."""
    return SimulatedDatabase(f"sqlite:///{_folder()}/keytide.db", pool_size=2)


@cache
def reader() -> sqlite3.Connection:
    """Return a connection of the checks' own, which sees what was committed."""
    connection = sqlite3.connect(f"{_folder()}/keytide.db", isolation_level=None)
    connection.row_factory = sqlite3.Row
    return connection


def rows(query: str, *values: Any) -> list[sqlite3.Row]:
    """Return what *query* finds among the committed rows."""
    return reader().execute(query, values).fetchall()
