"""The vault: projects, environments, folders, secrets with their versions, imports and references."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    UniqueConstraint,
    and_,
    delete,
    func,
    or_,
    select,
    tuple_,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from shared.db.base import Base, Identified, slices

ROOT = "/"
MAX_SLUG = 64
MAX_PATH = 2048


class Project(Identified, Base):
    """A vault of its own, with its own data key."""

    __tablename__ = "projects"
    name: Mapped[str] = mapped_column(String(255))
    slug: Mapped[str] = mapped_column(String(255), unique=True)
    description: Mapped[str | None] = mapped_column(String(256))
    data_key: Mapped[bytes] = mapped_column(LargeBinary)
    updated_at: Mapped[datetime]


class Environment(Identified, Base):
    """A set of values of a project, such as production."""

    __tablename__ = "environments"
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(64))
    slug: Mapped[str] = mapped_column(String(MAX_SLUG))
    position: Mapped[int]
    updated_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("project_id", "slug"),)


class Folder(Identified, Base):
    """A place for secrets inside an environment. ``path`` starts with ``/`` and ends without one."""

    __tablename__ = "folders"
    environment_id: Mapped[UUID] = mapped_column(ForeignKey("environments.id", ondelete="CASCADE"))
    parent_id: Mapped[UUID | None] = mapped_column(ForeignKey("folders.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(255))
    path: Mapped[str] = mapped_column(String(MAX_PATH))
    description: Mapped[str | None] = mapped_column(String(256))
    updated_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("environment_id", "path"),)


class Secret(Identified, Base):
    """A secret as it is now. Value and comment are sealed; see ``shared/crypto.py``."""

    __tablename__ = "secrets"
    folder_id: Mapped[UUID] = mapped_column(ForeignKey("folders.id", ondelete="CASCADE"))
    key: Mapped[str] = mapped_column(String(255))
    version: Mapped[int]
    value: Mapped[bytes] = mapped_column(LargeBinary)
    comment: Mapped[bytes | None] = mapped_column(LargeBinary)
    updated_at: Mapped[datetime]

    __table_args__ = (
        UniqueConstraint("folder_id", "key"),
        CheckConstraint("version >= 1", name="version_counts_from_one"),
    )


class SecretVersion(Base):
    """What a secret was at one version, the present one included."""

    __tablename__ = "secret_versions"
    secret_id: Mapped[UUID] = mapped_column(ForeignKey("secrets.id", ondelete="CASCADE"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(255))
    value: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(String(255))


class SecretReference(Base):
    """That a secret's value names another folder. Kept so that a change there finds whom it concerns."""

    __tablename__ = "secret_references"
    secret_id: Mapped[UUID] = mapped_column(ForeignKey("secrets.id", ondelete="CASCADE"), primary_key=True)
    environment: Mapped[str] = mapped_column(String(MAX_SLUG), primary_key=True)
    path: Mapped[str] = mapped_column(String(MAX_PATH), primary_key=True)

    __table_args__ = (Index("ix_secret_references_place", "environment", "path"),)


class SecretImport(Identified, Base):
    """That a folder shows another folder's secrets. The highest position wins."""

    __tablename__ = "secret_imports"
    folder_id: Mapped[UUID] = mapped_column(ForeignKey("folders.id", ondelete="CASCADE"), index=True)
    environment_id: Mapped[UUID] = mapped_column(ForeignKey("environments.id", ondelete="CASCADE"))
    path: Mapped[str] = mapped_column(String(MAX_PATH))
    position: Mapped[int]
    updated_at: Mapped[datetime]

    __table_args__ = (
        UniqueConstraint("folder_id", "environment_id", "path"),
        Index("ix_secret_imports_place", "environment_id", "path"),
    )


# --- queries -------------------------------------------------------------------------------------------


def list_projects(
    session: Session, *, among: Collection[UUID] | None = None, limit: int, offset: int
) -> Sequence[Project]:
    """Return the projects, oldest first; with *among* only those."""
    query = select(Project).order_by(Project.created_at, Project.id).limit(limit).offset(offset)
    if among is not None:
        query = query.where(Project.id.in_(among))
    return session.scalars(query).all()


def data_keys(session: Session) -> Sequence[bytes]:
    """Return the sealed data key of every project."""
    return session.scalars(select(Project.data_key)).all()


def list_vaults(session: Session, project_id: UUID | None) -> Sequence[Project]:
    """Return the projects that are named after a repository, oldest first; with *project_id* that one."""
    query = select(Project).where(Project.slug.contains("/"))
    if project_id is not None:
        query = query.where(Project.id == project_id)
    return session.scalars(query.order_by(Project.created_at, Project.slug)).all()


def find_project(session: Session, slug: str) -> Project | None:
    return session.scalar(select(Project).where(Project.slug == slug))


def list_environments(session: Session, project_id: UUID) -> Sequence[Environment]:
    return session.scalars(
        select(Environment).where(Environment.project_id == project_id).order_by(Environment.position)
    ).all()


