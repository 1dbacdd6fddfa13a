"""``keytide secrets``: what a vault holds, and .env files."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.client import Client, part
from cli.render import Changes, Screen, ago
from cli.server import TOKEN_VARIABLES
from cli.session import AsJson, VaultName, Yes, begin, invocation
from cli.vault import Vault, find_vault
from shared.errors import InvalidInput, KeytideError

app = typer.Typer(help="Read and change the secrets of a vault.", no_args_is_help=True)

Environment = Annotated[
    str, typer.Option("--env", "-e", envvar="KEYTIDE_ENV", metavar="NAME", help="The environment.")
]
Folder = Annotated[str, typer.Option("--path", metavar="FOLDER", help="The folder in it.")]
File = Annotated[Path, typer.Option("--file", "-f", metavar="FILE", help="The .env file.")]
Prune = Annotated[bool, typer.Option("--prune", help="Also delete what the other side does not have.")]
Key = Annotated[str, typer.Argument(metavar="KEY")]

_SECRETS = "/api/v4/secrets"
_BATCH = f"{_SECRETS}/batch"
#: What the API takes at once.
_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder of one environment. What it holds is read and changed here."""

    client: Client
    vault: Vault
    environment: str
    path: str

    def __str__(self) -> str:
        folder = "" if self.path == "/" else f" {self.path}"
        return f"{self.vault.slug} {self.environment}{folder}"

    @property
    def place(self) -> dict[str, str]:
        return {
            "projectId": self.vault.id,
            "environment": self.environment,
            "secretPath": self.path,
        }

    def secrets(self, *, values: bool) -> list[dict[str, Any]]:
        return list(self.client.get(_SECRETS, **self.place, viewSecretValue=values)["secrets"])

    def values(self) -> dict[str, str]:
        return {each["secretKey"]: each["secretValue"] for each in self.secrets(values=True)}

    def rendered(self) -> dict[str, str]:
        """Return what a destination would be given: with imports, and references resolved."""
        found = self.client.get(
            _SECRETS,
            **self.place,
            viewSecretValue=True,
            expandSecretReferences=True,
            include_imports=True,
        )
        # Its own secrets win, then the first import.
        layers = [found["secrets"], *(each["secrets"] for each in found["imports"])]
        return {each["secretKey"]: each["secretValue"] for layer in reversed(layers) for each in layer}

    def put(self, values: Mapping[str, str]) -> None:
        secrets = [{"secretKey": key, "secretValue": value} for key, value in values.items()]
        for some in _slices(secrets):
            self.client.patch(_BATCH, **self.place, mode="upsert", secrets=some)

    def remove(self, keys: Sequence[str]) -> None:
        for some in _slices([{"secretKey": key} for key in keys]):
            self.client.send("DELETE", _BATCH, body={**self.place, "secrets": some})


# --- one secret ----------------------------------------------------------------------------------------


@app.command("list")
def list_secrets(
    context: typer.Context,
    environment: Environment = "development",
    path: Folder = "/",
    show_values: Annotated[bool, typer.Option("--show-values", help="Also print the values.")] = False,
    vault: VaultName = None,
    as_json: AsJson = False,
) -> None:
    """List the secrets of an environment by name."""
    with _opened(context, vault, environment, path, as_json=as_json) as (folder, screen):
        found = folder.secrets(values=show_values)
        rows = [
            (
                each["secretKey"],
                *((each["secretValue"],) if show_values else ()),
                str(each["version"]),
                ago(each["updatedAt"]),
            )
            for each in found
        ]
        shown = ("version", "updatedAt", *(("secretValue",) if show_values else ()))
        data = [{"key": each["secretKey"], **{name: each[name] for name in shown}} for each in found]
        columns = ("Key", *(("Value",) if show_values else ()), "Version", "Changed")
        screen.table(columns, rows, data=data, empty=f"{folder} holds no secrets yet.")


