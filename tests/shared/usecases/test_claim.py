"""Leases and fences: at most one writer per destination, and none that lost its lease."""

from dataclasses import replace
from uuid import UUID

import pytest

from shared.backoff import MAX_ATTEMPTS
from shared.db import jobs
from shared.db.jobs import Job, JobStatus
from shared.db.syncs import Status
from shared.errors import LeaseLost, SyncChanged
from shared.usecases.claim import Claim, claim
from shared.usecases.dispatch import dispatch
from shared.usecases.finish import Ending, finish
from shared.usecases.outcome import Outcome
from shared.usecases.run_job import run_job
from shared.usecases.sweep import sweep, take_over_from
from tests.shared.usecases.world import World


def queued(world: World) -> UUID:
    """Create a sync and return the job that waits for it."""
    world.put(A="1")
    world.sync()
    world.broker.sent, hints = [], world.broker.sent
    return hints[-1].ids[0]


def take(world: World, job_id: UUID, worker: str = "") -> Claim:
    """Claim the job as the worker of that name."""
    settings = world.runtime.settings.model_copy(update={"worker_name": worker})
    claimed = claim(replace(world.runtime, settings=settings), job_id)
    assert claimed is not None
    return claimed


def lease_seconds(world: World) -> float:
    return world.runtime.settings.lease_seconds


def test_a_job_is_claimed_once(world: World) -> None:
    job_id = queued(world)
    take(world, job_id)

    assert claim(world.runtime, job_id) is None


def test_a_job_whose_time_has_not_come_stays_queued(world: World) -> None:
    job_id = queued(world)
    with world.runtime.database.transaction() as session:
        session.get_one(Job, job_id).run_after = world.clock.now.replace(year=2027)

    assert claim(world.runtime, job_id) is None


def test_a_job_that_does_not_exist_is_nothing_to_do(world: World) -> None:
    assert claim(world.runtime, world.project_id) is None


def test_a_destination_has_one_writer_at_a_time(world: World) -> None:
    world.put(A="1")
    world.sync("one", keySchema="ONE_{{secretKey}}")
    world.sync("two", keySchema="TWO_{{secretKey}}")
    first, second = (hint.ids[0] for hint in world.broker.sent if hint.ids)
    running = take(world, first)

    assert claim(world.runtime, second) is None

    assert finish(running, Outcome(), Ending.done(Outcome())) == [second]
    assert claim(world.runtime, second) is not None


def test_a_connection_runs_no_more_jobs_at_once_than_it_may(world: World) -> None:
    world.put(A="1")
    world.sync("one")
    world.sync("two", service="svc-worker")
    settings = world.runtime.settings.model_copy(update={"connection_concurrency": 1})
    runtime = replace(world.runtime, settings=settings)
    first, second = (hint.ids[0] for hint in world.broker.sent if hint.ids)

    assert claim(runtime, first) is not None
    assert claim(runtime, second) is None


def test_a_worker_that_died_keeps_no_place_on_the_connection(world: World) -> None:
    world.put(A="1")
    world.sync("one")
    world.sync("two", service="svc-worker")
    settings = world.runtime.settings.model_copy(update={"connection_concurrency": 1})
    runtime = replace(world.runtime, settings=settings)
    first, second = (hint.ids[0] for hint in world.broker.sent if hint.ids)
    assert claim(runtime, first) is not None

    world.clock.advance(seconds=lease_seconds(world) + 1)
    sweep(runtime)

    assert claim(runtime, second) is not None


