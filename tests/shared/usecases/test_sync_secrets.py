"""One sync: what a run costs, how the first one begins, and what is remembered."""

import pytest

from shared.db import ledger
from shared.db.syncs import Status
from tests.fakes.service import Fail
from tests.shared.usecases.world import World, is_write, many, place


def calls(world: World) -> tuple[int, int]:
    return len(world.railway.reads), len(world.railway.writes)


# --- what it costs -------------------------------------------------------------------------------------


def test_nothing_changed_costs_one_read_and_no_write(world: World) -> None:
    world.put(**many(20))
    sync_id = world.sync(redeploy="after-change")
    world.work()
    world.railway.forget_calls()

    world.trigger(sync_id)
    world.work()

    assert calls(world) == (1, 0)
    assert world.jobs(sync_id)[0].unchanged_count == 20


@pytest.mark.parametrize("changed", [1, 20])
def test_changed_keys_cost_one_read_and_one_write_however_many(world: World, changed: int) -> None:
    world.put(**many(50))
    world.sync()
    world.work()
    world.railway.forget_calls()

    world.put(**many(changed, value="2"))
    world.work()

    assert calls(world) == (1, 1)


def test_a_changed_value_is_never_absent_while_it_is_changed(world: World) -> None:
    world.put(**many(5))
    world.sync()
    world.work()
    world.railway.forget_calls()

    world.put(**many(5, value="2"))
    world.work()

    assert not any(world.railway.was_ever_absent(place("svc-web"), key) for key in many(5))


def test_a_sync_has_no_limit_of_keys(world: World) -> None:
    keys = {f"KEY_{index:04}": "${BASE}/" + str(index) for index in range(1200)}
    world.put(BASE="https://shop", **keys)
    sync_id = world.sync()

    world.work()

    assert world.state(sync_id).sync_status == Status.SUCCEEDED
    assert len(world.held()) == 1201
    assert world.held()["KEY_1199"] == "https://shop/1199"


def test_nothing_is_deleted_before_what_replaces_it_is_written(world: World) -> None:
    world.put(OLD_NAME="1")
    world.sync()
    world.work()
    world.railway.fail_next(Fail(503), where=is_write)

    world.put(NEW_NAME="1")
    world.drop("OLD_NAME")
    world.work()

    assert world.held() == {"OLD_NAME": "1"}
    world.later(60)
    assert world.held() == {"NEW_NAME": "1"}


# --- the first run -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("behavior", "expected"),
    [
        ("overwrite-destination", {"BOTH": "vault", "OWN": "1"}),
        ("import-prioritize-source", {"BOTH": "vault", "OWN": "1", "THEIRS": "1"}),
        ("import-prioritize-destination", {"BOTH": "railway", "OWN": "1", "THEIRS": "1"}),
    ],
)
def test_the_first_run_imports_as_it_was_told(world: World, behavior: str, expected: dict[str, str]) -> None:
    world.seed(BOTH="railway", THEIRS="1")
    world.put(BOTH="vault", OWN="1")
    sync_id = world.sync(initialSyncBehavior=behavior)

    world.work()

    assert world.held() == expected
    assert world.state(sync_id).sync_status == Status.SUCCEEDED


def test_later_runs_do_not_import(world: World) -> None:
    world.put(A="1")
    world.sync(initialSyncBehavior="import-prioritize-source")
    world.work()
    world.seed(THEIRS="1")

    world.put(A="2")
    world.work()

    assert world.held() == {"A": "2"}


def test_another_destination_starts_over_with_an_import(world: World) -> None:
    world.put(A="1")
    sync_id = world.sync(initialSyncBehavior="import-prioritize-source")
    world.work()
    world.seed("svc-worker", THEIRS="1")

    world.change(sync_id, destination_config=world.config("svc-worker"))
    world.work()

    assert world.held("svc-worker") == {"A": "1", "THEIRS": "1"}


# --- what is remembered --------------------------------------------------------------------------------


def test_the_ledger_holds_no_value(world: World) -> None:
    world.put(A="a-secret-value")
    sync_id = world.sync()
    world.work()

    with world.runtime.database.snapshot() as session:
        [row] = ledger.confirmed_by_sync(session, [sync_id])[sync_id]

    assert row.secret_version == 1
    assert "a-secret-value" not in str(vars(row))
