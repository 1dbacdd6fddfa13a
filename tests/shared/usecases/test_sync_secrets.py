"""One sync: what it writes, what it leaves alone, and when it refuses to."""

import itertools
from uuid import UUID

import pytest

from shared.db import ledger
from shared.db.jobs import JobStatus
from shared.db.syncs import Status, Sync
from shared.db.vault import Secret
from shared.usecases.folders import delete_folder
from shared.usecases.preview import preview_sync
from shared.usecases.reconcile import reconcile_due
from shared.usecases.run_job import run_job
from tests.fakes.service import Fail, Request
from tests.shared.usecases.world import PROVIDER, World, place


def many(number: int, *, start: int = 0, value: str = "1") -> dict[str, str]:
    return {f"KEY_{index:03}": value for index in range(start, start + number)}


def message(world: World) -> str:
    """Return why the only sync failed."""
    state = world.state(world.sync_ids()[0])
    assert state.sync_status == Status.FAILED
    return state.last_sync_message or ""


def calls(world: World) -> tuple[int, int]:
    return len(world.railway.reads), len(world.railway.writes)


# --- what it costs -------------------------------------------------------------------------------------


def test_nothing_changed_costs_one_read_and_no_write(world: World) -> None:
    world.put(**many(20))
    sync_id = world.sync(redeploy="after-change")
    world.work()
    world.railway.forget_calls()

    world.trigger(sync_id)
    world.work()

    assert calls(world) == (1, 0)
    assert world.jobs(sync_id)[0].unchanged_count == 20


@pytest.mark.parametrize("changed", [1, 20])
def test_changed_keys_cost_one_read_and_one_write_however_many(world: World, changed: int) -> None:
    world.put(**many(50))
    world.sync()
    world.work()
    world.railway.forget_calls()

    world.put(**many(changed, value="2"))
    world.work()

    assert calls(world) == (1, 1)


def test_a_changed_value_is_never_absent_while_it_is_changed(world: World) -> None:
    world.put(**many(5))
    world.sync()
    world.work()
    world.railway.forget_calls()

    world.put(**many(5, value="2"))
    world.work()

    assert not any(world.railway.was_ever_absent(place("svc-web"), key) for key in many(5))


def test_a_sync_has_no_limit_of_keys(world: World) -> None:
    keys = {f"KEY_{index:04}": "${BASE}/" + str(index) for index in range(1200)}
    world.put(BASE="https://shop", **keys)
    sync_id = world.sync()

    world.work()

    assert world.state(sync_id).sync_status == Status.SUCCEEDED
    assert len(world.held()) == 1201
    assert world.held()["KEY_1199"] == "https://shop/1199"


def test_nothing_is_deleted_before_what_replaces_it_is_written(world: World) -> None:
    world.put(OLD_NAME="1")
    world.sync()
    world.work()
    world.railway.fail_next(Fail(503), where=is_write)

    world.put(NEW_NAME="1")
    world.drop("OLD_NAME")
    world.work()

    assert world.held() == {"OLD_NAME": "1"}
    world.later(60)
    assert world.held() == {"NEW_NAME": "1"}


# --- what is left alone --------------------------------------------------------------------------------


def test_a_key_that_the_source_does_not_have_is_deleted(world: World) -> None:
    world.seed(FOREIGN="1")
    world.put(A="1")
    world.sync()

    world.work()

    assert world.held() == {"A": "1"}


def test_nothing_is_deleted_where_deletion_is_disabled(world: World) -> None:
    world.put(A="1", B="1")
    sync_id = world.sync(disableSecretDeletion=True)
    world.work()

    world.drop("B")
    world.work()

    assert world.held() == {"A": "1", "B": "1"}
    assert world.jobs(sync_id)[0].details["kept"] == {"B": "deletion is disabled"}


def test_only_its_own_keys_are_deleted_if_that_is_wanted(world: World) -> None:
    world.seed(FOREIGN="1")
    world.put(A="1", B="1")
    world.sync(deleteUnmanaged=False)
    world.work()

    world.drop("B")
    world.work()

    assert world.held() == {"A": "1", "FOREIGN": "1"}


