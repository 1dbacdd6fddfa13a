"""Reading a source: a folder's secrets, what it imports, and the references inside their values.

A secret that cannot be read is never left out: what is missing here would be deleted at the destination.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from pydantic import SecretStr
from sqlalchemy.orm import Session

from shared.crypto import CryptoError, DataKey, comment_place, value_place
from shared.db import vault
from shared.db.vault import Environment, Folder, Project, Secret, SecretImport
from shared.errors import SourceUnreadable
from shared.references import Address, Unresolvable, expand, keys_named
from shared.usecases.places import Place

#: How many imports may follow one another.
MAX_IMPORT_DEPTH = 10


@dataclass(frozen=True, slots=True)
class SourceSecret:
    """A secret as a folder shows it. ``address`` is where it really lies."""

    key: str
    value: SecretStr
    version: int
    address: Address


@dataclass(frozen=True, slots=True)
class Source:
    """All that a folder shows, by key, and what a person should know about it."""

    secrets: Mapping[str, SourceSecret]
    warnings: tuple[str, ...] = ()

    def changed_since(self, before: "Source") -> set[str]:
        """Return the keys that were created, changed or deleted since *before* was read."""
        keys = self.secrets.keys() | before.secrets.keys()
        return {key for key in keys if self._state(key) != before._state(key)}

    def _state(self, key: str) -> tuple[Address, int] | None:
        secret = self.secrets.get(key)
        return (secret.address, secret.version) if secret else None


def open_value(secret: Secret, place: Place, data_key: DataKey) -> SecretStr:
    """Return the value of *secret*, which lies in *place*. Raises ``CryptoError``."""
    ids = (place.project.id, place.environment.id, place.folder.id)
    return data_key.open(secret.value, *value_place(*ids, secret.key, secret.version))


def open_comment(secret: Secret, place: Place, data_key: DataKey) -> SecretStr | None:
    """Return the comment of *secret*, or None if it has none or it cannot be read any more."""
    if secret.comment is None:
        return None
    ids = (place.project.id, place.environment.id, place.folder.id)
    try:
        return data_key.open(secret.comment, *comment_place(*ids, secret.key))
    except CryptoError:
        # A comment goes nowhere: losing one must not stop a secret.
        return None


def read_source(session: Session, data_key: DataKey, place: Place, *, recursive: bool = False) -> Source:
    """Return what *place* shows, expanded; with *recursive* also what every folder below it shows.

    Raises ``SourceUnreadable`` naming each key and why, also those that two folders have.
    """
    reader = VaultReader(session, data_key, place.project)
    secrets: dict[str, SourceSecret] = {}
    warnings: list[str] = []
    shown, failed = shown_by(reader, place, recursive=recursive)
    # What such an import would show is unknown, and would be deleted at the destination.
    failed |= reader.broken_imports
    for key, address in shown.items():
        try:
            expanded = expand(address, reader)
        except CryptoError:
            failed[key] = "it cannot be decrypted"
        except Unresolvable as error:
            failed[key] = error.reason
        else:
            warnings += expanded.warnings
            secrets[key] = SourceSecret(key, expanded.value, reader.version(address), address)
    if failed:
        raise SourceUnreadable(failed)
    return Source(secrets, tuple(dict.fromkeys(warnings)))


def shown_by(
    reader: "VaultReader", place: Place, *, recursive: bool
) -> tuple[Mapping[str, Address], dict[str, str]]:
    """Return where each key lies that *place* shows, and those that cannot be told apart, with the reason."""
    slug = place.environment.slug
    if not recursive:
        return reader.visible(slug, place.folder.path), {}
    found: dict[str, dict[Address, str]] = {}
    for folder in vault.list_subtree(reader.session, place.folder):
        for key, address in reader.visible(slug, folder.path).items():
            found.setdefault(key, {}).setdefault(address, folder.path)
    conflicts = {
        key: "it is in several folders: " + ", ".join(places.values())
        for key, places in found.items()
        if len(places) > 1
    }
    return {key: next(iter(found[key])) for key in found.keys() - conflicts.keys()}, conflicts


@dataclass(frozen=True, slots=True)
class _Shown:
    """What a folder shows, and how many imports follow one another below it.

    Whole means that no circle and no limit was met below: seen from elsewhere, it is the same as long as its
    height fits in. A folder that is whole leads to none that leads back to it.
    """

    keys: Mapping[str, Address]
    height: int
    is_whole: bool


@dataclass
class VaultReader:
    """A project's vault in one snapshot; each folder is read once. Serves ``references.Vault``."""

    session: Session
    data_key: DataKey
    project: Project
    _places: dict[tuple[str, str], Place | None] = field(default_factory=dict)
    _secrets: dict[UUID, dict[str, Secret]] = field(default_factory=dict)
    _imports: dict[UUID, Sequence[SecretImport]] = field(default_factory=dict)
    _shown: dict[tuple[str, str], _Shown] = field(default_factory=dict)
    _visible: dict[tuple[str, str], Mapping[str, Address]] = field(default_factory=dict)
    _environments: dict[str, Environment] | None = None
    #: Imports that could not be followed, as far as they were come across, and why.
    broken_imports: dict[str, str] = field(default_factory=dict)

    def visible(self, environment: str, path: str) -> Mapping[str, Address]:
        """Return where each key that a folder shows really lies.

        Its own secrets beat its imports, a later import beats an earlier one; a circle is cut.
        """
        here = (environment, path)
        if here not in self._visible:
            self._visible[here] = self._show(here, ()).keys
        return self._visible[here]

    def _show(self, here: tuple[str, str], trail: tuple[tuple[str, str], ...]) -> _Shown:
        known = self._shown.get(here)
        if known is not None and len(trail) + known.height <= MAX_IMPORT_DEPTH:
            return known
        place = self._place(*here)
        if place is None or here in trail:
            return _Shown({}, 0, is_whole=place is None)
        keys: dict[str, Address] = {}
        height, is_whole = 0, True
        for row in self._imports_of(place.folder):
            slug = self._slug(row.environment_id)
            why_broken = self._why_broken(slug, row.path, len(trail))
            if why_broken:
                self.broken_imports[f"the import of {row.path} of {slug}"] = why_broken
                is_whole = is_whole and self._place(slug, row.path) is None
                continue
            below = self._show((slug, row.path), (*trail, here))
            keys |= below.keys
            height, is_whole = max(height, below.height + 1), is_whole and below.is_whole
        keys |= {key: Address(*here, key) for key in self._in_folder(place.folder)}
        shown = _Shown(keys, height, is_whole=is_whole)
        if is_whole:
            self._shown[here] = shown
        return shown

    def _why_broken(self, environment: str, path: str, depth: int) -> str | None:
        if self._place(environment, path) is None:
            return "that folder does not exist any more"
        if depth >= MAX_IMPORT_DEPTH:
            return f"more than {MAX_IMPORT_DEPTH} imports in a row are not followed"
        return None

    def keys_referred_to(self, environment: str, path: str) -> dict[Address, set[str]]:
        """Return for each secret in a folder the keys that its value means in that same folder."""
        place = self._place(environment, path)
        found = {}
        for key in self._in_folder(place.folder) if place else ():
            holder = Address(environment, path, key)
            try:
                value = self.value(holder)
            except CryptoError:
                continue
            found[holder] = keys_named(value) if value is not None else set()
        return found

    def version(self, address: Address) -> int:
        """Return the version of the secret at *address*."""
        place = self._place(address.environment, address.path)
        return self._in_folder(place.folder)[address.key].version if place else 0

    def has_environment(self, slug: str) -> bool:
        return slug in self._by_slug()

    def origin(self, address: Address) -> Address:
        return self.visible(address.environment, address.path).get(address.key, address)

    def value(self, address: Address) -> SecretStr | None:
        place = self._place(address.environment, address.path)
        secret = self._in_folder(place.folder).get(address.key) if place else None
        return open_value(secret, place, self.data_key) if secret and place else None

    def _place(self, environment: str, path: str) -> Place | None:
        here = (environment, path)
        if here not in self._places:
            row = self._by_slug().get(environment)
            folder = vault.find_folder(self.session, row.id, path) if row else None
            self._places[here] = Place(self.project, row, folder) if row and folder else None
        return self._places[here]

    def _imports_of(self, folder: Folder) -> Sequence[SecretImport]:
        if folder.id not in self._imports:
            self._imports[folder.id] = vault.list_imports(self.session, folder.id)
        return self._imports[folder.id]

    def _in_folder(self, folder: Folder) -> dict[str, Secret]:
        if folder.id not in self._secrets:
            rows = vault.list_secrets(self.session, folder.id)
            self._secrets[folder.id] = {row.key: row for row in rows}
        return self._secrets[folder.id]

    def _by_slug(self) -> dict[str, Environment]:
        if self._environments is None:
            rows = vault.list_environments(self.session, self.project.id)
            self._environments = {row.slug: row for row in rows}
        return self._environments

    def _slug(self, environment_id: UUID) -> str:
        return next(slug for slug, row in self._by_slug().items() if row.id == environment_id)
