"""Creating, changing and deleting secrets: each edit is one transaction."""

from collections.abc import Sequence

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from shared.broker import Task
from shared.db.change_events import ChangeEvent
from shared.db.vault import Secret, SecretVersion
from shared.errors import Conflict, InvalidInput, NotFound
from shared.usecases import edit_secrets
from shared.usecases.edit_secrets import Draft
from shared.usecases.read_secrets import Detail, SecretView, get_secret, list_secrets
from tests.shared.usecases.world import ACTOR, World, together


def draft(
    key: str, value: str | None = None, *, comment: str | None = None, new_key: str | None = None
) -> Draft:
    return Draft(
        key,
        SecretStr(value) if value is not None else None,
        SecretStr(comment) if comment is not None else None,
        new_key,
    )


def create(world: World, *drafts: Draft) -> list[SecretView]:
    return edit_secrets.create_secrets(
        world.runtime, world.project_id, "production", "/", drafts, actor=ACTOR
    )


def update(world: World, *drafts: Draft) -> list[SecretView]:
    return edit_secrets.update_secrets(
        world.runtime, world.project_id, "production", "/", drafts, actor=ACTOR
    )


def vault(world: World) -> dict[str, str]:
    listing = list_secrets(world.runtime, world.project_id, "production", "/", Detail())
    return {view.key: view.value.get_secret_value() for view in listing.secrets if view.value is not None}


def events(world: World) -> Sequence[list[str]]:
    with world.runtime.database.snapshot() as session:
        return session.scalars(select(ChangeEvent.keys).order_by(ChangeEvent.created_at)).all()


def test_an_edit_is_one_event_and_one_hint_however_many_secrets(world: World) -> None:
    create(world, draft("B", "1"), draft("A", "1"))

    assert events(world) == [["B", "A"]]
    assert world.broker.tasks() == [Task.DISPATCH]


def test_secrets_come_back_in_the_order_they_were_sent(world: World) -> None:
    assert [view.key for view in create(world, draft("B", "1"), draft("A", "1"))] == ["B", "A"]
    assert [view.key for view in update(world, draft("B", "2"), draft("A", "2"))] == ["B", "A"]


def test_a_secret_that_exists_is_not_created_and_nothing_else_is(world: World) -> None:
    create(world, draft("A", "1"))

    with pytest.raises(Conflict, match="already has a secret 'A'"):
        create(world, draft("NEW", "1"), draft("A", "2"))

    assert vault(world) == {"A": "1"}


def test_a_secret_that_is_missing_is_not_changed_and_nothing_else_is(world: World) -> None:
    create(world, draft("A", "1"))

    with pytest.raises(NotFound, match="has no secret 'MISSING'"):
        update(world, draft("A", "2"), draft("MISSING", "1"))

    assert vault(world) == {"A": "1"}
    assert len(events(world)) == 1


def test_a_change_makes_a_new_version_and_keeps_the_old_one(world: World) -> None:
    create(world, draft("A", "one"))
    update(world, draft("A", "two"))

    def at(version: int) -> str | None:
        view = get_secret(
            world.runtime, world.project_id, "production", "/", "A", detail=Detail(), version=version
        )
        return view.value.get_secret_value() if view.value is not None else None

    assert (at(1), at(2)) == ("one", "two")
    with pytest.raises(NotFound):
        at(3)


def test_an_old_version_names_its_author(world: World) -> None:
    create(world, draft("A", "one"))

    with world.runtime.database.snapshot() as session:
        assert session.scalars(select(SecretVersion.created_by)).all() == [ACTOR]


def test_the_same_value_again_changes_nothing_and_triggers_nothing(world: World) -> None:
    create(world, draft("A", "1"))
    world.lose_hints()

    [view] = update(world, draft("A", "1"))

    assert view.version == 1
    assert world.broker.sent == []
    assert len(events(world)) == 1


def test_a_comment_alone_triggers_nothing(world: World) -> None:
    create(world, draft("A", "1"))
    world.lose_hints()

    [view] = update(world, draft("A", comment="why"))

    assert (view.version, view.comment and view.comment.get_secret_value()) == (1, "why")
    assert world.broker.sent == []


def test_a_new_value_keeps_the_comment(world: World) -> None:
    create(world, draft("A", "1", comment="why"))

    [view] = update(world, draft("A", "2"))

    assert view.comment is not None
    assert view.comment.get_secret_value() == "why"


def test_a_new_name_keeps_value_and_comment_and_names_both_keys(world: World) -> None:
    create(world, draft("OLD", "1", comment="why"))

    [view] = update(world, draft("OLD", new_key="NEW"))

    assert vault(world) == {"NEW": "1"}
    assert view.comment is not None
    assert view.comment.get_secret_value() == "why"
    assert sorted(events(world), key=len)[-1] == ["NEW", "OLD"]


