"""Who did what."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query
from pydantic import AwareDatetime, Field

from api.dependencies import CallerOf, RuntimeOf
from api.infisical.wire import Page, WireModel, new_router
from shared.db.audit import AuditEntry, AuditFilter
from shared.usecases import audit_log
from shared.usecases.tokens import Scope

router = new_router(tag="Audit log")


_ACTION = "The operation id; of a deed that has several, the present one of this wire."


class AuditQuery(Page):
    """Which entries: those that match every part that is sent."""

    project_id: UUID | None = Field(None, description="Without it: of all projects, and of what has none.")
    actor: str | None = Field(None, max_length=255, description="A name or an id.", examples=["ci"])
    action: str | None = Field(None, max_length=64, description=_ACTION, examples=["createSync"])
    since: AwareDatetime | None = None

    def filter(self) -> AuditFilter:
        return AuditFilter(self.project_id, self.actor, self.action, self.since)


class ActorOut(WireModel):
    type: str = Field(examples=["identity"])
    id: str | None
    name: str | None


class AuditLogOut(WireModel):
    id: UUID
    created_at: datetime
    actor: ActorOut
    ip_address: str | None
    action: str = Field(description=_ACTION, examples=["updateSecret"])
    project_id: UUID | None
    status: int = Field(description="How it was answered.", examples=[200])
    objects: dict[str, Any] = Field(description="Names and ids of what it was about, never values.")


class AuditLogs(WireModel):
    audit_logs: list[AuditLogOut]


@router.get("/v1/audit-logs", summary="See who did what")
def list_audit_logs(query: Annotated[AuditQuery, Query()], runtime: RuntimeOf, caller: CallerOf) -> AuditLogs:
    """List the requests that meant to change something, newest first. Needs the scope `admin`."""
    caller.require(Scope.ADMIN, query.project_id)
    found = audit_log.list_deeds(runtime, query.filter(), limit=query.limit, offset=query.offset)
    return AuditLogs(audit_logs=[_out(row) for row in found])


def _out(row: AuditEntry) -> AuditLogOut:
    return AuditLogOut(
        id=row.id,
        created_at=row.created_at,
        actor=ActorOut(type=row.actor_kind, id=row.actor_id, name=row.actor_name),
        ip_address=row.address,
        action=row.action,
        project_id=row.project_id,
        status=row.status,
        objects=row.objects,
    )
