"""Removing what nobody needs any more, and nothing else."""

from sqlalchemy import func, select

from shared.db.change_events import ChangeEvent
from shared.usecases.prune import prune
from tests.fakes.service import Fail
from tests.shared.usecases.world import World

DAY = 86400


def events(world: World) -> int:
    with world.runtime.database.snapshot() as session:
        return session.scalar(select(func.count(ChangeEvent.id))) or 0


def test_finished_jobs_are_kept_for_a_month(world: World) -> None:
    world.put(A="1")
    sync_id = world.sync()
    world.work()

    world.clock.advance(seconds=29 * DAY)
    prune(world.runtime)
    assert len(world.jobs(sync_id)) == 1

    world.clock.advance(seconds=2 * DAY)
    prune(world.runtime)
    assert world.jobs(sync_id) == []
    assert world.held() == {"A": "1"}


def test_of_each_sync_only_the_newest_jobs_are_kept(world: World) -> None:
    keep = world.runtime.settings.keep_jobs_per_sync = 3
    world.put(A="1")
    busy, quiet = world.sync(), world.sync("worker", service="svc-worker")
    world.work()
    for _ in range(keep + 1):
        world.trigger(busy)
        world.work()
    newest = [job.id for job in world.jobs(busy)][:keep]

    prune(world.runtime)

    assert [job.id for job in world.jobs(busy)] == newest
    assert len(world.jobs(quiet)) == 1


def test_a_job_that_waits_is_never_removed(world: World) -> None:
    sync_id = world.sync()
    world.railway.fail_next(Fail(503))
    world.work()

    world.clock.advance(seconds=100 * DAY)
    prune(world.runtime)

    assert len(world.jobs(sync_id)) == 1


def test_an_event_that_was_not_dispatched_is_never_removed(world: World) -> None:
    world.put(A="1")

    world.clock.advance(seconds=100 * DAY)
    prune(world.runtime)
    assert events(world) == 1

    world.later(0)
    world.clock.advance(seconds=2 * DAY)
    prune(world.runtime)
    assert events(world) == 0
