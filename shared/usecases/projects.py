"""Projects and their environments."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from sqlalchemy.orm import Session

from shared.db import connections, jobs, syncs, vault
from shared.db.vault import ROOT, Environment, Folder, Project
from shared.errors import Conflict, Forbidden, InvalidInput, NotFound
from shared.runtime import Runtime
from shared.usecases.credentials import revoke
from shared.usecases.places import find_project
from shared.usecases.tokens import Caller, Scope

#: What a new project starts with: slug and name.
DEFAULT_ENVIRONMENTS = (
    ("development", "Development"),
    ("staging", "Staging"),
    ("production", "Production"),
)
#: What it starts with for clients that were made for Infisical, and name the environments as there.
INFISICAL_ENVIRONMENTS = (("dev", "Development"), ("staging", "Staging"), ("prod", "Production"))

# A Keyway vault is a project whose slug is the repository, owner/repo.
_PROJECT_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9._-]+)?")


@dataclass(frozen=True, slots=True)
class ProjectView:
    """A project with its environments, in their order."""

    project: Project
    environments: Sequence[Environment]


def create_project(
    runtime: Runtime,
    name: str,
    *,
    slug: str | None = None,
    description: str | None = None,
    environments: Sequence[tuple[str, str]] = DEFAULT_ENVIRONMENTS,
) -> ProjectView:
    """Create a project with these environments: slug and name. Raises ``Conflict`` if its slug is taken."""
    if slug is not None:
        _check_slug(slug)
    now = runtime.clock()
    with runtime.database.transaction() as session:
        project = Project(
            id=uuid4(),
            name=name,
            slug=_free_slug(session, slug, name),
            description=description,
            data_key=runtime.keyring.new_data_key(),
            created_at=now,
            updated_at=now,
        )
        session.add(project)
        session.flush()
        rows = [
            add_environment(runtime, session, project.id, env_slug, env_name, place)
            for place, (env_slug, env_name) in enumerate(environments, start=1)
        ]
    return ProjectView(project, rows)


def get_project(runtime: Runtime, project_id: UUID) -> ProjectView:
    """Return the project. Raises ``NotFound``."""
    with runtime.database.snapshot() as session:
        project = find_project(session, project_id)
        return ProjectView(project, vault.list_environments(session, project.id))


def find_by_slug(runtime: Runtime, slug: str) -> ProjectView:
    """Return the project with that slug. Raises ``NotFound``."""
    with runtime.database.snapshot() as session:
        project = vault.find_project(session, slug)
        if project is None:
            raise NotFound(f"There is no project with the slug '{slug}'.")
        return ProjectView(project, vault.list_environments(session, project.id))


def list_projects(
    runtime: Runtime, *, among: Collection[UUID] | None = None, limit: int, offset: int
) -> list[ProjectView]:
    """Return the projects, oldest first; with *among* only those."""
    with runtime.database.snapshot() as session:
        rows = vault.list_projects(session, among=among, limit=limit, offset=offset)
        environments = vault.environments_of(session, [row.id for row in rows])
    return [ProjectView(row, environments[row.id]) for row in rows]


def update_project(
    runtime: Runtime,
    caller: Caller,
    project_id: UUID,
    *,
    name: str | None = None,
    slug: str | None = None,
    description: str | None = None,
) -> ProjectView:
    """Name or describe a project anew. Raises ``Conflict`` if the slug is taken.

    Raises ``Forbidden`` if the slug is a repository's name and *caller* does not administer all projects.
    """
    with runtime.database.transaction() as session:
        project = find_project(session, project_id)
        if slug is not None and slug != project.slug:
            _check_slug(slug)
            _require_repository(caller, slug)
            project.slug = _free_slug(session, slug, project.name)
        if name is not None:
            project.name = name
        if description is not None:
            project.description = description
        project.updated_at = runtime.clock()
        return ProjectView(project, vault.list_environments(session, project.id))


def delete_project(runtime: Runtime, project_id: UUID) -> ProjectView:
    """Delete a project with its secrets, syncs and connections, and return what it was.

    Destinations keep what they have. A run under way writes nothing more.
    """
    now = runtime.clock()
    with runtime.database.transaction() as session:
        project = find_project(session, project_id)
        view = ProjectView(project, vault.list_environments(session, project.id))
        for sync in syncs.lock_of_project(session, project.id):
            jobs.cancel_waiting(session, sync.id, reason="The project was deleted.", now=now)
            session.delete(sync)
        session.flush()
        owned = connections.owned_by(session, project.id)
        session.delete(project)
    for connection in owned:
        revoke(runtime, connection)
    return view


def add_environment(
    runtime: Runtime, session: Session, project_id: UUID, slug: str, name: str, position: int
) -> Environment:
    """Add an environment with an empty root folder."""
    now = runtime.clock()
    environment = Environment(
        id=uuid4(),
        project_id=project_id,
        name=name,
        slug=slug,
        position=position,
        created_at=now,
        updated_at=now,
    )
    session.add(environment)
    session.flush()
    session.add(Folder(environment_id=environment.id, name="root", path=ROOT, created_at=now, updated_at=now))
    return environment


def _check_slug(slug: str) -> None:
    if not _PROJECT_SLUG.fullmatch(slug):
        raise InvalidInput(
            "A slug consists of letters, digits, '.', '_' and '-', that of a repository of two such names "
            "with one '/' between them.",
            field=("slug",),
        )


def _require_repository(caller: Caller, slug: str) -> None:
    """Raise ``Forbidden`` if *slug* names a repository that *caller* may not give a vault to."""
    # People known to GitHub push their secrets to the project that bears their repository's name.
    if "/" in slug and not caller.may(Scope.ADMIN, None):
        raise Forbidden(
            "A slug with '/' is a repository's name: only an administrator of all projects can give it."
        )


def _free_slug(session: Session, wanted: str | None, name: str) -> str:
    slug = wanted or "-".join(re.findall(r"[a-z0-9]+", name.lower())) or "project"
    if vault.find_project(session, slug) is None:
        return slug
    if wanted:
        raise Conflict(f"There is already a project with the slug '{wanted}'.")
    # Names may repeat; a slug that nobody asked for only has to be unlike the others.
    return f"{slug}-{uuid4().hex[:4]}"
