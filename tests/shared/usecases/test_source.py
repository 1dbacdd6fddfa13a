"""What a folder shows: its own secrets, its imports, its references."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain, pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, event

from shared.db.vault import Folder, Secret, SecretImport
from shared.errors import SourceUnreadable
from shared.references import Address
from shared.usecases import source
from shared.usecases.places import Place, find_place
from shared.usecases.source import MAX_IMPORT_DEPTH, Source, VaultReader, read_source
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


def test_each_folder_is_read_once_however_many_imports_lead_to_it(world: World) -> None:
    levels, width = 5, 3
    rows = [[f"l{level}n{number}" for number in range(width)] for level in range(levels)]
    for name in chain(*rows):
        world.folder(name)
    for above, below in pairwise(rows):
        for holder in above:
            for name in below:
                world.show(f"/{name}", at=f"/{holder}")
    for name in rows[0]:
        world.show(f"/{name}")
    world.put(path=f"/{rows[-1][0]}", A="1")
    statements: list[str] = []

    with listening(world.runtime.database.engine, statements):
        assert values(read(world)) == {"A": "1"}

    assert sum("FROM secret_imports" in statement for statement in statements) == 1 + levels * width


class Sketch(VaultReader):
    """A vault drawn as: folder → the folders it imports. Each holds its own secret, and one that all have."""

    def __init__(self, drawn: Mapping[int, Sequence[int]]) -> None:
        super().__init__(None, None, None)  # type: ignore[arg-type]
        self.drawn = drawn

    def _place(self, environment: str, path: str) -> Place | None:
        number = int(path)
        return Place(None, None, Folder(id=UUID(int=number))) if number in self.drawn else None  # type: ignore[arg-type]

    def _imports_of(self, folder: Folder) -> list[SecretImport]:
        return [SecretImport(path=str(number)) for number in self.drawn[folder.id.int]]

    def _slug(self, environment_id: UUID) -> str:
        return "production"

    def _in_folder(self, folder: Folder) -> dict[str, Secret]:
        return {f"OF_{folder.id.int}": Secret(), "ALL": Secret()}

    def plainly(
        self, environment: str, path: str, trail: tuple[tuple[str, str], ...] = ()
    ) -> dict[str, Address]:
        """Return what ``visible`` means, and remember nothing."""
        here = (environment, path)
        place = self._place(*here)
        if place is None or here in trail:
            return {}
        shown: dict[str, Address] = {}
        for row in self._imports_of(place.folder):
            why_broken = self._why_broken(environment, row.path, len(trail))
            if why_broken:
                self.broken_imports[f"the import of {row.path} of {environment}"] = why_broken
                continue
            shown |= self.plainly(environment, row.path, (*trail, here))
        return shown | {key: Address(environment, path, key) for key in self._in_folder(place.folder)}


#: Up to six folders; the last number is none.
_IMPORTS = st.lists(st.lists(st.integers(0, 6), unique=True, max_size=3), min_size=2, max_size=6)


@given(imports=_IMPORTS, asked=st.permutations(range(6)), limit=st.integers(1, 3))
def test_what_is_remembered_of_a_folder_shows_as_if_it_was_not(
    imports: list[list[int]], asked: list[int], limit: int
) -> None:
    drawn = dict(enumerate(imports))
    remembering, forgetting = Sketch(drawn), Sketch(drawn)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "MAX_IMPORT_DEPTH", limit)
        for number in asked:
            shown = remembering.visible("production", str(number))
            assert list(shown.items()) == list(forgetting.plainly("production", str(number)).items())

    assert remembering.broken_imports == forgetting.broken_imports
