"""The main job, whole: edit a secret, and the destination has it; what happens when things go wrong."""

from collections.abc import Mapping

import pytest
from sqlalchemy import Update, update

from shared import backoff
from shared.db.connections import Connection
from shared.db.jobs import JobStatus, Kind, Trigger
from shared.db.syncs import Status, Sync
from shared.db.vault import Project
from shared.usecases.connections import get_connection
from shared.usecases.run_job import run_job
from tests.fakes.railway import Token
from tests.fakes.service import Drop, Fail, Fault, Reply, Request, Response
from tests.shared.usecases.world import PROVIDER, World


def is_write(request: Request) -> bool:
    return "mutation" in str((request.json or {}).get("query", ""))


def test_an_edit_arrives_at_the_destination(world: World) -> None:
    world.put(API_KEY="one")
    sync_id = world.sync()
    world.work()

    world.put(API_KEY="two", HOST="shop")
    world.work()

    assert world.held() == {"API_KEY": "two", "HOST": "shop"}
    assert world.state(sync_id).sync_status == Status.SUCCEEDED
    assert world.railway.violations == []


def test_a_job_tells_how_long_its_oldest_edit_took_to_arrive(world: World) -> None:
    world.put(A="1")
    sync_id = world.sync()
    world.work()
    world.put(A="2")
    edited_at = world.clock.now
    world.clock.advance(seconds=1)
    world.put(A="3")
    world.clock.advance(seconds=1)

    world.work()

    took = world.clock.now - edited_at
    assert took.total_seconds() >= 2
    assert world.jobs(sync_id)[0].latency_ms == round(took.total_seconds() * 1000)


def test_an_edit_that_did_not_arrive_took_no_time_yet(world: World) -> None:
    world.put(A="1")
    sync_id = world.sync()
    world.work()
    world.railway.fail_next(Fail(401), times=9)
    world.put(A="2")

    world.work()

    assert world.jobs(sync_id)[0].latency_ms is None


def test_a_job_can_be_delivered_any_number_of_times(world: World) -> None:
    world.put(A="1")
    sync_id = world.sync()
    job_id = world.broker.sent[-1].ids[0]
    world.work()
    world.railway.forget_calls()

    run_job(world.runtime, job_id)

    assert world.railway.calls == []
    assert len(world.jobs(sync_id)) == 1


def test_an_edit_during_a_run_gives_exactly_one_further_run(world: World) -> None:
    world.put(A="1")
    sync_id = world.sync()
    world.lose_hints()
    world.meanwhile(lambda: world.put(A="2"), at="Write")
    world.meanwhile(lambda: world.put(A="3"), at="Write")

    world.later(0)

    assert world.held() == {"A": "3"}
    assert [job.status for job in world.jobs(sync_id)] == [JobStatus.SUCCEEDED] * 2


def test_a_newer_job_that_waits_shows_as_pending(world: World) -> None:
    world.put(A="1")
    sync_id = world.sync()
    job_id = world.broker.sent[-1].ids[0]
    world.lose_hints()

    def edit() -> None:
        world.put(A="2")
        world.work()

    world.meanwhile(edit, at="Write")
    run_job(world.runtime, job_id)

    state = world.state(sync_id)
    assert (state.sync_status, state.last_sync_job_id) == (Status.PENDING, job_id)
    assert state.last_synced_at == world.clock.now
    world.work()
    assert world.state(sync_id).sync_status == Status.SUCCEEDED


# --- faults --------------------------------------------------------------------------------------------


def test_an_outage_is_waited_out(world: World) -> None:
    world.put(A="1")
    sync_id = world.sync()
    world.railway.fail_next(Fail(503))
    world.work()

    state = world.state(sync_id)
    assert state.sync_status == Status.PENDING
    assert state.last_sync_message is not None
    assert state.last_sync_message.startswith("Attempt 1 of 12 failed: Railway answered 503. Next try in")
    assert state.last_synced_at is None

    world.later(backoff.FIRST_WAIT)

    state = world.state(sync_id)
    assert (state.sync_status, state.last_sync_message) == (Status.SUCCEEDED, None)
    assert world.held() == {"A": "1"}
    assert world.jobs(sync_id)[0].attempt == 1


def test_the_last_attempt_that_fails_says_so(world: World) -> None:
    world.put(A="1")
    sync_id = world.sync()
    world.railway.fail_next(Fail(503), times=backoff.MAX_ATTEMPTS)

    world.work()
    for _ in range(backoff.MAX_ATTEMPTS - 1):
        world.later(backoff.LONGEST_WAIT)

    state = world.state(sync_id)
    assert state.sync_status == Status.FAILED
    assert state.last_sync_message == "All 12 attempts failed; the last one: Railway answered 503."
    world.later(backoff.LONGEST_WAIT)
    assert world.held() == {}


