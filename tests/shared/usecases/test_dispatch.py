"""From an edit to the jobs that carry it."""

from uuid import UUID

import pytest
from pydantic import SecretStr
from sqlalchemy import select
from sqlalchemy.orm import Session
from structlog.testing import capture_logs

from shared.broker import Task
from shared.db import syncs
from shared.db.change_events import ChangeEvent
from shared.db.jobs import JobStatus, Trigger
from shared.db.syncs import Status
from shared.errors import NotFound
from shared.usecases import dispatch as dispatching
from shared.usecases.dispatch import FolderName, dispatch
from shared.usecases.edit_secrets import Draft, update_secrets
from shared.usecases.folders import delete_folder
from shared.usecases.imports import delete_import, update_import
from shared.usecases.projects import create_project
from tests.shared.usecases.world import ACTOR, World


def settled(world: World) -> None:
    """Create a sync and let its first run happen."""
    world.sync()
    world.work()
    world.railway.forget_calls()


def open_events(world: World) -> list[UUID]:
    """Return the project of each event that is still to be dispatched."""
    with world.runtime.database.snapshot() as session:
        return list(
            session.scalars(select(ChangeEvent.project_id).where(ChangeEvent.dispatched_at.is_(None)))
        )


def test_an_edit_that_was_rolled_back_never_propagates(world: World) -> None:
    world.put(KEPT="before")
    settled(world)
    edit = [Draft("KEPT", SecretStr("after")), Draft("MISSING", SecretStr("x"))]

    with pytest.raises(NotFound):
        update_secrets(world.runtime, world.project_id, "production", "/", edit, actor=ACTOR)

    assert world.broker.sent == []
    assert dispatch(world.runtime) == 0
    assert world.held() == {"KEPT": "before"}


def test_a_burst_of_edits_queues_one_job(world: World) -> None:
    sync_id = world.sync()
    world.work()

    for number in range(200):
        world.put(COUNTER=str(number))
    while world.broker.sent:
        world.broker.sent.pop()
        dispatch(world.runtime)

    queued = [job for job in world.jobs(sync_id) if job.status == JobStatus.QUEUED]
    assert len(queued) == 1
    world.later(0)
    assert world.held() == {"COUNTER": "199"}


def test_a_job_knows_the_oldest_edit_it_carries(world: World) -> None:
    sync_id = world.sync()
    world.work()
    world.put(A="1")
    first = world.clock.now

    world.clock.advance(seconds=3)
    world.put(A="2")
    dispatch(world.runtime)

    job = world.jobs(sync_id)[0]
    assert (job.trigger, job.changed_at) == (Trigger.CHANGE, first)


def test_an_edit_shows_as_pending_before_a_worker_has_it(world: World) -> None:
    sync_id = world.sync()
    world.work()

    world.put(A="1")
    dispatch(world.runtime)

    assert world.state(sync_id).sync_status == Status.PENDING


def test_an_edit_elsewhere_triggers_nothing(world: World) -> None:
    settled(world)

    world.put(environment="staging", A="1")
    world.folder("other")
    world.put(path="/other", A="1")

    world.work()
    assert world.railway.calls == []


def test_an_edit_in_an_imported_folder_triggers_the_sync(world: World) -> None:
    world.folder("base")
    world.folder("middle")
    world.show("/base", at="/middle")
    world.show("/middle", at="/")
    settled(world)

    world.put(path="/base", SHARED="1")

    world.work()
    assert world.held() == {"SHARED": "1"}


def test_an_edit_in_another_environment_that_is_imported_triggers_the_sync(world: World) -> None:
    world.show("/", at="/", of="staging")
    settled(world)

    world.put(environment="staging", SHARED="1")

    world.work()
    assert world.held() == {"SHARED": "1"}


def test_an_edit_of_a_referenced_secret_triggers_the_sync(world: World) -> None:
    world.folder("db")
    world.put(path="/db", PASSWORD="old")
    world.put(URL="postgres://app:${production.db.PASSWORD}@host")
    settled(world)

    world.put(path="/db", PASSWORD="new")

    world.work()
    assert world.held() == {"URL": "postgres://app:new@host"}


def test_an_edit_needs_no_waiting_however_many_imports_and_references_lie_between(world: World) -> None:
    for name in ("one", "two", "three"):
        world.folder(name)
    world.put(path="/one", HOST="old")
    world.show("/one", at="/two")
    world.show("/two", at="/three")
    world.put(URL="https://${production.three.HOST}")
    settled(world)
    before = world.clock.now

    world.put(path="/one", HOST="new")
    world.work()

    assert world.held() == {"URL": "https://new"}
    # Each hint is a millisecond; nothing waits for a moment to come.
    assert (world.clock.now - before).total_seconds() < 0.01


