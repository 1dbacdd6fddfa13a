"""The environments of a project. What would take values away from elsewhere is refused."""

import re
from collections.abc import Collection
from uuid import UUID

from sqlalchemy.orm import Session

from shared.broker import Task
from shared.db import syncs, vault
from shared.db.vault import ROOT, Environment
from shared.errors import Conflict, InvalidInput, NotFound
from shared.runtime import Runtime
from shared.usecases.folders import note_folder_change, run_stranded
from shared.usecases.places import find_environment, find_project
from shared.usecases.projects import add_environment

_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


def create_environment(
    runtime: Runtime, project_id: UUID, *, slug: str, name: str, position: int | None = None
) -> Environment:
    """Add an environment with an empty root folder, behind the others or at *position*, counted from 1.

    Raises ``Conflict`` if the slug is taken.
    """
    with runtime.database.transaction() as session:
        project = find_project(session, project_id)
        _check_slug(session, project_id, slug)
        last = max((row.position for row in vault.list_environments(session, project.id)), default=0)
        row = add_environment(runtime, session, project.id, slug, name, last + 1)
        if position is not None:
            _reorder(session, row, position)
    return row


def get_environment(runtime: Runtime, environment_id: UUID) -> Environment:
    """Return an environment by its id. Raises ``NotFound``."""
    with runtime.database.snapshot() as session:
        return _found(session.get(Environment, environment_id), environment_id)


def get_by_slug(runtime: Runtime, project_id: UUID, slug: str) -> Environment:
    """Return a project's environment by its slug. Raises ``NotFound`` naming those that exist."""
    with runtime.database.snapshot() as session:
        return find_environment(session, find_project(session, project_id), slug)


def update_environment(
    runtime: Runtime,
    environment_id: UUID,
    *,
    name: str | None = None,
    slug: str | None = None,
    position: int | None = None,
) -> Environment:
    """Name an environment anew, or give it another position, counted from 1; the others close up.

    The slug stays while secrets refer to it: their values would become the text of the reference. So it does
    while the key schema of a sync names it: what was written under the old names would stay behind, and the
    new ones may be another sync's. All other syncs, and imports, go on under the new one.
    """
    with runtime.database.transaction() as session:
        if position is not None:
            unlocked = _found(session.get(Environment, environment_id), environment_id)
            vault.lock_environments(session, unlocked.project_id)
        row = _locked(session, environment_id)
        renamed = slug is not None and slug != row.slug
        if renamed:
            _change_slug(runtime, session, row, slug or "")
        if name is not None:
            row.name = name
        if position is not None:
            _reorder(session, row, position)
        row.updated_at = runtime.clock()
    if renamed:
        runtime.broker.send(Task.DISPATCH)
    return row


def delete_environment(runtime: Runtime, environment_id: UUID) -> Environment:
    """Delete an environment with all its folders. Raises ``Conflict`` while other environments show it.

    Syncs whose source lies there lose it: their next run, which is queued here, fails and says so. It never
    empties their destination.
    """
    with runtime.database.transaction() as session:
        root = vault.find_folder(session, environment_id, ROOT)
        folders = vault.list_subtree(session, root) if root else []
        job_ids = run_stranded(runtime, session, folders)
        # After the syncs: whoever gives one another source locks the sync first, too.
        row = _locked(session, environment_id)
        users = vault.importers_of(session, row) | vault.referrers_to(session, row)
        _refuse(row, {(slug, path) for slug, path in users if slug != row.slug})
        session.delete(row)
    for job_id in job_ids:
        runtime.broker.send(Task.RUN_JOB, job_id)
    return row


def _change_slug(runtime: Runtime, session: Session, row: Environment, slug: str) -> None:
    _check_slug(session, row.project_id, slug)
    _refuse(row, vault.referrers_to(session, row))
    _refuse_in_key_schemas(session, row)
    row.slug = slug
    # Waits for the edits under way: what they noted under the old slug, nobody finds any more.
    session.flush()
    root = vault.find_folder(session, row.id, ROOT)
    for folder in vault.list_subtree(session, root) if root else ():
        note_folder_change(runtime, session, row, folder)


def _refuse(row: Environment, users: Collection[tuple[str, str]]) -> None:
    if users:
        named = ", ".join(f"'{path}' of '{slug}'" for slug, path in sorted(users))
        raise Conflict(
            f"The environment '{row.slug}' is imported or referred to by {named}: change that first."
        )


def _refuse_in_key_schemas(session: Session, row: Environment) -> None:
    named = [
        f"'{sync.name}'"
        for sync in syncs.syncs_from(session, row.id)
        if sync.options.parsed_key_schema.names_environment
    ]
    if named:
        raise Conflict(
            f"The slug '{row.slug}' is part of what these syncs call their keys: {', '.join(named)}. "
            "Change their key schemas first."
        )


def _check_slug(session: Session, project_id: UUID, slug: str) -> None:
    if not _SLUG.fullmatch(slug):
        raise InvalidInput(
            "A slug consists of lower-case letters, digits and single hyphens.", field=("slug",)
        )
    if vault.find_environment(session, project_id, slug) is not None:
        raise Conflict(f"The project already has an environment '{slug}'.")


def _reorder(session: Session, row: Environment, position: int) -> None:
    rows = vault.list_environments(session, row.project_id)
    others = [other for other in rows if other.id != row.id]
    others.insert(max(0, position - 1), row)
    for number, other in enumerate(others, start=1):
        other.position = number


def _locked(session: Session, environment_id: UUID) -> Environment:
    return _found(vault.lock_environment(session, environment_id), environment_id)


def _found(row: Environment | None, environment_id: UUID) -> Environment:
    if row is None:
        raise NotFound(f"There is no environment with the id {environment_id}.")
    return row
