"""From start to stop of a worker."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from shared.broker import Task
from shared.runtime import Runtime
from shared.settings import Settings
from shared.usecases.claim import claim
from shared.usecases.setup import prepare
from tests.shared.usecases.world import World, together
from worker import lifecycle, tasks


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """A worker process whose settings point to a fresh data directory."""
    settings = Settings(data_dir=tmp_path / "own")
    prepare(settings)
    monkeypatch.setattr(lifecycle, "settings", lambda: settings)
    yield settings
    lifecycle.close_runtime()


def test_all_tasks_of_a_process_share_one_runtime(own: Settings) -> None:
    seen: list[Runtime] = []

    together([lambda: seen.append(lifecycle.runtime())] * 8)

    assert len({id(runtime) for runtime in seen}) == 1


def test_a_worker_that_stops_closes_what_it_opened(own: Settings) -> None:
    runtime = lifecycle.runtime()

    lifecycle.close_runtime()

    assert runtime.http.is_closed
    assert lifecycle.runtime() is not runtime


def test_a_worker_that_never_worked_has_nothing_to_close() -> None:
    lifecycle.close_runtime()


@pytest.mark.parametrize(("name", "freed"), [("one", True), ("two", False), ("", False)])
def test_a_worker_frees_what_its_name_left_running(
    world: World, monkeypatch: pytest.MonkeyPatch, name: str, freed: bool
) -> None:
    world.put(A="1")
    world.sync()
    named = world.runtime.settings.model_copy(update={"worker_name": "one"})
    object.__setattr__(world.runtime, "settings", named)
    claim(world.runtime, world.broker.sent[-1].ids[0])
    world.lose_hints()
    monkeypatch.setattr(lifecycle, "settings", lambda: named.model_copy(update={"worker_name": name}))
    monkeypatch.setattr(lifecycle, "runtime", lambda: world.runtime)

    lifecycle.take_over()

    world.work()
    assert world.held() == ({"A": "1"} if freed else {})


def test_a_task_that_crashes_is_logged_by_its_name() -> None:
    error = ValueError()

    with capture_logs() as logs:
        lifecycle.report_crash(sender=tasks.sweep_up, exception=error)

    assert logs == [
        {"event": "task.crashed", "task": Task.SWEEP.value, "exc_info": error, "log_level": "error"}
    ]
