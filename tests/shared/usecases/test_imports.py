"""Imports: what a folder shows of others, and in which order."""

from functools import partial

import pytest

from shared.errors import Conflict, InvalidInput, NotFound
from shared.usecases import imports
from tests.shared.usecases.world import World, together


def shown(world: World) -> list[tuple[str, int]]:
    found = imports.list_imports(world.runtime, world.project_id, environment="production", path="/")
    return [(view.row.path, view.row.position) for view in found]


def test_an_import_can_show_another_folder_instead(world: World) -> None:
    for name in ("one", "two"):
        world.folder(name)
        world.put(path=f"/{name}", WHO=name)
    import_id = world.show("/one")
    world.sync()
    world.work()

    imports.update_import(
        world.runtime,
        world.project_id,
        import_id,
        environment="production",
        path="/",
        imported_path="/two",
    )
    world.work()

    assert shown(world) == [("/two", 1)]
    assert world.held() == {"WHO": "two"}


def test_imports_keep_their_order_and_close_up_when_one_is_moved(world: World) -> None:
    for name in ("one", "two", "three"):
        world.folder(name)
    ids = [world.show(f"/{name}") for name in ("one", "two", "three")]
    assert shown(world) == [("/one", 1), ("/two", 2), ("/three", 3)]

    imports.update_import(
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
        imports.delete_import(
            world.runtime, world.project_id, import_id, environment="production", path="/base"
        )


def test_imports_made_at_once_have_an_order(world: World) -> None:
    names = [f"f{number}" for number in range(6)]
    for name in names:
        world.folder(name)

    together([partial(world.show, f"/{name}") for name in names])

    assert [position for _, position in shown(world)] == [1, 2, 3, 4, 5, 6]
