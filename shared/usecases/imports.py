"""Imports: that a folder shows another folder's secrets."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from sqlalchemy.orm import Session

from shared.broker import Task
from shared.db import vault
from shared.db.vault import Environment, SecretImport
from shared.errors import Conflict, InvalidInput, NotFound
from shared.runtime import Runtime
from shared.usecases.folders import FolderView, note_folder_change, view_folder
from shared.usecases.places import Place, find_place, normal_path


@dataclass(frozen=True, slots=True)
class ImportView:
    """An import, the environment it shows, and the folder that imports, with its environment."""

    row: SecretImport
    environment: Environment
    importer: FolderView


def create_import(
    runtime: Runtime,
    project_id: UUID,
    *,
    environment: str,
    path: str,
    imported_environment: str,
    imported_path: str,
) -> ImportView:
    """Make a folder show the secrets of another one, above every import it already has."""
    now = runtime.clock()
    with runtime.database.transaction() as session:
        place = _importing(session, project_id, environment, path)
        source = find_place(session, project_id, imported_environment, imported_path)
        _refuse_import(session, place, source)
        position = vault.next_import_position(session, place.folder.id)
        row = SecretImport(
            id=uuid4(),
            folder_id=place.folder.id,
            environment_id=source.environment.id,
            path=source.folder.path,
            position=position,
            created_at=now,
            updated_at=now,
        )
        session.add(row)
        note_folder_change(runtime, session, place.environment, place.folder)
    runtime.broker.send(Task.DISPATCH)
    return ImportView(row, source.environment, FolderView(place.folder, place.environment))


def _importing(session: Session, project_id: UUID, environment: str, path: str) -> Place:
    """Return the folder that imports. Until the transaction ends, only the caller changes its imports."""
    # What is to be shown may lie in any of them, and must not be renamed meanwhile.
    vault.lock_environments(session, project_id, keep=True)
    place = find_place(session, project_id, environment, path, keep=True)
    vault.lock_imports(session, place.folder.id)
    return place


def get_import(runtime: Runtime, import_id: UUID) -> ImportView:
    """Return an import by its id. Raises ``NotFound``."""
    with runtime.database.snapshot() as session:
        row = session.get(SecretImport, import_id)
        if row is None:
            raise NotFound(f"There is no import with the id {import_id}.")
        return _import_view(session, row)


def list_imports(runtime: Runtime, project_id: UUID, *, environment: str, path: str) -> Sequence[ImportView]:
    """Return the imports of a folder, in their order: the last one wins."""
    with runtime.database.snapshot() as session:
        place = find_place(session, project_id, environment, path)
        return [_import_view(session, row) for row in vault.list_imports(session, place.folder.id)]


def update_import(
    runtime: Runtime,
    project_id: UUID,
    import_id: UUID,
    *,
    environment: str,
    path: str,
    imported_environment: str | None = None,
    imported_path: str | None = None,
    position: int | None = None,
) -> ImportView:
    """Let an import show another folder, or give it another position: counted from 1, the others close up."""
    with runtime.database.transaction() as session:
        place = _importing(session, project_id, environment, path)
        row = _find_import(session, place, import_id)
        _retarget(session, place, row, imported_environment, imported_path)
        if position is not None:
            _reorder(session, row, position)
        row.updated_at = runtime.clock()
        note_folder_change(runtime, session, place.environment, place.folder)
        view = _import_view(session, row)
    runtime.broker.send(Task.DISPATCH)
    return view


def _retarget(
    session: Session, place: Place, row: SecretImport, environment: str | None, path: str | None
) -> None:
    before = session.get_one(Environment, row.environment_id)
    wanted = (environment or before.slug, normal_path(path or row.path))
    if wanted == (before.slug, row.path):
        # The folder may be gone by now, and the import all the same only moved.
        return
    source = find_place(session, place.project.id, *wanted)
    _refuse_import(session, place, source)
    row.environment_id, row.path = source.environment.id, source.folder.path


def _refuse_import(session: Session, place: Place, source: Place) -> None:
    """Raise an error if *place* cannot import *source*, or does already."""
    if source.folder.id == place.folder.id:
        raise InvalidInput("A folder cannot import itself.", field=("import",))
    known = {(row.environment_id, row.path) for row in vault.list_imports(session, place.folder.id)}
    if (source.environment.id, source.folder.path) in known:
        raise Conflict("This folder already imports that one.")


def _reorder(session: Session, row: SecretImport, position: int) -> None:
    others = [other for other in vault.list_imports(session, row.folder_id) if other.id != row.id]
    others.insert(max(0, position - 1), row)
    for number, other in enumerate(others, start=1):
        other.position = number


def delete_import(
    runtime: Runtime, project_id: UUID, import_id: UUID, *, environment: str, path: str
) -> ImportView:
    """Stop showing the other folder's secrets."""
    with runtime.database.transaction() as session:
        place = find_place(session, project_id, environment, path, keep=True)
        view = _import_view(session, _find_import(session, place, import_id))
        session.delete(view.row)
        note_folder_change(runtime, session, place.environment, place.folder)
    runtime.broker.send(Task.DISPATCH)
    return view


def _find_import(session: Session, place: Place, import_id: UUID) -> SecretImport:
    row = session.get(SecretImport, import_id)
    if row is None or row.folder_id != place.folder.id:
        raise NotFound(f"The folder '{place.folder.path}' has no import with the id {import_id}.")
    return row


def _import_view(session: Session, row: SecretImport) -> ImportView:
    environment = session.get_one(Environment, row.environment_id)
    return ImportView(row, environment, view_folder(session, row.folder_id))
