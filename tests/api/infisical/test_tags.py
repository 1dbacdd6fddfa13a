"""Tags and metadata: by which people find secrets, and which no destination ever sees."""

from typing import Any
from uuid import UUID

import pytest

from tests.api.client import UNKNOWN_ID, ApiClient
from tests.support import RecordingBroker

SECRETS = "/api/v4/secrets"
Body = dict[str, Any]
TEAM = {"key": "team", "value": "payments", "isEncrypted": False}


@pytest.fixture
def tags(project_id: UUID) -> str:
    return f"/api/v1/projects/{project_id}/tags"


@pytest.fixture
def tag(api: ApiClient, tags: str) -> Body:
    return dict(api.post(tags, {"slug": "database", "color": "#2f7d32"}).json()["tag"])


def create(api: ApiClient, place: Body, key: str, **more: Any) -> Body:
    answer = api.post(f"{SECRETS}/{key}", {**place, "secretValue": "x", **more})
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["secret"])


def change(api: ApiClient, place: Body, **change: Any) -> Body:
    return dict(api.patch(f"{SECRETS}/KEY", {**place, **change}).json()["secret"])


def found(api: ApiClient, place: Body, **query: str) -> list[str]:
    return [each["secretKey"] for each in api.get(SECRETS, **place, **query).json()["secrets"]]


def test_a_tag_is_found_and_changed(api: ApiClient, place: Body, tags: str, tag: Body) -> None:
    create(api, place, "KEY", tagIds=[tag["id"]])
    api.post(tags, {"slug": "taken"})

    changed = api.patch(f"{tags}/{tag['id']}", {"slug": "db", "color": "#000000"}).json()["tag"]
    refused = api.patch(f"{tags}/{tag['id']}", {"slug": "taken"})

    assert changed == {**tag, "slug": "db", "color": "#000000"}
    assert refused.status_code == 400
    assert api.get(f"{tags}/{tag['id']}").json() == {"tag": changed}
    assert api.get(f"{tags}/slug/db").json() == {"tag": changed}
    assert api.get(f"{tags}/slug/database").status_code == 404
    assert found(api, place, tagSlugs="db") == ["KEY"]


def test_older_clients_find_tags_under_their_old_name(
    api: ApiClient, tags: str, project_id: UUID, foreign_id: UUID
) -> None:
    old = f"/api/v1/workspace/{project_id}/tags"
    # What Terraform sends: it names the project again.
    body = {"name": "Database", "slug": "db", "color": "", "projectId": str(project_id)}

    tag = api.post(old, body).json()["workspaceTag"]
    one = f"{old}/{tag['id']}"
    changed = {**tag, "name": "Store"}

    assert (tag["name"], tag["projectId"]) == ("Database", str(project_id))
    assert api.get(old).json() == {"workspaceTags": [tag]}
    assert api.get(f"{old}/slug/db").json() == {"workspaceTag": tag}
    assert api.patch(one, {"name": "Store"}).json() == {"workspaceTag": changed}
    assert api.get(one).json() == {"workspaceTag": changed}
    assert api.delete(f"/api/v1/workspace/{foreign_id}/tags/{tag['id']}").status_code == 404
    assert api.delete(one, {"tagId": tag["id"]}).json() == {"workspaceTag": changed}
    assert api.get(tags).json() == {"tags": []}


def test_tags_are_made_listed_and_deleted(api: ApiClient, tags: str, tag: Body, foreign_id: UUID) -> None:
    assert (tag["slug"], tag["name"], tag["color"]) == ("database", "database", "#2f7d32")
    assert api.get(tags).json() == {"tags": [tag]}
    assert api.post(tags, {"slug": "database"}).status_code == 400
    assert api.delete(f"/api/v1/projects/{foreign_id}/tags/{tag['id']}").status_code == 404
    assert api.delete(f"{tags}/{tag['id']}").json() == {"tag": tag}
    assert api.get(tags).json() == {"tags": []}


def test_a_secret_carries_tags_and_metadata(api: ApiClient, place: Body, tag: Body) -> None:
    created = create(api, place, "KEY", tagIds=[tag["id"]], secretMetadata=[TEAM])

    assert (created["tags"], created["secretMetadata"]) == ([tag], [TEAM])
    assert api.get(f"{SECRETS}/KEY", **place).json()["secret"] == created
    assert api.get(f"{SECRETS}/id/{created['id']}").json()["secret"] == created
    assert api.get(SECRETS, **place).json()["secrets"] == [created]