def test_a_person_who_triggers_a_failing_job_gets_all_attempts_at_once(world: World) -> None:
    world.put(A="1")
    sync_id = world.sync()
    world.railway.fail_next(Fail(503))
    world.work()

    world.trigger(sync_id)
    world.work()

    assert world.held() == {"A": "1"}
    assert [job.trigger for job in world.jobs(sync_id)] == [Trigger.MANUAL]


def test_a_rate_limit_keeps_every_job_of_the_connection_waiting(world: World) -> None:
    world.put(A="1")
    first = world.sync()
    second = world.sync("worker", service="svc-worker")
    world.railway.fail_next(
        Reply(Response(429, {"errors": [{"message": "slow down"}]}, {"Retry-After": "7"}))
    )
    world.work()
    world.railway.forget_calls()

    world.later(6)

    assert world.railway.calls == []
    assert world.state(first).sync_status == Status.PENDING
    world.later(2)
    assert world.held() == world.held("svc-worker") == {"A": "1"}
    assert world.state(second).sync_status == Status.SUCCEEDED


def test_an_exhausted_budget_stops_other_jobs_before_they_hit_the_limit(world: World) -> None:
    world.put(A="1")
    other = world.sync("worker", service="svc-worker", auto=False)
    world.railway.budget = 1
    world.sync()
    world.work()
    world.railway.forget_calls()

    world.trigger(other)
    world.work()

    assert world.railway.calls == []
    world.railway.budget = 1000
    world.later(3700)
    assert world.held("svc-worker") == {"A": "1"}


def test_rejected_credentials_are_not_tried_again(world: World) -> None:
    world.put(A="1")
    sync_id = world.sync()
    world.railway.fail_next(Fail(401))

    world.work()

    state, connection = world.state(sync_id), get_connection(world.runtime, PROVIDER, world.connection_id)
    assert state.sync_status == connection.status == Status.FAILED
    assert "Renew the credentials" in (connection.last_error or "")
    world.railway.forget_calls()
    world.later(backoff.LONGEST_WAIT)
    assert world.railway.calls == []


@pytest.mark.parametrize("status", [400, 403, 404])
def test_what_cannot_pass_by_itself_is_not_tried_again(world: World, status: int) -> None:
    world.put(A="1")
    sync_id = world.sync()
    world.railway.fail_next(Fail(status))

    world.work()
    world.railway.forget_calls()
    world.later(backoff.LONGEST_WAIT)

    assert world.railway.calls == []
    assert world.state(sync_id).sync_status == Status.FAILED
    assert "Railway" in (world.state(sync_id).last_sync_message or "")
    assert world.jobs(sync_id)[0].attempt == 0


def test_a_broken_connection_is_named_and_tried_again(world: World) -> None:
    world.put(A="1")
    sync_id = world.sync()
    world.railway.fail_next(Drop(applied=False))

    world.work()

    told = world.state(sync_id).last_sync_message or ""
    assert told.startswith("Attempt 1 of 12 failed: Railway did not answer (ReadError).")
    world.later(backoff.FIRST_WAIT)
    assert world.held() == {"A": "1"}


@pytest.mark.parametrize("fault", [Fail(503), Fail(401), Drop(applied=False)], ids=str)
def test_one_dead_destination_delays_no_other(world: World, fault: Fault) -> None:
    world.put(A="1")
    dead, alive = world.sync("dead"), world.sync("alive", service="svc-worker")
    world.work()
    world.railway.fail_next(fault, times=1000, where=lambda request: "svc-web" in request.body.decode())
    before = world.clock.now

    for number in range(20):
        world.put(A=f"edit {number}")
        world.work()
        assert world.held("svc-worker") == {"A": f"edit {number}"}

    assert (world.clock.now - before).total_seconds() < 1
    assert world.held() == {"A": "1"}
    assert world.state(alive).sync_status == Status.SUCCEEDED
    assert world.state(dead).sync_status != Status.SUCCEEDED


def test_a_destination_that_hangs_delays_no_other(world: World) -> None:
    world.put(A="1")
    world.sync("hanging")
    world.sync("alive", service="svc-worker")
    seen: list[Mapping[str, str]] = []

    def others_work() -> None:
        world.work()
        seen.append(dict(world.held("svc-worker")))

    world.meanwhile(others_work)
    world.work()

    assert seen == [{"A": "1"}]


