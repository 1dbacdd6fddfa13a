"""Folders: made, renamed and deleted, with what lies below them."""

from contextlib import suppress

import pytest

from shared.db.syncs import Status
from shared.errors import Conflict, InvalidInput, NotFound
from shared.usecases import folders
from shared.usecases.projects import get_project
from tests.shared.usecases.world import World, together


def names(world: World, path: str = "/") -> list[str]:
    found = folders.list_folders(world.runtime, world.project_id, environment="production", path=path)
    return [view.folder.name for view in found]


def test_a_folder_is_made_with_every_folder_above_it(world: World) -> None:
    world.folder("deep", parent="/app/db")

    assert (names(world), names(world, "/app"), names(world, "/app/db")) == (["app"], ["db"], ["deep"])


@pytest.mark.parametrize("name", ["", "a/b", "a b", "ä"])
def test_a_name_that_is_no_path_is_refused(world: World, name: str) -> None:
    with pytest.raises(InvalidInput):
        world.folder(name)


def test_a_folder_is_made_once(world: World) -> None:
    world.folder("app")

    with pytest.raises(Conflict):
        world.folder("app")


def test_a_folder_is_found_by_its_id_until_it_is_deleted(world: World) -> None:
    folder_id = world.folder("app")
    assert folders.get_folder(world.runtime, folder_id).folder.path == "/app"

    folders.delete_folder(world.runtime, folder_id)

    with pytest.raises(NotFound):
        folders.get_folder(world.runtime, folder_id)


def test_a_folder_goes_with_everything_below_it_and_nothing_beside_it(world: World) -> None:
    folder_id = world.folder("app")
    world.folder("deep", parent="/app")
    world.folder("app-too")
    world.put(path="/app/deep", A="1")

    folders.delete_folder(world.runtime, folder_id)

    assert names(world) == ["app-too"]


def test_the_root_folder_stays(world: World) -> None:
    view = folders.list_folders(world.runtime, world.project_id, environment="production", path="/")
    assert view == []
    world.folder("app")
    [app] = folders.list_folders(world.runtime, world.project_id, environment="production", path="/")
    assert app.folder.parent_id is not None

    with pytest.raises(InvalidInput, match="root folder"):
        folders.delete_folder(world.runtime, app.folder.parent_id)


def test_a_sync_whose_source_is_deleted_fails_at_once(world: World) -> None:
    folder_id = world.folder("app")
    world.folder("deep", parent="/app")
    world.put(path="/app/deep", A="1")
    sync_id = world.sync(path="/app/deep")
    world.work()

    folders.delete_folder(world.runtime, folder_id)
    waiting = world.state(sync_id).sync_status
    world.work()

    assert waiting == Status.PENDING
    assert world.state(sync_id).sync_status == Status.FAILED
    assert world.held() == {"A": "1"}


def test_a_renamed_folder_takes_what_lies_below_it_along(world: World) -> None:
    folder_id = world.folder("app")
    world.folder("deep", parent="/app")
    world.folder("app-too")
    world.put(path="/app/deep", A="1")

    folders.update_folder(world.runtime, folder_id, name="web")

    assert (names(world), names(world, "/web")) == (["app-too", "web"], ["deep"])
    world.put(path="/web/deep", A="2")


def test_syncs_and_imports_of_a_renamed_folder_go_on(world: World) -> None:
    folder_id = world.folder("app")
    world.folder("deep", parent="/app")
    world.put(path="/app/deep", A="1")
    world.show("/app/deep")
    syncs = [world.sync("web", path="/app/deep"), world.sync("worker", service="svc-worker")]
    world.work()

    folders.update_folder(world.runtime, folder_id, name="web")
    world.work()
    world.put(path="/web/deep", A="2")
    world.work()

    assert [world.state(sync_id).sync_status for sync_id in syncs] == [Status.SUCCEEDED] * 2
    assert (world.held("svc-web"), world.held("svc-worker")) == ({"A": "2"}, {"A": "2"})


