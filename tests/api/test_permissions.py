"""Every route × every kind of caller: who is not let in by a rule below, stays outside.

A route without a rule fails the first test, so a new one cannot be forgotten here.
"""

from collections.abc import Iterator
from datetime import timedelta
from enum import Enum
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from starlette.routing import BaseRoute

from shared.runtime import Runtime
from shared.usecases.projects import create_project
from shared.usecases.tokens import Scope
from tests.api.client import ApiClient
from tests.api.test_access import World, state
from tests.support import ManualClock, create_token

REPO = "acme/shop"
OTHER_APPS: list[tuple[str, str, dict[str, str]]] = [
    ("vercel", "api-token", {"apiToken": "demo-vercel-token"}),
    ("netlify", "access-token", {"accessToken": "demo-access-token"}),
    ("flyio", "access-token", {"accessToken": "FlyV1 fm2_demo-org"}),
]


class Need(Enum):
    """What a caller has to have."""

    NOTHING = "nothing: whoever reaches the server may ask"
    TOKEN = "a token, whatever it is for"
    READ = "read in the project"
    WRITE = "write in the project"
    SYNC = "sync in the project"
    ADMIN = "admin in the project"
    GLOBAL = "admin in all projects"


IN = "/api/v1"
SYNCS = f"{IN}/secret-syncs"
ONE_SYNC = f"{SYNCS}/{{destination}}/{{sync_id}}"
APPS = f"{IN}/app-connections"
IDENTITY = f"{IN}/auth/universal-auth/identities/{{identity_id}}"
CLIENT_SECRET = f"{IDENTITY}/client-secrets"
VAULT = "/v1/vaults/{owner}/{repo}"
PLACE = "/v1/integrations/vaults/{owner}/{repo}/sync"


def _both(first: str, second: str, rules: dict[str, Need]) -> dict[str, Need]:
    """Return *rules* for the present path of something and for its old one."""
    return {
        f"{method} {path}{rest}": need
        for method, rest, need in ((*each.split(" ", 1), need) for each, need in rules.items())
        for path in (first, second)
    }


