"""The wire forms of secret syncs.

The name of auto-sync changed over time: ``isAutoSyncEnabled`` now, ``isEnabled`` before, and
``syncOptions.autoSyncEnabled`` in the published samples. All three are taken and given.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import AfterValidator, Field, StrictBool, StringConstraints, model_validator

from api.infisical.wire import (
    Dated,
    Description,
    EnvironmentSlug,
    ExactBool,
    FolderPath,
    Limit,
    Offset,
    Slug,
    WireModel,
)
from shared.backoff import parse_cron
from shared.db.jobs import Job, JobFilter, JobStatus, Kind, Trigger
from shared.db.syncs import Sync
from shared.errors import InvalidInput
from shared.key_schema import KeySchema
from shared.plan import Plan
from shared.sync_options import KEY_SCHEMA, RECONCILE_CRON, SyncOptions
from shared.usecases.preview import Preview
from shared.usecases.syncs import SyncChanges, SyncDraft, SyncView

SyncName = Annotated[Slug, StringConstraints(max_length=256)]


def _accepted_by(parse: Callable[[str], object]) -> Callable[[str], str]:
    def check(text: str) -> str:
        try:
            parse(text)
        except InvalidInput as error:
            raise ValueError(error.message) from None
        return text

    return check


KeySchemaText = Annotated[str, Field(max_length=255), AfterValidator(_accepted_by(KeySchema.parse))]
Cron = Annotated[str, AfterValidator(_accepted_by(parse_cron))]


# --- what is sent --------------------------------------------------------------------------------------


class SyncOptionsIn(SyncOptions):
    """The options of a sync, with the names that belong to the wire only."""

    key_schema: KeySchemaText | None = Field(None, examples=["SHOP_{{secretKey}}"], description=KEY_SCHEMA)
    reconcile_cron: Cron | None = Field(None, description=RECONCILE_CRON)
    auto_sync_enabled: StrictBool | None = Field(None, description="The same as `isAutoSyncEnabled`.")
    auto_redeploy: StrictBool | None = Field(
        None, description="True is the same as `redeploy: after-change`."
    )

    def options(self) -> SyncOptions:
        """Return the options without the wire's own names."""
        own = {"auto_sync_enabled", "auto_redeploy"}
        options = SyncOptions.model_validate(self.model_dump(exclude=own, exclude_unset=True))
        if self.auto_redeploy is None:
            return options
        return options.model_copy(update={"redeploy": "after-change" if self.auto_redeploy else "never"})


class _AutoSync(WireModel):
    """A request that may say three times whether a sync follows changes by itself."""

    is_auto_sync_enabled: StrictBool | None = None
    is_enabled: StrictBool | None = Field(None, description="The old name of `isAutoSyncEnabled`.")
    sync_options: SyncOptionsIn | None = None

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if len(self._said()) > 1:
            raise ValueError(
                "isAutoSyncEnabled, isEnabled and syncOptions.autoSyncEnabled contradict each other."
            )
        return self

    @property
    def auto_sync(self) -> bool | None:
        """What was said, or None."""
        return next(iter(self._said()), None)

    def _said(self) -> set[bool]:
        nested = self.sync_options.auto_sync_enabled if self.sync_options else None
        return {said for said in (self.is_auto_sync_enabled, self.is_enabled, nested) if said is not None}


_PLAN_HASH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_RAILWAY = {"projectId": "prj-1", "environmentId": "env-production", "serviceId": "svc-web"}


class NewSync(_AutoSync):
    name: SyncName = Field(examples=["shop-to-railway"])
    description: Description | None = None
    project_id: UUID
    connection_id: UUID
    environment: EnvironmentSlug
    secret_path: FolderPath
    sync_options: SyncOptionsIn
    destination_config: dict[str, Any] = Field(examples=[_RAILWAY])

    def draft(self, destination: str) -> SyncDraft:
        return SyncDraft(
            destination=destination,
            name=self.name,
            description=self.description,
            project_id=self.project_id,
            connection_id=self.connection_id,
            environment=self.environment,
            secret_path=self.secret_path,
            destination_config=self.destination_config,
            sync_options=self.sync_options.options(),
            is_auto_sync_enabled=self.auto_sync is not False,
        )