def test_a_rate_limit_holds_up_its_own_connection_only(world: World) -> None:
    world.put(A="1")
    limited = world.sync("limited")
    world.railway.tokens["other-token"] = Token("account")
    world.sync("other", service="svc-worker", connection_id=world.connect("other", "other-token"))
    world.railway.fail_next(Fail(429), where=lambda request: "svc-web" in request.body.decode())

    world.work()

    assert world.held("svc-worker") == {"A": "1"}
    assert (world.held(), world.state(limited).sync_status) == ({}, Status.PENDING)


def test_a_connection_that_works_again_says_so(world: World) -> None:
    world.put(A="1")
    sync_id = world.sync()
    world.railway.fail_next(Fail(401))
    world.work()

    world.trigger(sync_id)
    world.work()

    connection = get_connection(world.runtime, PROVIDER, world.connection_id)
    assert (connection.status, connection.last_error) == ("connected", None)


def test_a_write_whose_answer_was_lost_is_looked_up_and_not_repeated(world: World) -> None:
    world.put(A="1")
    sync_id = world.sync()
    world.railway.fail_next(Drop(applied=True), where=is_write)
    world.work()
    assert world.state(sync_id).sync_status == Status.PENDING

    world.later(backoff.FIRST_WAIT)

    assert world.state(sync_id).sync_status == Status.SUCCEEDED
    assert len(world.railway.writes) == 1
    assert world.jobs(sync_id)[0].unchanged_count == 1


def test_a_write_that_never_arrived_is_repeated(world: World) -> None:
    world.put(A="1")
    world.sync()
    world.railway.fail_next(Drop(applied=False), where=is_write)
    world.work()

    world.later(backoff.FIRST_WAIT)

    assert world.held() == {"A": "1"}


def test_a_newer_job_inherits_the_failures_of_the_one_it_replaces(world: World) -> None:
    world.put(A="1")
    sync_id = world.sync()
    job_id = world.broker.sent[-1].ids[0]
    world.lose_hints()

    def edit_and_fail() -> None:
        world.put(A="2")
        world.work()
        world.railway.fail_next(Fail(503))

    world.meanwhile(edit_and_fail)
    world.railway.fail_next(Fail(503), where=is_write)
    run_job(world.runtime, job_id)

    newer, older = world.jobs(sync_id)
    if newer.id == job_id:
        newer, older = older, newer
    assert (older.status, newer.status, newer.attempt) == (JobStatus.CANCELLED, JobStatus.QUEUED, 1)
    assert newer.run_after > world.clock.now
    assert world.state(sync_id).sync_status == Status.PENDING