RULES: dict[str, Need] = {
    # the server itself
    **dict.fromkeys(
        [
            "GET /openapi.json",
            "GET /docs",
            "GET /docs/page.js",
            "GET /docs/page.css",
            "GET /livez",
            "GET /health",
            "GET /readyz",
            "GET /metrics",
            "GET /v1/health",
        ],
        Need.NOTHING,
    ),
    # tokens and identities
    f"POST {IN}/auth/universal-auth/login": Need.NOTHING,
    f"POST {IN}/auth/token/renew": Need.NOTHING,
    f"POST {IN}/auth/token/revoke": Need.NOTHING,
    f"POST {IN}/tokens": Need.ADMIN,
    f"GET {IN}/tokens": Need.ADMIN,
    f"DELETE {IN}/tokens/{{token_id}}": Need.ADMIN,
    f"POST {IN}/identities": Need.ADMIN,
    f"GET {IN}/identities": Need.ADMIN,
    f"GET {IN}/identities/{{identity_id}}": Need.ADMIN,
    f"PATCH {IN}/identities/{{identity_id}}": Need.ADMIN,
    f"DELETE {IN}/identities/{{identity_id}}": Need.ADMIN,
    f"GET {IDENTITY}": Need.ADMIN,
    f"POST {IDENTITY}": Need.ADMIN,
    f"PATCH {IDENTITY}": Need.ADMIN,
    f"POST {CLIENT_SECRET}": Need.ADMIN,
    f"GET {CLIENT_SECRET}": Need.ADMIN,
    f"GET {CLIENT_SECRET}/{{client_secret_id}}": Need.ADMIN,
    f"POST {CLIENT_SECRET}/{{client_secret_id}}/revoke": Need.ADMIN,
    f"GET {IN}/audit-logs": Need.ADMIN,
    # the vault
    f"POST {IN}/projects": Need.GLOBAL,
    f"GET {IN}/projects": Need.READ,
    f"GET {IN}/workspace": Need.READ,
    f"GET {IN}/projects/slug/{{slug:path}}": Need.READ,
    f"GET {IN}/projects/{{project_id}}": Need.READ,
    f"GET {IN}/workspace/{{project_id}}": Need.READ,
    "POST /api/v2/workspace": Need.GLOBAL,
    "GET /api/v2/workspace/{slug:path}": Need.READ,
    f"GET {IN}/projects/{{project_id}}/environments/slug/{{environment_slug}}": Need.READ,
    f"GET {IN}/projects/{{project_id}}/environments/{{environment_id}}": Need.READ,
    f"GET {IN}/workspace/environments/{{environment_id}}": Need.READ,
    **_both(
        f"{IN}/projects/{{project_id}}/environments",
        f"{IN}/workspace/{{project_id}}/environments",
        {"POST ": Need.WRITE, "PATCH /{environment_id}": Need.WRITE, "DELETE /{environment_id}": Need.WRITE},
    ),
    **_both(
        "/api/v2/folders",
        "/api/v1/folders",
        {
            "POST ": Need.WRITE,
            "GET ": Need.READ,
            "GET /{folder_id}": Need.READ,
            "PATCH /{folder_id}": Need.WRITE,
            "DELETE /{folder_id}": Need.WRITE,
        },
    ),
    f"GET {IN}/folders/{{project_id}}/{{environment}}/{{path:path}}": Need.READ,
    **_both(
        "/api/v2/secret-imports",
        "/api/v1/secret-imports",
        {
            "POST ": Need.WRITE,
            "GET ": Need.READ,
            "GET /{import_id}": Need.READ,
            "PATCH /{import_id}": Need.WRITE,
            "DELETE /{import_id}": Need.WRITE,
        },
    ),
    **_both(
        "/api/v4/secrets",
        "/api/v3/secrets/raw",
        {
            "GET ": Need.READ,
            "GET /id/{secret_id}": Need.READ,
            "GET /{secret_name}": Need.READ,
            "POST /{secret_name}": Need.WRITE,
            "PATCH /{secret_name}": Need.WRITE,
            "DELETE /{secret_name}": Need.WRITE,
        },
    ),
    **_both(
        "/api/v4/secrets/batch",
        "/api/v3/secrets/batch/raw",
        {"POST ": Need.WRITE, "PATCH ": Need.WRITE, "DELETE ": Need.WRITE},
    ),
    **_both("/api/v4/secrets", "/api/v3/secrets", {"POST /move": Need.WRITE}),
    **_both(
        f"{IN}/projects/{{project_id}}/tags",
        f"{IN}/workspace/{{project_id}}/tags",
        {
            "POST ": Need.WRITE,
            "GET ": Need.READ,
            "GET /slug/{tag_slug}": Need.READ,
            "GET /{tag_id}": Need.READ,
            "PATCH /{tag_id}": Need.WRITE,
            "DELETE /{tag_id}": Need.WRITE,
        },
    ),
    # connections
    f"GET {APPS}/options": Need.TOKEN,
    f"GET {APPS}": Need.READ,
    f"GET {APPS}/{{app}}": Need.READ,
    f"GET {APPS}/{{app}}/available": Need.READ,
    f"GET {APPS}/{{app}}/connection-name/{{name}}": Need.READ,
    f"GET {APPS}/{{app}}/{{connection_id}}": Need.READ,
    f"POST {APPS}/{{app}}": Need.SYNC,
    f"POST {APPS}/{{app}}/{{connection_id}}/check": Need.SYNC,
    f"PATCH {APPS}/{{app}}/{{connection_id}}": Need.SYNC,
    f"DELETE {APPS}/{{app}}/{{connection_id}}": Need.SYNC,
    f"GET {APPS}/railway/{{connection_id}}/projects": Need.SYNC,
    f"GET {APPS}/vercel/{{connection_id}}/projects": Need.SYNC,
    f"GET {APPS}/vercel/{{connection_id}}/projects/{{project_id}}": Need.SYNC,
    f"GET {APPS}/netlify/{{connection_id}}/accounts": Need.SYNC,
    f"GET {APPS}/netlify/{{connection_id}}/accounts/{{account_id}}/sites": Need.SYNC,
    f"GET {APPS}/flyio/{{connection_id}}/apps": Need.SYNC,
    # syncs
    f"GET {SYNCS}/options": Need.TOKEN,
    f"GET {SYNCS}": Need.READ,
    f"GET {SYNCS}/{{destination}}": Need.READ,
    f"GET {SYNCS}/{{destination}}/sync-name/{{sync_name}}": Need.READ,
    f"GET {ONE_SYNC}": Need.READ,
    f"GET {ONE_SYNC}/jobs": Need.READ,
    f"GET {ONE_SYNC}/jobs/{{job_id}}": Need.READ,
    f"GET {ONE_SYNC}/preview": Need.READ,
    f"GET {IN}/secrets-live": Need.READ,
    f"POST {SYNCS}/{{destination}}/check-destination": Need.READ,
    f"POST {SYNCS}/reconcile": Need.SYNC,
    f"POST {SYNCS}/{{destination}}": Need.SYNC,
    f"PATCH {ONE_SYNC}": Need.SYNC,
    f"DELETE {ONE_SYNC}": Need.SYNC,
    f"POST {ONE_SYNC}/sync-secrets": Need.SYNC,
    f"POST {ONE_SYNC}/import-secrets": Need.SYNC,
    f"POST {ONE_SYNC}/remove-secrets": Need.SYNC,
    # Keyway: who one is
    "POST /v1/auth/device/start": Need.NOTHING,
    "POST /v1/auth/device/poll": Need.NOTHING,
    "GET /v1/auth/device/verify": Need.NOTHING,
    "POST /v1/auth/device/verify": Need.NOTHING,
    "POST /v1/auth/token/validate": Need.TOKEN,
    "GET /v1/users/me": Need.TOKEN,
    "POST /v1/github/check-installation": Need.TOKEN,
    "GET /v1/github/repo-ids": Need.TOKEN,
    "GET /v1/api-keys": Need.ADMIN,
    "POST /v1/api-keys": Need.ADMIN,
    "GET /v1/api-keys/{key_id}": Need.ADMIN,
    "DELETE /v1/api-keys/{key_id}": Need.ADMIN,
    # Keyway: vaults
    "GET /v1/vaults": Need.READ,
    "POST /v1/vaults": Need.GLOBAL,
    f"GET {VAULT}": Need.READ,
    f"GET {VAULT}/environments": Need.READ,
    f"POST {VAULT}/environments": Need.ADMIN,
    f"GET {VAULT}/secrets": Need.READ,
    f"POST {VAULT}/secrets": Need.WRITE,
    f"PATCH {VAULT}/secrets/{{secret_id}}": Need.WRITE,
    f"DELETE {VAULT}/secrets/{{secret_id}}": Need.WRITE,
    f"GET {VAULT}/secrets/{{secret_id}}/value": Need.READ,
    "POST /v1/secrets/push": Need.WRITE,
    "GET /v1/secrets/pull": Need.READ,
    "GET /v1/secrets/view": Need.READ,
    # Keyway: integrations
    "GET /v1/integrations": Need.NOTHING,
    "GET /v1/integrations/{provider}/callback": Need.NOTHING,
    "GET /v1/integrations/{provider}/authorize": Need.SYNC,
    "POST /v1/integrations/{provider}/connect": Need.SYNC,
    "GET /v1/integrations/connections": Need.READ,
    "DELETE /v1/integrations/connections/{connection_id}": Need.SYNC,
    "GET /v1/integrations/connections/{connection_id}/projects": Need.READ,
    "GET /v1/integrations/providers/{provider}/all-projects": Need.READ,
    f"GET {PLACE}/status": Need.READ,
    f"GET {PLACE}/diff": Need.READ,
    f"GET {PLACE}/preview": Need.SYNC,
    f"POST {PLACE}/link": Need.SYNC,
    f"POST {PLACE}": Need.SYNC,
    # what takes the project away from those above
    **_both(
        f"{IN}/projects",
        f"{IN}/workspace",
        {"PATCH /{project_id}": Need.ADMIN, "DELETE /{project_id}": Need.ADMIN},
    ),
    "DELETE /api/v2/workspace/{slug:path}": Need.ADMIN,
}

