"""Creating, changing and deleting secrets.

Each edit is one transaction: the secret, its version, and the change event. However many syncs follow
the folder, an edit costs the same.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID, uuid4

from pydantic import SecretStr
from sqlalchemy.orm import Session

from shared import references
from shared.broker import Task
from shared.crypto import CryptoError, DataKey, comment_place, value_place
from shared.db import change_events, labels, vault
from shared.db.vault import Secret, SecretVersion
from shared.errors import Conflict, InvalidInput, NotFound
from shared.runtime import Runtime
from shared.usecases.places import Place, find_place, normal_path
from shared.usecases.read_secrets import SecretView, labelled
from shared.usecases.source import open_comment, open_value

#: Longest value, in bytes: what the strictest destinations take as one variable.
MAX_VALUE_BYTES = 65_536
MAX_KEY_CHARACTERS = 255
MAX_COMMENT_BYTES = 4_096


@dataclass(frozen=True, slots=True)
class Draft:
    """A secret to create, or what to change of one. None leaves a part as it is.

    With ``path``, a secret to change lies in another folder than the edit is about.
    """

    key: str
    value: SecretStr | None = None
    comment: SecretStr | None = None
    new_key: str | None = None
    tag_ids: Collection[UUID] | None = None
    metadata: Mapping[str, str] | None = None
    path: str | None = None


@dataclass(frozen=True)
class Desk:
    """Where one edit is made: the open transaction, the folder, its key, who and when."""

    session: Session
    place: Place
    data_key: DataKey
    actor: str
    now: datetime

    def find(self, key: str) -> Secret | None:
        return vault.find_secret(self.session, self.place.folder.id, key, for_update=True)

    def view(self, secret: Secret) -> SecretView:
        return SecretView.of(secret, self.place, self.data_key)

    def address(self) -> tuple[UUID, UUID, UUID]:
        """The ids that a ciphertext in this folder is bound to."""
        return self.place.project.id, self.place.environment.id, self.place.folder.id


def create_secrets(
    runtime: Runtime, project_id: UUID, environment: str, path: str, drafts: Sequence[Draft], *, actor: str
) -> list[SecretView]:
    """Create the secrets, all or none. Raises ``Conflict`` if one exists."""
    _check(drafts)
    with runtime.database.transaction() as session:
        desk = open_desk(runtime, session, project_id, environment, path, actor)
        views = {draft.key: desk.view(_create(desk, draft)) for draft in _in_order(drafts)}
        note_change(desk, [draft.key for draft in drafts])
        result = labelled(session, [views[draft.key] for draft in drafts])
    runtime.broker.send(Task.DISPATCH)
    return result


def update_secrets(
    runtime: Runtime,
    project_id: UUID,
    environment: str,
    path: str,
    drafts: Sequence[Draft],
    *,
    actor: str,
    create_missing: bool = False,
    ignore_missing: bool = False,
) -> list[SecretView]:
    """Change the secrets, all or none, and return them. What is not there raises ``NotFound``.

    With *create_missing* it is created, for which it needs a value, with *ignore_missing* it is left out.
    What equals the present state makes no new version and triggers nothing.
    """
    drafts = [replace(draft, path=normal_path(draft.path or path)) for draft in drafts]
    _check(drafts)
    views: dict[tuple[str | None, str], SecretView] = {}
    touched = False
    with runtime.database.transaction() as session:
        desks = [
            open_desk(runtime, session, project_id, environment, folder or path, actor)
            for folder in sorted({draft.path or path for draft in drafts})
        ]
        for desk in sorted(desks, key=lambda desk: desk.place.folder.id):
            here = desk.place.folder.path
            inside = [draft for draft in drafts if draft.path == here]
            if ignore_missing:
                inside = [draft for draft in _in_order(inside) if desk.find(draft.key) is not None]
            edited, keys = _change_in(desk, inside, create_missing=create_missing)
            views |= {(here, key): view for key, view in edited.items()}
            touched = touched or bool(keys)
        asked = [(draft.path, draft.key) for draft in drafts]
        result = labelled(session, [views[each] for each in asked if each in views])
    if touched:
        runtime.broker.send(Task.DISPATCH)
    return result


def _change_in(
    desk: Desk, drafts: Sequence[Draft], *, create_missing: bool
) -> tuple[dict[str, SecretView], list[str]]:
    """Carry *drafts* out in one folder, and return its secrets by their keys in them, and what changed."""
    views = {}
    touched: list[str] = []
    for draft in _in_order(drafts):
        secret, changed = _change_or_create(desk, draft, create_missing=create_missing)
        views[draft.key] = desk.view(secret)
        touched += changed
    if touched:
        note_change(desk, touched)
    return views, touched


def _in_order(drafts: Sequence[Draft]) -> list[Draft]:
    # Two edits that lock the same secrets in different orders would wait for each other.
    return sorted(drafts, key=lambda draft: draft.key)


def delete_secrets(
    runtime: Runtime, project_id: UUID, environment: str, path: str, keys: Sequence[str], *, actor: str
) -> list[SecretView]:
    """Delete the secrets, all or none, and return what they were. Raises ``NotFound``."""
    with runtime.database.transaction() as session:
        desk = open_desk(runtime, session, project_id, environment, path, actor)
        views = {}
        for key in sorted(keys):
            secret = _existing(desk, key)
            # A value that cannot be decrypted any more must still be possible to delete.
            views[key] = SecretView.of(secret, desk.place, desk.data_key, hide_value=True)
            session.delete(secret)
            session.flush()
        note_change(desk, keys)
    runtime.broker.send(Task.DISPATCH)
    return [views[key] for key in keys]


@dataclass(frozen=True, slots=True)
class Replaced:
    """What became of a folder's keys."""

    created: Sequence[str]
    updated: Sequence[str]
    deleted: Sequence[str]
    unchanged: int


