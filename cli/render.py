"""What a command shows: tables for people, lines for pipes, JSON for programs.

Results go to standard output. What is only for the person at the terminal (questions, hints, progress)
goes to standard error, and nowhere if nobody is there.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from shared.clock import utc_now
from shared.errors import KeytideError

#: How each state is painted.
_STYLES: Mapping[str, str] = {
    "succeeded": "green",
    "connected": "green",
    "ok": "green",
    "yes": "green",
    "running": "cyan",
    "pending": "yellow",
    "queued": "yellow",
    "paused": "yellow",
    "warning": "yellow",
    "failed": "red",
    "error": "red",
    "cancelled": "red",
}
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))

Cell = str | Text


class NotConfirmed(KeytideError):
    """Nothing was changed."""


class ChangesPending(KeytideError):
    """Something would change."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What is about to happen, by key names. ``notes`` are sentences to read before agreeing."""

    creates: Sequence[str] = ()
    updates: Sequence[str] = ()
    deletes: Sequence[str] = ()
    notes: Sequence[str] = ()

    @property
    def count(self) -> int:
        return len(self.creates) + len(self.updates) + len(self.deletes)

    @property
    def summary(self) -> str:
        """The counts in words, such as ``2 to create, 1 to delete``."""
        return ", ".join(f"{count} to {verb}" for count, verb in self._counts()) or "nothing to change"

    @property
    def done(self) -> str:
        """The counts in words once it has happened, such as ``2 created, 1 deleted``."""
        return ", ".join(f"{count} {verb}d" for count, verb in self._counts()) or "nothing changed"

    def data(self) -> dict[str, Any]:
        return {
            "toCreate": list(self.creates),
            "toUpdate": list(self.updates),
            "toDelete": list(self.deletes),
            "notes": list(self.notes),
        }

    def _counts(self) -> list[tuple[int, str]]:
        parts = ((self.creates, "create"), (self.updates, "update"), (self.deletes, "delete"))
        return [(len(keys), verb) for keys, verb in parts if keys]


