"""Secret syncs: what is kept equal where, and what became of it."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Body, Depends, Query

from api.dependencies import CallerOf, RuntimeOf, require_own
from api.infisical.errors import OtherPlan
from api.infisical.sync_schemas import (
    ChangedSync,
    CheckDestination,
    DeleteQuery,
    DuplicateOut,
    JobQuery,
    Jobs,
    NameFilter,
    NewSync,
    OneJob,
    OneSync,
    OptionOut,
    Options,
    PreviewOut,
    SyncFilter,
    SyncRequest,
    Syncs,
    job_out,
    preview_out,
    sync_out,
)
from api.infisical.wire import ProviderName, checked, new_router
from shared.db.jobs import Kind
from shared.providers import PROVIDERS
from shared.runtime import Runtime
from shared.usecases import syncs
from shared.usecases.connections import provider_named
from shared.usecases.dispatch import has_open_changes
from shared.usecases.preview import preview_sync
from shared.usecases.syncs import SyncView
from shared.usecases.tokens import Caller, Scope

router = new_router(tag="Secret syncs")


def known_destination(destination: ProviderName) -> str:
    """Return *destination* if there is such a provider. Raises ``NotFound`` naming those that exist."""
    return provider_named(destination).name


Destination = Annotated[str, Depends(known_destination)]

# --- lists ---------------------------------------------------------------------------------------------


@router.get("/v1/secret-syncs/options", summary="List what one can sync to")
def list_sync_options(caller: CallerOf) -> Options:
    """List the destinations and what each of them can do."""
    return Options(
        secret_sync_options=[
            OptionOut(
                name=kind.title,
                connection=slug,
                destination=slug,
                can_import_secrets=kind.can_import,
                can_redeploy=kind.can_redeploy,
            )
            for slug, kind in sorted(PROVIDERS.items(), key=lambda entry: entry[1].title)
        ]
    )


@router.get("/v1/secret-syncs", summary="List a project's syncs")
def list_syncs(query: Annotated[SyncFilter, Query()], runtime: RuntimeOf, caller: CallerOf) -> Syncs:
    """List a project's syncs by name."""
    return _listed(runtime, caller, query)


@router.get("/v1/secret-syncs/{destination}", summary="List a project's syncs to one provider")
def list_destination_syncs(
    destination: Destination, query: Annotated[SyncFilter, Query()], runtime: RuntimeOf, caller: CallerOf
) -> Syncs:
    """List a project's syncs to one provider, by name."""
    return _listed(runtime, caller, query, destination)


# --- one sync ------------------------------------------------------------------------------------------


@router.get("/v1/secret-syncs/{destination}/sync-name/{sync_name}", summary="Get a sync by its name")
def get_sync_by_name(
    destination: Destination,
    sync_name: str,
    query: Annotated[NameFilter, Query()],
    runtime: RuntimeOf,
    caller: CallerOf,
) -> OneSync:
    """Return a project's sync by its name."""
    caller.require(Scope.READ, query.project_id)
    return _one(syncs.find_sync(runtime, destination, query.project_id, sync_name))


@router.get("/v1/secret-syncs/{destination}/{sync_id}", summary="Get a sync")
def get_sync(destination: Destination, sync_id: UUID, runtime: RuntimeOf, caller: CallerOf) -> OneSync:
    """Return a sync and its state."""
    return _one(_own(runtime, caller, Scope.READ, destination, sync_id))


@router.post("/v1/secret-syncs/{destination}", summary="Create a sync")
def create_sync(destination: Destination, body: NewSync, runtime: RuntimeOf, caller: CallerOf) -> OneSync:
    """Create a sync. If it follows changes by itself, its first run is queued and it is `pending`."""
    caller.require(Scope.SYNC, body.project_id)
    _check_config(destination, body.destination_config)
    return _one(syncs.create_sync(runtime, body.draft(destination)))


@router.patch("/v1/secret-syncs/{destination}/{sync_id}", summary="Change a sync")
def update_sync(
    destination: Destination, sync_id: UUID, body: ChangedSync, runtime: RuntimeOf, caller: CallerOf
) -> OneSync:
    """Change a sync. Only what changes the outcome queues a new run; a rename does not."""
    _own(runtime, caller, Scope.SYNC, destination, sync_id)
    if body.destination_config is not None:
        _check_config(destination, body.destination_config)
    return _one(syncs.update_sync(runtime, destination, sync_id, body.changes()))


@router.delete("/v1/secret-syncs/{destination}/{sync_id}", summary="Delete a sync")
def delete_sync(
    destination: Destination,
    sync_id: UUID,
    query: Annotated[DeleteQuery, Query()],
    runtime: RuntimeOf,
    caller: CallerOf,
) -> OneSync:
    """Delete a sync. With `removeSecrets=true` it goes once the keys it wrote are removed."""
    _own(runtime, caller, Scope.SYNC, destination, sync_id)
    return _one(syncs.delete_sync(runtime, destination, sync_id, remove_secrets=query.remove_secrets))


# --- what a person can ask for -------------------------------------------------------------------------