def replace_secrets(
    runtime: Runtime, project_id: UUID, environment: str, path: str, drafts: Sequence[Draft], *, actor: str
) -> Replaced:
    """Make a folder hold exactly *drafts*: other secrets in it are deleted. All of it, or nothing."""
    _check(drafts)
    with runtime.database.transaction() as session:
        desk = open_desk(runtime, session, project_id, environment, path, actor)
        present = {row.key for row in vault.list_secrets(session, desk.place.folder.id)}
        wanted = {draft.key: draft for draft in drafts}
        touched: list[str] = []
        # In the order in which every edit locks secrets.
        for key in sorted(present | wanted.keys()):
            if key not in wanted:
                session.delete(_existing(desk, key))
                session.flush()
            elif _change_or_create(desk, wanted[key], create_missing=True)[1]:
                touched.append(key)
        deleted = sorted(present - wanted.keys())
        if touched or deleted:
            note_change(desk, [*touched, *deleted])
    if touched or deleted:
        runtime.broker.send(Task.DISPATCH)
    return Replaced(
        created=[key for key in touched if key not in present],
        updated=[key for key in touched if key in present],
        deleted=deleted,
        unchanged=len(wanted) - len(touched),
    )


def put_secret(
    runtime: Runtime,
    session: Session,
    place: Place,
    draft: Draft,
    *,
    actor: str,
    only_missing: bool = False,
) -> bool:
    """Create or change one secret inside the caller's transaction, and tell whether anything changed.

    With *only_missing*, one that somebody created meanwhile stays as it is. For callers that edit many
    secrets as one step; they note the change event themselves.
    """
    desk = Desk(session, place, runtime.data_key(place.project.data_key), actor, runtime.clock())
    if only_missing and desk.find(draft.key) is not None:
        return False
    _, changed = _change_or_create(desk, draft, create_missing=True)
    return bool(changed)


def open_desk(
    runtime: Runtime, session: Session, project_id: UUID, environment: str, path: str, actor: str
) -> Desk:
    place = find_place(session, project_id, environment, path, keep=True)
    return Desk(session, place, runtime.data_key(place.project.data_key), actor, runtime.clock())


def _change_or_create(desk: Desk, draft: Draft, *, create_missing: bool) -> tuple[Secret, list[str]]:
    """Carry *draft* out, and return the secret with the keys that changed by it."""
    if create_missing and desk.find(draft.key) is None:
        if draft.value is None:
            # An empty one would go out to the destinations, where a full one may be.
            raise InvalidInput(
                f"There is no secret '{draft.key}' yet, and a new one needs a value.", field=("secretValue",)
            )
        return _create(desk, draft), [draft.key]
    return change(desk, draft)


def _create(desk: Desk, draft: Draft) -> Secret:
    if desk.find(draft.key) is not None:
        raise Conflict(f"The folder '{desk.place.folder.path}' already has a secret '{draft.key}'.")
    secret = Secret(id=uuid4(), folder_id=desk.place.folder.id, key=draft.key, version=1, created_at=desk.now)
    value = draft.value if draft.value is not None else SecretStr("")
    _write(desk, secret, value, draft.comment)
    desk.session.add(secret)
    desk.session.flush()
    _keep_version(desk, secret, value)
    _label(desk, secret, draft)
    return secret


def _label(desk: Desk, secret: Secret, draft: Draft) -> None:
    """Give the secret the labels of *draft*. They go to no destination, so no sync follows."""
    if draft.tag_ids is not None:
        known = {tag.id for tag in labels.list_tags(desk.session, desk.place.project.id)}
        for tag_id in draft.tag_ids:
            if tag_id not in known:
                raise InvalidInput(f"The project has no tag with the id {tag_id}.", field=("tagIds",))
        labels.replace_tags(desk.session, secret.id, draft.tag_ids)
    if draft.metadata is not None:
        labels.replace_metadata(desk.session, secret.id, draft.metadata)


