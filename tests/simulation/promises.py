"""The promises, watched while things happen: every commit, every call, every change at a destination."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from tests.fakes.service import FakeService
from tests.simulation.brake import Brake
from tests.simulation.database import SimulatedDatabase, rows
from tests.simulation.imports import Imports
from tests.simulation.kernel import Kernel
from tests.simulation.oracle import Intent, Oracle
from tests.simulation.rights import Rights, remembered
from tests.simulation.runs import Broken, Edit, Run, State
from tests.simulation.targets import TARGETS, Target, by_key

#: Promises that have no number of their own.
REPORT = "a report and an import write nothing"
KEPT = "a first import keeps what was there"


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
    _ours: dict[tuple[UUID, Target], set[str]] = field(default_factory=dict)
    _states: dict[Target, list[tuple[int, State]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rights = Rights(self.oracle)
        self.brake = Brake(self.rights)
        self.imports = Imports(self.oracle, self.rights, self.breaks)

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
        if self.oracle.look(by_a_worker=name.startswith("worker")):
            self._wishes_changed(name)
        if name not in self._working:
            return
        job = next(iter(rows("SELECT * FROM jobs WHERE id = ?", self._working[name].hex)), None)
        if name not in self._runs and job is not None:
            self._note_claim(name, job)
        run = self._runs.get(name)
        if run is not None:
            self._follow(run, job)

    def _wishes_changed(self, name: str) -> None:
        self.rights.wishes_changed({target: self._held(target) for target in TARGETS})
        run = self._runs.get(name)
        if run is not None:
            self.imports.check(run, list(self._seen_during(run)))

    def _note_claim(self, name: str, job: Any) -> None:
        job_id = UUID(job["id"])
        if job["status"] != "running" or job["fence"] <= self._fences.get(job_id, 0) or not job["sync_id"]:
            return
        self._fences[job_id] = job["fence"]
        self._runs[name] = run = self._run(job_id, UUID(job["sync_id"]), job)
        wish = self.oracle.at(run.sync_id, run.claimed)
        if wish is not None and run.kind == "import" and run.import_behavior == "import-prioritize-source":
            self.rights.settle(run.sync_id, wish)
        self.kernel.note(f"claims {self._runs[name]}")

    def _run(self, job_id: UUID, sync_id: UUID, job: Any) -> Run:
        now, options, target = (
            self.oracle.commits,
            json.loads(job["options"]),
            by_key()[job["destination_key"]],
        )
        wish = self.oracle.at(sync_id, now)
        reports = wish is not None and wish.reconcile_mode == "report"
        return Run(
            job_id=job_id,
            sync_id=sync_id,
            fence=job["fence"],
            kind=job["kind"],
            target=target,
            generation=job["generation"],
            approved=options.get("approvePlan"),
            only_reports=reports and job["trigger"] == "reconcile",
            import_behavior=options.get("importBehavior") or first_import(sync_id, wish),
            ours=remembered(sync_id, target),
            claimed=now,
            checked=now,
            confirmed=self._confirmed(sync_id, job["destination_key"]),
        )

    def _follow(self, run: Run, job: Any) -> None:
        """Look at what the run's own transaction left behind."""
        run.checked, run.may_call = self.oracle.commits, True
        held_before = run.holds
        run.holds = job is not None and job["status"] == "running" and job["fence"] == run.fence
        if not held_before:
            return
        self._check_ledger(run)
        if job is None or job["fence"] != run.fence:
            return
        if job["status"] == "succeeded":
            self._check_success(run)
        plan_hash = asked_hash(job["message"])
        if job["status"] == "failed" and plan_hash:
            self.brake.note(run, plan_hash, self._window(run), self._seen_during(run))

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
            if run.only_reports or run.kind == "import":
                self.breaks(REPORT, f"{run} writes to its destination")
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
        if edits:
            self.kernel.note("changes " + ", ".join(map(str, edits)))
            self._check_edits(edits)
        # Not before: what was there until now decides what may be changed.
        self.remember_states()

    def _check_edits(self, edits: list[Edit]) -> None:
        run = self._runs.get(self._who())
        if run is None:
            self.breaks("R2", f"{edits[0]} was changed outside of any run")
        elif any((edit.service, edit.place) != (run.target.service, run.target.place) for edit in edits):
            self.breaks("R2", f"{run} changed another destination: {', '.join(map(str, edits))}")
        elif run.kind == "remove":
            self._check_removal(run, edits)
        else:
            self._check_sync(run, edits, list(self._seen_during(run)))

    def remember_states(self) -> None:
        """Keep what the destinations hold now."""
        for target in TARGETS:
            state = self._held(target)
            known = self._states.setdefault(target, [])
            if not known or known[-1][1] != state:
                known.append((self.oracle.commits, dict(state)))
                self.rights.state_changed(target, state)

    def _held(self, target: Target) -> State:
        return self.services[target.service].places()[target.place]

    def _check_removal(self, run: Run, edits: list[Edit]) -> None:
        # What the ledger says, and that may only say what somebody wanted there.
        ours = run.ours & self.rights.managed(run.sync_id, run.target)
        for edit in edits:
            if edit.value is not None or edit.key not in ours:
                self.breaks("R2", f"{run} removes secrets and changed {edit}")

    def _check_sync(self, run: Run, edits: list[Edit], found: Sequence[State]) -> None:
        window = self._window(run)
        before = [each for each in window if each.since not in run.excluded]
        fitting = [each for each in before if all(self._fits(run, each, edit) for edit in edits)]
        run.excluded |= {each.since for each in window if each not in fitting}
        if not fitting:
            for edit in edits:
                self._explain(run, window, edit)
            self.breaks("R3", f"{run} mixed two states of its source: {', '.join(map(str, edits))}")
            return
        self._check_order(run, edits, fitting)
        self._check_losses(run, [edit for edit in edits if edit.is_loss], fitting, found)
        ours = self._ours.setdefault((run.sync_id, run.target), set())
        ours -= {edit.key for edit in edits if edit.value is None}
        # What was there before becomes ours only when the ledger has learnt that it was written.
        ours |= {edit.key for edit in edits if edit.before is None}

    def _check_order(self, run: Run, edits: list[Edit], fitting: list[Intent]) -> None:
        for edit in edits:
            if edit.value is not None and run.has_deleted:
                self.breaks("R7", f"{run} deleted first and wrote {edit} afterwards")
            newest, oldest = fitting[-1].since, fitting[0].since
            if newest < self._latest.get((run.target, edit.key), 0):
                self.breaks("R3", f"{run} wrote {edit} over something newer")
            self._latest[run.target, edit.key] = oldest
        run.has_deleted |= any(edit.value is None for edit in edits)

    def _check_losses(
        self, run: Run, losses: list[Edit], fitting: list[Intent], found: Sequence[State]
    ) -> None:
        """Look at what the run lost first: later ones were part of the same plan."""
        if not losses or run.has_lost:
            return
        run.has_lost = True
        if not all(self.brake.blocks(run, wish, state) for wish in fitting for state in found):
            return
        if run.approved is None:
            self.breaks("R14", f"{run} changed {losses[0]} without anybody's approval")
        elif not {edit.key for edit in losses} <= self.brake.asked.get(run.approved, set()):
            self.breaks("R14", f"{run} changed {losses[0]}, and another plan was approved")

    def _fits(self, run: Run, wish: Intent, edit: Edit) -> bool:
        """Is *edit* what a run would do that wants *wish*?"""
        if wish.desired is None:
            return False
        if edit.value is not None:
            is_wanted = wish.desired.get(edit.key) == edit.value
            return is_wanted and not self.rights.overrides(run.sync_id, wish, edit.key)
        return edit.key not in wish.desired and self.rights.may_delete(run.sync_id, wish, edit.key)

    def _window(self, run: Run) -> list[Intent]:
        """Return what the run's sync wanted at its destination at any moment since the claim."""
        wishes = self.oracle.between(run.sync_id, run.claimed, self.oracle.commits)
        return [each for each in wishes if each.target == run.target]

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
        if any(self._takes_what_was_there(run, each, edit) for each in window):
            self.breaks(KEPT, f"{run} changed {edit}, which it found")
        if edit.value is None and not any(self._fits(run, each, edit) for each in window):
            self.breaks("R2", f"{run} deleted {edit.key}, which it may not delete")
        if not any(self._fits(run, each, edit) for each in window):
            self.breaks("R3", f"{run} wrote {edit}, which its source did not hold during the run")

    def _takes_what_was_there(self, run: Run, wish: Intent, edit: Edit) -> bool:
        if edit.value is None:
            is_stranger = edit.key not in self.rights.managed(run.sync_id, run.target)
            return is_stranger and self.rights.was_there_first(run.sync_id, wish, edit.key)
        return self.rights.overrides(run.sync_id, wish, edit.key)

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
        self._ours.setdefault((run.sync_id, run.target), set()).update(key for key, _ in now - run.confirmed)
        run.confirmed = now

    def _check_success(self, run: Run) -> None:
        if run.kind == "remove":
            self._check_all_removed(run)
            return
        window = self._window(run)
        if run.import_behavior is not None:
            self.imports.check_complete(run, window, list(self._seen_during(run)))
        if run.kind == "sync" and not any(self._was_reached(run, wish) for wish in window):
            self.breaks("R16", f"{run} succeeded, but the destination never held what its source does")

    def _check_all_removed(self, run: Run) -> None:
        line = self.oracle.line(run.sync_id, run.target)
        ours = {key for each in line for key in self._ours.get((each, run.target), ())}
        for key in sorted(ours - self.rights.foreign(run.sync_id, run.target)):
            if all(key in state for state in self._seen_during(run)):
                self.breaks("R16", f"{run} removed its secrets, but {key} was there all the time")

    def _was_reached(self, run: Run, wish: Intent) -> bool:
        if wish.desired is None or wish.target != run.target:
            return False
        states = list(self._seen_during(run))
        held = all(any(state.get(key) == value for state in states) for key, value in wish.desired.items())
        always = set.intersection(*(set(state) for state in states))
        left = always - wish.desired.keys() - self.rights.foreign(run.sync_id, run.target)
        return held and not any(self.rights.must_delete(run.sync_id, wish, key) for key in left)

    def _seen_during(self, run: Run) -> Iterator[State]:
        """Yield every state that the destination was in since the run began."""
        known = self._states[run.target]
        for position, (_, state) in enumerate(known):
            is_last = position + 1 == len(known)
            if is_last or known[position + 1][0] >= run.claimed:
                yield state

    def _who(self) -> str:
        return self.kernel.current.name if self.kernel.current else "-"


def first_import(sync_id: UUID, wish: Intent | None) -> str | None:
    """Return how a run of the sync begins with an import, None if it was at this destination before."""
    row = rows("SELECT initialized_key, destination_key FROM syncs WHERE id = ?", sync_id.hex)[0]
    if wish is None or row["initialized_key"] == row["destination_key"]:
        return None
    return None if wish.behavior == "overwrite-destination" else wish.behavior


def asked_hash(message: str | None) -> str:
    """Return the hash of the plan that *message* asks to approve, nothing if it asks for none."""
    return (message or "").partition("approvePlan=")[2].split(".")[0]
