"""Does the simulation find bugs? Each of these is planted, and has to be found within a few seeds."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr
from sqlalchemy.orm import Session

from shared.broker import Task
from shared.db import change_events, jobs, ledger, syncs
from shared.db.jobs import Job, Kind, Trigger
from shared.errors import LeaseLost, SyncChanged
from shared.plan import Change, Create, Plan, Update
from shared.providers.base import Destination, Pulled
from shared.runtime import Runtime
from shared.usecases import edit_secrets, import_secrets, run_job, sync_secrets
from shared.usecases.claim import Claim
from shared.usecases.edit_secrets import Draft
from shared.usecases.outcome import Outcome
from shared.usecases.view import View
from tests.simulation.imports import IMPORT
from tests.simulation.promises import KEPT, REPORT
from tests.simulation.simulate import simulate

#: Seeds in which a planted bug has to show.
ENOUGH = 60


def is_found(promise: str, *, first: int = 0, enough: int = ENOUGH) -> bool:
    """Does one of the *enough* seeds from *first* on find that *promise* is broken?"""
    reports = (simulate(seed) for seed in range(first, first + enough))
    return any(report.broken is not None and report.broken.promise == promise for report in reports)


def test_a_fence_that_is_ignored_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def own(claim: Claim, session: Session) -> Job | None:
        return jobs.lock(session, claim.job_id)

    monkeypatch.setattr(Claim, "own", own)

    assert is_found("R11")


def test_a_ledger_written_before_the_push_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def push(
        claim: Claim, view: View, destination: Destination, batch: Sequence[Change], outcome: Outcome
    ) -> None:
        wanted = {change.key: change.desired for change in batch if isinstance(change, Create | Update)}
        with claim.writing() as session:
            ledger.confirm(
                session,
                claim.sync.id,
                claim.sync.destination_key,
                wanted.values(),
                fingerprints={key: view.data_key.fingerprint(wanted[key].value) for key in wanted},
                stamps={},
                now=claim.runtime.clock(),
            )
        pushed = destination.push(batch)
        outcome.pushed(batch, pushed.refused)

    monkeypatch.setattr(sync_secrets, "_push", push)

    assert is_found("R16")


def test_deletes_that_come_before_creates_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def apply(claim: Claim, view: View, destination: Destination, plan: Plan, outcome: Outcome) -> None:
        stages: list[Sequence[Change]] = [plan.deletes, (*plan.creates, *plan.updates)]
        for batch in stages:
            if batch:
                sync_secrets._push(claim, view, destination, batch, outcome)

    monkeypatch.setattr(sync_secrets, "_apply", apply)

    assert is_found("R7")


def test_a_change_event_committed_apart_from_its_edit_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    update = edit_secrets.update_secrets

    def update_apart(
        runtime: Runtime, project_id: UUID, environment: str, path: str, drafts: Sequence[Draft], **more: Any
    ) -> None:
        update(runtime, project_id, environment, path, drafts, **more)
        with runtime.database.transaction() as session:
            keys = [draft.key for draft in drafts]
            change_events.record(session, project_id, environment, path, keys, now=runtime.clock())
        runtime.broker.send(Task.DISPATCH)

    monkeypatch.setattr(edit_secrets, "note_change", lambda desk, keys: None)
    monkeypatch.setattr(edit_secrets, "update_secrets", update_apart)

    # A crash has to hit the moment between the two, and no later edit may make up for it: that is rare.
    assert is_found("R1", first=215, enough=5 * ENOUGH)


def test_a_lease_that_is_never_renewed_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def check(claim: Claim, session: Session) -> None:
        sync = syncs.lock(session, claim.sync.id)
        job = claim.own(session)
        if job is None:
            raise LeaseLost
        if sync is None or sync.generation != job.generation:
            raise SyncChanged

    monkeypatch.setattr(Claim, "_check", check)

    assert is_found("R11")


def test_an_import_that_misses_a_key_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    choose = import_secrets.choose

    def choose_all_but_one(*given: Any) -> dict[str, SecretStr]:
        return dict(sorted(choose(*given).items())[:-1])

    monkeypatch.setattr(import_secrets, "choose", choose_all_but_one)

    assert is_found(IMPORT)


def test_a_mirror_that_takes_what_could_not_be_imported_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = View.plan

    def plan_without_sparing(view: View, pulled: Pulled, destination: Destination) -> Plan:
        return plan(replace(view, spared=frozenset()), pulled, destination)

    monkeypatch.setattr(View, "plan", plan_without_sparing)

    assert is_found(KEPT)


def test_a_report_that_repairs_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def repair(claim: Claim, outcome: Outcome) -> None:
        sync_secrets.sync_secrets(replace(claim, trigger=Trigger.MANUAL), outcome)

    monkeypatch.setitem(run_job._CARRY_OUT, Kind.SYNC, repair)

    assert is_found(REPORT)


def test_an_approval_of_another_plan_that_counts_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    let_pass = sync_secrets._let_pass

    def let_anything_approved_pass(claim: Claim, plan: Plan) -> None:
        if "approvePlan" not in claim.job_options:
            let_pass(claim, plan)

    monkeypatch.setattr(sync_secrets, "_let_pass", let_anything_approved_pass)

    # Somebody has to approve one plan and meet another that loses more: that is rare.
    assert is_found("R14", first=105, enough=5 * ENOUGH)
