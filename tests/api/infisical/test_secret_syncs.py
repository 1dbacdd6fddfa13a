from typing import Any
from uuid import UUID

import pytest

from shared.broker import Queue, Task
from shared.db.jobs import Job, Kind, Trigger
from shared.providers import PROVIDERS
from shared.runtime import Runtime
from shared.usecases.dispatch import dispatch
from tests.api.client import UNKNOWN_ID, ApiClient
from tests.fakes.railway import FakeRailway
from tests.support import ManualClock, RecordingBroker

SYNCS = "/api/v1/secret-syncs"
RAILWAY = f"{SYNCS}/railway"
Body = dict[str, Any]


def create(api: ApiClient, body: Body, **change: Any) -> Body:
    answer = api.post(RAILWAY, {**body, **change})
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["secretSync"])


def listed(api: ApiClient, project_id: object, path: str = SYNCS, **query: str) -> list[str]:
    found = api.get(path, projectId=str(project_id), **query).json()["secretSyncs"]
    return [each["name"] for each in found]


def jobs_of(api: ApiClient, sync: Body, **query: str) -> list[Body]:
    return list(api.get(f"{RAILWAY}/{sync['id']}/jobs", **query).json()["jobs"])


def stored_job(runtime: Runtime, job_id: UUID) -> Job:
    with runtime.database.snapshot() as session:
        return session.get_one(Job, job_id)


# --- options and lists ---------------------------------------------------------------------------------


def test_the_options_name_every_destination_in_order(api: ApiClient) -> None:
    options = api.get(f"{SYNCS}/options").json()["secretSyncOptions"]

    [railway] = [option for option in options if option["destination"] == "railway"]
    assert railway == {
        "name": "Railway",
        "connection": "railway",
        "destination": "railway",
        "canImportSecrets": True,
        "canRemoveSecretsOnDeletion": True,
        "supportsKeySchema": True,
        "supportsDisableSecretDeletion": True,
        "canRedeploy": True,
    }
    can_import = {option["destination"]: option["canImportSecrets"] for option in options}
    assert can_import.keys() == PROVIDERS.keys()
    assert not can_import["flyio"]
    assert [option["name"] for option in options] == sorted(option["name"] for option in options)


def test_syncs_are_listed_by_project_and_destination(
    api: ApiClient, sync: Body, project_id: UUID, foreign_id: UUID
) -> None:
    assert listed(api, project_id) == ["to-railway"]
    assert listed(api, project_id, RAILWAY) == ["to-railway"]
    assert listed(api, project_id, f"{SYNCS}/dotenv") == []
    assert listed(api, foreign_id) == []
    assert listed(api, project_id, limit="1", offset="1") == []


def test_a_sync_is_found_by_id_and_by_name(api: ApiClient, sync: Body, project_id: UUID) -> None:
    assert api.get(f"{RAILWAY}/{sync['id']}").json() == {"secretSync": sync}
    by_name = api.get(f"{RAILWAY}/sync-name/to-railway", projectId=str(project_id))
    assert by_name.json() == {"secretSync": sync}


@pytest.mark.parametrize(
    "path",
    [
        f"{RAILWAY}/{UNKNOWN_ID}",
        f"{SYNCS}/dotenv/ID",
        f"{SYNCS}/abacus/ID",
        f"{RAILWAY}/ID/jobs/{UNKNOWN_ID}",
    ],
)
def test_what_does_not_exist_is_not_found(api: ApiClient, sync: Body, path: str) -> None:
    answer = api.get(path.replace("ID", sync["id"]))

    assert (answer.status_code, answer.json()["error"]) == (404, "NotFound")


def test_an_unknown_destination_is_answered_with_those_that_exist(api: ApiClient, new_sync: Body) -> None:
    answer = api.post(f"{SYNCS}/abacus", new_sync)

    assert answer.status_code == 404
    assert "railway" in answer.json()["message"]


# --- creating ------------------------------------------------------------------------------------------


