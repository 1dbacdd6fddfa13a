"""Making everything ready on a fresh machine, and leaving it alone on any other."""

import stat
from pathlib import Path

import pytest
from pydantic import SecretStr

from shared.crypto import MasterKeyMissing, load_keyring
from shared.runtime import Runtime
from shared.settings import Settings
from shared.usecases.projects import create_project
from shared.usecases.setup import prepare
from shared.usecases.tokens import authenticate


@pytest.fixture
def fresh(tmp_path: Path) -> Settings:
    """Settings of a machine on which nothing was ever done."""
    return Settings(data_dir=tmp_path / "data")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_fresh_machine_gets_all_it_needs_readable_by_its_owner_only(fresh: Settings) -> None:
    prepare(fresh)

    assert mode(fresh.data_dir) == 0o700
    assert mode(fresh.master_key_file) == mode(fresh.admin_token_file) == 0o600
    load_keyring(fresh)


def test_the_token_that_was_written_lets_its_reader_in(fresh: Settings) -> None:
    prepare(fresh)
    runtime = Runtime.from_settings(fresh, threads=1)

    caller = authenticate(runtime, fresh.admin_token_file.read_text().strip())

    assert caller.grants == {None: {"admin"}}
    runtime.close()


def test_a_second_time_changes_nothing(fresh: Settings) -> None:
    prepare(fresh)
    before = (fresh.master_key_file.read_text(), fresh.admin_token_file.read_text())

    prepare(fresh)

    assert (fresh.master_key_file.read_text(), fresh.admin_token_file.read_text()) == before


def test_a_master_key_from_outside_is_not_written_to_a_file(fresh: Settings) -> None:
    given = fresh.model_copy(update={"master_key": SecretStr("A" * 43 + "=")})

    prepare(given)

    assert not given.master_key_file.exists()


def test_a_key_that_opens_the_older_projects_only_is_refused(fresh: Settings) -> None:
    old, new = "A" * 43 + "=", "B" * 42 + "A="
    for keys in (old, f"{new},{old}"):
        settings = fresh.model_copy(update={"master_key": SecretStr(keys)})
        prepare(settings)
        runtime = Runtime.from_settings(settings, threads=1)
        create_project(runtime, "Shop")
        runtime.close()

    with pytest.raises(MasterKeyMissing, match="put it back"):
        prepare(fresh.model_copy(update={"master_key": SecretStr(old)}))


def test_a_database_that_was_sealed_with_another_key_is_refused(fresh: Settings) -> None:
    prepare(fresh)
    runtime = Runtime.from_settings(fresh, threads=1)
    create_project(runtime, "Shop")
    runtime.close()
    fresh.master_key_file.unlink()

    with pytest.raises(MasterKeyMissing, match="put it back"):
        prepare(fresh)

    assert not fresh.master_key_file.exists()