#: After one of these there is no project any more that a token could be for.
ENDS = {
    f"DELETE {IN}/projects/{{project_id}}",
    f"DELETE {IN}/workspace/{{project_id}}",
    "DELETE /api/v2/workspace/{slug:path}",
}

#: Not about an object of the project, but about whatever the caller may see: a stranger sees other things.
ABOUT_THE_CALLER = {
    f"GET {IN}/projects",
    f"GET {IN}/workspace",
    "GET /v1/vaults",
    "GET /v1/api-keys",
    "POST /v1/api-keys",
    "GET /v1/integrations/connections",
    "GET /v1/integrations/providers/{provider}/all-projects",
    "GET /v1/integrations/{provider}/authorize",
    "POST /v1/integrations/{provider}/connect",
}


def routes(app: FastAPI) -> Iterator[str]:
    """Yield ``METHOD path`` of every route of the application, whether it is documented or not."""
    for route in _leaves(app.routes):
        for method in sorted(getattr(route, "methods", None) or {"ANY"}):
            if method != "HEAD":
                yield f"{method} {getattr(route, 'path', route)}"


def _leaves(found: Any) -> Iterator[BaseRoute]:
    for route in found:
        included = getattr(route, "original_router", route)
        if hasattr(included, "routes"):
            yield from _leaves(included.routes)
        else:
            yield route


