"""The promises, watched while things happen: every commit, every call, every change at a destination."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from tests.fakes.service import FakeService
from tests.simulation.database import SimulatedDatabase, rows
from tests.simulation.kernel import Kernel
from tests.simulation.oracle import Intent, Oracle
from tests.simulation.targets import TARGETS, Target, by_key

State = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Broken:
    """A promise that was not kept, and how."""

    promise: str
    what: str

    def __str__(self) -> str:
        return f"{self.promise}: {self.what}"


@dataclass(frozen=True, slots=True)
class Edit:
    """What one call changed at one place. A value of None: the key is gone."""

    service: str
    place: str
    key: str
    value: str | None
    was_there: bool

    def __str__(self) -> str:
        return f"{self.service}:{self.place} {self.key}={self.value}"


@dataclass
class Run:
    """One attempt at a job, from its claim on. ``checked`` is the commit of its last look at the lease."""

    job_id: UUID
    sync_id: UUID
    fence: int
    kind: str
    target: Target
    generation: int
    approved: bool
    claimed: int
    checked: int
    holds: bool = True
    may_call: bool = True
    has_deleted: bool = False
    excluded: set[int] = field(default_factory=set)
    confirmed: set[tuple[str, str]] = field(default_factory=set)

    def __str__(self) -> str:
        return f"job {str(self.job_id)[:8]} (fence {self.fence}) to {self.target}"


@dataclass
class Watch:
    """Watches everybody. ``broken`` is the first promise that was not kept."""

    kernel: Kernel
    database: SimulatedDatabase
    oracle: Oracle
    services: Mapping[str, FakeService]
    broken: Broken | None = None
    minted_in_vain: set[str] = field(default_factory=set)
    _working: dict[str, UUID] = field(default_factory=dict)
    _runs: dict[str, Run] = field(default_factory=dict)
    _fences: dict[UUID, int] = field(default_factory=dict)
    _writing: dict[str, Run] = field(default_factory=dict)
    _latest: dict[tuple[Target, str], int] = field(default_factory=dict)
    _wrote: dict[tuple[UUID, Target], set[str]] = field(default_factory=dict)
    _states: dict[Target, list[tuple[int, State]]] = field(default_factory=dict)

    def breaks(self, promise: str, what: str) -> None:
        """Note that a promise was not kept. Only the first one counts: others follow from it."""
        if self.broken is None:
            self.broken = Broken(promise, what)
            self.kernel.note(f"BROKEN {self.broken}")

    # --- workers ---------------------------------------------------------------------------------------

    def takes_up(self, job_id: UUID | None) -> None:
        """Note which job the present actor goes about now, None for anything else."""
        name = self._who()
        self._runs.pop(name, None)
        self._writing.pop(name, None)
        self._working.pop(name, None)
        if job_id is not None:
            self._working[name] = job_id

    def committed(self) -> None:
        """Look at what was committed just now."""
        name = self._who()
        self.oracle.look(by_a_worker=name.startswith("worker"))
        if name not in self._working:
            return
        job = next(iter(rows("SELECT * FROM jobs WHERE id = ?", self._working[name].hex)), None)
        if name not in self._runs and job is not None:
            self._note_claim(name, job)
        run = self._runs.get(name)
        if run is not None:
            self._follow(run, job)

    def _note_claim(self, name: str, job: Any) -> None:
        job_id = UUID(job["id"])
        if job["status"] != "running" or job["fence"] <= self._fences.get(job_id, 0) or not job["sync_id"]:
            return
        self._fences[job_id] = job["fence"]
        now = self.oracle.commits
        self._runs[name] = Run(
            job_id=job_id,
            sync_id=UUID(job["sync_id"]),
            fence=job["fence"],
            kind=job["kind"],
            target=by_key()[job["destination_key"]],
            generation=job["generation"],
            approved="approvePlan" in job["options"],
            claimed=now,
            checked=now,
            confirmed=self._confirmed(UUID(job["sync_id"]), job["destination_key"]),
        )
        self.kernel.note(f"claims {self._runs[name]}")

    def _follow(self, run: Run, job: Any) -> None:
        """Look at what the run's own transaction left behind."""
        run.checked, run.may_call = self.oracle.commits, True
        held_before = run.holds
        run.holds = job is not None and job["status"] == "running" and job["fence"] == run.fence
        if not held_before:
            return
        self._check_ledger(run)
        if job is not None and job["status"] == "succeeded" and job["fence"] == run.fence:
            self._check_success(run)

    # --- calls -----------------------------------------------------------------------------------------

    def call_begins(self, *, is_write: bool) -> None:
        """Look at a call that is about to be sent."""
        if self.database.is_open:
            self.breaks("no transaction is open while the network is", "a call was sent inside of one")
        run = self._runs.get(self._who())
        if run is None:
            return
        if not run.may_call:
            self.breaks("R11", f"{run} sent a call without looking at its lease")
        run.may_call = False
        if is_write:
            self._check_right_to_write(run)
            self._writing[self._who()] = run

    def call_ends(self) -> None:
        """Note that the call of the present actor can change nothing any more."""
        self._writing.pop(self._who(), None)

    def _check_right_to_write(self, run: Run) -> None:
        if not run.holds:
            self.breaks("R11", f"{run} writes although it lost its lease")
        wish = self.oracle.at(run.sync_id, run.checked)
        is_paused = wish is not None and wish.is_paused and run.kind != "remove"
        if wish is None or is_paused or wish.generation != run.generation or wish.target != run.target:
            self.breaks("R15", f"{run} writes although its sync was paused, changed or deleted")
        for other in self._writing.values():
            if other.target == run.target:
                self.breaks("R11", f"{run} and {other} write at the same time")

    def call_arrives(self, *, is_write: bool) -> None:
        """Look at a call in the moment it reaches the provider."""
        run = self._runs.get(self._who())
        if run is None or not is_write or not run.holds:
            return
        job = next(iter(rows("SELECT fence, lease_expires_at FROM jobs WHERE id = ?", run.job_id.hex)), None)
        if job is None:
            return
        now = self.kernel.clock.now.replace(tzinfo=None).isoformat(sep=" ")
        if job["fence"] != run.fence or (job["lease_expires_at"] or "") < now:
            self.breaks("R11", f"the lease of {run} was over when its write arrived")

    # --- what changes at the destinations --------------------------------------------------------------

    def applied(self, edits: list[Edit]) -> None:
        """Look at what a call changed."""
        self.remember_states()
        if not edits:
            return
        run = self._runs.get(self._who())
        self.kernel.note("changes " + ", ".join(map(str, edits)))
        if run is None:
            self.breaks("R2", f"{edits[0]} was changed outside of any run")
        elif any((edit.service, edit.place) != (run.target.service, run.target.place) for edit in edits):
            self.breaks("R2", f"{run} changed another destination: {', '.join(map(str, edits))}")
        elif run.kind == "remove":
            self._check_removal(run, edits)
        else:
            self._check_sync(run, edits)

    def remember_states(self) -> None:
        """Keep what the destinations hold now."""
        for target in TARGETS:
            state = self.services[target.service].places()[target.place]
            known = self._states.setdefault(target, [])
            if not known or known[-1][1] != state:
                known.append((self.oracle.commits, dict(state)))

    def _check_removal(self, run: Run, edits: list[Edit]) -> None:
        ours = self.managed(run.sync_id, run.target)
        for edit in edits:
            if edit.value is not None or edit.key not in ours:
                self.breaks("R2", f"{run} removes secrets and changed {edit}")

    def _check_sync(self, run: Run, edits: list[Edit]) -> None:
        window = [
            each
            for each in self.oracle.between(run.sync_id, run.claimed, self.oracle.commits)
            if each.target == run.target
        ]
        before = [each for each in window if each.since not in run.excluded]
        fitting = [each for each in before if all(self._fits(run, each, edit) for edit in edits)]
        run.excluded |= {each.since for each in window if each not in fitting}
        if not fitting:
            for edit in edits:
                self._explain(run, window, edit)
            self.breaks("R3", f"{run} mixed two states of its source: {', '.join(map(str, edits))}")
            return
        self._check_order(run, edits, fitting)
        self._wrote.setdefault((run.sync_id, run.target), set()).update(edit.key for edit in edits)

    def _check_order(self, run: Run, edits: list[Edit], fitting: list[Intent]) -> None:
        for edit in edits:
            if edit.value is not None and run.has_deleted:
                self.breaks("R7", f"{run} deleted first and wrote {edit} afterwards")
            newest, oldest = fitting[-1].since, fitting[0].since
            if newest < self._latest.get((run.target, edit.key), 0):
                self.breaks("R3", f"{run} wrote {edit} over something newer")
            self._latest[run.target, edit.key] = oldest
        run.has_deleted |= any(edit.value is None for edit in edits)
        if run.has_deleted and not run.approved and not any(each.desired for each in fitting):
            self.breaks("R14", f"{run} emptied its destination without anybody's approval")

    def _fits(self, run: Run, wish: Intent, edit: Edit) -> bool:
        """Is *edit* what a run would do that wants *wish*?"""
        if wish.desired is None:
            return False
        if edit.value is not None:
            return wish.desired.get(edit.key) == edit.value
        return edit.key not in wish.desired and self.may_delete(run.sync_id, wish, edit.key)

    def may_delete(self, sync_id: UUID, wish: Intent, key: str) -> bool:
        """May a sync that wants *wish* delete *key*, which its source does not have?"""
        spared = not wish.deletes_unmanaged or wish.target.spares_hidden
        is_ours = not spared or key in self.managed(sync_id, wish.target)
        return wish.may_delete and wish.covers(key) and is_ours

    def must_delete(self, sync_id: UUID, wish: Intent, key: str) -> bool:
        """Has a sync that wants *wish* to delete *key*? Where it spares strangers, only what it remembers."""
        if not self.may_delete(sync_id, wish, key):
            return False
        query = "SELECT 1 FROM ledger WHERE sync_id = ? AND destination_key = ? AND key = ?"
        is_known = bool(rows(query, sync_id.hex, wish.target.key, key))
        return is_known or (wish.deletes_unmanaged and not wish.target.spares_hidden)

    def managed(self, sync_id: UUID, target: Target) -> set[str]:
        """Return every key that the sync ever wanted at *target*."""
        history = self.oracle.intents[sync_id]
        return {key for each in history if each and each.target == target for key in each.desired or {}}

    def _explain(self, run: Run, window: list[Intent], edit: Edit) -> None:
        """Find the promise that *edit* breaks."""
        if edit.value is not None and any(token in edit.value for token in self.minted_in_vain):
            self.breaks("R5", f"{run} wrote {edit}, of an edit that was rolled back")
        if not any(each.covers(edit.key) for each in window):
            self.breaks("R2", f"{run} changed {edit}, which is out of its scope")
        if edit.value is None and not any(each.desired is not None for each in window):
            self.breaks("R8", f"{run} deleted {edit.key} although its source could not be read")
        if edit.value is None and all(edit.key in (each.desired or {}) for each in window):
            self.breaks("R7", f"{run} deleted {edit.key} although its source held it throughout")
        if edit.value is None and not any(self._fits(run, each, edit) for each in window):
            self.breaks("R2", f"{run} deleted {edit.key}, which it may not delete")
        if not any(self._fits(run, each, edit) for each in window):
            self.breaks("R3", f"{run} wrote {edit}, which its source did not hold during the run")

    # --- what is recorded ------------------------------------------------------------------------------

    def _confirmed(self, sync_id: UUID, destination_key: str) -> set[tuple[str, str]]:
        query = "SELECT key, fingerprint FROM ledger WHERE sync_id = ? AND destination_key = ?"
        found = rows(query + " AND fingerprint IS NOT NULL", sync_id.hex, destination_key)
        return {(row["key"], row["fingerprint"]) for row in found}

    def _check_ledger(self, run: Run) -> None:
        now = self._confirmed(run.sync_id, run.target.key)
        for key, fingerprint in sorted(now - run.confirmed):
            if not any(
                key in state and self.oracle.fingerprint(state[key]) == fingerprint
                for state in self._seen_during(run)
            ):
                self.breaks("R16", f"{run} confirmed {key} in the ledger, which the destination never held")
        run.confirmed = now

    def _check_success(self, run: Run) -> None:
        if run.kind == "remove":
            self._check_all_removed(run)
            return
        window = self.oracle.between(run.sync_id, run.claimed, self.oracle.commits)
        if not any(self._was_reached(run, wish) for wish in window):
            self.breaks("R16", f"{run} succeeded, but the destination never held what its source does")

    def _check_all_removed(self, run: Run) -> None:
        for key in sorted(self._wrote.get((run.sync_id, run.target), ())):
            if all(key in state for state in self._seen_during(run)) and key not in self.foreign(run):
                self.breaks("R16", f"{run} removed its secrets, but {key} was there all the time")

    def _was_reached(self, run: Run, wish: Intent) -> bool:
        if wish.desired is None or wish.target != run.target:
            return False
        states = list(self._seen_during(run))
        held = all(any(state.get(key) == value for state in states) for key, value in wish.desired.items())
        always = set.intersection(*(set(state) for state in states))
        left = always - wish.desired.keys() - self.foreign(run)
        return held and not any(self.must_delete(run.sync_id, wish, key) for key in left)

    def foreign(self, run: Run) -> set[str]:
        """Return the keys that other syncs wrote at the run's destination, and still want there."""
        query = "SELECT sync_id, key FROM ledger WHERE destination_key = ? AND sync_id <> ?"
        found = rows(query, run.target.key, run.sync_id.hex)
        wishes = {row["sync_id"]: self.oracle.current(UUID(row["sync_id"])) for row in found}
        return {
            row["key"]
            for row in found
            if (wish := wishes[row["sync_id"]]) and wish.target == run.target and wish.covers(row["key"])
        }

    def _seen_during(self, run: Run) -> Iterator[State]:
        """Yield every state that the destination was in since the run began."""
        known = self._states[run.target]
        for position, (_, state) in enumerate(known):
            is_last = position + 1 == len(known)
            if is_last or known[position + 1][0] >= run.claimed:
                yield state

    def _who(self) -> str:
        return self.kernel.current.name if self.kernel.current else "-"