def test_a_claim_that_meets_a_change_of_connection_leaves_the_job_for_its_next_hint(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = queued(world)
    other = jobs.Concerned(world.sync_ids()[0], world.connect("other"))
    with monkeypatch.context() as patch:
        patch.setattr("shared.db.jobs.concerns", lambda *_, **__: other)
        assert claim(world.runtime, job_id) is None

    assert claim(world.runtime, job_id) is not None


def test_a_run_under_way_renews_its_lease_with_every_call(world: World) -> None:
    running = take(world, queued(world))
    world.clock.advance(seconds=lease_seconds(world) - 1)

    running.hold()

    world.clock.advance(seconds=lease_seconds(world) - 1)
    sweep(world.runtime)
    running.hold()


def test_every_call_begins_with_lease_enough_for_the_longest_one(world: World) -> None:
    longest_call = 100
    running = take(world, queued(world))

    for _ in range(10):
        world.clock.advance(seconds=lease_seconds(world) / 16)
        running.hold()
        with world.runtime.database.transaction() as session:
            ends_at = session.get_one(Job, running.job_id).lease_expires_at
        assert ends_at is not None
        assert (ends_at - world.clock.now).total_seconds() >= longest_call


def test_a_hint_that_comes_late_waits_for_no_lock(world: World) -> None:
    job_id = queued(world)
    take(world, job_id)

    with world.runtime.database.snapshot() as session:
        assert jobs.concerns(session, job_id) is not None
        assert jobs.concerns(session, job_id, due_at=world.clock.now) is None


def test_a_job_whose_worker_died_is_taken_over_by_another(world: World) -> None:
    job_id = queued(world)
    take(world, job_id)

    world.later(lease_seconds(world) + 1)

    assert world.held() == {"A": "1"}


def test_a_job_that_kills_every_worker_is_given_up(world: World) -> None:
    job_id = queued(world)
    sync_id = world.sync_ids()[0]
    dispatch(world.runtime)

    for _ in range(MAX_ATTEMPTS):
        take(world, job_id)
        world.clock.advance(seconds=lease_seconds(world) + 1)
        sweep(world.runtime)

    assert world.state(sync_id).sync_status == Status.FAILED
    assert "The worker of each of its 12 attempts stopped" in (world.state(sync_id).last_sync_message or "")
    world.work()
    assert world.held() == {}


def test_a_job_whose_lease_holds_is_left_alone(world: World) -> None:
    take(world, queued(world))

    world.later(lease_seconds(world) - 1)

    assert world.held() == {}


def test_the_old_worker_writes_nothing_more_after_a_take_over(world: World) -> None:
    job_id = queued(world)
    old = take(world, job_id)
    world.clock.advance(seconds=lease_seconds(world) + 1)
    sweep(world.runtime)
    new = take(world, job_id)

    with pytest.raises(LeaseLost):
        old.hold()
    with pytest.raises(LeaseLost), old.writing():
        pass
    assert finish(old, Outcome(), Ending.failed("too late")) == []

    new.hold()
    assert new.fence == old.fence + 1


def test_a_run_that_hangs_until_it_is_taken_over_writes_nothing(world: World) -> None:
    job_id = queued(world)

    def somebody_else_does_it() -> None:
        world.clock.advance(seconds=lease_seconds(world) + 1)
        sweep(world.runtime)
        world.work()
        world.put(A="2")
        world.work()
        world.railway.forget_calls()

    world.meanwhile(somebody_else_does_it)
    run_job(world.runtime, job_id)

    assert world.railway.writes == []
    assert world.held() == {"A": "2"}


def test_a_job_that_was_freed_shows_as_pending(world: World) -> None:
    job_id = queued(world)
    sync_id = take(world, job_id).sync.id
    world.clock.advance(seconds=lease_seconds(world) + 1)

    sweep(world.runtime)

    assert world.state(sync_id).sync_status == Status.PENDING
    assert world.jobs(sync_id)[0].status == JobStatus.QUEUED


def test_a_freed_job_leaves_its_work_to_a_newer_one(world: World) -> None:
    job_id = queued(world)
    sync_id = take(world, job_id).sync.id
    world.trigger(sync_id)
    world.lose_hints()

    world.later(lease_seconds(world) + 1)

    assert world.held() == {"A": "1"}
    assert sorted(job.status for job in world.jobs(sync_id)) == [JobStatus.CANCELLED, JobStatus.SUCCEEDED]
    assert world.state(sync_id).sync_status == Status.SUCCEEDED


def test_a_freed_job_of_a_paused_sync_does_not_stay_pending(world: World) -> None:
    job_id = queued(world)
    sync_id = take(world, job_id).sync.id
    world.change(sync_id, is_paused=True)

    world.later(lease_seconds(world) + 1)

    assert world.state(sync_id).sync_status == Status.FAILED
    assert world.held() == {}


def test_a_freed_job_of_a_deleted_sync_just_ends(world: World) -> None:
    job_id = queued(world)
    world.delete(take(world, job_id).sync.id)

    world.later(lease_seconds(world) + 1)

    with world.runtime.database.snapshot() as session:
        assert session.get_one(Job, job_id).status == JobStatus.CANCELLED


def test_a_worker_that_is_back_takes_over_what_it_left_running(world: World) -> None:
    job_id = queued(world)
    take(world, job_id, worker="one")

    take_over_from(world.runtime, "one")

    world.work()
    assert world.held() == {"A": "1"}


def test_a_worker_that_is_back_leaves_the_jobs_of_others_alone(world: World) -> None:
    job_id = queued(world)
    running = take(world, job_id, worker="two")

    take_over_from(world.runtime, "one")

    running.hold()


def test_a_run_ends_when_its_sync_was_changed(world: World) -> None:
    running = take(world, queued(world))
    world.change(running.sync.id, environment="staging")

    with pytest.raises(SyncChanged):
        running.hold()


def test_a_job_that_failed_before_waits_when_many_such_run(world: World) -> None:
    world.put(A="1")
    world.sync("one")
    world.sync("two", service="svc-worker")
    first, second = (hint.ids[0] for hint in world.broker.sent if hint.ids)
    with world.runtime.database.transaction() as session:
        for job_id in (first, second):
            session.get_one(Job, job_id).attempt = 1
    settings = world.runtime.settings.model_copy(update={"worker_threads": 4})
    runtime = replace(world.runtime, settings=settings)

    assert claim(runtime, first) is not None
    assert claim(runtime, second) is None


def test_a_job_that_waited_holds_the_place_where_its_sync_writes_now(world: World) -> None:
    world.put(A="1")
    sync_id = world.sync(auto=False)
    world.trigger(sync_id)
    world.lose_hints()
    world.change(sync_id, destination_config=world.config("svc-worker"))

    world.later(1)

    [job] = world.jobs(sync_id)
    assert (job.status, job.destination_key) == (JobStatus.SUCCEEDED, world.state(sync_id).destination_key)
    assert world.held("svc-worker") == {"A": "1"}
