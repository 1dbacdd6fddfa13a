"""Connections: with a token, with a browser, and the projects they show."""

from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from shared.runtime import Runtime
from shared.usecases.projects import create_project
from shared.usecases.tokens import Scope
from tests.api.client import ApiClient
from tests.api.keyway.conftest import SYNC, KeywayClient, connect
from tests.fakes.flyio import FakeFlyio
from tests.fakes.flyio import Token as FlyioToken
from tests.fakes.netlify import FakeNetlify
from tests.fakes.oauth import CLIENT_ID, CLIENT_SECRET
from tests.fakes.railway import FakeRailway, Token
from tests.fakes.service import Fail, InProcess
from tests.fakes.vercel import FakeProject, FakeVercel
from tests.support import ManualClock, create_token

CONNECTIONS = "/v1/integrations/connections"


@pytest.fixture
def registered(runtime: Runtime, app: FastAPI) -> Runtime:
    """A server that is registered with Vercel and Netlify."""
    update = {
        "public_url": "https://keytide.example",
        "vercel_client_id": CLIENT_ID,
        "vercel_client_secret": SecretStr(CLIENT_SECRET),
        "vercel_integration_slug": "demo",
        "vercel_site_url": "http://vercel.test",
        "netlify_client_id": CLIENT_ID,
        "netlify_client_secret": SecretStr(CLIENT_SECRET),
        "netlify_site_url": "http://netlify.test",
    }
    runtime = replace(runtime, settings=runtime.settings.model_copy(update=update))
    app.state.runtime = runtime
    return runtime


def listed(client: KeywayClient) -> Any:
    return client.data(client.get(CONNECTIONS))["connections"]


# --- with a token --------------------------------------------------------------------------------------


def test_the_providers_are_public_and_say_whether_they_can_be_connected(anonymous: ApiClient) -> None:
    answer = anonymous.get("/v1/integrations")

    assert answer.json()["data"]["providers"] == [
        {"name": "vercel", "displayName": "Vercel", "configured": False},
        {"name": "railway", "displayName": "Railway", "configured": True},
        {"name": "netlify", "displayName": "Netlify", "configured": False},
        {"name": "flyio", "displayName": "Fly.io", "configured": True},
    ]


@pytest.mark.parametrize(
    ("token", "username", "team"),
    [
        ("demo-account-token", "Demo user", None),
        ("demo-workspace-token", "Demo workspace", "Demo workspace"),
        ("demo-project-token", "shop, production", None),
    ],
)
def test_every_kind_of_railway_token_connects(
    keyway: KeywayClient, token: str, username: str, team: str | None
) -> None:
    told = keyway.data(keyway.post("/v1/integrations/railway/connect", {"token": token}))

    assert (told["success"], told["provider"]) == (True, "railway")
    assert (told["user"]["username"], told["user"]["teamName"]) == (username, team)


def test_no_part_of_a_token_is_shown(keyway: KeywayClient, railway: FakeRailway) -> None:
    railway.tokens["xyzzy-plugh-token"] = Token("workspace", workspace="ws-1")

    connect(keyway, "railway", "xyzzy-plugh-token")

    assert "xyzzy" not in keyway.get(CONNECTIONS).text


def test_a_reconnect_renews_in_place_and_shows_as_new(keyway: KeywayClient, clock: ManualClock) -> None:
    first = connect(keyway, "railway", "demo-account-token")
    clock.advance(seconds=60)

    connect(keyway, "railway", "demo-account-token")

    [found] = listed(keyway)
    assert found["id"] == first["id"]
    assert found["createdAt"] > first["createdAt"]


def test_a_token_that_the_provider_rejects_is_not_stored(keyway: KeywayClient) -> None:
    answer = keyway.post("/v1/integrations/railway/connect", {"token": "wrong-token"})

    assert answer.status_code == 400
    assert answer.json()["detail"] == "Invalid API token. Please check your token and try again."
    assert "wrong-token" not in answer.text
    assert listed(keyway) == []


