"""What the destinations should hold, worked out from the committed rows, apart from the code under test.

After each commit the oracle notes what every sync wants. A run may only write what its sync wanted at one
moment of that run: nearly every promise follows from comparing writes with this history.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any
from uuid import UUID

from pydantic import SecretStr

from shared.crypto import CryptoError, DataKey, Keyring, value_place
from tests.simulation.database import rows
from tests.simulation.targets import Target, by_key
from tests.simulation.vault import Folder, Vault

_KEY = "{{secretKey}}"
#: What the name of a sync that stands for a left destination begins with is the name of the one that left.
_LEFT = "-old-"


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
    environment: str
    source: Folder | None
    desired: Mapping[str, str] | None = None
    unreadable: frozenset[str] = frozenset()

    def remote_key(self, key: str) -> str:
        """Return what the destination calls the vault's *key*."""
        return _KEY.join(self._around()).replace(_KEY, key)

    def vault_key(self, remote_key: str) -> str | None:
        """Return the vault's name for *remote_key*, None if the key schema cannot produce it."""
        prefix, suffix = self._around()
        fits = remote_key.startswith(prefix) and remote_key.endswith(suffix)
        if not fits or len(remote_key) <= len(prefix + suffix):
            return None
        return remote_key[len(prefix) : len(remote_key) - len(suffix)]

    def covers(self, remote_key: str) -> bool:
        """Is that key of the destination in the scope of the sync: its key schema and its filters?"""
        key = self.vault_key(remote_key)
        return key is not None and self.lets_through(key)

    def lets_through(self, key: str) -> bool:
        """Do the filters let the vault's *key* through?"""
        return not any(fnmatchcase(key, pattern) for pattern in self.options.get("excludeKeys", ()))

    @property
    def may_delete(self) -> bool:
        return not self.options.get("disableSecretDeletion", False)

    @property
    def deletes_unmanaged(self) -> bool:
        return bool(self.options.get("deleteUnmanaged", True))

    @property
    def is_recursive(self) -> bool:
        return bool(self.options.get("recursive", False))

    @property
    def behavior(self) -> str:
        """What its first run does with what it finds."""
        return str(self.options["initialSyncBehavior"])

    @property
    def reconcile_mode(self) -> str:
        return str(self.options.get("reconcileMode", "repair"))

    @property
    def deletion_limit(self) -> int:
        return int(self.options.get("deletionLimitPercent", 30))

    def _around(self) -> tuple[str, str]:
        schema = str(self.options.get("keySchema", _KEY)).replace("{{environment}}", self.environment)
        prefix, suffix = schema.split(_KEY)
        return prefix, suffix


@dataclass
class Oracle:
    """The history of what each sync wants. A deleted sync ends with None.

    ``vaults`` are the last two states of the vault, the newer one last.
    """

    keyring: Keyring
    commits: int = 0
    intents: dict[UUID, list[Intent | None]] = field(default_factory=dict)
    ended: dict[UUID, int] = field(default_factory=dict)
    fingerprints: dict[str, str] = field(default_factory=dict)
    vaults: tuple[Vault, Vault] = field(default_factory=lambda: (Vault({}), Vault({})))
    _forebears: dict[UUID, UUID] = field(default_factory=dict)
    _opened: dict[bytes, str | None] = field(default_factory=dict)
    _versions: int = 0
    _data_key: DataKey | None = None

    def look(self, *, by_a_worker: bool) -> bool:
        """Note what the commit that just happened changed, and return whether the vault was looked at.

        All that workers do to wishes is to import secrets, and to end syncs.
        """
        self.commits += 1
        versions = rows("SELECT count(*) FROM secret_versions")[0][0]
        concerns_wishes = not by_a_worker or versions != self._versions
        if concerns_wishes:
            self._versions = versions
            self._look_at_wishes()
        live = {UUID(row["id"]) for row in rows("SELECT id FROM syncs")}
        for sync_id in self.intents.keys() - live - self.ended.keys():
            self.intents[sync_id].append(None)
            self.ended[sync_id] = self.commits
        return concerns_wishes

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

    def stay(self, sync_id: UUID, wish: Intent) -> list[Intent]:
        """Return what the sync wanted from when it was pointed to the target of *wish* until it left."""
        stay: list[Intent] = []
        for each in self.intents[sync_id]:
            if each is None or each.target != wish.target:
                if wish in stay:
                    break
                stay = []
            else:
                stay.append(each)
        return stay

    def line(self, sync_id: UUID, target: Target) -> Iterator[UUID]:
        """Yield the sync and, if it stands for *target*, which another one left, that one, and so on."""
        found: UUID | None = sync_id
        while found is not None:
            yield found
            first = self.intents[found][0]
            found = self._forebears.get(found) if first and first.target == target else None

    def fingerprint(self, value: str) -> str:
        """Return what the ledger has for *value*."""
        if value not in self.fingerprints:
            assert self._data_key is not None
            self.fingerprints[value] = self._data_key.fingerprint(SecretStr(value))
        return self.fingerprints[value]

    # --- the wishes ------------------------------------------------------------------------------------

    def _look_at_wishes(self) -> None:
        slugs = {row["id"]: row["slug"] for row in rows("SELECT id, slug FROM environments")}
        vault = self._read_vault(slugs)
        self.vaults = (self.vaults[1], vault)
        found = rows("SELECT * FROM syncs")
        names = {row["name"]: UUID(row["id"]) for row in found}
        for row in found:
            sync_id = UUID(row["id"])
            former, is_left, _ = row["name"].rpartition(_LEFT)
            if is_left and sync_id not in self.intents and former in names:
                self._forebears[sync_id] = names[former]
            self._note(sync_id, self._intent(row, vault, slugs))

    def _note(self, sync_id: UUID, intent: Intent) -> None:
        history = self.intents.setdefault(sync_id, [])
        if not history or history[-1] != replace(intent, since=history[-1].since if history[-1] else 0):
            history.append(intent)

    def _intent(self, row: Any, vault: Vault, slugs: Mapping[str, str]) -> Intent:
        intent = Intent(
            since=self.commits,
            target=by_key()[row["destination_key"]],
            generation=row["generation"],
            is_paused=bool(row["is_paused"]),
            is_auto=bool(row["is_auto_sync_enabled"]),
            options=json.loads(row["sync_options"]),
            environment=slugs[row["environment_id"]],
            source=vault.folders.get(row["folder_id"]),
        )
        if intent.source is None:
            return intent
        rendered, unreadable = vault.render(intent.source, recursive=intent.is_recursive)
        if unreadable:
            return replace(intent, unreadable=frozenset(unreadable))
        shown = {intent.remote_key(key): text for key, text in rendered.items() if intent.lets_through(key)}
        return replace(intent, desired=shown)

    # --- the source ------------------------------------------------------------------------------------

    def _read_vault(self, slugs: Mapping[str, str]) -> Vault:
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
