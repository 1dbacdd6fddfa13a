from typing import Any
from uuid import UUID

import pytest

from tests.api.client import UNKNOWN_ID, ApiClient

IMPORTS = "/api/v2/secret-imports"


@pytest.fixture
def production(api: ApiClient, project_id: UUID) -> dict[str, Any]:
    """The root folder of production, beside two folders to import."""
    place = {"projectId": str(project_id), "environment": "production"}
    for name in ("first", "second"):
        api.post("/api/v2/folders", {**place, "name": name})
        api.post("/api/v4/secrets/NAME", {**place, "secretPath": f"/{name}", "secretValue": name})
    return {**place, "path": "/"}


def create(api: ApiClient, production: dict[str, Any], path: str) -> dict[str, Any]:
    body = {**production, "import": {"environment": "production", "path": path}}
    return dict(api.post(IMPORTS, body).json()["secretImport"])


def listed(api: ApiClient, production: dict[str, Any]) -> list[str]:
    found = api.get(IMPORTS, **production).json()["secretImports"]
    return [each["importPath"] for each in found]


def test_an_import_shows_the_other_folder(api: ApiClient, production: dict[str, Any]) -> None:
    created = create(api, production, "/first")

    assert created["importPath"] == "/first"
    assert created["importEnv"]["slug"] == "production"
    assert created["position"] == 1
    place = {"projectId": production["projectId"], "environment": "production", "secretPath": "/"}
    [shown] = api.get("/api/v4/secrets", **place, include_imports="true").json()["imports"]
    assert shown["secretPath"] == "/first"
    assert [each["secretValue"] for each in shown["secrets"]] == ["first"]


def test_an_import_can_be_moved(api: ApiClient, production: dict[str, Any]) -> None:
    create(api, production, "/first")
    second = create(api, production, "/second")

    answer = api.patch(f"{IMPORTS}/{second['id']}", {**production, "import": {"position": 1}})

    assert answer.json()["secretImport"]["position"] == 1
    assert listed(api, production) == ["/second", "/first"]


def test_an_import_can_be_removed(api: ApiClient, production: dict[str, Any]) -> None:
    created = create(api, production, "/first")

    answer = api.delete(f"{IMPORTS}/{created['id']}", production)

    assert answer.json()["secretImport"]["id"] == created["id"]
    assert listed(api, production) == []


def test_an_import_is_found_by_its_id(api: ApiClient, production: dict[str, Any]) -> None:
    created = create(api, production, "/first")

    for version in ("v1", "v2"):
        found = api.get(f"/api/{version}/secret-imports/{created['id']}").json()["secretImport"]
        assert found == created
    assert found["projectId"] == production["projectId"]
    assert (found["environment"]["slug"], found["secretPath"]) == ("production", "/")
    assert api.get(f"{IMPORTS}/{UNKNOWN_ID}").status_code == 404


def test_an_import_can_show_another_folder_instead(api: ApiClient, production: dict[str, Any]) -> None:
    created = create(api, production, "/first")
    create(api, production, "/second")
    api.post("/api/v2/folders", {**production, "name": "third"})

    def show(path: str) -> int:
        # Terraform sends no position.
        body = {**production, "isReplication": False, "import": {"environment": "production", "path": path}}
        return api.patch(f"{IMPORTS}/{created['id']}", body).status_code

    assert [show("/first"), show("/third"), show("/second"), show("/nowhere"), show("/")] == [
        200,
        200,
        400,
        404,
        400,
    ]
    assert listed(api, production) == ["/third", "/second"]


def test_the_old_paths_and_names_are_taken(api: ApiClient, production: dict[str, Any]) -> None:
    old = {"workspaceId": production["projectId"], "environment": "production", "path": "/"}

    api.post("/api/v1/secret-imports", {**old, "import": {"environment": "production", "path": "/first"}})

    assert len(api.get("/api/v1/secret-imports", **old).json()["secretImports"]) == 1


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"import": {"environment": "production", "path": "/"}}, 400),
        ({"import": {"environment": "production", "path": "/nowhere"}}, 404),
        ({"import": {"environment": "nowhere", "path": "/first"}}, 404),
        ({"import": {"path": "/first"}}, 422),
        ({"isReplication": True}, 422),
        ({"import": {"environment": "production", "path": "/second"}}, 400),
    ],
)
def test_a_wrong_import_is_refused_and_not_stored(
    api: ApiClient, production: dict[str, Any], change: dict[str, Any], status: int
) -> None:
    create(api, production, "/second")
    good = {**production, "import": {"environment": "production", "path": "/first"}}

    answer = api.post(IMPORTS, {**good, **change})

    assert answer.status_code == status
    assert listed(api, production) == ["/second"]


@pytest.mark.parametrize("position", [0, -1, "x", 2**63])
def test_a_wrong_position_is_refused(api: ApiClient, production: dict[str, Any], position: Any) -> None:
    created = create(api, production, "/first")

    answer = api.patch(f"{IMPORTS}/{created['id']}", {**production, "import": {"position": position}})

    assert answer.status_code == 422


def test_an_unknown_import_is_not_found(api: ApiClient, production: dict[str, Any]) -> None:
    assert api.delete(f"{IMPORTS}/{UNKNOWN_ID}", production).status_code == 404
