"""What every command that talks to Keytide begins with, and the options that many of them share."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, cast

import typer

from cli.client import Client, connect
from cli.render import Screen
from cli.server import find_server

AsJson = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
VaultName = Annotated[
    str | None,
    typer.Option(
        "--vault",
        "--repo",
        envvar="KEYTIDE_VAULT",
        metavar="NAME",
        help="The vault: owner/repo, or a project's slug. Otherwise the repository you are in.",
    ),
]


@dataclass(frozen=True, slots=True)
class Invocation:
    """What was said before the command's name, and the umask that programs we start shall have."""

    url: str | None
    umask: int


@contextmanager
def begin(context: typer.Context, *, as_json: bool) -> Iterator[tuple[Client, Screen]]:
    """Yield a client of the server that was asked for, and the screen to answer on."""
    with connect(find_server(invocation(context).url)) as client:
        yield client, Screen(as_json=as_json)


def is_from_environment(context: typer.Context, name: str) -> bool:
    """Did nobody say the parameter *name*, but an environment variable?"""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "ENVIRONMENT"


def invocation(context: typer.Context) -> Invocation:
    """Return how this command line began."""
    return cast(Invocation, context.find_root().obj)
