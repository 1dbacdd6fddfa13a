from typing import Any
from uuid import UUID

import pytest

from shared.runtime import Runtime
from shared.usecases.tokens import Scope
from tests.api.client import UNKNOWN_ID, ApiClient
from tests.fakes.railway import FakeRailway
from tests.fakes.service import Drop, Fail, Reply, Response
from tests.support import create_token

RAILWAY = "/api/v1/app-connections/railway"
CANARY = "canary-token-08d1"
Body = dict[str, Any]


def new(**change: Any) -> Body:
    credentials = {"apiToken": "demo-account-token"}
    return {"name": "railway", "method": "account-token", "credentials": credentials, **change}


def create(api: ApiClient, **change: Any) -> Body:
    answer = api.post(RAILWAY, new(**change))
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["appConnection"])


def names(api: ApiClient, path: str = "/api/v1/app-connections", **query: str) -> list[str]:
    return [each["name"] for each in api.get(path, **query).json()["appConnections"]]


@pytest.fixture
def railway(railway: FakeRailway) -> FakeRailway:
    railway.tokens[CANARY] = railway.tokens["demo-account-token"]
    return railway


# --- the table of section 3.1 --------------------------------------------------------------------------


def test_the_options_name_every_provider_with_its_methods(api: ApiClient) -> None:
    options = api.get("/api/v1/app-connections/options").json()["appConnectionOptions"]

    [railway] = [option for option in options if option["app"] == "railway"]
    assert railway["name"] == "Railway"
    assert {"account-token", "project-token", "team-token"} <= set(railway["methods"])
    assert [option["name"] for option in options] == sorted(option["name"] for option in options)


def test_a_connection_is_created_once_the_provider_accepted_it(api: ApiClient, railway: FakeRailway) -> None:
    connection = create(api, description=" for production ", credentials={"apiToken": CANARY})

    assert connection["credentials"] == {}
    assert (
        connection.items()
        >= {
            "name": "railway",
            "description": "for production",
            "app": "railway",
            "method": "account-token",
            "version": 1,
            "projectId": None,
            "project": None,
            "isPlatformManagedCredentials": False,
            "status": "connected",
        }.items()
    )
    assert len(railway.calls) == 1


def test_a_connection_is_found_by_id_and_by_name(api: ApiClient) -> None:
    connection = create(api)

    assert api.get(f"{RAILWAY}/{connection['id']}").json() == {"appConnection": connection}
    assert api.get(f"{RAILWAY}/connection-name/railway").json() == {"appConnection": connection}


def test_a_connection_may_belong_to_one_project(api: ApiClient, project_id: UUID, foreign_id: UUID) -> None:
    create(api, name="everybody")
    own = create(api, name="own", projectId=str(project_id))

    assert own["project"]["slug"] == "shop"
    assert names(api) == ["everybody", "own"]
    assert names(api, projectId=str(project_id)) == ["everybody", "own"]
    assert names(api, projectId=str(foreign_id)) == ["everybody"]
    assert names(api, limit="1", offset="1") == ["own"]
    assert names(api, f"{RAILWAY}/available", projectId=str(foreign_id)) == ["everybody"]
    assert names(api, RAILWAY) == ["everybody", "own"]
    assert names(api, "/api/v1/app-connections/dotenv") == []


def test_the_short_list_names_what_a_sync_needs(api: ApiClient) -> None:
    connection = create(api)

    assert api.get(f"{RAILWAY}/available").json()["appConnections"] == [
        {"app": "railway", "name": "railway", "id": connection["id"], "projectId": None, "orgId": None}
    ]


def test_a_change_leaves_out_what_is_not_sent(api: ApiClient) -> None:
    connection = create(api, description="old")
    path = f"{RAILWAY}/{connection['id']}"

    renamed = api.patch(path, {"name": "renamed"}).json()["appConnection"]
    cleared = api.patch(path, {"description": None}).json()["appConnection"]

    assert (renamed["name"], renamed["description"], renamed["version"]) == ("renamed", "old", 2)
    assert (cleared["name"], cleared["description"]) == ("renamed", None)


def test_the_method_stays_and_may_be_sent_again(api: ApiClient) -> None:
    created = create(api)
    path = f"/api/v1/app-connections/railway/{created['id']}"
    # What Terraform sends: an empty description, and everything that does not change.
    body = {"description": "", "name": "renamed", "method": created["method"]}

    assert api.patch(path, body).json()["appConnection"]["name"] == "renamed"
    answer = api.patch(path, {**body, "method": "team-token"})

    assert answer.status_code == 400
    assert api.get(path).json()["appConnection"]["method"] == created["method"]


