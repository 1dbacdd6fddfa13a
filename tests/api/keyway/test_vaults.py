"""Vaults, their environments, and their secrets one by one."""

from uuid import UUID

import pytest

from tests.api.keyway.conftest import SYNC, KeywayClient

VAULT = "/v1/vaults/owner/repo"


def save(keyway: KeywayClient, key: str, value: str, environment: str = "production") -> str:
    body = {"key": key, "value": value, "environment": environment}
    return str(keyway.data(keyway.post(f"{VAULT}/secrets", body))["id"])


def test_a_vault_is_created_with_three_environments(keyway: KeywayClient) -> None:
    answer = keyway.post("/v1/vaults", {"repoFullName": "owner/repo"})
    found = keyway.data(keyway.get(VAULT))

    assert answer.status_code == 201
    assert keyway.data(answer) == {
        "vaultId": found["id"],
        "repoFullName": "owner/repo",
        "message": "Vault initialized successfully",
    }
    assert found["environments"] == ["development", "staging", "production"]
    assert [each["type"] for each in found["environmentDetails"]] == ["development", "standard", "protected"]
    assert (found["repoOwner"], found["repoName"], found["secretCount"]) == ("owner", "repo", 0)
    assert (found["permission"], found["isReadOnly"], found["syncs"]) == ("admin", False, [])


def test_a_vault_is_created_once(keyway: KeywayClient, vault: UUID) -> None:
    answer = keyway.post("/v1/vaults", {"repoFullName": "owner/repo"})

    assert answer.status_code == 409
    assert answer.json()["detail"] == "Vault already exists for this repository"


@pytest.mark.parametrize("name", ["no-slash", "a/b/c", "/repo", "owner/", "owner/re po", ""])
def test_a_vault_is_named_after_a_repository(keyway: KeywayClient, name: str) -> None:
    assert keyway.post("/v1/vaults", {"repoFullName": name}).status_code == 400


def test_an_unknown_vault_is_not_found(keyway: KeywayClient) -> None:
    answer = keyway.get("/v1/vaults/owner/nothing")

    assert answer.status_code == 404
    assert answer.json()["detail"] == "Vault 'owner/nothing' not found or you don't have access"


def test_a_vault_shows_its_syncs_and_counts_its_secrets(keyway: KeywayClient, place: dict[str, str]) -> None:
    keyway.push({"A": "1", "B": "2"})
    save(keyway, "C", "3", "staging")
    keyway.data(keyway.post(SYNC, place))

    found = keyway.data(keyway.get(VAULT))

    [sync] = found["syncs"]
    assert found["secretCount"] == 3
    assert (sync["provider"], sync["projectId"], sync["projectName"]) == ("railway", "prj-1", "shop")
    assert (sync["keywayEnvironment"], sync["providerEnvironment"]) == ("production", "production")
    assert sync["lastSyncedAt"] == "2026-01-01T00:00:00.000Z"


def test_lists_come_in_pages(keyway: KeywayClient) -> None:
    for number in range(3):
        keyway.post("/v1/vaults", {"repoFullName": f"owner/repo{number}"})

    answer = keyway.get("/v1/vaults", limit=2, offset=1)

    body = answer.json()
    assert [each["repoFullName"] for each in body["data"]] == ["owner/repo1", "owner/repo2"]
    assert body["meta"]["pagination"] == {"total": 3, "limit": 2, "offset": 1, "hasMore": False}


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 101}, {"offset": -1}, {"limit": "x"}])
def test_a_page_that_cannot_be_is_a_bad_request(keyway: KeywayClient, query: dict[str, object]) -> None:
    answer = keyway.get("/v1/vaults", **query)

    assert answer.status_code == 400
    assert answer.json()["type"] == "https://keyway.sh/errors/validation-error"


def test_an_environment_is_added(keyway: KeywayClient, vault: UUID) -> None:
    answer = keyway.post(f"{VAULT}/environments", {"name": "qa"})
    listed = keyway.data(keyway.get(f"{VAULT}/environments"))["environments"]

    assert answer.status_code == 201
    assert keyway.data(answer)["environment"] == {"name": "qa", "type": "standard", "displayOrder": 4}
    assert [each["name"] for each in listed] == ["development", "staging", "production", "qa"]


@pytest.mark.parametrize(("name", "status"), [("production", 409), ("QA", 400), ("x", 400), ("a b", 400)])
def test_some_environments_cannot_be_added(keyway: KeywayClient, vault: UUID, name: str, status: int) -> None:
    assert keyway.post(f"{VAULT}/environments", {"name": name}).status_code == status


def test_secrets_are_saved_listed_changed_and_deleted_one_by_one(keyway: KeywayClient, vault: UUID) -> None:
    body = {"key": "A", "value": "1", "environment": "production"}
    created = keyway.post(f"{VAULT}/secrets", body)
    updated = keyway.post(f"{VAULT}/secrets", {**body, "value": "2"})
    id_ = keyway.data(created)["id"]

    listed = keyway.get(f"{VAULT}/secrets").json()
    keyway.data(keyway.patch(f"{VAULT}/secrets/{id_}", {"name": "B", "value": "3"}))
    shown = keyway.data(keyway.get(f"{VAULT}/secrets/{id_}/value"))
    renamed = keyway.pull()
    deleted = keyway.data(keyway.delete(f"{VAULT}/secrets/{id_}"))

    assert (created.status_code, keyway.data(created)["status"]) == (201, "created")
    assert (updated.status_code, keyway.data(updated)) == (200, {"id": id_, "status": "updated"})
    assert [(each["key"], each["environment"], each["lastModifiedBy"]) for each in listed["data"]] == [
        ("A", "production", "administrator")
    ]
    assert listed["meta"]["pagination"]["total"] == 1
    assert shown["value"] == "3"
    assert renamed == "B=3"
    assert (deleted["key"], deleted["environment"]) == ("B", "production")
    assert keyway.get(f"{VAULT}/secrets").json()["data"] == []


@pytest.mark.parametrize("body", [{}, {"name": "lower"}, {"value": None}, {"name": "A-B"}])
def test_a_change_has_to_change_something_that_can_be(
    keyway: KeywayClient, vault: UUID, body: dict[str, object]
) -> None:
    id_ = save(keyway, "A", "1")

    assert keyway.patch(f"{VAULT}/secrets/{id_}", body).status_code == 400


def test_a_secret_of_another_vault_does_not_exist_here(keyway: KeywayClient, vault: UUID) -> None:
    id_ = save(keyway, "A", "1")
    keyway.post("/v1/vaults", {"repoFullName": "owner/other"})
    other = f"/v1/vaults/owner/other/secrets/{id_}"

    answers = [keyway.delete(other), keyway.get(f"{other}/value"), keyway.patch(other, {"value": "2"})]

    assert [answer.status_code for answer in answers] == [404] * 3


def test_values_are_shown_ten_times_a_minute(keyway: KeywayClient, vault: UUID) -> None:
    id_ = save(keyway, "A", "1")

    answers = [keyway.get(f"{VAULT}/secrets/{id_}/value").status_code for _ in range(11)]

    assert answers == [200] * 10 + [429]
