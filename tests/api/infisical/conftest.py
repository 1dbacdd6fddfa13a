"""A connection to the Railway emulator, and what a sync to it is created with."""

from typing import Any
from uuid import UUID

import pytest

from tests.api.client import ApiClient

Body = dict[str, Any]


@pytest.fixture
def place(project_id: UUID) -> Body:
    """The root folder of production, as requests name it."""
    return {"projectId": str(project_id), "environment": "production", "secretPath": "/"}


@pytest.fixture
def connection_id(api: ApiClient) -> str:
    """A connection to Railway that every project may use."""
    answer = api.post(
        "/api/v1/app-connections/railway",
        {"name": "railway", "method": "account-token", "credentials": {"apiToken": "demo-account-token"}},
    )
    return str(answer.json()["appConnection"]["id"])


@pytest.fixture
def new_sync(place: Body, connection_id: str) -> Body:
    """A sync to the service web in production."""
    return {
        **place,
        "name": "to-railway",
        "connectionId": connection_id,
        "syncOptions": {"initialSyncBehavior": "overwrite-destination"},
        "destinationConfig": {
            "projectId": "prj-1",
            "environmentId": "env-production",
            "serviceId": "svc-web",
        },
    }


@pytest.fixture
def sync(api: ApiClient, new_sync: Body) -> Body:
    """That sync, created."""
    return dict(api.post("/api/v1/secret-syncs/railway", new_sync).json()["secretSync"])
