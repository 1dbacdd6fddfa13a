"""Messages are hints that carry ids and nothing else."""

from pathlib import Path
from uuid import uuid4

import pytest
from celery import Celery
from pydantic import SecretStr

from shared.broker import ROUTES, CeleryBroker, Queue, Task, create_celery
from shared.settings import Settings


def celery_at(url: str, tmp_path: Path) -> Celery:
    return create_celery(Settings(data_dir=tmp_path, broker_url=SecretStr(url)))


def delivered(app: Celery, queue: Queue) -> tuple[str, object]:
    """Return the task and the arguments of the message that waits in *queue*."""
    with app.connection_for_read() as connection:
        message = connection.SimpleQueue(queue.value).get(block=False)
        message.ack()
        arguments, _, _ = message.payload
        return message.headers["task"], arguments


@pytest.mark.parametrize("task", list(Task))
def test_every_task_has_its_queue(task: Task, tmp_path: Path) -> None:
    app = celery_at("memory://", tmp_path)
    job_id = uuid4()

    CeleryBroker(app).send(task, job_id)

    assert delivered(app, ROUTES[task]) == (task.value, [str(job_id)])


def test_a_sender_may_choose_the_queue(tmp_path: Path) -> None:
    app = celery_at("memory://", tmp_path)
    job_id = uuid4()

    CeleryBroker(app).send(Task.RUN_JOB, job_id, queue=Queue.INTERACTIVE)

    assert delivered(app, Queue.INTERACTIVE) == (Task.RUN_JOB.value, [str(job_id)])


def test_a_broker_that_is_gone_stops_nobody(tmp_path: Path) -> None:
    broker = CeleryBroker(celery_at("redis://127.0.0.1:1/0", tmp_path))

    broker.send(Task.DISPATCH)

    assert not broker.is_reachable()


def test_a_broker_that_is_gone_keeps_nobody_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("kombu.utils.functional.sleep", slept.append)

    CeleryBroker(celery_at("redis://127.0.0.1:1/0", tmp_path)).send(Task.DISPATCH)

    assert slept == []


def test_only_json_is_spoken(tmp_path: Path) -> None:
    app = celery_at("memory://", tmp_path)

    assert (app.conf.accept_content, app.conf.task_serializer) == (["json"], "json")
    assert app.conf.task_ignore_result