def test_a_created_sync_is_pending_and_its_first_run_queued(
    api: ApiClient, new_sync: Body, broker: RecordingBroker
) -> None:
    sync = create(api, new_sync)

    [job] = jobs_of(api, sync)
    assert (sync["syncStatus"], sync["isAutoSyncEnabled"], sync["isPaused"]) == ("pending", True, False)
    assert (job["kind"], job["trigger"], job["status"]) == ("sync", "create", "queued")
    assert broker.sent[-1].task == Task.RUN_JOB
    assert broker.sent[-1].ids == (UUID(job["id"]),)


def test_an_edit_that_no_job_carries_yet_is_told_beside_the_jobs(
    api: ApiClient, new_sync: Body, place: Body, runtime: Runtime
) -> None:
    sync = create(api, new_sync)
    api.post("/api/v4/secrets/TOKEN", {**place, "secretValue": "one"})

    before = api.get(f"{RAILWAY}/{sync['id']}/jobs").json()["hasOpenChanges"]
    dispatch(runtime)
    after = api.get(f"{RAILWAY}/{sync['id']}/jobs").json()["hasOpenChanges"]

    assert (before, after) == (True, False)


@pytest.mark.parametrize(
    "change",
    [
        {"isAutoSyncEnabled": False},
        {"isEnabled": False},
        {"syncOptions": {"initialSyncBehavior": "overwrite-destination", "autoSyncEnabled": False}},
    ],
)
def test_auto_sync_can_be_switched_off_under_each_of_its_names(
    api: ApiClient, new_sync: Body, change: Body, broker: RecordingBroker
) -> None:
    sync = create(api, new_sync, **change)

    assert (sync["isAutoSyncEnabled"], sync["isEnabled"]) == (False, False)
    assert sync["syncOptions"]["autoSyncEnabled"] is False
    assert sync["syncStatus"] is None
    assert jobs_of(api, sync) == []


@pytest.mark.parametrize(
    "change",
    [
        {"isAutoSyncEnabled": True, "isEnabled": False},
        {
            "isEnabled": True,
            "syncOptions": {"initialSyncBehavior": "overwrite-destination", "autoSyncEnabled": False},
        },
    ],
)
def test_names_of_auto_sync_that_contradict_each_other_are_refused(
    api: ApiClient, new_sync: Body, project_id: UUID, change: Body
) -> None:
    answer = api.post(RAILWAY, {**new_sync, **change})

    assert (answer.status_code, answer.json()["error"]) == (422, "ValidationFailure")
    assert "contradict" in answer.json()["message"][0]["message"]
    assert listed(api, project_id) == []


def test_every_option_is_shown_as_it_was_set(api: ApiClient, new_sync: Body) -> None:
    options = {
        "initialSyncBehavior": "import-prioritize-destination",
        "keySchema": "SHOP_{{secretKey}}_{{environment}}",
        "disableSecretDeletion": True,
        "deleteUnmanaged": False,
        "deletionLimitPercent": 10,
        "includeKeys": ["A*"],
        "excludeKeys": ["AB*"],
        "redeploy": "after-change",
        "reconcileMode": "report",
        "reconcileCron": "0 3 * * *",
    }

    sync = create(api, new_sync, syncOptions=options)

    assert sync["syncOptions"].items() >= options.items()


def test_the_wires_name_for_redeploying_is_taken(api: ApiClient, new_sync: Body) -> None:
    options = {"initialSyncBehavior": "overwrite-destination", "autoRedeploy": True}

    assert create(api, new_sync, syncOptions=options)["syncOptions"]["redeploy"] == "after-change"


OVERWRITE = {"initialSyncBehavior": "overwrite-destination"}


@pytest.mark.parametrize("option", ["keySchema", "reconcileCron", "reconcileEverySeconds"])
def test_null_is_no_option(api: ApiClient, new_sync: Body, option: str) -> None:
    sync = create(api, new_sync, syncOptions={**OVERWRITE, option: None})

    assert option not in sync["syncOptions"]


