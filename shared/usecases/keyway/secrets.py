"""A vault's secrets as Keyway's clients exchange them: whole environments, as the text of a .env file.

Those clients read that text line by line, take one pair of quotes off and undo no escape. So every value is
written on one line, if possible so that they and proper readers of .env files find the same; and a value that
comes back just as they would have read it is the one they were given.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

from pydantic import SecretStr

from shared.db import vault
from shared.db.vault import ROOT, Secret
from shared.errors import InvalidInput, NotFound
from shared.providers.dotenv import EnvText, quoted
from shared.runtime import Runtime
from shared.usecases import read_secrets
from shared.usecases.edit_secrets import Draft, Replaced, replace_secrets
from shared.usecases.keyway.access import Member
from shared.usecases.read_secrets import Detail, SecretView

ONLY_DELETES = (
    "This push holds no secrets, so it would delete all {count} of '{environment}'. Nothing was changed. If "
    "that is meant, send allowEmpty: true."
)


def env_text(
    runtime: Runtime, member: Member, environment: str, *, limit: int | None = None, offset: int = 0
) -> str:
    """Return the secrets of an environment as the text of a .env file. Raises ``NotFound`` without any."""
    views = _values(runtime, member, environment)
    if not views:
        raise NotFound(f"No secrets found in environment '{environment}'.")
    end = None if limit is None else offset + limit
    return "\n".join(f"{view.key}={on_a_line(_open(view))}" for view in views[offset:end])


def push(
    runtime: Runtime,
    member: Member,
    environment: str,
    secrets: Mapping[str, SecretStr],
    *,
    allow_empty: bool = False,
) -> Replaced:
    """Make an environment hold exactly *secrets*: what is missing among them is deleted.

    Raises ``InvalidInput`` if there are none at all, unless *allow_empty*.
    """
    present = {view.key: view for view in _values(runtime, member, environment)}
    if not secrets and present and not allow_empty:
        raise InvalidInput(
            ONLY_DELETES.format(count=len(present), environment=environment), field=("secrets",)
        )
    drafts = [Draft(key, _meant(value, present.get(key))) for key, value in secrets.items()]
    # To these clients such a key is a comment: they could not have sent it back.
    drafts += [
        Draft(key, view.value) for key, view in present.items() if key.startswith("#") and key not in secrets
    ]
    return replace_secrets(runtime, member.project.id, environment, ROOT, drafts, actor=member.visitor.name)


def list_secrets(runtime: Runtime, member: Member) -> Sequence[tuple[Secret, str, str | None]]:
    """Return the secrets of all environments, newest first: each with its environment and author."""
    with runtime.database.snapshot() as session:
        return vault.list_root_secrets(session, member.project.id)


def find_secret(runtime: Runtime, member: Member, secret_id: UUID, *, values: bool = False) -> SecretView:
    """Return a secret of the vault. Raises ``NotFound``."""
    try:
        view = read_secrets.find_by_id(runtime, secret_id, detail=Detail(values=values))
    except NotFound:
        raise NotFound("Secret not found") from None
    if view.project_id != member.project.id or view.path != ROOT:
        raise NotFound("Secret not found")
    return view


def _values(runtime: Runtime, member: Member, environment: str) -> list[SecretView]:
    found = read_secrets.list_secrets(runtime, member.project.id, environment, ROOT, Detail())
    return list(found.secrets)


def _meant(sent: SecretStr, present: SecretView | None) -> SecretStr:
    """Return the value that is meant: the present one, if *sent* is how a client reads that."""
    if present is None or sent.get_secret_value() != as_read_by_lines(_open(present)):
        return sent
    return SecretStr(_open(present))


def as_read_by_lines(value: str) -> str:
    """Return what a client takes *value* for when it reads our text line by line."""
    return _without_quotes(on_a_line(value))


def on_a_line(value: str) -> str:
    """Write *value* on one line. Where some way of writing is read alike by all, it is that one."""
    usual = quoted(value)
    if "\n" in value or "\r" in value:
        return usual
    alike = (text for text in (usual, f"'{value}'", value) if _is_read_alike(text, value))
    return next(alike, usual)


def _is_read_alike(text: str, value: str) -> bool:
    return _without_quotes(text) == value and EnvText.parse(f"KEY={text}").values == {"KEY": value}


def _without_quotes(text: str) -> str:
    is_quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
    return text[1:-1] if is_quoted else text


def _open(view: SecretView) -> str:
    return view.value.get_secret_value() if view.value is not None else ""
