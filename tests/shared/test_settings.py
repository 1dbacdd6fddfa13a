"""Every setting comes from the environment and shows no secret."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from shared.settings import Settings


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEYTIDE_PORT", "9000")
    monkeypatch.setenv("KEYTIDE_VERCEL_API_URL", "http://127.0.0.1:9")

    settings = Settings()

    assert settings.port == 9000
    assert settings.address("vercel") == "http://127.0.0.1:9"


def test_an_empty_setting_means_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEYTIDE_PORT", "")

    assert Settings().port == 8200


@pytest.mark.parametrize(
    ("name", "value"),
    [("PORT", "70000"), ("LOG_LEVEL", "loud"), ("SWEEP_SECONDS", "0"), ("LEASE_SECONDS", "100")],
)
def test_a_setting_that_makes_no_sense_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"KEYTIDE_{name}", value)

    with pytest.raises(ValidationError):
        Settings()


def test_without_a_database_the_embedded_one_is_used(tmp_path: Path) -> None:
    assert Settings(data_dir=tmp_path).database == f"sqlite:///{tmp_path}/keytide.db"


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("postgres://u@h/d", "postgresql+psycopg://u@h/d"),
        ("postgresql://u@h/d", "postgresql+psycopg://u@h/d"),
        ("postgresql+psycopg://u@h/d", "postgresql+psycopg://u@h/d"),
        ("sqlite:///x.db", "sqlite:///x.db"),
    ],
)
def test_a_database_is_reached_with_the_driver_we_ship(
    monkeypatch: pytest.MonkeyPatch, given: str, used: str
) -> None:
    monkeypatch.setenv("KEYTIDE_DATABASE_URL", given)

    assert Settings().database == used


def test_the_text_of_the_settings_shows_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "BROKER_URL", "MASTER_KEY", "VERCEL_CLIENT_SECRET", "NETLIFY_CLIENT_SECRET"):
        monkeypatch.setenv(f"KEYTIDE_{name}", f"a-secret-{name}")

    assert "a-secret" not in repr(Settings())


def test_files_lie_in_the_data_directory_unless_told_otherwise(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)

    assert settings.address("dotenv") == str(tmp_path / "dotenv")
    assert settings.model_copy(update={"dotenv_dir": Path("/x")}).address("dotenv") == "/x"