def test_a_provider_that_cannot_tell_just_now_is_no_fault_of_the_token(
    keyway: KeywayClient, railway: FakeRailway
) -> None:
    railway.fail_next(Fail(503))

    answer = keyway.post("/v1/integrations/railway/connect", {"token": "demo-account-token"})

    assert answer.status_code == 503
    assert answer.json()["type"].endswith("/service-unavailable")


@pytest.mark.parametrize("body", [None, {}, {"token": ""}, {"token": 7}])
def test_a_connect_without_a_token_is_a_bad_request(keyway: KeywayClient, body: Any) -> None:
    answer = keyway.post("/v1/integrations/railway/connect", body)

    assert answer.status_code == 400


def test_an_unknown_provider_is_not_found(keyway: KeywayClient) -> None:
    answers = [
        keyway.post("/v1/integrations/heroku/connect", {"token": "x"}),
        keyway.get("/v1/integrations/heroku/authorize"),
        keyway.get("/v1/integrations/providers/heroku/all-projects"),
        keyway.get("/v1/integrations/dotenv/callback", code="x", state="y"),
    ]

    assert [answer.status_code for answer in answers] == [404] * 4


# --- ending them ---------------------------------------------------------------------------------------


def test_a_disconnect_takes_the_syncs_made_here_along_and_leaves_what_was_written(
    keyway: KeywayClient, place: dict[str, str], railway: FakeRailway
) -> None:
    keyway.push({"A": "1"})
    keyway.data(keyway.post(SYNC, place))

    answer = keyway.delete(f"{CONNECTIONS}/{place['connectionId']}")

    assert (answer.status_code, answer.content) == (204, b"")
    assert listed(keyway) == []
    assert railway.variables["env-production/svc-web"] == {"A": "1"}


def test_a_disconnect_does_not_end_a_sync_that_somebody_relies_on(
    keyway: KeywayClient, place: dict[str, str], vault: object
) -> None:
    made = keyway.post(
        "/api/v1/secret-syncs/railway",
        {
            "name": "by-itself",
            "projectId": str(vault),
            "connectionId": place["connectionId"],
            "environment": "production",
            "secretPath": "/",
            "destinationConfig": {"projectId": "prj-1", "environmentId": "env-production"},
            "syncOptions": {"initialSyncBehavior": "overwrite-destination"},
        },
    )

    answer = keyway.delete(f"{CONNECTIONS}/{place['connectionId']}")

    assert made.status_code == 200
    assert answer.status_code == 409
    assert "by-itself" in answer.json()["detail"]
    assert len(listed(keyway)) == 1


@pytest.mark.parametrize(
    ("wrong", "status"), [("not-a-uuid", 400), ("9c5b94b1-35ad-49bb-b118-8e8fc24abf80", 404)]
)
def test_a_connection_that_does_not_exist_is_no_fault_of_ours(
    keyway: KeywayClient, wrong: str, status: int
) -> None:
    answers = [keyway.delete(f"{CONNECTIONS}/{wrong}"), keyway.get(f"{CONNECTIONS}/{wrong}/projects")]

    assert [answer.status_code for answer in answers] == [status] * 2


def test_a_connection_of_another_project_does_not_exist(
    keyway: KeywayClient, app: FastAPI, runtime: Runtime, connection: str
) -> None:
    own = create_project(runtime, "owner/own", slug="owner/own").project.id
    token = create_token(runtime, "own", [Scope.READ, Scope.WRITE, Scope.SYNC], project_id=own)
    other = KeywayClient(app, token.get_secret_value())

    mine = connect(other, "railway", "demo-account-token")
    answers = [other.delete(f"{CONNECTIONS}/{connection}"), other.delete(f"{CONNECTIONS}/{mine['id']}")]

    assert mine["id"] != connection
    assert [answer.status_code for answer in answers] == [404, 204]


# --- projects ------------------------------------------------------------------------------------------


