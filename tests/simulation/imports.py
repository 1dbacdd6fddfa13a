"""What an import may do to the vault, and what it has to take over."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.simulation.oracle import Intent, Oracle
from tests.simulation.rights import Rights
from tests.simulation.runs import Run, State
from tests.simulation.vault import Folder, Vault

#: What an import has to keep to.
IMPORT = "an import only adds, and misses nothing"


@dataclass
class Imports:
    """Compares the vault before and after a worker's commit with what the destination held."""

    oracle: Oracle
    rights: Rights
    breaks: Callable[[str, str], None]

    def check(self, run: Run, seen: Sequence[State]) -> None:
        """Look at what the run's own commit did to the vault, the destination having been in *seen*."""
        wish = self.oracle.at(run.sync_id, self.oracle.commits)
        before, after = self.oracle.vaults
        if run.import_behavior is None or wish is None:
            self.breaks(IMPORT, f"{run} changed the vault although it is no import")
            return
        for folder in before.folders.values():
            self._check_kept(run, wish, folder, before, after)
        for folder in after.folders.values():
            self._check_added(run, wish, folder, before, after, seen)

    def _check_kept(self, run: Run, wish: Intent, folder: Folder, before: Vault, after: Vault) -> None:
        held, holds = before.secrets.get(folder, {}), after.secrets.get(folder, {})
        for key in held:
            if key not in holds:
                self.breaks(IMPORT, f"{run} took {key} out of {folder}")
            elif held[key] and not holds[key]:
                self.breaks(IMPORT, f"{run} emptied {key} of {folder}")
            elif held[key] != holds[key] and run.import_behavior == "import-prioritize-source":
                self.breaks(IMPORT, f"{run} changed {key} of {folder}, which has priority")

    def _check_added(
        self, run: Run, wish: Intent, folder: Folder, before: Vault, after: Vault, seen: Sequence[State]
    ) -> None:
        held, holds = before.secrets.get(folder, {}), after.secrets.get(folder, {})
        for key, value in holds.items():
            if held.get(key) == value:
                continue
            remote_key = wish.remote_key(key)
            if folder != wish.source or not wish.covers(remote_key):
                self.breaks(IMPORT, f"{run} wrote {key} of {folder}, which is out of its scope")
            elif not any(state.get(remote_key) == value for state in seen):
                self.breaks(IMPORT, f"{run} wrote {key}={value}, which the destination never held")

    def check_complete(self, run: Run, window: Sequence[Intent], seen: Sequence[State]) -> None:
        """Look whether an import that says it succeeded took over all that it could."""
        if not run.target.shows_values:
            return
        always = set.intersection(*(set(state) for state in seen))
        for key in sorted(always - self.rights.foreign(run.sync_id, run.target)):
            values = {state[key] for state in seen}
            importable = not any("${" in value for value in values)
            if importable and all(wish.covers(key) for wish in window):
                self._check_taken_over(run, window, key, values)

    def _check_taken_over(self, run: Run, window: Sequence[Intent], key: str, values: set[str]) -> None:
        shown = [wish.desired[key] for wish in window if wish.desired and key in wish.desired]
        if not shown:
            self.breaks(IMPORT, f"{run} succeeded without {key}")
        # An empty value never replaces one that is there, and an edit meanwhile is newer.
        is_edited = len({(wish.desired or {}).get(key) for wish in window}) > 1
        wins = run.import_behavior == "import-prioritize-destination" and all(values) and not is_edited
        if wins and not values & set(shown):
            self.breaks(IMPORT, f"{run} succeeded, and the vault has {shown} for {key} instead of {values}")
