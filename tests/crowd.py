"""A database with very many rows, written past the use-cases: for tests of indexes, and for benchmarks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID, uuid4

from pydantic import SecretStr
from sqlalchemy import insert, text

from shared.crypto import DataKey, value_place
from shared.db.audit import AuditEntry
from shared.db.base import Base
from shared.db.change_events import ChangeEvent
from shared.db.jobs import Job
from shared.db.ledger import LedgerEntry
from shared.db.syncs import Sync, destination_key
from shared.db.vault import Folder, Secret, SecretVersion
from shared.runtime import Runtime
from shared.usecases.connections import ConnectionDraft, create_connection
from shared.usecases.folders import create_folder
from shared.usecases.projects import ProjectView, create_project

#: Syncs that show the same folder.
PER_FOLDER = 10
_CHUNK = 5_000
#: The one place that the emulator really has.
CONFIG = {"projectId": "prj-1", "environmentId": "env-production", "serviceId": "svc-web"}


@dataclass(frozen=True, slots=True)
class Crowd:
    """A project with many syncs. ``syncs`` are their ids; the first one writes to a place that exists."""

    project_id: UUID
    connection_id: UUID
    folder: str
    folder_id: UUID
    syncs: Sequence[UUID]
    destination_key: str


def gather(runtime: Runtime, *, syncs: int, keys: int, jobs: int = 1) -> Crowd:
    """Fill the database: each sync has *keys* keys in the ledger, and *jobs* jobs behind it."""
    view = create_project(runtime, "Crowd")
    credentials = {"apiToken": "demo-account-token"}
    connection = create_connection(runtime, ConnectionDraft("railway", "crowd", "account-token", credentials))
    folders = _folders(runtime, view, max(1, syncs // PER_FOLDER))
    _secrets(runtime, view, folders, keys)
    rows = list(_syncs(runtime.clock(), view, connection.id, folders, syncs))
    _insert(runtime, Sync, rows)
    _insert(runtime, LedgerEntry, _ledger(runtime.clock(), rows, keys))
    _insert(runtime, Job, _jobs(runtime.clock(), rows, jobs))
    _insert(runtime, ChangeEvent, _events(runtime.clock(), view.project.id, syncs))
    _insert(runtime, AuditEntry, _deeds(runtime.clock(), view.project.id, syncs))
    _settle(runtime)
    return Crowd(
        view.project.id,
        connection.id,
        folders[0].path,
        folders[0].id,
        [row["id"] for row in rows],
        rows[0]["destination_key"],
    )


def _folders(runtime: Runtime, view: ProjectView, count: int) -> list[Folder]:
    root = create_folder(
        runtime, view.project.id, environment="production", parent_path="/", name="crowd"
    ).folder
    now = runtime.clock()
    rows = [
        {
            "id": uuid4(),
            "environment_id": root.environment_id,
            "parent_id": root.id,
            "name": f"f{number}",
            "path": f"/crowd/f{number}",
            "created_at": now,
            "updated_at": now,
        }
        for number in range(count)
    ]
    _insert(runtime, Folder, rows)
    return [Folder(**row) for row in rows]


def _secrets(runtime: Runtime, view: ProjectView, folders: Sequence[Folder], keys: int) -> None:
    data_key = runtime.data_key(view.project.data_key)
    rows = [row for folder in folders for row in _secrets_of(runtime.clock(), view, data_key, folder, keys)]
    _insert(runtime, Secret, rows)
    versions = (
        {
            "secret_id": row["id"],
            "version": 1,
            "key": row["key"],
            "value": row["value"],
            "created_at": row["created_at"],
            "created_by": "crowd",
        }
        for row in rows
    )
    _insert(runtime, SecretVersion, versions)


def _secrets_of(
    now: datetime, view: ProjectView, data_key: DataKey, folder: Folder, keys: int
) -> Iterator[dict[str, Any]]:
    for number in range(keys):
        key = f"KEY_{number}"
        place = value_place(view.project.id, folder.environment_id, folder.id, key, 1)
        yield {
            "id": uuid4(),
            "folder_id": folder.id,
            "key": key,
            "version": 1,
            "value": data_key.seal(SecretStr(f"value {number}"), *place),
            "created_at": now,
            "updated_at": now,
        }


def _syncs(
    now: datetime, view: ProjectView, connection_id: UUID, folders: Sequence[Folder], count: int
) -> Iterator[dict[str, Any]]:
    for number in range(count):
        folder = folders[number // PER_FOLDER % len(folders)]
        yield {
            "id": uuid4(),
            "project_id": view.project.id,
            "name": f"sync-{number:06}",
            "connection_id": connection_id,
            "environment_id": folder.environment_id,
            "folder_id": folder.id,
            "destination": "railway",
            "destination_config": CONFIG,
            "destination_key": destination_key("railway", f"place {number}"),
            "sync_options": {"initialSyncBehavior": "overwrite-destination"},
            "is_recursive": False,
            "is_auto_sync_enabled": True,
            "is_paused": False,
            "version": 1,
            "generation": 1,
            "redeploy_owed": False,
            "sync_status": "succeeded",
            "next_reconcile_at": now + timedelta(seconds=number),
            "created_at": now,
            "updated_at": now,
        }


def _ledger(now: datetime, syncs: Sequence[dict[str, Any]], keys: int) -> Iterator[dict[str, Any]]:
    for sync in syncs:
        for number in range(keys):
            yield {
                "sync_id": sync["id"],
                "destination_key": sync["destination_key"],
                "key": f"KEY_{number}",
                "source_key": f"KEY_{number}",
                "fingerprint": "0" * 64,
                "secret_version": 1,
                "confirmed_at": now,
            }


def _jobs(now: datetime, syncs: Sequence[dict[str, Any]], count: int) -> Iterator[dict[str, Any]]:
    for sync in syncs:
        for number in range(count):
            moment = now - timedelta(minutes=number)
            yield {
                "id": uuid4(),
                "created_at": moment,
                "sync_id": sync["id"],
                "connection_id": sync["connection_id"],
                "destination_key": sync["destination_key"],
                "kind": "sync",
                "trigger": "change",
                "status": "succeeded",
                "options": {},
                "run_after": moment,
                "started_at": moment,
                "finished_at": moment,
                "details": {},
            }


def _events(now: datetime, project_id: UUID, count: int) -> Iterator[dict[str, Any]]:
    for number in range(count):
        yield {
            "id": uuid4(),
            "created_at": now,
            "project_id": project_id,
            "environment": "production",
            "path": f"/crowd/f{number}",
            "keys": ["KEY_0"],
            "dispatched_at": now,
        }


def _deeds(now: datetime, project_id: UUID, count: int) -> Iterator[dict[str, Any]]:
    for number in range(count):
        yield {
            "id": uuid4(),
            "created_at": now - timedelta(seconds=number),
            "actor_kind": "token",
            "actor_id": f"id-{number % 100}",
            "actor_name": f"actor {number % 100}",
            "action": "updateSecret",
            "project_id": project_id,
            "status": 200,
            "objects": {},
        }


def _insert(runtime: Runtime, model: type[Base], rows: Any) -> None:
    waiting = iter(rows)
    while chunk := list(islice(waiting, _CHUNK)):
        with runtime.database.transaction() as session:
            session.execute(insert(model.__table__), chunk)  # type: ignore[arg-type]


def _settle(runtime: Runtime) -> None:
    """Let the database know how many rows it has, as it finds out by itself after a while."""
    with runtime.database.transaction() as session:
        session.execute(text("ANALYZE"))
