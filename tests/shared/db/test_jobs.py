"""Queueing under real concurrency: the two partial indexes carry the weight."""

from datetime import timedelta
from uuid import UUID

import pytest

from shared.db import jobs, syncs
from shared.db.jobs import Job, JobStatus, Kind, Request, Trigger
from shared.errors import Conflict
from tests.shared.usecases.world import World, together
from tests.support import is_sqlite

CHANGE = Request(Kind.SYNC, Trigger.CHANGE)


def enqueue(world: World, sync_id: UUID, request: Request = CHANGE) -> UUID:
    with world.runtime.database.transaction() as session:
        sync = syncs.lock(session, sync_id)
        assert sync is not None
        return jobs.enqueue(session, sync, request, now=world.clock.now)


def row(world: World, job_id: UUID) -> Job:
    with world.runtime.database.snapshot() as session:
        return session.get_one(Job, job_id)


def test_wishes_at_once_become_one_job(world: World) -> None:
    sync_id = world.sync(auto=False)
    ids: list[UUID] = []

    together([lambda: ids.append(enqueue(world, sync_id))] * 6)

    assert len(ids) == 6
    assert len(set(ids)) == world.waiting() == 1


def test_wishes_at_once_become_one_job_even_without_a_lock_on_the_sync(world: World) -> None:
    sync = world.state(world.sync(auto=False))
    ids: list[UUID] = []

    def wish() -> None:
        with world.runtime.database.transaction() as session:
            ids.append(jobs.enqueue(session, sync, CHANGE, now=world.clock.now))

    together([wish] * 6)

    assert len(ids) == 6
    assert len(set(ids)) == world.waiting() == 1


def test_each_kind_waits_for_itself(world: World) -> None:
    sync_id = world.sync(auto=False)

    ids = {enqueue(world, sync_id, Request(kind, Trigger.MANUAL)) for kind in Kind}

    assert len(ids) == 3


def test_a_destination_has_at_most_one_running_job(world: World) -> None:
    first = enqueue(world, world.sync("one", auto=False, keySchema="A_{{secretKey}}"))
    second = enqueue(world, world.sync("two", auto=False, keySchema="B_{{secretKey}}"))
    refused: list[Conflict] = []

    def start(job_id: UUID) -> None:
        try:
            with world.runtime.database.transaction() as session:
                job = session.get_one(Job, job_id)
                job.lease_expires_at = world.clock.now
                job.status = JobStatus.RUNNING
        except Conflict as error:
            refused.append(error)

    together([lambda: start(first), lambda: start(second)])

    assert len(refused) == 1
    assert {row(world, first).status, row(world, second).status} == {JobStatus.QUEUED, JobStatus.RUNNING}


def test_the_more_urgent_wish_decides(world: World) -> None:
    sync_id = world.sync(auto=False)
    job_id = enqueue(world, sync_id, Request(Kind.SYNC, Trigger.RECONCILE))

    enqueue(world, sync_id)
    assert row(world, job_id).trigger == Trigger.CHANGE
    enqueue(world, sync_id, Request(Kind.SYNC, Trigger.RECONCILE))
    assert row(world, job_id).trigger == Trigger.CHANGE


@pytest.mark.parametrize(
    ("trigger", "attempt", "at_once"),
    [
        (Trigger.RECONCILE, 11, False),
        (Trigger.CHANGE, 6, False),
        (Trigger.MANUAL, 0, True),
        (Trigger.UPDATE, 0, True),
    ],
)
def test_something_new_has_more_attempts_and_only_a_person_does_not_wait(
    world: World, trigger: Trigger, attempt: int, at_once: bool
) -> None:
    sync_id = world.sync(auto=False)
    job_id = enqueue(world, sync_id)
    later = world.clock.now + timedelta(minutes=5)
    with world.runtime.database.transaction() as session:
        job = session.get_one(Job, job_id)
        job.attempt, job.run_after = 11, later

    enqueue(world, sync_id, Request(Kind.SYNC, trigger))

    assert row(world, job_id).attempt == attempt
    assert row(world, job_id).run_after == (world.clock.now if at_once else later)


