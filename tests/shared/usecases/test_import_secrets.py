"""Taking over into the vault what a destination holds."""

from functools import partial
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr

from shared.db.jobs import Kind
from shared.db.syncs import Status
from shared.usecases import import_secrets
from shared.usecases.edit_secrets import Draft
from shared.usecases.environments import delete_environment, get_by_slug
from shared.usecases.read_secrets import Detail, get_secret, list_secrets
from tests.fakes.service import Fail
from tests.shared.usecases.world import World, place

SOURCE, DESTINATION = "import-prioritize-source", "import-prioritize-destination"


def vault(world: World, path: str = "/") -> dict[str, str]:
    listing = list_secrets(world.runtime, world.project_id, "production", path, Detail())
    return {view.key: view.value.get_secret_value() for view in listing.secrets if view.value is not None}


def run_import(world: World, sync_id: UUID, behavior: str) -> None:
    world.trigger(sync_id, Kind.IMPORT, importBehavior=behavior)
    world.work()


@pytest.mark.parametrize(("behavior", "both"), [(SOURCE, "vault"), (DESTINATION, "railway")])
def test_an_import_brings_what_is_missing_and_decides_what_differs(
    world: World, behavior: str, both: str
) -> None:
    world.seed(BOTH="railway", NEW="1")
    world.put(BOTH="vault", OWN="1")
    sync_id = world.sync(auto=False)

    run_import(world, sync_id, behavior)

    assert vault(world) == {"BOTH": both, "OWN": "1", "NEW": "1"}
    assert world.state(sync_id).import_status == Status.SUCCEEDED
    assert world.railway.writes == []


def test_what_another_sync_wrote_there_is_not_imported(world: World) -> None:
    world.put(environment="staging", A="1")
    world.sync("first", environment="staging", keySchema="{{environment}}_{{secretKey}}")
    world.work()
    # Without its environment, the first one's schema is in nobody's way.
    delete_environment(world.runtime, get_by_slug(world.runtime, world.project_id, "staging").id)
    world.seed(staging_NEW="1")

    world.sync("second", keySchema="staging_{{secretKey}}", initialSyncBehavior=DESTINATION)
    world.work()

    assert vault(world) == {"NEW": "1"}


def test_an_empty_value_never_replaces_one_that_is_there(world: World) -> None:
    world.seed(A="")
    world.put(A="1")
    sync_id = world.sync(auto=False)

    run_import(world, sync_id, DESTINATION)

    assert vault(world) == {"A": "1"}


def test_an_import_takes_the_key_schema_off(world: World) -> None:
    world.seed(APP_KEY="1", OTHER="1")
    sync_id = world.sync(auto=False, keySchema="APP_{{secretKey}}")

    run_import(world, sync_id, SOURCE)

    assert vault(world) == {"KEY": "1"}


def test_what_another_sync_wrote_is_not_imported(world: World) -> None:
    world.put(path="/", A="1")
    world.folder("two")
    world.sync("one", keySchema="ONE_{{secretKey}}")
    world.work()
    sync_id = world.sync("two", path="/two", auto=False, keySchema="TWO_{{secretKey}}")

    run_import(world, sync_id, SOURCE)

    assert vault(world, "/two") == {}


def test_a_hidden_value_is_named_and_left_out(world: World) -> None:
    world.railway.seal(place("svc-web"), {"SEALED": "x"})
    world.seed(A="1")
    sync_id = world.sync(auto=False)

    run_import(world, sync_id, SOURCE)

    assert vault(world) == {"A": "1"}
    assert world.jobs(sync_id)[0].details["warnings"] == [
        "SEALED was not imported: the provider does not show its value."
    ]


def test_an_import_is_an_edit_that_other_syncs_follow(world: World) -> None:
    world.seed(NEW="1")
    world.sync("worker", service="svc-worker")
    sync_id = world.sync("web", auto=False)
    world.work()

    run_import(world, sync_id, SOURCE)

    assert world.held("svc-worker") == {"NEW": "1"}


def test_what_is_equal_already_makes_no_new_version(world: World) -> None:
    world.seed(A="1")
    world.put(A="1")
    sync_id = world.sync(auto=False)

    run_import(world, sync_id, DESTINATION)

    [view] = list_secrets(world.runtime, world.project_id, "production", "/", Detail()).secrets
    assert view.version == 1
    assert world.jobs(sync_id)[0].details["imported"] == []


