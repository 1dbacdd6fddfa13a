"""Environments: renaming and deleting one takes no value away from anywhere else."""

from uuid import UUID

import pytest

from shared.db.syncs import Status
from shared.errors import Conflict, InvalidInput, NotFound
from shared.usecases import environments
from shared.usecases.projects import get_project
from tests.shared.usecases.world import World


def id_of(world: World, slug: str) -> UUID:
    return environments.get_by_slug(world.runtime, world.project_id, slug).id


def rename(world: World, slug: str, new: str) -> None:
    environments.update_environment(world.runtime, id_of(world, slug), slug=new)


def delete(world: World, slug: str) -> None:
    environments.delete_environment(world.runtime, id_of(world, slug))


def slugs(world: World) -> list[str]:
    return [row.slug for row in get_project(world.runtime, world.project_id).environments]


def test_an_environment_is_added_where_it_is_told(world: World) -> None:
    environments.create_environment(world.runtime, world.project_id, slug="qa", name="QA", position=2)
    environments.create_environment(world.runtime, world.project_id, slug="last", name="Last")

    assert slugs(world) == ["development", "qa", "staging", "production", "last"]


def test_a_moved_environment_closes_the_gap_it_leaves(world: World) -> None:
    environments.update_environment(world.runtime, id_of(world, "development"), position=9)

    rows = get_project(world.runtime, world.project_id).environments
    assert [(row.slug, row.position) for row in rows] == [
        ("staging", 1),
        ("production", 2),
        ("development", 3),
    ]


def test_syncs_and_imports_go_on_under_the_new_slug(world: World) -> None:
    world.put("staging", A="1")
    world.show("/", of="staging")
    sync_id = world.sync()
    world.work()

    rename(world, "staging", "preview")
    rename(world, "production", "live")
    world.work()
    world.put("preview", A="2")
    world.work()

    assert slugs(world) == ["development", "preview", "live"]
    assert world.state(sync_id).sync_status == Status.SUCCEEDED
    assert world.held() == {"A": "2"}


def test_an_edit_that_was_not_dispatched_before_is_not_forgotten(world: World) -> None:
    world.folder("app")
    world.put(path="/app", A="1")
    world.sync(path="/app")
    world.work()

    world.put(path="/app", A="2")
    rename(world, "production", "live")
    world.work()

    assert world.held() == {"A": "2"}


@pytest.mark.parametrize("holder", ["production", "staging"])
def test_a_slug_stays_while_a_secret_refers_to_it(world: World, holder: str) -> None:
    world.put("staging", HOST="shop")
    world.put(holder, URL="http://${staging.HOST}")

    with pytest.raises(Conflict, match=f"'/' of '{holder}'"):
        rename(world, "staging", "preview")

    world.put(holder, URL="http://shop")
    rename(world, "staging", "preview")
    assert slugs(world) == ["development", "preview", "production"]


def test_a_slug_stays_while_a_key_schema_names_it(world: World) -> None:
    world.put(A="1")
    sync_id = world.sync(keySchema="{{environment}}_{{secretKey}}")
    world.sync(
        "other", service="svc-worker", environment="staging", keySchema="{{environment}}_{{secretKey}}"
    )
    world.work()

    with pytest.raises(Conflict, match="what these syncs call their keys: 'web'"):
        rename(world, "production", "live")
    world.work()

    assert world.held() == {"production_A": "1"}

    world.change(sync_id, sync_options=world.options(keySchema="live_{{secretKey}}"))
    rename(world, "production", "live")
    assert slugs(world) == ["development", "staging", "live"]


@pytest.mark.parametrize(
    ("slug", "error"), [("staging", Conflict), ("Live", InvalidInput), ("", InvalidInput)]
)
def test_a_slug_that_is_taken_or_none_is_refused(world: World, slug: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        rename(world, "production", slug)

    assert slugs(world) == ["development", "staging", "production"]


def test_a_deleted_environment_is_gone_with_its_secrets(world: World) -> None:
    world.put("staging", A="1")
    staging = id_of(world, "staging")

    environments.delete_environment(world.runtime, staging)

    assert slugs(world) == ["development", "production"]
    with pytest.raises(NotFound):
        environments.get_environment(world.runtime, staging)


def test_a_sync_whose_environment_is_deleted_fails_and_empties_nothing(world: World) -> None:
    world.folder("app")
    world.put(path="/app", A="1")
    sync_id = world.sync(path="/app")
    world.work()

    delete(world, "production")
    world.work()

    assert world.state(sync_id).sync_status == Status.FAILED
    assert world.held() == {"A": "1"}


def test_an_environment_that_another_one_shows_is_not_deleted(world: World) -> None:
    world.put("staging", HOST="shop")
    world.put("development", HOST="localhost")
    world.show("/", of="staging")
    world.put(URL="http://${development.HOST}")
    world.sync()
    world.work()

    for slug in ("staging", "development"):
        with pytest.raises(Conflict, match="'/' of 'production'"):
            delete(world, slug)
    world.work()

    assert world.held() == {"HOST": "shop", "URL": "http://localhost"}


def test_what_an_environment_shows_of_itself_does_not_keep_it(world: World) -> None:
    world.folder("app")
    world.put(path="/app", HOST="shop")
    world.show("/app")
    world.put(URL="http://${production.app.HOST}")

    delete(world, "production")

    assert slugs(world) == ["development", "staging"]
