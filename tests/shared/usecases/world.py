"""A small world to prove promises in: a project, a connection to Railway, and a worker that is at hand."""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import UUID

from pydantic import SecretStr
from sqlalchemy import func, select

from shared.broker import Task
from shared.db.jobs import Job, JobStatus, Kind
from shared.db.syncs import Status, Sync
from shared.errors import KeytideError
from shared.runtime import Runtime
from shared.sync_options import SyncOptions
from shared.usecases import dispatch, prune, reconcile, run_job, sweep, syncs
from shared.usecases.connections import ConnectionDraft, create_connection
from shared.usecases.edit_secrets import Draft, delete_secrets, update_secrets
from shared.usecases.folders import create_folder
from shared.usecases.imports import create_import
from shared.usecases.projects import create_project
from shared.usecases.syncs import SyncChanges, SyncDraft
from tests.fakes.railway import FakeRailway
from tests.fakes.service import Fail, Request
from tests.support import ManualClock, RecordingBroker, Sent

PROVIDER = "railway"
ACTOR = "somebody"

T = TypeVar("T")


@dataclass
class World:
    """A project with a connection. Nothing happens until ``work()`` lets the worker take its hints."""

    runtime: Runtime
    railway: FakeRailway
    broker: RecordingBroker
    clock: ManualClock
    project_id: UUID = field(init=False)
    connection_id: UUID = field(init=False)

    def __post_init__(self) -> None:
        self.project_id = create_project(self.runtime, "Shop").project.id
        self.connection_id = self.connect("Railway")

    def connect(self, name: str, token: str = "demo-account-token") -> UUID:
        """Add a connection and return its id."""
        draft = ConnectionDraft(PROVIDER, name, "account-token", {"apiToken": token})
        return create_connection(self.runtime, draft).id

    # --- the vault -------------------------------------------------------------------------------------

    def put(self, environment: str = "production", path: str = "/", **values: str) -> None:
        """Create or change secrets in one edit."""
        drafts = [Draft(key, SecretStr(value)) for key, value in values.items()]
        update_secrets(
            self.runtime, self.project_id, environment, path, drafts, actor=ACTOR, create_missing=True
        )

    def drop(self, *keys: str, environment: str = "production", path: str = "/") -> None:
        """Delete secrets in one edit."""
        delete_secrets(self.runtime, self.project_id, environment, path, keys, actor=ACTOR)

    def folder(self, name: str, *, environment: str = "production", parent: str = "/") -> UUID:
        """Create a folder and return its id."""
        view = create_folder(
            self.runtime, self.project_id, environment=environment, parent_path=parent, name=name
        )
        return view.folder.id

    def show(
        self, imported: str, *, at: str = "/", environment: str = "production", of: str = "production"
    ) -> UUID:
        """Let the folder *at* import the folder *imported*, and return the import's id."""
        view = create_import(
            self.runtime,
            self.project_id,
            environment=environment,
            path=at,
            imported_environment=of,
            imported_path=imported,
        )
        return view.row.id

    # --- syncs -----------------------------------------------------------------------------------------

    def sync(
        self,
        name: str = "web",
        *,
        service: str | None = "svc-web",
        environment: str = "production",
        path: str = "/",
        auto: bool = True,
        connection_id: UUID | None = None,
        **options: Any,
    ) -> UUID:
        """Create a sync to a service of the demo project and return its id. *options* are the wire's."""
        draft = SyncDraft(
            destination=PROVIDER,
            name=name,
            project_id=self.project_id,
            connection_id=connection_id or self.connection_id,
            environment=environment,
            secret_path=path,
            destination_config=service_config(service),
            sync_options=sync_options(**options),
            is_auto_sync_enabled=auto,
        )
        return syncs.create_sync(self.runtime, draft).sync.id

    def change(self, sync_id: UUID, **changes: Any) -> Sync:
        """Change a sync, as ``SyncChanges`` names its parts."""
        return syncs.update_sync(self.runtime, PROVIDER, sync_id, SyncChanges(**changes)).sync

    def trigger(self, sync_id: UUID, kind: Kind = Kind.SYNC, **options: Any) -> None:
        """Ask for a job, as a person does."""
        syncs.trigger(self.runtime, PROVIDER, sync_id, kind, options=options)

    def delete(self, sync_id: UUID, *, remove_secrets: bool = False) -> None:
        """Delete a sync."""
        syncs.delete_sync(self.runtime, PROVIDER, sync_id, remove_secrets=remove_secrets)

    def options(self, **options: Any) -> SyncOptions:
        """Return options of a sync, by their names on the wire."""
        return sync_options(**options)

    def config(self, service: str | None) -> dict[str, Any]:
        """Return the destination that a service is."""
        return service_config(service)

    def state(self, sync_id: UUID) -> Sync:
        """Return the sync as it is now."""
        return syncs.get_sync(self.runtime, PROVIDER, sync_id).sync

    def sync_ids(self) -> list[UUID]:
        """Return the ids of all syncs, by their names."""
        return [view.sync.id for view in syncs.list_syncs(self.runtime, self.project_id)]

    def exists(self, sync_id: UUID) -> bool:
        """Is the sync still there?"""
        with self.runtime.database.snapshot() as session:
            return session.get(Sync, sync_id) is not None

    def jobs(self, sync_id: UUID) -> Sequence[Job]:
        """Return the jobs of a sync, newest first."""
        return syncs.list_jobs(self.runtime, PROVIDER, sync_id, limit=100, offset=0)

    def waiting(self) -> int:
        """Return how many jobs are queued, for whomever."""
        with self.runtime.database.snapshot() as session:
            query = select(func.count()).where(Job.status == JobStatus.QUEUED)
            return session.scalar(query) or 0

    # --- the worker ------------------------------------------------------------------------------------

    def work(self) -> int:
        """Carry out hints until there are none, as one worker does, and return how many there were."""
        done = 0
        while self.broker.sent:
            # Two jobs never begin at the same moment, so that the newest is known.
            self.clock.advance(seconds=0.001)
            carry_out(self.runtime, self.broker.sent.pop(0))
            done += 1
        return done

    def later(self, seconds: float) -> None:
        """Let time pass, then sweep and work."""
        self.clock.advance(seconds=seconds)
        sweep.sweep(self.runtime)
        self.work()

    def lose_hints(self) -> None:
        """The broker loses all it has."""
        self.broker.sent.clear()

    # --- the destination -------------------------------------------------------------------------------

    def held(self, service: str = "svc-web") -> Mapping[str, str]:
        """Return what a service holds."""
        return self.railway.places()[place(service)]

    def seed(self, service: str = "svc-web", **variables: str) -> None:
        """Put variables there by hand."""
        self.railway.seed(place(service), variables)

    def meanwhile(self, action: Callable[[], object], *, at: str = "Read") -> None:
        """Let *action* happen once, while the provider answers the next call of that name."""
        pending = [action]

        def watch(request: Request) -> bool:
            if pending and f" {at}(" in str((request.json or {}).get("query", "")):
                pending.pop()()
            return False

        # A fault that never strikes, but is asked about every request.
        self.railway.fail_next(Fail(500), where=watch)


