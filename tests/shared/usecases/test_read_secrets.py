"""Reading secrets for a person or a program."""

import pytest

from shared.db.vault import Secret
from shared.errors import NotFound, SourceUnreadable
from shared.usecases.read_secrets import Detail, Listing, SecretView, find_by_id, get_secret, list_secrets
from tests.shared.usecases.world import World


def listed(world: World, path: str = "/", **detail: bool) -> Listing:
    return list_secrets(world.runtime, world.project_id, "production", path, Detail(**detail))


def got(world: World, key: str, **detail: bool) -> SecretView:
    return get_secret(world.runtime, world.project_id, "production", "/", key, detail=Detail(**detail))


def values(views: object) -> dict[str, str]:
    return {view.key: view.value.get_secret_value() for view in views}  # type: ignore[attr-defined]


def test_a_folder_shows_its_own_secrets_by_name(world: World) -> None:
    world.folder("deep")
    world.put(B="2", A="1")
    world.put(path="/deep", C="3")

    assert list(values(listed(world).secrets)) == ["A", "B"]
    assert list(values(listed(world, recursive=True).secrets)) == ["A", "B", "C"]


def test_values_are_shown_only_if_asked_for(world: World) -> None:
    world.put(A="a-secret-value")

    shown = listed(world, values=False)

    assert shown.secrets[0].value is None
    assert "a-secret-value" not in repr(listed(world))


def test_references_are_replaced_only_if_asked_for(world: World) -> None:
    world.put(HOST="shop", URL="http://${HOST}")

    assert values(listed(world).secrets)["URL"] == "http://${HOST}"
    assert values(listed(world, expand=True).secrets)["URL"] == "http://shop"


def test_an_earlier_version_is_expanded_as_it_was(world: World) -> None:
    world.put(HOST="shop", URL="http://${HOST}")
    world.put(URL="https://${HOST}")

    first = get_secret(
        world.runtime, world.project_id, "production", "/", "URL", detail=Detail(expand=True), version=1
    )

    assert values([first]) == {"URL": "http://shop"}


def test_imports_are_listed_with_the_winning_one_first(world: World) -> None:
    for name in ("one", "two"):
        world.folder(name)
        world.put(path=f"/{name}", WHO=name)
        world.show(f"/{name}")

    shown = listed(world, imports=True)

    assert [imported.path for imported in shown.imports] == ["/two", "/one"]
    assert shown.secrets == []


def test_a_secret_is_found_through_an_import_only_if_asked_for(world: World) -> None:
    world.folder("base")
    world.put(path="/base", SHARED="1")
    world.show("/base")

    assert got(world, "SHARED", imports=True).path == "/base"
    with pytest.raises(NotFound):
        got(world, "SHARED")


def test_a_secret_that_cannot_be_decrypted_is_named(world: World) -> None:
    world.put(A="1", B="1")
    with world.runtime.database.transaction() as session:
        session.query(Secret).filter(Secret.key == "B").update({"value": b"x" * 40})

    with pytest.raises(SourceUnreadable, match="B: it cannot be decrypted"):
        listed(world)
    assert len(listed(world, values=False).secrets) == 2


def test_a_reference_to_nothing_is_named_when_it_is_to_be_replaced(world: World) -> None:
    world.put(A="${production.nowhere.KEY}")

    with pytest.raises(SourceUnreadable, match="A: it refers to KEY in /nowhere"):
        got(world, "A", expand=True)
    assert got(world, "A").value is not None


def test_a_secret_is_found_by_its_id(world: World) -> None:
    world.put(A="1")
    view = got(world, "A")

    found = find_by_id(world.runtime, view.id, detail=Detail())

    assert found == view
    with pytest.raises(NotFound):
        find_by_id(world.runtime, world.project_id, detail=Detail())


@pytest.mark.parametrize(
    ("environment", "path", "told"),
    [
        ("nowhere", "/", "no environment 'nowhere'. It has: development, staging, production"),
        ("production", "/nowhere", "no folder '/nowhere'"),
    ],
)
def test_a_place_that_does_not_exist_is_named(world: World, environment: str, path: str, told: str) -> None:
    with pytest.raises(NotFound, match=told):
        list_secrets(world.runtime, world.project_id, environment, path, Detail())