def test_secrets_are_found_by_tag_and_by_metadata(api: ApiClient, place: Body, tags: str, tag: Body) -> None:
    other = api.post(tags, {"slug": "cache"}).json()["tag"]
    owner = {"key": "owner", "value": "ann, ops"}
    create(api, place, "A", tagIds=[tag["id"]], secretMetadata=[TEAM, owner])
    create(api, place, "B", tagIds=[other["id"]], secretMetadata=[TEAM])
    create(api, place, "C")

    assert found(api, place, tagSlugs="database") == ["A"]
    assert found(api, place, tagSlugs="database,cache") == ["A", "B"]
    assert found(api, place, metadataFilter="key=team,value=payments") == ["A", "B"]
    assert found(api, place, metadataFilter="key=team,value=payments|key=owner,value=ann, ops") == ["A"]
    assert found(api, place, metadataFilter="key=team,value=other") == []
    assert found(api, place, tagSlugs="cache", metadataFilter="key=owner,value=ann, ops") == []
    assert found(api, place) == ["A", "B", "C"]


def test_a_change_of_labels_is_no_new_version_and_triggers_no_sync(
    api: ApiClient, place: Body, tag: Body, broker: RecordingBroker
) -> None:
    before = create(api, place, "KEY", secretMetadata=[TEAM])
    broker.sent.clear()

    changed = change(api, place, tagIds=[tag["id"]], secretMetadata=[])

    assert (changed["tags"], changed["secretMetadata"]) == ([tag], [])
    assert (changed["version"], changed["secretValue"]) == (before["version"], "x")
    assert broker.sent == []


def test_labels_stay_when_only_the_value_changes(api: ApiClient, place: Body, tag: Body) -> None:
    create(api, place, "KEY", tagIds=[tag["id"]], secretMetadata=[TEAM])

    changed = change(api, place, secretValue="y", newSecretName="NEW")

    assert (changed["tags"], changed["secretMetadata"], changed["version"]) == ([tag], [TEAM], 2)


def test_several_secrets_are_labelled_at_once(api: ApiClient, place: Body, tag: Body) -> None:
    items = [
        {"secretKey": "A", "secretValue": "x", "tagIds": [tag["id"]]},
        {"secretKey": "B", "secretValue": "x", "secretMetadata": [TEAM]},
    ]

    created = api.post(f"{SECRETS}/batch", {**place, "secrets": items}).json()["secrets"]

    assert [(each["tags"], each["secretMetadata"]) for each in created] == [([tag], []), ([], [TEAM])]


def test_a_deleted_tag_falls_off_its_secrets(api: ApiClient, place: Body, tags: str, tag: Body) -> None:
    create(api, place, "KEY", tagIds=[tag["id"]])

    api.delete(f"{tags}/{tag['id']}")

    assert api.get(f"{SECRETS}/KEY", **place).json()["secret"]["tags"] == []


def test_a_tag_of_another_project_is_refused(api: ApiClient, place: Body, foreign_id: UUID) -> None:
    foreign = api.post(f"/api/v1/projects/{foreign_id}/tags", {"slug": "theirs"}).json()["tag"]["id"]

    for tag_id in (foreign, UNKNOWN_ID):
        answer = api.post(f"{SECRETS}/KEY", {**place, "secretValue": "x", "tagIds": [tag_id]})

        assert answer.status_code == 400
    assert found(api, place) == []


@pytest.mark.parametrize(
    "change",
    [
        {"tagIds": ["no-id"]},
        {"secretMetadata": [{"key": "", "value": "x"}]},
        {"secretMetadata": [{"key": "k", "value": "x" * 1021}]},
        {"secretMetadata": [{"key": "k", "value": "x", "isEncrypted": True}]},
    ],
)
def test_wrong_labels_are_refused(api: ApiClient, place: Body, change: Body) -> None:
    assert api.post(f"{SECRETS}/KEY", {**place, **change}).status_code == 422
    assert found(api, place) == []


@pytest.mark.parametrize("text", ["team", "key=a", "|", "|".join(f"key=k{n},value=v" for n in range(11))])
def test_a_filter_that_cannot_be_read_is_refused(api: ApiClient, place: Body, text: str) -> None:
    assert api.get(SECRETS, **place, metadataFilter=text).status_code == 422
