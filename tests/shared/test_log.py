"""Structured logs that hold no value."""

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from shared import log
from shared.settings import Settings


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


@pytest.fixture
def configure(tmp_path: Path) -> Callable[[str], None]:
    """Configure the log as JSON lines of a level and above."""
    return lambda level: log.configure(Settings(data_dir=tmp_path, log_format="json", log_level=level))


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Return what was written."""
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_an_event_is_a_line_of_json_with_its_fields_and_context(
    configure: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    configure("info")

    with structlog.contextvars.bound_contextvars(job_id="1"):
        structlog.get_logger().info("job.finished", creates=3)

    [line] = lines(capsys)
    assert (line["event"], line["creates"], line["job_id"], line["level"]) == ("job.finished", 3, "1", "info")
    assert line["timestamp"].endswith("Z")


def test_libraries_write_in_the_same_form(
    configure: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    configure("info")

    logging.getLogger("celery.worker").warning("lost %s", "connection")

    [line] = lines(capsys)
    assert line["event"] == "lost connection"


@pytest.mark.parametrize("name", ["httpx", "sqlalchemy.engine", "kombu", "alembic"])
def test_what_libraries_say_about_each_request_is_not_let_through(
    configure: Callable[[str], None], capsys: pytest.CaptureFixture[str], name: str
) -> None:
    configure("debug")

    logging.getLogger(name).info("GET https://host/?token=a-secret-value")

    assert lines(capsys) == []


def test_an_exception_shows_where_it_came_from_and_not_its_text(
    configure: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    configure("info")
    a_local = "a-secret-value"

    try:
        raise ZeroDivisionError(a_local)
    except ZeroDivisionError:
        structlog.get_logger().exception("job.crashed")
        logging.getLogger("celery").exception("task crashed")

    ours, celerys = lines(capsys)
    for line in (ours, celerys):
        assert "test_log.py" in line["exception"]
        assert line["exception"].endswith("ZeroDivisionError")
        assert "a-secret-value" not in json.dumps(line)


def test_the_level_is_obeyed(configure: Callable[[str], None], capsys: pytest.CaptureFixture[str]) -> None:
    configure("warning")

    structlog.get_logger().info("quiet")

    assert lines(capsys) == []
