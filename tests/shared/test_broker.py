"""Messages are hints that carry ids and nothing else."""

import socket
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from celery import Celery
from pydantic import SecretStr
from structlog.testing import capture_logs

from shared.broker import (
    ROUTES,
    SEND_PAUSE,
    SEND_TIMEOUT,
    CeleryBroker,
    Queue,
    Task,
    create_celery,
    create_publisher,
)
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


def accepted(listener: socket.socket) -> int:
    """Return how many connections were made since one last looked."""
    listener.setblocking(False)
    count = 0
    while True:
        try:
            connection, _ = listener.accept()
        except BlockingIOError:
            return count
        connection.close()
        count += 1


def test_a_broker_that_says_nothing_is_asked_once_for_many_hints(tmp_path: Path) -> None:
    now = [0.0]
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        settings = Settings(data_dir=tmp_path, broker_url=SecretStr(url))
        broker = CeleryBroker(create_publisher(settings, timeout=0.05), now=lambda: now[0])
        counts = []
        with capture_logs() as lines:
            for _ in range(2):
                for _ in range(50):
                    broker.send(Task.DISPATCH)
                counts.append(accepted(silent))
                now[0] += SEND_PAUSE

    assert counts == [1, 1]
    assert [line["event"] for line in lines] == ["broker.unreachable"]


def test_hints_are_sent_again_once_the_broker_is_back(tmp_path: Path) -> None:
    now = [0.0]
    app = celery_at("memory://", tmp_path)
    broker = CeleryBroker(app, now=lambda: now[0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app, "send_task", _refuse)
        broker.send(Task.SWEEP)

    broker.send(Task.DISPATCH)
    now[0] += SEND_PAUSE
    broker.send(Task.PRUNE)
    broker.send(Task.RECONCILE)

    found = [delivered(app, Queue.BACKGROUND)[0] for _ in range(2)]
    assert found == [Task.PRUNE.value, Task.RECONCILE.value]


def _refuse(*_: object, **__: object) -> None:
    raise ConnectionRefusedError


def test_a_connection_that_was_closed_while_it_was_idle_costs_no_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = celery_at("memory://", tmp_path)
    working: Callable[..., object] = app.send_task
    attempts = [_refuse, working]
    monkeypatch.setattr(app, "send_task", lambda *args, **options: attempts.pop(0)(*args, **options))

    CeleryBroker(app).send(Task.DISPATCH)

    assert delivered(app, ROUTES[Task.DISPATCH]) == (Task.DISPATCH.value, [])


def test_who_sends_waits_briefly_and_who_consumes_keeps_its_patience(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    sending = create_publisher(settings).conf.broker_transport_options
    consuming = create_celery(settings).conf.broker_transport_options

    assert (sending["socket_connect_timeout"], sending["socket_timeout"]) == (SEND_TIMEOUT, SEND_TIMEOUT)
    assert (sending["retry_on_timeout"], sending["max_retries"]) == (False, 0)
    assert consuming["socket_timeout"] > SEND_TIMEOUT


def test_only_json_is_spoken(tmp_path: Path) -> None:
    app = celery_at("memory://", tmp_path)

    assert (app.conf.accept_content, app.conf.task_serializer) == (["json"], "json")
    assert app.conf.task_ignore_result
