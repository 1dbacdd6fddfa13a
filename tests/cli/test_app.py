import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperOption

from cli.app import build_command, main
from cli.commands.up import children_of
from cli.sockets import listen
from shared.settings import Settings


def keytide(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run the command line in this process and return its exit status."""
    monkeypatch.setattr(sys, "argv", ["keytide", *arguments])
    monkeypatch.setattr(os, "umask", lambda mask: mask)
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


@pytest.mark.parametrize("door", ["api", "worker", "beat"])
def test_a_process_without_a_broker_says_what_to_do(
    door: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("KEYTIDE_BROKER_URL", raising=False)

    status = keytide(monkeypatch, door)

    said = capsys.readouterr().err
    assert status == 1
    assert "KEYTIDE_BROKER_URL is not set" in said
    assert "keytide up" in said


def test_a_wrong_setting_is_named_without_its_value(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KEYTIDE_PORT", "pasted-by-mistake")

    status = keytide(monkeypatch, "up")

    said = capsys.readouterr().err
    assert status == 1
    assert said.startswith("keytide: KEYTIDE_PORT: ")
    assert "pasted-by-mistake" not in said


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("DATABASE_URL", "postgresql://me:pass-word@127.0.0.1:1/shop", "Connection refused"),
        ("DATABASE_URL", "postgresql://me:pass-word@127.0.0.1:x/shop", "has to read like postgresql://"),
        ("DATABASE_URL", "mysql://me:pass-word@127.0.0.1/shop", "has to read like postgresql://"),
        ("DATABASE_URL", "pass-word", "has to read like postgresql://"),
        ("BROKER_URL", "amqp://me:pass-word@127.0.0.1/", "has to read like redis://"),
        ("DATA_DIR", "/proc/keytide", "cannot be made"),
    ],
)
@pytest.mark.parametrize("command", ["migrate", "up"])
def test_what_cannot_be_used_is_named_in_a_sentence_without_its_password(
    command: str,
    name: str,
    value: str,
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # The logs of this process belong to all tests.
    monkeypatch.setattr("shared.log.configure", lambda settings: None)
    monkeypatch.setenv("KEYTIDE_PORT", "0")
    monkeypatch.setenv("KEYTIDE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv(f"KEYTIDE_{name}", value)

    status = keytide(monkeypatch, command)

    said = capsys.readouterr().err
    assert status == 1
    assert said.startswith("keytide: ")
    assert told in said
    assert said.count("\n") == 1
    assert "pass-word" not in said


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("syncs", "create", "dotenv", "--first", "foo"), "'foo' is not one of 'overwrite', 'import-vault-"),
        (
            ("syncs", "jobs", "shop", "--limit", "0"),
            "greater than or equal to 1. 'keytide syncs jobs --help'",
        ),
        (
            ("tokens", "create", "ci"),
            "Missing option '--scope' / '-s'. Choose from: read, write, sync, admin. '",
        ),
    ],
)
def test_a_command_line_that_cannot_be_read_is_told_of_in_one_line(
    arguments: tuple[str, ...],
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    status = keytide(monkeypatch, *arguments)

    said = capsys.readouterr().err
    assert status == 1
    assert told in said
    assert "Value error" not in said
    assert said.count("\n") == 1


def test_the_help_lists_the_commands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status = keytide(monkeypatch, "--help")

    said = capsys.readouterr().out
    assert status == 0
    for command in ("up", "demo", "migrate", "api", "worker", "beat"):
        assert f" {command} " in said


def test_no_flag_looks_as_if_it_took_a_value_and_every_other_option_names_its_own() -> None:
    for name, param in _options(build_command(), "keytide"):
        assert (param.metavar == "") == param.is_flag, f"{name} --{param.name}"


def _options(of: Any, name: str) -> Iterator[tuple[str, TyperOption]]:
    for param in of.get_params(typer.Context(of)):
        if isinstance(param, TyperOption) and not param.hidden:
            assert param.metavar is not None, f"{name} --{param.name}"
            yield name, param
    for called, below in getattr(of, "commands", {}).items():
        yield from _options(below, f"{name} {called}")


def test_the_password_of_the_broker_is_in_no_command_line(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)

    with listen("127.0.0.1", 0) as api, listen("127.0.0.1", 0) as broker:
        children = children_of(settings, api=api, broker=broker)

    url = children[0].environment["KEYTIDE_BROKER_URL"]
    password = url.removeprefix("redis://:").partition("@")[0]
    assert len(password) >= 32
    assert all(password not in " ".join(child.arguments) for child in children)


def test_a_broker_of_your_own_replaces_the_embedded_one(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, broker_url="redis://127.0.0.1:6379/0")

    with listen("127.0.0.1", 0) as api, listen("127.0.0.1", 0) as broker:
        children = children_of(settings, api=api, broker=broker)

    assert [child.name for child in children] == ["api", "worker", "beat"]
    assert not any("KEYTIDE_BROKER_URL" in child.environment for child in children)


def test_the_worker_keeps_its_name_over_restarts_and_shares_it_with_nobody(tmp_path: Path) -> None:
    def name(directory: str) -> str:
        settings = Settings(data_dir=tmp_path / directory)
        with listen("127.0.0.1", 0) as api, listen("127.0.0.1", 0) as broker:
            children = {child.name: child for child in children_of(settings, api=api, broker=broker)}
        return children["worker"].environment["KEYTIDE_WORKER_NAME"]

    assert name("one") == name("one")
    assert name("one") != name("two")