def test_a_railway_project_is_listed_once_for_each_service(
    keyway: KeywayClient, connection: str, railway: FakeRailway
) -> None:
    railway.projects["prj-1"].services["svc-web"].repository = "owner/repo"

    found = keyway.data(keyway.get("/v1/integrations/providers/railway/all-projects"))
    alone = keyway.data(keyway.get(f"{CONNECTIONS}/{connection}/projects"))

    assert [(each["serviceId"], each["serviceName"], each["linkedRepo"]) for each in found["projects"]] == [
        ("svc-web", "web", "owner/repo"),
        ("svc-worker", "worker", None),
    ]
    assert {each["connectionId"] for each in found["projects"]} == {connection}
    assert found["projects"][0]["environments"] == ["production", "staging"]
    assert found["projects"][0]["teamName"] == "Demo workspace"
    assert [each["id"] for each in found["connections"]] == [connection]
    assert alone["projects"] == found["projects"]


def test_one_dead_connection_hides_no_other_and_is_named(
    keyway: KeywayClient, connection: str, railway: FakeRailway
) -> None:
    dead = connect(keyway, "railway", "demo-workspace-token")["id"]
    del railway.tokens["demo-workspace-token"]

    found = keyway.data(keyway.get("/v1/integrations/providers/railway/all-projects"))

    assert {each["connectionId"] for each in found["projects"]} == {connection}
    assert [each["connectionId"] for each in found["failed"]] == [dead]
    assert len(found["connections"]) == 2


def test_without_connections_both_lists_are_empty(keyway: KeywayClient) -> None:
    found = keyway.data(keyway.get("/v1/integrations/providers/vercel/all-projects"))

    assert (found["projects"], found["connections"]) == ([], [])


# --- each provider's environments ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ours", "theirs", "place"),
    [
        ("production", None, "prj_1/production"),
        ("staging", None, "prj_1/preview"),
        ("development", None, "prj_1/development"),
        ("staging", "staging", "prj_1/env_staging"),
        ("staging", "QA", "prj_1/env_qa"),
    ],
)
def test_vercel_is_written_where_the_environment_says(
    keyway: KeywayClient, vault: object, vercel: FakeVercel, ours: str, theirs: str | None, place: str
) -> None:
    row = connect(keyway, "vercel", "demo-vercel-token")
    keyway.push({"A": "1"}, environment=ours)
    body = {"connectionId": row["id"], "projectId": "prj_1", "keywayEnvironment": ours}

    result = keyway.data(keyway.post(SYNC, {**body, **({"providerEnvironment": theirs} if theirs else {})}))

    assert result["success"] is True, result
    assert {where: held for where, held in vercel.places().items() if held} == {place: {"A": "1"}}
    assert vercel.violations == []


@pytest.mark.parametrize(
    ("ours", "theirs", "context"),
    [
        ("production", None, "production"),
        ("staging", None, "deploy-preview"),
        ("development", None, "dev"),
        ("staging", "staging", "deploy-preview"),
        ("development", "local", "dev"),
        ("staging", "branch:next", "branch:next"),
    ],
)
def test_netlify_is_written_where_the_environment_says(
    keyway: KeywayClient, vault: object, netlify: FakeNetlify, ours: str, theirs: str | None, context: str
) -> None:
    row = connect(keyway, "netlify", "demo-access-token")
    keyway.push({"A": "1"}, environment=ours)
    body = {"connectionId": row["id"], "projectId": "site-shop", "keywayEnvironment": ours}

    result = keyway.data(keyway.post(SYNC, {**body, **({"providerEnvironment": theirs} if theirs else {})}))

    assert result["success"] is True, result
    held = {where: each for where, each in netlify.places().items() if each}
    assert held == {f"acc-1/site-shop/{context}": {"A": "1"}}
    assert netlify.violations == []


def test_fly_takes_any_environment_into_the_app_that_is_named(
    keyway: KeywayClient, vault: object, flyio: FakeFlyio
) -> None:
    row = connect(keyway, "flyio", flyio.demo()["token"])
    app_name = keyway.data(keyway.get(f"{CONNECTIONS}/{row['id']}/projects"))["projects"][0]["id"]
    keyway.push({"A": "1"}, environment="staging")
    body = {"connectionId": row["id"], "projectId": app_name, "keywayEnvironment": "staging"}

    result = keyway.data(keyway.post(SYNC, body))

    assert result["success"] is True, result
    assert flyio.places()[app_name] == {"A": "1"}


