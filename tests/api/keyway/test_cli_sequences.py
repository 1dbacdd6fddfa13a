"""What Keyway's command line sends, call by call, and whether it can go on with what it gets."""

from datetime import datetime
from typing import Any
from uuid import UUID

from tests.api.client import ApiClient
from tests.api.keyway.conftest import SYNC, KeywayClient
from tests.api.keyway.test_secrets import PEM, read_by_lines
from tests.fakes.railway import FakeRailway
from tests.support import ManualClock

#: Sent with every call, also those without a body.
HEADERS = {"Content-Type": "application/json", "User-Agent": "keyway-cli/dev"}
WEB = "env-production/svc-web"


def call(client: KeywayClient, method: str, path: str, body: Any = None) -> Any:
    answer = client.request(method, path, headers=HEADERS, **({} if body is None else {"json": body}))
    return client.data(answer)


def query(options: dict[str, Any]) -> str:
    """Put a query together as that program does: nothing is escaped."""
    return "&".join(f"{key}={value}" for key, value in options.items())


def test_connections_and_disconnect(keyway: KeywayClient, connection: str) -> None:
    [found] = call(keyway, "GET", "/v1/integrations/connections")["connections"]
    ended = keyway.request("DELETE", f"/v1/integrations/connections/{found['id']}", headers=HEADERS)

    assert found["provider"] == "railway"
    assert found["providerTeamId"] is None
    assert datetime.fromisoformat(found["createdAt"]).tzinfo is not None
    assert ended.status_code == 204


def test_connect_railway(keyway: KeywayClient) -> None:
    providers = call(keyway, "GET", "/v1/integrations")["providers"]
    before = call(keyway, "GET", "/v1/integrations/connections")["connections"]
    told = call(keyway, "POST", "/v1/integrations/railway/connect", {"token": "demo-account-token"})

    assert [each["configured"] for each in providers if each["name"] == "railway"] == [True]
    assert before == []
    assert told["user"]["username"] == "Demo user"


def test_connect_waits_for_a_connection_that_is_newer_than_its_start(
    keyway: KeywayClient, connection: str, clock: ManualClock
) -> None:
    started_at = clock.now
    clock.advance(seconds=10)
    call(keyway, "POST", "/v1/integrations/railway/connect", {"token": "demo-account-token"})

    found = call(keyway, "GET", "/v1/integrations/connections")["connections"]

    newer = [each for each in found if datetime.fromisoformat(each["createdAt"]) > started_at]
    assert [each["provider"] for each in newer] == ["railway"]


def test_sync_with_yes(keyway: KeywayClient, connection: str, vault: UUID, railway: FakeRailway) -> None:
    railway.projects["prj-1"].services["svc-web"].repository = "owner/repo"
    keyway.push({"A": "1", "B": "2"})

    call(keyway, "GET", "/v1/vaults/owner/repo")
    found = call(keyway, "GET", "/v1/integrations/providers/railway/all-projects")
    chosen = next(each for each in found["projects"] if each["linkedRepo"] == "owner/repo")
    options = {"connectionId": chosen["connectionId"], "projectId": chosen["id"]}
    status = call(keyway, "GET", f"{SYNC}/status?{query({**options, 'environment': 'production'})}")
    places = {**options, "keywayEnvironment": "production", "providerEnvironment": "production"}
    asked = query({**places, "direction": "push", "allowDelete": "false", "serviceId": chosen["serviceId"]})
    preview = call(keyway, "GET", f"{SYNC}/preview?{asked}")
    body = {**places, "direction": "push", "allowDelete": False, "serviceId": chosen["serviceId"]}
    result = call(keyway, "POST", SYNC, body)

    assert len(found["connections"]) == 1
    assert (status["isFirstSync"], status["vaultIsEmpty"]) == (True, False)
    assert (preview["toCreate"], preview["toSkip"]) == (["A", "B"], [])
    assert (result["success"], result["stats"]["created"], result["stats"]["updated"]) == (True, 2, 0)
    assert railway.variables[WEB] == {"A": "1", "B": "2"}


def test_sync_by_hand_the_first_time(
    keyway: KeywayClient, place: dict[str, str], railway: FakeRailway
) -> None:
    railway.seed(WEB, {"THEIRS": "1"})
    options = {key: place[key] for key in ("connectionId", "projectId")}
    places = {"keywayEnvironment": "production", "providerEnvironment": "production"}

    status = call(keyway, "GET", f"{SYNC}/status?{query({**options, 'environment': 'production'})}")
    linked = call(keyway, "POST", f"{SYNC}/link", {**options, **places})["link"]
    diff = call(keyway, "GET", f"{SYNC}/diff?{query({**place, **places})}")
    pulled = call(keyway, "POST", SYNC, {**place, **places, "direction": "pull", "allowDelete": False})
    again = call(keyway, "GET", f"{SYNC}/preview?{query({**place, **places, 'direction': 'pull'})}")

    assert (status["vaultIsEmpty"], status["providerHasSecrets"]) == (True, True)
    assert linked["isNew"] is True
    assert diff["onlyInProvider"] == ["THEIRS"]
    assert pulled["stats"]["created"] == 1
    assert [again[key] for key in ("toCreate", "toUpdate", "toDelete")] == [[], [], []]


