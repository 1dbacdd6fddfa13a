"""The tasks: ids in, one use-case called."""

from uuid import uuid4

import pytest

from shared.broker import Task
from shared.db.syncs import Status
from tests.shared.usecases.world import World
from worker import tasks
from worker.app import app


@pytest.fixture(autouse=True)
def _runtime(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "runtime", lambda: world.runtime)


def deliver(world: World) -> None:
    """Deliver every hint to the task of its name, as Celery does: with texts as arguments."""
    while world.broker.sent:
        hint = world.broker.sent.pop(0)
        app.tasks[hint.task.value](*(str(id_) for id_ in hint.ids))


def test_every_hint_has_its_task() -> None:
    ours = {name for name in app.tasks if not name.startswith("celery.")}

    assert ours == {task.value for task in Task}


def test_an_edit_travels_through_the_tasks(world: World) -> None:
    sync_id = world.sync()
    world.put(A="1")

    deliver(world)

    assert world.held() == {"A": "1"}
    assert world.state(sync_id).sync_status == Status.SUCCEEDED


def test_lost_hints_are_made_good_by_the_scheduled_tasks(world: World) -> None:
    world.sync()
    world.put(A="1")
    world.lose_hints()

    app.tasks[Task.SWEEP.value]()

    deliver(world)
    assert world.held() == {"A": "1"}


def test_drift_is_found_by_the_scheduled_tasks(world: World) -> None:
    world.put(A="1")
    world.sync()
    deliver(world)
    world.seed(A="changed by hand")
    world.clock.advance(seconds=3600)

    app.tasks[Task.RECONCILE.value]()

    deliver(world)
    assert world.held() == {"A": "1"}


def test_history_is_removed_by_the_scheduled_tasks(world: World) -> None:
    sync_id = world.sync()
    deliver(world)
    world.clock.advance(seconds=31 * 86400)

    app.tasks[Task.PRUNE.value]()

    assert world.jobs(sync_id) == []


def test_a_job_that_does_not_exist_any_more_is_nothing_to_do() -> None:
    app.tasks[Task.RUN_JOB.value](str(uuid4()))
