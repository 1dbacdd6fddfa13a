"""Creating, changing, triggering and deleting syncs."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from shared.broker import Queue, Task
from shared.db.jobs import JobFilter, JobStatus, Kind, Trigger
from shared.db.syncs import Status
from shared.errors import Conflict, InvalidInput, KeytideError, NotFound
from shared.usecases import syncs
from shared.usecases.folders import delete_folder
from shared.usecases.sweep import sweep
from tests.shared.usecases.world import PROVIDER, World, together
from tests.support import InlineBroker


def test_a_new_sync_runs_at_once(world: World) -> None:
    sync_id = world.sync()

    [job] = world.jobs(sync_id)
    assert (job.trigger, job.status) == (Trigger.CREATE, JobStatus.QUEUED)
    assert world.state(sync_id).sync_status == Status.PENDING
    assert world.broker.sent[-1].ids == (job.id,)


def test_a_new_sync_without_auto_sync_waits_for_a_person(world: World) -> None:
    sync_id = world.sync(auto=False)

    assert world.jobs(sync_id) == []
    assert world.state(sync_id).sync_status is None
    assert world.state(sync_id).next_reconcile_at is None


def test_a_person_comes_first(world: World) -> None:
    sync_id = world.sync()
    world.lose_hints()

    world.trigger(sync_id)

    [hint] = world.broker.sent
    assert (hint.task, hint.queue) == (Task.RUN_JOB, Queue.INTERACTIVE)
    assert [job.trigger for job in world.jobs(sync_id)] == [Trigger.MANUAL]


# --- what is refused -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("draft", "told"),
    [
        ({"environment": "nowhere"}, "no environment 'nowhere'"),
        ({"path": "/nowhere"}, "no folder '/nowhere'"),
    ],
)
def test_a_sync_of_what_does_not_exist_is_refused(world: World, draft: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        world.sync(**draft)


def test_a_destination_that_lacks_a_part_is_refused_by_its_name() -> None:
    with pytest.raises(InvalidInput, match=r"destinationConfig\.environmentId: Field required") as refused:
        syncs.parse_config(PROVIDER, {"projectId": "prj-1"})

    assert refused.value.field == ("destinationConfig", "environmentId")


def test_a_connection_of_another_provider_is_refused(world: World) -> None:
    with pytest.raises(InvalidInput, match="no railway connection"):
        world.sync(connection_id=world.project_id)


def test_a_name_is_given_once(world: World) -> None:
    world.sync("web")

    with pytest.raises(Conflict, match="already has a sync named 'web'"):
        world.sync("web", service="svc-worker")


def test_two_syncs_that_could_write_the_same_key_are_refused(world: World) -> None:
    world.sync("first")

    with pytest.raises(Conflict, match="The sync 'first' already writes there"):
        world.sync("second", environment="staging")


def test_two_syncs_with_keys_of_their_own_may_share_a_destination(world: World) -> None:
    world.sync("first", keySchema="A_{{secretKey}}")

    world.sync("second", keySchema="B_{{secretKey}}")

    assert len(world.sync_ids()) == 2


def test_a_change_that_would_make_two_syncs_overlap_is_refused(world: World) -> None:
    world.sync("first")
    second = world.sync("second", service="svc-worker")

    with pytest.raises(Conflict):
        world.change(second, destination_config=world.config("svc-web"))

    assert world.state(second).generation == 1


def test_of_two_overlapping_syncs_that_are_created_at_once_one_is_refused(world: World) -> None:
    refused: list[KeytideError] = []

    def create(number: int) -> None:
        try:
            world.sync(f"sync {number}")
        except Conflict as error:
            refused.append(error)

    together([partial(create, number) for number in range(4)])

    assert len(world.sync_ids()) == 1
    assert len(refused) == 3
    assert all("already writes there" in error.message for error in refused)


def test_a_name_that_is_given_twice_at_once_is_a_conflict(world: World) -> None:
    refused: list[KeytideError] = []

    def create(service: str) -> None:
        try:
            world.sync("web", service=service)
        except Conflict as error:
            refused.append(error)

    together([lambda: create("svc-web"), lambda: create("svc-worker")])

    assert len(refused) == 1


# --- changes -------------------------------------------------------------------------------------------


def test_another_name_triggers_nothing(world: World) -> None:
    sync_id = world.sync()
    world.work()
    before = world.state(sync_id)

    world.change(sync_id, name="new name", description="new words")

    after = world.state(sync_id)
    assert (after.name, after.generation) == ("new name", before.generation)
    assert world.broker.sent == []
    assert len(world.jobs(sync_id)) == 1


def test_a_taken_name_is_refused(world: World) -> None:
    world.sync("one")
    sync_id = world.sync("two", service="svc-worker")

    with pytest.raises(Conflict):
        world.change(sync_id, name="one")


@pytest.mark.parametrize("change", ["destination", "options", "source", "connection"])
def test_a_change_of_the_outcome_runs_the_sync_again(world: World, change: str) -> None:
    sync_id = world.sync()
    world.work()
    changes: dict[str, Callable[[], dict[str, Any]]] = {
        "destination": lambda: {"destination_config": world.config("svc-worker")},
        "options": lambda: {"sync_options": world.options(disableSecretDeletion=True)},
        "source": lambda: {"environment": "staging"},
        "connection": lambda: {"connection_id": world.connect("other")},
    }

    world.change(sync_id, **changes[change]())

    assert world.state(sync_id).generation == 2
    assert world.jobs(sync_id)[0].trigger == Trigger.UPDATE
    assert world.work() == 1
    assert world.state(sync_id).sync_status == Status.SUCCEEDED


def test_a_waiting_job_moves_along_to_the_new_destination(world: World) -> None:
    world.put(A="1")
    sync_id = world.sync()

    world.change(sync_id, destination_config=world.config("svc-worker"))
    world.work()

    assert (world.held(), world.held("svc-worker")) == ({}, {"A": "1"})


def test_a_pause_cancels_what_waits_and_says_so(world: World) -> None:
    sync_id = world.sync()
    world.trigger(sync_id, Kind.REMOVE)

    world.change(sync_id, is_paused=True)

    state = world.state(sync_id)
    assert (state.sync_status, state.remove_status) == (Status.FAILED, Status.FAILED)
    assert state.last_sync_message == state.last_remove_message == "The sync was paused. Changes are waiting."
    assert {job.status for job in world.jobs(sync_id)} == {JobStatus.CANCELLED}
    assert state.next_reconcile_at is None


def test_switching_auto_sync_off_leaves_a_persons_own_wish_alone(world: World) -> None:
    world.put(A="1")
    sync_id = world.sync()
    world.work()
    world.put(A="2")
    world.trigger(sync_id)

    world.change(sync_id, is_auto_sync_enabled=False)
    world.work()

    assert world.held() == {"A": "2"}


def test_a_change_of_a_sync_that_waits_for_people_runs_nothing_and_cancels_nothing(world: World) -> None:
    world.put(A="1")
    sync_id = world.sync(auto=False)
    world.trigger(sync_id)

    world.change(sync_id, sync_options=world.options(keySchema="X_{{secretKey}}"))
    world.work()

    assert world.held() == {"X_A": "1"}
    assert len(world.jobs(sync_id)) == 1


def test_a_sync_whose_source_is_gone_can_be_given_another(world: World) -> None:
    folder_id = world.folder("app")
    world.put(A="1")
    sync_id = world.sync(path="/app")
    world.work()
    delete_folder(world.runtime, folder_id)
    world.work()

    world.change(sync_id, environment="production", secret_path="/")
    world.work()

    assert world.held() == {"A": "1"}


# --- triggering and deleting ---------------------------------------------------------------------------


def test_a_job_that_ends_before_its_trigger_returns_is_not_shown_as_pending_for_ever(world: World) -> None:
    inline = InlineBroker()
    inline.runtime = world.runtime = replace(world.runtime, broker=inline)
    world.put(A="1")
    sync_id = world.sync()
    created = world.state(sync_id).sync_status

    for kind in (Kind.SYNC, Kind.REMOVE):
        world.trigger(sync_id, kind)
    world.trigger(sync_id, Kind.IMPORT, importBehavior="import-prioritize-source")

    state = world.state(sync_id)
    assert [created, state.sync_status, state.import_status, state.remove_status] == [Status.SUCCEEDED] * 4
    world.delete(sync_id, remove_secrets=True)
    assert not world.exists(sync_id)


def test_a_paused_sync_cannot_be_triggered(world: World) -> None:
    sync_id = world.sync()
    world.change(sync_id, is_paused=True)

    with pytest.raises(InvalidInput, match="is paused"):
        world.trigger(sync_id)


def test_a_sync_without_a_source_can_only_remove(world: World) -> None:
    folder_id = world.folder("app")
    world.put(path="/app", A="1")
    sync_id = world.sync(path="/app")
    world.work()
    delete_folder(world.runtime, folder_id)
    world.work()

    with pytest.raises(InvalidInput, match="no longer exists"):
        world.trigger(sync_id)

    world.trigger(sync_id, Kind.REMOVE)
    world.work()
    assert world.held() == {}


def test_a_sync_is_found_under_its_own_provider_only(world: World) -> None:
    sync_id = world.sync()

    with pytest.raises(NotFound):
        syncs.get_sync(world.runtime, "vercel", sync_id)


def test_a_sync_that_is_gone_cannot_be_deleted_again(world: World) -> None:
    sync_id = world.sync()
    world.delete(sync_id)

    with pytest.raises(NotFound):
        world.delete(sync_id)


def test_the_jobs_of_a_deleted_sync_end_and_wait_for_nobody(world: World) -> None:
    sync_id = world.sync()
    world.delete(sync_id)
    world.lose_hints()

    sweep(world.runtime)

    assert world.broker.sent == []
    assert world.waiting() == 0


# --- asking --------------------------------------------------------------------------------------------


def test_jobs_can_be_asked_for_by_what_they_are(world: World) -> None:
    sync_id = world.sync()
    world.work()
    world.trigger(sync_id)

    def asked(which: JobFilter) -> list[str]:
        found = syncs.list_jobs(world.runtime, PROVIDER, sync_id, which, limit=10, offset=0)
        return [job.trigger for job in found]

    assert asked(JobFilter()) == [Trigger.MANUAL, Trigger.CREATE]
    assert asked(JobFilter(status=JobStatus.QUEUED)) == [Trigger.MANUAL]
    assert asked(JobFilter(trigger=Trigger.CREATE)) == [Trigger.CREATE]
    assert asked(JobFilter(kind=Kind.IMPORT)) == []


def test_a_job_belongs_to_its_sync(world: World) -> None:
    one, two = world.sync("one"), world.sync("two", service="svc-worker")
    job_id = world.jobs(one)[0].id

    assert syncs.get_job(world.runtime, PROVIDER, one, job_id).id == job_id
    with pytest.raises(NotFound):
        syncs.get_job(world.runtime, PROVIDER, two, job_id)


def test_a_destination_that_is_taken_can_be_found_out(world: World) -> None:
    sync_id = world.sync()

    found = syncs.find_duplicate(world.runtime, PROVIDER, world.config("svc-web"))
    assert found is not None
    assert found.id == sync_id
    assert syncs.find_duplicate(world.runtime, PROVIDER, world.config("svc-worker")) is None
    assert syncs.find_duplicate(world.runtime, PROVIDER, world.config("svc-web"), exclude=sync_id) is None


def test_a_sync_is_found_by_its_name(world: World) -> None:
    sync_id = world.sync("web")

    assert syncs.find_sync(world.runtime, PROVIDER, world.project_id, "web").sync.id == sync_id
    with pytest.raises(NotFound):
        syncs.find_sync(world.runtime, PROVIDER, world.project_id, "other")