class ChangedSync(_AutoSync):
    """What is not sent stays. ``syncOptions`` and ``destinationConfig`` replace what was there as a whole."""

    name: SyncName | None = None
    description: Description | None = None
    connection_id: UUID | None = None
    environment: EnvironmentSlug | None = None
    secret_path: FolderPath | None = None
    destination_config: dict[str, Any] | None = None
    is_paused: StrictBool | None = Field(
        None, description="A paused sync writes nothing, not even on request."
    )

    remove_secrets: StrictBool = Field(
        False, description="With another destination: remove from the old one what this sync wrote there."
    )

    def changes(self) -> SyncChanges:
        return SyncChanges(
            name=self.name,
            description=self.text_of("description"),
            connection_id=self.connection_id,
            environment=self.environment,
            secret_path=self.secret_path,
            destination_config=self.destination_config,
            sync_options=self.sync_options.options() if self.sync_options else None,
            is_auto_sync_enabled=self.auto_sync,
            is_paused=self.is_paused,
            remove_secrets=self.remove_secrets,
        )


class SyncFilter(WireModel):
    project_id: UUID
    limit: Limit | None = None
    offset: Offset = 0


class NameFilter(WireModel):
    project_id: UUID


class DeleteQuery(WireModel):
    remove_secrets: ExactBool = Field(False, description="Also remove what this sync wrote, then delete it.")


class SyncRequest(WireModel):
    approve_plan: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = Field(
        None,
        description="The hash of a plan, as the preview shows it: apply it although it deletes much.",
    )


class CheckDestination(WireModel):
    destination_config: dict[str, Any] = Field(examples=[_RAILWAY])
    project_id: UUID
    connection_id: UUID | None = None
    exclude_sync_id: UUID | None = None


class JobQuery(WireModel):
    kind: Kind | None = None
    status: JobStatus | None = None
    trigger: Trigger | None = None
    limit: Limit = 50
    offset: Offset = 0

    def filter(self) -> JobFilter:
        return JobFilter(kind=self.kind, status=self.status, trigger=self.trigger)


# --- what is answered ----------------------------------------------------------------------------------


class OptionOut(WireModel):
    name: str
    connection: str
    destination: str
    can_import_secrets: bool
    can_remove_secrets_on_deletion: bool = True
    supports_key_schema: bool = True
    supports_disable_secret_deletion: bool = True
    can_redeploy: bool


class Options(WireModel):
    secret_sync_options: list[OptionOut]


class ConnectionRef(WireModel):
    app: str
    name: str
    id: UUID


class EnvironmentRef(WireModel):
    id: UUID
    name: str = Field(examples=["Production"])
    slug: str = Field(examples=["production"])


class FolderRef(WireModel):
    id: UUID
    path: str


class SyncOut(Dated):
    id: UUID
    name: str = Field(examples=["shop-to-railway"])
    description: str | None
    destination: str
    is_auto_sync_enabled: bool
    is_enabled: bool
    is_paused: bool = Field(examples=[False])
    version: int
    project_id: UUID
    folder_id: UUID | None
    connection_id: UUID
    destination_config: dict[str, Any] = Field(examples=[_RAILWAY])
    sync_options: dict[str, Any] = Field(examples=[{"initialSyncBehavior": "overwrite-destination"}])
    sync_status: str | None
    last_sync_job_id: UUID | None
    last_sync_message: str | None
    last_synced_at: datetime | None
    import_status: str | None
    last_import_job_id: UUID | None
    last_import_message: str | None
    last_imported_at: datetime | None
    remove_status: str | None
    last_remove_job_id: UUID | None
    last_remove_message: str | None
    last_removed_at: datetime | None
    next_reconcile_at: datetime | None
    connection: ConnectionRef
    environment: EnvironmentRef | None
    folder: FolderRef | None


class OneSync(WireModel):
    secret_sync: SyncOut


class Syncs(WireModel):
    secret_syncs: list[SyncOut]


class DuplicateOut(WireModel):
    has_duplicate: bool
    duplicate_project_id: UUID | None = None


class Counts(WireModel):
    created: int
    updated: int = Field(examples=[0])
    deleted: int = Field(examples=[0])
    unchanged: int = Field(examples=[41])


class JobDetails(WireModel):
    """What a job touched, by the names of keys. It never shows a value."""

    imported: list[str] = Field([], description="Taken over into the vault.")
    overwritten: list[str] = Field([], description="Of those, the ones the vault had another value of.")
    created: list[str] = Field([], examples=[["DATABASE_URL"]])
    updated: list[str] = Field([])
    deleted: list[str] = Field([])
    refused: dict[str, str] = Field({}, description="Wanted and not live, with the reason.")
    kept: dict[str, str] = Field({}, description="Unwanted and left at the destination, with the reason.")
    warnings: list[str] = Field([])
    drift: list[str] = Field([], description="What somebody had changed at the destination.")
    plan_hash: str | None = None


