"""What the destinations should hold, worked out from the committed rows, apart from the code under test.

After each commit the oracle notes what every sync wants. A run may only write what its sync wanted at one
moment of that run: nearly every promise follows from comparing writes with this history.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from pydantic import SecretStr

from shared.crypto import CryptoError, DataKey, Keyring, value_place
from tests.simulation.database import rows
from tests.simulation.targets import Target, by_key

_REFERENCE = re.compile(r"\$\{([^}]+)\}")
_KEY = "{{secretKey}}"

#: Environment slug and folder path.
Folder = tuple[str, str]


class Unreadable(Exception):
    """A secret has no value that could be sent anywhere."""


@dataclass(frozen=True, slots=True)
class Intent:
    """What a sync wants, from commit number ``since`` on.

    ``desired`` is what its destination should hold; None while the source cannot be read: its folder is
    gone, or the keys in ``unreadable`` are to blame.
    """

    since: int
    target: Target
    generation: int
    is_paused: bool
    is_auto: bool
    options: Mapping[str, Any]
    source: Folder | None
    desired: Mapping[str, str] | None
    unreadable: frozenset[str] = frozenset()

    def covers(self, key: str) -> bool:
        """Does the key schema produce *key*?"""
        prefix, suffix = str(self.options.get("keySchema", _KEY)).split(_KEY)
        return key.startswith(prefix) and key.endswith(suffix) and len(key) > len(prefix + suffix)

    @property
    def may_delete(self) -> bool:
        return not self.options.get("disableSecretDeletion", False)

    @property
    def deletes_unmanaged(self) -> bool:
        return bool(self.options.get("deleteUnmanaged", True))


@dataclass
class Oracle:
    """The history of what each sync wants. A deleted sync ends with None."""

    keyring: Keyring
    commits: int = 0
    intents: dict[UUID, list[Intent | None]] = field(default_factory=dict)
    ended: dict[UUID, int] = field(default_factory=dict)
    fingerprints: dict[str, str] = field(default_factory=dict)
    _opened: dict[bytes, str | None] = field(default_factory=dict)
    _data_key: DataKey | None = None

    def look(self, *, by_a_worker: bool) -> None:
        """Note what the commit that just happened changed. Workers change no wishes, they only end them."""
        self.commits += 1
        if not by_a_worker:
            vault = self._read_vault()
            for row in rows("SELECT * FROM syncs"):
                self._note(UUID(row["id"]), self._intent(row, vault))
        live = {UUID(row["id"]) for row in rows("SELECT id FROM syncs")}
        for sync_id in self.intents.keys() - live - self.ended.keys():
            self.intents[sync_id].append(None)
            self.ended[sync_id] = self.commits

    def current(self, sync_id: UUID) -> Intent | None:
        """Return what the sync wants now; None if it is gone."""
        return self.intents[sync_id][-1]

    def between(self, sync_id: UUID, first: int, last: int) -> list[Intent]:
        """Return what the sync wanted at any moment from commit *first* to commit *last*."""
        history = [each for each in self.intents[sync_id] if each is not None and each.since <= last]
        begun = [position for position, each in enumerate(history) if each.since <= first]
        return history[begun[-1] if begun else 0 :]

    def at(self, sync_id: UUID, commit: int) -> Intent | None:
        """Return what the sync wanted at commit *commit*; None if it was gone by then."""
        if self.ended.get(sync_id, commit + 1) <= commit:
            return None
        return next((each for each in reversed(self.intents[sync_id]) if each and each.since <= commit), None)

    def fingerprint(self, value: str) -> str:
        """Return what the ledger has for *value*."""
        if value not in self.fingerprints:
            assert self._data_key is not None
            self.fingerprints[value] = self._data_key.fingerprint(SecretStr(value))
        return self.fingerprints[value]

    # --- the source ------------------------------------------------------------------------------------

    def _note(self, sync_id: UUID, intent: Intent) -> None:
        history = self.intents.setdefault(sync_id, [])
        if not history or history[-1] != replace(intent, since=history[-1].since if history[-1] else 0):
            history.append(intent)

    def _intent(self, row: Any, vault: "Vault") -> Intent:
        options = json.loads(row["sync_options"])
        source = vault.folders.get(row["folder_id"])
        intent = Intent(
            since=self.commits,
            target=by_key()[row["destination_key"]],
            generation=row["generation"],
            is_paused=bool(row["is_paused"]),
            is_auto=bool(row["is_auto_sync_enabled"]),
            options=options,
            source=source,
            desired=None,
        )
        if source is None:
            return intent
        rendered, unreadable = vault.render(source)
        if unreadable:
            return replace(intent, unreadable=frozenset(unreadable))
        schema = str(options.get("keySchema", _KEY))
        return replace(intent, desired={schema.replace(_KEY, key): text for key, text in rendered.items()})

    def _read_vault(self) -> "Vault":
        slugs = {row["id"]: row["slug"] for row in rows("SELECT id, slug FROM environments")}
        found = rows("SELECT id, environment_id, path FROM folders ORDER BY environment_id, path")
        vault = Vault({row["id"]: (slugs[row["environment_id"]], row["path"]) for row in found})
        ids = {row["id"]: (row["environment_id"], row["id"]) for row in found}
        for row in rows("SELECT folder_id, key, version, value FROM secrets"):
            place = (*map(UUID, ids[row["folder_id"]]), row["key"], row["version"])
            vault.secrets.setdefault(vault.folders[row["folder_id"]], {})[row["key"]] = self._open(row, place)
        for row in rows("SELECT folder_id, environment_id, path FROM secret_imports ORDER BY position"):
            shown = (slugs[row["environment_id"]], row["path"])
            vault.imports.setdefault(vault.folders[row["folder_id"]], []).append(shown)
        return vault

    def _open(self, row: Any, place: tuple[Any, ...]) -> str | None:
        sealed = row["value"]
        if sealed not in self._opened:
            project = rows("SELECT id, data_key FROM projects")[0]
            self._data_key = self._data_key or self.keyring.unwrap(project["data_key"])
            try:
                opened = self._data_key.open(sealed, *value_place(UUID(project["id"]), *place))
                self._opened[sealed] = opened.get_secret_value()
            except CryptoError:
                self._opened[sealed] = None
        return self._opened[sealed]


@dataclass
class Vault:
    """All folders, what lies in them and what they import, values in plain; None is undecryptable."""

    folders: dict[str, Folder]
    secrets: dict[Folder, dict[str, str | None]] = field(default_factory=dict)
    imports: dict[Folder, list[Folder]] = field(default_factory=dict)

    def render(self, folder: Folder) -> tuple[dict[str, str], set[str]]:
        """Return what *folder* shows, and the keys that cannot be shown."""
        rendered, unreadable = {}, set()
        for key, home in self._visible(folder, ()).items():
            try:
                rendered[key] = self._expand(home, key, ())
            except Unreadable:
                unreadable.add(key)
        return rendered, unreadable

    def _visible(self, folder: Folder, trail: tuple[Folder, ...]) -> dict[str, Folder]:
        if folder in trail or folder not in self.folders.values():
            return {}
        shown: dict[str, Folder] = {}
        for imported in self.imports.get(folder, []):
            shown |= self._visible(imported, (*trail, folder))
        return shown | dict.fromkeys(self.secrets.get(folder, {}), folder)

    def _expand(self, folder: Folder, key: str, trail: tuple[tuple[Folder, str], ...]) -> str:
        text = self.secrets.get(folder, {}).get(key)
        if text is None or (folder, key) in trail:
            raise Unreadable
        return _REFERENCE.sub(
            lambda found: self._refer(found[1], folder, found[0], (*trail, (folder, key))), text
        )

    def _refer(self, name: str, holder: Folder, text: str, trail: tuple[tuple[Folder, str], ...]) -> str:
        *where, key = name.split(".")
        folder = (where[0], "/" + "/".join(where[1:])) if where else holder
        # A folder also shows what it imports.
        home = self._visible(folder, ()).get(key, folder)
        if not where and key not in self.secrets.get(home, {}):
            return text
        return self._expand(home, key, trail)
