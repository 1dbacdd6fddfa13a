"""Who calls on Keyway's wire, and what they may do in a vault.

Tokens and API keys are limited by their scopes. People known to GitHub are limited by their role in the
repository, and by how much an environment is protected.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from uuid import UUID

from pydantic import SecretStr

from shared.crypto import API_KEY_PREFIX
from shared.db.vault import Environment, Project
from shared.errors import Forbidden, InvalidInput, NotFound
from shared.runtime import Runtime
from shared.usecases import projects, tokens
from shared.usecases.github import GitHub, GitHubUser, Role, is_github_token
from shared.usecases.tokens import Caller, Scope


class Permission(StrEnum):
    """What somebody may do. An API key can carry the first four as its scopes."""

    READ = "read:secrets"
    WRITE = "write:secrets"
    DELETE = "delete:secrets"
    KEYS = "admin:api-keys"
    SYNC = "sync"
    CONNECT = "connect"


API_KEY_SCOPES = (Permission.READ, Permission.WRITE, Permission.DELETE, Permission.KEYS)

#: What each scope of a key allows. Whoever may read secrets may push them to a provider: so it is documented.
_OF_API_KEYS = {
    Permission.READ: {Permission.READ, Permission.SYNC},
    Permission.WRITE: {Permission.WRITE, Permission.CONNECT},
    Permission.DELETE: {Permission.DELETE},
    Permission.KEYS: {Permission.KEYS},
}
_OF_TOKENS = {
    Scope.READ: {Permission.READ},
    Scope.WRITE: {Permission.WRITE, Permission.DELETE},
    Scope.SYNC: {Permission.SYNC},
    Scope.ADMIN: set(Permission),
}


class Protection(IntEnum):
    """How much an environment is protected, by its name. Secrets move up with an administrator only."""

    DEVELOPMENT = 0
    STANDARD = 1
    PROTECTED = 2

    @classmethod
    def of(cls, environment: str) -> "Protection":
        match environment.partition(":")[0].lower():
            case "production" | "prod" | "main" | "master":
                return cls.PROTECTED
            case "development" | "dev" | "local":
                return cls.DEVELOPMENT
        return cls.STANDARD

    @property
    def title(self) -> str:
        return self.name.lower()


#: What a role may do in an environment of each protection.
_READERS: dict[Protection, Role] = {
    Protection.DEVELOPMENT: Role.READ,
    Protection.STANDARD: Role.READ,
    Protection.PROTECTED: Role.WRITE,
}
_WRITERS: dict[Protection, Role] = {
    Protection.DEVELOPMENT: Role.WRITE,
    Protection.STANDARD: Role.WRITE,
    Protection.PROTECTED: Role.ADMIN,
}


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who calls: the holder of a token of ours (``token``), or a person known to GitHub (``github``).

    ``asked`` collects the projects of the vaults that the request concerns.
    """

    name: str
    permissions: frozenset[Permission]
    token: Caller | None = None
    github: GitHubUser | None = None
    asked: set[UUID] = field(default_factory=set, compare=False, repr=False)

    @property
    def id(self) -> str:
        """What tells this caller from all others."""
        if self.token is not None:
            return f"token:{self.token.token_id}"
        return f"github:{self.github.id if self.github else ''}"

    @property
    def project_id(self) -> UUID | None:
        """The only project this caller is valid for, None for all."""
        return self.token.only_grant()[0] if self.token else None

    @property
    def created_at(self) -> datetime | None:
        return self.token.created_at if self.token else None

    def require(self, permission: Permission) -> None:
        """Raise ``Forbidden`` unless the caller may do that somewhere."""
        if permission in self.permissions:
            return
        if self.github is not None:
            raise Forbidden("A GitHub token may not do this: use a Keytide token.")
        raise Forbidden(f"API key missing required scope(s): {permission}")

    def require_token(self) -> Caller:
        """Return the caller as the other wire knows it. Raises ``Forbidden`` for people known to GitHub."""
        if self.token is None:
            raise Forbidden("A GitHub token may not do this: use a Keytide token.")
        return self.token


