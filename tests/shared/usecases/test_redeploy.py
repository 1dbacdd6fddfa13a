"""Running services take values up after a run that changed something, once."""

from shared.db.syncs import Status
from tests.fakes.service import Fail, Request
from tests.shared.usecases.world import World, many, place


def deploys(world: World) -> int:
    return world.railway.deploys[place("svc-web")]


def test_a_change_redeploys_once_and_no_change_never(world: World) -> None:
    world.put(**many(3))
    sync_id = world.sync(redeploy="after-change")
    world.work()
    assert deploys(world) == 1

    world.trigger(sync_id)
    world.work()
    assert deploys(world) == 1

    world.put(KEY_000="2", KEY_001="2")
    world.work()
    assert deploys(world) == 2


def test_nothing_is_redeployed_unless_asked_for(world: World) -> None:
    world.put(A="1")
    world.sync()

    world.work()

    assert deploys(world) == 0


def test_a_redeploy_that_failed_is_owed(world: World) -> None:
    world.put(A="1")
    sync_id = world.sync(redeploy="after-change")
    world.railway.fail_next(Fail(503), where=is_redeploy)
    world.work()
    assert (deploys(world), world.state(sync_id).sync_status) == (0, Status.PENDING)

    world.later(60)

    assert (deploys(world), world.state(sync_id).sync_status) == (1, Status.SUCCEEDED)
    assert not world.state(sync_id).redeploy_owed
    assert len([call for call in world.railway.writes if "Write" in str(call.body)]) == 1


def is_redeploy(request: Request) -> bool:
    return "mutation Redeploy" in str((request.json or {}).get("query", ""))
