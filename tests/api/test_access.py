"""On the Infisical wire nobody passes without a token that carries the right, whatever the route."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI
from sqlalchemy import select

from shared.db.tokens import ApiToken
from shared.runtime import Runtime
from shared.usecases.tokens import Scope
from tests.api.client import ApiClient
from tests.support import ManualClock, create_token

Body = dict[str, Any]

#: What anybody may ask: for a token.
OPEN = {
    "/api/v1/auth/universal-auth/login",
    "/api/v1/auth/token/renew",
    "/api/v1/auth/token/revoke",
}
#: What every token may ask: they name no project, and list providers.
FOR_ALL = {"/api/v1/app-connections/options", "/api/v1/secret-syncs/options"}
#: What a token of another project is answered from that other project.
ABOUT_THE_CALLER = {("GET", "/api/v1/projects"), ("GET", "/api/v1/workspace")}


def routes(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Yield method and path of every route that needs a token."""
    for path, methods in app.openapi()["paths"].items():
        if path.startswith("/api/") and path not in OPEN:
            yield from ((method.upper(), path) for method in methods)


class World:
    """One object of each kind in the project ``shop``, and how each route is asked about them."""

    def __init__(self, api: ApiClient, project_id: UUID) -> None:
        self.api = api
        place = {"projectId": str(project_id), "environment": "production"}
        credentials = {"apiToken": "demo-account-token"}
        connection = {"name": "railway", "method": "account-token", "credentials": credentials}
        self.connection = api.post(
            "/api/v1/app-connections/railway", {**connection, "projectId": str(project_id)}
        ).json()["appConnection"]["id"]
        self.folder = api.post("/api/v2/folders", {**place, "name": "web"}).json()["folder"]["id"]
        self.secret = api.post("/api/v4/secrets/KEY", {**place, "secretValue": "canary"}).json()["secret"][
            "id"
        ]
        imported = {"environment": "production", "path": "/web"}
        self.imported = api.post("/api/v2/secret-imports", {**place, "import": imported}).json()[
            "secretImport"
        ]["id"]
        self.new_sync = {
            **place,
            "name": "to-railway",
            "secretPath": "/",
            "connectionId": self.connection,
            "syncOptions": {"initialSyncBehavior": "overwrite-destination"},
            "destinationConfig": {"projectId": "prj-1", "environmentId": "env-production"},
        }
        self.sync = api.post("/api/v1/secret-syncs/railway", self.new_sync).json()["secretSync"]["id"]
        self.job = api.get(f"/api/v1/secret-syncs/railway/{self.sync}/jobs").json()["jobs"][0]["id"]
        self.project = str(project_id)
        extra = {"name": "Quality", "slug": "qa"}
        self.environment = api.post(f"/api/v1/projects/{project_id}/environments", extra).json()[
            "environment"
        ]["id"]
        tags = f"/api/v1/projects/{project_id}/tags"
        self.tag = api.post(tags, {"slug": "database"}).json()["tag"]["id"]
        named = {"name": "guest", "grants": [{"projectId": self.project, "scopes": ["read"]}]}
        self.token = api.post("/api/v1/tokens", named).json()["tokenData"]["id"]
        self.identity = api.post("/api/v1/identities", named).json()["identity"]["id"]
        secrets = f"/api/v1/auth/universal-auth/identities/{self.identity}/client-secrets"
        self.client_secret = api.post(secrets).json()["clientSecretData"]["id"]

    def path(self, template: str) -> str:
        return template.format(
            app="railway",
            destination="railway",
            project_id=self.project,
            slug="shop",
            folder_id=self.folder,
            environment="production",
            environment_id=self.environment,
            environment_slug="production",
            tag_slug="database",
            path="web",
            import_id=self.imported,
            secret_id=self.secret,
            secret_name="KEY",
            connection_id=self.connection,
            name="railway",
            account_id="acc-1",
            sync_id=self.sync,
            sync_name="to-railway",
            job_id=self.job,
            token_id=self.token,
            tag_id=self.tag,
            identity_id=self.identity,
            client_secret_id=self.client_secret,
        )

    def body(self) -> Body:
        """Everything that any route may ask for, so that only the token is wrong."""
        return {
            **self.new_sync,
            "projectName": "New",
            "slug": "new",
            "sourceEnvironment": "production",
            "sourceSecretPath": "/",
            "destinationEnvironment": "production",
            "destinationSecretPath": "/web",
            "secretIds": [self.secret],
            "secretValue": "canary",
            "secrets": [{"secretKey": "KEY", "secretValue": "canary"}],
            "import": {"environment": "production", "path": "/web", "position": 1},
            "method": "account-token",
            "credentials": {"apiToken": "demo-account-token"},
            "grants": [{"projectId": self.project, "scopes": ["read"]}],
        }

    def ask(self, client: ApiClient, method: str, template: str) -> Any:
        query = {**self.new_sync, "importBehavior": "prioritize-source"}
        texts = {name: text for name, text in query.items() if isinstance(text, str)}
        # What is deleted by its id takes no body, and what takes one does not mind.
        body = None if method == "GET" else self.body()
        if template.endswith("/sync-secrets"):
            body = {}
        return client.request(method, self.path(template), params=texts, json=body)


