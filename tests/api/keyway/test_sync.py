"""Syncs over the wire of Keyway: what is written, what is left alone, and what the caller is told."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI
from sqlalchemy import func, select

from shared.db.jobs import Job
from shared.db.syncs import Sync
from shared.db.vault import Secret
from shared.runtime import Runtime
from shared.usecases.projects import create_project
from tests.api.keyway.conftest import SYNC, KeywayClient, connect
from tests.fakes.railway import FakeRailway
from tests.fakes.service import Fail
from tests.support import InlineBroker, ManualClock

WEB = "env-production/svc-web"


def push(keyway: KeywayClient, place: dict[str, str], **more: Any) -> Any:
    return keyway.data(keyway.post(SYNC, {**place, **more}))


def look(keyway: KeywayClient, place: dict[str, str], **more: Any) -> Any:
    return keyway.data(keyway.get(f"{SYNC}/preview", **place, **more))


def test_a_push_says_what_it_did_in_both_words(
    keyway: KeywayClient, place: dict[str, str], railway: FakeRailway
) -> None:
    railway.seed(WEB, {"A": "old", "B": "same"})
    keyway.push({"A": "new", "B": "same", "C": "added"})

    result = push(keyway, place)

    assert railway.variables[WEB] == {"A": "new", "B": "same", "C": "added"}
    assert (result["status"], result["success"]) == ("success", True)
    assert result["stats"] == {"created": 1, "updated": 1, "deleted": 0, "skipped": 1, "total": 2}
    assert {key: result[key] for key in ("created", "updated", "deleted", "skipped")} == {
        "created": 1,
        "updated": 1,
        "deleted": 0,
        "skipped": 1,
    }
    assert "error" not in result


def test_a_second_push_writes_nothing(
    keyway: KeywayClient, place: dict[str, str], railway: FakeRailway
) -> None:
    keyway.push({"A": "1", "B": "2"})
    push(keyway, place)
    railway.forget_calls()

    result = push(keyway, place)

    assert result["stats"] == {"created": 0, "updated": 0, "deleted": 0, "skipped": 2, "total": 0}
    assert railway.writes == []


def test_two_hundred_keys_are_one_write(
    keyway: KeywayClient, place: dict[str, str], railway: FakeRailway
) -> None:
    keyway.push({f"KEY_{number}": str(number) for number in range(200)})
    railway.forget_calls()

    result = push(keyway, place)

    assert result["created"] == 200
    assert len([call for call in railway.writes if "variableCollectionUpsert" in call.body["query"]]) <= 2
    assert len(railway.calls) <= 12


def test_a_key_that_cannot_be_written_makes_the_sync_partial_and_is_named(
    keyway: KeywayClient, place: dict[str, str], railway: FakeRailway
) -> None:
    keyway.push({"GOOD": "1", "RAILWAY_OWN": "2"})

    preview = look(keyway, place)
    result = push(keyway, place)

    assert preview["toCreate"] == ["GOOD"]
    assert list(preview["skipped"]) == ["RAILWAY_OWN"]
    assert railway.variables[WEB] == {"GOOD": "1"}
    assert (result["status"], result["success"], result["created"]) == ("partial", False, 1)
    assert "RAILWAY_OWN" in result["error"]
    assert list(result["failedKeys"]) == ["RAILWAY_OWN"]


def test_a_failure_at_the_provider_is_an_answer_with_its_reason(
    keyway: KeywayClient, place: dict[str, str], railway: FakeRailway
) -> None:
    keyway.push({"A": "1"})
    railway.fail_next(Fail(400), where=lambda request: "variableCollectionUpsert" in request.body.decode())

    answer = keyway.post(SYNC, place)

    assert answer.status_code == 200
    result = keyway.data(answer)
    assert (result["status"], result["success"]) == ("failed", False)
    assert "Railway" in result["error"]


def test_what_was_written_before_a_failure_is_counted(
    keyway: KeywayClient, place: dict[str, str], railway: FakeRailway
) -> None:
    railway.seed(WEB, {"OLD": "1"})
    keyway.push({"NEW": "1"})
    railway.fail_next(Fail(400), where=lambda request: "environmentStageChanges" in request.body.decode())

    result = push(keyway, place, allowDelete=True)

    assert (result["status"], result["created"], result["deleted"]) == ("partial", 1, 0)
    assert railway.variables[WEB] == {"NEW": "1", "OLD": "1"}


def test_an_empty_value_is_neither_deleted_nor_written_again(
    keyway: KeywayClient, place: dict[str, str], railway: FakeRailway
) -> None:
    keyway.push({"EMPTY": "", "FULL": "1"})
    push(keyway, place, allowDelete=True)
    railway.forget_calls()

    result = push(keyway, place, allowDelete=True)

    assert railway.variables[WEB] == {"EMPTY": "", "FULL": "1"}
    assert result["stats"]["total"] == 0
    assert railway.writes == []


def test_nothing_is_deleted_unless_it_is_allowed(
    keyway: KeywayClient, place: dict[str, str], railway: FakeRailway
) -> None:
    railway.seed(WEB, {"FOREIGN": "1"})
    keyway.push({"OURS": "1"})

    preview, result = look(keyway, place), push(keyway, place)

    assert preview["toDelete"] == []
    assert list(preview["kept"]) == ["FOREIGN"]
    assert result["deleted"] == 0
    assert railway.variables[WEB] == {"FOREIGN": "1", "OURS": "1"}


def test_the_preview_and_the_sync_delete_the_same(
    keyway: KeywayClient, place: dict[str, str], railway: FakeRailway
) -> None:
    railway.seed(WEB, {"FOREIGN": "1"})
    railway.seal(WEB, {"SEALED": "2"})
    keyway.push({"OURS": "1"})

    preview = look(keyway, place, allowDelete="true")
    result = push(keyway, place, allowDelete=True)

    assert preview["toDelete"] == ["FOREIGN"]
    assert "SEALED" in preview["kept"]
    assert result["deleted"] == 1
    assert railway.variables[WEB].keys() == {"SEALED", "OURS"}


def test_after_a_sync_with_deletion_the_next_one_without_deletes_nothing(
    keyway: KeywayClient, place: dict[str, str], railway: FakeRailway
) -> None:
    keyway.push({"OURS": "1"})
    push(keyway, place, allowDelete=True)
    railway.seed(WEB, {"FOREIGN": "1"})

    result = push(keyway, place)

    assert result["deleted"] == 0
    assert "FOREIGN" in railway.variables[WEB]


def test_an_empty_vault_wipes_no_destination(
    keyway: KeywayClient, place: dict[str, str], railway: FakeRailway
) -> None:
    railway.seed(WEB, {"A": "1", "B": "2"})

    preview = look(keyway, place, allowDelete="true")
    result = push(keyway, place, allowDelete=True)

    assert railway.variables[WEB] == {"A": "1", "B": "2"}
    assert f"{preview['blocked']} At a command line: keytide syncs approve keyway-" in result["error"]
    assert (result["status"], result["success"]) == ("failed", False)
    assert result["planHash"] == preview["planHash"]


def test_a_secret_that_cannot_be_decrypted_deletes_no_copy(
    keyway: KeywayClient, place: dict[str, str], railway: FakeRailway, runtime: Runtime
) -> None:
    keyway.push({"A": "1", "BROKEN": "1"})
    push(keyway, place, allowDelete=True)
    with runtime.database.transaction() as session:
        session.query(Secret).filter(Secret.key == "BROKEN").update({"value": b"x" * 40})
    railway.forget_calls()

    result = push(keyway, place, allowDelete=True)

    assert railway.writes == []
    assert railway.variables[WEB] == {"A": "1", "BROKEN": "1"}
    assert (result["status"], result["success"]) == ("failed", False)
    assert "BROKEN: it cannot be decrypted" in result["error"]


def test_the_plan_that_a_preview_showed_can_be_approved(
    keyway: KeywayClient, place: dict[str, str], railway: FakeRailway
) -> None:
    railway.seed(WEB, {"A": "1", "B": "2"})
    shown = look(keyway, place, allowDelete="true")["planHash"]

    result = push(keyway, place, allowDelete=True, planHash=shown)

    assert (result["status"], result["deleted"]) == ("success", 2)
    assert railway.variables[WEB] == {}


def test_a_plan_that_is_out_of_date_is_not_carried_out(
    keyway: KeywayClient, place: dict[str, str], railway: FakeRailway
) -> None:
    railway.seed(WEB, {"A": "1"})
    shown = look(keyway, place, allowDelete="true")["planHash"]
    railway.seed(WEB, {"B": "2"})

    result = push(keyway, place, allowDelete=True, planHash=shown)

    assert result["success"] is False
    assert railway.variables[WEB] == {"A": "1", "B": "2"}


def test_a_pull_creates_what_is_missing_and_changes_nothing_else(
    keyway: KeywayClient, place: dict[str, str], railway: FakeRailway
) -> None:
    railway.seed(WEB, {"BOTH": "theirs", "THEIRS": "2"})
    keyway.push({"BOTH": "ours"})

    preview = look(keyway, place, direction="pull")
    result = push(keyway, place, direction="pull")

    assert (preview["toCreate"], preview["toUpdate"], preview["toSkip"]) == (["THEIRS"], [], ["BOTH"])
    assert (result["status"], result["created"], result["updated"], result["skipped"]) == ("success", 1, 0, 1)
    assert keyway.pull() == "BOTH=ours\nTHEIRS=2"
    assert railway.writes == []


def test_a_pull_with_overwrite_takes_the_providers_values(
    keyway: KeywayClient, place: dict[str, str], railway: FakeRailway
) -> None:
    railway.seed(WEB, {"BOTH": "theirs", "THEIRS": "2"})
    keyway.push({"BOTH": "ours"})

    preview = look(keyway, place, direction="pull", overwrite="true")
    result = push(keyway, place, direction="pull", overwrite=True)

    assert (preview["toCreate"], preview["toUpdate"]) == (["THEIRS"], ["BOTH"])
    assert (result["created"], result["updated"]) == (1, 1)
    assert keyway.pull() == "BOTH=theirs\nTHEIRS=2"


def test_one_sync_serves_every_request_for_the_same_places(
    keyway: KeywayClient, place: dict[str, str], runtime: Runtime
) -> None:
    keyway.push({"A": "1"})

    ids = {push(keyway, place)["syncId"] for _ in range(3)}
    keyway.data(keyway.post(f"{SYNC}/link", place))

    with runtime.database.snapshot() as session:
        assert session.scalar(select(func.count(Sync.id))) == 1
    assert len(ids) == 1


def test_requests_at_the_same_time_become_one_job(
    keyway: KeywayClient, place: dict[str, str], runtime: Runtime, broker: InlineBroker, app: FastAPI
) -> None:
    keyway.push({"A": "1"})
    broker.runtime = None
    app.state.runtime = _impatient(runtime)

    answers = [keyway.post(SYNC, place) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [202] * 3
    assert len({keyway.data(answer)["jobId"] for answer in answers}) == 1


def test_first_syncs_at_the_same_moment_make_one_sync_and_no_error(
    keyway: KeywayClient, place: dict[str, str], runtime: Runtime, railway: FakeRailway
) -> None:
    keyway.push({"A": "1"})

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: keyway.post(SYNC, place), range(4)))

    results = [keyway.data(answer) for answer in answers]
    assert [result["status"] for result in results] == ["success"] * 4
    assert len({result["syncId"] for result in results}) == 1
    assert sum(result["created"] for result in {each["jobId"]: each for each in results}.values()) == 1
    assert railway.variables[WEB] == {"A": "1"}


def test_a_teammate_with_another_connection_continues_the_sync(
    keyway: KeywayClient, place: dict[str, str], railway: FakeRailway
) -> None:
    keyway.push({"A": "1"})
    first = push(keyway, place)
    answer = keyway.post("/v1/integrations/railway/connect", {"token": "demo-workspace-token"})
    other = keyway.data(answer)["connection"]["id"]
    keyway.push({"A": "2"})

    second = push(keyway, {**place, "connectionId": other})

    assert other != place["connectionId"]
    assert (second["success"], second["syncId"]) == (True, first["syncId"])
    assert railway.variables[WEB] == {"A": "2"}


def test_a_sync_that_takes_longer_is_named_and_goes_on(
    keyway: KeywayClient,
    place: dict[str, str],
    runtime: Runtime,
    broker: InlineBroker,
    app: FastAPI,
    railway: FakeRailway,
) -> None:
    keyway.push({"A": "1"})
    broker.runtime = None
    app.state.runtime = _impatient(runtime)

    answer = keyway.post(SYNC, place)
    result = keyway.data(answer)
    broker.runtime = runtime
    broker.send(broker.sent[-1].task, *broker.sent[-1].ids)

    assert answer.status_code == 202
    assert (result["status"], result["success"]) == ("pending", False)
    assert result["jobId"] in result["error"]
    assert railway.variables[WEB] == {"A": "1"}


def test_a_rate_limited_provider_is_asked_again_by_itself(
    keyway: KeywayClient,
    place: dict[str, str],
    runtime: Runtime,
    app: FastAPI,
    railway: FakeRailway,
    clock: ManualClock,
    broker: InlineBroker,
) -> None:
    keyway.push({"A": "1"})
    app.state.runtime = _impatient(runtime)
    railway.fail_next(Fail(429), where=lambda request: "variableCollectionUpsert" in request.body.decode())

    result = push(keyway, place)
    clock.advance(seconds=7200)
    broker.send(broker.sent[-1].task, UUID(result["jobId"]))

    assert result["status"] == "pending"
    assert "Attempt 1" in result["error"]
    assert railway.variables[WEB] == {"A": "1"}


def test_every_sync_leaves_a_history_with_what_it_did(
    keyway: KeywayClient, place: dict[str, str], railway: FakeRailway, clock: ManualClock
) -> None:
    keyway.push({"A": "1"})
    push(keyway, place)
    clock.advance(seconds=1)
    railway.fail_next(Fail(400), where=lambda request: "variableCollectionUpsert" in request.body.decode())
    keyway.push({"A": "2"})
    sync_id = push(keyway, place)["syncId"]

    jobs = keyway.get(f"/api/v1/secret-syncs/railway/{sync_id}/jobs").json()["jobs"]

    assert [(job["status"], job["counts"]["created"]) for job in jobs] == [("failed", 0), ("succeeded", 1)]
    assert "Railway answered 400" in jobs[0]["message"]


def test_a_sync_goes_on_after_whoever_made_it_has_left(
    app: FastAPI, keyway: KeywayClient, vault: UUID, railway: FakeRailway
) -> None:
    grants = [{"projectId": str(vault), "scopes": ["read", "write", "sync"]}]
    made = keyway.post("/api/v1/tokens", {"name": "leaver", "grants": grants}).json()
    leaver = KeywayClient(app, made["token"])
    row = connect(leaver, "railway", "demo-account-token")
    place = {"connectionId": row["id"], "projectId": "prj-1", "serviceId": "svc-web"}
    leaver.push({"A": "1"})
    push(leaver, place)
    keyway.delete(f"/api/v1/tokens/{made['tokenData']['id']}")
    keyway.push({"A": "2"})

    result = push(keyway, place)

    assert leaver.get("/v1/vaults").status_code == 401
    assert result["success"] is True
    assert railway.variables[WEB] == {"A": "2"}


def test_two_vaults_do_not_fight_over_one_destination(
    keyway: KeywayClient, place: dict[str, str], runtime: Runtime
) -> None:
    create_project(runtime, "owner/other", slug="owner/other")
    keyway.push({"A": "1"})
    push(keyway, place)

    other = SYNC.replace("/repo/", "/other/")
    answers = [keyway.post(other, place), keyway.get(f"{other}/preview", **place)]

    assert [answer.status_code for answer in answers] == [409, 409]


def test_a_sync_in_the_way_is_named_to_people_of_its_own_project_only(
    keyway: KeywayClient, place: dict[str, str], runtime: Runtime
) -> None:
    create_project(runtime, "owner/other", slug="owner/other")
    keyway.push({"A": "1"})
    push(keyway, place)

    own = keyway.post(SYNC, {**place, "keywayEnvironment": "staging", "providerEnvironment": "production"})
    foreign = keyway.post(SYNC.replace("/repo/", "/other/"), place)

    assert (own.status_code, foreign.status_code) == (409, 409)
    assert own.json()["detail"].startswith("The sync 'keyway-railway-production-")
    assert foreign.json()["detail"].startswith("A sync of another project already writes")


@pytest.mark.parametrize(("allow_delete", "status"), [(True, 200), (False, 409)])
def test_an_auto_sync_is_used_only_if_it_deletes_as_was_asked(
    keyway: KeywayClient, place: dict[str, str], vault: UUID, allow_delete: bool, status: int
) -> None:
    keyway.push({"A": "1"})
    made = keyway.post(
        "/api/v1/secret-syncs/railway",
        {
            "name": "by-itself",
            "projectId": str(vault),
            "connectionId": place["connectionId"],
            "environment": "production",
            "secretPath": "/",
            "isAutoSyncEnabled": True,
            "destinationConfig": {
                "projectId": "prj-1",
                "environmentId": "env-production",
                "serviceId": "svc-web",
            },
            "syncOptions": {"initialSyncBehavior": "overwrite-destination"},
        },
    )
    assert made.status_code == 200, made.text

    answer = keyway.post(SYNC, {**place, "allowDelete": allow_delete})

    assert answer.status_code == status
    if status == 200:
        assert keyway.data(answer)["syncId"] == made.json()["secretSync"]["id"]
    else:
        assert "by-itself" in answer.json()["detail"]


def test_status_counts_what_all_services_hold_until_one_is_named(
    keyway: KeywayClient, place: dict[str, str], railway: FakeRailway
) -> None:
    railway.seed(WEB, {"A": "1"})
    railway.seed("env-production/svc-worker", {"B": "1", "C": "2"})
    asked = {"connectionId": place["connectionId"], "projectId": "prj-1", "environment": "production"}

    everything = keyway.data(keyway.get(f"{SYNC}/status", **asked))
    one = keyway.data(keyway.get(f"{SYNC}/status", **asked, serviceId="svc-web"))

    assert everything == {
        "isFirstSync": True,
        "vaultIsEmpty": True,
        "providerHasSecrets": True,
        "providerSecretCount": 3,
    }
    assert one["providerSecretCount"] == 1


def test_status_uses_the_counterpart_of_the_environment(
    keyway: KeywayClient, place: dict[str, str], railway: FakeRailway
) -> None:
    railway.seed("env-staging/svc-web", {"A": "1", "B": "2"})

    found = keyway.data(keyway.get(f"{SYNC}/status", **place, environment="staging"))

    assert found["providerSecretCount"] == 2


def test_after_a_link_it_is_not_the_first_sync_any_more(keyway: KeywayClient, place: dict[str, str]) -> None:
    first = keyway.data(keyway.post(f"{SYNC}/link", place))["link"]
    second = keyway.data(keyway.post(f"{SYNC}/link", place))["link"]
    found = keyway.data(keyway.get(f"{SYNC}/status", **place))

    assert (first["isNew"], second["isNew"], first["id"]) == (True, False, second["id"])
    assert (first["projectId"], first["projectName"], first["providerEnvironment"]) == (
        "prj-1",
        "shop",
        "production",
    )
    assert found["isFirstSync"] is False


def test_a_diff_names_the_keys_of_both_sides(
    keyway: KeywayClient, place: dict[str, str], railway: FakeRailway
) -> None:
    railway.seed(WEB, {"SAME": "1", "DIFFERENT": "theirs", "THEIRS": "3", "BLANK": ""})
    keyway.push({"SAME": "1", "DIFFERENT": "ours", "OURS": "3"})

    found = keyway.data(keyway.get(f"{SYNC}/diff", **place))

    assert found == {
        "keywayCount": 3,
        "providerCount": 4,
        "onlyInKeyway": ["OURS"],
        "onlyInProvider": ["BLANK", "THEIRS"],
        "different": ["DIFFERENT"],
        "same": ["SAME"],
    }


def test_previews_store_nothing(keyway: KeywayClient, place: dict[str, str], runtime: Runtime) -> None:
    keyway.push({"A": "1"})

    look(keyway, place)
    keyway.data(keyway.get(f"{SYNC}/diff", **place))
    keyway.data(keyway.get(f"{SYNC}/status", **place))

    with runtime.database.snapshot() as session:
        assert session.scalar(select(func.count(Sync.id))) == 0
        assert session.scalar(select(func.count(Job.id))) == 0


@pytest.mark.parametrize(
    ("wrong", "status", "told"),
    [
        ({"connectionId": "9c5b94b1-35ad-49bb-b118-8e8fc24abf80"}, 404, "Connection"),
        ({"projectId": "no-such-project"}, 404, "no-such-project"),
        ({"serviceId": "no-such-service"}, 400, "web, worker"),
        ({"providerEnvironment": "nowhere"}, 400, "production, staging"),
        ({"keywayEnvironment": "qa"}, 400, "Available environments"),
        ({"keywayEnvironment": "default"}, 400, "development, staging, production"),
    ],
)
def test_a_place_that_does_not_exist_is_named(
    keyway: KeywayClient, place: dict[str, str], wrong: dict[str, str], status: int, told: str
) -> None:
    answers = [
        keyway.post(SYNC, {**place, **wrong}),
        keyway.get(f"{SYNC}/preview", **{**place, **wrong}),
        keyway.get(f"{SYNC}/diff", **{**place, **wrong}),
    ]

    assert [answer.status_code for answer in answers] == [status] * 3
    assert all(told in answer.json()["detail"] for answer in answers)


def test_an_environment_without_a_counterpart_never_becomes_production(
    keyway: KeywayClient, place: dict[str, str], railway: FakeRailway
) -> None:
    keyway.data(keyway.post("/v1/vaults/owner/repo/environments", {"name": "qa"}))
    keyway.push({"A": "1"}, environment="qa")

    answer = keyway.post(SYNC, {**place, "keywayEnvironment": "qa"})
    named = push(keyway, place, keywayEnvironment="qa", providerEnvironment="STAGING")

    assert answer.status_code == 400
    assert "staging → staging" in answer.json()["detail"]
    assert named["success"] is True
    assert railway.variables["env-staging/svc-web"] == {"A": "1"}
    assert railway.variables[WEB] == {}


def _impatient(runtime: Runtime) -> Runtime:
    return replace(runtime, settings=runtime.settings.model_copy(update={"sync_wait_seconds": 0.0}))