def together(actions: Sequence[Callable[[], object]]) -> None:
    """Do all *actions* at once, each in a thread of its own."""
    start = threading.Barrier(len(actions))

    def run(action: Callable[[], object]) -> None:
        start.wait()
        action()

    threads = [threading.Thread(target=run, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def at_once(count: int, act: Callable[[], T]) -> list[T | KeytideError]:
    """Let *count* threads do *act* at the same time, and return what came of each."""
    ready = threading.Barrier(count)

    def run() -> T | KeytideError:
        ready.wait()
        try:
            return act()
        except KeytideError as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        return [each.result() for each in [pool.submit(run) for _ in range(count)]]


def carry_out(runtime: Runtime, hint: Sent) -> None:
    """Do what a hint asks for."""
    match hint.task:
        case Task.DISPATCH:
            dispatch.dispatch(runtime)
        case Task.RUN_JOB:
            run_job.run_job(runtime, hint.ids[0])
        case Task.SWEEP:
            sweep.sweep(runtime)
        case Task.RECONCILE:
            reconcile.reconcile_due(runtime)
        case Task.PRUNE:
            prune.prune(runtime)


def place(service: str) -> str:
    """Return the emulator's name for a service in production."""
    return f"env-production/{service}"


def service_config(service: str | None) -> dict[str, Any]:
    """Return the destination that a service in production is; without one, the shared variables."""
    config = {"projectId": "prj-1", "environmentId": "env-production"}
    return {**config, "serviceId": service} if service else config


def sync_options(**options: Any) -> SyncOptions:
    """Return the options of a sync, by their names on the wire."""
    return SyncOptions.model_validate({"initialSyncBehavior": "overwrite-destination", **options})


def many(number: int, *, start: int = 0, value: str = "1") -> dict[str, str]:
    """Return so many keys, counted from *start*, with the same value."""
    return {f"KEY_{index:03}": value for index in range(start, start + number)}


def message(world: World) -> str:
    """Return why the only sync failed."""
    state = world.state(world.sync_ids()[0])
    assert state.sync_status == Status.FAILED
    return state.last_sync_message or ""


def is_write(request: Request) -> bool:
    """Is it a push to Railway?"""
    return "mutation Write" in str((request.json or {}).get("query", ""))