def test_a_key_schema_names_what_is_written_and_limits_what_is_touched(world: World) -> None:
    world.seed(OTHER="1", APP_OLD_PRODUCTION="1", APP_production="1")
    world.put(KEY="1")
    world.sync(keySchema="APP_{{secretKey}}_{{environment}}")

    world.work()

    assert world.held() == {
        "OTHER": "1",
        "APP_OLD_PRODUCTION": "1",
        "APP_production": "1",
        "APP_KEY_production": "1",
    }


def test_filters_choose_what_is_written_and_limit_what_is_touched(world: World) -> None:
    world.seed(LOCAL_PORT="80", APP_OLD="1", OTHER="1")
    world.put(APP_KEY="1", APP_SECRET="1", LOCAL_HOST="x")
    world.sync(includeKeys=["APP_*"], excludeKeys=["*_SECRET"])

    world.work()

    assert world.held() == {"APP_KEY": "1", "LOCAL_PORT": "80", "OTHER": "1"}


def test_the_providers_own_names_fail_the_job_and_the_others_are_written(world: World) -> None:
    world.put(A="1", RAILWAY_TOKEN="1")
    sync_id = world.sync()

    world.work()

    assert world.held() == {"A": "1"}
    assert message(world) == (
        "1 of 2 keys could not be brought in line. RAILWAY_TOKEN: names with RAILWAY_ are Railway's own."
    )
    assert world.jobs(sync_id)[0].created_count == 1


def test_syncs_with_their_own_names_at_one_destination_never_touch_each_other(world: World) -> None:
    world.put(KEY="one")
    world.put(environment="staging", KEY="two")
    world.sync("one", keySchema="ONE_{{secretKey}}")
    world.sync("two", environment="staging", keySchema="TWO_{{secretKey}}")
    world.work()

    world.drop("KEY")
    world.put(A="1")
    world.work()

    assert world.held() == {"ONE_A": "1", "TWO_KEY": "two"}


def test_a_key_that_another_sync_wrote_there_is_left_alone_and_named(world: World) -> None:
    world.put(A="1")
    world.sync("first", keySchema="X_{{secretKey}}")
    second = world.sync("second", keySchema="Y_{{secretKey}}")
    world.work()
    # No use-case lets it come to this.
    with world.runtime.database.transaction() as session:
        options = world.options(keySchema="X_{{secretKey}}", disableSecretDeletion=True)
        session.get_one(Sync, second).sync_options = options.stored()
    world.put(A="2")
    world.trigger(second)

    world.work()

    assert world.state(second).sync_status == Status.FAILED
    assert "X_A: another sync writes this key" in (world.state(second).last_sync_message or "")


def test_what_a_sync_gave_up_with_its_key_schema_is_free_for_another_one(world: World) -> None:
    world.put(A="1")
    first = world.sync("first", keySchema="X_{{secretKey}}")
    world.work()
    world.change(first, sync_options=world.options(keySchema="Y_{{secretKey}}"))
    world.work()

    second = world.sync("second", keySchema="X_{{secretKey}}")
    world.put(A="2")
    world.work()

    assert world.state(second).sync_status == Status.SUCCEEDED
    assert world.held() == {"X_A": "2", "Y_A": "2"}


def test_a_sync_that_moved_on_leaves_its_old_destination_to_others(world: World) -> None:
    world.put(A="1")
    first = world.sync("first")
    world.work()
    world.change(first, destination_config=world.config("svc-worker"))
    world.work()

    second = world.sync("second", environment="staging")
    world.put(environment="staging", A="2")
    world.work()

    assert world.state(second).sync_status == Status.SUCCEEDED
    assert (world.held(), world.held("svc-worker")) == ({"A": "2"}, {"A": "1"})


# --- what cannot be read deletes nothing ---------------------------------------------------------------


def test_a_secret_that_cannot_be_decrypted_fails_the_job_and_deletes_nothing(world: World) -> None:
    world.put(A="1", BROKEN="1")
    world.sync()
    world.work()
    with world.runtime.database.transaction() as session:
        session.query(Secret).filter(Secret.key == "BROKEN").update({"value": b"x" * 40})

    world.put(A="2")
    world.work()

    assert message(world).endswith("BROKEN: it cannot be decrypted.")
    assert world.held() == {"A": "1", "BROKEN": "1"}