@pytest.fixture
def world(api: ApiClient, project_id: UUID) -> World:
    return World(api, project_id)


def state(world: World) -> Any:
    """Return all that can be seen of the project."""
    place = {"projectId": world.project, "environment": "production"}
    get = world.api.get
    return [
        get("/api/v1/projects").json(),
        get("/api/v2/folders", **place).json(),
        get("/api/v2/secret-imports", **place).json(),
        get("/api/v4/secrets", **place, recursive="true").json(),
        get("/api/v1/app-connections").json(),
        get("/api/v1/secret-syncs", **place).json(),
        get(f"/api/v1/secret-syncs/railway/{world.sync}/jobs").json(),
    ]


def test_no_route_answers_without_a_token(app: FastAPI, world: World) -> None:
    before = state(world)

    for method, path in routes(app):
        answer = world.ask(ApiClient(app), method, path)

        assert (answer.status_code, answer.json()["error"]) == (401, "Unauthorized"), (method, path)
        assert answer.headers["www-authenticate"] == "Bearer"
    assert state(world) == before


@pytest.mark.parametrize("token", ["kt_0000", "ü", "kt_" + "0" * 4000])
def test_no_route_answers_a_wrong_token(app: FastAPI, world: World, token: str) -> None:
    before = state(world)

    for method, path in routes(app):
        answer = world.ask(ApiClient(app, token), method, path)

        assert (answer.status_code, answer.json()["error"]) == (403, "TokenError"), (method, path)
        assert token not in answer.text
    assert state(world) == before


def test_no_route_tells_a_token_of_another_project_anything(
    app: FastAPI, world: World, runtime: Runtime, foreign_id: UUID
) -> None:
    token = create_token(runtime, "stranger", [Scope.ADMIN], project_id=foreign_id)
    stranger = ApiClient(app, token.get_secret_value())
    before = state(world)

    for method, path in routes(app):
        if path in FOR_ALL:
            continue
        answer = world.ask(stranger, method, path)

        if (method, path) in ABOUT_THE_CALLER:
            assert "shop" not in answer.text, (method, path)
        else:
            assert answer.status_code in (403, 404), (method, path, answer.text)
        assert "canary" not in answer.text
    assert state(world) == before


def test_no_route_changes_anything_for_who_may_only_read(
    app: FastAPI, world: World, runtime: Runtime
) -> None:
    token = create_token(runtime, "reader", [Scope.READ], project_id=UUID(world.project))
    reader = ApiClient(app, token.get_secret_value())
    before = state(world)

    for method, path in routes(app):
        answer = world.ask(reader, method, path)

        if method != "GET" and not path.endswith("/check-destination"):
            assert answer.status_code in (403, 404), (method, path)
    assert state(world) == before


def test_an_object_of_another_project_looks_like_none(
    app: FastAPI, world: World, runtime: Runtime, foreign_id: UUID
) -> None:
    token = create_token(runtime, "stranger", [Scope.ADMIN], project_id=foreign_id)
    stranger = ApiClient(app, token.get_secret_value())
    paths = [
        "/api/v2/folders/{folder_id}",
        "/api/v4/secrets/id/{secret_id}",
        "/api/v1/app-connections/railway/{connection_id}",
        "/api/v1/secret-syncs/railway/{sync_id}",
    ]

    for template in paths:
        path = world.path(template)
        *_, known = path.split("/")
        unknown = str(UUID(int=UUID(known).int ^ 1))

        real, made_up = stranger.get(path).json(), stranger.get(path.replace(known, unknown)).json()

        assert real["message"].replace(known, unknown) == made_up["message"]
        assert (real["statusCode"], made_up["statusCode"]) == (404, 404)


def test_a_token_that_has_expired_is_refused(
    app: FastAPI, runtime: Runtime, clock: ManualClock, project_id: UUID
) -> None:
    token = create_token(runtime, "short", [Scope.ADMIN], expires_at=clock())
    clock.advance(seconds=1)

    answer = ApiClient(app, token.get_secret_value()).get("/api/v1/projects")

    assert (answer.status_code, answer.json()["error"]) == (403, "TokenError")
    assert "expired" in answer.json()["message"]


@pytest.mark.parametrize(("network", "status"), [("127.0.0.0/8", 200), ("10.0.0.0/8", 403)])
def test_a_token_works_only_from_where_it_is_allowed(
    api: ApiClient, runtime: Runtime, network: str, status: int
) -> None:
    with runtime.database.transaction() as session:
        for row in session.scalars(select(ApiToken)):
            row.allowed_ips = [network]

    assert api.get("/api/v1/projects").status_code == status


@pytest.mark.parametrize("header", ["Basic a3Q6eA==", "Bearer", "Bearer ", "bearer", "kt_0000"])
def test_other_ways_to_say_who_one_is_are_not_known(anonymous: ApiClient, header: str) -> None:
    answer = anonymous.request("GET", "/api/v1/projects", headers={"Authorization": header})

    assert answer.status_code == 401