def test_a_link_without_the_service_becomes_the_sync_of_the_service(
    keyway: KeywayClient, place: dict[str, str]
) -> None:
    keyway.push({"A": "1"})
    options = {key: place[key] for key in ("connectionId", "projectId")}
    places = {"keywayEnvironment": "production", "providerEnvironment": "production"}

    linked = call(keyway, "POST", f"{SYNC}/link", {**options, **places})["link"]
    result = call(keyway, "POST", SYNC, {**place, **places, "direction": "push", "allowDelete": False})
    shared = call(keyway, "POST", SYNC, {**options, **places, "direction": "push", "allowDelete": False})
    again = call(keyway, "POST", SYNC, {**place, **places, "direction": "push", "allowDelete": False})

    assert linked["serviceId"] is None
    assert (result["syncId"], again["syncId"]) == (linked["id"], linked["id"])
    assert shared["syncId"] != linked["id"]
    found = call(keyway, "GET", "/v1/vaults/owner/repo")["syncs"]
    assert sorted(each["serviceId"] or "" for each in found) == ["", "svc-web"]


def test_a_shared_destination_that_was_written_stays_beside_that_of_a_service(
    keyway: KeywayClient, place: dict[str, str]
) -> None:
    keyway.push({"A": "1"})
    places = {"keywayEnvironment": "production", "providerEnvironment": "production", "direction": "push"}

    shared = call(keyway, "POST", SYNC, {**place, **places, "serviceId": None})
    own = call(keyway, "POST", SYNC, {**place, **places})

    assert shared["syncId"] != own["syncId"]


def test_sync_with_deletion(keyway: KeywayClient, place: dict[str, str], railway: FakeRailway) -> None:
    railway.seed(WEB, {"OLD": "1"})
    keyway.push({"A": "1"})
    places = {**place, "keywayEnvironment": "production", "providerEnvironment": "production"}

    asked = query({**places, "direction": "push", "allowDelete": "true"})
    preview = call(keyway, "GET", f"{SYNC}/preview?{asked}")
    result = call(keyway, "POST", SYNC, {**places, "direction": "push", "allowDelete": True})

    assert preview["toDelete"] == ["OLD"]
    assert (result["success"], result["stats"]["deleted"]) == (True, 1)
    assert railway.variables[WEB] == {"A": "1"}


def test_sync_without_a_vault_or_a_connection(keyway: KeywayClient) -> None:
    missing = keyway.request("GET", "/v1/vaults/owner/repo", headers=HEADERS)
    call(keyway, "POST", "/v1/vaults", {"repoFullName": "owner/repo"})
    found = call(keyway, "GET", "/v1/integrations/providers/railway/all-projects")

    assert missing.status_code == 404
    assert found["connections"] == []


def test_push_into_an_empty_vault_then_change_one_key(keyway: KeywayClient, vault: UUID) -> None:
    path = "/v1/secrets/pull?repo=owner%2Frepo&environment=production"
    push = {"repoFullName": "owner/repo", "environment": "production"}

    empty = keyway.request("GET", path, headers=HEADERS)
    call(keyway, "POST", "/v1/secrets/push", {**push, "secrets": {"A": "1", "PEM": PEM}})
    merged = {**read_by_lines(call(keyway, "GET", path)["content"]), "A": "2"}
    told = call(keyway, "POST", "/v1/secrets/push", {**push, "secrets": merged})

    assert empty.status_code == 404
    assert merged.keys() == {"A", "PEM"}
    assert told["stats"] == {"created": 0, "updated": 1, "deleted": 0, "unchanged": 1}
    view = keyway.get("/v1/secrets/view", repo="owner/repo", environment="production", key="PEM")
    assert keyway.data(view)["value"] == PEM


def test_login(keyway: KeywayClient, anonymous: ApiClient) -> None:
    ids = anonymous.request("GET", "/v1/github/repo-ids?repo=owner%2Frepo", headers=HEADERS)
    started = anonymous.request(
        "POST", "/v1/auth/device/start", headers=HEADERS, json={"repository": "owner/repo"}
    )
    waiting = anonymous.request(
        "POST",
        "/v1/auth/device/poll",
        headers=HEADERS,
        json={"deviceCode": started.json()["deviceCode"]},
    )
    told = call(keyway, "POST", "/v1/auth/token/validate", {})
    installed = call(
        keyway, "POST", "/v1/github/check-installation", {"repoOwner": "owner", "repoName": "repo"}
    )

    assert ids.status_code == 401
    assert started.json().keys() >= {"deviceCode", "userCode", "verificationUri", "expiresIn", "interval"}
    assert waiting.json() == {"status": "pending"}
    assert told["username"] == "administrator"
    assert installed["installed"] is True


def test_doctor(anonymous: ApiClient) -> None:
    assert anonymous.request("HEAD", "/v1/health", headers=HEADERS).status_code == 200
