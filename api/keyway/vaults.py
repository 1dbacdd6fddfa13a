"""Vaults: their environments, and their secrets one by one."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query, Response
from pydantic import Field, SecretStr, model_validator

from api.dependencies import RuntimeOf
from api.keyway.dependencies import GitHubOf, MemberOf, VisitorOf, count_value
from api.keyway.wire import (
    Envelope,
    EnvironmentName,
    MetaOf,
    Moment,
    Page,
    PageEnvelope,
    RepositoryName,
    WireModel,
    cut,
    new_router,
)
from shared.db.vault import ROOT, Environment
from shared.errors import Conflict
from shared.runtime import Runtime
from shared.usecases import edit_secrets, environments, projects
from shared.usecases.edit_secrets import Draft
from shared.usecases.keyway import secrets, vaults
from shared.usecases.keyway.access import Member, Permission, Protection
from shared.usecases.keyway.connections import NAMES
from shared.usecases.keyway.targets import shown
from shared.usecases.keyway.vaults import VaultView
from shared.usecases.read_secrets import SecretView

router = new_router(tag="vaults", prefix="/vaults")

SecretKey = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$", max_length=255, examples=["DATABASE_URL"])]

# --- what is sent --------------------------------------------------------------------------------------


class NewVault(WireModel):
    repo_full_name: RepositoryName


class NewEnvironment(WireModel):
    name: str = Field(pattern=r"^[a-z][a-z0-9_-]*$", min_length=2, max_length=30, examples=["qa"])


class NewSecret(WireModel):
    key: SecretKey
    value: SecretStr
    environment: EnvironmentName = "default"


class ChangedSecret(WireModel):
    name: SecretKey | None = None
    value: SecretStr | None = None

    @model_validator(mode="after")
    def _changes_something(self) -> "ChangedSecret":
        if self.name is None and self.value is None:
            raise ValueError("At least one of name or value must be provided")
        return self


# --- what is answered ----------------------------------------------------------------------------------


class EnvironmentOut(WireModel):
    name: str
    type: str
    display_order: int


class SyncOut(WireModel):
    """A sync of the vault. ``serviceId`` and ``isAutoSyncEnabled`` are ours."""

    id: UUID
    provider: str
    project_id: str | None
    project_name: str | None
    service_id: str | None
    connection_id: UUID
    keyway_environment: str | None
    provider_environment: str | None
    last_synced_at: Moment | None
    is_auto_sync_enabled: bool


class VaultOut(WireModel):
    id: UUID
    repo_full_name: str
    repo_owner: str
    repo_name: str
    repo_avatar: str | None
    secret_count: int
    environments: list[str]
    environment_details: list[EnvironmentOut]
    permission: str
    is_private: bool
    is_read_only: bool
    readonly_reason: str | None
    syncs: list[SyncOut]
    created_at: Moment
    updated_at: Moment


class CreatedVault(WireModel):
    vault_id: UUID
    repo_full_name: str
    message: str


class Environments(WireModel):
    environments: list[EnvironmentOut]


class CreatedEnvironment(Environments):
    environment: EnvironmentOut


class SecretOut(WireModel):
    id: UUID
    key: str
    environment: str
    created_at: Moment
    updated_at: Moment
    last_modified_by: str | None


class SavedSecret(WireModel):
    id: UUID
    status: str


class DeletedSecret(WireModel):
    id: UUID
    key: str
    environment: str
    deleted_at: Moment
    message: str


class SecretValue(WireModel):
    value: str
    preview: str


# --- vaults --------------------------------------------------------------------------------------------


@router.get("", summary="List the vaults")
def list_vaults(
    page: Annotated[Page, Query()], runtime: RuntimeOf, github: GitHubOf, visitor: VisitorOf, meta: MetaOf
) -> PageEnvelope[VaultOut]:
    """List the vaults that exist for the caller, oldest first."""
    visitor.require(Permission.READ)
    members, page_meta = cut(vaults.list_vaults(runtime, github, visitor), page, meta)
    shown_here = [_vault_out(vaults.view_vault(runtime, member)) for member in members]
    return PageEnvelope(data=shown_here, meta=page_meta)


@router.post("", summary="Create a vault", status_code=201)
def create_vault(
    body: NewVault, runtime: RuntimeOf, github: GitHubOf, visitor: VisitorOf, meta: MetaOf
) -> Envelope[CreatedVault]:
    """Create the vault of a repository, with the environments development, staging and production."""
    created = vaults.create_vault(runtime, github, visitor, body.repo_full_name).project
    told = CreatedVault(
        vault_id=created.id, repo_full_name=created.slug, message="Vault initialized successfully"
    )
    return Envelope(data=told, meta=meta)


@router.get("/{owner}/{repo}", summary="Get a vault")
def get_vault(runtime: RuntimeOf, member: MemberOf, meta: MetaOf) -> Envelope[VaultOut]:
    """Return a vault with its environments and syncs."""
    member.require(Permission.READ)
    return Envelope(data=_vault_out(vaults.view_vault(runtime, member)), meta=meta)


# --- environments --------------------------------------------------------------------------------------


@router.get("/{owner}/{repo}/environments", summary="List the environments of a vault")
def list_environments(member: MemberOf, meta: MetaOf) -> Envelope[Environments]:
    """List the environments in their order."""
    member.require(Permission.READ)
    return Envelope(data=Environments(environments=_environments(member.environments)), meta=meta)


@router.post("/{owner}/{repo}/environments", summary="Add an environment", status_code=201)
def create_environment(
    body: NewEnvironment, runtime: RuntimeOf, member: MemberOf, meta: MetaOf
) -> Envelope[CreatedEnvironment]:
    """Add an environment. Needs an administrator of the vault."""
    member.require_admin()
    environments.create_environment(runtime, member.project.id, slug=body.name, name=body.name)
    known = _environments(projects.get_project(runtime, member.project.id).environments)
    created = next(each for each in known if each.name == body.name)
    return Envelope(data=CreatedEnvironment(environment=created, environments=known), meta=meta)


# --- secrets -------------------------------------------------------------------------------------------


@router.get("/{owner}/{repo}/secrets", summary="List the secrets of a vault")
def list_secrets(
    page: Annotated[Page, Query()], runtime: RuntimeOf, member: MemberOf, meta: MetaOf
) -> PageEnvelope[SecretOut]:
    """List the secrets of every environment, newest first, without their values."""
    member.require(Permission.READ)
    part, page_meta = cut(secrets.list_secrets(runtime, member), page, meta)
    listed = [
        SecretOut(
            id=row.id,
            key=row.key,
            environment=environment,
            created_at=row.created_at,
            updated_at=row.updated_at,
            last_modified_by=author,
        )
        for row, environment, author in part
    ]
    return PageEnvelope(data=listed, meta=page_meta)


@router.post(
    "/{owner}/{repo}/secrets",
    summary="Create or change a secret",
    responses={201: {"model": Envelope[SavedSecret], "description": "It was created."}},
)
def save_secret(
    body: NewSecret, response: Response, runtime: RuntimeOf, member: MemberOf, meta: MetaOf
) -> Envelope[SavedSecret]:
    """Create a secret (201), or give an existing one this value (200)."""
    member.environment(body.environment)
    member.require(Permission.WRITE, body.environment)
    saved = _save(runtime, member, body)
    response.status_code = 201 if saved.status == "created" else 200
    return Envelope(data=saved, meta=meta)


@router.patch("/{owner}/{repo}/secrets/{secret_id}", summary="Change or rename a secret")
def change_secret(
    secret_id: UUID, body: ChangedSecret, runtime: RuntimeOf, member: MemberOf, meta: MetaOf
) -> Envelope[SavedSecret]:
    """Change a secret's value or name."""
    found = secrets.find_secret(runtime, member, secret_id)
    member.require(Permission.WRITE, found.environment)
    draft = Draft(found.key, body.value, new_key=body.name)
    _update(runtime, member, found.environment, draft)
    return Envelope(data=SavedSecret(id=found.id, status="updated"), meta=meta)