def test_a_value_that_a_reference_stands_for_stays_a_reference(world: World) -> None:
    world.seed(URL="http://shop", HOST="shop")
    world.put(URL="http://${HOST}", HOST="shop")
    sync_id = world.sync(auto=False)

    run_import(world, sync_id, DESTINATION)

    assert vault(world) == {"URL": "http://${HOST}", "HOST": "shop"}


def test_an_import_into_a_sync_that_is_paused_meanwhile_changes_nothing(world: World) -> None:
    world.seed(A="1")
    sync_id = world.sync(auto=False)
    world.trigger(sync_id, Kind.IMPORT, importBehavior=SOURCE)
    world.meanwhile(lambda: world.change(sync_id, is_paused=True))

    world.work()

    assert vault(world) == {}
    assert world.state(sync_id).import_status == Status.FAILED
    assert world.state(sync_id).last_import_message is not None
    assert world.state(sync_id).sync_status is None


@pytest.mark.parametrize("name", ["WITH:COLON", "with/slash", "WITH SPACE", "K" * 256])
def test_a_name_the_vault_cannot_hold_stops_no_import_and_is_not_deleted(world: World, name: str) -> None:
    world.seed(**{name: "1", "GOOD": "2"})
    sync_id = world.sync(initialSyncBehavior=SOURCE)

    world.work()

    assert vault(world) == {"GOOD": "2"}
    assert world.held() == {name: "1", "GOOD": "2"}
    assert world.state(sync_id).sync_status == Status.SUCCEEDED
    assert f"{name} was not imported: " in world.jobs(sync_id)[-1].details["warnings"][0]


