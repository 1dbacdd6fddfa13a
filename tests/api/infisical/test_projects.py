from typing import Any
from uuid import UUID

import pytest

from tests.api.client import UNKNOWN_ID, ApiClient


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
    assert created["environment"] == {"id": created["environment"]["id"], "name": "Quality", "slug": "qa"}
    assert created["workspace"] == str(project_id)
    environments = api.get(f"/api/v1/projects/{project_id}").json()["project"]["environments"]
    assert [each["slug"] for each in environments][-1] == "qa"


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
