from typing import Any
from uuid import UUID

import pytest

from tests.api.client import UNKNOWN_ID, ApiClient


@pytest.fixture
def production(project_id: UUID) -> dict[str, Any]:
    return {"projectId": str(project_id), "environment": "production"}


def create(api: ApiClient, **body: Any) -> dict[str, Any]:
    return dict(api.post("/api/v2/folders", body).json()["folder"])


def test_a_folder_is_created_with_those_above_it(api: ApiClient, production: dict[str, Any]) -> None:
    folder = create(api, **production, path="/apps/web", name="secrets", description="of the shop")

    assert (folder["name"], folder["path"]) == ("secrets", "/apps/web/secrets")
    assert folder["description"] == "of the shop"
    assert folder["environment"]["envSlug"] == "production"
    above = api.get("/api/v2/folders", **production, path="/apps").json()["folders"]
    assert [each["name"] for each in above] == ["web"]
    assert folder["parentId"] == above[0]["id"]


def test_a_folder_is_found_by_its_id(api: ApiClient, production: dict[str, Any]) -> None:
    folder = create(api, **production, name="web")

    assert api.get(f"/api/v2/folders/{folder['id']}").json() == {"folder": folder}
    assert api.get(f"/api/v1/folders/{folder['id']}").json() == {"folder": folder}


def test_a_deleted_folder_is_gone_with_its_secrets(api: ApiClient, production: dict[str, Any]) -> None:
    folder = create(api, **production, name="web")
    place = {**production, "secretPath": "/web"}
    api.post("/api/v4/secrets/KEY", {**place, "secretValue": "x"})

    answer = api.delete(f"/api/v2/folders/{folder['id']}")

    assert answer.json()["folder"]["id"] == folder["id"]
    assert api.get(f"/api/v2/folders/{folder['id']}").status_code == 404
    assert api.get("/api/v4/secrets", **place).status_code == 404


def test_the_old_names_are_taken(api: ApiClient, project_id: UUID) -> None:
    old = {"workspaceId": str(project_id), "environment": "production", "directory": "/apps"}

    folder = api.post("/api/v1/folders", {**old, "name": "web"}).json()["folder"]

    assert folder["path"] == "/apps/web"
    assert api.get("/api/v1/folders", **old).json()["folders"] == [folder]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"name": ""}, 422),
        ({"name": "a/b"}, 400),
        ({"name": "a b"}, 400),
        ({"name": ".."}, 400),
        ({"name": "web"}, 400),
        ({"path": "/nö"}, 400),
        ({"environment": "nowhere"}, 404),
        ({"projectId": "not-an-id"}, 422),
        ({"projectId": UNKNOWN_ID}, 404),
    ],
)
def test_a_wrong_folder_is_refused_and_not_stored(
    api: ApiClient, production: dict[str, Any], change: dict[str, Any], status: int
) -> None:
    create(api, **production, name="web")

    answer = api.post("/api/v2/folders", {**production, "name": "new", **change})

    assert answer.status_code == status
    assert len(api.get("/api/v2/folders", **production).json()["folders"]) == 1


def test_a_folder_is_renamed_and_described(api: ApiClient, production: dict[str, Any]) -> None:
    folder = create(api, **production, path="/apps", name="web", description="of the shop")
    # What clients of the wire send: they name the place again.
    body = {**production, "path": "/apps", "name": "www", "description": "new"}

    for version in ("v1", "v2"):
        answer = api.patch(f"/api/{version}/folders/{folder['id']}", body)
        assert answer.status_code == 200, answer.text

    changed = answer.json()["folder"]
    assert (changed["path"], changed["description"]) == ("/apps/www", "new")
    assert api.get("/api/v4/secrets", **production, secretPath="/apps/web").status_code == 404


@pytest.mark.parametrize(("name", "status"), [("", 422), ("a/b", 400), ("a b", 400), ("taken", 400)])
def test_a_folder_is_not_renamed_to_what_is_no_name_or_taken(
    api: ApiClient, production: dict[str, Any], name: str, status: int
) -> None:
    folder = create(api, **production, name="web")
    create(api, **production, name="taken")

    answer = api.patch(f"/api/v2/folders/{folder['id']}", {"name": name})

    assert answer.status_code == status
    assert api.get(f"/api/v2/folders/{folder['id']}").json()["folder"]["path"] == "/web"


def test_all_folders_below_a_path_are_listed_on_request(api: ApiClient, production: dict[str, Any]) -> None:
    create(api, **production, path="/apps/web", name="deep")

    def listed(**query: str) -> list[tuple[str, str | None]]:
        found = api.get("/api/v2/folders", **production, **query).json()["folders"]
        return [(each["path"], each["relativePath"]) for each in found]

    assert listed() == [("/apps", None)]
    assert listed(recursive="False", path="/apps") == [("/apps/web", None)]
    assert listed(recursive="true", path="/apps") == [("/apps/web", "/web"), ("/apps/web/deep", "/web/deep")]
    assert listed(recursive="True")[0] == ("/apps", "/apps")


def test_a_folder_is_found_by_its_path(api: ApiClient, production: dict[str, Any]) -> None:
    folder = create(api, **production, path="/apps", name="web")
    at = f"/api/v1/folders/{production['projectId']}/production"

    assert api.get(f"{at}/%2Fapps%2Fweb").json() == {"folder": folder}
    assert api.get(f"{at}/apps/web").json() == {"folder": folder}
    assert api.get(f"{at}/%2F").json()["folder"]["path"] == "/"
    assert api.get(f"{at}/%2Fnowhere").status_code == 404


def test_a_folder_is_deleted_by_its_name(api: ApiClient, production: dict[str, Any]) -> None:
    folder = create(api, **production, path="/apps", name="web")

    unplaced = [api.delete("/api/v2/folders/web", body).status_code for body in (None, {}, {"path": "/apps"})]
    elsewhere = api.delete("/api/v2/folders/web", {**production, "path": "/"})
    deleted = api.delete("/api/v2/folders/web", {**production, "path": "/apps", "forceDelete": False})

    assert (unplaced, elsewhere.status_code) == ([400, 400, 400], 404)
    assert deleted.json()["folder"]["id"] == folder["id"]
    assert api.get("/api/v2/folders", **production, path="/apps").json() == {"folders": []}


def test_the_root_folder_stays(api: ApiClient, production: dict[str, Any]) -> None:
    root = create(api, **production, name="web")["parentId"]

    assert api.delete(f"/api/v2/folders/{root}").status_code == 400
