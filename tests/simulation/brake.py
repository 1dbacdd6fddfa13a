"""Which runs a person has to approve first, and what was approved."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.simulation.oracle import Intent
from tests.simulation.rights import Rights
from tests.simulation.runs import Run, State


@dataclass
class Brake:
    """Works out what a run would lose, apart from the code under test.

    ``asked`` is, by the hash of each plan that was blocked, everything that this plan can have been about
    to lose.
    """

    rights: Rights
    asked: dict[str, set[str]] = field(default_factory=dict)

    def lost(self, run: Run, wish: Intent, state: State) -> set[str]:
        """Return the keys of *state* that would be deleted or emptied by a run that wants *wish*."""
        desired = wish.desired or {}
        foreign = self.rights.foreign(run.sync_id, run.target)
        deleted = {
            key
            for key in state.keys() - desired.keys() - foreign
            if self.rights.must_delete(run.sync_id, wish, key)
        }
        emptied = {key for key in state if desired.get(key) == "" and state[key]}
        return deleted | {key for key in emptied if not self.rights.leaves(run.sync_id, wish, key)}

    def blocks(self, run: Run, wish: Intent, state: State) -> bool:
        """Has a run that wants *wish*, and finds *state*, to wait for an approval?"""
        desired, lost = wish.desired or {}, self.lost(run, wish, state)
        in_scope = len(lost | (state.keys() & desired.keys()))
        limit, unmanaged = wish.deletion_limit, lost - run.ours
        is_a_lot = len(lost) >= 10 or len(unmanaged) >= 5 or not limit
        is_much = is_a_lot and len(lost) * 100 > in_scope * limit
        is_all = len(lost) > 1 and len(lost) == in_scope
        is_emptied = bool(lost) and not desired
        # Nobody can read these back, and nobody but their author knows them.
        is_for_good = not run.target.lists_values and bool(unmanaged)
        return is_much or is_all or is_emptied or is_for_good

    def note(self, run: Run, plan_hash: str, wishes: Iterable[Intent], states: Iterable[State]) -> None:
        """Remember what the plan that was just blocked was about to lose."""
        found = list(states)
        keys = {key for wish in wishes for state in found for key in self.lost(run, wish, state)}
        self.asked.setdefault(plan_hash, set()).update(keys)
