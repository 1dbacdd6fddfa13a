"""Removing from a destination what a sync wrote there, and nothing else."""

import pytest

from shared.db.jobs import JobStatus, Kind
from shared.db.syncs import Status
from shared.providers.base import Pulled
from shared.providers.railway import RailwayDestination
from tests.fakes.service import Fail, Request
from tests.shared.usecases.world import World


def test_only_what_the_sync_wrote_is_removed(world: World) -> None:
    world.put(A="1")
    sync_id = world.sync(deleteUnmanaged=False)
    world.work()
    world.seed(THEIRS="1")

    world.trigger(sync_id, Kind.REMOVE)
    world.work()

    state = world.state(sync_id)
    assert world.held() == {"THEIRS": "1"}
    assert state.remove_status == Status.SUCCEEDED
    assert state.last_removed_at is not None
    assert world.jobs(sync_id)[0].deleted_count == 1


def test_a_removal_leaves_keys_outside_the_key_schema_and_sealed_ones(world: World) -> None:
    world.put(A="1")
    world.seed(OTHER="1", APP_OLD="1")
    world.railway.seal("env-production/svc-web", {"APP_SEALED": "1"})
    sync_id = world.sync(keySchema="APP_{{secretKey}}", disableSecretDeletion=True)
    world.work()

    world.trigger(sync_id, Kind.REMOVE)
    world.work()

    assert world.held() == {"OTHER": "1", "APP_OLD": "1", "APP_SEALED": "1"}


def test_what_somebody_removed_already_is_no_failure(world: World) -> None:
    world.put(A="1", B="1")
    sync_id = world.sync()
    world.work()
    world.railway.variables["env-production/svc-web"].pop("A")

    world.trigger(sync_id, Kind.REMOVE)
    world.work()

    assert world.state(sync_id).remove_status == Status.SUCCEEDED
    assert world.held() == {}


def test_a_sync_is_deleted_once_its_keys_are_gone(world: World) -> None:
    world.put(A="1")
    sync_id = world.sync()
    world.work()
    world.seed(THEIRS="1")

    world.delete(sync_id, remove_secrets=True)
    assert world.exists(sync_id)
    world.work()

    assert world.held() == {"THEIRS": "1"}
    assert not world.exists(sync_id)


def test_a_sync_stays_until_its_keys_could_be_removed(world: World) -> None:
    world.put(A="1")
    sync_id = world.sync()
    world.work()
    world.railway.fail_next(Fail(403))

    world.delete(sync_id, remove_secrets=True)
    world.work()

    state = world.state(sync_id)
    assert state.remove_status == Status.FAILED
    assert "Give these credentials the right" in (state.last_remove_message or "")
    assert world.held() == {"A": "1"}
    world.delete(sync_id, remove_secrets=True)
    world.work()
    assert not world.exists(sync_id)


def test_a_removal_waits_out_an_outage(world: World) -> None:
    world.put(A="1")
    sync_id = world.sync()
    world.work()
    world.railway.fail_next(Fail(503))
    world.delete(sync_id, remove_secrets=True)
    world.work()
    assert world.state(sync_id).remove_status == Status.PENDING

    world.later(60)

    assert not world.exists(sync_id)
    assert world.held() == {}


def test_a_paused_sync_can_be_deleted_with_its_keys(world: World) -> None:
    world.put(A="1")
    sync_id = world.sync()
    world.work()
    world.change(sync_id, is_paused=True)

    world.delete(sync_id, remove_secrets=True)
    world.work()

    assert not world.exists(sync_id)
    assert world.held() == {}


def test_a_sync_that_is_being_deleted_follows_no_edits(world: World) -> None:
    world.put(A="1")
    sync_id = world.sync()
    world.work()
    world.delete(sync_id, remove_secrets=True)

    world.put(B="1")
    world.work()

    assert world.held() == {}


def test_no_job_waits_for_a_sync_that_is_gone(world: World) -> None:
    world.put(A="1")
    sync_id = world.sync()
    world.work()
    world.delete(sync_id, remove_secrets=True)
    world.meanwhile(lambda: world.trigger(sync_id))
    world.work()
    world.railway.forget_calls()

    world.later(60)

    assert world.railway.calls == []
    assert world.waiting() == 0


def test_keys_that_the_provider_does_not_show_are_not_taken_for_removed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put(A="1")
    sync_id = world.sync()
    world.work()
    monkeypatch.setattr(RailwayDestination, "pull", lambda self: Pulled({}, incomplete="it shows 0 of 1"))

    world.delete(sync_id, remove_secrets=True)
    world.work()

    assert world.state(sync_id).remove_status == Status.FAILED
    assert world.jobs(sync_id)[0].details["refused"] == {"A": "it shows 0 of 1"}


def test_keys_that_cannot_be_removed_keep_the_sync_and_are_named(world: World) -> None:
    world.put(A="1")
    sync_id = world.sync()
    world.work()
    # Railway would apply this edit of somebody else together with the removal.
    environment = world.railway.projects["prj-1"].environments["env-production"]
    environment.staged = {"services": {"svc-worker": {"variables": {"X": {"value": "1"}}}}}

    world.delete(sync_id, remove_secrets=True)
    world.work()

    assert world.jobs(sync_id)[0].status == JobStatus.FAILED
    assert "A: this Railway environment has staged changes" in (
        world.state(sync_id).last_remove_message or ""
    )
    assert world.held() == {"A": "1"}


def test_deleting_a_sync_alone_leaves_its_keys(world: World) -> None:
    world.put(A="1")
    sync_id = world.sync()
    world.work()

    world.delete(sync_id)
    world.work()

    assert world.held() == {"A": "1"}
    assert not world.exists(sync_id)


def test_a_removal_that_broke_off_is_completed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RailwayDestination, "batch_size", 2)
    world.put(A="1", B="1", C="1")
    sync_id = world.sync()
    world.work()
    seen: list[Request] = []

    def second_commit(request: Request) -> bool:
        if "environmentPatchCommitStaged" in str((request.json or {}).get("query", "")):
            seen.append(request)
        return len(seen) == 2

    world.railway.fail_next(Fail(503), where=second_commit)

    world.delete(sync_id, remove_secrets=True)
    world.work()
    assert world.held() == {"C": "1"}
    world.later(60)

    assert world.held() == {}
    assert not world.exists(sync_id)


def test_what_a_sync_gave_up_to_another_one_is_not_removed_with_it(world: World) -> None:
    world.put(A="1")
    first = world.sync("first", keySchema="X_{{secretKey}}")
    world.work()
    world.change(first, sync_options=world.options(keySchema="Y_{{secretKey}}"))
    world.work()
    world.sync("second", keySchema="X_{{secretKey}}")
    world.work()

    world.delete(first, remove_secrets=True)
    world.work()

    assert world.held() == {"X_A": "1"}
    assert not world.exists(first)
