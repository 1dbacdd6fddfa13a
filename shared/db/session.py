"""Connecting to the database, and the two ways to use it: ``transaction()`` and ``snapshot()``.

PostgreSQL (psycopg 3) and SQLite (WAL) behave alike behind them. Nothing here is open while the network
is: commit, call, commit.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, IntegrityError
from sqlalchemy.orm import Session

from shared.errors import Conflict, InvalidInput

#: Seconds a writer waits for SQLite's one write lock.
_BUSY_SECONDS = 30

#: The drivers that we ship.
_DRIVERS = frozenset({"postgresql+psycopg", "sqlite"})

#: What the databases call a violated unique or foreign key.
_RACES = frozenset(
    {
        "23503",
        "23505",
        "SQLITE_CONSTRAINT_FOREIGNKEY",
        "SQLITE_CONSTRAINT_PRIMARYKEY",
        "SQLITE_CONSTRAINT_UNIQUE",
    }
)


class Database:
    """A database, through a pool of *pool_size* connections."""

    def __init__(self, url: str, *, pool_size: int = 16) -> None:
        self.engine = _create_engine(url, pool_size)
        self._reading = _reading_engine(self.engine)

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Commit what happens inside, or roll all of it back if it raises.

        On SQLite the write lock is taken at the start: a transaction that reads first and writes later
        would otherwise lose updates. Raises ``Conflict`` if somebody else made or removed the same thing
        at the same moment.
        """
        try:
            with Session(self.engine, expire_on_commit=False) as session, session.begin():
                yield session
        except IntegrityError as error:
            if _is_race(error):
                raise Conflict("Somebody changed this at the same moment. Try again.") from None
            raise

    @contextmanager
    def snapshot(self) -> Iterator[Session]:
        """Show one consistent state, however many queries are made inside. Writes nothing."""
        with Session(self._reading, expire_on_commit=False) as session, session.begin():
            yield session

    def is_reachable(self) -> bool:
        """Does the database answer?"""
        try:
            with self._reading.connect() as connection:
                connection.execute(text("SELECT 1"))
        except Exception:
            return False
        return True

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def _is_race(error: IntegrityError) -> bool:
    """Is a row there already, or gone? A value that must not be stored is a fault of ours instead."""
    name = getattr(error.orig, "sqlite_errorname", None) or getattr(error.orig, "sqlstate", None)
    return name in _RACES


def _create_engine(url: str, pool_size: int) -> Engine:
    # Parameters are never part of an error's text: they are ciphertexts and hashes at best.
    common: dict[str, Any] = {"hide_parameters": True, "pool_size": pool_size, "max_overflow": 8}
    if _driver(url) == "postgresql+psycopg":
        return create_engine(url, pool_pre_ping=True, **common)
    engine = create_engine(url, connect_args={"check_same_thread": False, "timeout": _BUSY_SECONDS}, **common)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _driver(url: str) -> str:
    """Return the driver that *url* names. Raises ``InvalidInput``, without the URL, if it is none of ours."""
    try:
        driver = make_url(url).drivername
    except (ArgumentError, ValueError):
        driver = ""
    if driver not in _DRIVERS:
        raise InvalidInput("KEYTIDE_DATABASE_URL has to read like postgresql://user:password@host/keytide.")
    return driver


def _reading_engine(engine: Engine) -> Engine:
    if engine.dialect.name == "sqlite":
        return engine.execution_options(read_only=True)
    return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def _prepare_sqlite(connection: Any, record: Any) -> None:
    # The driver's own BEGIN is off: it comes too late, and only before writes.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    # Deleted values are overwritten, not just unlinked.
    cursor.execute("PRAGMA secure_delete = ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    reading = connection.get_execution_options().get("read_only")
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")