@pytest.mark.parametrize(
    ("change", "status", "path"),
    [
        ({"name": "Upper"}, 422, ["name"]),
        ({"name": "two words"}, 422, ["name"]),
        ({"name": "-a"}, 422, ["name"]),
        ({"name": "a--b"}, 422, ["name"]),
        ({"name": "n" * 257}, 422, ["name"]),
        ({"name": None}, 422, ["name"]),
        ({"description": "d" * 257}, 422, ["description"]),
        ({"projectId": ""}, 422, ["projectId"]),
        ({"projectId": UNKNOWN_ID}, 400, None),
        ({"connectionId": "x"}, 422, ["connectionId"]),
        ({"connectionId": UNKNOWN_ID}, 400, None),
        ({"environment": "nowhere"}, 400, None),
        ({"environment": 7}, 422, ["environment"]),
        ({"secretPath": "/nowhere"}, 400, None),
        ({"secretPath": ""}, 422, ["secretPath"]),
        ({"isAutoSyncEnabled": "yes"}, 422, ["isAutoSyncEnabled"]),
        ({"syncOptions": None}, 422, ["syncOptions"]),
        ({"syncOptions": {}}, 422, ["syncOptions", "initialSyncBehavior"]),
        ({"syncOptions": {"initialSyncBehavior": "erase"}}, 422, ["syncOptions", "initialSyncBehavior"]),
        ({"syncOptions": {**OVERWRITE, "keySchema": "NO_PLACE"}}, 422, ["syncOptions", "keySchema"]),
        ({"syncOptions": {**OVERWRITE, "keySchema": "{{ secretKey }}"}}, 422, ["syncOptions", "keySchema"]),
        (
            {"syncOptions": {**OVERWRITE, "keySchema": "{{secretKey}}" + "x" * 255}},
            422,
            ["syncOptions", "keySchema"],
        ),
        ({"syncOptions": {**OVERWRITE, "keySchema": 7}}, 422, ["syncOptions", "keySchema"]),
        ({"syncOptions": {**OVERWRITE, "reconcileCron": "soon"}}, 422, ["syncOptions", "reconcileCron"]),
        ({"syncOptions": {**OVERWRITE, "disableDeletion": True}}, 422, ["syncOptions", "disableDeletion"]),
        (
            {"syncOptions": {**OVERWRITE, "deletionLimitPercent": 101}},
            422,
            ["syncOptions", "deletionLimitPercent"],
        ),
        ({"destinationConfig": {}}, 422, None),
        ({"destinationConfig": "web"}, 422, ["destinationConfig"]),
        (
            {"destinationConfig": {"projectId": "p", "environmentId": "e", "replace": True}},
            422,
            ["destinationConfig", "replace"],
        ),
        (
            {"destinationConfig": {"projectId": "p" * 256, "environmentId": "e"}},
            422,
            ["destinationConfig", "projectId"],
        ),
    ],
)
def test_a_wrong_sync_is_refused_and_not_stored(
    api: ApiClient,
    new_sync: Body,
    project_id: UUID,
    change: Body,
    status: int,
    path: list[str] | None,
    broker: RecordingBroker,
) -> None:
    answer = api.post(RAILWAY, {**new_sync, **change})

    assert answer.status_code == status, answer.text
    assert answer.json().keys() >= {"reqId", "statusCode", "message", "error"}
    if path is not None:
        assert [issue["path"] for issue in answer.json()["message"]] == [path]
    assert listed(api, project_id) == []
    assert Task.RUN_JOB not in broker.tasks()


def test_everything_that_is_missing_is_listed_at_once(api: ApiClient) -> None:
    issues = api.post(RAILWAY, {}).json()["message"]

    assert {issue["path"][0] for issue in issues} == {
        "name",
        "projectId",
        "connectionId",
        "environment",
        "secretPath",
        "syncOptions",
        "destinationConfig",
    }


def test_a_name_is_taken_once_in_a_project(
    api: ApiClient, sync: Body, new_sync: Body, project_id: UUID
) -> None:
    elsewhere = {**new_sync["destinationConfig"], "serviceId": "svc-worker"}

    answer = api.post(RAILWAY, {**new_sync, "destinationConfig": elsewhere})

    assert answer.status_code == 400
    assert "to-railway" in answer.json()["message"]
    assert listed(api, project_id) == ["to-railway"]


def test_a_second_sync_for_the_same_keys_is_refused(api: ApiClient, sync: Body, new_sync: Body) -> None:
    answer = api.post(RAILWAY, {**new_sync, "name": "second"})

    assert answer.status_code == 400
    assert "to-railway" in answer.json()["message"]


