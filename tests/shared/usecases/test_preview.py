"""What a sync would do now, without doing it."""

import pytest

from shared.errors import SourceUnreadable, Unavailable
from shared.usecases.preview import preview_sync
from tests.fakes.service import Fail
from tests.shared.usecases.world import PROVIDER, World


def keys(changes: tuple[object, ...]) -> list[str]:
    return [change.key for change in changes]  # type: ignore[attr-defined]


def test_a_preview_names_every_change_and_writes_nothing(world: World) -> None:
    world.seed(CHANGED="old", SURPLUS="1", SAME="1")
    world.put(NEW="1", CHANGED="new", SAME="1")
    sync_id = world.sync(auto=False)
    world.railway.forget_calls()

    plan = preview_sync(world.runtime, PROVIDER, sync_id).plan

    assert (keys(plan.creates), keys(plan.updates), keys(plan.deletes)) == (["NEW"], ["CHANGED"], ["SURPLUS"])
    assert keys(plan.unchanged) == ["SAME"]
    assert world.railway.writes == []
    assert world.jobs(sync_id) == []


def test_a_preview_shows_no_value(world: World) -> None:
    world.seed(CHANGED="a-secret-value")
    world.put(NEW="a-secret-value", CHANGED="another-secret-value")
    sync_id = world.sync(auto=False)

    preview = preview_sync(world.runtime, PROVIDER, sync_id)

    assert "secret-value" not in repr(preview)


def test_a_preview_tells_what_would_stop_the_run(world: World) -> None:
    world.seed(**{f"KEY_{number}": "1" for number in range(20)})
    world.put(A="1")
    sync_id = world.sync(auto=False)

    preview = preview_sync(world.runtime, PROVIDER, sync_id)

    assert preview.blocked is not None
    assert f"approvePlan={preview.plan.hash}" in preview.blocked


def test_a_preview_tells_that_the_first_run_imports(world: World) -> None:
    sync_id = world.sync(auto=False, initialSyncBehavior="import-prioritize-source")

    assert "imports from the destination" in preview_sync(world.runtime, PROVIDER, sync_id).warnings[0]
    world.put(A="1")
    world.trigger(sync_id)
    world.work()
    assert preview_sync(world.runtime, PROVIDER, sync_id).warnings == ()


def test_a_preview_of_what_cannot_be_read_says_why(world: World) -> None:
    world.put(A="${production.nowhere.KEY}")
    sync_id = world.sync(auto=False)

    with pytest.raises(SourceUnreadable, match="A: it refers to KEY in /nowhere"):
        preview_sync(world.runtime, PROVIDER, sync_id)


def test_a_preview_of_what_does_not_answer_says_so(world: World) -> None:
    sync_id = world.sync(auto=False)
    world.railway.fail_next(Fail(503))

    with pytest.raises(Unavailable):
        preview_sync(world.runtime, PROVIDER, sync_id)
