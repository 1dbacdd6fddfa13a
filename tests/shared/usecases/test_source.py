"""What a folder shows: its own secrets, its imports, its references."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Engine, event

from shared.errors import SourceUnreadable
from shared.usecases.places import find_place
from shared.usecases.source import MAX_IMPORT_DEPTH, Source, read_source
from tests.shared.usecases.world import World


def read(world: World, path: str = "/", *, recursive: bool = False) -> Source:
    with world.runtime.database.snapshot() as session:
        place = find_place(session, world.project_id, "production", path)
        data_key = world.runtime.data_key(place.project.data_key)
        return read_source(session, data_key, place, recursive=recursive)


def values(source: Source) -> dict[str, str]:
    return {key: secret.value.get_secret_value() for key, secret in source.secrets.items()}


def test_a_folders_own_secret_beats_every_import(world: World) -> None:
    world.folder("base")
    world.put(path="/base", WHO="base", ONLY="base")
    world.put(WHO="own")
    world.show("/base")

    assert values(read(world)) == {"WHO": "own", "ONLY": "base"}


def test_among_imports_the_last_one_wins(world: World) -> None:
    for name in ("one", "two"):
        world.folder(name)
        world.put(path=f"/{name}", WHO=name)
        world.show(f"/{name}")

    assert values(read(world)) == {"WHO": "two"}


def test_an_import_shows_what_it_imports_itself(world: World) -> None:
    world.folder("base")
    world.folder("middle")
    world.put(path="/base", DEEP="1", BOTH="base")
    world.put(path="/middle", BOTH="middle")
    world.show("/base", at="/middle")
    world.show("/middle")

    assert values(read(world)) == {"DEEP": "1", "BOTH": "middle"}


def test_another_environment_can_be_imported(world: World) -> None:
    world.put(environment="staging", A="staging")
    world.show("/", of="staging")

    assert values(read(world)) == {"A": "staging"}


def test_imports_in_a_circle_are_cut(world: World) -> None:
    world.folder("one")
    world.folder("two")
    world.put(path="/one", A="1")
    world.put(path="/two", B="2")
    world.show("/one", at="/two")
    world.show("/two", at="/one")

    assert values(read(world, "/one")) == {"A": "1", "B": "2"}
    assert values(read(world, "/two")) == {"A": "1", "B": "2"}


def test_imports_are_followed_to_their_limit_and_what_lies_beyond_is_an_error(world: World) -> None:
    for number in range(MAX_IMPORT_DEPTH + 2):
        world.folder(f"f{number}")
        world.put(path=f"/f{number}", **{f"KEY_{number}": "1"})
        if number:
            world.show(f"/f{number}", at=f"/f{number - 1}")

    assert len(values(read(world, "/f1"))) == MAX_IMPORT_DEPTH + 1
    with pytest.raises(SourceUnreadable, match="imports in a row are not followed"):
        read(world, "/f0")


def test_a_reference_means_the_folder_that_its_secret_lies_in(world: World) -> None:
    world.folder("base")
    world.put(path="/base", URL="http://${HOST}", HOST="base")
    world.put(HOST="own")
    world.show("/base")

    assert values(read(world))["URL"] == "http://base"


def test_a_reference_leads_to_another_folder_and_environment(world: World) -> None:
    world.folder("db")
    world.folder("db", environment="staging")
    world.put(path="/db", PASSWORD="p")
    world.put(environment="staging", path="/db", PASSWORD="s")
    world.put(HERE="${production.db.PASSWORD}", THERE="${staging.db.PASSWORD}")

    assert values(read(world)) == {"HERE": "p", "THERE": "s"}


def test_every_key_that_cannot_be_read_is_named(world: World) -> None:
    world.put(GOOD="1", ONE="${production.nowhere.KEY}", TWO="${TWO}")

    with pytest.raises(SourceUnreadable) as unreadable:
        read(world)

    assert set(unreadable.value.keys) == {"ONE", "TWO"}


def test_a_recursive_source_shows_the_folders_below(world: World) -> None:
    world.folder("app")
    world.folder("deep", parent="/app")
    world.put(A="1")
    world.put(path="/app/deep", B="2")

    assert values(read(world, recursive=True)) == {"A": "1", "B": "2"}
    assert values(read(world)) == {"A": "1"}


def test_a_key_in_two_folders_of_a_recursive_source_is_nobodys_guess(world: World) -> None:
    world.folder("app")
    world.put(A="1")
    world.put(path="/app", A="2")

    with pytest.raises(SourceUnreadable, match="A: it is in several folders: /, /app"):
        read(world, recursive=True)


def test_a_secret_knows_its_version(world: World) -> None:
    world.put(A="1")
    world.put(A="2")

    assert read(world).secrets["A"].version == 2


def test_a_folder_is_read_by_the_same_queries_however_many_secrets_it_holds(world: World) -> None:
    for path, number in (("few", 1), ("many", 200)):
        world.folder(path)
        world.put(path=f"/{path}", **{f"KEY_{index}": "1" for index in range(number)})
    statements: list[str] = []

    with listening(world.runtime.database.engine, statements):
        read(world, "/few")
        for_few = len(statements)
        read(world, "/many")

    assert len(statements) == 2 * for_few


@contextmanager
def listening(engine: Engine, statements: list[str]) -> Iterator[None]:
    def note(connection: object, cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", note)
