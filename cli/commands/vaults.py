"""``keytide init`` and ``keytide vaults``."""

from contextlib import suppress

import typer

from cli.session import AsJson, VaultName, begin
from cli.vault import find_vault, repository_here, vault_of
from shared.errors import Conflict, NotFound


def init(context: typer.Context, vault: VaultName = None, as_json: AsJson = False) -> None:
    """Create the vault of this repository."""
    with begin(context, as_json=as_json) as (client, screen):
        slug = vault or repository_here()
        with suppress(NotFound):
            find_vault(client, slug)
            raise Conflict(f"There is a vault {slug} already.")
        project = client.post("/api/v1/projects", projectName=slug[:64], slug=slug)["project"]
        created = vault_of(project)
        screen.done(
            f"Created the vault {slug} with the environments {', '.join(created.environments)}.", data=project
        )
        screen.hint(
            "Next: 'keytide secrets push' takes a .env file over, 'keytide connect' names a provider."
        )


def vaults(context: typer.Context, as_json: AsJson = False) -> None:
    """List the vaults that your token is valid for."""
    with begin(context, as_json=as_json) as (client, screen):
        projects = client.get("/api/v1/projects", limit=1000)["projects"]
        rows = [
            (each["slug"], each["name"], ", ".join(vault_of(each).environments), each["id"])
            for each in projects
        ]
        screen.table(
            ("Vault", "Name", "Environments", "Id"),
            rows,
            data=projects,
            empty="There is no vault yet. 'keytide init' creates one.",
        )
