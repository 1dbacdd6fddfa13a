"""A vault ``owner/repo``, a Railway connection, and workers that carry jobs out at once."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI

from shared.runtime import Runtime
from shared.usecases.projects import create_project
from shared.usecases.tokens import Scope
from tests.api.client import ApiClient
from tests.fakes.github import FakeGitHub
from tests.fakes.service import FakeService
from tests.support import InlineBroker, create_token

PUSHED = {"repoFullName": "owner/repo", "environment": "production"}
SYNC = "/v1/integrations/vaults/owner/repo/sync"


class KeywayClient(ApiClient):
    """Sends requests as Keyway's clients do."""

    def data(self, response: httpx.Response) -> Any:
        """Return what a success carries."""
        assert response.status_code < 300, response.text
        assert response.json()["meta"]["requestId"] == response.headers["x-request-id"]
        return response.json()["data"]

    def push(self, secrets: dict[str, str], **more: Any) -> Any:
        """Push *secrets* to production, and return what that did."""
        return self.data(self.post("/v1/secrets/push", {**PUSHED, "secrets": secrets, **more}))

    def pull(self, environment: str = "production") -> str:
        """Return the .env text of an environment."""
        response = self.get("/v1/secrets/pull", repo="owner/repo", environment=environment)
        text: str = self.data(response)["content"]
        return text


@pytest.fixture
def broker() -> InlineBroker:
    return InlineBroker()


@pytest.fixture
def runtime(runtime: Runtime, broker: InlineBroker) -> Runtime:
    """The outside world, with workers in it."""
    runtime = replace(
        runtime, settings=runtime.settings.model_copy(update={"github_api_url": "http://github.test"})
    )
    broker.runtime = runtime
    return runtime


@pytest.fixture
def github(emulators: dict[str, FakeService]) -> FakeGitHub:
    """GitHub as the runtime sees it."""
    emulators["github"] = fake = FakeGitHub()
    return fake


@pytest.fixture
def keyway(app: FastAPI, runtime: Runtime) -> KeywayClient:
    """The administrator."""
    return KeywayClient(app, create_token(runtime, "administrator", [Scope.ADMIN]).get_secret_value())


@pytest.fixture
def vault(runtime: Runtime) -> UUID:
    """The vault owner/repo, empty."""
    return create_project(runtime, "owner/repo", slug="owner/repo").project.id


@pytest.fixture
def connection(keyway: KeywayClient, railway: FakeService) -> str:
    """A connection to Railway."""
    return str(connect(keyway, "railway", "demo-account-token")["id"])


@pytest.fixture
def place(vault: UUID, connection: str) -> dict[str, str]:
    """The service web in production at Railway, as clients name it."""
    return {"connectionId": connection, "projectId": "prj-1", "serviceId": "svc-web"}


def connect(client: KeywayClient, provider: str, token: str) -> Any:
    """Connect a provider with a token, and return the connection."""
    answer = client.post(f"/v1/integrations/{provider}/connect", {"token": token})
    return client.data(answer)["connection"]
