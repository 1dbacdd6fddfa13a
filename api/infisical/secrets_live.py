"""Ours: which version of a secret is live where."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Query
from pydantic import Field

from api.dependencies import CallerOf, RuntimeOf
from api.infisical.wire import EnvironmentSlug, FolderPath, WireModel, new_router
from shared.usecases import secrets_live
from shared.usecases.secrets_live import Live
from shared.usecases.tokens import Scope

router = new_router(tag="Secret syncs")


class LiveQuery(WireModel):
    """The secrets of a folder, or one of them."""

    project_id: UUID
    environment: EnvironmentSlug
    secret_path: FolderPath = "/"  # noqa: S105
    key: str | None = Field(None, max_length=255)


class LiveOut(WireModel):
    """A key that a destination was last known to hold."""

    secret_key: str
    destination_key: str
    version: int
    is_current: bool | None = Field(description="Is that the present version? Null once it was deleted.")
    confirmed_at: datetime
    sync_id: UUID
    sync_name: str
    destination: str


class LiveSecrets(WireModel):
    secrets: list[LiveOut]


@router.get("/v1/secrets-live", summary="Which version is live where?")
def list_live_secrets(
    query: Annotated[LiveQuery, Query()], runtime: RuntimeOf, caller: CallerOf
) -> LiveSecrets:
    """List where the secrets of a folder are live, through whichever folder or import they got there."""
    caller.require(Scope.READ, query.project_id)
    found = secrets_live.secrets_live(
        runtime, query.project_id, query.environment, query.secret_path, key=query.key
    )
    return LiveSecrets(secrets=[_out(live) for live in found])


def _out(live: Live) -> LiveOut:
    return LiveOut(
        secret_key=live.source_key,
        destination_key=live.key,
        version=live.version,
        is_current=live.is_current,
        confirmed_at=live.confirmed_at,
        sync_id=live.sync.id,
        sync_name=live.sync.name,
        destination=live.sync.destination,
    )
