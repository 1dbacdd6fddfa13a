"""``keytide sync``, ``status``, ``diff`` and ``preview``: a vault and a project at a provider."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from cli.client import Client
from cli.follow import follow
from cli.providers import (
    NotConnected,
    Project,
    Wish,
    checked_for_projects,
    choose_project,
    list_connections,
    list_projects,
    title,
)
from cli.render import Changes, ChangesPending, Screen
from cli.session import AsJson, VaultName, Yes, begin
from cli.vault import Vault, find_vault
from shared.errors import InvalidInput, KeytideError

ProviderName = Annotated[
    str | None, typer.Argument(metavar="PROVIDER", help="Needed where several are connected.")
]
Environment = Annotated[
    str, typer.Option("--env", "-e", envvar="KEYTIDE_ENV", metavar="NAME", help="The vault's environment.")
]
TheirEnvironment = Annotated[
    str | None,
    typer.Option(
        "--provider-env", metavar="NAME", help="The provider's environment; otherwise the counterpart."
    ),
]
ProjectName = Annotated[
    str | None,
    typer.Option(
        "--project",
        "-p",
        metavar="NAME",
        help="The provider's project, by id or name; otherwise the one built from this repository.",
    ),
]
Service = Annotated[str | None, typer.Option("--service", metavar="NAME", help="A service of the project.")]
Team = Annotated[
    str | None, typer.Option("--team", metavar="NAME", help="The provider's team, or 'personal'.")
]
Pull = Annotated[bool, typer.Option("--pull", help="From the provider to the vault.")]
AllowDelete = Annotated[
    bool, typer.Option("--allow-delete", help="Also delete at the provider what the vault does not have.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="With --pull: also change what the vault has.")]


@dataclass(frozen=True, slots=True)
class _Pair:
    """An environment of a vault and a project at a provider, brought together on the wire."""

    client: Client
    vault: Vault
    project: Project
    provider: str
    environment: str
    provider_environment: str | None

    def __str__(self) -> str:
        theirs = f" {self.provider_environment}" if self.provider_environment else ""
        return f"{self.provider} {title(self.project)}{theirs}"

    @property
    def fields(self) -> dict[str, Any]:
        return {
            "connectionId": self.project["connectionId"],
            "projectId": self.project["id"],
            "serviceId": self.project["serviceId"],
            "providerEnvironment": self.provider_environment,
        }

    def get(self, what: str, **params: Any) -> dict[str, Any]:
        try:
            return dict(self.client.get(f"{self.path}/{what}", **self.fields, **params)["data"])
        except InvalidInput as error:
            # The wire's name of what is an option here.
            raise InvalidInput(error.message.replace("providerEnvironment", "--provider-env")) from None

    def post(self, **body: Any) -> dict[str, Any]:
        fields = {**self.fields, "keywayEnvironment": self.environment, **body}
        return dict(self.client.send("POST", self.path, body=fields)["data"])

    @property
    def path(self) -> str:
        return f"/v1/integrations/vaults/{self.vault.keyway_path}/sync"


# --- looking -------------------------------------------------------------------------------------------


def status(
    context: typer.Context,
    provider: ProviderName = None,
    environment: Environment = "production",
    provider_env: TheirEnvironment = None,
    project: ProjectName = None,
    service: Service = None,
    team: Team = None,
    vault: VaultName = None,
    as_json: AsJson = False,
) -> None:
    """Show how a vault and a project at a provider stand to each other."""
    wish = Wish(project, service, team)
    with _paired(context, provider, wish, environment, provider_env, vault, as_json=as_json) as (
        pair,
        screen,
    ):
        found = pair.get("status", environment=environment)
        screen.fields(
            {
                "Vault": f"{pair.vault.slug} {environment}" + (", empty" if found["vaultIsEmpty"] else ""),
                "Provider": f"{pair}, variables: {found['providerSecretCount']}",
                "Synced before": "no" if found["isFirstSync"] else "yes",
            },
            data=found,
        )
        if found["vaultIsEmpty"] and found["providerHasSecrets"]:
            screen.hint(f"Begin with 'keytide sync {pair.provider} --pull', which takes over what is there.")


def diff(
    context: typer.Context,
    provider: ProviderName = None,
    environment: Environment = "production",
    provider_env: TheirEnvironment = None,
    project: ProjectName = None,
    service: Service = None,
    team: Team = None,
    check: Annotated[bool, typer.Option("--check", help="Exit with 2 if the two differ.")] = False,
    vault: VaultName = None,
    as_json: AsJson = False,
) -> None:
    """Compare a vault with a project at a provider, by key names."""
    wish = Wish(project, service, team)
    with _paired(context, provider, wish, environment, provider_env, vault, as_json=as_json) as (
        pair,
        screen,
    ):
        with screen.working("Comparing both sides"):
            found = pair.get("diff", keywayEnvironment=environment)
        sides = {
            "onlyInKeyway": "only in the vault",
            "onlyInProvider": f"only at {pair.provider}",
            "different": "different",
        }
        rows = [(key, where) for name, where in sides.items() for key in found[name]]
        same = f"the same on both sides: {len(found['same'])}"
        screen.table(("Key", "Where"), rows, data=found, empty=f"No difference; {same}.")
        if check and rows:
            raise ChangesPending(f"Keys that differ: {len(rows)}; {same}.")


def preview(
    context: typer.Context,
    provider: ProviderName = None,
    environment: Environment = "production",
    provider_env: TheirEnvironment = None,
    project: ProjectName = None,
    service: Service = None,
    team: Team = None,
    pull: Pull = False,
    overwrite: Overwrite = False,
    allow_delete: AllowDelete = False,
    check: Annotated[bool, typer.Option("--check", help="Exit with 2 if anything would change.")] = False,
    vault: VaultName = None,
    as_json: AsJson = False,
) -> None:
    """Show what 'sync' would do, without doing it."""
    wish, order = Wish(project, service, team), _order(pull, overwrite, allow_delete)
    with _paired(context, provider, wish, environment, provider_env, vault, as_json=as_json) as (
        pair,
        screen,
    ):
        found = _preview(pair, screen, order)
        changes = _changes(found)
        screen.changes(changes)
        screen.done(f"{pair}: {changes.summary}, {len(found['toSkip'])} left as they are.", data=found)
        if check and changes.count:
            raise ChangesPending(f"Changes are pending: {changes.summary}.")


# --- doing ---------------------------------------------------------------------------------------------


def sync(
    context: typer.Context,
    provider: ProviderName = None,
    environment: Environment = "production",
    provider_env: TheirEnvironment = None,
    project: ProjectName = None,
    service: Service = None,
    team: Team = None,
    push: Annotated[
        bool, typer.Option("--push", help="From the vault to the provider, as without it.")
    ] = False,
    pull: Pull = False,
    overwrite: Overwrite = False,
    allow_delete: AllowDelete = False,
    auto: Annotated[bool, typer.Option("--auto", help="Keep the provider in sync from now on.")] = False,
    yes: Yes = False,
    vault: VaultName = None,
    as_json: AsJson = False,
) -> None:
    """Bring a provider's variables in line with a vault, once, or with --auto from now on."""
    if pull and (push or auto):
        raise InvalidInput(f"--pull does not go with {'--push' if push else '--auto'}.")
    wish, order = Wish(project, service, team), _order(pull, overwrite, allow_delete)
    with _paired(context, provider, wish, environment, provider_env, vault, as_json=as_json) as (
        pair,
        screen,
    ):
        found = _preview(pair, screen, order)
        changes = _changes(found)
        if not changes.count and not auto:
            screen.done(f"{pair} is already in sync.", data=found)
            return
        plan_hash = _agreed(pair, screen, found, changes, yes=yes, auto=auto)
        done = _carry_out(pair, screen, {**order, "planHash": plan_hash})
        if auto:
            path = f"/api/v1/secret-syncs/{pair.provider}/{done['syncId']}"
            pair.client.patch(path, isAutoSyncEnabled=True)
        _tell(pair, screen, done, auto=auto)