@router.post("/v1/secret-syncs/{destination}/{sync_id}/sync-secrets", summary="Sync now")
def sync_secrets(
    destination: Destination,
    sync_id: UUID,
    runtime: RuntimeOf,
    caller: CallerOf,
    body: Annotated[SyncRequest | None, Body()] = None,
) -> OneSync:
    """Queue a run ahead of everything else. `approvePlan` lets a plan through that deletes much.

    If source or destination moved since that plan was shown, nothing is queued: status 409 shows the new one.
    """
    options = {}
    if body and body.approve_plan:
        _own(runtime, caller, Scope.SYNC, destination, sync_id)
        found = preview_sync(runtime, destination, sync_id)
        if found.plan.hash != body.approve_plan:
            raise OtherPlan(preview_out(found), found.plan.hash)
        options = {"approvePlan": body.approve_plan}
    return _triggered(runtime, caller, destination, sync_id, Kind.SYNC, options)


@router.post("/v1/secret-syncs/{destination}/{sync_id}/import-secrets", summary="Import from the destination")
def import_secrets(
    destination: Destination,
    sync_id: UUID,
    behavior: Annotated[
        Literal["prioritize-source", "prioritize-destination"], Query(alias="importBehavior")
    ],
    runtime: RuntimeOf,
    caller: CallerOf,
) -> OneSync:
    """Take over into the folder what the destination holds."""
    options = {"importBehavior": f"import-{behavior}"}
    return _triggered(runtime, caller, destination, sync_id, Kind.IMPORT, options)


@router.post("/v1/secret-syncs/{destination}/{sync_id}/remove-secrets", summary="Remove from the destination")
def remove_secrets(destination: Destination, sync_id: UUID, runtime: RuntimeOf, caller: CallerOf) -> OneSync:
    """Remove from the destination what this sync wrote there, and nothing else."""
    return _triggered(runtime, caller, destination, sync_id, Kind.REMOVE, {})


@router.post("/v1/secret-syncs/{destination}/check-destination", summary="Is a destination in use?")
def check_destination(
    destination: Destination, body: CheckDestination, runtime: RuntimeOf, caller: CallerOf
) -> DuplicateOut:
    """Tell whether another sync already writes to that destination."""
    caller.require(Scope.READ, body.project_id)
    _check_config(destination, body.destination_config)
    found = syncs.find_duplicate(runtime, destination, body.destination_config, exclude=body.exclude_sync_id)
    if found is None:
        return DuplicateOut(has_duplicate=False)
    visible = caller.knows(found.project_id)
    return DuplicateOut(has_duplicate=True, duplicate_project_id=found.project_id if visible else None)


# --- what became of it ---------------------------------------------------------------------------------


@router.get("/v1/secret-syncs/{destination}/{sync_id}/jobs", summary="List a sync's jobs")
def list_sync_jobs(
    destination: Destination,
    sync_id: UUID,
    query: Annotated[JobQuery, Query()],
    runtime: RuntimeOf,
    caller: CallerOf,
) -> Jobs:
    """List the jobs of a sync, newest first."""
    view = _own(runtime, caller, Scope.READ, destination, sync_id)
    # Looked at before the jobs: where nothing is open, theirs are among them.
    is_open = has_open_changes(runtime, view.sync.project_id)
    found = syncs.list_jobs(
        runtime, destination, sync_id, query.filter(), limit=query.limit, offset=query.offset
    )
    return Jobs(jobs=[job_out(job) for job in found], has_open_changes=is_open)


@router.get("/v1/secret-syncs/{destination}/{sync_id}/jobs/{job_id}", summary="Get a job")
def get_sync_job(
    destination: Destination, sync_id: UUID, job_id: UUID, runtime: RuntimeOf, caller: CallerOf
) -> OneJob:
    """Return a job: what it did, which keys were refused and why."""
    _own(runtime, caller, Scope.READ, destination, sync_id)
    return OneJob(job=job_out(syncs.get_job(runtime, destination, sync_id, job_id)))


@router.get("/v1/secret-syncs/{destination}/{sync_id}/preview", summary="See what a run would do")
def get_sync_preview(
    destination: Destination, sync_id: UUID, runtime: RuntimeOf, caller: CallerOf
) -> PreviewOut:
    """Read both sides and show what a run would do now. Nothing is written."""
    _own(runtime, caller, Scope.READ, destination, sync_id)
    return preview_out(preview_sync(runtime, destination, sync_id))


# --- help ----------------------------------------------------------------------------------------------


def _own(runtime: Runtime, caller: Caller, scope: Scope, destination: str, sync_id: UUID) -> SyncView:
    view = syncs.get_sync(runtime, destination, sync_id)
    require_own(caller, scope, view.sync.project_id, what=f"{destination} sync with the id {sync_id}")
    return view


def _listed(runtime: Runtime, caller: Caller, query: SyncFilter, destination: str | None = None) -> Syncs:
    caller.require(Scope.READ, query.project_id)
    views = syncs.list_syncs(
        runtime, query.project_id, destination=destination, limit=query.limit, offset=query.offset
    )
    return Syncs(secret_syncs=[sync_out(view) for view in views])


def _triggered(
    runtime: Runtime,
    caller: Caller,
    destination: str,
    sync_id: UUID,
    kind: Kind,
    options: Mapping[str, Any],
) -> OneSync:
    _own(runtime, caller, Scope.SYNC, destination, sync_id)
    return _one(syncs.trigger(runtime, destination, sync_id, kind, options=options))


def _check_config(destination: str, config: Mapping[str, Any]) -> None:
    checked(provider_named(destination).config_type, config, at="destinationConfig")


def _one(view: SyncView) -> OneSync:
    return OneSync(secret_sync=sync_out(view))
