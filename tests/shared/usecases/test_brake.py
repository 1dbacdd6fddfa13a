"""The brake: a run that would take too much waits for a person, and carries out what that one saw."""

import itertools
from uuid import UUID

from shared.db.syncs import Status
from shared.usecases.claim import claim
from shared.usecases.dispatch import dispatch
from shared.usecases.preview import preview_sync
from tests.fakes.service import Fail
from tests.shared.usecases.world import PROVIDER, World, many, message


def blocked_plan(world: World) -> str:
    """Return the hash in the message of the blocked sync."""
    text = message(world)
    assert "Nothing was changed" in text
    return text.rsplit("approvePlan=", 1)[1].rstrip(".")


def test_a_run_that_would_delete_too_much_stops_and_says_how_to_go_on(world: World) -> None:
    world.put(**many(30))
    sync_id = world.sync()
    world.work()
    world.railway.forget_calls()

    world.drop(*many(10))
    world.work()

    assert "10 of 30 keys would be deleted" in message(world)
    assert world.railway.writes == []
    world.trigger(sync_id, approvePlan=blocked_plan(world))
    world.work()
    assert world.held() == many(20, start=10)
    assert world.state(sync_id).sync_status == Status.SUCCEEDED


def broken_off(world: World) -> UUID:
    """Return a sync whose approved run, which keeps 50 keys of 300, met an outage half-way."""
    world.put(**many(300))
    sync_id = world.sync()
    world.work()
    world.drop(*many(250))
    world.work()
    approved = blocked_plan(world)
    deletes = itertools.count(1)
    world.railway.fail_next(
        Fail(503), where=lambda request: world.railway.is_write(request) and next(deletes) > 2
    )
    world.trigger(sync_id, approvePlan=approved)
    world.work()
    assert 50 < len(world.held()) < 300
    return sync_id


def test_an_approved_run_that_broke_off_needs_no_second_approval_for_the_rest(world: World) -> None:
    sync_id = broken_off(world)

    world.later(600)

    assert world.held() == many(50, start=250)
    assert world.state(sync_id).sync_status == Status.SUCCEEDED


def test_what_an_approved_run_left_undone_is_all_that_its_approval_covers(world: World) -> None:
    broken_off(world)
    left = world.held()

    world.drop("KEY_250")
    world.later(600)

    assert "changed since this plan was approved" in message(world)
    assert world.held() == left


def test_an_approval_outlives_the_worker_that_took_it_up(world: World) -> None:
    world.put(**many(30))
    sync_id = world.sync()
    world.work()
    world.drop(*many(10))
    world.work()
    world.trigger(sync_id, approvePlan=blocked_plan(world))
    assert claim(world.runtime, world.broker.sent.pop().ids[0]) is not None

    # An edit that comes to nothing queues the next job, which inherits what the dead worker left undone.
    world.put(KEY_029="other")
    world.put(**many(1, start=29))
    dispatch(world.runtime)
    world.later(world.runtime.settings.lease_seconds + 1)

    assert world.held() == many(20, start=10)
    assert world.state(sync_id).sync_status == Status.SUCCEEDED


def test_an_approval_that_is_not_needed_any_more_stops_nothing(world: World) -> None:
    world.put(**many(30))
    sync_id = world.sync()
    world.work()
    world.drop(*many(10))
    world.work()
    approved = blocked_plan(world)

    world.put(**many(10))
    world.put(NEW="1")
    world.broker.sent.clear()
    world.trigger(sync_id, approvePlan=approved)
    world.work()

    assert world.held() == {**many(30), "NEW": "1"}


def test_fewer_than_ten_deletions_are_never_too_much(world: World) -> None:
    world.put(**many(12))
    world.sync()
    world.work()

    world.drop(*many(9))
    world.work()

    assert world.held() == many(3, start=9)


def test_the_limit_can_be_set(world: World) -> None:
    world.put(**many(30))
    world.sync(deletionLimitPercent=50)
    world.work()

    world.drop(*many(15))
    world.work()

    assert len(world.held()) == 15


def test_a_source_that_became_empty_empties_nothing(world: World) -> None:
    world.put(A="1")
    world.sync()
    world.work()

    world.drop("A")
    world.work()

    assert message(world).startswith("The source holds no secrets any more")
    assert world.held() == {"A": "1"}


def test_emptied_values_count_as_lost(world: World) -> None:
    world.put(**many(12))
    world.sync()
    world.work()

    world.put(**many(10, value=""))
    world.work()

    assert "and 10 emptied" in message(world)
    assert world.held() == many(12)


def test_a_first_run_does_not_wipe_a_destination_that_was_chosen_by_mistake(world: World) -> None:
    world.seed(**many(40))
    world.put(A="1")
    world.sync()

    world.work()

    assert "40 of 40 keys would be deleted" in message(world)
    assert world.held() == many(40)


def test_an_approval_holds_for_the_plan_that_was_shown_only(world: World) -> None:
    world.put(**many(30))
    sync_id = world.sync()
    world.work()
    world.drop(*many(10))
    world.work()
    shown = preview_sync(world.runtime, PROVIDER, sync_id)
    assert shown.plan.hash == blocked_plan(world)
    world.drop(*many(5, start=10))
    world.lose_hints()

    world.trigger(sync_id, approvePlan=shown.plan.hash)
    world.work()

    assert "changed since this plan was approved" in message(world)
    assert world.held() == many(30)