class Screen:
    """Where one command shows what it found and asks what it must know."""

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        self._out = Console(highlight=False, markup=False, emoji=False)
        self._err = Console(stderr=True, highlight=False, markup=False, emoji=False)

    @property
    def has_person(self) -> bool:
        """Is somebody there who can be asked?"""
        in_ci = os.environ.get("CI", "").lower() not in ("", "0", "false")
        return sys.stdin.isatty() and sys.stderr.isatty() and not in_ci

    # --- results ---------------------------------------------------------------------------------------

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[Cell]], *, data: Any, empty: str) -> None:
        """Show *rows*: as a table, as lines with tabs where nobody looks on, or *data* as JSON."""
        if self.as_json:
            self.data(data)
        elif not rows:
            self.hint(empty)
        elif self._out.is_terminal:
            self._out.print(_table(columns, rows))
        else:
            for row in rows:
                typer.echo("\t".join(_in_one_line(str(cell)) for cell in row))

    def fields(self, fields: Mapping[str, Cell | None], *, data: Any) -> None:
        """Show the fields of one thing below each other; those without a value are left out."""
        if self.as_json:
            self.data(data)
            return
        shown = {name: value for name, value in fields.items() if value is not None and str(value)}
        width = max(map(len, shown), default=0)
        if self._out.is_terminal:
            self._out.print(_grid(shown))
        else:
            for name, value in shown.items():
                typer.echo(f"{name:<{width}}  {_plain(str(value))}")

    def done(self, text: str, *, data: Any) -> None:
        """Say in one sentence what was done."""
        if self.as_json:
            self.data(data)
        else:
            self._out.print(Text(_plain(text)), soft_wrap=True)

    def changes(self, changes: Changes) -> None:
        """Show what is about to happen. As JSON it is part of the result instead."""
        if self.as_json:
            return
        rows = [
            *(("+", key, "create", "green") for key in changes.creates),
            *(("~", key, "update", "yellow") for key in changes.updates),
            *(("-", key, "delete", "red") for key in changes.deletes),
        ]
        if rows and self._out.is_terminal:
            painted = [[Text(text, style=style) for text in row] for *row, style in rows]
            self._out.print(_table(("", "Key", "Change"), painted))
        elif rows:
            typer.echo("\n".join(f"{sign} {_plain(key)}" for sign, key, *_ in rows))
        for note in changes.notes:
            self.warn(note)

    def data(self, data: Any) -> None:
        """Print *data* as JSON."""
        typer.echo(json.dumps(data, indent=2, ensure_ascii=False, default=str))

    # --- for the person --------------------------------------------------------------------------------

    def hint(self, text: str) -> None:
        """Say something helpful, if a person looks on."""
        if self._err.is_terminal and not self.as_json:
            self._err.print(Text(_plain(text), style="dim"), soft_wrap=True)

    def warn(self, text: str) -> None:
        """Say what must not be overlooked, whoever looks on."""
        self._err.print(Text(f"Note: {_plain(text)}", style="yellow"), soft_wrap=True)

    def confirm(self, question: str, *, yes: bool) -> None:
        """Go on if *yes* was said beforehand or is said now. Raises ``NotConfirmed``."""
        if yes:
            return
        if not self.has_person:
            raise NotConfirmed(
                "Nobody is here to be asked, so nothing was changed. --yes (-y) goes on without a question."
            )
        if not typer.confirm(question, err=True):
            raise NotConfirmed

    def ask_secret(self, question: str) -> str:
        """Return what a person types unseen, or else what standard input holds."""
        if self.has_person:
            return str(typer.prompt(question, hide_input=True, err=True)).strip()
        return sys.stdin.read().strip()

    def choose(self, question: str, choices: Sequence[str], *, otherwise: str) -> int:
        """Return the number of the choice a person makes. Raises ``KeytideError`` with *otherwise* alone."""
        if not self.has_person:
            raise KeytideError(otherwise)
        for number, choice in enumerate(choices, start=1):
            self._err.print(Text(f"{number:>3}  {_plain(choice)}"), soft_wrap=True)
        while True:
            number = int(typer.prompt(question, type=int, err=True))
            if 1 <= number <= len(choices):
                return number - 1

    @contextmanager
    def working(self, text: str) -> Iterator[Callable[[str], None]]:
        """Show that something is under way. Yields a function that says what it is now."""
        if not self._err.is_terminal or self.as_json:
            yield lambda now: None
            return
        with self._err.status(Text(_plain(text))) as status:
            yield lambda now: status.update(Text(_plain(now)))


# --- cells ---------------------------------------------------------------------------------------------


def state(text: str | None) -> Text:
    """Return a state in its colour."""
    return Text(text or "-", style=_STYLES.get(text or "", ""))


def ago(moment: str | None, *, now: Callable[[], datetime] = utc_now) -> str:
    """Return how long ago *moment* was, or in how long it will be."""
    if moment is None:
        return "never"
    seconds = (now() - datetime.fromisoformat(moment)).total_seconds()
    for size, unit in _UNITS:
        if abs(seconds) >= size:
            text = f"{int(abs(seconds) // size)} {unit}"
            return f"{text} ago" if seconds > 0 else f"in {text}"
    return "now"


def _table(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Table:
    """Return a table. A column in which nothing stands only takes room from the others."""
    used = [number for number, _ in enumerate(columns) if any(str(row[number]) for row in rows)]
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    for number in used:
        table.add_column(columns[number], overflow="fold")
    for row in rows:
        table.add_row(*(_cell(row[number]) for number in used))
    return table


def _grid(fields: Mapping[str, Cell]) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in fields.items():
        grid.add_row(name, _cell(value))
    return grid


def _cell(value: Cell) -> Text:
    return value if isinstance(value, Text) else Text(_plain(value))


def _in_one_line(text: str) -> str:
    """Return *text* so that neither its line breaks nor its tabs look like those between the fields."""
    return _plain(text.replace("\r\n", "\n").replace("\n", "\\n").replace("\t", "\\t"))


def _plain(text: str) -> str:
    """Return *text* without what a terminal would obey: names come from other people."""
    return "".join(char if char.isprintable() or char == "\n" else "�" for char in text)