def test_new_credentials_are_checked_before_they_replace_the_old(api: ApiClient) -> None:
    connection = create(api)
    path = f"{RAILWAY}/{connection['id']}"

    refused = api.patch(path, {"credentials": {"apiToken": "nobody's"}})

    assert refused.status_code == 400
    assert api.get(path).json()["appConnection"]["version"] == 1
    assert api.get(f"{path}/projects").status_code == 200
    assert api.patch(path, {"credentials": {"apiToken": CANARY}}).json()["appConnection"]["version"] == 2


def test_a_connection_without_syncs_can_be_deleted(api: ApiClient) -> None:
    connection = create(api)

    answer = api.delete(f"{RAILWAY}/{connection['id']}")

    assert answer.json()["appConnection"]["id"] == connection["id"]
    assert names(api) == []


def test_a_connection_in_use_stays(api: ApiClient, sync: Body) -> None:
    answer = api.delete(f"{RAILWAY}/{sync['connectionId']}")

    assert answer.status_code == 400
    assert "to-railway" in answer.json()["message"]
    assert names(api) == ["railway"]


# --- what is refused -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "status", "path"),
    [
        ({"name": "Upper"}, 422, ["name"]),
        ({"name": "under_score"}, 422, ["name"]),
        ({"name": ""}, 422, ["name"]),
        ({"name": "n" * 65}, 422, ["name"]),
        ({"description": "d" * 257}, 422, ["description"]),
        ({"method": "guessing"}, 400, None),
        ({"method": 7}, 422, ["method"]),
        ({"credentials": {}}, 422, ["credentials", "apiToken"]),
        ({"credentials": {"apiToken": ""}}, 422, ["credentials", "apiToken"]),
        ({"credentials": {"apiToken": CANARY * 20}}, 422, ["credentials", "apiToken"]),
        ({"credentials": {"apiToken": [CANARY]}}, 422, ["credentials", "apiToken"]),
        ({"credentials": {"apiToken": "demo-account-token", "more": CANARY}}, 422, ["credentials", "more"]),
        ({"credentials": CANARY}, 422, ["credentials"]),
        ({"credentials": {"apiToken": f"{CANARY}-unknown"}}, 400, None),
        ({"credentials": {"apiToken": f"{CANARY}\n"}}, 400, None),
        ({"isPlatformManagedCredentials": True}, 422, ["isPlatformManagedCredentials"]),
        ({"projectId": UNKNOWN_ID}, 404, None),
        ({"projectId": "not-an-id"}, 422, ["projectId"]),
    ],
)
def test_a_wrong_connection_is_refused_and_not_stored(
    api: ApiClient,
    change: Body,
    status: int,
    path: list[str] | None,
    capfd: pytest.CaptureFixture[str],
) -> None:
    answer = api.post(RAILWAY, new(**change))

    assert answer.status_code == status, answer.text
    assert CANARY not in answer.text + "".join(capfd.readouterr())
    assert names(api) == []
    if path is not None:
        assert [issue["path"] for issue in answer.json()["message"]] == [path]


def test_a_check_says_whether_the_credentials_still_work(api: ApiClient, railway: FakeRailway) -> None:
    connection = create(api, credentials={"apiToken": CANARY})
    del railway.tokens[CANARY]

    answer = api.post(f"{RAILWAY}/{connection['id']}/check", {})

    checked = answer.json()["appConnection"]
    assert answer.status_code == 200
    assert checked["status"] != connection["status"]
    assert checked["lastError"]
    assert CANARY not in answer.text


def test_a_name_is_taken_once_for_each_provider(api: ApiClient) -> None:
    create(api)

    answer = api.post(RAILWAY, new())

    assert answer.status_code == 400
    assert "railway" in answer.json()["message"]
    assert names(api) == ["railway"]


def test_an_unknown_provider_is_answered_with_those_that_exist(api: ApiClient) -> None:
    answer = api.post("/api/v1/app-connections/abacus", new())

    assert answer.status_code == 404
    assert "railway" in answer.json()["message"]


@pytest.mark.parametrize(
    ("fault", "status"), [(Fail(500), 503), (Fail(429), 503), (Drop(applied=False), 502)]
)
def test_a_provider_that_is_out_of_order_stores_nothing(
    api: ApiClient, railway: FakeRailway, fault: Fail | Drop, status: int
) -> None:
    railway.fail_next(fault)

    answer = api.post(RAILWAY, new())

    assert answer.status_code == status
    assert "Railway" in answer.json()["message"]
    assert names(api) == []