def test_an_imported_secret_that_cannot_be_decrypted_fails_the_job_and_deletes_nothing(world: World) -> None:
    world.folder("base")
    world.put(path="/base", BROKEN="1")
    world.put(A="1")
    world.show("/base")
    world.sync()
    world.work()
    with world.runtime.database.transaction() as session:
        session.query(Secret).filter(Secret.key == "BROKEN").update({"value": b"x" * 40})

    world.put(A="2")
    world.work()

    assert message(world).endswith("BROKEN: it cannot be decrypted.")
    assert world.held() == {"A": "1", "BROKEN": "1"}


def test_an_imported_value_whose_reference_leads_nowhere_is_never_sent_as_text(world: World) -> None:
    world.folder("base")
    world.put(path="/base", URL="db")
    world.show("/base")
    world.sync()
    world.work()

    world.put(path="/base", URL="${production.db.PASSWORD}")
    world.work()

    assert "URL: it refers to PASSWORD in /db of production, which does not exist" in message(world)
    assert world.held() == {"URL": "db"}


def test_a_reference_to_nothing_fails_the_job_and_deletes_nothing(world: World) -> None:
    world.put(A="1", URL="x")
    world.sync()
    world.work()

    world.put(URL="${production.db.PASSWORD}")
    world.work()

    assert "URL: it refers to PASSWORD in /db of production, which does not exist" in message(world)
    assert world.held() == {"A": "1", "URL": "x"}


def test_references_in_a_circle_fail_the_job(world: World) -> None:
    world.put(A="${B}", B="${A}")
    world.sync()

    world.work()

    assert "go round in a circle" in message(world)
    assert world.held() == {}


def test_a_reference_to_a_key_that_is_not_in_its_folder_is_a_warning(world: World) -> None:
    world.put(A="${HOME}/bin")
    sync_id = world.sync()

    world.work()

    assert world.held() == {"A": "${HOME}/bin"}
    assert world.jobs(sync_id)[0].details["warnings"] == [
        "A seems to refer to a secret that is not in its folder; the text was left as it is."
    ]


def test_a_source_folder_that_was_deleted_fails_the_sync_and_deletes_nothing(world: World) -> None:
    folder_id = world.folder("app")
    world.put(path="/app", A="1")
    world.sync(path="/app")
    world.work()
    world.railway.forget_calls()

    delete_folder(world.runtime, folder_id)
    world.work()

    assert message(world).startswith("The source environment or folder no longer exists")
    assert world.held() == {"A": "1"}
    assert world.railway.writes == []


# --- the brake -----------------------------------------------------------------------------------------


def blocked_plan(world: World) -> str:
    """Return the hash in the message of the blocked sync."""
    text = message(world)
    assert "Nothing was changed" in text
    return text.rsplit("approvePlan=", 1)[1].rstrip(".")


def test_a_run_that_would_delete_too_much_stops_and_says_how_to_go_on(world: World) -> None:
    world.put(**many(30))
    sync_id = world.sync()
    world.work()
    world.railway.forget_calls()

    world.drop(*many(10))
    world.work()

    assert "10 of 30 keys would be deleted" in message(world)
    assert world.railway.writes == []
    world.trigger(sync_id, approvePlan=blocked_plan(world))
    world.work()
    assert world.held() == many(20, start=10)
    assert world.state(sync_id).sync_status == Status.SUCCEEDED


def test_an_approved_run_that_broke_off_needs_no_second_approval_for_the_rest(world: World) -> None:
    world.put(**many(300))
    sync_id = world.sync()
    world.work()
    world.drop(*many(250))
    world.work()
    approved = blocked_plan(world)
    deletes = itertools.count(1)
    world.railway.fail_next(
        Fail(503), where=lambda request: world.railway.is_write(request) and next(deletes) > 2
    )

    world.trigger(sync_id, approvePlan=approved)
    world.work()
    assert 50 < len(world.held()) < 300
    world.later(600)

    assert world.held() == many(50, start=250)
    assert world.state(sync_id).sync_status == Status.SUCCEEDED


def test_an_approval_that_is_not_needed_any_more_stops_nothing(world: World) -> None:
    world.put(**many(30))
    sync_id = world.sync()
    world.work()
    world.drop(*many(10))
    world.work()
    approved = blocked_plan(world)

    world.put(**many(10))
    world.put(NEW="1")
    world.broker.sent.clear()
    world.trigger(sync_id, approvePlan=approved)
    world.work()

    assert world.held() == {**many(30), "NEW": "1"}


def test_fewer_than_ten_deletions_are_never_too_much(world: World) -> None:
    world.put(**many(12))
    world.sync()
    world.work()

    world.drop(*many(9))
    world.work()

    assert world.held() == many(3, start=9)


