"""``keytide syncs`` and ``keytide reconcile`` as processes, without a terminal."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Person
from tests.e2e.installation import eventually


@pytest.fixture
def syncing(person: Person) -> Iterator[Person]:
    """Somebody whose sync ``local`` writes staging to a file."""
    connect_once(person)
    person.put("staging", TOKEN="one")
    person.done("syncs", "create", "dotenv", "-n", "local", "-e", "staging", "--to", f"path={name(person)}")
    person.done("syncs", "watch", "local")
    yield person
    person.keytide("syncs", "delete", "local", "--yes")


def test_a_created_sync_writes_its_destination(syncing: Person) -> None:
    listed = syncing.done("syncs", "list")

    assert file(syncing).read_text() == "TOKEN=one\n"
    assert listed.startswith(f"local\tstaging\tdotenv {name(syncing)}\tsucceeded\tyes\t")


def test_files_are_connected_once(person: Person) -> None:
    person.done("connect", "dotenv")
    before = person.done("connections", "--json")

    said = person.done("connect", "dotenv")

    assert said.startswith("Connected to .env file")
    assert person.done("connections", "--json") == before


def test_a_provider_without_projects_is_led_to_syncs_create(person: Person) -> None:
    for command in ("projects", "sync", "status"):
        refused = person.keytide(command, "dotenv")

        assert refused.status == 1
        assert "'keytide syncs create dotenv'" in refused.err


def test_a_paused_sync_waits_until_it_is_resumed(syncing: Person) -> None:
    syncing.done("syncs", "pause", "local")
    syncing.put("staging", TOKEN="two")
    refused = [syncing.keytide("syncs", verb, "local") for verb in ("trigger", "watch")]

    syncing.done("syncs", "resume", "local")

    assert [done.status for done in refused] == [1, 1]
    assert all("paused" in done.err for done in refused)
    eventually(lambda: file(syncing).read_text() == "TOKEN=two\n")


def test_a_triggered_sync_can_be_waited_for(syncing: Person) -> None:
    file(syncing).write_text("TOKEN=edited\n")

    said = syncing.done("syncs", "trigger", "local", "--watch")

    assert said == "local succeeded: 1 updated.\n"
    assert file(syncing).read_text() == "TOKEN=one\n"


def test_a_run_that_would_delete_much_waits_for_approval_of_what_was_shown(syncing: Person) -> None:
    many = {f"KEY_{number}": "1" for number in range(12)}
    file(syncing).write_text("".join(f"{key}=1\n" for key in many) + "TOKEN=one\n")
    blocked = syncing.keytide("syncs", "trigger", "local", "--watch")

    unanswered = syncing.keytide("syncs", "approve", "local")
    untouched = len(file(syncing).read_text().splitlines())
    approved = syncing.done("syncs", "approve", "local", "--yes")

    assert (blocked.status, unanswered.status) == (1, 1)
    assert "'keytide syncs approve local'" in blocked.err
    assert untouched == 13
    assert "local succeeded: 12 deleted.\n" in approved
    assert file(syncing).read_text() == "TOKEN=one\n"


def test_a_preview_shows_what_a_run_would_do_and_does_nothing(syncing: Person) -> None:
    file(syncing).write_text("TOKEN=edited\n")

    done = syncing.keytide("syncs", "preview", "local", "--check")

    assert done.status == 2
    assert done.out.startswith("~ TOKEN\n")
    assert file(syncing).read_text() == "TOKEN=edited\n"


def test_jobs_and_logs_tell_what_was_done_to_which_key(syncing: Person) -> None:
    [job] = json.loads(syncing.done("syncs", "jobs", "local", "--json"))

    told = syncing.done("syncs", "logs", "local", job["id"])

    assert (job["trigger"], job["status"]) == ("create", "succeeded")
    assert "What      1 created" in told
    assert "Created   TOKEN" in told


def test_a_reconcile_repairs_what_somebody_changed(syncing: Person) -> None:
    file(syncing).write_text("TOKEN=edited\n")

    said = syncing.done("reconcile", "--sync", "local")

    assert said == "Looking for drift at 1 destination.\n"
    eventually(lambda: file(syncing).read_text() == "TOKEN=one\n")


def test_a_reconcile_of_all_vaults_minds_no_vault_of_the_environment(syncing: Person) -> None:
    done = syncing.keytide("reconcile", "--all", KEYTIDE_VAULT=syncing.vault)

    assert done.status == 0
    assert done.out.startswith("Looking for drift at ")


def test_a_deleted_sync_leaves_or_removes_what_it_wrote(syncing: Person) -> None:
    asked = syncing.keytide("syncs", "delete", "local")
    syncing.done("syncs", "delete", "local", "--remove-secrets", "--yes")

    assert asked.status == 1
    eventually(lambda: "TOKEN" not in file(syncing).read_text())


def test_an_unknown_sync_is_refused_with_those_that_exist(syncing: Person) -> None:
    done = syncing.keytide("syncs", "show", "locol")

    assert done.status == 1
    assert "It has: local." in done.err


def test_a_misspelt_option_of_a_sync_is_refused(person: Person) -> None:
    connect_once(person)

    done = person.keytide(
        "syncs", "create", "dotenv", "-n", "x", "--to", "path=x.env", "--option", "keySchem=A_{{secretKey}}"
    )

    assert done.status == 1
    assert "keySchem" in done.err


def connect_once(person: Person) -> None:
    if not person.get("/api/v1/app-connections/dotenv")["appConnections"]:
        person.done("connect", "dotenv")


def name(person: Person) -> str:
    return f"{person.vault.rpartition('/')[2]}.env"


def file(person: Person) -> Path:
    """Return the file that the sync writes."""
    return person.service.installation.data_dir / "dotenv" / name(person)
