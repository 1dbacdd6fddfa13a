"""Pointing a sync elsewhere, and what becomes of the destination it leaves."""

from uuid import UUID

from shared.db.syncs import Status
from tests.fakes.service import Fail
from tests.shared.usecases.world import World


def move(world: World, sync_id: UUID, *, remove_secrets: bool = True) -> None:
    """Point the sync to the worker service."""
    world.change(sync_id, destination_config=world.config("svc-worker"), remove_secrets=remove_secrets)


def settled(world: World) -> UUID:
    """Create a sync to the web service, beside a key of somebody else, and let its first run happen."""
    world.seed(THEIRS="1")
    world.put(A="1")
    sync_id = world.sync(deleteUnmanaged=False)
    world.work()
    return sync_id


def test_what_a_sync_wrote_stays_where_it_was_unless_its_removal_is_asked_for(world: World) -> None:
    sync_id = settled(world)

    move(world, sync_id, remove_secrets=False)
    world.work()

    assert (world.held(), world.held("svc-worker")) == ({"A": "1", "THEIRS": "1"}, {"A": "1"})
    assert world.sync_ids() == [sync_id]


def test_what_a_sync_wrote_is_removed_from_the_destination_it_leaves(world: World) -> None:
    sync_id = settled(world)

    move(world, sync_id)
    world.work()

    assert (world.held(), world.held("svc-worker")) == ({"THEIRS": "1"}, {"A": "1"})
    assert world.sync_ids() == [sync_id]
    assert world.state(sync_id).sync_status == Status.SUCCEEDED


def test_a_removal_that_has_to_wait_is_visible_until_it_is_done(world: World) -> None:
    sync_id = settled(world)
    world.railway.fail_next(Fail(503), where=lambda request: b"svc-web" in request.body)

    move(world, sync_id)
    world.work()

    [old] = [world.state(each) for each in world.sync_ids() if each != sync_id]
    assert (old.remove_status, old.is_auto_sync_enabled) == (Status.PENDING, False)
    assert world.held()["A"] == "1"
    world.later(60)
    assert world.held() == {"THEIRS": "1"}
    assert world.sync_ids() == [sync_id]


def test_a_sync_that_wrote_nothing_leaves_nothing_to_remove(world: World) -> None:
    sync_id = world.sync(auto=False)

    move(world, sync_id)

    assert world.sync_ids() == [sync_id]
    assert world.waiting() == 0


def test_a_write_that_was_under_way_while_the_sync_moved_is_removed_as_well(world: World) -> None:
    world.put(A="1")
    sync_id = world.sync()
    world.meanwhile(lambda: move(world, sync_id), at="Write")

    world.work()

    assert (world.held(), world.held("svc-worker")) == ({}, {"A": "1"})
    assert world.sync_ids() == [sync_id]


def test_a_sync_with_the_longest_name_leaves_its_destination_too(world: World) -> None:
    world.put(A="1")
    sync_id = world.sync("n" * 256)
    world.work()

    move(world, sync_id)

    [old] = [world.state(each) for each in world.sync_ids() if each != sync_id]
    assert max(len(old.name), len(old.description or "")) <= 256
    world.work()
    assert (world.held(), world.held("svc-worker")) == ({}, {"A": "1"})
