"""Projects and their environments."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from sqlalchemy.orm import Session

from shared.db import vault
from shared.db.vault import ROOT, Environment, Folder, Project
from shared.errors import Conflict, InvalidInput, NotFound
from shared.runtime import Runtime
from shared.usecases.places import find_project

#: What a new project starts with: slug and name.
DEFAULT_ENVIRONMENTS = (
    ("development", "Development"),
    ("staging", "Staging"),
    ("production", "Production"),
)

_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
# A Keyway vault is a project whose slug is the repository, owner/repo.
_PROJECT_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9._-]+)?")


@dataclass(frozen=True, slots=True)
class ProjectView:
    """A project with its environments, in their order."""

    project: Project
    environments: Sequence[Environment]


def create_project(
    runtime: Runtime, name: str, *, slug: str | None = None, description: str | None = None
) -> ProjectView:
    """Create a project with the default environments. Raises ``Conflict`` if the slug is taken."""
    if slug is not None and not _PROJECT_SLUG.fullmatch(slug):
        raise InvalidInput("A slug consists of letters, digits, '.', '_' and '-'.", field=("slug",))
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
        environments = [
            _add_environment(runtime, session, project.id, env_slug, env_name, place)
            for place, (env_slug, env_name) in enumerate(DEFAULT_ENVIRONMENTS, start=1)
        ]
    return ProjectView(project, environments)


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


def create_environment(runtime: Runtime, project_id: UUID, *, slug: str, name: str) -> Environment:
    """Add an environment with an empty root folder. Raises ``Conflict`` if the slug is taken."""
    if not _SLUG.fullmatch(slug):
        raise InvalidInput(
            "A slug consists of lower-case letters, digits and single hyphens.", field=("slug",)
        )
    with runtime.database.transaction() as session:
        project = find_project(session, project_id)
        if vault.find_environment(session, project.id, slug) is not None:
            raise Conflict(f"The project '{project.slug}' already has an environment '{slug}'.")
        last = max((row.position for row in vault.list_environments(session, project.id)), default=0)
        return _add_environment(runtime, session, project.id, slug, name, last + 1)


def _add_environment(
    runtime: Runtime, session: Session, project_id: UUID, slug: str, name: str, position: int
) -> Environment:
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


def _free_slug(session: Session, wanted: str | None, name: str) -> str:
    slug = wanted or "-".join(re.findall(r"[a-z0-9]+", name.lower())) or "project"
    if vault.find_project(session, slug) is None:
        return slug
    if wanted:
        raise Conflict(f"There is already a project with the slug '{wanted}'.")
    # Names may repeat; a slug that nobody asked for only has to be unlike the others.
    return f"{slug}-{uuid4().hex[:4]}"
