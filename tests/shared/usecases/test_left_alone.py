"""What a sync leaves alone at its destination, and whose it is."""

from collections.abc import Sequence

import pytest

from shared.db.syncs import Status, Sync
from shared.plan import Change
from shared.providers.base import Pushed
from shared.usecases.environments import delete_environment, get_by_slug
from tests.shared.usecases.world import World, message


def test_a_key_that_the_source_does_not_have_is_deleted(world: World) -> None:
    world.seed(FOREIGN="1")
    world.put(A="1")
    world.sync()

    world.work()

    assert world.held() == {"A": "1"}


def test_nothing_is_deleted_where_deletion_is_disabled(world: World) -> None:
    world.put(A="1", B="1")
    sync_id = world.sync(disableSecretDeletion=True)
    world.work()

    world.drop("B")
    world.work()

    assert world.held() == {"A": "1", "B": "1"}
    assert world.jobs(sync_id)[0].details["kept"] == {"B": "deletion is disabled"}


def test_only_its_own_keys_are_deleted_if_that_is_wanted(world: World) -> None:
    world.seed(FOREIGN="1")
    world.put(A="1", B="1")
    world.sync(deleteUnmanaged=False)
    world.work()

    world.drop("B")
    world.work()

    assert world.held() == {"A": "1", "FOREIGN": "1"}


def test_a_key_that_was_refused_is_not_ours_when_somebody_else_makes_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object, batch: Sequence[Change]) -> Pushed:
        return Pushed(stamps={}, refused={change.key: "it is not a name" for change in batch})

    world.put(A="ours")
    sync_id = world.sync(deleteUnmanaged=False)
    with monkeypatch.context() as patch:
        patch.setattr("shared.providers.railway.RailwayDestination.push", refuse)
        world.work()
    assert world.state(sync_id).sync_status == Status.FAILED

    world.seed(A="theirs", B="theirs")
    world.drop("A")
    world.put(C="ours")
    world.work()

    assert world.held() == {"A": "theirs", "B": "theirs", "C": "ours"}


def test_a_key_schema_names_what_is_written_and_limits_what_is_touched(world: World) -> None:
    world.seed(OTHER="1", APP_OLD_PRODUCTION="1", APP_production="1")
    world.put(KEY="1")
    world.sync(keySchema="APP_{{secretKey}}_{{environment}}")

    world.work()

    assert world.held() == {
        "OTHER": "1",
        "APP_OLD_PRODUCTION": "1",
        "APP_production": "1",
        "APP_KEY_production": "1",
    }


def test_filters_choose_what_is_written_and_limit_what_is_touched(world: World) -> None:
    world.seed(LOCAL_PORT="80", APP_OLD="1", OTHER="1")
    world.put(APP_KEY="1", APP_SECRET="1", LOCAL_HOST="x")
    world.sync(includeKeys=["APP_*"], excludeKeys=["*_SECRET"])

    world.work()

    assert world.held() == {"APP_KEY": "1", "LOCAL_PORT": "80", "OTHER": "1"}


def test_the_providers_own_names_fail_the_job_and_the_others_are_written(world: World) -> None:
    world.put(A="1", RAILWAY_TOKEN="1")
    sync_id = world.sync()

    world.work()

    assert world.held() == {"A": "1"}
    assert message(world) == (
        "1 of 2 keys could not be brought in line. RAILWAY_TOKEN: names with RAILWAY_ are Railway's own."
    )
    assert world.jobs(sync_id)[0].created_count == 1


def test_syncs_with_their_own_names_at_one_destination_never_touch_each_other(world: World) -> None:
    world.put(KEY="one")
    world.put(environment="staging", KEY="two")
    world.sync("one", keySchema="ONE_{{secretKey}}")
    world.sync("two", environment="staging", keySchema="TWO_{{secretKey}}")
    world.work()

    world.drop("KEY")
    world.put(A="1")
    world.work()

    assert world.held() == {"ONE_A": "1", "TWO_KEY": "two"}


def test_a_key_that_another_sync_wrote_there_is_left_alone_and_named(world: World) -> None:
    world.put(A="1")
    world.sync("first", keySchema="X_{{secretKey}}")
    second = world.sync("second", keySchema="Y_{{secretKey}}")
    world.work()
    # No use-case lets it come to this.
    with world.runtime.database.transaction() as session:
        options = world.options(keySchema="X_{{secretKey}}", disableSecretDeletion=True)
        session.get_one(Sync, second).sync_options = options.stored()
    world.put(A="2")
    world.trigger(second)

    world.work()

    assert world.state(second).sync_status == Status.FAILED
    assert "X_A: another sync writes this key" in (world.state(second).last_sync_message or "")


def test_what_a_sync_gave_up_with_its_key_schema_is_free_for_another_one(world: World) -> None:
    world.put(A="1")
    first = world.sync("first", keySchema="X_{{secretKey}}")
    world.work()
    world.change(first, sync_options=world.options(keySchema="Y_{{secretKey}}"))
    world.work()

    second = world.sync("second", keySchema="X_{{secretKey}}")
    world.put(A="2")
    world.work()

    assert world.state(second).sync_status == Status.SUCCEEDED
    assert world.held() == {"X_A": "2", "Y_A": "2"}


def test_a_sync_that_moved_on_leaves_its_old_destination_to_others(world: World) -> None:
    world.put(A="1")
    first = world.sync("first")
    world.work()
    world.change(first, destination_config=world.config("svc-worker"))
    world.work()

    second = world.sync("second", environment="staging")
    world.put(environment="staging", A="2")
    world.work()

    assert world.state(second).sync_status == Status.SUCCEEDED
    assert (world.held(), world.held("svc-worker")) == ({"A": "2"}, {"A": "1"})


def test_what_a_sync_wrote_stays_its_own_when_its_environment_is_deleted(world: World) -> None:
    world.put(environment="staging", A="1")
    world.sync("first", environment="staging", keySchema="{{environment}}_{{secretKey}}")
    world.work()
    staging = get_by_slug(world.runtime, world.project_id, "staging")
    delete_environment(world.runtime, staging.id)

    world.put(B="1")
    world.sync("second", keySchema="staging_{{secretKey}}")
    world.work()

    assert world.held() == {"staging_A": "1", "staging_B": "1"}