@app.command("get")
def get_secret(
    context: typer.Context,
    key: Key,
    environment: Environment = "development",
    path: Folder = "/",
    vault: VaultName = None,
    as_json: AsJson = False,
) -> None:
    """Print the value of one secret, and nothing else."""
    with _opened(context, vault, environment, path, as_json=as_json) as (folder, screen):
        secret = folder.client.get(f"{_SECRETS}/{part(key)}", **folder.place)["secret"]
        if as_json:
            screen.data({"key": key, "value": secret["secretValue"], "version": secret["version"]})
            return
        # A program gets the value to the byte.
        typer.echo(secret["secretValue"], nl=sys.stdout.isatty())


@app.command("set", context_settings={"allow_extra_args": True})
def set_secret(
    context: typer.Context,
    key: Key,
    file: Annotated[
        Path | None,
        typer.Option("--file", "-f", metavar="FILE", help="Take the value from a file, to the byte."),
    ] = None,
    environment: Environment = "development",
    path: Folder = "/",
    vault: VaultName = None,
    as_json: AsJson = False,
) -> None:
    """Create or change one secret.

    Its value is asked for, or comes from standard input or a file: on a command line, others could read it.
    """
    name, has_value, _ = key.partition("=")
    if context.args or has_value:
        # Nothing behind the name is repeated: it may be the secret.
        raise InvalidInput(
            "A value does not belong on a command line, where others could read it. Nothing was changed. Say "
            f"'keytide secrets set {name}': the value is asked for, or comes from standard input or --file."
        )
    with _opened(context, vault, environment, path, as_json=as_json) as (folder, screen):
        known = {each["secretKey"] for each in folder.secrets(values=False)}
        folder.put({key: _value_from(file, screen, key)})
        done = "updated" if key in known else "created"
        screen.done(f"{done.capitalize()} {key} in {folder}.", data={"key": key, "status": done})


