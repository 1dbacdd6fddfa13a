from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI

from shared.runtime import Runtime
from shared.usecases.tokens import Scope
from tests.api.client import UNKNOWN_ID, ApiClient
from tests.support import create_token


def slugs(answer: dict[str, Any]) -> list[str]:
    return [project["slug"] for project in answer["projects"]]


def test_a_project_begins_with_three_environments(api: ApiClient) -> None:
    answer = api.post("/api/v1/projects", {"projectName": " Web shop ", "projectDescription": "sells"})

    project = answer.json()["project"]
    assert project["id"] == project["_id"]
    assert (project["name"], project["slug"], project["description"]) == ("Web shop", "web-shop", "sells")
    environments = [each["slug"] for each in project["environments"]]
    assert environments == ["development", "staging", "production"]


def test_a_project_is_found_by_id_and_by_slug(api: ApiClient, project_id: UUID) -> None:
    by_id = api.get(f"/api/v1/projects/{project_id}").json()["project"]

    assert by_id["slug"] == "shop"
    assert api.get("/api/v1/projects/slug/shop").json()["project"] == by_id
    assert api.get(f"/api/v1/workspace/{project_id}").json()["workspace"] == by_id


def test_a_slug_may_be_a_repository(api: ApiClient) -> None:
    api.post("/api/v1/projects", {"projectName": "Api", "slug": "acme/api"})

    assert api.get("/api/v1/projects/slug/acme/api").json()["project"]["name"] == "Api"


def test_projects_are_listed_in_pages(api: ApiClient, project_id: UUID, foreign_id: UUID) -> None:
    everything = api.get("/api/v1/projects").json()
    second = api.get("/api/v1/projects", limit=1, offset=1).json()

    assert sorted(slugs(everything)) == ["bank", "shop"]
    assert slugs(second) == slugs(everything)[1:]
    assert api.get("/api/v1/workspace").json()["workspaces"] == everything["projects"]


def test_an_environment_is_added_behind_the_others(api: ApiClient, project_id: UUID) -> None:
    answer = api.post(f"/api/v1/projects/{project_id}/environments", {"name": "Quality", "slug": "qa"})

    created = answer.json()
    assert created["environment"] == {
        "id": created["environment"]["id"],
        "name": "Quality",
        "slug": "qa",
        "position": 4,
        "projectId": str(project_id),
    }
    assert created["workspace"] == created["projectId"] == str(project_id)
    environments = api.get(f"/api/v1/projects/{project_id}").json()["project"]["environments"]
    assert [each["slug"] for each in environments][-1] == "qa"


@pytest.mark.parametrize("name", ["projects", "workspace"])
def test_an_environment_is_found_changed_and_deleted(
    api: ApiClient, project_id: UUID, foreign_id: UUID, name: str
) -> None:
    environments = f"/api/v1/{name}/{project_id}/environments"
    # What Terraform sends: it names the project again.
    body = {"name": "Quality", "slug": "qa", "position": 1, "workspaceId": str(project_id)}
    created = api.post(environments, body).json()["environment"]
    one = f"{environments}/{created['id']}"

    by_id = api.get(one if name == "projects" else f"/api/v1/workspace/environments/{created['id']}")
    by_slug = api.get(f"/api/v1/projects/{project_id}/environments/slug/qa")
    changed = api.patch(one, {"name": "Check", "slug": "check", "position": 4})
    of_another = api.delete(f"/api/v1/{name}/{foreign_id}/environments/{created['id']}")
    deleted = api.delete(one, {"id": created["id"]})

    assert created["position"] == 1
    assert (by_id.json(), by_slug.json()) == ({"environment": created}, created)
    assert changed.json()["environment"] == {**created, "name": "Check", "slug": "check", "position": 4}
    assert of_another.status_code == 404
    assert deleted.json()["environment"]["id"] == created["id"]
    left = api.get(f"/api/v1/projects/{project_id}").json()["project"]["environments"]
    assert [each["slug"] for each in left] == ["development", "staging", "production"]


def test_older_clients_find_the_environments_they_count_on(api: ApiClient) -> None:
    made = api.post("/api/v2/workspace", {"projectName": "Shop", "slug": "shop", "type": "secret-manager"})

    project = made.json()["project"]
    assert [each["slug"] for each in project["environments"]] == ["dev", "staging", "prod"]
    assert api.get("/api/v2/workspace/shop").json() == project
    assert (project["type"], project["hasDeleteProtection"]) == ("secret-manager", False)


@pytest.mark.parametrize("path", ["/api/v1/projects", "/api/v2/workspace"])
def test_a_project_can_begin_without_environments(api: ApiClient, path: str) -> None:
    body = {"projectName": "Shop", "slug": "", "organizationSlug": "", "shouldCreateDefaultEnvs": False}

    project = api.post(path, body).json()["project"]

    assert (project["slug"], project["environments"]) == ("shop", [])


