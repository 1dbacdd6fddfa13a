"""``keytide sync`` and its neighbours as processes, without a terminal: what CI sees."""

import json

from tests.cli.conftest import Person
from tests.e2e.installation import eventually
from tests.e2e.product import post

SYNC = ("sync", "railway", "--service", "web")


def test_a_provider_that_is_not_connected_exits_with_3(person: Person) -> None:
    done = person.keytide("sync", "flyio", "--yes")

    assert done.status == 3
    assert "'keytide connect flyio'" in done.err


def test_without_yes_nobody_is_asked_and_nothing_is_changed(connected: Person) -> None:
    done = connected.keytide(*SYNC)

    assert done.status == 1
    assert "--yes" in done.err
    assert done.out.splitlines() == ["+ TOKEN", "+ URL"]
    assert connected.held() == {}


def test_with_yes_the_provider_holds_what_the_vault_does(connected: Person) -> None:
    done = connected.keytide(*SYNC, "--yes")

    assert (done.status, done.err) == (0, "")
    assert connected.held() == {"TOKEN": "one", "URL": "https://one.example"}


def test_what_is_in_sync_already_costs_no_write(connected: Person) -> None:
    connected.done(*SYNC, "--yes")
    writes = len(connected.service.railway.writes)

    said = connected.done(*SYNC, "--yes")

    assert "already in sync" in said
    assert len(connected.service.railway.writes) == writes


def test_pending_changes_exit_with_2_only_if_that_was_asked_for(connected: Person) -> None:
    preview = ("preview", "railway", "--service", "web")

    assert connected.keytide(*preview).status == 0
    assert connected.keytide(*preview, "--check").status == 2
    connected.done(*SYNC, "--yes")
    assert connected.keytide(*preview, "--check").status == 0


def test_an_unknown_environment_is_refused_with_those_that_exist(connected: Person) -> None:
    done = connected.keytide(*SYNC, "--env", "qa", "--yes")

    assert done.status == 1
    assert "development, staging, production" in done.err
    assert connected.held() == {}


def test_an_environment_without_a_counterpart_is_not_taken_for_production(connected: Person) -> None:
    post(connected.client, f"/api/v1/projects/{connected.project_id}/environments", name="QA", slug="qa")
    connected.put("qa", TOKEN="of qa")

    done = connected.keytide(*SYNC, "--env", "qa", "--yes")

    assert done.status == 1
    assert "no counterpart at railway" in done.err
    assert "--provider-env" in done.err
    assert connected.held() == {}


def test_a_project_that_nobody_can_choose_is_asked_for_by_name(connected: Person) -> None:
    done = connected.keytide("sync", "railway", "--yes")

    name = connected.vault.rpartition("/")[2]
    assert done.status == 1
    assert f"{name} / web" in done.err
    assert f"{name} / worker" in done.err


def test_a_pull_takes_over_what_the_provider_holds(connected: Person) -> None:
    connected.service.railway.seed(connected.place, {"FOUND": "there", "TOKEN": "other"})

    connected.done(*SYNC, "--pull", "--yes")

    assert connected.done("secrets", "get", "FOUND", "-e", "production") == "there"
    assert connected.done("secrets", "get", "TOKEN", "-e", "production") == "one"


def test_a_pull_deletes_nothing_so_the_two_do_not_go_together(connected: Person) -> None:
    done = connected.keytide(*SYNC, "--pull", "--allow-delete", "--yes")

    assert done.status == 1
    assert "--allow-delete cannot be used with --pull" in done.err


def test_only_with_allow_delete_is_anything_deleted(connected: Person) -> None:
    connected.service.railway.seed(connected.place, {"STALE": "old"})

    connected.done(*SYNC, "--yes")
    kept = connected.held()
    connected.done(*SYNC, "--yes", "--allow-delete")

    assert "STALE" in kept
    assert connected.held() == {"TOKEN": "one", "URL": "https://one.example"}


def test_a_plan_that_deletes_much_is_not_covered_by_yes(connected: Person) -> None:
    connected.service.railway.seed(connected.place, {f"KEY_{number}": "old" for number in range(20)})

    done = connected.keytide(*SYNC, "--yes", "--allow-delete")

    assert done.status == 1
    assert "20 of 20 keys would be deleted" in done.err
    assert len(connected.held()) == 20


def test_with_auto_every_later_edit_follows(connected: Person) -> None:
    said = connected.done(*SYNC, "--auto", "--yes")

    connected.put(TOKEN="two")

    assert "follows every change from now on" in said
    eventually(lambda: connected.held()["TOKEN"] == "two")


def test_a_failure_at_the_provider_exits_with_1_and_says_so_without_a_value(connected: Person) -> None:
    connected.service.railway.refused.add("REFUSED")
    connected.put(REFUSED="value-of-it")

    done = connected.keytide(*SYNC, "--yes")

    assert done.status == 1
    assert "Railway answered an error" in done.err
    assert "value-of-it" not in done.out + done.err


def test_diff_and_status_compare_the_two_sides(connected: Person) -> None:
    connected.service.railway.seed(connected.place, {"TOKEN": "other", "FOUND": "there"})

    diff = connected.keytide("diff", "railway", "--service", "web", "--check", "--json")
    status = json.loads(connected.done("status", "railway", "--service", "web", "--json"))

    found = json.loads(diff.out)
    assert diff.status == 2
    assert (found["onlyInKeyway"], found["onlyInProvider"]) == (["URL"], ["FOUND"])
    assert found["different"] == ["TOKEN"]
    assert (status["isFirstSync"], status["providerSecretCount"]) == (True, 2)
