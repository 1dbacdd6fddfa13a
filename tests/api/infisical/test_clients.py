"""The requests of Infisical's own clients, as these write them, and the fields that they read of the answers.

Terraform and the Go SDK send every field, the empty ones too; Python's SDK writes booleans in its own way.
"""

from typing import Any
from uuid import UUID

import pytest

from tests.api.client import ApiClient

Body = dict[str, Any]
SHARED = {"type": "shared", "environment": "dev"}

#: What an answer holds its object under.
WRAPPERS = (
    "project",
    "workspace",
    "environment",
    "folder",
    "workspaceTag",
    "secret",
    "secretImport",
    "appConnection",
    "secretSync",
)


class Terraform:
    """Carries out one call after another, and checks that each was answered with what is read of it."""

    def __init__(self, api: ApiClient) -> None:
        self.api = api

    def send(self, method: str, path: str, body: Any = None, *, reads: str = "id", query: Any = None) -> Body:
        answer = self.api.request(method, f"/api/{path}", json=body, params=query)
        assert answer.status_code == 200, (method, path, answer.text)
        sent = answer.json()
        wrapped = [sent[name] for name in WRAPPERS if isinstance(sent.get(name), dict)]
        found = sent if "id" in sent or not wrapped else wrapped[0]
        assert found.keys() >= set(reads.split()), (method, path)
        return dict(found)


@pytest.fixture
def terraform(api: ApiClient) -> Terraform:
    return Terraform(api)


@pytest.fixture
def project(terraform: Terraform) -> str:
    """A project as Terraform creates it."""
    body = {
        "projectName": "Shop",
        "projectDescription": "sells",
        "slug": "tf-shop",
        "organizationSlug": "",
        "type": "secret-manager",
        "shouldCreateDefaultEnvs": True,
        "hasDeleteProtection": False,
    }
    return str(terraform.send("POST", "v2/workspace", body, reads="id updatedAt")["id"])


def test_terraform_manages_a_project(terraform: Terraform, project: str, api: ApiClient) -> None:
    read = "id name slug type description hasDeleteProtection updatedAt environments"
    update = {"projectId": project, "slug": "tf-shop", "name": "Store", "description": ""}

    terraform.send("GET", f"v1/workspace/{project}", reads=read)
    terraform.send("GET", "v2/workspace/tf-shop", reads=read)
    terraform.send("PATCH", f"v1/projects/{project}", {**update, "hasDeleteProtection": False})
    terraform.send("DELETE", "v2/workspace/tf-shop")

    assert api.get(f"/api/v1/workspace/{project}").status_code == 404


def test_terraform_manages_environments(terraform: Terraform, project: str, api: ApiClient) -> None:
    at = f"v1/workspace/{project}/environments"
    read = "id name slug position projectId"

    new = {"name": "QA", "slug": "qa", "workspaceId": project}
    made = terraform.send("POST", at, {**new, "position": 2}, reads=read)["id"]
    terraform.send("GET", f"v1/workspace/environments/{made}", reads=read)
    terraform.send("GET", f"v1/projects/{project}/environments/slug/qa", reads=read)
    terraform.send("PATCH", f"{at}/{made}", {"ID": made, "name": "Check", "slug": "check", "position": 4})
    terraform.send("DELETE", f"{at}/{made}", {"id": made, "workspaceId": project})

    assert api.get(f"/api/v1/workspace/environments/{made}").status_code == 404


def test_terraform_manages_folders(terraform: Terraform, project: str, api: ApiClient) -> None:
    place = {"environment": "dev", "path": "/"}
    read = "id name envId path description"

    new = {**place, "name": "web", "workspaceId": project, "description": ""}
    made = terraform.send("POST", "v1/folders", new, reads=read)["id"]
    terraform.send("GET", f"v1/folders/{made}", reads=f"{read} projectId environment")
    terraform.send("GET", f"v1/folders/{project}/dev/%2Fweb", reads=read)
    changed = terraform.send("PATCH", f"v1/folders/{made}", {**new, "id": made, "name": "www"}, reads=read)
    gone = {**place, "id": made, "projectId": project, "forceDelete": False}
    terraform.send("DELETE", f"v2/folders/{made}", gone)

    assert (changed["path"], api.get(f"/api/v1/folders/{made}").status_code) == ("/www", 404)


def test_terraform_manages_tags(terraform: Terraform, project: str, api: ApiClient) -> None:
    at = f"v1/workspace/{project}/tags"
    tag = {"name": "Database", "color": "#fff", "slug": "db", "projectId": project}

    made = terraform.send("POST", at, tag, reads="id slug name color projectId")["id"]
    terraform.send("GET", f"{at}/{made}", reads="slug name color")
    terraform.send("GET", f"{at}/slug/db", reads="slug name color")
    terraform.send("PATCH", f"{at}/{made}", {**tag, "name": "Store", "tagId": made})
    terraform.send("DELETE", f"{at}/{made}", {"projectId": project, "tagId": made})

    assert api.get(f"/api/{at}").json() == {"workspaceTags": []}


