"""What many tests share: a clock that can be set, a broker that remembers, and real databases."""

import base64
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import sqlalchemy
from pydantic import SecretStr
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import OperationalError

from shared.broker import Queue, Task
from shared.db.models import Base
from shared.db.session import Database
from shared.runtime import Runtime
from shared.settings import Settings
from shared.usecases.dispatch import dispatch
from shared.usecases.run_job import run_job
from shared.usecases.setup import migrate
from shared.usecases.tokens import Scope, issue_token
from tests.fakes.service import FakeService, InProcess

MASTER_KEY = bytes(range(32))

#: Where the emulators seem to be. Nothing is listening anywhere: their answers come from this process.
PROVIDER_URLS = {
    f"{name}_api_url": f"http://{name}.test" for name in ("railway", "vercel", "netlify", "flyio")
}


class ManualClock:
    """A clock that stands still until it is told otherwise."""

    def __init__(self, now: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, *, seconds: float) -> None:
        """Let *seconds* pass."""
        self.now += timedelta(seconds=seconds)


@dataclass(frozen=True, slots=True)
class Sent:
    """A hint that was given to the broker."""

    task: Task
    ids: tuple[UUID, ...]
    queue: Queue | None


class RecordingBroker:
    """Takes every hint and delivers none. ``sent`` is what it took, oldest first."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.reachable = True

    def send(self, task: Task, *ids: UUID, queue: Queue | None = None) -> None:
        self.sent.append(Sent(task, ids, queue))

    def is_reachable(self) -> bool:
        return self.reachable

    def tasks(self) -> list[Task]:
        """Return the names of the hints, oldest first."""
        return [sent.task for sent in self.sent]


class InlineBroker(RecordingBroker):
    """Carries each hint out at once, in the caller's own thread, once it knows the ``runtime``."""

    def __init__(self) -> None:
        super().__init__()
        self.runtime: Runtime | None = None

    def send(self, task: Task, *ids: UUID, queue: Queue | None = None) -> None:
        super().send(task, *ids, queue=queue)
        if self.runtime is None:
            return
        match task:
            case Task.DISPATCH:
                dispatch(self.runtime)
            case Task.RUN_JOB:
                run_job(self.runtime, *ids)


class Emulated(httpx.BaseTransport):
    """Lets the emulator *name* answer for ``http://<name>.test``. Whatever else there is, does not exist."""

    def __init__(self, services: Mapping[str, FakeService]) -> None:
        self._services = services

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        service = self._services.get(request.url.host.removesuffix(".test"))
        if service is None:
            raise httpx.ConnectError(f"{request.url.host} is not emulated", request=request)
        return InProcess(service).handle_request(request)


def emulated_client(services: Mapping[str, FakeService]) -> httpx.Client:
    """Return a client that reaches *services* and nothing else; one may be added later."""
    return httpx.Client(transport=Emulated(services), trust_env=False)


def make_settings(data_dir: Path, database_url: str = "") -> Settings:
    """Return settings that point nowhere but to *data_dir* and the given database."""
    return Settings(
        data_dir=data_dir,
        database_url=SecretStr(database_url),
        master_key=SecretStr(base64.b64encode(MASTER_KEY).decode()),
        **PROVIDER_URLS,
    )


# --- databases -----------------------------------------------------------------------------------------


def create_token(
    runtime: Runtime,
    name: str,
    scopes: Sequence[Scope],
    *,
    project_id: UUID | None = None,
    expires_at: datetime | None = None,
) -> SecretStr:
    """Store a token for one project, or for all, and return it."""
    grants = {project_id: frozenset(scope.value for scope in scopes)}
    return issue_token(runtime, name, grants, expires_at=expires_at)[1]


def postgres_url() -> str | None:
    """Return the PostgreSQL server to use as well, or None if there is none."""
    url = os.environ.get("KEYTIDE_TEST_DATABASE_URL") or "postgresql://root@127.0.0.1:5432/test"
    try:
        with _connect(make_url(url)):
            return url
    except OperationalError:
        return None


@contextmanager
def postgres_schema(server: str, *, migrated: bool = True) -> Iterator[str]:
    """Yield the URL of a fresh schema of its own, with all tables; it is dropped at the end."""
    url = make_url(server)
    name = f"keytide_{uuid4().hex}"
    own = url.update_query_dict({"options": f"-csearch_path={name}"}).render_as_string(hide_password=False)
    with _connect(url) as connection:
        connection.execute(sqlalchemy.text(f"CREATE SCHEMA {name}"))
    try:
        if migrated:
            migrate(make_settings(Path(), own))
        yield own
    finally:
        with _connect(url) as connection:
            connection.execute(sqlalchemy.text(f"DROP SCHEMA {name} CASCADE"))


def is_sqlite(database: Database) -> bool:
    """Is it the embedded one?"""
    return database.engine.dialect.name == "sqlite"


def empty(database: Database) -> None:
    """Remove every row. Quicker than TRUNCATE where the tables are small."""
    with database.transaction() as session:
        for table in reversed(Base.metadata.sorted_tables):
            session.execute(table.delete())


def copy_sqlite(template: Path, data_dir: Path) -> None:
    """Put a copy of the migrated database *template* where the settings of *data_dir* look for one."""
    data_dir.mkdir(parents=True, exist_ok=True)
    shutil.copy(template, data_dir / "keytide.db")


@contextmanager
def _connect(url: URL) -> Iterator[sqlalchemy.Connection]:
    engine = sqlalchemy.create_engine(
        url.set(drivername="postgresql+psycopg"), connect_args={"connect_timeout": 3}
    )
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()