class Shop(World):
    """One object of each kind of both wires, and how each route is asked about them."""

    def __init__(self, api: ApiClient, project_id: UUID) -> None:
        super().__init__(api, project_id)
        key = {"name": "guest", "scopes": ["read:secrets"]}
        self.key = api.post("/v1/api-keys", key).json()["data"]["id"]

        self.connections = {
            app: self._connect(app, method, credentials) for app, method, credentials in OTHER_APPS
        }

    def _connect(self, app: str, method: str, credentials: dict[str, str]) -> str:
        body = {"name": app, "method": method, "credentials": credentials, "projectId": self.project}
        answer = self.api.post(f"{APPS}/{app}", body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["appConnection"]["id"])

    def path(self, template: str) -> str:
        return template.replace(":path", "").format(**self.parameters(template))

    def parameters(self, template: str) -> dict[str, str]:
        """Return the ids and names of what there is, by their names in paths."""
        app = template.removeprefix(f"{APPS}/").split("/")[0]
        owner, repo = REPO.split("/")
        return {
            **dict.fromkeys(["app", "destination", "provider", "name"], "railway"),
            "owner": owner,
            "repo": repo,
            "slug": REPO,
            "project_id": self.project,
            "folder_id": self.folder,
            "environment": "production",
            "environment_id": self.environment,
            "environment_slug": "production",
            "tag_slug": "database",
            "path": "web",
            "import_id": self.imported,
            "secret_id": self.secret,
            "secret_name": "KEY",
            "connection_id": self.connections.get(app, self.connection),
            "account_id": "acc-1",
            "sync_id": self.sync,
            "sync_name": "to-railway",
            "job_id": self.job,
            "token_id": self.token,
            "tag_id": self.tag,
            "identity_id": self.identity,
            "client_secret_id": self.client_secret,
            "key_id": self.key,
        }

    def call(self, client: ApiClient, route: str) -> httpx.Response:
        """Ask *route* so that nothing is wrong but, perhaps, the caller."""
        method, template = route.split(" ", 1)
        if template.startswith("/api/"):
            return self.ask(client, method, template)
        place = {
            "connectionId": self.connection,
            "projectId": "prj-1",
            "serviceId": "svc-web",
            "environment": "production",
            "providerEnvironment": "production",
        }
        query = {**place, "repo": REPO, "key": "KEY"}
        body = {
            **place,
            "repoFullName": REPO,
            "key": "KEY",
            "value": "changed",
            "secrets": {"KEY": "changed"},
            "scopes": ["read:secrets"],
            "name": "KEY" if "{secret_id}" in template else "more",
            "token": "demo-account-token",
            "repoOwner": "acme",
            "repoName": "shop",
            "environment": "live" if template == "/v1/api-keys" else "production",
        }
        sent = None if method == "GET" else body
        return client.request(method, self.path(template), params=query, json=sent)


# The database makes no difference here.
pytestmark = [
    pytest.mark.parametrize("settings", ["sqlite"], indirect=True),
    pytest.mark.usefixtures("vercel", "netlify", "flyio"),
]


@pytest.fixture
def shop(api: ApiClient, runtime: Runtime) -> Shop:
    return Shop(api, create_project(runtime, "Shop", slug=REPO).project.id)


def caller(app: FastAPI, runtime: Runtime, project_id: UUID | None, *scopes: Scope) -> ApiClient:
    """Return a client with a token of that project."""
    token = create_token(runtime, "visitor", scopes, project_id=project_id)
    return ApiClient(app, token.get_secret_value())


def test_every_route_has_a_rule(app: FastAPI) -> None:
    assert sorted(routes(app)) == sorted(RULES)