def environments_of(session: Session, project_ids: Collection[UUID]) -> dict[UUID, list[Environment]]:
    """Return the environments of each of these projects, in their order."""
    found: dict[UUID, list[Environment]] = {project_id: [] for project_id in project_ids}
    query = select(Environment).where(Environment.project_id.in_(project_ids))
    for row in session.scalars(query.order_by(Environment.position)):
        found[row.project_id].append(row)
    return found


def find_environment(
    session: Session, project_id: UUID, slug: str, *, keep: bool = False
) -> Environment | None:
    """Return the environment; with *keep* nobody renames or deletes it until the transaction ends."""
    query = select(Environment).where(Environment.project_id == project_id, Environment.slug == slug)
    return session.scalar(query.with_for_update(read=True, key_share=True) if keep else query)


def keep_slug(session: Session, environment_id: UUID | None) -> str:
    """Return the environment's slug, which stays until the transaction ends; nothing if there is none."""
    query = select(Environment.slug).where(Environment.id == environment_id)
    return session.scalar(query.with_for_update(read=True, key_share=True)) or ""


def lock_environment(session: Session, environment_id: UUID) -> Environment | None:
    """Return the environment as it is now, locked until the transaction ends: nobody edits in it.

    Whoever renames, moves or deletes what lies in an environment takes it first, whoever edits keeps it
    first: so no two of them wait for each other.
    """
    return session.scalar(
        select(Environment)
        .where(Environment.id == environment_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )


def lock_environments(session: Session, project_id: UUID, *, keep: bool = False) -> None:
    """Lock all environments of a project; with *keep* only against those who lock one."""
    query = select(Environment.id).where(Environment.project_id == project_id)
    # Always in the same order, or two that lock several could wait for each other.
    session.execute(query.order_by(Environment.id).with_for_update(read=keep, key_share=keep)).all()


def find_folder(session: Session, environment_id: UUID, path: str, *, keep: bool = False) -> Folder | None:
    """Return the folder at *path*; with *keep* nobody deletes it until the transaction ends."""
    query = select(Folder).where(Folder.environment_id == environment_id, Folder.path == path)
    return session.scalar(query.with_for_update(read=True, key_share=True) if keep else query)


def lock_imports(session: Session, folder_id: UUID) -> None:
    """Let nobody else add imports to the folder, or order them, until the transaction ends."""
    session.execute(select(Folder.id).where(Folder.id == folder_id).with_for_update(key_share=True)).all()


def environment_of(session: Session, folder_id: UUID) -> UUID | None:
    """Return the id of the environment that the folder lies in, for good."""
    return session.scalar(select(Folder.environment_id).where(Folder.id == folder_id))


def find_folder_in_project(session: Session, project_id: UUID, environment: str, path: str) -> Folder | None:
    """Return the folder at *path* of the environment with the slug *environment*."""
    return session.scalar(
        select(Folder)
        .join(Environment, Environment.id == Folder.environment_id)
        .where(Environment.project_id == project_id, Environment.slug == environment, Folder.path == path)
    )


def list_folders(session: Session, parent: Folder) -> Sequence[Folder]:
    return session.scalars(select(Folder).where(Folder.parent_id == parent.id).order_by(Folder.name)).all()


def list_subtree(session: Session, folder: Folder) -> Sequence[Folder]:
    """Return *folder* and every folder below it, parents before children."""
    prefix = ROOT if folder.path == ROOT else folder.path + "/"
    # Not LIKE: on SQLite it does not tell upper from lower case.
    below = func.substr(Folder.path, 1, len(prefix)) == prefix
    return session.scalars(
        select(Folder)
        .where(Folder.environment_id == folder.environment_id, or_(Folder.id == folder.id, below))
        .order_by(Folder.path)
        .execution_options(populate_existing=True)
    ).all()


def list_secrets(session: Session, folder_id: UUID) -> Sequence[Secret]:
    return session.scalars(select(Secret).where(Secret.folder_id == folder_id).order_by(Secret.key)).all()


def count_secrets(session: Session, project_id: UUID, environment: str | None = None) -> int:
    """Return how many secrets the root folders of a project hold; with *environment* the one of it."""
    query = select(func.count(Secret.id)).select_from(Environment).join(Folder).join(Secret)
    query = query.where(Environment.project_id == project_id, Folder.path == ROOT)
    if environment is not None:
        query = query.where(Environment.slug == environment)
    return session.scalar(query) or 0


def list_root_secrets(session: Session, project_id: UUID) -> Sequence[tuple[Secret, str, str | None]]:
    """Return the secrets in the root folders of a project, newest first: with environment and author."""
    rows = session.execute(
        select(Secret, Environment.slug, SecretVersion.created_by)
        .select_from(Environment)
        .join(Folder, Folder.environment_id == Environment.id)
        .join(Secret, Secret.folder_id == Folder.id)
        .outerjoin(
            SecretVersion,
            and_(SecretVersion.secret_id == Secret.id, SecretVersion.version == Secret.version),
        )
        .where(Environment.project_id == project_id, Folder.path == ROOT)
        .order_by(Secret.created_at.desc(), Secret.key)
    )
    return [(secret, slug, author) for secret, slug, author in rows]


def find_secret(session: Session, folder_id: UUID, key: str, *, for_update: bool = False) -> Secret | None:
    query = select(Secret).where(Secret.folder_id == folder_id, Secret.key == key)
    return session.scalar(query.with_for_update() if for_update else query)


def keys_by_id(session: Session, folder_id: UUID, secret_ids: Collection[UUID]) -> Sequence[str]:
    """Return the keys of those secrets that lie in the folder. Nothing is locked: they may change."""
    query = select(Secret.key).where(Secret.folder_id == folder_id, Secret.id.in_(secret_ids))
    return session.scalars(query.order_by(Secret.key)).all()


def list_versions(session: Session, secret_id: UUID) -> Sequence[SecretVersion]:
    """Return what a secret was at each of its versions, the first one first."""
    query = select(SecretVersion).where(SecretVersion.secret_id == secret_id)
    return session.scalars(query.order_by(SecretVersion.version)).all()


def find_version(session: Session, secret_id: UUID, version: int) -> SecretVersion | None:
    return session.get(SecretVersion, (secret_id, version))


def list_imports(session: Session, folder_id: UUID) -> Sequence[SecretImport]:
    query = select(SecretImport).where(SecretImport.folder_id == folder_id)
    return session.scalars(query.order_by(SecretImport.position, SecretImport.id)).all()


def imports_of(session: Session, environment_id: UUID, paths: Collection[str]) -> Sequence[SecretImport]:
    """Return the imports, wherever they are, that show one of these folders of the environment, locked."""
    query = select(SecretImport).where(SecretImport.environment_id == environment_id)
    queries = [query.where(SecretImport.path.in_(part)).with_for_update() for part in slices(paths)]
    return [row for each in queries for row in session.scalars(each)]


def next_import_position(session: Session, folder_id: UUID) -> int:
    highest = session.scalar(
        select(func.max(SecretImport.position)).where(SecretImport.folder_id == folder_id)
    )
    return (highest or 0) + 1


def replace_references(session: Session, secret_id: UUID, folders: Iterable[tuple[str, str]]) -> None:
    """Make *folders* (environment slug, path) the ones that the secret is known to name.

    Those that cannot exist, because a name is too long, are left out.
    """
    session.execute(delete(SecretReference).where(SecretReference.secret_id == secret_id))
    for environment, path in folders:
        if len(environment) > MAX_SLUG or len(path) > MAX_PATH:
            continue
        session.add(SecretReference(secret_id=secret_id, environment=environment, path=path))


def folders_showing(
    session: Session, project_id: UUID, places: Iterable[tuple[str, str]]
) -> set[tuple[str, str]]:
    """Return the places (environment slug, path) that import or reference one of *places* directly."""
    found: set[tuple[str, str]] = set()
    for part in slices(places):
        found |= _importers(session, project_id, part) | _referrers(session, project_id, part)
    return found


def importers_of(session: Session, environment: Environment) -> set[tuple[str, str]]:
    """Return the places (environment slug, path) that import from the environment."""
    rows = session.execute(
        _places_of(environment.project_id)
        .join(SecretImport, SecretImport.folder_id == Folder.id)
        .where(SecretImport.environment_id == environment.id)
    )
    return {(slug, path) for slug, path in rows}


def referrers_to(session: Session, environment: Environment) -> set[tuple[str, str]]:
    """Return the places (environment slug, path) with a secret that refers to the environment."""
    rows = session.execute(
        _places_of(environment.project_id)
        .join(Secret, Secret.folder_id == Folder.id)
        .join(SecretReference, SecretReference.secret_id == Secret.id)
        .where(SecretReference.environment == environment.slug)
    )
    return {(slug, path) for slug, path in rows}


def _importers(session: Session, project_id: UUID, places: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
    source = Environment.__table__.alias("source")
    rows = session.execute(
        _places_of(project_id)
        .join(SecretImport, SecretImport.folder_id == Folder.id)
        .join(source, source.c.id == SecretImport.environment_id)
        .where(tuple_(source.c.slug, SecretImport.path).in_(places))
    )
    return {(slug, path) for slug, path in rows}


def _referrers(session: Session, project_id: UUID, places: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
    rows = session.execute(
        _places_of(project_id)
        .join(Secret, Secret.folder_id == Folder.id)
        .join(SecretReference, SecretReference.secret_id == Secret.id)
        .where(tuple_(SecretReference.environment, SecretReference.path).in_(places))
    )
    return {(slug, path) for slug, path in rows}


def _places_of(project_id: UUID) -> Any:
    return (
        select(Environment.slug, Folder.path)
        .select_from(Folder)
        .join(Environment, Environment.id == Folder.environment_id)
        .where(Environment.project_id == project_id)
    )
