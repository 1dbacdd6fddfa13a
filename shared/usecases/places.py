"""Finding the place in the vault that a caller names, or saying clearly what of it does not exist."""

import re
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.orm import Session

from shared.db import vault
from shared.db.vault import MAX_PATH, ROOT, Environment, Folder, Project
from shared.errors import InvalidInput, NotFound

_SEGMENT = re.compile(r"[A-Za-z0-9_-]{1,255}")
#: How many folders may lie in one another.
MAX_DEPTH = 32


@dataclass(frozen=True, slots=True)
class Place:
    """A folder of an environment of a project, with all three rows."""

    project: Project
    environment: Environment
    folder: Folder


def find_project(session: Session, project_id: UUID) -> Project:
    """Return the project. Raises ``NotFound``."""
    project = session.get(Project, project_id)
    if project is None:
        raise NotFound(f"There is no project with the id {project_id}.")
    return project


def find_environment(session: Session, project: Project, slug: str, *, keep: bool = False) -> Environment:
    """Return the environment with that slug. Raises ``NotFound`` naming those that exist.

    With *keep* nobody renames or deletes it until the transaction ends.
    """
    environment = vault.find_environment(session, project.id, slug, keep=keep)
    if environment is None:
        known = ", ".join(row.slug for row in vault.list_environments(session, project.id))
        raise NotFound(f"The project '{project.slug}' has no environment '{slug}'. It has: {known}.")
    return environment


def find_place(
    session: Session, project_id: UUID, environment: str, path: str, *, keep: bool = False
) -> Place:
    """Return the folder at *path*. Raises ``NotFound`` naming the part that does not exist.

    With *keep* nobody renames or deletes the place until the transaction ends.
    """
    project = find_project(session, project_id)
    found = find_environment(session, project, environment, keep=keep)
    normal = normal_path(path)
    folder = vault.find_folder(session, found.id, normal, keep=keep)
    if folder is None:
        raise NotFound(f"The environment '{environment}' has no folder '{normal}'.")
    return Place(project, found, folder)


def normal_path(path: str) -> str:
    """Return *path* with one slash in front and none behind. Raises ``InvalidInput``."""
    parts = [part for part in path.strip().split("/") if part]
    if len(path) > MAX_PATH or len(parts) > MAX_DEPTH:
        raise InvalidInput(
            f"A folder path has at most {MAX_DEPTH} levels and {MAX_PATH} characters.", field=("secretPath",)
        )
    if not all(_SEGMENT.fullmatch(part) for part in parts):
        raise InvalidInput(
            "A folder path consists of names of letters, digits, '_' and '-', separated by '/'.",
            field=("secretPath",),
        )
    return ROOT + "/".join(parts)