def _agreed(
    pair: _Pair, screen: Screen, found: dict[str, Any], changes: Changes, *, yes: bool, auto: bool
) -> str | None:
    """Show the changes and ask. Returns the plan's hash if a person agreed to exactly that plan."""
    screen.changes(changes)
    if found["blocked"] and yes:
        raise KeytideError(f"{found['blocked']} Without --yes (-y) you are asked whether it is meant.")
    then = ", and from now on whatever changes" if auto else ""
    screen.confirm(f"Apply to {pair}: {changes.summary}{then}?", yes=yes)
    return None if yes or not changes.count else found["planHash"]


def _carry_out(pair: _Pair, screen: Screen, order: dict[str, Any]) -> dict[str, Any]:
    with screen.working(f"Syncing {pair}"):
        done = pair.post(**order)
    if done["status"] == "pending":
        named = {"id": done["syncId"], "destination": pair.provider, "name": str(pair)}
        job = follow(pair.client, screen, named, done["jobId"])
        done |= {"success": job["status"] == "succeeded", "error": job["message"], "status": job["status"]}
        done["stats"] = {**done["stats"], **job["counts"]}
    return done


def _tell(pair: _Pair, screen: Screen, done: dict[str, Any], *, auto: bool) -> None:
    for warning in done["warnings"]:
        screen.warn(warning)
    if not done["success"]:
        if screen.as_json:
            screen.data(done)
        raise KeytideError(f"{pair}: {done.get('error') or 'the sync failed.'}")
    stats = done["stats"]
    counts = ", ".join(f"{stats[verb]} {verb}" for verb in ("created", "updated", "deleted") if stats[verb])
    then = " It follows every change from now on." if auto else ""
    screen.done(f"{pair} is in sync: {counts or 'nothing had to change'}.{then}", data=done)


