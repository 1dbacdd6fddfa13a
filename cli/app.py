"""The ``keytide`` command: its sub-commands by name, and what an error looks like on a terminal."""

import os
import sys
from collections.abc import Mapping
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperOption
from typer.exceptions import TyperException

from cli.commands import (
    connections,
    demo,
    doctor,
    login,
    processes,
    reconcile,
    secrets,
    sync,
    syncs,
    tokens,
    up,
    vaults,
)
from cli.providers import NotConnected
from cli.render import ChangesPending
from cli.session import Invocation
from shared.errors import Forbidden, KeytideError, Unauthenticated

#: Exit statuses: the nearest class above an error counts. ``docs/cli.md`` shows this table.
EXIT: Mapping[type[Exception], int] = {
    KeytideError: 1,
    ChangesPending: 2,
    NotConnected: 3,
    Unauthenticated: 4,
    Forbidden: 4,
    # A command line that cannot be read. Typer's own status for it, 2, means something else here.
    TyperException: 1,
    typer.Abort: 1,
}

app = typer.Typer(
    help="Keeps the secrets your services run with equal to the secrets in your vault.",
    epilog="Settings are environment variables that start with KEYTIDE_; deploy/env.example lists them.",
    no_args_is_help=True,
    # A traceback may show local variables, and a local variable may be a secret.
    pretty_exceptions_enable=False,
)

_VAULT = "Vault"
_PROVIDERS = "Providers"
_SYNCS = "Syncs"
_ACCESS = "Access"
_ONE_MACHINE = "One machine"
_SEPARATE = "Separate processes"

app.command(rich_help_panel=_VAULT)(vaults.init)
app.command(rich_help_panel=_VAULT)(vaults.vaults)
app.add_typer(secrets.app, name="secrets", rich_help_panel=_VAULT)
app.command(rich_help_panel=_PROVIDERS)(connections.connect)
app.command(rich_help_panel=_PROVIDERS)(connections.connections)
app.command(rich_help_panel=_PROVIDERS)(connections.disconnect)
app.command(rich_help_panel=_PROVIDERS)(connections.projects)
app.command(rich_help_panel=_SYNCS)(sync.sync)
app.command(rich_help_panel=_SYNCS)(sync.preview)
app.command(rich_help_panel=_SYNCS)(sync.diff)
app.command(rich_help_panel=_SYNCS)(sync.status)
app.add_typer(syncs.app, name="syncs", rich_help_panel=_SYNCS)
app.command(rich_help_panel=_SYNCS)(reconcile.reconcile)
app.command(rich_help_panel=_ACCESS)(login.login)
app.command(rich_help_panel=_ACCESS)(login.logout)
app.add_typer(tokens.app, name="tokens", rich_help_panel=_ACCESS)
app.command(rich_help_panel=_ACCESS)(doctor.doctor)
app.command(rich_help_panel=_ONE_MACHINE)(up.up)
app.command(rich_help_panel=_ONE_MACHINE)(demo.demo)
app.command(rich_help_panel=_SEPARATE)(processes.migrate)
app.command(rich_help_panel=_SEPARATE)(processes.api)
app.command(rich_help_panel=_SEPARATE)(processes.worker)
app.command(rich_help_panel=_SEPARATE)(processes.beat)
app.command(hidden=True)(processes.broker)


def _show_version(*, wanted: bool) -> None:
    if wanted:
        typer.echo(f"keytide {version('keytide')}")
        raise typer.Exit


@app.callback()
def begin(
    context: typer.Context,
    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            envvar=["KEYTIDE_URL", "KEYWAY_API_URL"],
            metavar="ADDRESS",
            help="Where Keytide runs. Otherwise that of the last login, or this machine.",
        ),
    ] = None,
    show_version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Show the version.",
            is_eager=True,
            callback=lambda wanted: _show_version(wanted=wanted),
        ),
    ] = False,
) -> None:
    # Database, keys and written files are their owner's alone, wherever the data directory lies.
    context.obj = Invocation(url, umask=os.umask(0o077))


def build_command() -> Any:
    """Return everything that ``keytide`` can do, with a help in which no flag looks as if it took a value."""
    root = typer.main.get_command(app)
    _leave_types_out(root)
    return root


def _leave_types_out(command: Any) -> None:
    for param in command.get_params(typer.Context(command)):
        if isinstance(param, TyperOption) and param.is_flag:
            param.metavar = ""
    for below in getattr(command, "commands", {}).values():
        _leave_types_out(below)


def main() -> None:
    """Run the command line. An error of ours becomes a sentence and an exit status."""
    try:
        status = build_command()(standalone_mode=False)
    except (KeytideError, TyperException, typer.Abort) as error:
        if isinstance(error, typer.Abort):
            # The question it answers has no end of line yet.
            typer.echo(err=True)
        if explained := _explained(error):
            typer.echo(f"keytide: {explained}", err=True)
        status = exit_status(error)
    sys.exit(status)


def exit_status(error: Exception) -> int:
    """Return what *error* means to whoever called the command."""
    return next(EXIT[kind] for kind in type(error).__mro__ if kind in EXIT)


def _explained(error: Exception) -> str:
    if not isinstance(error, TyperException):
        return str(error) or "stopped."
    if not error.format_message():
        # Nothing was asked for, so the help was shown.
        return ""
    context = getattr(error, "ctx", None)
    help_ = f" '{context.command_path} --help' shows what there is." if context else ""
    message = " ".join(error.format_message().replace("Value error, ", "").split())
    return f"{message.removesuffix('.')}.{help_}"