@router.delete("/{owner}/{repo}/secrets/{secret_id}", summary="Delete a secret")
def delete_secret(
    secret_id: UUID, runtime: RuntimeOf, member: MemberOf, meta: MetaOf
) -> Envelope[DeletedSecret]:
    """Delete a secret. Every sync that shows it follows."""
    found = secrets.find_secret(runtime, member, secret_id)
    member.require(Permission.DELETE, found.environment)
    edit_secrets.delete_secrets(
        runtime, member.project.id, found.environment, found.path, [found.key], actor=member.visitor.name
    )
    told = DeletedSecret(
        id=found.id,
        key=found.key,
        environment=found.environment,
        deleted_at=runtime.clock(),
        message="Secret deleted",
    )
    return Envelope(data=told, meta=meta)


@router.get(
    "/{owner}/{repo}/secrets/{secret_id}/value",
    summary="Get the value of a secret",
    dependencies=[Depends(count_value)],
)
def get_value(secret_id: UUID, runtime: RuntimeOf, member: MemberOf, meta: MetaOf) -> Envelope[SecretValue]:
    """Return a secret's value. Ten times a minute at most."""
    found = secrets.find_secret(runtime, member, secret_id)
    member.require(Permission.READ, found.environment)
    view = secrets.find_secret(runtime, member, secret_id, values=True)
    value = view.value.get_secret_value() if view.value else ""
    return Envelope(data=SecretValue(value=value, preview="•" * 8), meta=meta)