def test_a_connection_of_another_project_cannot_be_used(
    api: ApiClient, new_sync: Body, foreign_id: UUID
) -> None:
    credentials = {"apiToken": "demo-account-token"}
    foreign = {"name": "foreign", "method": "account-token", "credentials": credentials}
    made = api.post("/api/v1/app-connections/railway", {**foreign, "projectId": str(foreign_id)})

    answer = api.post(RAILWAY, {**new_sync, "connectionId": made.json()["appConnection"]["id"]})

    assert answer.status_code == 400


# --- changing ------------------------------------------------------------------------------------------


def test_a_rename_starts_no_run(api: ApiClient, new_sync: Body, broker: RecordingBroker) -> None:
    sync = create(api, new_sync, isAutoSyncEnabled=False)
    before = broker.tasks()

    changed = api.patch(f"{RAILWAY}/{sync['id']}", {"name": "renamed"}).json()["secretSync"]

    assert (changed["name"], changed["version"]) == ("renamed", 2)
    assert broker.tasks() == before


def test_a_change_of_the_outcome_starts_a_run(api: ApiClient, sync: Body, broker: RecordingBroker) -> None:
    before = len(broker.sent)
    options = {**sync["syncOptions"], "keySchema": "SHOP_{{secretKey}}"}

    changed = api.patch(f"{RAILWAY}/{sync['id']}", {"syncOptions": options}).json()["secretSync"]

    assert changed["syncOptions"]["keySchema"] == "SHOP_{{secretKey}}"
    assert changed["syncStatus"] == "pending"
    assert [sent.task for sent in broker.sent[before:]] == [Task.RUN_JOB]


def test_options_and_destination_are_replaced_as_a_whole(api: ApiClient, new_sync: Body) -> None:
    options = {**OVERWRITE, "keySchema": "A_{{secretKey}}", "disableSecretDeletion": True}
    sync = create(api, new_sync, syncOptions=options)
    shared = {"projectId": "prj-1", "environmentId": "env-production"}

    changed = api.patch(f"{RAILWAY}/{sync['id']}", {"syncOptions": OVERWRITE, "destinationConfig": shared})

    after = changed.json()["secretSync"]
    assert "keySchema" not in after["syncOptions"]
    assert after["syncOptions"]["disableSecretDeletion"] is False
    assert "serviceId" not in after["destinationConfig"]


def test_a_sync_can_be_paused_and_resumed(api: ApiClient, sync: Body) -> None:
    path = f"{RAILWAY}/{sync['id']}"

    paused = api.patch(path, {"isPaused": True}).json()["secretSync"]
    refused = api.post(f"{path}/sync-secrets")
    resumed = api.patch(path, {"isPaused": False}).json()["secretSync"]

    assert (paused["isPaused"], paused["nextReconcileAt"]) == (True, None)
    assert refused.status_code == 400
    assert "paused" in refused.json()["message"]
    assert (resumed["isPaused"], resumed["syncStatus"]) == (False, "pending")


@pytest.mark.parametrize("name", ["isAutoSyncEnabled", "isEnabled"])
def test_auto_sync_can_be_switched_off_later(api: ApiClient, sync: Body, name: str) -> None:
    changed = api.patch(f"{RAILWAY}/{sync['id']}", {name: False}).json()["secretSync"]

    assert changed["isAutoSyncEnabled"] is False
    assert [job["status"] for job in jobs_of(api, sync)] == ["cancelled"]


def test_null_clears_the_description(api: ApiClient, new_sync: Body) -> None:
    sync = create(api, new_sync, description="old")

    changed = api.patch(f"{RAILWAY}/{sync['id']}", {"description": None}).json()["secretSync"]

    assert sync["description"] == "old"
    assert changed["description"] is None


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"name": "Upper"}, 422),
        ({"environment": "nowhere"}, 400),
        ({"secretPath": "/nowhere"}, 400),
        ({"connectionId": UNKNOWN_ID}, 400),
        ({"syncOptions": {}}, 422),
        ({"syncOptions": {**OVERWRITE, "keySchema": "none"}}, 422),
        ({"destinationConfig": {"projectId": "p"}}, 422),
        ({"isPaused": "yes"}, 422),
        ({"isAutoSyncEnabled": True, "isEnabled": False}, 422),
    ],
)
def test_a_wrong_change_changes_nothing(api: ApiClient, sync: Body, change: Body, status: int) -> None:
    path = f"{RAILWAY}/{sync['id']}"

    answer = api.patch(path, change)

    assert answer.status_code == status
    assert api.get(path).json()["secretSync"] == sync


