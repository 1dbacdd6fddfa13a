"""Keyway's vaults: projects whose slug is a repository, ``owner/repo``."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from shared.db import syncs, vault
from shared.db.syncs import Sync
from shared.db.vault import Environment, Project
from shared.errors import Conflict, Forbidden, InvalidInput
from shared.runtime import Runtime
from shared.usecases import projects
from shared.usecases.github import GitHub, Role
from shared.usecases.keyway.access import Member, Permission, Visitor, github_role, role_in
from shared.usecases.projects import ProjectView

_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class VaultView:
    """A vault as one caller sees it. ``secret_count`` is over all environments."""

    project: Project
    environments: Sequence[Environment]
    role: Role
    secret_count: int
    syncs: Sequence[Sync]
    slugs: Mapping[UUID, str]


def view_vault(runtime: Runtime, member: Member) -> VaultView:
    """Return what a member sees of a vault."""
    with runtime.database.snapshot() as session:
        environments = vault.list_environments(session, member.project.id)
        return VaultView(
            project=member.project,
            environments=environments,
            role=member.role,
            secret_count=vault.count_secrets(session, member.project.id),
            syncs=syncs.list_syncs(session, member.project.id),
            slugs={row.id: row.slug for row in environments},
        )


def list_vaults(runtime: Runtime, github: GitHub, visitor: Visitor) -> list[Member]:
    """Return every vault that exists for this caller, oldest first."""
    with runtime.database.snapshot() as session:
        rows = vault.list_vaults(session, visitor.project_id)
    members = []
    for row in rows:
        role = role_in(github, visitor, row)
        if role is not None:
            members.append(Member(visitor, row, (), role))
    return members


def create_vault(runtime: Runtime, github: GitHub, visitor: Visitor, repository: str) -> ProjectView:
    """Create the vault of a repository. Raises ``Conflict`` if there is one, ``Forbidden`` without the right.

    Who proves with GitHub needs the role admin in the repository.
    """
    if not _REPOSITORY.fullmatch(repository):
        raise InvalidInput("A repository is named as owner/repo.", field=("repoFullName",))
    if visitor.github is not None:
        if github_role(github, visitor, repository) is not Role.ADMIN:
            raise Forbidden("You must have admin access to this repository to create a vault.")
    else:
        visitor.require(Permission.WRITE)
        if visitor.project_id is not None:
            raise Forbidden("This token is valid for another project.")
    try:
        return projects.create_project(runtime, repository, slug=repository)
    except Conflict:
        raise Conflict("Vault already exists for this repository") from None