# --- carried out ---------------------------------------------------------------------------------------


def _save(runtime: Runtime, member: Member, body: NewSecret) -> SavedSecret:
    draft = Draft(body.key, body.value)
    try:
        [view] = edit_secrets.create_secrets(
            runtime,
            member.project.id,
            body.environment,
            ROOT,
            [draft],
            actor=member.visitor.name,
        )
    except Conflict:
        view = _update(runtime, member, body.environment, draft)
        return SavedSecret(id=view.id, status="updated")
    return SavedSecret(id=view.id, status="created")


def _update(runtime: Runtime, member: Member, environment: str, draft: Draft) -> SecretView:
    [view] = edit_secrets.update_secrets(
        runtime,
        member.project.id,
        environment,
        ROOT,
        [draft],
        actor=member.visitor.name,
    )
    return view


def _vault_out(view: VaultView) -> VaultOut:
    row = view.project
    owner, _, name = row.slug.partition("/")
    return VaultOut(
        id=row.id,
        repo_full_name=row.slug,
        repo_owner=owner,
        repo_name=name,
        repo_avatar=None,
        secret_count=view.secret_count,
        environments=[each.slug for each in view.environments],
        environment_details=_environments(view.environments),
        permission=view.role.title,
        is_private=True,
        is_read_only=False,
        readonly_reason=None,
        syncs=_syncs(view),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _environments(rows: Sequence[Environment]) -> list[EnvironmentOut]:
    return [
        EnvironmentOut(name=row.slug, type=Protection.of(row.slug).title, display_order=row.position)
        for row in rows
    ]


def _syncs(view: VaultView) -> list[SyncOut]:
    found = []
    for sync in view.syncs:
        if sync.destination not in NAMES:
            continue
        place = shown(sync)
        synced: list[datetime] = [each for each in (sync.last_synced_at, sync.last_imported_at) if each]
        found.append(
            SyncOut(
                id=sync.id,
                provider=sync.destination,
                project_id=place.project_id,
                project_name=place.project_name,
                service_id=place.service_id,
                connection_id=sync.connection_id,
                keyway_environment=view.slugs.get(sync.environment_id) if sync.environment_id else None,
                provider_environment=place.environment,
                last_synced_at=max(synced, default=None),
                is_auto_sync_enabled=sync.is_auto_sync_enabled,
            )
        )
    return found