def test_a_fault_of_ours_fails_the_job_without_its_text(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put(A="a-secret-value")
    sync_id = world.sync()

    def crash(*_: object) -> None:
        raise ZeroDivisionError("a-secret-value")

    monkeypatch.setattr("shared.usecases.sync_secrets.read_view", crash)
    world.work()

    state = world.state(sync_id)
    assert state.sync_status == Status.FAILED
    assert state.last_sync_message == "An internal error (ZeroDivisionError) stopped this run; see the log."


@pytest.mark.parametrize(
    "damage",
    [
        update(Connection).values(credentials=b"x" * 60),
        update(Project).values(data_key=b"x" * 60),
        update(Sync).values(sync_options={"initialSyncBehavior": "overwrite-destination", "later": True}),
        update(Sync).values(destination_config={"projectId": "prj-1", "later": True}),
    ],
    ids=["credentials", "data key", "options of a later version", "destination of a later version"],
)
def test_a_job_that_cannot_begin_fails_and_does_not_stay_pending(world: World, damage: Update) -> None:
    world.put(A="1")
    sync_id = world.sync()
    with world.runtime.database.transaction() as session:
        session.execute(damage)

    world.work()

    state = world.state(sync_id)
    assert (state.sync_status, world.waiting()) == (Status.FAILED, 0)
    assert state.last_sync_message
    assert world.railway.writes == []


# --- stopping a run ------------------------------------------------------------------------------------


def test_a_pause_takes_effect_before_the_next_write(world: World) -> None:
    world.put(A="1")
    sync_id = world.sync()
    world.meanwhile(lambda: world.change(sync_id, is_paused=True))

    world.work()

    assert world.railway.writes == []
    assert world.state(sync_id).sync_status == Status.FAILED
    assert world.jobs(sync_id)[0].status == JobStatus.CANCELLED


def test_what_was_paused_goes_on_when_it_is_resumed(world: World) -> None:
    world.put(A="1")
    sync_id = world.sync()
    world.change(sync_id, is_paused=True)
    world.work()
    assert world.railway.calls[1:] == []

    world.change(sync_id, is_paused=False)
    world.work()

    assert world.held() == {"A": "1"}
    assert world.state(sync_id).sync_status == Status.SUCCEEDED


def test_switching_auto_sync_off_takes_effect_before_the_next_write(world: World) -> None:
    world.put(A="1")
    sync_id = world.sync()
    world.meanwhile(lambda: world.change(sync_id, is_auto_sync_enabled=False))

    world.work()

    assert world.railway.writes == []


def test_deleting_a_sync_takes_effect_before_the_next_write(world: World) -> None:
    world.put(A="1")
    sync_id = world.sync()
    world.meanwhile(lambda: world.delete(sync_id))

    world.work()

    assert world.railway.writes == []
    assert not world.exists(sync_id)


def test_a_run_that_is_stopped_by_a_change_is_followed_by_one_that_knows_it(world: World) -> None:
    world.put(A="1")
    sync_id = world.sync()
    world.meanwhile(lambda: world.change(sync_id, environment="staging"))
    world.put(environment="staging", B="2")

    world.work()

    assert world.held() == {"B": "2"}
    assert world.state(sync_id).sync_status == Status.SUCCEEDED


def test_a_persons_wish_outlives_a_change_that_stops_its_run(world: World) -> None:
    world.put(A="1")
    sync_id = world.sync(auto=False)
    world.trigger(sync_id)
    world.meanwhile(lambda: world.change(sync_id, environment="staging"))
    world.put(environment="staging", B="2")

    world.work()

    assert world.held() == {"B": "2"}


def test_a_sync_that_is_being_deleted_writes_nothing_more_for_anybody(world: World) -> None:
    world.put(A="1")
    sync_id = world.sync(auto=False)
    world.trigger(sync_id)
    world.meanwhile(lambda: world.delete(sync_id, remove_secrets=True))

    world.work()

    assert world.railway.writes == []
    assert not world.exists(sync_id)


# --- the result ----------------------------------------------------------------------------------------


def test_only_success_moves_the_moment_of_the_last_sync(world: World) -> None:
    world.put(A="1")
    sync_id = world.sync()
    world.work()
    succeeded_at = world.state(sync_id).last_synced_at
    assert succeeded_at is not None
    world.clock.advance(seconds=60)
    world.railway.refused.add("A")

    world.put(A="2")
    world.work()

    state = world.state(sync_id)
    assert (state.sync_status, state.last_synced_at) == (Status.FAILED, succeeded_at)
    assert state.last_sync_job_id == world.jobs(sync_id)[0].id


def test_a_message_fits_the_wire_and_holds_no_value(world: World) -> None:
    values = {f"RAILWAY_{number}": f"a-secret-value-{number}" for number in range(200)}
    world.put(**values)
    sync_id = world.sync()

    world.work()

    state = world.state(sync_id)
    assert state.sync_status == Status.FAILED
    assert state.last_sync_message is not None
    assert len(state.last_sync_message) <= 1024
    job = world.jobs(sync_id)[0]
    assert "a-secret-value" not in f"{job.message} {job.details}"


def test_a_provider_that_echoes_what_was_sent_puts_no_value_into_a_message(world: World) -> None:
    world.put(A="a-secret-value")
    sync_id = world.sync()
    world.railway.fail_next(Fail(422), where=is_write)

    world.work()

    job = world.jobs(sync_id)[0]
    assert job.status == JobStatus.FAILED
    assert "a-secret-value" not in f"{job.message} {job.details} {world.state(sync_id).last_sync_message}"


def test_every_kind_of_job_has_its_own_status(world: World) -> None:
    world.seed(FOUND="1")
    sync_id = world.sync(auto=False)

    world.trigger(sync_id, Kind.IMPORT, importBehavior="import-prioritize-source")
    world.work()

    state = world.state(sync_id)
    assert (state.import_status, state.sync_status, state.remove_status) == (Status.SUCCEEDED, None, None)
    assert state.last_imported_at is not None
    assert state.last_synced_at is None


def test_an_outage_that_says_how_long_it_lasts_is_waited_for(world: World) -> None:
    world.put(A="1")
    sync_id = world.sync()
    world.railway.fail_next(Reply(Response(503, {}, {"Retry-After": "90"})))

    world.work()
    world.later(89)
    assert world.held() == {}
    world.later(12)

    assert world.held() == {"A": "1"}
    assert world.state(sync_id).sync_status == Status.SUCCEEDED
