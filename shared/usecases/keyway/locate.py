"""What a client of Keyway's wire asks for, and the two places that it means."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from shared.db import syncs
from shared.db.connections import Connection
from shared.db.syncs import destination_key
from shared.errors import Forbidden, NotFound
from shared.providers.base import Project, Provider
from shared.runtime import Runtime
from shared.sync_options import InitialBehavior
from shared.usecases.credentials import open_provider
from shared.usecases.github import Role
from shared.usecases.keyway.access import Member, Permission
from shared.usecases.keyway.connections import usable
from shared.usecases.keyway.targets import Choice, counterpart, destination_config
from shared.usecases.sync_rules import parse_config


class Direction(StrEnum):
    """Which side is changed: the provider's (push) or the vault (pull)."""

    PUSH = "push"
    PULL = "pull"


@dataclass(frozen=True, slots=True)
class Ask:
    """What a client wants to bring together. Without ``provider_environment`` the counterpart is meant."""

    connection_id: UUID
    project_id: str
    environment: str
    provider_environment: str | None = None
    service_id: str | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """How it is to be done. ``plan_hash`` lets that plan through the brake."""

    direction: Direction = Direction.PUSH
    allow_delete: bool = False
    overwrite: bool = False
    plan_hash: str | None = None

    @property
    def import_behavior(self) -> InitialBehavior:
        """What wins where both sides have a key, when the vault is changed."""
        if self.overwrite:
            return InitialBehavior.IMPORT_PRIORITIZE_DESTINATION
        return InitialBehavior.IMPORT_PRIORITIZE_SOURCE


@dataclass(frozen=True, slots=True)
class Target:
    """Two places: an environment of a vault, and a destination that the provider knows."""

    member: Member
    connection: Connection
    environment: str
    provider_environment: str
    config: Mapping[str, Any]
    key: str


def locate(runtime: Runtime, member: Member, ask: Ask, direction: Direction | None = None) -> Target:
    """Return the two places that *ask* names, if the caller may bring them together in that *direction*.

    Without a direction the caller only looks. Raises ``Forbidden``, ``NotFound`` or ``InvalidInput``.
    """
    connection, theirs = permitted(runtime, member, ask, direction)
    provider = open_provider(runtime, connection)
    project = project_at(provider, ask.project_id)
    config = destination_config(provider, Choice(project, ask.service_id, theirs))
    key = key_of(connection, config)
    require_linked(linked_keys(runtime, member, connection), [key], member)
    return Target(member, connection, ask.environment, theirs, config, key)


def permitted(
    runtime: Runtime, member: Member, ask: Ask, direction: Direction | None
) -> tuple[Connection, str]:
    """Return the connection and the provider's environment, if the caller may use both like that."""
    member.environment(ask.environment)
    connection = usable(runtime, member, ask.connection_id)
    theirs = counterpart(connection.app, ask.environment, ask.provider_environment)
    match direction:
        case None:
            member.require(Permission.READ, ask.environment)
        case Direction.PUSH:
            member.require(Permission.SYNC, ask.environment)
            member.require_flow(ask.environment, theirs)
        case Direction.PULL:
            member.require(Permission.WRITE, ask.environment)
            member.require_flow(theirs, ask.environment)
    return connection, theirs


def linked_keys(runtime: Runtime, member: Member, connection: Connection) -> frozenset[str] | None:
    """Return the keys of the only destinations that the caller may use with *connection*; None for all.

    A connection reaches what its maker does, other teams' services included. So people known to GitHub who
    do not administer the repository use what somebody has linked its vault to.
    """
    if member.visitor.github is None or member.role >= Role.ADMIN:
        return None
    with runtime.database.snapshot() as session:
        known = syncs.list_syncs(session, member.project.id, destination=connection.app)
    return frozenset(sync.destination_key for sync in known if sync.connection_id == connection.id)


def require_linked(linked: frozenset[str] | None, keys: Collection[str], member: Member) -> None:
    """Raise ``Forbidden`` unless one of the destinations with these *keys* is among those *linked*."""
    if linked is not None and linked.isdisjoint(keys):
        raise Forbidden(
            f"The vault {member.project.slug} is not linked to that destination through this connection, and "
            f"your role ({member.role.title}) links nothing new. Somebody with the role admin in the "
            "repository, or with a Keytide token, has to link or sync it once."
        )


def key_of(connection: Connection, config: Mapping[str, Any]) -> str:
    """Return what tells the destination *config* from all others."""
    return destination_key(connection.app, parse_config(connection.app, config).identity())


def project_at(provider: Provider[Any], project_id: str) -> Project:
    for project in provider.projects():
        if project.id == project_id:
            return project
    raise NotFound(f"Project '{project_id}' not found at {provider.title}")