def test_the_limit_can_be_set(world: World) -> None:
    world.put(**many(30))
    world.sync(deletionLimitPercent=50)
    world.work()

    world.drop(*many(15))
    world.work()

    assert len(world.held()) == 15


def test_a_source_that_became_empty_empties_nothing(world: World) -> None:
    world.put(A="1")
    world.sync()
    world.work()

    world.drop("A")
    world.work()

    assert message(world).startswith("The source holds no secrets any more")
    assert world.held() == {"A": "1"}


def test_emptied_values_count_as_lost(world: World) -> None:
    world.put(**many(12))
    world.sync()
    world.work()

    world.put(**many(10, value=""))
    world.work()

    assert "and 10 emptied" in message(world)
    assert world.held() == many(12)


def test_a_first_run_does_not_wipe_a_destination_that_was_chosen_by_mistake(world: World) -> None:
    world.seed(**many(40))
    world.put(A="1")
    world.sync()

    world.work()

    assert "40 of 40 keys would be deleted" in message(world)
    assert world.held() == many(40)


def test_an_approval_holds_for_the_plan_that_was_shown_only(world: World) -> None:
    world.put(**many(30))
    sync_id = world.sync()
    world.work()
    world.drop(*many(10))
    world.work()
    shown = preview_sync(world.runtime, PROVIDER, sync_id)
    assert shown.plan.hash == blocked_plan(world)
    world.drop(*many(5, start=10))
    world.lose_hints()

    world.trigger(sync_id, approvePlan=shown.plan.hash)
    world.work()

    assert "changed since this plan was approved" in message(world)
    assert world.held() == many(30)


# --- part of it ----------------------------------------------------------------------------------------


