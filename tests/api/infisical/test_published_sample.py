"""The sample of the published Railway page, to the letter: with the comma that JSON does not allow."""

import re
from typing import Any
from uuid import UUID

from shared.broker import Task
from tests.api.client import ApiClient
from tests.support import RecordingBroker

REQUEST = """{
    "name": "my-railway-sync",
    "projectId": "{project}",
    "description": "an example sync",
    "connectionId": "{connection}",
    "environment": "dev",
    "secretPath": "/my-secrets",
    "isEnabled": true,
    "syncOptions": {
        "initialSyncBehavior": "overwrite-destination",
        "autoSyncEnabled": true,
        "disableSecretDeletion": false
    },
    "destinationConfig": {
        "projectId": "dev-project-id",
        "projectName": "Development Project",
        "environmentId": "3c90c3cc-0d44-4b50-8888-8dd25736052a",
        "environmentName": "Development",
        "serviceId": "3c90c3cc-0d44-4b50-8888-8dd25736052a",
        "serviceName": "my-railway-service",
    }
}"""

SHOWN = {
    "name": "my-railway-sync",
    "description": "an example sync",
    "isEnabled": True,
    "version": 1,
    "syncStatus": "pending",
    "lastSyncJobId": None,
    "lastSyncMessage": None,
    "lastSyncedAt": None,
    "importStatus": None,
    "lastImportJobId": None,
    "lastImportMessage": None,
    "lastImportedAt": None,
    "removeStatus": None,
    "lastRemoveJobId": None,
    "lastRemoveMessage": None,
    "lastRemovedAt": None,
    "destination": "railway",
    "destinationConfig": {
        "projectId": "dev-project-id",
        "projectName": "Development Project",
        "environmentId": "3c90c3cc-0d44-4b50-8888-8dd25736052a",
        "environmentName": "Development",
        "serviceId": "3c90c3cc-0d44-4b50-8888-8dd25736052a",
        "serviceName": "my-railway-service",
    },
}


def send_sample(api: ApiClient, project_id: UUID, connection_id: str) -> dict[str, Any]:
    api.post(f"/api/v1/projects/{project_id}/environments", {"name": "Development", "slug": "dev"})
    folder = {"projectId": str(project_id), "environment": "dev", "name": "my-secrets"}
    api.post("/api/v2/folders", folder)
    body = REQUEST.replace("{project}", str(project_id)).replace("{connection}", connection_id)
    answer = api.request(
        "POST",
        "/api/v1/secret-syncs/railway",
        content=body.encode(),
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["secretSync"])


def test_the_published_sample_creates_a_sync(
    api: ApiClient, project_id: UUID, connection_id: str, broker: RecordingBroker
) -> None:
    sync = send_sample(api, project_id, connection_id)

    assert {name: sync[name] for name in SHOWN} == SHOWN
    assert (
        sync["syncOptions"].items()
        >= {
            "initialSyncBehavior": "overwrite-destination",
            "autoSyncEnabled": True,
            "disableSecretDeletion": False,
        }.items()
    )
    assert broker.tasks()[-1] == Task.RUN_JOB


def test_the_answer_names_where_the_secrets_come_from(
    api: ApiClient, project_id: UUID, connection_id: str
) -> None:
    sync = send_sample(api, project_id, connection_id)

    assert sync["projectId"] == str(project_id)
    assert sync["connection"] == {"app": "railway", "name": "railway", "id": connection_id}
    assert sync["environment"] == {"slug": "dev", "name": "Development", "id": sync["environment"]["id"]}
    assert sync["folder"] == {"id": sync["folderId"], "path": "/my-secrets"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", sync["createdAt"])
