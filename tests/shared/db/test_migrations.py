"""The migrations make what the models say."""

import multiprocessing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from shared.db.models import Base
from shared.db.session import Database
from shared.runtime import Runtime
from shared.settings import Settings
from shared.usecases.setup import migrate, prepare
from tests.shared.usecases.world import World
from tests.support import make_settings, postgres_schema, postgres_url


@pytest.fixture(params=["sqlite", "postgresql"])
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    """Settings of a database that has no table yet."""
    if request.param == "sqlite":
        yield make_settings(tmp_path)
        return
    server = postgres_url()
    if server is None:
        pytest.skip("there is no PostgreSQL here")
    with postgres_schema(server, migrated=False) as url:
        yield make_settings(tmp_path, url)


def differences(database: Database) -> list[Any]:
    """Return what the models have and the tables lack, or the other way round."""
    with database.engine.connect() as connection:
        return list(compare_metadata(MigrationContext.configure(connection), Base.metadata))


def test_the_tables_equal_the_models(runtime: Runtime) -> None:
    assert differences(runtime.database) == []


def test_migrating_again_is_harmless(runtime: Runtime) -> None:
    migrate(runtime.settings)

    assert differences(runtime.database) == []


def test_keys_that_an_older_version_spared_are_still_spared(world: World) -> None:
    sync_id = world.sync()
    with world.runtime.database.transaction() as session:
        session.execute(text("UPDATE syncs SET spared_keys = '[\"SEALED\"]'"))
        session.execute(text("UPDATE alembic_version SET version_num = '0001'"))

    migrate(world.runtime.settings)

    assert world.state(sync_id).spared_keys == {"SEALED": None}


def test_two_may_prepare_the_same_database_at_once(fresh: Settings, tmp_path: Path) -> None:
    # On PostgreSQL they are two machines, each with a data directory of its own.
    directories = [tmp_path, tmp_path if not fresh.database_url.get_secret_value() else tmp_path / "other"]
    spawn = multiprocessing.get_context("spawn")
    both = [
        spawn.Process(target=prepare, args=(fresh.model_copy(update={"data_dir": directory}),))
        for directory in directories
    ]

    for process in both:
        process.start()
    for process in both:
        process.join()

    database = Database(fresh.database)
    try:
        assert [process.exitcode for process in both] == [0, 0]
        assert differences(database) == []
    finally:
        database.close()