def change(desk: Desk, draft: Draft) -> tuple[Secret, list[str]]:
    """Carry *draft* out on a secret that exists, and return it with the keys that changed by it."""
    secret = _existing(desk, draft.key)
    _label(desk, secret, draft)
    before = _value_before(desk, secret, draft)
    value = draft.value if draft.value is not None else before or SecretStr("")
    comment = draft.comment
    if comment is None:
        comment = open_comment(secret, desk.place, desk.data_key)
    renamed = draft.new_key is not None and draft.new_key != draft.key
    if value == before and not renamed:
        _write_comment(desk, secret, comment)
        return secret, []
    if renamed:
        _rename(desk, secret, draft.new_key or "")
    new_version(desk, secret, value, comment)
    return secret, sorted({draft.key, secret.key})


def new_version(desk: Desk, secret: Secret, value: SecretStr, comment: SecretStr | None) -> None:
    """Give *secret*, which lies at *desk*, this value and comment, and remember them as its next version."""
    secret.version += 1
    _write(desk, secret, value, comment)
    desk.session.flush()
    _keep_version(desk, secret, value)


def _value_before(desk: Desk, secret: Secret, draft: Draft) -> SecretStr | None:
    """Return the present value, or None if it cannot be decrypted and a new one replaces it anyway."""
    try:
        return open_value(secret, desk.place, desk.data_key)
    except CryptoError:
        if draft.value is None:
            raise
        return None


def _rename(desk: Desk, secret: Secret, new_key: str) -> None:
    if desk.find(new_key) is not None:
        raise Conflict(f"The folder '{desk.place.folder.path}' already has a secret '{new_key}'.")
    secret.key = new_key


def _write(desk: Desk, secret: Secret, value: SecretStr, comment: SecretStr | None) -> None:
    """Seal value and comment to the key and version that *secret* has now."""
    secret.value = desk.data_key.seal(value, *value_place(*desk.address(), secret.key, secret.version))
    _write_comment(desk, secret, comment)


def _write_comment(desk: Desk, secret: Secret, comment: SecretStr | None) -> None:
    secret.updated_at = desk.now
    if comment is None:
        secret.comment = None
    else:
        secret.comment = desk.data_key.seal(comment, *comment_place(*desk.address(), secret.key))


def _keep_version(desk: Desk, secret: Secret, value: SecretStr) -> None:
    desk.session.add(
        SecretVersion(
            secret_id=secret.id,
            version=secret.version,
            key=secret.key,
            value=secret.value,
            created_at=desk.now,
            created_by=desk.actor,
        )
    )
    vault.replace_references(desk.session, secret.id, references.folders_named(value))


def _existing(desk: Desk, key: str) -> Secret:
    secret = desk.find(key)
    if secret is None:
        raise NotFound(f"The folder '{desk.place.folder.path}' has no secret '{key}'.")
    return secret


def note_change(desk: Desk, keys: Sequence[str]) -> None:
    """Let the syncs that show this folder follow, if the transaction succeeds."""
    place = desk.place
    change_events.record(
        desk.session, place.project.id, place.environment.slug, place.folder.path, keys, now=desk.now
    )


# --- what may be stored --------------------------------------------------------------------------------


def _check(drafts: Sequence[Draft]) -> None:
    for draft in drafts:
        check_draft(draft)
    places = [(draft.path, draft.key) for draft in drafts]
    if len(set(places)) < len(places):
        raise InvalidInput("A secret may be named only once in a batch.", field=("secrets",))


def check_draft(draft: Draft) -> None:
    """Raise ``InvalidInput`` if *draft* cannot be stored as it is."""
    check_key(draft.key)
    if draft.new_key is not None:
        check_key(draft.new_key)
    _check_value(draft)


def check_key(key: str) -> None:
    """Raise ``InvalidInput`` if *key* cannot be the name of a secret."""
    if not 1 <= len(key) <= MAX_KEY_CHARACTERS:
        raise InvalidInput(
            f"A secret's name has between 1 and {MAX_KEY_CHARACTERS} characters.", field=("secretName",)
        )
    if any(character in ":/=" or character.isspace() or not character.isprintable() for character in key):
        raise InvalidInput(
            "A secret's name may not hold ':', '/', '=', spaces or control characters.", field=("secretName",)
        )


def _check_value(draft: Draft) -> None:
    if draft.value is not None and not _fits(draft.value, MAX_VALUE_BYTES):
        raise InvalidInput(
            f"The value of '{draft.key}' cannot be stored: a value is text without NUL characters, of at "
            f"most {MAX_VALUE_BYTES} bytes.",
            field=("secretValue",),
        )
    if draft.comment is not None and not _fits(draft.comment, MAX_COMMENT_BYTES):
        raise InvalidInput(
            f"A comment is text without NUL characters, of at most {MAX_COMMENT_BYTES} bytes.",
            field=("secretComment",),
        )


def _fits(value: SecretStr, limit: int) -> bool:
    text = value.get_secret_value()
    try:
        return len(text.encode()) <= limit and "\0" not in text
    except UnicodeEncodeError:
        # Half of a surrogate pair: not a text that any service could take.
        return False