@dataclass(frozen=True, slots=True)
class Member:
    """A caller in a vault."""

    visitor: Visitor
    project: Project
    environments: Sequence[Environment]
    role: Role

    def require(self, permission: Permission, environment: str | None = None) -> None:
        """Raise ``Forbidden`` unless the caller may do that here; with *environment* in that one."""
        if self.visitor.github is None:
            self.visitor.require(permission)
        elif environment is not None:
            self._require_role(permission, environment)
        elif permission is not Permission.READ and self.role < Role.WRITE:
            raise Forbidden(f"Your role ({self.role.title}) does not have permission to change this vault.")

    def require_admin(self) -> None:
        """Raise ``Forbidden`` unless the caller administers the vault."""
        if self.role < Role.ADMIN:
            raise Forbidden(f"This needs the role admin in {self.project.slug}. Yours is {self.role.title}.")

    def require_flow(self, source: str, target: str) -> None:
        """Raise ``Forbidden`` if secrets would move up and the caller is no administrator."""
        if Protection.of(target) > Protection.of(source) and self.role < Role.ADMIN:
            raise Forbidden(
                f"Syncing from {source} to {target} requires admin role. Your role ({self.role.title}) "
                "cannot escalate secrets to a more protected environment."
            )

    def environment(self, name: str) -> Environment:
        """Return the environment of that name. Raises ``InvalidInput`` naming those that exist."""
        for row in self.environments:
            if row.slug == name:
                return row
        known = ", ".join(row.slug for row in self.environments)
        raise InvalidInput(
            f"Environment '{name}' does not exist in this vault. Available environments: {known}",
            field=("environment",),
        )

    def _require_role(self, permission: Permission, environment: str) -> None:
        reads = permission in (Permission.READ, Permission.SYNC)
        needed = (_READERS if reads else _WRITERS)[Protection.of(environment)]
        if self.role < needed:
            deed = "read secrets from" if reads else "write to"
            raise Forbidden(
                f"Your role ({self.role.title}) does not have permission to {deed} the "
                f'"{environment}" environment'
            )


def identify(runtime: Runtime, github: GitHub, token: SecretStr, *, address: str | None) -> Visitor:
    """Return who holds *token*, sent from *address*. Raises ``Unauthenticated``."""
    text = token.get_secret_value()
    if is_github_token(text) and runtime.settings.github_api_url:
        return from_github(github, token)
    caller = tokens.authenticate(runtime, text, address=address)
    return Visitor(caller.name, _permissions(caller), token=caller)


def from_github(github: GitHub, token: SecretStr) -> Visitor:
    """Return the person that a GitHub token belongs to."""
    user = github.user(token)
    permissions = frozenset({Permission.READ, Permission.WRITE, Permission.DELETE, Permission.SYNC})
    return Visitor(user.login, permissions, github=user)


def find_member(runtime: Runtime, github: GitHub, visitor: Visitor, repository: str) -> Member:
    """Return the caller in the vault ``owner/repo``.

    Raises ``NotFound`` if there is no such vault, or not for this caller: the two cannot be told apart.
    """
    try:
        view = projects.find_by_slug(runtime, repository)
    except NotFound:
        raise _no_vault(repository) from None
    role = role_in(github, visitor, view.project)
    if role is None:
        raise _no_vault(repository)
    visitor.asked.add(view.project.id)
    return Member(visitor, view.project, view.environments, role)


def role_in(github: GitHub, visitor: Visitor, project: Project) -> Role | None:
    """Return the caller's role in a vault, None if the vault does not exist for that caller."""
    if visitor.github is not None:
        return github_role(github, visitor, project.slug)
    if visitor.project_id not in (None, project.id):
        return None
    if visitor.permissions >= {Permission.READ, Permission.WRITE, Permission.KEYS}:
        return Role.ADMIN
    return Role.WRITE if Permission.WRITE in visitor.permissions else Role.READ


def github_role(github: GitHub, visitor: Visitor, repository: str) -> Role | None:
    """Return the role that a person known to GitHub has in *repository*."""
    if visitor.github is None:
        return None
    found = github.repository(visitor.github.token, repository)
    return found.role if found else None


def _permissions(caller: Caller) -> frozenset[Permission]:
    project_id, scopes = caller.only_grant()
    granted: set[Permission] = set()
    for scope in scopes:
        if caller.prefix is not None and caller.prefix.startswith(API_KEY_PREFIX):
            granted |= _OF_API_KEYS[Permission(scope)]
        else:
            granted |= _OF_TOKENS[Scope(scope)]
    if Permission.SYNC in granted and project_id is not None and caller.prefix is None:
        # Connections of one project are that project's own; those for all are the administrator's.
        granted.add(Permission.CONNECT)
    return frozenset(granted)


def _no_vault(repository: str) -> NotFound:
    return NotFound(f"Vault '{repository}' not found or you don't have access")