def test_a_name_that_is_taken_is_refused(world: World) -> None:
    create(world, draft("A", "1"), draft("B", "2"))

    with pytest.raises(Conflict):
        update(world, draft("A", new_key="B"))

    assert vault(world) == {"A": "1", "B": "2"}


def test_deleting_returns_what_was_there_without_its_value(world: World) -> None:
    create(world, draft("A", "1"), draft("B", "2"))

    [view] = edit_secrets.delete_secrets(
        world.runtime, world.project_id, "production", "/", ["A"], actor=ACTOR
    )

    assert (view.key, view.value) == ("A", None)
    assert vault(world) == {"B": "2"}


def test_a_secret_that_cannot_be_decrypted_can_be_replaced_and_deleted(world: World) -> None:
    create(world, draft("A", "1"), draft("B", "1"))
    with world.runtime.database.transaction() as session:
        session.query(Secret).update({"value": b"x" * 40})

    update(world, draft("A", "2"))
    world.drop("B")

    assert vault(world) == {"A": "2"}


def test_a_folder_can_be_replaced_as_a_whole(world: World) -> None:
    create(world, draft("GONE", "1"), draft("SAME", "1"), draft("CHANGED", "1"))

    replaced = edit_secrets.replace_secrets(
        world.runtime,
        world.project_id,
        "production",
        "/",
        [draft("SAME", "1"), draft("CHANGED", "2"), draft("NEW", "1")],
        actor=ACTOR,
    )

    assert vault(world) == {"SAME": "1", "CHANGED": "2", "NEW": "1"}
    assert (replaced.created, replaced.updated, replaced.deleted) == (["NEW"], ["CHANGED"], ["GONE"])
    assert replaced.unchanged == 1


def test_values_are_stored_sealed_and_do_not_open_elsewhere(world: World) -> None:
    create(world, draft("A", "a-secret-value", comment="a-secret-comment"), draft("B", "1"))
    with world.runtime.database.transaction() as session:
        rows = {row.key: row for row in session.query(Secret)}
        assert b"a-secret" not in rows["A"].value + (rows["A"].comment or b"")
        rows["B"].value = rows["A"].value

    world.sync()
    world.work()

    assert "B: it cannot be decrypted" in (world.state(world.sync_ids()[0]).last_sync_message or "")
    assert world.held() == {}


@pytest.mark.parametrize("key", ["", "A B", "A=B", "A:B", "A/B", "A\n", "A\0", "x" * 256])
def test_a_name_that_no_destination_could_take_is_refused(world: World, key: str) -> None:
    with pytest.raises(InvalidInput):
        create(world, draft(key, "1"))


@pytest.mark.parametrize("value", ["a\0b", "x" * 65_537, "ä" * 32_769, "\ud800"])
def test_a_value_that_cannot_be_stored_is_refused_without_repeating_it(world: World, value: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        create(world, draft("A", value))

    assert value not in refused.value.message
    assert vault(world) == {}


def test_the_longest_value_is_taken(world: World) -> None:
    create(world, draft("A", "x" * 65_536))

    assert len(vault(world)["A"]) == 65_536


def test_a_secret_is_named_once_in_a_batch(world: World) -> None:
    with pytest.raises(InvalidInput, match="only once"):
        create(world, draft("A", "1"), draft("A", "2"))


def test_edits_of_the_same_secrets_at_once_do_not_wait_for_each_other_for_ever(world: World) -> None:
    create(world, draft("A", "0"), draft("B", "0"))

    def edit(*keys: str) -> None:
        for number in range(10):
            update(world, *(draft(key, f"{number}{keys}") for key in keys))

    together([lambda: edit("A", "B"), lambda: edit("B", "A")])

    view = get_secret(world.runtime, world.project_id, "production", "/", "A", detail=Detail())
    assert view.version == 21


def test_two_that_create_the_same_secret_at_once_make_one(world: World) -> None:
    refused: list[Conflict] = []

    def attempt() -> None:
        try:
            create(world, draft("A", "1"))
        except Conflict as error:
            refused.append(error)

    together([attempt] * 3)

    assert len(refused) == 2
    assert vault(world) == {"A": "1"}


@pytest.mark.parametrize("place", ["a" * 65, ".".join(["aaaaaaaa"] * 300)], ids=["environment", "path"])
def test_a_value_may_seem_to_refer_to_a_place_that_cannot_exist(world: World, place: str) -> None:
    text = f"${{{place}.KEY}}"

    create(world, draft("A", text))

    assert vault(world) == {"A": text}