def test_no_route_answers_without_a_valid_token(
    app: FastAPI, shop: Shop, runtime: Runtime, clock: ManualClock
) -> None:
    expired = create_token(runtime, "old", [Scope.ADMIN], expires_at=clock() + timedelta(seconds=1))
    clock.advance(seconds=1)
    before = state(shop)

    answered = {
        (route, token): shop.call(ApiClient(app, token), route).status_code
        for route, need in RULES.items()
        if need is not Need.NOTHING
        for token in (None, "kt_" + "0" * 40, expired.get_secret_value())
    }

    # The Infisical wire answers a wrong token with 403, as its clients know it.
    expected = {(route, token): 403 if token and " /api/" in route else 401 for route, token in answered}
    assert answered == expected
    assert state(shop) == before


def test_no_route_tells_a_stranger_anything(
    app: FastAPI, shop: Shop, runtime: Runtime, foreign_id: UUID
) -> None:
    stranger = caller(app, runtime, foreign_id, Scope.ADMIN)
    before = state(shop)

    answers = {
        route: shop.call(stranger, route)
        for route, need in RULES.items()
        if need not in (Need.NOTHING, Need.TOKEN)
    }

    let_in = {route for route, answer in answers.items() if answer.status_code not in (403, 404)}
    assert let_in <= ABOUT_THE_CALLER
    assert not [route for route in let_in if REPO in answers[route].text]
    assert not [route for route, answer in answers.items() if "canary" in answer.text]
    assert _of_the_project(state(shop)) == _of_the_project(before)


def _of_the_project(seen: list[Any]) -> list[Any]:
    # What a stranger did in the stranger's own project is no business of this one.
    return seen[1:4] + seen[5:]


@pytest.mark.parametrize("scope", [Scope.READ, Scope.WRITE, Scope.SYNC])
def test_no_route_lets_a_token_do_what_its_scope_does_not_say(
    app: FastAPI, shop: Shop, runtime: Runtime, scope: Scope
) -> None:
    visitor = caller(app, runtime, UUID(shop.project), scope)
    free = {Need.NOTHING, Need.TOKEN, Need[scope.name]}

    answered = {
        route: shop.call(visitor, route).status_code for route, need in RULES.items() if need not in free
    }

    # What only administrators deal with does not exist for others.
    refusals = {route: {403, 404} if RULES[route] is Need.ADMIN else {403} for route in answered}
    assert {route: status for route, status in answered.items() if status not in refusals[route]} == {}


def test_an_administrator_of_one_project_does_nothing_for_all_of_them(
    app: FastAPI, shop: Shop, runtime: Runtime
) -> None:
    owner = caller(app, runtime, UUID(shop.project), Scope.ADMIN)

    answered = {shop.call(owner, route).status_code for route, need in RULES.items() if need is Need.GLOBAL}

    assert answered == {403}


@pytest.mark.parametrize("scope", Scope)
def test_every_route_lets_a_token_do_what_its_scope_says(
    app: FastAPI, shop: Shop, runtime: Runtime, scope: Scope
) -> None:
    visitor = caller(app, runtime, UUID(shop.project), scope)
    allowed = {Need.TOKEN, Need[scope.name]}
    if scope is Scope.ADMIN:
        allowed |= {Need.READ, Need.WRITE, Need.SYNC}

    answers = {
        route: shop.call(visitor, route)
        for route, need in RULES.items()
        if need in allowed and route not in ENDS
    }

    refused = {route: answer.text for route, answer in answers.items() if answer.status_code in (401, 403)}
    assert refused == {}


@pytest.mark.parametrize("route", sorted(ENDS))
def test_an_administrator_of_a_project_may_end_it(
    app: FastAPI, shop: Shop, runtime: Runtime, route: str
) -> None:
    owner = caller(app, runtime, UUID(shop.project), Scope.ADMIN)

    assert shop.call(owner, route).status_code == 200
    assert shop.api.get(f"{IN}/projects/{shop.project}").status_code == 404


def test_an_administrator_of_everything_may_do_everything(shop: Shop) -> None:
    logins = {
        f"POST {IN}/auth/universal-auth/login",
        f"POST {IN}/auth/token/renew",
        f"POST {IN}/auth/token/revoke",
    }

    refused = {
        route for route in RULES.keys() - logins if shop.call(shop.api, route).status_code in (401, 403)
    }

    assert refused == set()
