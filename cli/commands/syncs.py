"""``keytide syncs``: what is kept equal where, and what became of it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, Literal

import typer

from cli.client import Client, part
from cli.follow import Sync, counted, follow, sync_path, tell, wait_for_edits
from cli.providers import connection_for_sync
from cli.render import Changes, ChangesPending, Screen, ago, state
from cli.session import AsJson, VaultName, Yes, begin
from cli.vault import Vault, find_vault
from shared.errors import InvalidInput, NotFound

app = typer.Typer(help="Keep destinations equal to a vault, and see what became of it.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="SYNC", help="The sync's name or id.")]
Watch = Annotated[bool, typer.Option("--watch", "-w", help="Wait until it is finished.")]

# What a new sync is.
ProviderName = Annotated[
    str, typer.Argument(metavar="PROVIDER", help="For example railway; docs/providers lists them.")
]
NewName = Annotated[str, typer.Option("--name", "-n", metavar="NAME", help="Lower case, digits, hyphens.")]
To = Annotated[
    list[str],
    typer.Option("--to", metavar="FIELD=VALUE", help="Where to, as docs/providers names the fields."),
]
Environment = Annotated[str, typer.Option("--env", "-e", metavar="NAME", help="From where.")]
Folder = Annotated[str, typer.Option("--path", metavar="FOLDER", help="The folder in it.")]
Connection = Annotated[
    str | None, typer.Option("--connection", "-c", metavar="NAME", help="The connection's name or id.")
]
First = Annotated[
    Literal["overwrite", "import-vault-wins", "import-provider-wins"],
    typer.Option(
        "--first",
        metavar="HOW",
        help="What the first run does with what is there: overwrite, import-vault-wins or "
        "import-provider-wins.",
    ),
]
Keep = Annotated[bool, typer.Option("--keep", help="Never delete a key at the destination.")]
Options = Annotated[
    list[str] | None,
    typer.Option(
        "--option", metavar="NAME=VALUE", help="Another option of the sync, as docs/concepts.md names it."
    ),
]
Auto = Annotated[bool, typer.Option("--auto/--manual", help="Follow each change by itself.")]

_SYNCS = "/api/v1/secret-syncs"

# --- looking -------------------------------------------------------------------------------------------


@app.command("list")
def list_syncs(context: typer.Context, vault: VaultName = None, as_json: AsJson = False) -> None:
    """List the syncs of a vault."""
    with begin(context, as_json=as_json) as (client, screen):
        found = _all_syncs(client, find_vault(client, vault))
        rows = [
            (
                each["name"],
                _source(each),
                _target(each),
                state(_state(each)),
                "yes" if each["isAutoSyncEnabled"] else "no",
                ago(each["lastSyncedAt"]),
            )
            for each in found
        ]
        screen.table(
            ("Sync", "From", "To", "State", "Auto", "Succeeded"),
            rows,
            data=found,
            empty="There is no sync yet. 'keytide sync --auto' makes one, 'keytide syncs create' too.",
        )
        for each in found:
            if each["syncStatus"] != "succeeded" and each["lastSyncMessage"]:
                screen.hint(f"{each['name']}: {each['lastSyncMessage']}")


@app.command("show")
def show(context: typer.Context, name: Name, vault: VaultName = None, as_json: AsJson = False) -> None:
    """Show one sync: where from, where to, its options, and how it is."""
    with _opened(context, name, vault, as_json=as_json) as (_, screen, sync):
        options = {
            name: value for name, value in sync["syncOptions"].items() if value and name != "autoSyncEnabled"
        }
        screen.fields(
            {
                "Sync": f"{sync['name']} ({sync['id']})",
                "From": _source(sync),
                "To": f"{_target(sync)} ({_brief(sync['destinationConfig'])})",
                "Connection": sync["connection"]["name"],
                "State": state(_state(sync)),
                "Message": sync["lastSyncMessage"],
                "Succeeded": ago(sync["lastSyncedAt"]),
                "Follows changes": "yes" if sync["isAutoSyncEnabled"] else "no",
                "Looks for drift": ago(sync["nextReconcileAt"]),
                "Options": _brief(options),
            },
            data=sync,
        )


@app.command("preview")
def preview(
    context: typer.Context,
    name: Name,
    check: Annotated[bool, typer.Option("--check", help="Exit with 2 if anything would change.")] = False,
    vault: VaultName = None,
    as_json: AsJson = False,
) -> None:
    """Show what a run would do now, without doing it."""
    with _opened(context, name, vault, as_json=as_json) as (client, screen, sync):
        found = _preview(client, screen, sync)
        changes = _changes(found)
        screen.changes(changes)
        screen.done(f"{sync['name']}: {changes.summary}, {found['plan']['unchanged']} unchanged.", data=found)
        if check and changes.count:
            raise ChangesPending(f"Changes are pending: {changes.summary}.")


@app.command("jobs")
def list_jobs(
    context: typer.Context,
    name: Name,
    limit: Annotated[int, typer.Option(min=1, max=1000, metavar="NUMBER", help="How many.")] = 20,
    vault: VaultName = None,
    as_json: AsJson = False,
) -> None:
    """List what a sync did, newest first."""
    with _opened(context, name, vault, as_json=as_json) as (client, screen, sync):
        jobs = client.get(f"{sync_path(sync)}/jobs", limit=limit)["jobs"]
        rows = [
            (
                each["id"],
                each["kind"],
                each["trigger"],
                state(each["status"]),
                counted(each) if each["status"] == "succeeded" else each["message"] or "",
                ago(each["finishedAt"] or each["createdAt"]),
            )
            for each in jobs
        ]
        screen.table(
            ("Job", "Kind", "Because of", "State", "What", "When"),
            rows,
            data=jobs,
            empty=f"{sync['name']} never ran.",
        )


@app.command("logs")
def logs(
    context: typer.Context,
    name: Name,
    job: Annotated[
        str | None, typer.Argument(metavar="JOB", help="The job's id; otherwise the last job.")
    ] = None,
    vault: VaultName = None,
    as_json: AsJson = False,
) -> None:
    """Show what one job did, key by key, and what was refused and why."""
    with _opened(context, name, vault, as_json=as_json) as (client, screen, sync):
        found = _job(client, sync, job)
        screen.fields(
            {
                "Job": f"{found['id']} ({found['kind']}, because of {found['trigger']})",
                "State": state(found["status"]),
                "What": counted(found) if found["status"] == "succeeded" else None,
                "Message": found["message"],
                "Failed attempts": str(found["attempt"] or ""),
                "Started": ago(found["startedAt"]),
                "Finished": ago(found["finishedAt"]),
                **_details(found["details"]),
            },
            data=found,
        )


@app.command("watch")
def watch(context: typer.Context, name: Name, vault: VaultName = None, as_json: AsJson = False) -> None:
    """Wait until a sync is settled, showing how it is meanwhile."""
    with _opened(context, name, vault, as_json=as_json) as (client, screen, sync):
        if sync["isPaused"]:
            raise InvalidInput(
                f"{name} is paused and writes nothing. Resume it first: 'keytide syncs resume {name}'."
            )
        wait_for_edits(client, screen, sync)
        tell(screen, sync, follow(client, screen, sync, _job(client, sync, None)["id"]))


# --- changing ------------------------------------------------------------------------------------------


@app.command("create")
def create(
    context: typer.Context,
    provider: ProviderName,
    name: NewName,
    to: To,
    environment: Environment = "production",
    path: Folder = "/",
    connection: Connection = None,
    first: First = "overwrite",
    keep: Keep = False,
    options: Options = None,
    auto: Auto = True,
    vault: VaultName = None,
    as_json: AsJson = False,
) -> None:
    """Create a sync, for example: keytide syncs create dotenv -n local --to path=web/.env"""
    with begin(context, as_json=as_json) as (client, screen):
        source = find_vault(client, vault)
        source.checked(environment)
        created = client.post(
            f"{_SYNCS}/{part(provider)}",
            name=name,
            projectId=source.id,
            connectionId=connection_for_sync(client, provider, connection)["id"],
            environment=environment,
            secretPath=path,
            destinationConfig=_pairs(to),
            syncOptions={
                "initialSyncBehavior": _FIRST[first],
                "disableSecretDeletion": keep,
                **_pairs(options or []),
            },
            isAutoSyncEnabled=auto,
        )["secretSync"]
        screen.done(f"Created {name}, from {_source(created)} to {provider}.", data=created)
        screen.hint(
            f"See it at work with 'keytide syncs watch {name}'."
            if auto
            else f"Run it with 'keytide syncs trigger {name}'."
        )


@app.command("pause")
def pause(context: typer.Context, name: Name, vault: VaultName = None, as_json: AsJson = False) -> None:
    """Let a sync write nothing until it is resumed."""
    _pause(context, name, vault, as_json=as_json, paused=True)


@app.command("resume")
def resume(context: typer.Context, name: Name, vault: VaultName = None, as_json: AsJson = False) -> None:
    """Let a paused sync write again."""
    _pause(context, name, vault, as_json=as_json, paused=False)


@app.command("trigger")
def trigger(
    context: typer.Context,
    name: Name,
    watch: Watch = False,
    vault: VaultName = None,
    as_json: AsJson = False,
) -> None:
    """Run a sync now, ahead of everything else."""
    with _opened(context, name, vault, as_json=as_json) as (client, screen, sync):
        queued = client.post(f"{sync_path(sync)}/sync-secrets")["secretSync"]
        _say_queued(client, screen, queued, watch=watch)


@app.command("approve")
def approve(
    context: typer.Context,
    name: Name,
    yes: Yes = False,
    vault: VaultName = None,
    as_json: AsJson = False,
) -> None:
    """Show what a sync would do, and let exactly that be done although it deletes much."""
    with _opened(context, name, vault, as_json=as_json) as (client, screen, sync):
        found = _preview(client, screen, sync)
        changes = _changes(found)
        if not changes.count:
            screen.done(f"{sync['name']}: nothing to change, so nothing to approve.", data=found)
            return
        screen.changes(changes)
        screen.confirm(f"Apply exactly this to {sync['destination']}: {changes.summary}?", yes=yes)
        queued = client.post(f"{sync_path(sync)}/sync-secrets", approvePlan=found["plan"]["hash"])
        _say_queued(client, screen, queued["secretSync"], watch=True)


@app.command("delete")
def delete(
    context: typer.Context,
    name: Name,
    remove_secrets: Annotated[
        bool, typer.Option("--remove-secrets", help="First remove what it wrote at the destination.")
    ] = False,
    yes: Yes = False,
    vault: VaultName = None,
    as_json: AsJson = False,
) -> None:
    """Delete a sync. What it wrote stays at the destination, unless you say otherwise."""
    with _opened(context, name, vault, as_json=as_json) as (client, screen, sync):
        also = " and remove what it wrote there" if remove_secrets else ""
        screen.confirm(f"Delete the sync {sync['name']} to {sync['destination']}{also}?", yes=yes)
        gone = client.delete(sync_path(sync), removeSecrets=remove_secrets)["secretSync"]
        done = "goes as soon as its secrets are removed" if remove_secrets else "is deleted"
        screen.done(f"{sync['name']} {done}.", data=gone)


# --- help ----------------------------------------------------------------------------------------------

#: What of a destination a person knows it by.
_NAMES = (
    "projectName",
    "appName",
    "teamName",
    "siteName",
    "serviceName",
    "environmentName",
    "env",
    "context",
    "path",
)
_FIRST: Mapping[str, str] = {
    "overwrite": "overwrite-destination",
    "import-vault-wins": "import-prioritize-source",
    "import-provider-wins": "import-prioritize-destination",
}


@contextmanager
def _opened(
    context: typer.Context, name: str, vault: str | None, *, as_json: bool
) -> Iterator[tuple[Client, Screen, Sync]]:
    with begin(context, as_json=as_json) as (client, screen):
        yield client, screen, find_sync(client, find_vault(client, vault), name)


def find_sync(client: Client, vault: Vault, name: str) -> Sync:
    """Return the sync of *vault* with that name or id. Raises ``NotFound`` naming those that exist."""
    known = _all_syncs(client, vault)
    found = [each for each in known if name in (each["id"], each["name"])]
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(f"{each['id']} ({each['destination']})" for each in found)
        raise InvalidInput(f"Several syncs are named '{name}'. Say which by its id: {ids}.")
    names = ", ".join(each["name"] for each in known) or "none yet"
    raise NotFound(f"'{vault.slug}' has no sync '{name}'. It has: {names}.")


def _all_syncs(client: Client, vault: Vault) -> list[Sync]:
    return list(client.get(_SYNCS, projectId=vault.id)["secretSyncs"])


def _job(client: Client, sync: Sync, job_id: str | None) -> dict[str, Any]:
    """Return the job with that id, or else the newest one."""
    if job_id is not None:
        return dict(client.get(f"{sync_path(sync)}/jobs/{part(job_id)}")["job"])
    newest = client.get(f"{sync_path(sync)}/jobs", kind="sync", limit=1)["jobs"]
    if not newest:
        raise NotFound(f"{sync['name']} never ran. Run it with 'keytide syncs trigger {sync['name']}'.")
    return dict(newest[0])


def _pause(context: typer.Context, name: str, vault: str | None, *, as_json: bool, paused: bool) -> None:
    with _opened(context, name, vault, as_json=as_json) as (client, screen, sync):
        changed = client.patch(sync_path(sync), isPaused=paused)["secretSync"]
        done = "is paused: it writes nothing" if paused else "writes again"
        screen.done(f"{sync['name']} {done}.", data=changed)


def _say_queued(client: Client, screen: Screen, queued: Sync, *, watch: bool) -> None:
    if watch:
        # What the sync shows is the job that ran last; the newest one is that which waits now.
        tell(screen, queued, follow(client, screen, queued, _job(client, queued, None)["id"]))
        return
    screen.done(f"{queued['name']} is queued.", data=queued)
    screen.hint(f"See what becomes of it with 'keytide syncs watch {queued['name']}'.")


def _preview(client: Client, screen: Screen, sync: Sync) -> dict[str, Any]:
    with screen.working(f"Comparing both sides of {sync['name']}"):
        return dict(client.get(f"{sync_path(sync)}/preview"))


def _changes(preview: Mapping[str, Any]) -> Changes:
    plan = preview["plan"]
    left_alone = [f"{skip['key']} is left alone: {skip['reason']}." for skip in plan["skipped"]]
    blocked = [preview["blocked"]] if preview["blocked"] else []
    return Changes(
        plan["creates"], plan["updates"], plan["deletes"], [*preview["warnings"], *left_alone, *blocked]
    )


def _details(details: Mapping[str, Any]) -> dict[str, str]:
    """Return what a job noted, under headings for people."""
    lists = ("created", "updated", "deleted", "imported", "drift", "warnings")
    shown = {name.capitalize(): ", ".join(details.get(name, ())) for name in lists}
    for name, heading in (("refused", "Refused"), ("kept", "Left alone")):
        shown[heading] = "; ".join(f"{key}: {reason}" for key, reason in details.get(name, {}).items())
    return shown


def _source(sync: Sync) -> str:
    environment, folder = sync["environment"], sync["folder"]
    if environment is None or folder is None:
        return "deleted"
    return str(environment["slug"]) + ("" if folder["path"] == "/" else f" {folder['path']}")


def _target(sync: Sync) -> str:
    config = sync["destinationConfig"]
    names = [str(config[name]) for name in _NAMES if config.get(name)]
    return " ".join([sync["destination"], *names])


def _state(sync: Sync) -> str | None:
    return "paused" if sync["isPaused"] else sync["syncStatus"]


def _brief(fields: Mapping[str, Any]) -> str:
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()}
    return ", ".join(f"{name}={text}" for name, text in texts.items() if text)


def _pairs(texts: Sequence[str]) -> dict[str, Any]:
    """Return ``NAME=VALUE`` pairs as fields; numbers, lists, true and false are read as such."""
    fields = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise InvalidInput(f"'{text}' is not of the form NAME=VALUE.")
        fields[name] = _read(value)
    return fields


def _read(value: str) -> Any:
    try:
        read = json.loads(value)
    except ValueError:
        return value
    # Ids may look like numbers, but 5 is an option's number: only the API knows, and it takes texts for ids.
    return read if isinstance(read, bool | int | list) else value