def test_terraform_manages_secrets(terraform: Terraform, project: str, api: ApiClient) -> None:
    place = {**SHARED, "workspaceId": project, "secretPath": "/"}
    unset = {"secretReminderNote": "", "secretReminderRepeatDays": 0, "tagIds": None}
    read = "id secretKey secretValue secretPath version tags secretMetadata secretReminderNote"

    new = {**place, **unset, "secretKey": "KEY", "secretValue": "1", "secretComment": ""}
    made = terraform.send("POST", "v3/secrets/raw/KEY", new, reads=read)["id"]
    terraform.send("GET", f"v3/secrets/raw/id/{made}", reads=read)
    hidden = terraform.send(
        "GET", "v3/secrets/raw/KEY", reads=read, query={**place, "viewSecretValue": "false"}
    )
    change = {**place, **unset, "secretName": "KEY", "newSecretName": "NAME", "secretValue": "2"}
    changed = terraform.send("PATCH", "v3/secrets/raw/KEY", change, reads=read)
    terraform.send("DELETE", "v3/secrets/raw/NAME", {**place, "secretName": "NAME"})

    assert (hidden["secretValue"], changed["secretValue"]) == ("<hidden>", "2")
    assert api.get("/api/v3/secrets/raw", **place).json()["secrets"] == []


def test_terraform_manages_imports(terraform: Terraform, project: str) -> None:
    for name in ("web", "api"):
        terraform.send("POST", "v1/folders", {"workspaceId": project, "environment": "dev", "name": name})
    place = {"workspaceId": project, "environment": "dev", "path": "/"}

    def of(path: str) -> Body:
        return {**place, "isReplication": False, "import": {"environment": "dev", "path": path}}

    made = terraform.send("POST", "v1/secret-imports", of("/web"), reads="id secretPath importPath")["id"]
    read = "id secretPath importPath projectId isReplication importEnv environment"
    terraform.send("GET", f"v1/secret-imports/{made}", reads=read)
    changed = terraform.send("PATCH", f"v1/secret-imports/{made}", {**of("/api"), "id": made})
    terraform.send("DELETE", f"v1/secret-imports/{made}", {**place, "id": made})

    assert changed["importPath"] == "/api"


@pytest.mark.usefixtures("flyio")
def test_terraform_manages_a_connection_and_a_sync(terraform: Terraform, project: str) -> None:
    connections, syncs = "v1/app-connections/flyio", "v1/secret-syncs/flyio"
    credentials = {"accessToken": "FlyV1 fm2_demo-org"}
    connection = {"App": "flyio", "name": "fly", "method": "access-token", "credentials": credentials}
    read = "id name projectId connectionId connection environment folder isAutoSyncEnabled syncOptions"

    linked = terraform.send("POST", connections, {**connection, "projectId": project})["id"]
    terraform.send("PATCH", f"{connections}/{linked}", {**connection, "description": "", "ID": linked})
    config = {"appId": "shop"}
    options = {"initialSyncBehavior": "overwrite-destination", "keySchema": ""}
    new = {
        "App": "flyio",
        "name": "to-fly",
        "projectId": project,
        "connectionId": linked,
        "environment": "dev",
        "secretPath": "/",
        "isAutoSyncEnabled": True,
        "description": "",
        "syncOptions": {**options, "disableSecretDeletion": False},
        "destinationConfig": config,
    }
    check = {"App": "flyio", "destinationConfig": config, "projectId": project}
    terraform.send("POST", f"{syncs}/check-destination", check, reads="hasDuplicate")
    made = terraform.send("POST", syncs, new, reads=f"{read} destinationConfig")["id"]
    change = {**new, "ID": made, "syncOptions": {**options, "disableSecretDeletion": True}}
    changed = terraform.send("PATCH", f"{syncs}/{made}", change, reads=read)
    terraform.send("DELETE", f"{syncs}/{made}")
    terraform.send("DELETE", f"{connections}/{linked}")

    assert changed["syncOptions"]["disableSecretDeletion"] is True
    assert "keySchema" not in changed["syncOptions"]


def test_gos_sdk_names_a_project_by_its_slug_and_leaves_the_id_empty(
    api: ApiClient, project_id: UUID
) -> None:
    query = {
        "workspaceId": "",
        "workspaceSlug": "shop",
        "environment": "production",
        "secretPath": "/",
        "expandSecretReferences": "true",
        "include_imports": "true",
        "recursive": "false",
    }

    assert api.get("/api/v3/secrets/raw", **query).json() == {"secrets": [], "imports": []}


def test_pythons_sdk_writes_booleans_in_its_own_way(api: ApiClient, project_id: UUID) -> None:
    query = {"projectId": str(project_id), "environment": "production", "path": "/", "recursive": "False"}

    assert api.get("/api/v2/folders", **query).json() == {"folders": []}


def test_nodes_sdk_finds_a_secret_through_an_import(api: ApiClient, project: str) -> None:
    place = {"workspaceId": project, "environment": "dev"}
    api.post("/api/v1/folders", {**place, "name": "web", "path": "/"})
    api.post("/api/v3/secrets/raw/KEY", {**place, "secretValue": "1"})
    api.post(
        "/api/v1/secret-imports", {**place, "path": "/web", "import": {"environment": "dev", "path": "/"}}
    )

    query = {**place, "secretName": "KEY", "secretPath": "/web", "includeImports": "true"}
    found = api.get("/api/v3/secrets/raw/KEY", **query, expandSecretReferences="true").json()["secret"]

    assert (found["secretValue"], found["secretPath"]) == ("1", "/")
