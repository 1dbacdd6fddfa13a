import re
from pathlib import Path

import pytest

from shared.settings import Settings

LINES = (Path(__file__).parents[2] / "deploy" / "env.example").read_text().splitlines()
LISTED = {m[1]: m[2] for line in LINES if (m := re.fullmatch(r"#(KEYTIDE_\w+)=(.*)", line))}


def test_the_example_lists_exactly_the_settings() -> None:
    settings = {f"KEYTIDE_{name.upper()}" for name in Settings.model_fields}

    assert LISTED.keys() == settings


def test_the_example_shows_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in LISTED:
        monkeypatch.delenv(name, raising=False)
    defaults = Settings()

    for name, value in LISTED.items():
        if value:
            monkeypatch.setenv(name, value)

    assert Settings() == defaults


def test_every_setting_is_explained() -> None:
    for number, line in enumerate(LINES):
        if line.startswith("#KEYTIDE_"):
            assert LINES[number - 1].startswith("# "), line