def hand_over(world: World, older: Trigger, newer: Trigger) -> Job:
    """Let the job *older*, which failed five times, leave its work to *newer*; return that one."""
    now = world.clock.now
    sync_id = world.sync(auto=False)
    job_id = enqueue(world, sync_id, Request(Kind.SYNC, older, changed_at=now, options={"approvePlan": "x"}))
    run(world, job_id)
    successor = enqueue(world, sync_id, Request(Kind.SYNC, newer, changed_at=now + timedelta(seconds=1)))
    with world.runtime.database.transaction() as session:
        job = session.get_one(Job, job_id)
        job.attempt = 5
        jobs.hand_over(job, session.get_one(Job, successor))
    return row(world, successor)


@pytest.mark.parametrize(
    ("older", "newer", "trigger", "attempt"),
    [
        (Trigger.MANUAL, Trigger.CHANGE, Trigger.MANUAL, 5),
        (Trigger.CHANGE, Trigger.RECONCILE, Trigger.CHANGE, 5),
        (Trigger.CHANGE, Trigger.CHANGE, Trigger.CHANGE, 0),
        (Trigger.RECONCILE, Trigger.MANUAL, Trigger.MANUAL, 0),
    ],
)
def test_work_is_handed_on_whole(
    world: World, older: Trigger, newer: Trigger, trigger: Trigger, attempt: int
) -> None:
    successor = hand_over(world, older, newer)

    assert (successor.trigger, successor.attempt) == (trigger, attempt)
    assert (successor.changed_at, successor.options) == (world.clock.now, {"approvePlan": "x"})


def test_the_oldest_edit_is_remembered(world: World) -> None:
    sync_id = world.sync(auto=False)
    older, newer = world.clock.now, world.clock.now + timedelta(seconds=5)
    job_id = enqueue(world, sync_id, Request(Kind.SYNC, Trigger.CHANGE, changed_at=newer))

    enqueue(world, sync_id, Request(Kind.SYNC, Trigger.CHANGE, changed_at=older))
    enqueue(world, sync_id, Request(Kind.SYNC, Trigger.MANUAL))

    assert row(world, job_id).changed_at == older


# --- which are due -------------------------------------------------------------------------------------


def due(world: World, *, per_connection: int = 4, limit: int = 10) -> list[UUID]:
    with world.runtime.database.snapshot() as session:
        found = jobs.due(session, world.clock.now, per_connection=per_connection, limit=limit)
        return [job.id for job in found]


def run(world: World, job_id: UUID) -> None:
    with world.runtime.database.transaction() as session:
        job = session.get_one(Job, job_id)
        job.lease_expires_at, job.status = world.clock.now, JobStatus.RUNNING


def test_the_most_urgent_is_due_first(world: World) -> None:
    reconcile = enqueue(world, world.sync("one", auto=False), Request(Kind.SYNC, Trigger.RECONCILE))
    change = enqueue(world, world.sync("two", service="svc-worker", auto=False))
    manual = enqueue(world, world.sync("three", service=None, auto=False), Request(Kind.SYNC, Trigger.MANUAL))

    assert due(world) == [manual, change, reconcile]


def test_what_waits_for_its_destination_is_not_due(world: World) -> None:
    sync_id = world.sync(auto=False)
    run(world, enqueue(world, sync_id))
    enqueue(world, sync_id)

    assert due(world) == []


def test_a_busy_connection_does_not_crowd_out_the_others(world: World) -> None:
    run(world, enqueue(world, world.sync("busy", auto=False)))
    enqueue(world, world.sync("waiting", service="svc-worker", auto=False))
    other = enqueue(
        world, world.sync("other", service=None, auto=False, connection_id=world.connect("other"))
    )

    assert due(world, per_connection=1, limit=1) == [other]


# --- history -------------------------------------------------------------------------------------------


def test_pruning_passes_over_what_somebody_else_holds(world: World) -> None:
    sync_id = world.sync()
    world.work()
    database = world.runtime.database
    if is_sqlite(database):
        pytest.skip("SQLite has one writer at a time")

    with database.transaction() as holder:
        jobs.lock(holder, world.jobs(sync_id)[0].id)
        with database.transaction() as session:
            assert jobs.delete_finished_before(session, world.clock.now + timedelta(days=1)) == 0

    with database.transaction() as session:
        assert jobs.delete_finished_before(session, world.clock.now + timedelta(days=1)) == 1