def test_an_import_is_taken_over_whole_or_not_at_all(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.seed(A="1", B="2")
    sync_id = world.sync(auto=False)
    put = import_secrets.put_secret

    def put_all_but_b(runtime: Any, session: Any, place: Any, draft: Draft, **more: Any) -> None:
        if draft.key == "B":
            raise ZeroDivisionError
        put(runtime, session, place, draft, **more)

    monkeypatch.setattr(import_secrets, "put_secret", put_all_but_b)
    run_import(world, sync_id, SOURCE)

    assert vault(world) == {}
    assert world.state(sync_id).import_status == Status.FAILED


def test_an_imported_value_is_a_new_version_and_the_old_one_is_kept(world: World) -> None:
    world.seed(A="of railway")
    world.put(A="of the vault")
    sync_id = world.sync(auto=False)

    run_import(world, sync_id, DESTINATION)

    version = partial(get_secret, world.runtime, world.project_id, "production", "/", "A", detail=Detail())
    assert [version(version=number).value for number in (1, 2)] == [
        SecretStr("of the vault"),
        SecretStr("of railway"),
    ]


def test_an_import_waits_out_an_outage(world: World) -> None:
    world.seed(A="1")
    sync_id = world.sync(auto=False)
    world.railway.fail_next(Fail(503))
    run_import(world, sync_id, SOURCE)
    assert world.state(sync_id).import_status == Status.PENDING

    world.later(60)

    assert vault(world) == {"A": "1"}
    assert world.state(sync_id).import_status == Status.SUCCEEDED


def test_an_import_waits_while_the_destination_is_written(world: World) -> None:
    world.put(A="1")
    sync_id = world.sync()
    world.seed(B="2")

    def ask_for_an_import() -> None:
        world.trigger(sync_id, Kind.IMPORT, importBehavior=SOURCE)
        # Another worker takes the hint while the run is under way.
        world.work()
        assert world.state(sync_id).import_status == Status.PENDING

    world.meanwhile(ask_for_an_import, at="Write")
    world.work()

    assert world.state(sync_id).import_status == Status.SUCCEEDED


@pytest.mark.parametrize("behavior", [SOURCE, DESTINATION])
def test_a_sync_that_comes_back_before_it_ran_elsewhere_starts_over(world: World, behavior: str) -> None:
    world.put(A="1")
    sync_id = world.sync(initialSyncBehavior=behavior)
    world.work()
    world.change(sync_id, is_auto_sync_enabled=False)
    world.change(sync_id, destination_config=world.config("svc-worker"))
    world.seed(NEW="2")

    world.change(sync_id, destination_config=world.config("svc-web"))
    world.change(sync_id, is_auto_sync_enabled=True)
    world.work()

    assert world.held() == {"A": "1", "NEW": "2"}
    assert vault(world) == {"A": "1", "NEW": "2"}


def test_a_hidden_value_that_should_win_is_not_emptied(world: World) -> None:
    world.railway.seal(place("svc-web"), {"SEALED": "x"})
    world.put(SEALED="")
    sync_id = world.sync(initialSyncBehavior=DESTINATION)

    world.work()

    assert world.held() == {"SEALED": "x"}
    assert world.state(sync_id).sync_status == Status.FAILED
    assert "SEALED: it was there first and could not be imported" in (
        world.state(sync_id).last_sync_message or ""
    )


def test_a_hidden_value_that_should_win_gives_way_to_a_new_one(world: World) -> None:
    world.railway.seal(place("svc-web"), {"SEALED": "x"})
    world.put(SEALED="")
    sync_id = world.sync(initialSyncBehavior=DESTINATION)
    world.work()

    world.put(SEALED="new")
    world.work()

    assert world.held() == {"SEALED": "new"}
    assert world.state(sync_id).sync_status == Status.SUCCEEDED


def test_a_hidden_value_that_should_win_is_not_replaced_by_what_the_vault_had(world: World) -> None:
    world.railway.seal(place("svc-web"), {"SEALED": "x"})
    world.put(SEALED="old", OTHER="1")
    sync_id = world.sync(initialSyncBehavior=DESTINATION)

    world.work()
    held = dict(world.held())
    world.put(SEALED="new")
    world.work()

    assert held == {"SEALED": "x", "OTHER": "1"}
    assert world.held() == {"SEALED": "new", "OTHER": "1"}
    assert world.state(sync_id).sync_status == Status.SUCCEEDED


def test_an_import_by_hand_decides_anew_who_wins(world: World) -> None:
    world.railway.seal(place("svc-web"), {"SEALED": "x"})
    world.put(SEALED="old")
    sync_id = world.sync(initialSyncBehavior=DESTINATION)
    world.work()

    world.trigger(sync_id, Kind.IMPORT, importBehavior=SOURCE)
    world.work()
    world.trigger(sync_id)
    world.work()

    assert world.held() == {"SEALED": "old"}
    assert world.state(sync_id).sync_status == Status.SUCCEEDED


def test_an_import_by_hand_spares_nothing_that_the_sync_is_to_overwrite(world: World) -> None:
    world.railway.seal(place("svc-web"), {"SEALED": "x"})
    world.put(SEALED="old")
    sync_id = world.sync(auto=False)
    world.trigger(sync_id, Kind.IMPORT, importBehavior=DESTINATION)
    world.work()

    world.trigger(sync_id)
    world.work()

    assert world.held() == {"SEALED": "old"}
    assert world.state(sync_id).sync_status == Status.SUCCEEDED


def test_a_sync_that_is_to_overwrite_after_all_replaces_what_it_left(world: World) -> None:
    world.railway.seal(place("svc-web"), {"SEALED": "x"})
    world.put(SEALED="old")
    sync_id = world.sync(initialSyncBehavior=DESTINATION)
    world.work()

    world.change(sync_id, sync_options=world.options())
    world.work()

    assert world.held() == {"SEALED": "old"}
    assert world.state(sync_id).sync_status == Status.SUCCEEDED


def test_an_edit_survives_a_sync_that_comes_back_to_a_former_destination(world: World) -> None:
    world.put(A="1")
    sync_id = world.sync(initialSyncBehavior=DESTINATION)
    world.work()
    world.change(sync_id, destination_config=world.config("svc-worker"))
    world.work()
    world.put(A="2")
    world.work()

    world.change(sync_id, destination_config=world.config("svc-web"))
    world.work()

    assert (vault(world), world.held("svc-web")) == ({"A": "2"}, {"A": "2"})


def test_a_deleted_secret_does_not_rise_again_when_a_sync_comes_back(world: World) -> None:
    world.put(A="1", B="1")
    sync_id = world.sync(initialSyncBehavior=SOURCE)
    world.work()
    world.change(sync_id, destination_config=world.config("svc-worker"))
    world.work()
    world.drop("A")
    world.work()

    world.change(sync_id, destination_config=world.config("svc-web"))
    world.work()

    assert (vault(world), world.held("svc-web")) == ({"B": "1"}, {"B": "1"})


@pytest.mark.parametrize("behavior", [SOURCE, DESTINATION])
def test_an_edit_during_an_import_is_newer_than_what_was_read(world: World, behavior: str) -> None:
    world.seed(A="0", B="0", C="0")
    world.put(A="1", B="1")
    world.sync(initialSyncBehavior=behavior)

    def edit() -> None:
        world.put(A="2")
        world.drop("B")

    world.meanwhile(edit)
    world.work()

    assert vault(world) == {"A": "2", "C": "0"}
    assert world.held() == {"A": "2", "C": "0"}
