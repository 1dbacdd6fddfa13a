"""Syncing a vault's environment with a project at a provider."""

from typing import Annotated
from uuid import UUID

import anyio
from fastapi import Query, Response
from pydantic import Field, StrictBool
from starlette.concurrency import run_in_threadpool

from api.dependencies import RuntimeOf
from api.keyway.dependencies import MemberOf
from api.keyway.wire import Envelope, EnvironmentName, MetaOf, Moment, WireModel, new_router
from shared.runtime import Runtime
from shared.usecases.keyway import preview, syncs
from shared.usecases.keyway.access import Member
from shared.usecases.keyway.locate import Ask, Direction, Order, locate
from shared.usecases.keyway.syncs import Result, Ticket
from shared.usecases.keyway.targets import shown

router = new_router(tag="sync", prefix="/integrations/vaults/{owner}/{repo}/sync")

#: How often a job that is waited for is looked at, in seconds.
_LOOK_EVERY = 0.2

ProviderId = Annotated[str, Field(min_length=1, max_length=255)]

# --- what is sent --------------------------------------------------------------------------------------


class Places(WireModel):
    """What is brought together. Without ``providerEnvironment`` the counterpart of the vault's is meant."""

    connection_id: UUID
    project_id: ProviderId = Field(examples=["prj_xxx"])
    service_id: ProviderId | None = Field(None, description="Railway: the service; none: shared variables.")
    keyway_environment: EnvironmentName = "production"
    provider_environment: EnvironmentName | None = None

    def ask(self) -> Ask:
        return Ask(
            self.connection_id,
            self.project_id,
            self.keyway_environment,
            self.provider_environment,
            self.service_id,
        )


class StatusQuery(WireModel):
    connection_id: UUID
    project_id: ProviderId
    service_id: ProviderId | None = None
    environment: EnvironmentName = "production"
    provider_environment: EnvironmentName | None = None

    def ask(self) -> Ask:
        return Ask(
            self.connection_id, self.project_id, self.environment, self.provider_environment, self.service_id
        )


class PreviewQuery(Places):
    direction: Direction = Direction.PUSH
    allow_delete: bool = False
    overwrite: bool = Field(False, description="Ours: a pull also changes keys that the vault has.")

    def order(self) -> Order:
        return Order(self.direction, self.allow_delete, self.overwrite)


class SyncBody(Places):
    direction: Direction = Direction.PUSH
    allow_delete: StrictBool = False
    overwrite: StrictBool = Field(False, description="Ours: a pull also changes keys that the vault has.")
    plan_hash: str | None = Field(
        None, max_length=128, description="Ours: carry out exactly the plan that a preview showed."
    )
    approve_plan: str | None = Field(None, max_length=128, description="Ours: another name of `planHash`.")

    def order(self) -> Order:
        return Order(self.direction, self.allow_delete, self.overwrite, self.plan_hash or self.approve_plan)


# --- what is answered ----------------------------------------------------------------------------------


class LinkOut(WireModel):
    id: UUID
    vault_id: UUID
    connection_id: UUID
    provider: str
    project_id: str | None
    project_name: str | None
    service_id: str | None
    keyway_environment: str
    provider_environment: str
    last_synced_at: Moment | None
    is_new: bool


class Linked(WireModel):
    link: LinkOut


class StatusOut(WireModel):
    is_first_sync: bool
    vault_is_empty: bool
    provider_has_secrets: bool
    provider_secret_count: int


class DiffOut(WireModel):
    keyway_count: int
    provider_count: int
    only_in_keyway: list[str]
    only_in_provider: list[str]
    different: list[str]
    same: list[str]


class PreviewOut(WireModel):
    """What a sync would do. Beyond the four lists everything is ours.

    ``skipped`` and ``kept`` say why a key of the vault, or of the provider, is left as it is. ``blocked`` is
    why this would be held back unless the sync is asked for with ``planHash``.
    """

    to_create: list[str]
    to_update: list[str]
    to_delete: list[str]
    to_skip: list[str]
    skipped: dict[str, str]
    kept: dict[str, str]
    warnings: list[str]
    blocked: str | None
    plan_hash: str | None


class Stats(WireModel):
    created: int
    updated: int
    deleted: int
    skipped: int
    total: int


class SyncOut(WireModel):
    """What a sync did, in the words of the documentation and in those that its clients read.

    ``status`` is success, partial, failed, or pending while the job is still to be finished.
    """

    status: str
    success: bool
    created: int
    updated: int
    deleted: int
    skipped: int
    stats: Stats
    error: str | None
    failed_keys: dict[str, str]
    warnings: list[str]
    plan_hash: str | None
    job_id: UUID
    sync_id: UUID


# --- looking -------------------------------------------------------------------------------------------


@router.get("/status", summary="How do a vault and a project stand to each other?")
def get_status(
    query: Annotated[StatusQuery, Query()], runtime: RuntimeOf, member: MemberOf, meta: MetaOf
) -> Envelope[StatusOut]:
    """Tell whether they were synced before, and what each side holds."""
    found = preview.standing(runtime, member, query.ask())
    told = StatusOut(
        is_first_sync=found.is_first_sync,
        vault_is_empty=found.vault_is_empty,
        provider_has_secrets=found.provider_secret_count > 0,
        provider_secret_count=found.provider_secret_count,
    )
    return Envelope(data=told, meta=meta)


