"""``keytide tokens``: who may do what here."""

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any

import typer

from cli.client import Client, part
from cli.render import ago
from cli.session import AsJson, VaultName, Yes, begin, is_from_environment
from cli.vault import find_vault
from shared.clock import utc_now
from shared.errors import InvalidInput, NotFound

app = typer.Typer(help="Hand out tokens, and take them back.", no_args_is_help=True)

_TOKENS = "/api/v1/tokens"
_PAGE = 1000


class Scope(StrEnum):
    """What a token may do."""

    READ = "read"
    WRITE = "write"
    SYNC = "sync"
    ADMIN = "admin"


@app.command("list")
def list_tokens(context: typer.Context, vault: VaultName = None, as_json: AsJson = False) -> None:
    """List the tokens, without those of logins; with --vault those that are valid there."""
    with begin(context, as_json=as_json) as (client, screen):
        project_id = find_vault(client, vault).id if vault else None
        found = client.get(_TOKENS, projectId=project_id, limit=_PAGE)["tokens"]
        slugs = _slugs(client)
        rows = [
            (
                each["name"],
                "; ".join(_granted(grant, slugs) for grant in each["grants"]),
                ago(each["expiresAt"]),
                ago(each["createdAt"]),
                each["id"],
            )
            for each in found
        ]
        empty = "No token was handed out, but the administrator's and those of logins."
        screen.table(("Token", "May", "Ends", "Created", "Id"), rows, data=found, empty=empty)


@app.command("create")
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is for, such as ci.")],
    scopes: Annotated[
        list[Scope],
        typer.Option(
            "--scope",
            "-s",
            metavar="SCOPE",
            help="What it may do: read, write, sync or admin. Several times for several.",
        ),
    ],
    everywhere: Annotated[bool, typer.Option("--all", help="Valid for every vault, not for one.")] = False,
    days: Annotated[
        int | None,
        typer.Option("--days", min=1, metavar="NUMBER", help="After how many it ends; otherwise never."),
    ] = None,
    vault: VaultName = None,
    as_json: AsJson = False,
) -> None:
    """Create a token for one vault, and print it: this once, and nothing else."""
    if everywhere and is_from_environment(context, "vault"):
        vault = None
    if everywhere and vault:
        raise InvalidInput("Say --all or --vault, not both.")
    with begin(context, as_json=as_json) as (client, screen):
        project_id = None if everywhere else find_vault(client, vault).id
        ends = utc_now() + timedelta(days=days) if days else None
        created = client.post(
            _TOKENS,
            name=name,
            grants=[{"projectId": project_id, "scopes": scopes}],
            expiresAt=ends and ends.isoformat(),
        )
        screen.done(created["token"], data=created)
        screen.hint("Keep it where programs find it as KEYTIDE_TOKEN. It is not shown again.")


@app.command("revoke")
def revoke(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="TOKEN", help="The token's name or id.")],
    yes: Yes = False,
    vault: VaultName = None,
    as_json: AsJson = False,
) -> None:
    """End a token at once."""
    with begin(context, as_json=as_json) as (client, screen):
        project_id = find_vault(client, vault).id if vault else None
        token = _find(client, project_id, name)
        screen.confirm(f"Revoke the token {token['name']}? Whoever uses it is locked out.", yes=yes)
        revoked = client.delete(f"{_TOKENS}/{part(token['id'])}")["tokenData"]
        screen.done(f"{token['name']} is revoked.", data=revoked)


def _find(client: Client, project_id: str | None, name: str) -> Mapping[str, Any]:
    known = client.get(_TOKENS, projectId=project_id, limit=_PAGE)["tokens"]
    found = [each for each in known if name in (each["id"], each["name"])]
    if not found:
        raise NotFound(f"There is no token '{name}'. 'keytide tokens list' shows those that exist.")
    if len(found) > 1:
        ids = ", ".join(each["id"] for each in found)
        raise InvalidInput(f"Several tokens are named '{name}'. Say which by its id: {ids}.")
    return dict(found[0])


def _granted(grant: Mapping[str, Any], slugs: Mapping[str, str]) -> str:
    where = "everywhere" if grant["projectId"] is None else slugs.get(grant["projectId"], grant["projectId"])
    return f"{', '.join(grant['scopes'])} {where}"


def _slugs(client: Client) -> dict[str, str]:
    projects = client.get("/api/v1/projects", limit=_PAGE)["projects"]
    return {each["id"]: each["slug"] for each in projects}
