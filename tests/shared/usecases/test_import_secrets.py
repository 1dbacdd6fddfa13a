"""Taking over into the vault what a destination holds."""

from uuid import UUID

import pytest

from shared.db.jobs import Kind
from shared.db.syncs import Status
from shared.usecases.read_secrets import Detail, list_secrets
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