# --- triggers ------------------------------------------------------------------------------------------


def test_a_manual_run_goes_ahead_of_everything_else(
    api: ApiClient, sync: Body, broker: RecordingBroker
) -> None:
    answer = api.post(f"{RAILWAY}/{sync['id']}/sync-secrets")

    assert answer.json()["secretSync"]["syncStatus"] == "pending"
    assert broker.sent[-1].queue == Queue.INTERACTIVE
    assert [job["trigger"] for job in jobs_of(api, sync)] == ["manual"]


def test_a_plan_can_be_approved_by_its_hash(api: ApiClient, sync: Body, runtime: Runtime) -> None:
    plan = api.get(f"{RAILWAY}/{sync['id']}/preview").json()["plan"]["hash"]

    answer = api.post(f"{RAILWAY}/{sync['id']}/sync-secrets", {"approvePlan": plan})

    assert answer.status_code == 200
    [job] = jobs_of(api, sync)
    assert stored_job(runtime, UUID(job["id"])).options == {"approvePlan": plan}


def test_the_approval_of_another_plan_is_answered_with_the_plan_now(api: ApiClient, sync: Body) -> None:
    now = api.get(f"{RAILWAY}/{sync['id']}/preview").json()
    before = jobs_of(api, sync)

    answer = api.post(f"{RAILWAY}/{sync['id']}/sync-secrets", {"approvePlan": "0123456789abcdef" * 4})

    assert answer.status_code == 409
    assert answer.json()["error"] == "PlanOutdated"
    assert answer.json()["plan"] == now
    assert jobs_of(api, sync) == before


def test_a_hash_of_another_form_is_refused(api: ApiClient, sync: Body) -> None:
    assert api.post(f"{RAILWAY}/{sync['id']}/sync-secrets", {"approvePlan": "yes"}).status_code == 422


@pytest.mark.parametrize("behavior", ["prioritize-source", "prioritize-destination"])
def test_an_import_is_queued_with_its_behaviour(
    api: ApiClient, sync: Body, runtime: Runtime, behavior: str
) -> None:
    path = f"{RAILWAY}/{sync['id']}/import-secrets"

    answer = api.request("POST", path, params={"importBehavior": behavior})

    assert answer.json()["secretSync"]["importStatus"] == "pending"
    [job] = jobs_of(api, sync, kind="import")
    assert stored_job(runtime, UUID(job["id"])).options == {"importBehavior": f"import-{behavior}"}


@pytest.mark.parametrize("query", [{}, {"importBehavior": "overwrite"}])
def test_an_import_has_to_say_who_wins(api: ApiClient, sync: Body, query: dict[str, str]) -> None:
    answer = api.request("POST", f"{RAILWAY}/{sync['id']}/import-secrets", params=query or None)

    assert answer.status_code == 422
    assert jobs_of(api, sync, kind="import") == []


def test_a_removal_is_queued(api: ApiClient, sync: Body) -> None:
    answer = api.post(f"{RAILWAY}/{sync['id']}/remove-secrets")

    assert answer.json()["secretSync"]["removeStatus"] == "pending"
    assert [job["status"] for job in jobs_of(api, sync, kind="remove")] == ["queued"]


def test_nothing_can_be_started_once_the_source_is_gone(api: ApiClient, new_sync: Body, place: Body) -> None:
    folder = api.post("/api/v2/folders", {**place, "name": "web"}).json()["folder"]
    sync = create(api, new_sync, secretPath="/web")
    api.delete(f"/api/v2/folders/{folder['id']}")

    answer = api.post(f"{RAILWAY}/{sync['id']}/sync-secrets")

    shown = api.get(f"{RAILWAY}/{sync['id']}").json()["secretSync"]
    assert answer.status_code == 400
    assert (shown["folder"], shown["folderId"]) == (None, None)