@router.get("/diff", summary="How do both sides differ?")
def get_diff(
    query: Annotated[Places, Query()], runtime: RuntimeOf, member: MemberOf, meta: MetaOf
) -> Envelope[DiffOut]:
    """Compare both sides, by key names."""
    found = preview.compare(runtime, locate(runtime, member, query.ask()))
    told = DiffOut(
        keyway_count=found.keyway_count,
        provider_count=found.provider_count,
        only_in_keyway=list(found.only_in_keyway),
        only_in_provider=list(found.only_in_provider),
        different=list(found.different),
        same=list(found.same),
    )
    return Envelope(data=told, meta=meta)


@router.get("/preview", summary="What would a sync do?")
def get_preview(
    query: Annotated[PreviewQuery, Query()], runtime: RuntimeOf, member: MemberOf, meta: MetaOf
) -> Envelope[PreviewOut]:
    """Make the plan that the sync would carry out. Writes nothing anywhere."""
    target = locate(runtime, member, query.ask(), query.direction)
    found = preview.preview_order(runtime, target, query.order())
    told = PreviewOut(
        to_create=list(found.to_create),
        to_update=list(found.to_update),
        to_delete=list(found.to_delete),
        to_skip=[*found.unchanged, *found.skipped],
        skipped=dict(found.skipped),
        kept=dict(found.kept),
        warnings=list(found.warnings),
        blocked=found.blocked,
        plan_hash=found.plan_hash,
    )
    return Envelope(data=told, meta=meta)


# --- doing ---------------------------------------------------------------------------------------------


@router.post("/link", summary="Link a vault to a project without syncing")
def link(body: Places, runtime: RuntimeOf, member: MemberOf, meta: MetaOf) -> Envelope[Linked]:
    """Make the sync between the two, and run nothing. One that exists is returned as it is."""
    target = locate(runtime, member, body.ask(), Direction.PUSH)
    sync, is_new = syncs.link(runtime, target)
    place = shown(sync)
    linked = LinkOut(
        id=sync.id,
        vault_id=sync.project_id,
        connection_id=sync.connection_id,
        provider=sync.destination,
        project_id=place.project_id,
        project_name=place.project_name,
        service_id=place.service_id,
        keyway_environment=body.keyway_environment,
        provider_environment=target.provider_environment,
        last_synced_at=sync.last_synced_at,
        is_new=is_new,
    )
    return Envelope(data=Linked(link=linked), meta=meta)


@router.post(
    "",
    summary="Sync a vault with a project",
    response_model_exclude_none=True,
    responses={202: {"model": Envelope[SyncOut], "description": "The job takes longer, and goes on."}},
)
async def sync(
    body: SyncBody, response: Response, runtime: RuntimeOf, member: MemberOf, meta: MetaOf
) -> Envelope[SyncOut]:
    """Queue the sync and wait for it. A failure at the provider is status 200 with ``success: false``.

    What takes longer than 25 seconds is answered with 202: the job goes on, and is named.
    """
    ticket = await run_in_threadpool(_start, runtime, member, body)
    result = await _finished(runtime, ticket)
    response.status_code = 202 if result.status == "pending" else 200
    return Envelope(data=_sync_out(result, runtime), meta=meta)


def _start(runtime: Runtime, member: Member, body: SyncBody) -> Ticket:
    target = locate(runtime, member, body.ask(), body.direction)
    return syncs.start(runtime, target, body.order())


async def _finished(runtime: Runtime, ticket: Ticket) -> Result:
    """Return what became of the job, as soon as it is finished or we have waited long enough."""
    with anyio.move_on_after(runtime.settings.sync_wait_seconds):
        while True:
            result = await run_in_threadpool(syncs.result_of, runtime, ticket)
            if result.status != "pending":
                return result
            await anyio.sleep(_LOOK_EVERY)
    return await run_in_threadpool(syncs.result_of, runtime, ticket)


def _sync_out(result: Result, runtime: Runtime) -> SyncOut:
    total = result.created + result.updated + result.deleted
    error = result.error
    if result.status == "pending":
        waited = f"{runtime.settings.sync_wait_seconds:g}"
        error = f"Not finished after {waited} s; job {result.ticket.job_id} goes on. {error or ''}".rstrip()
    return SyncOut(
        status=result.status,
        success=result.status == "success",
        created=result.created,
        updated=result.updated,
        deleted=result.deleted,
        skipped=result.skipped,
        stats=Stats(
            created=result.created,
            updated=result.updated,
            deleted=result.deleted,
            skipped=result.skipped,
            total=total,
        ),
        error=error,
        failed_keys=dict(result.failed_keys),
        warnings=list(result.warnings),
        plan_hash=result.plan_hash,
        job_id=result.ticket.job_id,
        sync_id=result.ticket.sync_id,
    )
