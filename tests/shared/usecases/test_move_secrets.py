"""Moving secrets to another folder: no value is lost, and the syncs of both folders follow."""

import threading
from collections.abc import Collection
from uuid import UUID

import pytest
from pydantic import SecretStr
from sqlalchemy import update

from shared.db.vault import Secret
from shared.errors import Conflict, InvalidInput, NotFound, SourceUnreadable
from shared.usecases.edit_secrets import Draft, update_secrets
from shared.usecases.move_secrets import Spot, move_secrets
from shared.usecases.read_secrets import Detail, get_secret, list_secrets
from shared.usecases.tags import create_tag
from tests.shared.usecases.world import ACTOR, World, together

ROOT = Spot("production", "/")
WEB = Spot("production", "/web")


def move(
    world: World,
    *keys: str,
    source: Spot = ROOT,
    destination: Spot = WEB,
    overwrite: bool = False,
    ids: Collection[UUID] = (),
) -> None:
    found = [id_of(world, key, source) for key in keys]
    move_secrets(
        world.runtime,
        world.project_id,
        [*found, *ids],
        source=source,
        destination=destination,
        overwrite=overwrite,
        actor=ACTOR,
    )


def id_of(world: World, key: str, spot: Spot) -> UUID:
    hidden = Detail(values=False)
    return get_secret(world.runtime, world.project_id, spot.environment, spot.path, key, detail=hidden).id


def held(world: World, spot: Spot) -> dict[str, str]:
    listing = list_secrets(world.runtime, world.project_id, spot.environment, spot.path, Detail())
    return {view.key: view.value.get_secret_value() for view in listing.secrets if view.value is not None}


def version(world: World, key: str, number: int, spot: Spot) -> str:
    view = get_secret(
        world.runtime,
        world.project_id,
        spot.environment,
        spot.path,
        key,
        detail=Detail(),
        version=number,
    )
    assert view.value is not None
    return view.value.get_secret_value()


@pytest.fixture(autouse=True)
def _folder(world: World) -> None:
    world.folder("web")


def test_a_moved_secret_lies_in_the_other_folder_only(world: World) -> None:
    world.put(A="1", B="2")

    move(world, "A")

    assert (held(world, ROOT), held(world, WEB)) == ({"B": "2"}, {"A": "1"})


def test_a_moved_secret_keeps_its_id_comment_labels_and_versions(world: World) -> None:
    tag = create_tag(world.runtime, world.project_id, slug="db", name="db", color="")
    world.put(A="1")
    label = Draft("A", SecretStr("2"), SecretStr("why"), tag_ids=[tag.id], metadata={"team": "payments"})
    update_secrets(world.runtime, world.project_id, "production", "/", [label], actor=ACTOR)
    before = id_of(world, "A", ROOT)

    move(world, "A")

    view = get_secret(world.runtime, world.project_id, "production", "/web", "A", detail=Detail())
    assert (view.id, view.version) == (before, 3)
    assert view.comment == SecretStr("why")
    assert [each.slug for each in view.labels.tags] == ["db"]
    assert view.labels.metadata == [("team", "payments")]
    assert [version(world, "A", number, WEB) for number in (1, 2, 3)] == ["1", "2", "2"]


def test_a_secret_can_be_moved_to_another_environment_and_back(world: World) -> None:
    world.put(A="1")
    staging = Spot("staging", "/")

    move(world, "A", destination=staging)
    move(world, "A", source=staging, destination=ROOT)

    assert (held(world, ROOT), held(world, staging)) == ({"A": "1"}, {})
    assert version(world, "A", 1, ROOT) == "1"


def test_the_syncs_of_both_folders_follow(world: World) -> None:
    world.put(A="1", B="2")
    world.sync("web", service="svc-web", path="/")
    world.sync("worker", service="svc-worker", path="/web")
    world.work()

    move(world, "A")
    world.work()

    assert (world.held("svc-web"), world.held("svc-worker")) == ({"B": "2"}, {"A": "1"})


def test_one_sync_that_covers_both_folders_has_nothing_to_write(world: World) -> None:
    world.put(A="1")
    world.sync(recursive=True)
    world.work()
    world.railway.forget_calls()

    move(world, "A")
    world.work()

    assert world.held() == {"A": "1"}
    assert world.railway.reads
    assert not world.railway.writes


def test_what_the_destination_has_is_overwritten_only_on_request(world: World) -> None:
    world.put(A="moved")
    world.put(path="/web", A="there")

    with pytest.raises(Conflict, match="already has: A"):
        move(world, "A")
    assert (held(world, ROOT), held(world, WEB)) == ({"A": "moved"}, {"A": "there"})

    move(world, "A", overwrite=True)

    assert (held(world, ROOT), held(world, WEB)) == ({}, {"A": "moved"})
    assert version(world, "A", 1, WEB) == "there"


