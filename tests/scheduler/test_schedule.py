"""The schedule: short, static, and harmless when a second beat keeps it too."""

from datetime import timedelta

import pytest

from scheduler.app import app
from scheduler.schedule import schedule
from shared.broker import ROUTES, Task
from shared.settings import Settings


def test_everything_is_swept_as_often_as_it_is_set() -> None:
    table = schedule(Settings(sweep_seconds=2))

    assert table["sweep"]["schedule"] == timedelta(seconds=2)
    assert table["reconcile"]["schedule"] == timedelta(seconds=5)


def test_each_entry_names_a_task_and_its_queue() -> None:
    for entry in schedule(Settings()).values():
        task = Task(entry["task"])
        assert entry["options"]["queue"] == ROUTES[task].value


def test_a_message_that_nobody_took_goes_when_the_next_one_comes() -> None:
    for entry in schedule(Settings()).values():
        assert entry["options"]["expires"] == entry["schedule"].total_seconds()


@pytest.mark.parametrize("task", [Task.SWEEP, Task.RECONCILE, Task.PRUNE])
def test_what_has_to_be_done_again_and_again_is_in_the_schedule(task: Task) -> None:
    assert task.value in {entry["task"] for entry in app.conf.beat_schedule.values()}


def test_beat_keeps_nothing_in_a_file() -> None:
    assert app.conf.beat_scheduler == "celery.beat:Scheduler"
