"""The broker: one Celery application, the names of its tasks and queues, and sending after commit.

A message is a hint that carries ids and nothing else; the row in the database is the truth. So results
are not kept, a message is acknowledged when it arrives (a lost one is found by the sweep, and a worker
that holds none survives a restart of Redis), and an error while sending is logged, never raised. Who edits
a secret waits for a broker that is gone, or silent, once and briefly.
"""

import time
from collections.abc import Callable
from enum import StrEnum
from typing import Protocol
from uuid import UUID

import redis
import structlog
from celery import Celery

from shared.settings import Settings

log = structlog.get_logger()

#: Seconds that a hint may take.
SEND_TIMEOUT = 1.0
#: Seconds without hints after one that failed. The sweep finds the work as soon.
SEND_PAUSE = 5.0


class Task(StrEnum):
    """The names of the tasks, as they stand in messages."""

    DISPATCH = "changes.dispatch"
    RUN_JOB = "jobs.run"
    SWEEP = "sweep"
    RECONCILE = "reconcile.due"
    PRUNE = "prune"


class Queue(StrEnum):
    """The queues, most urgent first: a worker empties the first one before it looks at the next.

    In the first one lies what somebody waits for, and what only takes a moment and leads to other work.
    """

    INTERACTIVE = "interactive"
    CHANGES = "changes"
    BACKGROUND = "background"


#: Which queue a task goes to unless its sender says otherwise.
ROUTES = {
    # One project's jobs do not keep another one's edits from being looked at.
    Task.DISPATCH: Queue.INTERACTIVE,
    Task.RUN_JOB: Queue.CHANGES,
    Task.SWEEP: Queue.CHANGES,
    Task.RECONCILE: Queue.BACKGROUND,
    Task.PRUNE: Queue.BACKGROUND,
}


class Broker(Protocol):
    """Whatever takes hints to the workers."""

    def send(self, task: Task, *ids: UUID, queue: Queue | None = None) -> None:
        """Ask a worker to carry *task* out soon. May fail to, silently: the sweep finds the work."""

    def is_reachable(self) -> bool:
        """Does the broker answer?"""


def create_celery(settings: Settings) -> Celery:
    """Return the Celery application of *settings*."""
    app = Celery("keytide")
    app.conf.update(
        broker_url=settings.broker_url.get_secret_value(),
        broker_connection_retry_on_startup=True,
        broker_transport_options={
            # Redis hands out the queues in this order; the default takes turns.
            "queue_order_strategy": "priority",
            # A half-open connection is otherwise never noticed.
            "socket_keepalive": True,
            "socket_connect_timeout": 5,
            "socket_timeout": 15,
            "health_check_interval": 10,
            "retry_on_timeout": True,
            "max_retries": 1,
            "interval_start": 0,
        },
        broker_pool_limit=20,
        task_publish_retry=False,
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        task_acks_late=False,
        worker_prefetch_multiplier=1,
        task_default_queue=Queue.CHANGES.value,
        task_routes={task.value: {"queue": queue.value} for task, queue in ROUTES.items()},
        accept_content=["json"],
        task_serializer="json",
        # Concerns late acknowledgement only; unset, each lost connection brings a warning.
        worker_cancel_long_running_tasks_on_connection_loss=True,
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        event_queue_ttl=60,
        enable_utc=True,
        timezone="UTC",
    )
    return app


def create_publisher(settings: Settings, *, timeout: float = SEND_TIMEOUT) -> Celery:
    """Return the same, to send hints with: none takes longer than *timeout* seconds, or is tried again."""
    app = create_celery(settings)
    app.conf.broker_transport_options |= {
        "socket_connect_timeout": timeout,
        "socket_timeout": timeout,
        "retry_on_timeout": False,
        "max_retries": 0,
    }
    return app


class CeleryBroker:
    """Sends hints through Celery. After one that failed, the next ones are left out for a while."""

    def __init__(self, app: Celery, *, now: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._now = now
        self._silent_until = 0.0
        self._is_failing = False

    def send(self, task: Task, *ids: UUID, queue: Queue | None = None) -> None:
        if self._is_failing and self._now() < self._silent_until:
            return
        try:
            self._publish(task, [str(id_) for id_ in ids], queue or ROUTES[task])
        except Exception as error:
            # Whatever it was, the row is committed and the sweep will find it.
            self._silent_until = self._now() + SEND_PAUSE
            if not self._is_failing:
                log.warning("broker.unreachable", task=task.value, error=type(error).__name__)
            self._is_failing = True
        else:
            self._is_failing = False

    def _publish(self, task: Task, ids: list[str], queue: Queue) -> None:
        try:
            self._app.send_task(task.value, args=ids, queue=queue)
        except Exception as error:
            if isinstance(error.__cause__, redis.TimeoutError):
                raise
            # The connection may have been closed while it was idle: another one is there at once, or refused.
            self._app.send_task(task.value, args=ids, queue=queue)

    def is_reachable(self) -> bool:
        try:
            with self._app.connection_for_write() as connection:
                connection.ensure_connection(max_retries=1, timeout=2)
        except Exception:
            return False
        return True