def test_imports_that_go_in_a_circle_trigger_each_sync_once(world: World) -> None:
    world.folder("one")
    world.folder("two")
    world.show("/one", at="/two")
    world.show("/two", at="/one")
    sync_id = world.sync(path="/one")
    world.work()

    world.put(path="/two", A="1")

    assert dispatch(world.runtime) == 1
    world.later(0)
    assert world.held() == {"A": "1"}
    assert len(world.jobs(sync_id)) == 2


def test_an_edit_below_a_recursive_source_triggers_the_sync(world: World) -> None:
    world.folder("deep")
    world.sync(recursive=True)
    world.work()

    world.put(path="/deep", A="1")

    world.work()
    assert world.held() == {"A": "1"}


def test_a_new_order_of_imports_is_a_change(world: World) -> None:
    for name in ("one", "two"):
        world.folder(name)
        world.put(path=f"/{name}", WHO=name)
    first = world.show("/one")
    world.show("/two")
    settled(world)

    update_import(world.runtime, world.project_id, first, environment="production", path="/", position=2)

    world.work()
    assert world.held() == {"WHO": "one"}


def test_an_import_that_is_removed_takes_its_keys_along(world: World) -> None:
    world.folder("base")
    world.put(path="/base", SHARED="1")
    world.put(OWN="1")
    import_id = world.show("/base")
    settled(world)

    delete_import(world.runtime, world.project_id, import_id, environment="production", path="/")

    world.work()
    assert world.held() == {"OWN": "1"}


def test_an_imported_folder_that_was_deleted_fails_the_sync_and_deletes_nothing(world: World) -> None:
    folder_id = world.folder("base")
    world.put(path="/base", SHARED="1")
    world.put(OWN="1")
    world.show("/base")
    settled(world)

    delete_folder(world.runtime, folder_id)

    world.work()
    assert world.held() == {"OWN": "1", "SHARED": "1"}
    message = world.state(world.sync_ids()[0]).last_sync_message
    assert "the import of /base of production: that folder does not exist any more" in (message or "")


@pytest.mark.parametrize("change", [{"is_paused": True}, {"is_auto_sync_enabled": False}])
def test_a_sync_that_stands_still_is_not_dispatched(world: World, change: dict[str, bool]) -> None:
    sync_id = world.sync()
    world.work()
    world.change(sync_id, **change)
    world.railway.forget_calls()

    world.put(A="1")

    world.work()
    assert world.railway.calls == []


def test_edits_in_more_places_than_one_batch_are_all_dispatched(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.usecases.dispatch.BATCH", 2)
    sync_id = world.sync()
    world.work()
    for number in range(5):
        world.put(**{f"KEY_{number}": "1"})

    dispatch(world.runtime)

    with world.runtime.database.snapshot() as session:
        assert session.query(ChangeEvent).filter(ChangeEvent.dispatched_at.is_(None)).count() == 0
    assert len([job for job in world.jobs(sync_id) if job.status == JobStatus.QUEUED]) == 1


def test_deleting_hundreds_of_folders_is_one_dispatch(world: World) -> None:
    top = world.folder("top")
    for number in range(60):
        world.folder(f"f{number}", parent="/top")
    settled(world)

    delete_folder(world.runtime, top)

    assert world.broker.tasks() == [Task.DISPATCH]
    assert dispatch(world.runtime) == 0


def test_what_cannot_be_dispatched_is_logged_and_holds_no_other_project_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled(world)
    other = create_project(world.runtime, "Other").project.id
    edit = [Draft("A", SecretStr("1"))]
    update_secrets(world.runtime, other, "production", "/", edit, actor=ACTOR, create_missing=True)
    world.put(A="1")
    original = dispatching.places_showing

    def broken(session: Session, project_id: UUID, changed: set[FolderName]) -> set[FolderName]:
        if project_id == other:
            raise RuntimeError
        return original(session, project_id, changed)

    with monkeypatch.context() as patch, capture_logs() as lines:
        patch.setattr(dispatching, "places_showing", broken)
        world.work()

    assert world.held() == {"A": "1"}
    fault = {line["project_id"] for line in lines if line["event"] == "changes.not_dispatched"}
    assert fault == {str(other)}
    assert open_events(world) == [other]
    dispatch(world.runtime)
    assert open_events(world) == []


def test_edits_in_any_number_of_folders_find_their_syncs(world: World) -> None:
    sync_id = world.sync(recursive=True)
    many = {("production", f"/f{number}/deep") for number in range(40_000)}

    with world.runtime.database.transaction() as session:
        places = dispatching.places_showing(session, world.project_id, many)
        found = syncs.auto_syncs_of(session, world.project_id, places)

    assert (places, [sync.id for sync in found]) == (many, [sync_id])