def test_a_batch_that_is_refused_fails_the_job_and_keeps_what_was_written(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.providers.railway.RailwayDestination.batch_size", 2)
    world.put(A="1", B="1", C="1")
    sync_id = world.sync()
    world.railway.refused.add("C")

    world.work()

    assert world.state(sync_id).sync_status == Status.FAILED
    assert world.held() == {"A": "1", "B": "1"}
    assert world.jobs(sync_id)[0].created_count == 2


def test_a_crash_between_the_write_and_the_ledger_is_made_good(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put(A="1")
    sync_id = world.sync()
    job_id = world.broker.sent[-1].ids[0]
    world.lose_hints()
    with monkeypatch.context() as patch:
        patch.setattr("shared.db.ledger.confirm", crash)
        patch.setattr("shared.usecases.run_job.finish", crash)
        with pytest.raises(KeyboardInterrupt):
            run_job(world.runtime, job_id)
    assert world.held() == {"A": "1"}

    world.later(world.runtime.settings.lease_seconds + 1)

    assert world.state(sync_id).sync_status == Status.SUCCEEDED
    assert len(world.railway.writes) == 1
    assert confirmed(world, sync_id) == {"A"}


def test_a_key_whose_write_was_never_confirmed_is_removed_with_the_sync(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put(A="1")
    sync_id = world.sync()
    with monkeypatch.context() as patch:
        patch.setattr("shared.db.ledger.confirm", crash)
        with pytest.raises(KeyboardInterrupt):
            world.work()
    world.clock.advance(seconds=world.runtime.settings.lease_seconds + 1)

    world.delete(sync_id, remove_secrets=True)
    world.later(1)

    assert world.held() == {}
    assert not world.exists(sync_id)


def test_a_value_that_may_have_been_overwritten_is_not_taken_for_the_one_before(world: World) -> None:
    world.railway.seal(place("svc-web"), {"A": "unknown"})
    world.put(A="1")
    sync_id = world.sync()
    world.work()
    world.railway.fail_next(Fail(503), where=is_write)
    world.put(A="2")
    world.work()

    with world.runtime.database.snapshot() as session:
        written = ledger.read(session, sync_id, world.state(sync_id).destination_key)

    assert written["A"].fingerprint is None


def crash(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def confirmed(world: World, sync_id: UUID) -> set[str]:
    with world.runtime.database.snapshot() as session:
        return {row.key for row in ledger.confirmed_by_sync(session, [sync_id])[sync_id]}


def is_write(request: Request) -> bool:
    return "mutation Write" in str((request.json or {}).get("query", ""))


# --- the first run -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("behavior", "expected"),
    [
        ("overwrite-destination", {"BOTH": "vault", "OWN": "1"}),
        ("import-prioritize-source", {"BOTH": "vault", "OWN": "1", "THEIRS": "1"}),
        ("import-prioritize-destination", {"BOTH": "railway", "OWN": "1", "THEIRS": "1"}),
    ],
)
def test_the_first_run_imports_as_it_was_told(world: World, behavior: str, expected: dict[str, str]) -> None:
    world.seed(BOTH="railway", THEIRS="1")
    world.put(BOTH="vault", OWN="1")
    sync_id = world.sync(initialSyncBehavior=behavior)

    world.work()

    assert world.held() == expected
    assert world.state(sync_id).sync_status == Status.SUCCEEDED


def test_later_runs_do_not_import(world: World) -> None:
    world.put(A="1")
    world.sync(initialSyncBehavior="import-prioritize-source")
    world.work()
    world.seed(THEIRS="1")

    world.put(A="2")
    world.work()

    assert world.held() == {"A": "2"}


def test_another_destination_starts_over_with_an_import(world: World) -> None:
    world.put(A="1")
    sync_id = world.sync(initialSyncBehavior="import-prioritize-source")
    world.work()
    world.seed("svc-worker", THEIRS="1")

    world.change(sync_id, destination_config=world.config("svc-worker"))
    world.work()

    assert world.held("svc-worker") == {"A": "1", "THEIRS": "1"}


# --- drift ---------------------------------------------------------------------------------------------


def test_a_reconcile_repairs_what_somebody_changed_and_names_it(world: World) -> None:
    world.put(A="1", B="1")
    sync_id = world.sync()
    world.work()
    world.seed(A="changed by hand", EXTRA="1")

    world.clock.advance(seconds=3600)
    reconcile_due(world.runtime)
    world.work()

    job = world.jobs(sync_id)[0]
    assert world.held() == {"A": "1", "B": "1"}
    assert (job.trigger, job.status, job.details["drift"]) == ("reconcile", JobStatus.SUCCEEDED, ["A"])


def test_a_reconcile_that_only_reports_writes_nothing_and_names_the_keys(world: World) -> None:
    world.put(A="1")
    world.sync(reconcileMode="report")
    world.work()
    world.seed(A="changed by hand")
    world.railway.forget_calls()

    world.clock.advance(seconds=3600)
    reconcile_due(world.runtime)
    world.work()

    assert world.railway.writes == []
    assert "A: it differs at the destination, and this sync only reports" in message(world)


# --- redeploying ---------------------------------------------------------------------------------------


def deploys(world: World) -> int:
    return world.railway.deploys[place("svc-web")]


def test_a_change_redeploys_once_and_no_change_never(world: World) -> None:
    world.put(**many(3))
    sync_id = world.sync(redeploy="after-change")
    world.work()
    assert deploys(world) == 1

    world.trigger(sync_id)
    world.work()
    assert deploys(world) == 1

    world.put(KEY_000="2", KEY_001="2")
    world.work()
    assert deploys(world) == 2


def test_nothing_is_redeployed_unless_asked_for(world: World) -> None:
    world.put(A="1")
    world.sync()

    world.work()

    assert deploys(world) == 0


def test_a_redeploy_that_failed_is_owed(world: World) -> None:
    world.put(A="1")
    sync_id = world.sync(redeploy="after-change")
    world.railway.fail_next(Fail(503), where=is_redeploy)
    world.work()
    assert (deploys(world), world.state(sync_id).sync_status) == (0, Status.PENDING)

    world.later(60)

    assert (deploys(world), world.state(sync_id).sync_status) == (1, Status.SUCCEEDED)
    assert not world.state(sync_id).redeploy_owed
    assert len([call for call in world.railway.writes if "Write" in str(call.body)]) == 1


def is_redeploy(request: Request) -> bool:
    return "mutation Redeploy" in str((request.json or {}).get("query", ""))


# --- what is remembered --------------------------------------------------------------------------------


def test_the_ledger_holds_no_value(world: World) -> None:
    world.put(A="a-secret-value")
    sync_id = world.sync()
    world.work()

    with world.runtime.database.snapshot() as session:
        [row] = ledger.confirmed_by_sync(session, [sync_id])[sync_id]

    assert row.secret_version == 1
    assert "a-secret-value" not in str(vars(row))