@app.command("delete")
def delete_secrets(
    context: typer.Context,
    keys: Annotated[list[str], typer.Argument(metavar="KEY...")],
    environment: Environment = "development",
    path: Folder = "/",
    vault: VaultName = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Delete secrets. Every sync that shows them follows."""
    with _opened(context, vault, environment, path, as_json=as_json) as (folder, screen):
        known = {each["secretKey"] for each in folder.secrets(values=False)}
        missing = sorted(set(keys) - known)
        if missing:
            raise InvalidInput(f"{folder} has no {', '.join(missing)}. Nothing was deleted.")
        changes = Changes(deletes=sorted(set(keys)))
        _agree(screen, changes, f"Delete {len(changes.deletes)} of the secrets of {folder}?", yes=yes)
        folder.remove(changes.deletes)
        screen.done(f"Deleted {len(changes.deletes)} from {folder}.", data=changes.data())


# --- .env files ----------------------------------------------------------------------------------------


@app.command("push")
def push(
    context: typer.Context,
    file: File = Path(".env"),
    environment: Environment = "development",
    path: Folder = "/",
    prune: Prune = False,
    vault: VaultName = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Take a .env file over into the vault."""
    from cli.env_file import LocalFile

    with _opened(context, vault, environment, path, as_json=as_json) as (folder, screen):
        if not file.exists():
            raise InvalidInput(f"There is no file {file}. Name it with --file.")
        local = LocalFile.read(file)
        local.require_clean()
        changes = _difference(local.values, folder.values(), prune=prune)
        if changes.count:
            _agree(screen, changes, f"Push {file} to {folder}: {changes.summary}?", yes=yes)
            with screen.working("Pushing"):
                folder.put({key: local.values[key] for key in (*changes.creates, *changes.updates)})
                folder.remove(changes.deletes)
        _say_exchanged(screen, changes, f"{folder} holds what {file} does")


@app.command("pull")
def pull(
    context: typer.Context,
    file: File = Path(".env"),
    environment: Environment = "development",
    path: Folder = "/",
    prune: Prune = False,
    vault: VaultName = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Write the vault's values to a .env file, readable for you alone. Comments and other lines stay."""
    from cli.env_file import LocalFile, unwritable

    with _opened(context, vault, environment, path, as_json=as_json) as (folder, screen):
        wanted = folder.values()
        if refused := unwritable(wanted):
            raise KeytideError(f"A .env file cannot hold {', '.join(refused)}. Nothing was written.")
        local = LocalFile.read(file)
        changes = _difference(wanted, local.values, prune=prune)
        if changes.count or not file.exists():
            screen.changes(changes)
            if file.exists():
                screen.confirm(f"Change {file}: {changes.summary}?", yes=yes)
            local.write(wanted, removed=changes.deletes)
        _say_exchanged(screen, changes, f"{file} holds what {folder} does")


@app.command("run", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
def run(
    context: typer.Context,
    command: Annotated[list[str], typer.Argument(metavar="-- COMMAND...")],
    environment: Environment = "development",
    path: Folder = "/",
    vault: VaultName = None,
) -> None:
    """Run a command with the secrets in its environment: keytide secrets run -e staging -- npm start

    It gets what a destination would: imports included, references resolved. It does not get your token.
    """
    with _opened(context, vault, environment, path, as_json=False) as (folder, _):
        secrets = folder.rendered()
    impossible = sorted(key for key, value in secrets.items() if "=" in key or "\0" in key + value)
    if impossible:
        raise KeytideError(f"No process can be given {', '.join(impossible)}. Nothing was started.")
    own = {name: value for name, value in os.environ.items() if name not in TOKEN_VARIABLES}
    os.umask(invocation(context).umask)
    try:
        os.execvpe(command[0], command, {**own, **secrets})  # noqa: S606 - which command, the person said
    except OSError as error:
        raise KeytideError(f"{command[0]} cannot be started: {error.strerror}.") from None


# --- help ----------------------------------------------------------------------------------------------


@contextmanager
def _opened(
    context: typer.Context, name: str | None, environment: str, path: str, *, as_json: bool
) -> Iterator[tuple[_Folder, Screen]]:
    with begin(context, as_json=as_json) as (client, screen):
        vault = find_vault(client, name)
        yield _Folder(client, vault, vault.checked(environment), path), screen


def _difference(wanted: Mapping[str, str], present: Mapping[str, str], *, prune: bool) -> Changes:
    updates = sorted(key for key in wanted.keys() & present.keys() if wanted[key] != present[key])
    emptied = [key for key in updates if not wanted[key]]
    return Changes(
        creates=sorted(wanted.keys() - present.keys()),
        updates=updates,
        deletes=sorted(present.keys() - wanted.keys()) if prune else [],
        notes=[f"Empty afterwards: {', '.join(emptied)}."] if emptied else [],
    )


def _agree(screen: Screen, changes: Changes, question: str, *, yes: bool) -> None:
    screen.changes(changes)
    screen.confirm(question, yes=yes)


def _say_exchanged(screen: Screen, changes: Changes, what: str) -> None:
    text = f"{what}: {changes.done}." if changes.count else f"{what} already."
    screen.done(text, data=changes.data())


def _value_from(file: Path | None, screen: Screen, key: str) -> str:
    try:
        if file is not None:
            return file.read_bytes().decode()
        if screen.has_person:
            return str(typer.prompt(f"Value of {key}", hide_input=True, err=True))
        # The last line break is the shell's, not the value's.
        value = sys.stdin.buffer.read().decode().removesuffix("\n")
    except UnicodeDecodeError:
        raise InvalidInput("The value is not UTF-8 text.") from None
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read: {error.strerror}.") from None
    if not value:
        # The command before the pipe failed, or its variable is not set: no reason to empty production.
        raise InvalidInput(
            f"Standard input was empty, so nothing was changed. For an empty {key}, say --file /dev/null."
        )
    return value


def _slices(entries: Sequence[dict[str, str]]) -> Iterator[Sequence[dict[str, str]]]:
    for start in range(0, len(entries), _AT_ONCE):
        yield entries[start : start + _AT_ONCE]