# --- help ----------------------------------------------------------------------------------------------


@contextmanager
def _paired(
    context: typer.Context,
    provider: str | None,
    wish: Wish,
    environment: str,
    provider_environment: str | None,
    vault: str | None,
    *,
    as_json: bool,
) -> Iterator[tuple[_Pair, Screen]]:
    with begin(context, as_json=as_json) as (client, screen):
        ours = find_vault(client, vault)
        ours.checked(environment)
        provider = _provider(client, screen, provider)
        project = choose_project(screen, list_projects(client, screen, provider), wish, ours.slug)
        yield _Pair(client, ours, project, provider, environment, provider_environment), screen


def _provider(client: Client, screen: Screen, provider: str | None) -> str:
    """Return the provider that is meant, or the one that is connected."""
    if provider is not None:
        checked_for_projects(client, provider)
        return provider
    found = client.get("/v1/integrations/connections")["data"]["connections"]
    connected: list[str] = sorted({each["provider"] for each in found})
    if not connected:
        raise NotConnected(_nothing_to_pair(client))
    if len(connected) == 1:
        return connected[0]
    otherwise = f"Which provider? Connected are: {', '.join(connected)}."
    return connected[screen.choose("Which provider?", connected, otherwise=otherwise)]


def _nothing_to_pair(client: Client) -> str:
    if list_connections(client):
        return "What is connected has no projects to pick from; 'keytide syncs list' shows its syncs."
    return "Nothing is connected yet: 'keytide connect railway'."


def _order(pull: bool, overwrite: bool, allow_delete: bool) -> dict[str, Any]:
    if pull and allow_delete:
        raise InvalidInput("--allow-delete cannot be used with --pull: a pull deletes nothing.")
    if overwrite and not pull:
        raise InvalidInput("--overwrite goes with --pull; a push always brings the provider in line.")
    return {"direction": "pull" if pull else "push", "allowDelete": allow_delete, "overwrite": overwrite}


def _preview(pair: _Pair, screen: Screen, order: dict[str, Any]) -> dict[str, Any]:
    with screen.working(f"Comparing {pair.vault.slug} with {pair}"):
        return pair.get("preview", keywayEnvironment=pair.environment, **order)


def _changes(found: dict[str, Any]) -> Changes:
    kept = [f"{key} is left alone: {why}." for key, why in {**found["skipped"], **found["kept"]}.items()]
    blocked = [found["blocked"]] if found["blocked"] else []
    return Changes(
        found["toCreate"], found["toUpdate"], found["toDelete"], [*found["warnings"], *kept, *blocked]
    )
