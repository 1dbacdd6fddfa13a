"""Folders of an environment: making, renaming and deleting them."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from sqlalchemy.orm import Session

from shared.broker import Task
from shared.db import change_events, syncs, vault
from shared.db.jobs import Kind, Request, Trigger
from shared.db.vault import MAX_PATH, ROOT, Environment, Folder
from shared.errors import Conflict, InvalidInput, NotFound
from shared.runtime import Runtime
from shared.usecases.places import Place, find_place, normal_path
from shared.usecases.sync_status import enqueue


@dataclass(frozen=True, slots=True)
class FolderView:
    """A folder and the environment it lies in."""

    folder: Folder
    environment: Environment


def create_folder(
    runtime: Runtime,
    project_id: UUID,
    *,
    environment: str,
    parent_path: str,
    name: str,
    description: str | None = None,
) -> FolderView:
    """Create a folder below *parent_path*, which is made as well if it is missing.

    Syncs that failed because something they show lies in a folder that was missing are tried again.
    """
    path = normal_path(f"{parent_path}/{name}")
    if not name or "/" in name:
        raise InvalidInput("A folder needs a name without '/'.", field=("name",))
    with runtime.database.transaction() as session:
        # Kept: no folder above it is renamed meanwhile.
        root = find_place(session, project_id, environment, ROOT, keep=True)
        if vault.find_folder(session, root.environment.id, path) is not None:
            raise Conflict(f"The environment '{environment}' already has a folder '{path}'.")
        made = _make_path(runtime, session, root, path)
        folder = made[-1]
        folder.description = description
        awaited = [each for each in made if _is_awaited(session, root, each)]
        for each in awaited:
            note_folder_change(runtime, session, root.environment, each)
    if awaited:
        runtime.broker.send(Task.DISPATCH)
    return FolderView(folder, root.environment)


def _is_awaited(session: Session, root: Place, folder: Folder) -> bool:
    """Did something show the folder before there was one?"""
    return bool(vault.folders_showing(session, root.project.id, [(root.environment.slug, folder.path)]))


def _make_path(runtime: Runtime, session: Session, root: Place, path: str) -> list[Folder]:
    """Make the folders on the way to *path* that are missing, the deepest last."""
    now = runtime.clock()
    parent = root.folder
    made = []
    so_far = ""
    for name in path.strip("/").split("/"):
        so_far += f"/{name}"
        folder = vault.find_folder(session, root.environment.id, so_far)
        if folder is None:
            folder = Folder(
                id=uuid4(),
                environment_id=root.environment.id,
                parent_id=parent.id,
                name=name,
                path=so_far,
                created_at=now,
                updated_at=now,
            )
            session.add(folder)
            session.flush()
            made.append(folder)
        parent = folder
    return made


def get_folder(runtime: Runtime, folder_id: UUID) -> FolderView:
    """Return a folder by its id. Raises ``NotFound``."""
    with runtime.database.snapshot() as session:
        return view_folder(session, folder_id)


def find_folder(runtime: Runtime, project_id: UUID, *, environment: str, path: str) -> FolderView:
    """Return the folder at *path*. Raises ``NotFound``."""
    with runtime.database.snapshot() as session:
        place = find_place(session, project_id, environment, path)
        return FolderView(place.folder, place.environment)


def list_folders(
    runtime: Runtime, project_id: UUID, *, environment: str, path: str, recursive: bool = False
) -> list[FolderView]:
    """Return the folders directly below *path*; with *recursive* all that are below it, by their paths."""
    with runtime.database.snapshot() as session:
        place = find_place(session, project_id, environment, path)
        if recursive:
            _, *rows = vault.list_subtree(session, place.folder)
        else:
            rows = list(vault.list_folders(session, place.folder))
        return [FolderView(row, place.environment) for row in rows]


def update_folder(
    runtime: Runtime, folder_id: UUID, *, name: str | None = None, description: str | None = None
) -> FolderView:
    """Rename a folder, or describe it anew.

    Syncs and imports of it and of those below it go on at the new path. A reference to the old one does
    not: the jobs that show it fail, and say so.
    """
    with runtime.database.transaction() as session:
        view = _locked(session, folder_id)
        renamed = name is not None and name != view.folder.name
        if renamed:
            _rename(runtime, session, view, name or "")
        if description is not None:
            view.folder.description = description
        view.folder.updated_at = runtime.clock()
    if renamed:
        runtime.broker.send(Task.DISPATCH)
    return view


def _rename(runtime: Runtime, session: Session, view: FolderView, name: str) -> None:
    folder, environment = view.folder, view.environment
    if folder.path == ROOT:
        raise InvalidInput("The root folder of an environment cannot be renamed.", field=("name",))
    if not name or "/" in name:
        raise InvalidInput("A folder needs a name without '/'.", field=("name",))
    old = folder.path
    new = normal_path(f"{old.rpartition('/')[0]}/{name}")
    if vault.find_folder(session, environment.id, new) is not None:
        raise Conflict(f"The environment '{environment.slug}' already has a folder '{new}'.")
    folders = vault.list_subtree(session, folder)
    if max(len(each.path) for each in folders) + len(new) - len(old) > MAX_PATH:
        raise InvalidInput(
            f"A folder below it would have a path of more than {MAX_PATH} characters.", field=("name",)
        )
    imports = vault.imports_of(session, environment.id, [each.path for each in folders])
    for each in folders:
        # Whoever refers to the old path has to learn that there is nothing any more.
        note_folder_change(runtime, session, environment, each)
    for row in imports:
        row.path = new + row.path.removeprefix(old)
    for each in folders:
        each.path = new + each.path.removeprefix(old)
    folder.name = name
    session.flush()
    for each in folders:
        note_folder_change(runtime, session, environment, each)


def delete_folder(runtime: Runtime, folder_id: UUID) -> FolderView:
    """Delete a folder with everything below it, and let the syncs that show it follow.

    Syncs whose source lies there lose it: their next run, which is queued here, fails and says so. It
    never empties their destination.
    """
    with runtime.database.transaction() as session:
        folders = vault.list_subtree(session, view_folder(session, folder_id).folder)
        job_ids = run_stranded(runtime, session, folders)
        # After the syncs: whoever gives one another source locks the sync first, too.
        view = _locked(session, folder_id)
        if view.folder.path == ROOT:
            raise InvalidInput("The root folder of an environment cannot be deleted.", field=("folderId",))
        for folder in vault.list_subtree(session, view.folder):
            note_folder_change(runtime, session, view.environment, folder)
        session.delete(view.folder)
    runtime.broker.send(Task.DISPATCH)
    for job_id in job_ids:
        runtime.broker.send(Task.RUN_JOB, job_id)
    return view


def run_stranded(runtime: Runtime, session: Session, folders: Sequence[Folder]) -> list[UUID]:
    """Queue the syncs whose source is one of *folders*: no change event would find them any more."""
    stranded = syncs.lock_reading(session, [folder.id for folder in folders])
    request = Request(Kind.SYNC, Trigger.CHANGE)
    job_ids = []
    for sync in stranded:
        if sync.is_auto_sync_enabled and not sync.is_paused:
            job_ids.append(enqueue(session, sync, request, now=runtime.clock()))
    return job_ids


def view_folder(session: Session, folder_id: UUID) -> FolderView:
    """Return the folder as it is now. Raises ``NotFound``."""
    folder = session.get(Folder, folder_id, populate_existing=True)
    environment = session.get(Environment, folder.environment_id) if folder else None
    if folder is None or environment is None:
        raise _no_folder(folder_id)
    return FolderView(folder, environment)


def _locked(session: Session, folder_id: UUID) -> FolderView:
    """Return the folder as it is now. Until the transaction ends, nobody else changes its environment."""
    environment_id = vault.environment_of(session, folder_id)
    if environment_id is None or vault.lock_environment(session, environment_id) is None:
        raise _no_folder(folder_id)
    return view_folder(session, folder_id)


def _no_folder(folder_id: UUID) -> NotFound:
    return NotFound(f"There is no folder with the id {folder_id}.")


def note_folder_change(runtime: Runtime, session: Session, environment: Environment, folder: Folder) -> None:
    """Let the syncs that show anything of this folder follow, if the transaction succeeds."""
    change_events.record(
        session, environment.project_id, environment.slug, folder.path, [], now=runtime.clock()
    )