def test_a_provider_that_asks_for_patience_is_quoted(api: ApiClient, railway: FakeRailway) -> None:
    railway.fail_next(Reply(Response(429, {}, {"Retry-After": "17"})))

    assert api.post(RAILWAY, new()).headers["retry-after"] == "17"


# --- what a connection can see -------------------------------------------------------------------------


def test_railways_projects_are_listed_with_services_and_environments(api: ApiClient) -> None:
    connection = create(api)

    [project] = api.get(f"{RAILWAY}/{connection['id']}/projects").json()["projects"]

    assert (project["id"], project["name"]) == ("prj-1", "shop")
    assert {"id": "svc-web", "name": "web"} in project["services"]
    assert {"id": "env-production", "name": "production"} in project["environments"]


def connect(api: ApiClient, app: str, method: str, **credentials: str) -> str:
    body = {"name": app, "method": method, "credentials": credentials}
    answer = api.post(f"/api/v1/app-connections/{app}", body)
    assert answer.status_code == 200, answer.text
    return f"/api/v1/app-connections/{app}/{answer.json()['appConnection']['id']}"


@pytest.mark.usefixtures("vercel")
def test_vercels_projects_are_listed_by_team_and_the_persons_own_beside_them(api: ApiClient) -> None:
    connection = connect(api, "vercel", "api-token", apiToken="demo-vercel-token")

    team, personal = api.get(f"{connection}/projects").json()

    assert (team["id"], team["name"]) == ("team_1", "Demo team")
    assert team["apps"] == [{"id": "prj_1", "name": "shop"}]
    assert personal["apps"] == [{"id": "prj_2", "name": "notes"}]


@pytest.mark.usefixtures("vercel")
def test_a_project_of_vercel_is_shown_with_its_custom_environments(api: ApiClient) -> None:
    connection = connect(api, "vercel", "api-token", apiToken="demo-vercel-token")

    project = api.get(f"{connection}/projects/prj_1", teamId="team_1").json()

    assert project["name"] == "shop"
    assert [each["slug"] for each in project["envs"]] == [
        "production",
        "preview",
        "development",
        "staging",
        "qa",
    ]
    assert api.get(f"{connection}/projects/prj_9").status_code == 404


@pytest.mark.usefixtures("netlify")
def test_netlifys_sites_are_listed_by_team(api: ApiClient) -> None:
    connection = connect(api, "netlify", "access-token", accessToken="demo-access-token")

    assert api.get(f"{connection}/accounts").json() == {"accounts": [{"id": "acc-1", "name": "Demo team"}]}
    sites = api.get(f"{connection}/accounts/acc-1/sites").json()["sites"]
    assert [site["name"] for site in sites] == ["shop", "blog"]


@pytest.mark.usefixtures("flyio")
def test_flys_apps_are_listed(api: ApiClient) -> None:
    connection = connect(api, "flyio", "access-token", accessToken="FlyV1 fm2_demo-org")

    assert [app["name"] for app in api.get(f"{connection}/apps").json()] == ["shop", "shop-worker"]


def test_a_listing_of_another_provider_is_not_found(api: ApiClient) -> None:
    connection = create(api)

    for path in ("vercel/{}/projects", "netlify/{}/accounts", "flyio/{}/apps"):
        answer = api.get("/api/v1/app-connections/" + path.format(connection["id"]))

        assert answer.status_code == 404


def test_a_listing_says_that_the_provider_refused(api: ApiClient, railway: FakeRailway) -> None:
    connection = create(api)
    del railway.tokens["demo-account-token"]

    answer = api.get(f"{RAILWAY}/{connection['id']}/projects")

    assert answer.status_code == 400
    assert "Railway answered" in answer.json()["message"]


# --- who may -------------------------------------------------------------------------------------------


def test_a_projects_token_makes_connections_for_its_project_only(
    api: ApiClient, runtime: Runtime, project_id: UUID, foreign_id: UUID
) -> None:
    token = create_token(runtime, "syncer", [Scope.READ, Scope.SYNC], project_id=project_id)
    member = ApiClient(api.app, token.get_secret_value())
    everybodys = create(api, name="everybody")

    assert member.post(RAILWAY, new(projectId=str(project_id))).status_code == 200
    assert member.post(RAILWAY, new(name="x", projectId=str(foreign_id))).status_code == 403
    assert member.post(RAILWAY, new(name="x")).status_code == 403
    assert member.patch(f"{RAILWAY}/{everybodys['id']}", {"name": "mine"}).status_code == 403
    assert member.delete(f"{RAILWAY}/{everybodys['id']}").status_code == 403
    assert member.get(f"{RAILWAY}/{everybodys['id']}/projects").status_code == 200
    assert names(member) == ["everybody", "railway"]