class JobOut(WireModel):
    id: UUID
    sync_id: UUID | None
    kind: Kind
    trigger: Trigger
    status: JobStatus
    message: str | None
    attempt: int = Field(description="How many attempts failed.", examples=[0])
    counts: Counts
    details: JobDetails
    created_at: datetime
    changed_at: datetime | None = Field(description="When the oldest edit was made that this job carries.")
    run_after: datetime = Field(description="When the next attempt is due.")
    started_at: datetime | None
    finished_at: datetime | None
    latency_ms: int | None = Field(
        description="From the commit of that edit to its being confirmed at the destination."
    )


class Jobs(WireModel):
    jobs: list[JobOut]
    has_open_changes: bool = Field(
        description="Has the project edits that are not passed on to its syncs yet?",
        examples=[False],
    )


class OneJob(WireModel):
    job: JobOut


class SkipOut(WireModel):
    key: str
    reason: str


class PlanOut(WireModel):
    """What a run would do, by key names. It never shows a value."""

    hash: str = Field(description="What an approval names.", examples=[_PLAN_HASH])
    creates: list[str] = Field(examples=[["DATABASE_URL"]])
    updates: list[str] = Field(examples=[["API_KEY"]])
    deletes: list[str] = Field(examples=[[]])
    unchanged: int = Field(examples=[41])
    skipped: list[SkipOut] = Field(examples=[[]])
    drift: list[str] = Field(description="What somebody changed at the destination.", examples=[["API_KEY"]])
    in_scope: int = Field(description="Of the keys there, how many it could lose.", examples=[42])


class PreviewOut(WireModel):
    plan: PlanOut
    warnings: list[str] = Field(examples=[[]])
    blocked: str | None = Field(description="Why it would not be applied unless its hash is approved.")


# --- from ours to the wire's ---------------------------------------------------------------------------


#: What is shown as it is stored.
_COLUMNS = tuple(name for name in SyncOut.model_fields if name in Sync.__table__.columns)


def sync_out(view: SyncView) -> SyncOut:
    """Return the wire form of a sync."""
    sync, connection, environment, folder = view.sync, view.connection, view.environment, view.folder
    options = sync.options.model_dump(mode="json", by_alias=True, exclude_none=True)
    return SyncOut(
        **{
            **{name: getattr(sync, name) for name in _COLUMNS},
            "description": sync.description or None,
            "is_enabled": sync.is_auto_sync_enabled,
            "sync_options": {**options, "autoSyncEnabled": sync.is_auto_sync_enabled},
            "connection": ConnectionRef(app=connection.app, name=connection.name, id=connection.id),
            "environment": environment
            and EnvironmentRef(id=environment.id, name=environment.name, slug=environment.slug),
            "folder": folder and FolderRef(id=folder.id, path=folder.path),
        }
    )


def job_out(job: Job) -> JobOut:
    """Return the wire form of a job."""
    return JobOut(
        id=job.id,
        sync_id=job.sync_id,
        kind=Kind(job.kind),
        trigger=Trigger(job.trigger),
        status=JobStatus(job.status),
        message=job.message,
        attempt=job.attempt,
        counts=Counts(
            created=job.created_count,
            updated=job.updated_count,
            deleted=job.deleted_count,
            unchanged=job.unchanged_count,
        ),
        details=JobDetails.model_validate(job.details),
        created_at=job.created_at,
        changed_at=job.changed_at,
        run_after=job.run_after,
        started_at=job.started_at,
        finished_at=job.finished_at,
        latency_ms=job.latency_ms,
    )


def preview_out(preview: Preview) -> PreviewOut:
    """Return the wire form of a preview."""
    return PreviewOut(plan=_plan_out(preview.plan), warnings=list(preview.warnings), blocked=preview.blocked)


def _plan_out(plan: Plan) -> PlanOut:
    return PlanOut(
        hash=plan.hash,
        creates=[change.key for change in plan.creates],
        updates=[change.key for change in plan.updates],
        deletes=[change.key for change in plan.deletes],
        unchanged=len(plan.unchanged),
        skipped=[SkipOut(key=skip.key, reason=skip.reason) for skip in plan.skipped],
        drift=list(plan.drift),
        in_scope=plan.in_scope,
    )