def test_a_token_for_another_app_leaves_the_first_connection_alone(
    keyway: KeywayClient, vault: object, flyio: FakeFlyio
) -> None:
    flyio.tokens["fm2_worker"] = FlyioToken(("acme",), app="shop-worker")
    flyio.tokens["fm2_demo-again"] = FlyioToken(("acme",), app="shop")
    keyway.push({"A": "1"})
    first = connect(keyway, "flyio", "fm2_demo-deploy")["id"]

    second = connect(keyway, "flyio", "fm2_worker")["id"]
    renewed = connect(keyway, "flyio", "fm2_demo-again")["id"]
    result = keyway.data(keyway.post(SYNC, {"connectionId": first, "projectId": "shop"}))

    assert renewed == first != second
    assert result["success"] is True


def test_a_person_of_many_organisations_connects(
    keyway: KeywayClient, vault: object, flyio: FakeFlyio
) -> None:
    names = tuple(f"organisation-number-{number}" for number in range(15))
    flyio.orgs |= {name: name.title() for name in names}
    flyio.tokens["fm2_many"] = FlyioToken(names)

    row = connect(keyway, "flyio", "fm2_many")

    assert row["provider"] == "flyio"


def test_what_cannot_be_read_is_not_pulled(keyway: KeywayClient, vault: object, flyio: FakeFlyio) -> None:
    row = connect(keyway, "flyio", flyio.demo()["token"])
    app_name = keyway.data(keyway.get(f"{CONNECTIONS}/{row['id']}/projects"))["projects"][0]["id"]
    body = {"connectionId": row["id"], "projectId": app_name, "direction": "pull"}

    answer = keyway.post(SYNC, body)

    assert answer.status_code == 400
    assert "does not show values" in answer.json()["detail"]


def test_vercel_values_are_pulled_in_clear(keyway: KeywayClient, vault: object, vercel: FakeVercel) -> None:
    row = connect(keyway, "vercel", "demo-vercel-token")
    vercel.add("prj_1", "A", "in clear", "production")

    result = keyway.data(
        keyway.post(SYNC, {"connectionId": row["id"], "projectId": "prj_1", "direction": "pull"})
    )

    assert result["created"] == 1
    assert keyway.pull() == "A='in clear'"


@pytest.mark.parametrize(
    ("provider", "token", "ids"),
    [
        ("netlify", "demo-access-token", {"site-shop", "site-blog"}),
        ("vercel", "demo-vercel-token", {"prj_1", "prj_2", "prj_3"}),
        ("railway", "demo-account-token", {"prj-1", "prj-2"}),
    ],
)
def test_every_page_of_a_listing_is_read(
    keyway: KeywayClient,
    netlify: FakeNetlify,
    vercel: FakeVercel,
    railway: FakeRailway,
    provider: str,
    token: str,
    ids: set[str],
) -> None:
    netlify.page_size = vercel.page_size = railway.page_size = 1
    vercel.projects["prj_3"] = FakeProject("prj_3", "third", "team_1")
    shop = railway.projects["prj-1"]
    railway.projects["prj-2"] = replace(shop, id="prj-2")
    row = connect(keyway, provider, token)

    found = keyway.data(keyway.get(f"{CONNECTIONS}/{row['id']}/projects"))["projects"]

    assert {each["id"] for each in found} == ids


# --- with a browser ------------------------------------------------------------------------------------


def sign_in(anonymous: ApiClient, began: httpx.Response, fake: FakeVercel | FakeNetlify) -> httpx.Response:
    """Follow the way from our redirect over the provider's page back to us."""
    http = httpx.Client(transport=InProcess(fake), trust_env=False)
    back = urlsplit(http.get(began.headers["location"]).headers["location"])
    cookie = began.headers["set-cookie"].partition(";")[0]
    return anonymous.request("GET", f"{back.path}?{back.query}", headers={"Cookie": cookie})


