"""Folders, and the imports by which one shows another's secrets."""

import pytest

from shared.db.syncs import Status
from shared.errors import Conflict, InvalidInput, NotFound
from shared.usecases import folders
from shared.usecases.projects import get_project
from tests.shared.usecases.world import World


def names(world: World, path: str = "/") -> list[str]:
    found = folders.list_folders(world.runtime, world.project_id, environment="production", path=path)
    return [view.folder.name for view in found]


def shown(world: World) -> list[tuple[str, int]]:
    found = folders.list_imports(world.runtime, world.project_id, environment="production", path="/")
    return [(view.row.path, view.row.position) for view in found]


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
    world.work()

    assert world.state(sync_id).sync_status == Status.FAILED
    assert world.held() == {"A": "1"}


def test_imports_keep_their_order_and_close_up_when_one_is_moved(world: World) -> None:
    for name in ("one", "two", "three"):
        world.folder(name)
    ids = [world.show(f"/{name}") for name in ("one", "two", "three")]
    assert shown(world) == [("/one", 1), ("/two", 2), ("/three", 3)]

    folders.move_import(
        world.runtime, world.project_id, ids[0], environment="production", path="/", position=3
    )

    assert shown(world) == [("/two", 1), ("/three", 2), ("/one", 3)]


def test_a_folder_imports_another_once_and_never_itself(world: World) -> None:
    world.folder("base")
    world.show("/base")

    with pytest.raises(Conflict):
        world.show("/base")
    with pytest.raises(InvalidInput, match="cannot import itself"):
        world.show("/")


def test_an_import_belongs_to_its_folder(world: World) -> None:
    world.folder("base")
    import_id = world.show("/base")

    with pytest.raises(NotFound):
        folders.delete_import(
            world.runtime, world.project_id, import_id, environment="production", path="/base"
        )


def test_a_new_project_has_an_empty_root_in_each_environment(world: World) -> None:
    view = get_project(world.runtime, world.project_id)

    assert [row.slug for row in view.environments] == ["development", "staging", "production"]
    for row in view.environments:
        found = folders.list_folders(world.runtime, world.project_id, environment=row.slug, path="/")
        assert found == []
