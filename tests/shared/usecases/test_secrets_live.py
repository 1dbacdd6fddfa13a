"""Which version of a secret is live where: what a destination was last known to hold."""

from shared.usecases.secrets_live import secrets_live
from tests.shared.usecases.world import World


def live(world: World, path: str = "/", *, key: str | None = None) -> list[tuple[str, str, int, bool | None]]:
    """Return destination key, secret, version, and whether that is the present one."""
    found = secrets_live(world.runtime, world.project_id, "production", path, key=key)
    return [(each.key, each.source_key, each.version, each.is_current) for each in found]


def test_a_secret_is_live_under_the_key_of_its_destination(world: World) -> None:
    world.put(A="1", B="1")
    world.sync(keySchema="SHOP_{{secretKey}}")
    world.work()

    assert live(world) == [("SHOP_A", "A", 1, True), ("SHOP_B", "B", 1, True)]
    assert live(world, key="B") == [("SHOP_B", "B", 1, True)]


def test_what_never_arrived_is_not_live(world: World) -> None:
    world.put(A="1")
    world.sync()

    assert live(world) == []


def test_until_an_edit_arrives_an_earlier_version_is_live(world: World) -> None:
    world.put(A="1")
    world.sync()
    world.work()

    world.put(A="2")
    before = live(world)
    world.work()

    assert before == [("A", "A", 1, False)]
    assert live(world) == [("A", "A", 2, True)]


def test_a_value_that_came_back_is_live_under_its_newest_version(world: World) -> None:
    world.put(A="1")
    world.sync()
    world.work()

    world.put(A="2")
    world.put(A="1")
    world.work()

    assert live(world) == [("A", "A", 3, True)]


def test_a_deleted_secret_is_live_until_it_is_removed(world: World) -> None:
    world.put(A="1", B="1")
    world.sync()
    world.work()

    world.drop("A")
    before = live(world)
    world.work()

    assert before == [("A", "A", 1, None), ("B", "B", 1, True)]
    assert live(world) == [("B", "B", 1, True)]


def test_a_secret_is_live_where_an_import_shows_it(world: World) -> None:
    world.folder("base")
    world.put(path="/base", A="1")
    world.show("/base")
    world.sync()
    world.work()

    assert live(world, "/base") == [("A", "A", 1, True)]


def test_a_key_that_comes_from_another_folder_is_live_for_that_one_alone(world: World) -> None:
    world.folder("base")
    world.put(path="/base", A="1", B="1")
    world.put(B="of its own", C="1")
    world.show("/base")
    world.sync()
    world.work()

    assert live(world) == [("B", "B", 1, True), ("C", "C", 1, True)]
    assert live(world, "/base") == [("A", "A", 1, True)]


def test_the_folders_of_a_recursive_sync_are_told_apart(world: World) -> None:
    world.folder("app")
    world.put(path="/app", A="1")
    world.put(B="1")
    world.sync(recursive=True)
    world.work()

    assert live(world) == [("B", "B", 1, True)]
    assert live(world, "/app") == [("A", "A", 1, True)]
