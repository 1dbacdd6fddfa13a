"""Fixtures for every test: settings, a clock, a broker that remembers, and a runtime on a real database.

``runtime`` runs each test that uses it on SQLite, and on PostgreSQL too where there is one: at
``KEYTIDE_TEST_DATABASE_URL``, or on this machine.
"""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.crypto import Keyring
from shared.db.session import Database
from shared.runtime import Runtime
from shared.settings import Settings
from shared.usecases.setup import migrate
from tests.fakes.flyio import FakeFlyio
from tests.fakes.netlify import FakeNetlify
from tests.fakes.railway import FakeRailway
from tests.fakes.service import FakeService
from tests.fakes.vercel import FakeVercel
from tests.support import (
    MASTER_KEY,
    ManualClock,
    RecordingBroker,
    copy_sqlite,
    empty,
    emulated_client,
    is_sqlite,
    make_settings,
    postgres_schema,
    postgres_url,
)

POSTGRES = postgres_url()


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the settings of whoever runs the tests out of them."""
    for name in os.environ:
        if name.startswith("KEYTIDE_") and not name.startswith(("KEYTIDE_TEST_", "KEYTIDE_CONTRACTS")):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty SQLite database, to be copied."""
    settings = make_settings(tmp_path_factory.mktemp("template"))
    migrate(settings)
    return settings.data_dir / "keytide.db"


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL schema that this process has for itself."""
    with postgres_schema(POSTGRES or "") as url:
        yield url


@pytest.fixture(params=["sqlite", *(["postgresql"] if POSTGRES else [])])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings of a data directory and a migrated database without any row."""
    data_dir = tmp_path / "data"
    if request.param == "postgresql":
        return make_settings(data_dir, request.getfixturevalue("postgres"))
    copy_sqlite(request.getfixturevalue("sqlite_template"), data_dir)
    return make_settings(data_dir)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def broker() -> RecordingBroker:
    return RecordingBroker()


@pytest.fixture
def emulators() -> dict[str, FakeService]:
    """The providers that can be reached, by name."""
    return {}


@pytest.fixture
def railway(emulators: dict[str, FakeService]) -> FakeRailway:
    """Railway as the runtime sees it."""
    emulators["railway"] = fake = FakeRailway.with_demo()
    return fake


@pytest.fixture
def vercel(emulators: dict[str, FakeService]) -> FakeVercel:
    """Vercel as the runtime sees it."""
    emulators["vercel"] = fake = FakeVercel.with_demo()
    return fake


@pytest.fixture
def netlify(emulators: dict[str, FakeService]) -> FakeNetlify:
    """Netlify as the runtime sees it."""
    emulators["netlify"] = fake = FakeNetlify.with_demo()
    return fake


@pytest.fixture
def flyio(emulators: dict[str, FakeService]) -> FakeFlyio:
    """Fly.io as the runtime sees it."""
    emulators["flyio"] = fake = FakeFlyio.with_demo()
    return fake


@pytest.fixture
def runtime(
    settings: Settings,
    clock: ManualClock,
    broker: RecordingBroker,
    emulators: dict[str, FakeService],
    railway: FakeRailway,
) -> Iterator[Runtime]:
    """The outside world of a use-case, with nothing in it yet. Railway is there, the others on request."""
    runtime = Runtime(
        settings=settings,
        database=Database(settings.database, pool_size=8),
        broker=broker,
        keyring=Keyring([MASTER_KEY]),
        http=emulated_client(emulators),
        clock=clock,
        rng=random.Random(0),
    )
    try:
        if not is_sqlite(runtime.database):
            empty(runtime.database)
        yield runtime
    finally:
        runtime.close()
