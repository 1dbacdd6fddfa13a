"""Which keys a sync may delete, which it has to, and which are somebody else's."""

import json
from dataclasses import dataclass, field
from uuid import UUID

from tests.simulation.database import rows
from tests.simulation.oracle import Intent, Oracle
from tests.simulation.runs import State
from tests.simulation.targets import Target


@dataclass
class Rights:
    """Follows from what syncs wanted, and from what was there when they were pointed to a destination."""

    oracle: Oracle
    _found: dict[tuple[UUID, int], dict[str, str]] = field(default_factory=dict)
    _settled: set[tuple[UUID, int]] = field(default_factory=set)

    # --- deleting --------------------------------------------------------------------------------------

    def may_delete(self, sync_id: UUID, wish: Intent, key: str) -> bool:
        """May a sync that wants *wish* delete *key*, which its source does not have?"""
        if not (wish.may_delete and wish.covers(key)):
            return False
        if key in self.managed(sync_id, wish.target):
            return True
        is_spared = not wish.deletes_unmanaged or wish.target.spares_hidden
        return not is_spared and not self.was_there_first(sync_id, wish, key)

    def must_delete(self, sync_id: UUID, wish: Intent, key: str) -> bool:
        """Has a sync that wants *wish* to delete *key*? Where it spares strangers, only what it remembers."""
        if not self.may_delete(sync_id, wish, key):
            return False
        if key in surely_ours(sync_id, wish.target):
            return True
        is_spared = not wish.deletes_unmanaged or wish.target.spares_hidden
        return not is_spared and key not in not_imported(sync_id)

    def leaves(self, sync_id: UUID, wish: Intent, key: str) -> bool:
        """Does *key* stay as it is because an import could not take it over, and its source says no more?"""
        spared = not_imported(sync_id)
        if key not in spared or key in surely_ours(sync_id, wish.target):
            return False
        value = (wish.desired or {}).get(key)
        overwrites = wish.behavior == "overwrite-destination"
        return not value or (not overwrites and self.oracle.fingerprint(value) == spared[key])

    def managed(self, sync_id: UUID, target: Target) -> set[str]:
        """Return every key that the sync ever wanted at *target*."""
        return {
            key
            for each in self.oracle.line(sync_id, target)
            for wish in self.oracle.intents[each]
            if wish and wish.target == target
            for key in wish.desired or ()
        }

    def foreign(self, sync_id: UUID, target: Target) -> set[str]:
        """Return the keys that other syncs wrote at *target*, and can still write there."""
        query = "SELECT sync_id, key FROM ledger WHERE destination_key = ? AND sync_id <> ?"
        found = rows(query, target.key, sync_id.hex)
        wishes = {row["sync_id"]: self.oracle.current(UUID(row["sync_id"])) for row in found}
        return {
            row["key"]
            for row in found
            if (wish := wishes[row["sync_id"]]) and wish.target == target and wish.vault_key(row["key"])
        }

    # --- what was there first --------------------------------------------------------------------------

    def was_there_first(self, sync_id: UUID, wish: Intent, key: str) -> bool:
        """Is *key* what an importing sync found, and its source never had?"""
        stay = self.oracle.stay(sync_id, wish)
        imports = all(each.behavior != "overwrite-destination" and each.covers(key) for each in stay)
        return imports and key in self._found.get((sync_id, stay[0].since), {})

    def overrides(self, sync_id: UUID, wish: Intent, key: str) -> bool:
        """Is *key* not to be written: an importing sync that lets the destination win found a value there?

        What somebody put into the source since is newer than that, and so is what was imported.
        """
        if (sync_id, self.oracle.stay(sync_id, wish)[0].since) in self._settled:
            return False
        stay = self.oracle.stay(sync_id, wish)
        imports = all(each.behavior == "import-prioritize-destination" and each.covers(key) for each in stay)
        found = self._found.get((sync_id, stay[0].since), {}).get(key)
        wanted = {(each.desired or {}).get(key) for each in stay}
        is_old = len(wanted) == 1 and found not in wanted
        return imports and bool(found) and (is_old or not any(wanted))

    def settle(self, sync_id: UUID, wish: Intent) -> None:
        """Note that somebody imported by hand and let the source win: the destination does no more."""
        self._settled.add((sync_id, self.oracle.stay(sync_id, wish)[0].since))

    def wishes_changed(self, states: dict[Target, State]) -> None:
        """Remember what is there now for each sync that was just pointed to its destination."""
        for sync_id, history in self.oracle.intents.items():
            wish = history[-1]
            if wish is not None and wish.since == self.oracle.commits:
                began = self.oracle.stay(sync_id, wish)[0].since
                if began == wish.since:
                    self._found[sync_id, began] = dict(states[wish.target])

    def state_changed(self, target: Target, state: State) -> None:
        """Forget what is no longer there: whoever writes it again is not the first any more."""
        for (sync_id, began), found in self._found.items():
            wish = self.oracle.at(sync_id, began)
            if wish is not None and wish.target == target:
                for key in found.keys() - state.keys():
                    del found[key]


def remembered(sync_id: UUID, target: Target) -> frozenset[str]:
    """Return the keys that the ledger says the sync wrote at *target*."""
    query = "SELECT key FROM ledger WHERE sync_id = ? AND destination_key = ?"
    return frozenset(row["key"] for row in rows(query, sync_id.hex, target.key))


def surely_ours(sync_id: UUID, target: Target) -> frozenset[str]:
    """Return those of them that are not somebody else's for as long as nobody knows whether we wrote them."""
    query = "SELECT key, fingerprint, stamp FROM ledger WHERE sync_id = ? AND destination_key = ?"
    return frozenset(
        row["key"]
        for row in rows(query, sync_id.hex, target.key)
        if row["fingerprint"] or not (row["stamp"] or "").startswith("before our write")
    )


def not_imported(sync_id: UUID) -> dict[str, str | None]:
    """Return the keys that an import could not take over, with the fingerprints of the source's values then.

    They may be more than we know of, never less.
    """
    found = rows("SELECT spared_keys FROM syncs WHERE id = ?", sync_id.hex)
    return {key: then for row in found for key, then in json.loads(row["spared_keys"]).items()}
