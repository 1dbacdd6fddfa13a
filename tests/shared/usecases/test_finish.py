"""How a run ended is recorded where people look for it."""

from datetime import timedelta

import pytest

from shared.db.connections import Connection
from shared.db.jobs import JobStatus
from shared.db.syncs import Status
from shared.errors import CredentialsRejected, RateLimited, Unavailable
from shared.usecases.claim import Claim, claim
from shared.usecases.dispatch import dispatch
from shared.usecases.finish import Ending, finish
from shared.usecases.outcome import Outcome
from shared.usecases.sync_status import MAX_MESSAGE
from tests.shared.usecases.world import World


@pytest.fixture
def running(world: World) -> Claim:
    """A run that was just begun."""
    world.sync()
    claimed = claim(world.runtime, world.broker.sent.pop().ids[0])
    assert claimed is not None
    return claimed


def connection(world: World) -> Connection:
    with world.runtime.database.snapshot() as session:
        return session.get_one(Connection, world.connection_id)


def test_a_run_that_went_through_succeeded(world: World, running: Claim) -> None:
    outcome = Outcome(created=["A"], updated=["B", "C"], unchanged=4)

    finish(running, outcome, Ending.done(outcome))

    [job] = world.jobs(running.sync.id)
    assert job.status == JobStatus.SUCCEEDED
    assert (job.created_count, job.updated_count, job.deleted_count, job.unchanged_count) == (1, 2, 0, 4)
    assert (job.finished_at, job.lease_expires_at) == (world.clock.now, None)
    assert world.state(running.sync.id).last_synced_at == world.clock.now


def test_a_run_that_left_keys_out_failed_and_names_them(world: World, running: Claim) -> None:
    outcome = Outcome(created=["A"], refused={"C": "too long"}, missing={"B": "not ours"})

    finish(running, outcome, Ending.done(outcome))

    state = world.state(running.sync.id)
    assert state.sync_status == Status.FAILED
    assert state.last_sync_message == "2 of 3 keys could not be brought in line. B: not ours; C: too long."
    assert world.jobs(running.sync.id)[0].details["refused"] == {"B": "not ours", "C": "too long"}


def test_what_each_attempt_did_is_added_up(world: World, running: Claim) -> None:
    error = RateLimited(retry_after=1)
    finish(running, Outcome(created=["A"]), Ending.again("later", timedelta(seconds=1), error))
    world.clock.advance(seconds=2)
    second = claim(world.runtime, running.job_id)
    assert second is not None

    finish(second, Outcome(created=["B", "C"]), Ending.done(Outcome()))

    assert world.jobs(running.sync.id)[0].created_count == 3


def test_a_long_message_is_cut_to_what_the_wire_takes(world: World, running: Claim) -> None:
    finish(running, Outcome(), Ending.failed("x" * 5000))

    message = world.state(running.sync.id).last_sync_message or ""
    assert (len(message), message[-1]) == (MAX_MESSAGE, "…")


def test_a_rate_limit_is_remembered_on_the_connection(world: World, running: Claim) -> None:
    wait = timedelta(seconds=30)

    finish(running, Outcome(), Ending.again("later", wait, RateLimited(retry_after=30)))

    assert connection(world).blocked_until == world.clock.now + wait


def test_what_is_learnt_about_old_credentials_is_not_held_against_new_ones(
    world: World, running: Claim
) -> None:
    with world.runtime.database.transaction() as session:
        session.get_one(Connection, world.connection_id).version += 1

    finish(running, Outcome(), Ending.failed("no", CredentialsRejected()))

    assert connection(world).status == "connected"


def test_a_run_that_is_over_is_not_recorded_twice(world: World, running: Claim) -> None:
    finish(running, Outcome(), Ending.done(Outcome()))

    assert finish(running, Outcome(), Ending.failed("too late")) == []

    assert world.state(running.sync.id).sync_status == Status.SUCCEEDED


@pytest.mark.parametrize("ending", [Ending.done(Outcome()), Ending.failed("no"), Ending.stopped("changed")])
def test_a_run_of_the_sync_as_it_was_does_not_speak_for_the_sync_as_it_is(
    world: World, running: Claim, ending: Ending
) -> None:
    world.put(A="${staging.GONE}")
    world.change(running.sync.id, destination_config=world.config("svc-worker"))
    world.work()
    told = world.state(running.sync.id)
    assert told.sync_status == Status.FAILED

    finish(running, Outcome(), ending)

    now = world.state(running.sync.id)
    assert (now.sync_status, now.last_sync_message) == (told.sync_status, told.last_sync_message)
    assert (now.last_sync_job_id, now.last_synced_at) == (told.last_sync_job_id, None)


def test_a_retry_is_waited_for_although_an_edit_queued_a_newer_job(world: World, running: Claim) -> None:
    world.put(A="1")
    dispatch(world.runtime)
    wait = timedelta(seconds=60)

    finish(running, Outcome(), Ending.again("no answer", wait, Unavailable("no answer")))
    world.broker.sent.clear()
    world.later(50)
    early = dict(world.held())
    world.later(11)

    assert (early, world.held()) == ({}, {"A": "1"})


def test_a_run_that_ends_after_a_pause_leaves_nothing_that_looks_under_way(
    world: World, running: Claim
) -> None:
    world.change(running.sync.id, is_paused=True)

    finish(running, Outcome(), Ending.done(Outcome()))

    assert world.state(running.sync.id).sync_status == Status.FAILED