# --- deleting ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("query", [{}, {"removeSecrets": "false"}])
def test_a_deleted_sync_is_gone_at_once(
    api: ApiClient, sync: Body, project_id: UUID, query: dict[str, str]
) -> None:
    answer = api.delete(f"{RAILWAY}/{sync['id']}", None, **query)

    assert answer.json()["secretSync"]["id"] == sync["id"]
    assert listed(api, project_id) == []


def test_a_sync_whose_secrets_are_to_go_stays_until_they_are_gone(api: ApiClient, sync: Body) -> None:
    answer = api.delete(f"{RAILWAY}/{sync['id']}", None, removeSecrets="true")

    assert answer.json()["secretSync"]["removeStatus"] == "pending"
    assert api.get(f"{RAILWAY}/{sync['id']}").status_code == 200


@pytest.mark.parametrize("text", ["yes", "1", "True", ""])
def test_only_true_and_false_are_taken(api: ApiClient, sync: Body, text: str) -> None:
    answer = api.delete(f"{RAILWAY}/{sync['id']}", None, removeSecrets=text)

    assert answer.status_code == 422
    assert api.get(f"{RAILWAY}/{sync['id']}").json()["secretSync"] == sync


# --- looking -------------------------------------------------------------------------------------------


def test_a_destination_in_use_is_recognised(api: ApiClient, sync: Body, project_id: UUID) -> None:
    # Names are for people's eyes: they do not make another place.
    config = {**sync["destinationConfig"], "projectName": "other", "serviceName": "other"}
    body = {"destinationConfig": config, "projectId": str(project_id)}

    taken = api.post(f"{RAILWAY}/check-destination", body).json()
    own = api.post(f"{RAILWAY}/check-destination", {**body, "excludeSyncId": sync["id"]}).json()

    assert taken == {"hasDuplicate": True, "duplicateProjectId": str(project_id)}
    assert own == {"hasDuplicate": False, "duplicateProjectId": None}


def test_jobs_are_listed_newest_first_and_in_pages(
    api: ApiClient, sync: Body, clock: ManualClock, project_id: UUID
) -> None:
    clock.advance(seconds=1)
    api.post(f"{RAILWAY}/{sync['id']}/remove-secrets")

    assert [job["kind"] for job in jobs_of(api, sync)] == ["remove", "sync"]
    assert [job["kind"] for job in jobs_of(api, sync, limit="1", offset="1")] == ["sync"]
    assert [job["kind"] for job in jobs_of(api, sync, status="queued", kind="sync")] == ["sync"]
    assert jobs_of(api, sync, trigger="change") == []


def test_a_job_tells_what_it_did(api: ApiClient, sync: Body) -> None:
    [job] = jobs_of(api, sync)

    assert api.get(f"{RAILWAY}/{sync['id']}/jobs/{job['id']}").json() == {"job": job}
    assert job["counts"] == {"created": 0, "updated": 0, "deleted": 0, "unchanged": 0}
    assert (Kind(job["kind"]), Trigger(job["trigger"]), job["attempt"]) == (Kind.SYNC, Trigger.CREATE, 0)
    assert job["startedAt"] is None


def test_a_preview_shows_names_and_writes_nothing(
    api: ApiClient, sync: Body, place: Body, railway: FakeRailway
) -> None:
    railway.seed("env-production/svc-web", {"OLD": "canary-old", "SAME": "canary-old"})
    for key in ("NEW", "SAME"):
        api.post(f"/api/v4/secrets/{key}", {**place, "secretValue": "canary-new"})

    answer = api.get(f"{RAILWAY}/{sync['id']}/preview")

    plan = answer.json()["plan"]
    assert (plan["creates"], plan["updates"], plan["deletes"]) == (["NEW"], ["SAME"], ["OLD"])
    assert len(plan["hash"]) == 64
    assert "canary" not in answer.text
    assert not any(call.is_write for call in railway.calls)


def test_a_preview_of_what_cannot_be_planned_says_why(api: ApiClient, sync: Body, place: Body) -> None:
    api.post("/api/v4/secrets/A", {**place, "secretValue": "${B}"})
    api.post("/api/v4/secrets/B", {**place, "secretValue": "${A}"})

    answer = api.get(f"{RAILWAY}/{sync['id']}/preview")

    assert (answer.status_code, answer.json()["error"]) == (400, "BadRequest")
