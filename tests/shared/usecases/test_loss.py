"""What must never be lost: values at a destination that nobody asked to remove."""

from typing import Any

import pytest
from pydantic import SecretStr

from shared.backoff import MAX_ATTEMPTS
from shared.db.jobs import Kind
from shared.db.syncs import Status
from shared.errors import InvalidInput
from shared.usecases.connections import ConnectionDraft, create_connection
from shared.usecases.dispatch import dispatch
from shared.usecases.edit_secrets import Draft, update_secrets
from shared.usecases.reconcile import Which, reconcile_now
from shared.usecases.syncs import SyncDraft, create_sync
from tests.fakes.service import Drop, Fail
from tests.fakes.vercel import FakeVercel
from tests.shared.usecases.world import ACTOR, World, sync_options


def message(world: World) -> str:
    return world.state(world.sync_ids()[0]).last_sync_message or ""


def test_what_an_import_could_not_take_over_is_not_deleted(world: World) -> None:
    world.seed(GOOD="1", TEMPLATE="a${B}c")
    world.railway.seal("env-production/svc-web", {"SEALED": "2"})
    sync_id = world.sync(initialSyncBehavior="import-prioritize-source")

    world.work()
    world.put(NEW="3")
    world.work()

    assert world.held() == {"GOOD": "1", "TEMPLATE": "a${B}c", "SEALED": "2", "NEW": "3"}
    assert world.state(sync_id).sync_status == Status.SUCCEEDED


def test_an_imported_value_never_becomes_a_reference(world: World) -> None:
    world.put(environment="staging", SECRET="of staging")
    world.seed(LURE="${staging.SECRET}")
    world.sync(initialSyncBehavior="import-prioritize-destination")

    world.work()

    assert world.held() == {"LURE": "${staging.SECRET}"}


def test_a_reference_finds_what_its_folder_imports(world: World) -> None:
    world.folder("base")
    world.put(path="/base", HOST="db", URL="${HOST}:${PORT}", PORT="1")
    world.show("/base")
    world.put(DSN="pg://${HOST}", PORT="2")
    world.sync()

    world.work()
    world.put(path="/base", HOST="db2")
    world.work()

    # What an imported value refers to is looked up where that value lies.
    assert world.held() == {"HOST": "db2", "URL": "db2:1", "PORT": "2", "DSN": "pg://db2"}


@pytest.mark.parametrize(("status", "times"), [(400, 1), (403, 1), (503, MAX_ATTEMPTS)])
def test_what_was_there_first_does_not_become_ours_by_a_write_that_failed(
    world: World, status: int, times: int
) -> None:
    world.seed(A="theirs", B="theirs")
    world.put(A="ours", C="ours")
    sync_id = world.sync(deleteUnmanaged=False)
    world.railway.fail_next(Fail(status), times=times, where=world.railway.is_write)
    for _ in range(times):
        world.later(3600)
    assert world.state(sync_id).sync_status == Status.FAILED

    world.drop("A")
    world.later(3600)
    assert world.held() == {"A": "theirs", "B": "theirs", "C": "ours"}

    world.delete(sync_id, remove_secrets=True)
    world.work()
    assert world.held() == {"A": "theirs", "B": "theirs"}


def test_what_was_there_first_becomes_ours_by_a_write_whose_answer_was_lost(world: World) -> None:
    world.seed(A="theirs", B="theirs")
    world.put(A="ours")
    sync_id = world.sync(deleteUnmanaged=False)
    world.railway.fail_next(Drop(applied=True), where=world.railway.is_write)
    world.work()

    world.delete(sync_id, remove_secrets=True)
    world.later(1)

    assert world.held() == {"B": "theirs"}


def test_every_value_emptied_at_once_stops_the_run_however_few_they_are(world: World) -> None:
    world.put(A="1", B="2")
    world.sync()
    world.work()

    world.put(A="", B="")
    world.work()

    assert world.held() == {"A": "1", "B": "2"}
    assert "Every value" in message(world)


def test_a_limit_of_zero_lets_no_deletion_pass(world: World) -> None:
    world.put(A="1", B="2", C="3")
    world.sync(deletionLimitPercent=0)
    world.work()

    world.drop("A")
    world.work()

    assert world.held() == {"A": "1", "B": "2", "C": "3"}
    assert "More than 0 %" in message(world)