def test_all_are_moved_or_none(world: World) -> None:
    world.put(A="1", B="2")
    world.put(path="/web", B="there")

    with pytest.raises(Conflict):
        move(world, "A", "B")

    assert (held(world, ROOT), held(world, WEB)) == ({"A": "1", "B": "2"}, {"B": "there"})


def test_what_is_not_in_the_source_is_not_moved(world: World) -> None:
    world.put(A="1")
    world.put(path="/web", B="2")
    elsewhere = id_of(world, "B", WEB)

    with pytest.raises(NotFound, match=str(elsewhere)):
        move(world, "A", destination=Spot("staging", "/"), ids=[elsewhere])

    assert (held(world, ROOT), held(world, WEB)) == ({"A": "1"}, {"B": "2"})


def test_a_secret_is_not_moved_to_where_it_is(world: World) -> None:
    world.put(A="1")

    with pytest.raises(InvalidInput):
        move(world, "A", destination=Spot("production", "//"))

    assert held(world, ROOT) == {"A": "1"}


def test_a_secret_that_cannot_be_decrypted_stays_where_it_is(world: World) -> None:
    world.put(A="1", B="2")
    with world.runtime.database.transaction() as session:
        session.execute(update(Secret).where(Secret.key == "A").values(value=b"broken"))

    with pytest.raises(SourceUnreadable, match="A: it cannot be decrypted"):
        move(world, "A", "B")

    assert held(world, WEB) == {}


URL = "postgres://app:${PASS}@host"


@pytest.mark.parametrize("moved", ["PASS", "URL"])
def test_a_move_breaks_no_reference_between_neighbours(world: World, moved: str) -> None:
    world.put(PASS="p", URL=URL, OTHER="${NOT_A_KEY}")
    world.sync()
    world.work()

    with pytest.raises(Conflict, match="URL in / of production refers to PASS"):
        move(world, moved)
    world.work()

    assert world.held() == {"PASS": "p", "URL": "postgres://app:p@host", "OTHER": "${NOT_A_KEY}"}


def test_secrets_that_refer_to_each_other_are_moved_together(world: World) -> None:
    world.put(PASS="p", URL=URL)
    world.sync(path="/web")

    move(world, "PASS", "URL")
    world.work()

    assert world.held() == {"PASS": "p", "URL": "postgres://app:p@host"}


def test_a_secret_is_moved_away_from_a_reference_that_still_finds_it(world: World) -> None:
    world.put(PASS="p", URL=URL)
    world.show("/web")
    world.sync()

    move(world, "PASS")
    world.work()

    assert world.held() == {"PASS": "p", "URL": "postgres://app:p@host"}


def test_a_move_breaks_no_reference_to_what_a_folder_imports(world: World) -> None:
    world.put(path="/web", PASS="p")
    world.put(URL=URL)
    world.show("/web")

    with pytest.raises(Conflict, match="URL in / of production refers to PASS"):
        move(world, "PASS", source=WEB, destination=Spot("staging", "/"))

    assert held(world, WEB) == {"PASS": "p"}


def test_what_a_move_overwrites_refers_to_nothing_any_more(world: World) -> None:
    world.put(A="moved", PASS="p")
    world.put(path="/web", A="${PASS}")
    world.show("/", at="/web")

    move(world, "A", overwrite=True)

    assert held(world, WEB) == {"A": "moved"}


def test_an_edit_at_the_same_moment_is_not_lost(world: World) -> None:
    world.put(A="1", B="1")
    rounds = 5

    def edit() -> None:
        for number in range(rounds):
            for spot in (ROOT, WEB):
                drafts = [Draft(key, SecretStr(f"{key}{number}")) for key in ("B", "A")]
                update_secrets(
                    world.runtime,
                    world.project_id,
                    spot.environment,
                    spot.path,
                    drafts,
                    actor=ACTOR,
                    ignore_missing=True,
                )

    def there_and_back(finished: threading.Event) -> None:
        for _ in range(rounds):
            for source, destination in ((ROOT, WEB), (WEB, ROOT)):
                move(world, "A", "B", source=source, destination=destination)
        finished.set()

    finished = threading.Event()
    together([edit, lambda: there_and_back(finished)])

    assert finished.is_set()
    assert held(world, WEB) == {}
    assert held(world, ROOT).keys() == {"A", "B"}
    assert [version(world, key, 1, ROOT) for key in ("A", "B")] == ["1", "1"]
