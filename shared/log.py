"""Structured logs: an event named ``thing.happened`` and its fields, for people or as JSON lines.

Fields are ids, names, counts and times. A secret never is one: values travel as ``SecretStr``, whose
text is asterisks, and what libraries say at debug level is not let through.
"""

import logging
import sys
import traceback
from typing import Any

import structlog

from shared.settings import Settings

#: Libraries that tell about each request or query; their debug lines could hold a URL or a parameter.
_TALKATIVE = (
    "alembic",
    "httpx",
    "httpcore",
    "sqlalchemy",
    "kombu",
    "amqp",
    "celery",
    "uvicorn",
    "fakeredis",
    "asyncio",
)


def configure(settings: Settings) -> None:
    """Send the logs of this process, ours and the libraries', to standard error in one form."""
    level = logging.getLevelName(settings.log_level.upper())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=_rendering(settings))
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


def _rendering(settings: Settings) -> list[structlog.typing.Processor]:
    last: structlog.typing.Processor
    if settings.log_format == "json":
        last = structlog.processors.JSONRenderer()
    else:
        last = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    return [structlog.stdlib.ProcessorFormatter.remove_processors_meta, _show_frames, last]


def _show_frames(logger: Any, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Show where an exception came from, but not its text: that could hold a value."""
    error = event.pop("exc_info", None)
    if isinstance(error, tuple):
        error = error[1]
    elif error is True:
        error = sys.exception()
    if isinstance(error, BaseException):
        frames = "".join(traceback.format_tb(error.__traceback__))
        event["exception"] = f"{frames}{type(error).__name__}"
    return event
