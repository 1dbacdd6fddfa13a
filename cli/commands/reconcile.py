"""``keytide reconcile``."""

from typing import Annotated, Any

import typer

from cli.client import Client
from cli.commands.syncs import find_sync
from cli.providers import checked_provider, find_connection
from cli.session import AsJson, VaultName, begin, is_from_environment
from cli.vault import find_vault
from shared.errors import InvalidInput


def reconcile(
    context: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="Every sync of every vault.")] = False,
    vault: VaultName = None,
    provider: Annotated[
        str | None, typer.Option("--provider", metavar="NAME", help="Only syncs to it.")
    ] = None,
    connection: Annotated[
        str | None,
        typer.Option(
            "--connection",
            "-c",
            metavar="NAME",
            help="Only syncs over this connection; goes with --provider.",
        ),
    ] = None,
    sync: Annotated[str | None, typer.Option("--sync", metavar="NAME", help="Only this one.")] = None,
    as_json: AsJson = False,
) -> None:
    """Look for drift now, instead of when it is due, and repair it where the sync says so.

    Without --all, the syncs of one vault.
    """
    if everything and is_from_environment(context, "vault"):
        vault = None
    if everything and (vault or sync):
        raise InvalidInput("Say --all, or which vault or sync; not both.")
    if connection and not provider:
        raise InvalidInput("--connection goes with --provider.")
    with begin(context, as_json=as_json) as (client, screen):
        which = {} if everything else _of_vault(client, vault, sync)
        if provider:
            checked_provider(client, provider)
            which["destination"] = provider
        if provider and connection:
            which["connectionId"] = find_connection(client, provider, connection)["id"]
        queued = client.post("/api/v1/secret-syncs/reconcile", **which)
        count = queued["queued"]
        screen.done(f"Looking for drift at {count} destination{'' if count == 1 else 's'}.", data=queued)
        screen.hint("'keytide syncs list' shows what was found.")


def _of_vault(client: Client, vault: str | None, sync: str | None) -> dict[str, Any]:
    found = find_vault(client, vault)
    which: dict[str, Any] = {"projectId": found.id}
    if sync:
        which["syncId"] = find_sync(client, found, sync)["id"]
    return which
