"""Brings ``docs/cli.md``, the page about the command line, up to date with the commands: ``make docs``."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from cli.app import EXIT, build_command

#: What stands above it is written by hand.
MARK = "<!-- From here on: make docs -->\n"

_EXIT = {
    0: "done",
    1: "failed, or nobody was there to be asked; nothing was changed unless the message says so",
    2: "with `--check`: changes are pending",
    3: "the provider is not connected",
    4: "denied: no token, a wrong one, or one without that right",
}


def updated(page: str) -> str:
    """Return *page* with everything below the mark as the commands are now."""
    command = build_command()
    context = typer.Context(command, info_name="keytide")
    by_hand = page.partition(MARK)[0]
    return by_hand + "\n".join([MARK, "\n".join(_exit_table()), *_sections(command, context)])


def _exit_table() -> Iterator[str]:
    yield "## Exit statuses\n"
    yield "| status | meaning |"
    yield "|---|---|"
    for status in sorted({0, *EXIT.values()}):
        yield f"| {status} | {_EXIT[status]} |"
    yield "\n`keytide secrets run` exits as the command that it runs.\n"


def _sections(command: Any, context: typer.Context) -> Iterator[str]:
    """Yield a section for each command at and below *command*."""
    for name, child in command.commands.items():
        if child.hidden:
            continue
        below = typer.Context(child, info_name=name, parent=context)
        if hasattr(child, "commands"):
            yield f"## {below.command_path}\n\n{child.help}\n"
            yield from _sections(child, below)
        else:
            yield "\n".join(_section(child, below))


def _section(command: Any, context: typer.Context) -> Iterator[str]:
    level = "##" if context.command_path.count(" ") == 1 else "###"
    yield f"{level} {context.command_path}\n"
    yield f"{_one_sentence_per_line(command.help)}\n"
    arguments = "".join(f" {_argument(param)}" for param in command.params if _is_argument(param))
    yield f"```\n{context.command_path} [OPTIONS]{arguments}\n```\n"
    rows = [_row(param) for param in command.params if not param.hidden]
    if rows:
        yield "| | |"
        yield "|---|---|"
        yield from rows
        yield ""


def _row(param: Any) -> str:
    spelled = "/".join(f"`{name}`" for name in (*param.opts, *param.secondary_opts))
    if _is_argument(param):
        spelled = f"`{_argument(param)}`"
    elif param.metavar:
        spelled += f" {param.metavar}"
    facts = [param.help or "Required." if param.required else param.help or ""]
    if param.envvar:
        facts.append(f"Environment: `{param.envvar}`.")
    if isinstance(param.default, str | int) and not isinstance(param.default, bool):
        facts.append(f"Default: `{param.default}`.")
    return f"| {spelled} | {' '.join(facts)} |".replace("\n", " ")


def _is_argument(param: Any) -> bool:
    return bool(param.param_type_name == "argument")


def _argument(param: Any) -> str:
    name = param.metavar or param.name.upper()
    return name if param.required else f"[{name}]"


def _one_sentence_per_line(text: str) -> str:
    paragraphs = text.replace("\n    ", "\n").split("\n\n")
    return "\n\n".join(" ".join(each.split()).replace(". ", ".\n") for each in paragraphs)


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(updated(page.read_text()))
