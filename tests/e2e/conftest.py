"""Installations to test against: always the embedded pair, and PostgreSQL with Redis where they answer."""

import os
from collections.abc import Iterator

import pytest
import redis

from tests.e2e.installation import Installation
from tests.e2e.product import Product
from tests.fakes.railway import FakeRailway
from tests.fakes.service import FakeServer
from tests.support import postgres_schema, postgres_url

POSTGRES = postgres_url()


def redis_url() -> str | None:
    """Return a Redis database to use as well, or None if there is none."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    url = os.environ.get("KEYTIDE_TEST_BROKER_URL") or f"redis://127.0.0.1:6379/{8 + worker % 8}"
    try:
        with redis.Redis.from_url(url, socket_connect_timeout=1) as client:
            client.ping()
    except redis.RedisError:
        return None
    return url


REDIS = redis_url()
PAIRS = ["embedded", *(["services"] if POSTGRES and REDIS else [])]


@pytest.fixture(scope="module", params=PAIRS)
def installation(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, railway_server: FakeServer
) -> Iterator[Installation]:
    """Everything that ``keytide up`` starts, with Railway emulated."""
    environment = {
        "KEYTIDE_PORT": "0",
        "KEYTIDE_RAILWAY_API_URL": railway_server.address,
        "KEYTIDE_SWEEP_SECONDS": "1",
        "KEYTIDE_LOG_LEVEL": "info",
    }
    data_dir = tmp_path_factory.mktemp("installation")
    if request.param == "embedded":
        yield from _running(Installation(data_dir, environment))
        return
    with postgres_schema(POSTGRES or "", migrated=False) as database_url:
        with redis.Redis.from_url(REDIS or "") as client:
            client.flushdb()
        environment |= {"KEYTIDE_DATABASE_URL": database_url, "KEYTIDE_BROKER_URL": REDIS or ""}
        yield from _running(Installation(data_dir, environment))


def _running(installation: Installation) -> Iterator[Installation]:
    try:
        installation.start()
        yield installation
    finally:
        installation.stop()


@pytest.fixture(scope="module")
def railway_server() -> Iterator[FakeServer]:
    """Railway over HTTP, for as long as the installation lives."""
    with FakeServer(FakeRailway.with_demo()) as server:
        yield server


@pytest.fixture
def product(installation: Installation, railway_server: FakeServer) -> Iterator[Product]:
    """A project with a connection to a Railway of its own; see ``tests/e2e/product.py``."""
    with installation.client() as client:
        yield Product.create(installation, client, railway_server)
