"""Ours: looking for drift now, instead of when it is due."""

from uuid import UUID

from pydantic import Field

from api.dependencies import CallerOf, RuntimeOf
from api.infisical.wire import WireModel, new_router
from shared.usecases import reconcile
from shared.usecases.tokens import Scope

router = new_router(tag="Secret syncs")


class ReconcileRequest(WireModel):
    """Which syncs: those that match every field that is sent."""

    project_id: UUID | None = None
    destination: str | None = Field(None, max_length=64, examples=["railway"])
    connection_id: UUID | None = None
    sync_id: UUID | None = None


class ReconcileOut(WireModel):
    queued: int = Field(description="How many syncs are looked at now.")


@router.post("/v1/secret-syncs/reconcile", summary="Look for drift now")
def reconcile_now(body: ReconcileRequest, runtime: RuntimeOf, caller: CallerOf) -> ReconcileOut:
    """Queue a reconcile for every active sync that the request selects; with no field, for all of them."""
    caller.require(Scope.SYNC, body.project_id)
    which = reconcile.Which(
        project_id=body.project_id,
        destination=body.destination,
        connection_id=body.connection_id,
        sync_id=body.sync_id,
    )
    return ReconcileOut(queued=reconcile.reconcile_now(runtime, which))
