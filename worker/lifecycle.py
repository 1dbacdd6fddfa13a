"""From start to stop of a worker: the one runtime that all its tasks share."""

import logging
from functools import cache
from threading import Lock
from typing import Any

import structlog
from celery.signals import setup_logging, task_failure, worker_process_shutdown, worker_ready, worker_shutdown

from shared import log
from shared.runtime import Runtime
from shared.settings import Settings
from shared.usecases.sweep import take_over_from

logger = structlog.get_logger()
_making = Lock()


@cache
def settings() -> Settings:
    """Return the settings of this process."""
    return Settings()


def runtime() -> Runtime:
    """Return what the tasks of this process use; made at the first call, after any fork."""
    # The first tasks of several threads may come at the same moment.
    with _making:
        return _make_runtime()


@cache
def _make_runtime() -> Runtime:
    return Runtime.from_settings(settings(), threads=settings().worker_threads)


@setup_logging.connect
def configure_logging(**_: Any) -> None:
    """Send Celery's own logs where ours go."""
    log.configure(settings())
    logging.getLogger("celery.app.trace").disabled = True


@worker_ready.connect
def take_over(**_: Any) -> None:
    """Free what an earlier worker of this name left running."""
    if settings().worker_name:
        take_over_from(runtime(), settings().worker_name)


@task_failure.connect
def report_crash(sender: Any = None, exception: BaseException | None = None, **_: Any) -> None:
    """Log a task that crashed. Celery's own line would hold the exception's text, which may hold a value."""
    logger.error("task.crashed", task=getattr(sender, "name", None), exc_info=exception)


@worker_shutdown.connect
@worker_process_shutdown.connect
def close_runtime(**_: Any) -> None:
    """Close connections, if any were opened."""
    if _make_runtime.cache_info().currsize:
        runtime().close()
        _make_runtime.cache_clear()
