"""Looking for drift, when its time has come."""

from datetime import timedelta

from shared.broker import Queue
from shared.db.jobs import JobStatus, Trigger
from shared.db.syncs import Status
from shared.usecases.dispatch import dispatch
from shared.usecases.reconcile import Which, reconcile_due, reconcile_now
from tests.shared.usecases.world import World, message, together


def test_a_sync_is_reconciled_every_hour_unless_it_says_otherwise(world: World) -> None:
    sync_id = world.sync()
    world.work()
    planned = world.state(sync_id).next_reconcile_at
    assert planned is not None
    assert timedelta(0) < planned - world.clock.now <= timedelta(hours=1)

    world.clock.now = planned - timedelta(seconds=1)
    assert reconcile_due(world.runtime) == 0
    world.clock.now = planned
    assert reconcile_due(world.runtime) == 1

    assert world.state(sync_id).next_reconcile_at == planned + timedelta(hours=1)
    assert world.broker.sent[-1].queue == Queue.BACKGROUND


def test_a_sync_keeps_its_own_cadence(world: World) -> None:
    sync_id = world.sync(reconcileCron="0 3 * * *")

    planned = world.state(sync_id).next_reconcile_at

    assert planned is not None
    assert (planned.hour, planned.minute) == (3, 0)


def test_no_sync_is_reconciled_that_does_not_want_it(world: World) -> None:
    world.sync("off", reconcileMode="off")
    world.sync("by hand", service="svc-worker", auto=False)
    paused = world.sync("paused", service=None)
    world.change(paused, is_paused=True)

    world.clock.advance(seconds=86400)

    assert reconcile_due(world.runtime) == 0


def test_two_beats_queue_nothing_twice(world: World) -> None:
    for number, service in enumerate(("svc-web", "svc-worker", None)):
        world.sync(f"sync {number}", service=service)
    world.work()
    world.clock.advance(seconds=3600)
    queued: list[int] = []

    together([lambda: queued.append(reconcile_due(world.runtime))] * 3)

    assert sum(queued) == world.waiting() == 3


def test_a_reconcile_does_not_hide_that_the_sync_succeeded(world: World) -> None:
    sync_id = world.sync()
    world.work()
    world.clock.advance(seconds=3600)

    reconcile_due(world.runtime)

    assert world.state(sync_id).sync_status == Status.SUCCEEDED


def test_a_change_that_meets_a_waiting_reconcile_makes_it_urgent(world: World) -> None:
    sync_id = world.sync()
    world.work()
    world.clock.advance(seconds=3600)
    reconcile_due(world.runtime)
    world.put(A="1")

    dispatch(world.runtime)

    assert world.jobs(sync_id)[0].trigger == Trigger.CHANGE


def test_some_syncs_can_be_reconciled_on_request(world: World) -> None:
    one, two = world.sync("one"), world.sync("two", service="svc-worker")
    world.work()

    assert reconcile_now(world.runtime, Which(sync_id=one)) == 1
    assert reconcile_now(world.runtime, Which(project_id=world.project_id)) == 2
    assert reconcile_now(world.runtime, Which(destination="vercel")) == 0

    assert [len(world.jobs(sync_id)) for sync_id in (one, two)] == [2, 2]


def test_a_reconcile_repairs_what_somebody_changed_and_names_it(world: World) -> None:
    world.put(A="1", B="1")
    sync_id = world.sync()
    world.work()
    world.seed(A="changed by hand", EXTRA="1")

    world.clock.advance(seconds=3600)
    reconcile_due(world.runtime)
    world.work()

    job = world.jobs(sync_id)[0]
    assert world.held() == {"A": "1", "B": "1"}
    assert (job.trigger, job.status, job.details["drift"]) == ("reconcile", JobStatus.SUCCEEDED, ["A"])


def test_a_reconcile_that_only_reports_writes_nothing_and_names_the_keys(world: World) -> None:
    world.put(A="1")
    world.sync(reconcileMode="report")
    world.work()
    world.seed(A="changed by hand")
    world.railway.forget_calls()

    world.clock.advance(seconds=3600)
    reconcile_due(world.runtime)
    world.work()

    assert world.railway.writes == []
    assert "A: it differs at the destination, and this sync only reports" in message(world)
