"""The product through its front door: what a person with curl does, in a few words."""

from dataclasses import dataclass
from itertools import count
from typing import Any
from uuid import uuid4

import httpx

from tests.e2e.installation import Installation, eventually
from tests.fakes.railway import FakeRailway
from tests.fakes.service import FakeServer

_numbers = count(1)


@dataclass
class Product:
    """A project with one Railway connection. Each test gets a Railway project to itself."""

    installation: Installation
    client: httpx.Client
    railway: FakeRailway
    project_id: str
    connection_id: str
    railway_project: str

    @classmethod
    def create(cls, installation: Installation, client: httpx.Client, server: FakeServer) -> "Product":
        railway = server.service
        assert isinstance(railway, FakeRailway)
        number = next(_numbers)
        railway_project = f"prj-e2e-{number}"
        railway.add_project(railway_project, f"shop-{number}", workspace="ws-1")
        project = post(client, "/api/v1/projects", projectName=f"Shop {number}")["project"]
        self = cls(installation, client, railway, project["id"], "", railway_project)
        self.connection_id = self.connect(railway.demo()["token"])
        return self

    @property
    def place(self) -> str:
        """Where the emulator keeps what this project's syncs write."""
        return f"env-production-{self.railway_project}/svc-web-{self.railway_project}"

    def connect(self, token: str) -> str:
        answer = post(
            self.client,
            "/api/v1/app-connections/railway",
            name=f"railway-{uuid4().hex[:8]}",
            method="account-token",
            credentials={"apiToken": token},
        )
        return str(answer["appConnection"]["id"])

    def set(self, key: str, value: str, *, path: str = "/", new: bool = False) -> None:
        """Create or change a secret."""
        answer = self.client.request(
            "POST" if new else "PATCH",
            f"/api/v4/secrets/{key}",
            json={
                "projectId": self.project_id,
                "environment": "production",
                "secretPath": path,
                "secretValue": value,
            },
        )
        assert answer.status_code == 200, answer.text

    def create_sync(self, *, path: str = "/", **options: Any) -> dict[str, Any]:
        suffix = self.railway_project
        answer = post(
            self.client,
            "/api/v1/secret-syncs/railway",
            name=f"sync-{uuid4().hex[:8]}",
            projectId=self.project_id,
            connectionId=self.connection_id,
            environment="production",
            secretPath=path,
            syncOptions={"initialSyncBehavior": "overwrite-destination", **options},
            destinationConfig={
                "projectId": suffix,
                "projectName": "shop",
                "environmentId": f"env-production-{suffix}",
                "environmentName": "production",
                "serviceId": f"svc-web-{suffix}",
                "serviceName": "web",
            },
        )
        return dict(answer["secretSync"])

    def sync(self, sync_id: str) -> dict[str, Any]:
        return dict(get(self.client, f"/api/v1/secret-syncs/railway/{sync_id}")["secretSync"])

    def jobs(self, sync_id: str) -> list[dict[str, Any]]:
        return list(get(self.client, f"/api/v1/secret-syncs/railway/{sync_id}/jobs?limit=100")["jobs"])

    def until_synced(self, sync_id: str, **expected: str) -> dict[str, Any]:
        """Wait until the destination holds *expected* and the sync says so."""
        eventually(lambda: expected.items() <= self.held().items())
        return dict(eventually(lambda: self.until_status(sync_id, "succeeded")))

    def until_status(self, sync_id: str, status: str) -> dict[str, Any]:
        return dict(eventually(lambda: self._if(sync_id, status)))

    def held(self) -> dict[str, str]:
        """Return what the destination holds."""
        return dict(self.railway.places()[self.place])

    def _if(self, sync_id: str, status: str) -> dict[str, Any] | None:
        sync = self.sync(sync_id)
        return sync if sync["syncStatus"] == status else None


def post(client: httpx.Client, path: str, /, **fields: Any) -> dict[str, Any]:
    answer = client.post(path, json=fields)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def get(client: httpx.Client, path: str) -> dict[str, Any]:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())