def test_keys_that_could_not_be_deleted_do_not_loosen_the_brake(world: World) -> None:
    ours = {f"OURS_{number}": "1" for number in range(12)}
    world.seed(**{f"THEIRS_{number}": "1" for number in range(60)})
    world.put(**ours)
    world.sync(deleteUnmanaged=False)
    world.work()

    world.drop(*list(ours)[:11])
    world.work()

    assert len(world.held()) == 72
    assert "11 of 12 keys would be deleted" in message(world)


def test_a_waiting_reconcile_takes_over_what_a_failed_change_did_not_get_done(world: World) -> None:
    world.put(A="1")
    sync_id = world.sync(reconcileMode="report")
    world.work()
    world.put(A="2")
    dispatch(world.runtime)
    world.meanwhile(lambda: reconcile_now(world.runtime, Which()))
    world.railway.fail_next(Fail(503))

    world.work()
    world.later(600)

    assert world.held() == {"A": "2"}
    assert world.state(sync_id).sync_status == Status.SUCCEEDED


def test_a_new_edit_has_attempts_of_its_own(world: World) -> None:
    world.put(A="1")
    sync_id = world.sync()
    world.work()
    world.railway.fail_next(Fail(503), times=7)
    world.put(A="2")
    world.work()
    for _ in range(6):
        world.later(600)
    assert world.jobs(sync_id)[0].attempt == 7

    world.put(A="3")
    dispatch(world.runtime)

    assert world.jobs(sync_id)[0].attempt == MAX_ATTEMPTS // 2


def test_nothing_is_imported_to_several_folders(world: World) -> None:
    sync_id = world.sync(recursive=True)

    with pytest.raises(InvalidInput, match="covers several folders"):
        world.trigger(sync_id, Kind.IMPORT, importBehavior="import-prioritize-source")


def vercel_sync(world: World, **options: Any) -> None:
    """Create a sync to production of a Vercel project."""
    credentials = ConnectionDraft("vercel", "Vercel", "api-token", {"apiToken": "demo-vercel-token"})
    draft = SyncDraft(
        destination="vercel",
        name="vercel",
        project_id=world.project_id,
        connection_id=create_connection(world.runtime, credentials).id,
        environment="production",
        secret_path="/",
        destination_config={"scope": "project", "app": "prj_1", "teamId": "team_1", "env": "production"},
        sync_options=sync_options(**options),
    )
    create_sync(world.runtime, draft)


def test_nothing_is_deleted_while_the_provider_hides_some_keys(world: World, vercel: FakeVercel) -> None:
    world.put(A="1", B="2")
    vercel_sync(world)
    world.work()
    vercel.hidden_production = 3

    world.drop("B")
    world.work()

    assert vercel.places()["prj_1/production"] == {"A": "1", "B": "2"}
    vercel.hidden_production = 0
    world.put(A="3")
    world.work()
    assert vercel.places()["prj_1/production"] == {"A": "3"}


def test_an_edit_arrives_while_the_provider_hides_some_keys(world: World, vercel: FakeVercel) -> None:
    vercel.hidden_production = 1
    vercel.seed("prj_1/production", {"DB": "old"})
    vercel_sync(world, initialSyncBehavior="import-prioritize-destination")
    world.work()

    world.put(DB="new")
    world.work()

    assert vercel.places()["prj_1/production"]["DB"] == "new"


def test_an_edit_of_a_hidden_value_that_should_win_outlives_the_repeated_import(
    world: World, vercel: FakeVercel
) -> None:
    vercel.add("prj_1", "SEALED", "x", "production", type="sensitive")
    vercel.seed("prj_1/production", {"NEWEST": "not shown"})
    vercel.hidden_production = 1
    world.put(SEALED="old")
    vercel_sync(world, initialSyncBehavior="import-prioritize-destination")
    world.work()
    held = vercel.places()["prj_1/production"]["SEALED"]

    for value in ("new", "newer"):
        world.put(SEALED=value)
        world.work()

    assert (held, vercel.places()["prj_1/production"]["SEALED"]) == ("x", "newer")


def test_a_comment_alone_empties_nothing(world: World) -> None:
    world.seed(DB="production", X="1")
    world.put(X="1")
    world.sync()

    with pytest.raises(InvalidInput, match="needs a value"):
        update_secrets(
            world.runtime,
            world.project_id,
            "production",
            "/",
            [Draft("DB", comment=SecretStr("which database"))],
            actor=ACTOR,
            create_missing=True,
        )