def test_a_browser_connects_with_the_token_of_the_query(
    keyway: KeywayClient, anonymous: ApiClient, registered: Runtime, netlify: FakeNetlify, clock: ManualClock
) -> None:
    began = anonymous.get("/v1/integrations/netlify/authorize", token=keyway.token)
    first = sign_in(anonymous, began, netlify)
    before = listed(keyway)
    clock.advance(seconds=60)

    second = sign_in(
        anonymous, anonymous.get("/v1/integrations/netlify/authorize", token=keyway.token), netlify
    )

    assert began.status_code == 302
    assert "HttpOnly" in began.headers["set-cookie"]
    assert "SameSite=lax" in began.headers["set-cookie"]
    assert "Secure" in began.headers["set-cookie"]
    assert (first.status_code, second.status_code) == (200, 200)
    assert "all set" in first.text
    [after] = listed(keyway)
    assert after["id"] == before[0]["id"]
    assert after["createdAt"] > before[0]["createdAt"]


def test_a_team_that_granted_it_is_kept(
    keyway: KeywayClient, anonymous: ApiClient, registered: Runtime, vercel: FakeVercel
) -> None:
    vercel.oauth.extra = {**vercel.oauth.extra, "team_id": "team_1"}
    vercel.oauth.registered = "https://keytide.example/v1/integrations/vercel/callback"

    done = sign_in(anonymous, keyway.get("/v1/integrations/vercel/authorize"), vercel)

    assert done.status_code == 200, done.text
    [found] = listed(keyway)
    assert (found["providerTeamId"], found["providerAccountId"]) == ("team_1", "team_1")


def test_a_state_serves_once_and_in_its_own_browser_only(
    keyway: KeywayClient, anonymous: ApiClient, registered: Runtime, netlify: FakeNetlify
) -> None:
    began = keyway.get("/v1/integrations/netlify/authorize")
    http = httpx.Client(transport=InProcess(netlify), trust_env=False)
    back = urlsplit(http.get(began.headers["location"]).headers["location"])

    elsewhere = anonymous.request("GET", f"{back.path}?{back.query}")
    sign_in(anonymous, began, netlify)
    again = anonymous.request(
        "GET",
        f"{back.path}?{back.query}",
        headers={"Cookie": began.headers["set-cookie"].partition(";")[0]},
    )

    assert (elsewhere.status_code, again.status_code) == (400, 400)
    assert "Connection Failed" in elsewhere.text
    assert len(listed(keyway)) == 1


def test_what_a_provider_says_is_not_shown_as_markup(anonymous: ApiClient, registered: Runtime) -> None:
    answer = anonymous.get(
        "/v1/integrations/netlify/callback",
        error="<script>alert(1)</script>",
        error_description="<script>alert(2)</script>",
    )

    assert answer.headers["content-type"].startswith("text/html")
    assert "Authorization Denied" in answer.text
    assert "<script" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_a_return_without_a_code_is_a_bad_request(anonymous: ApiClient, registered: Runtime) -> None:
    answer = anonymous.get("/v1/integrations/netlify/callback")

    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/json"


def test_browsers_are_sent_back_to_us_only(keyway: KeywayClient, registered: Runtime) -> None:
    answer = keyway.get("/v1/integrations/netlify/authorize", redirect_uri="https://evil.example/")

    assert answer.status_code == 403


def test_the_way_back_does_not_depend_on_the_host_header(keyway: KeywayClient, registered: Runtime) -> None:
    answer = keyway.request("GET", "/v1/integrations/netlify/authorize", headers={"Host": "evil.example"})

    assert "keytide.example" in answer.headers["location"]
    assert "evil.example" not in answer.headers["location"]


def test_a_provider_without_a_registration_says_so(keyway: KeywayClient) -> None:
    answers = [keyway.get(f"/v1/integrations/{name}/authorize") for name in ("vercel", "railway")]

    assert [answer.status_code for answer in answers] == [400, 400]


def test_the_query_carries_a_token_to_that_address_only(anonymous: ApiClient, keyway: KeywayClient) -> None:
    answer = anonymous.get(CONNECTIONS, token=keyway.token)

    assert answer.status_code == 401
