"""Losing the broker loses nothing."""

from dataclasses import replace
from pathlib import Path

from pydantic import SecretStr

from shared.broker import CeleryBroker, Task, create_celery
from shared.db.syncs import Status
from shared.settings import Settings
from shared.usecases.edit_secrets import Draft, create_secrets
from shared.usecases.sweep import sweep
from tests.fakes.service import Fail
from tests.shared.usecases.world import ACTOR, World


def test_an_edit_whose_hint_was_lost_arrives_with_the_next_sweep(world: World) -> None:
    world.sync()
    world.work()
    world.put(A="1")
    world.lose_hints()

    world.later(5)

    assert world.held() == {"A": "1"}


def test_an_edit_while_the_broker_is_gone_succeeds_and_arrives_later(world: World, tmp_path: Path) -> None:
    sync_id = world.sync()
    world.work()
    away = Settings(data_dir=tmp_path, broker_url=SecretStr("redis://127.0.0.1:1/0"))
    runtime = replace(world.runtime, broker=CeleryBroker(create_celery(away)))
    edit = [Draft("A", SecretStr("1"))]

    create_secrets(runtime, world.project_id, "production", "/", edit, actor=ACTOR)
    assert world.broker.sent == []
    world.later(5)

    assert world.held() == {"A": "1"}
    assert world.state(sync_id).sync_status == Status.SUCCEEDED


def test_a_job_whose_hint_was_lost_is_hinted_at_again(world: World) -> None:
    world.put(A="1")
    world.sync()
    world.lose_hints()

    world.later(5)

    assert world.held() == {"A": "1"}


def test_a_retry_starts_when_it_is_due_and_not_before(world: World) -> None:
    world.put(A="1")
    sync_id = world.sync()
    world.railway.fail_next(Fail(503))
    world.work()
    due_in = (world.jobs(sync_id)[0].run_after - world.clock.now).total_seconds()

    world.later(due_in - 0.01)
    assert world.state(sync_id).sync_status == Status.PENDING

    world.later(0.02)
    assert world.state(sync_id).sync_status == Status.SUCCEEDED


def test_a_sweep_with_nothing_to_do_does_nothing(world: World) -> None:
    world.put(A="1")
    world.sync()
    world.work()

    sweep(world.runtime)

    assert world.broker.sent == []


def test_a_sweep_that_is_repeated_makes_no_second_job(world: World) -> None:
    world.put(A="1")
    sync_id = world.sync()

    for _ in range(3):
        sweep(world.runtime)

    assert {hint.task for hint in world.broker.sent} == {Task.RUN_JOB, Task.DISPATCH}
    world.work()
    assert len(world.jobs(sync_id)) == 1