@pytest.mark.parametrize("name", ["projects", "workspace"])
def test_a_project_is_renamed_and_described(api: ApiClient, project_id: UUID, name: str) -> None:
    body = {"name": "Store", "slug": "store", "description": "sells", "hasDeleteProtection": False}

    changed = api.patch(f"/api/v1/{name}/{project_id}", body).json()[name.removesuffix("s")]
    cleared = api.patch(f"/api/v1/{name}/{project_id}", {"description": None}).json()[name.removesuffix("s")]

    assert (changed["name"], changed["slug"], changed["description"]) == ("Store", "store", "sells")
    assert (cleared["name"], cleared["description"] or None) == ("Store", None)
    assert api.get("/api/v1/projects/slug/store").status_code == 200


def test_a_repositorys_name_takes_an_administrator_of_all_projects(
    app: FastAPI, runtime: Runtime, api: ApiClient, project_id: UUID
) -> None:
    """People known to GitHub push their secrets to whichever project bears it."""
    path = f"/api/v1/projects/{project_id}"
    token = create_token(runtime, "of one project", [Scope.ADMIN], project_id=project_id)
    own = ApiClient(app, token.get_secret_value())

    taken = own.patch(path, {"slug": "bank/payments"})
    given = api.patch(path, {"slug": "bank/payments"})
    kept = own.patch(path, {"slug": "bank/payments", "name": "Payments"})
    renamed = own.patch(path, {"slug": "bank/payrolls"})

    answers = [taken, given, kept, renamed]
    assert [answer.status_code for answer in answers] == [403, 200, 200, 403]
    assert api.get(path).json()["project"]["slug"] == "bank/payments"


def test_a_project_does_not_take_the_slug_of_another(
    api: ApiClient, project_id: UUID, foreign_id: UUID
) -> None:
    for slug in ("bank", "two words"):
        assert api.patch(f"/api/v1/projects/{project_id}", {"slug": slug}).status_code == 400

    assert api.get(f"/api/v1/projects/{project_id}").json()["project"]["slug"] == "shop"


@pytest.mark.parametrize("path", ["/api/v1/projects/{}", "/api/v1/workspace/{}", "/api/v2/workspace/shop"])
def test_a_deleted_project_is_gone_with_all_that_is_its_own(
    api: ApiClient, project_id: UUID, foreign_id: UUID, sync: dict[str, Any], path: str
) -> None:
    place = {"projectId": str(project_id), "environment": "production"}
    api.post("/api/v4/secrets/KEY", {**place, "secretValue": "x"})
    own = {
        "name": "own",
        "method": "account-token",
        "credentials": {"apiToken": "demo-account-token"},
        "projectId": str(project_id),
    }
    api.post("/api/v1/app-connections/railway", own)

    answer = api.delete(path.format(project_id))

    assert answer.status_code == 200
    assert slugs(api.get("/api/v1/projects").json()) == ["bank"]
    assert api.get(f"/api/v1/secret-syncs/railway/{sync['id']}").status_code == 404
    left = api.get("/api/v1/app-connections").json()["appConnections"]
    assert [each["name"] for each in left] == ["railway"]


@pytest.mark.parametrize(
    "change",
    [
        {"type": "cert-manager"},
        {"template": "ours"},
        {"kmsKeyId": "key"},
        {"hasDeleteProtection": True},
    ],
)
def test_what_only_infisical_has_is_refused_rather_than_ignored(
    api: ApiClient, change: dict[str, Any]
) -> None:
    for path in ("/api/v1/projects", "/api/v2/workspace"):
        assert api.post(path, {"projectName": "Shop", **change}).status_code == 422

    assert slugs(api.get("/api/v1/projects").json()) == []


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/api/v1/projects", {}, 422),
        ("/api/v1/projects", {"projectName": "  "}, 422),
        ("/api/v1/projects", {"projectName": "x" * 65}, 422),
        ("/api/v1/projects", {"projectName": 7}, 422),
        ("/api/v1/projects", {"projectName": "x", "slug": "two words"}, 400),
        ("/api/v1/projects", {"projectName": "x", "slug": "shop"}, 400),
        ("/api/v1/projects", {"projectName": "x", "projectDescription": "d" * 257}, 422),
    ],
)
def test_a_wrong_project_is_refused_and_not_stored(
    api: ApiClient, project_id: UUID, path: str, body: dict[str, Any], status: int
) -> None:
    answer = api.post(path, body)

    assert answer.status_code == status
    assert slugs(api.get("/api/v1/projects").json()) == ["shop"]


@pytest.mark.parametrize(
    ("slug", "status"),
    [("Prod", 422), ("a--b", 422), ("-a", 422), ("", 422), ("ü", 422), ("production", 400)],
)
def test_a_wrong_environment_is_refused(api: ApiClient, project_id: UUID, slug: str, status: int) -> None:
    answer = api.post(f"/api/v1/projects/{project_id}/environments", {"name": "X", "slug": slug})

    assert answer.status_code == status
    environments = api.get(f"/api/v1/projects/{project_id}").json()["project"]["environments"]
    assert len(environments) == 3


def test_what_does_not_exist_is_not_found(api: ApiClient) -> None:
    for path in (f"/api/v1/projects/{UNKNOWN_ID}", "/api/v1/projects/slug/nothing"):
        answer = api.get(path)

        assert (answer.status_code, answer.json()["error"]) == (404, "NotFound")
