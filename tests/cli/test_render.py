import json
from datetime import UTC, datetime

import pytest

from cli.render import Changes, NotConfirmed, Screen, ago, state
from shared.errors import KeytideError

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        ("2026-01-01T12:00:00Z", "now"),
        ("2026-01-01T11:59:48Z", "12 s ago"),
        ("2026-01-01T11:00:00Z", "1 h ago"),
        ("2025-12-25T11:00:00Z", "7 d ago"),
        ("2026-01-01T12:08:30Z", "in 8 min"),
        (None, "never"),
    ],
)
def test_a_moment_is_told_from_now(moment: str | None, text: str) -> None:
    assert ago(moment, now=lambda: NOW) == text


def test_changes_are_counted_in_words() -> None:
    changes = Changes(creates=["A", "B"], deletes=["C"])

    assert (changes.count, changes.summary) == (3, "2 to create, 1 to delete")
    assert changes.done == "2 created, 1 deleted"
    assert Changes().summary == "nothing to change"


def test_in_a_pipe_a_table_is_lines_and_a_hint_is_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen()

    screen.table(("Key", "State"), [("A", "ok"), ("B", "failed")], data=[], empty="nothing")
    screen.hint("Look elsewhere.")

    assert capsys.readouterr() == ("A\tok\nB\tfailed\n", "")


def test_in_a_pipe_a_row_is_one_line_whatever_its_cells_hold(capsys: pytest.CaptureFixture[str]) -> None:
    Screen().table(("Key", "Value"), [("A", "one\nB\ttwo"), ("C", "three\r\nfour")], data=None, empty="")

    assert capsys.readouterr().out == "A\tone\\nB\\ttwo\nC\tthree\\nfour\n"


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of forty columns, with colours."""
    for name, value in {"FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": "40"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_COLOR", raising=False)


@pytest.mark.usefixtures("terminal")
def test_a_column_in_which_nothing_stands_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    Screen().table(("Key", "Problem", "State"), [("A", "", "ok")], data=[], empty="")

    out = capsys.readouterr().out
    assert "Problem" not in out
    assert "State" in out


@pytest.mark.usefixtures("terminal")
def test_on_a_terminal_a_value_is_not_dim_and_stays_in_its_column(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Screen().fields({"Name": "x" * 50, "State": state("ok")}, data={})

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("\x1b[2mName")
    assert lines[0].endswith("\x1b[0m" + "x" * 33)
    assert lines[1].rstrip().endswith("\x1b[0m" + "x" * 17)
    assert "\x1b[32mok" in lines[2]


@pytest.mark.usefixtures("terminal")
def test_whoever_wants_no_colour_gets_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    Screen().table(("State",), [(state("failed"),)], data=[], empty="")

    assert "\x1b[31m" not in capsys.readouterr().out


def test_as_json_there_is_nothing_but_json(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen(as_json=True)

    screen.changes(Changes(creates=["A"]))
    with screen.working("Working"):
        screen.done("Done.", data={"name": "grüße"})

    out, err = capsys.readouterr()
    assert (json.loads(out), err) == ({"name": "grüße"}, "")


def test_what_a_terminal_would_obey_is_not_passed_on(capsys: pytest.CaptureFixture[str]) -> None:
    Screen().table(("Key",), [("\x1b]0;owned\x07KEY\r",)], data=[], empty="")

    assert capsys.readouterr().out == "�]0;owned�KEY�\n"


def test_markup_in_a_name_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    Screen().done("[red]A[/red]", data={})

    assert capsys.readouterr().out == "[red]A[/red]\n"


def test_where_nobody_is_a_question_is_a_no_and_a_choice_an_error() -> None:
    screen = Screen()

    with pytest.raises(NotConfirmed, match="--yes"):
        screen.confirm("Really?", yes=False)
    with pytest.raises(KeytideError, match="Say which"):
        screen.choose("Which?", ["a", "b"], otherwise="Say which.")