def test_a_folder_made_anew_heals_the_syncs_that_missed_it(world: World) -> None:
    folder_id = world.folder("app")
    world.put(A="1")
    world.show("/app")
    sync_id = world.sync()
    folders.delete_folder(world.runtime, folder_id)
    world.work()
    assert world.state(sync_id).sync_status == Status.FAILED

    world.folder("app")
    world.work()

    assert world.state(sync_id).sync_status == Status.SUCCEEDED
    assert world.held() == {"A": "1"}


def test_a_folder_that_nothing_shows_runs_nothing(world: World) -> None:
    world.put(A="1")
    sync_id = world.sync(recursive=True)
    world.work()

    world.folder("app")

    assert world.work() == 0
    assert len(world.jobs(sync_id)) == 1


def test_a_reference_to_a_renamed_folder_fails_the_job_and_changes_nothing(world: World) -> None:
    folder_id = world.folder("app")
    world.put(path="/app", HOST="shop")
    world.put(URL="http://${production.app.HOST}")
    sync_id = world.sync()
    world.work()

    folders.update_folder(world.runtime, folder_id, name="web")
    world.work()

    assert world.state(sync_id).sync_status == Status.FAILED
    assert "URL" in (world.state(sync_id).last_sync_message or "")
    assert world.held() == {"URL": "http://shop"}

    folders.update_folder(world.runtime, folder_id, name="app")
    world.work()

    assert world.state(sync_id).sync_status == Status.SUCCEEDED


def test_an_edit_that_was_not_dispatched_before_a_rename_is_not_forgotten(world: World) -> None:
    folder_id = world.folder("app")
    world.put(path="/app", A="1")
    world.sync(path="/app")
    world.work()

    world.put(path="/app", A="2")
    folders.update_folder(world.runtime, folder_id, name="web")
    world.work()

    assert world.held() == {"A": "2"}


@pytest.mark.parametrize("name", ["", "a/b", "a b", "taken"])
def test_a_folder_is_not_renamed_to_what_is_no_name_or_taken(world: World, name: str) -> None:
    folder_id = world.folder("app")
    world.folder("taken")

    with pytest.raises((Conflict, InvalidInput)):
        folders.update_folder(world.runtime, folder_id, name=name)

    assert names(world) == ["app", "taken"]


def test_the_root_folder_keeps_its_name(world: World) -> None:
    folder_id = folders.get_folder(world.runtime, world.folder("app")).folder.parent_id
    assert folder_id is not None

    with pytest.raises(InvalidInput, match="root folder"):
        folders.update_folder(world.runtime, folder_id, name="trunk")


def test_a_folder_made_below_another_while_that_is_renamed_is_found(world: World) -> None:
    folder_id = world.folder("app")

    # One of them may be refused because the other one was there first.
    def rename() -> None:
        for name in ("web", "app") * 3:
            with suppress(Conflict):
                folders.update_folder(world.runtime, folder_id, name=name)

    def fill() -> None:
        for number in range(6):
            with suppress(Conflict):
                world.folder(f"below-{number}", parent="/app")

    together([rename, fill])

    every = folders.list_folders(
        world.runtime, world.project_id, environment="production", path="/", recursive=True
    )
    by_id = {view.folder.id: view.folder for view in every}
    for folder in by_id.values():
        above = by_id.get(folder.parent_id) if folder.parent_id else None
        assert folder.path == f"{above.path if above else ''}/{folder.name}"


def test_a_new_project_has_an_empty_root_in_each_environment(world: World) -> None:
    view = get_project(world.runtime, world.project_id)

    assert [row.slug for row in view.environments] == ["development", "staging", "production"]
    for row in view.environments:
        found = folders.list_folders(world.runtime, world.project_id, environment=row.slug, path="/")
        assert found == []


def test_a_rename_that_makes_a_path_below_too_long_is_refused(world: World) -> None:
    folder_id = world.folder("a")
    world.folder("deep", parent="/a" + ("/" + "b" * 250) * 8)

    with pytest.raises(InvalidInput, match="more than 2048 characters"):
        folders.update_folder(world.runtime, folder_id, name="c" * 255)

    assert names(world) == ["a"]
