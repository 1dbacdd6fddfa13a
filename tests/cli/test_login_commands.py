"""``keytide login``, ``connect`` and ``doctor`` as processes, without a terminal."""

import json
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import PATIENCE, Person
from tests.fakes.railway import Token

BROWSER = f"{sys.executable} {Path(__file__).with_name('browser.py')} %s"


@pytest.fixture
def elsewhere(person: Person, tmp_path: Path) -> Person:
    """Somebody whose machine has no data directory of Keytide's, and so no token."""
    person.environment["KEYTIDE_DATA_DIR"] = str(tmp_path / "none")
    return person


def test_without_a_token_a_command_is_denied_with_4(elsewhere: Person) -> None:
    done = elsewhere.keytide("vaults")

    assert done.status == 4
    assert "'keytide login'" in done.err


def test_a_token_that_is_not_known_is_denied_with_4_and_not_shown(elsewhere: Person) -> None:
    done = elsewhere.keytide("vaults", KEYTIDE_TOKEN="kt_" + "0" * 40)

    assert done.status == 4
    assert "kt_" not in done.err


def test_a_login_is_remembered_for_its_server_until_it_is_forgotten(elsewhere: Person) -> None:
    said = elsewhere.done("login", stdin=f"{administrator(elsewhere)}\n")
    inside = elsewhere.keytide("vaults")
    elsewhere.done("logout")
    outside = elsewhere.keytide("vaults")

    assert f"Logged in to {elsewhere.service.installation.url} as administrator" in said
    assert (inside.status, outside.status) == (0, 4)


def test_a_stored_token_is_for_its_owner_alone(elsewhere: Person) -> None:
    elsewhere.done("login", stdin=administrator(elsewhere))

    [stored] = Path(elsewhere.environment["XDG_CONFIG_HOME"]).rglob("*.json")
    assert stat.S_IMODE(stored.stat().st_mode) == 0o600


def test_a_token_that_is_not_accepted_is_not_stored(elsewhere: Person) -> None:
    done = elsewhere.keytide("login", stdin="kt_wrong")

    assert done.status == 4
    assert not Path(elsewhere.environment["XDG_CONFIG_HOME"]).exists()


def test_a_login_can_be_confirmed_in_a_browser(elsewhere: Person) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "cli", "login", "--browser"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=elsewhere.directory,
        env=elsewhere.environment,
        text=True,
    ) as waiting:
        assert waiting.stderr is not None
        found = re.search(r"code (\S+) at (\S+)", waiting.stderr.readline())
        assert found is not None
        form = {"user_code": found[1], "token": administrator(elsewhere), "decision": "approve"}
        confirmed = elsewhere.client.post(found[2], data=form)
        said, _ = waiting.communicate(timeout=PATIENCE)

    assert confirmed.status_code == 200, confirmed.text
    assert "as administrator (device login)" in said
    assert elsewhere.keytide("vaults").status == 0


def test_a_provider_is_connected_with_a_token_from_standard_input(person: Person) -> None:
    token = f"token-of-{person.vault.rpartition('/')[2]}"
    person.service.railway.tokens[token] = Token("account")

    said = person.done("connect", "railway", stdin=f"{token}\n")
    listed = person.done("connections")

    assert said.startswith("Connected to Railway")
    assert "railway" in listed
    assert token not in said + listed


def test_a_token_that_the_provider_rejects_is_not_shown(person: Person) -> None:
    done = person.keytide("connect", "railway", stdin="not-a-token-of-railway")

    assert done.status == 1
    assert "Invalid API token" in done.err
    assert "not-a-token-of-railway" not in done.err


def test_a_provider_can_be_connected_in_a_browser(person: Person) -> None:
    done = person.keytide("connect", "netlify", "--browser", BROWSER=BROWSER)

    assert done.status == 0, done
    assert done.out.startswith("Connected to Netlify")
    assert administrator(person) not in done.out + done.err


def test_where_a_browser_cannot_connect_nobody_waits_for_one(person: Person) -> None:
    done = person.keytide("connect", "vercel", "--browser")

    assert done.status == 1
    assert "Use --token" in done.err


def test_a_provider_is_disconnected_only_with_a_yes(person: Person) -> None:
    token = person.service.netlify.demo()["token"]
    connected = person.done("connect", "netlify", "--json", stdin=token)
    name = json.loads(connected)["name"]

    asked = person.keytide("disconnect", "netlify", "-c", name)
    still = person.done("connections")
    person.done("disconnect", "netlify", "-c", name, "--yes")

    assert asked.status == 1
    assert name in still
    assert name not in person.done("connections")


def test_a_server_that_does_not_answer_is_named_with_what_to_do(person: Person) -> None:
    done = person.keytide("vaults", KEYTIDE_URL="http://127.0.0.1:9")

    assert done.status == 1
    assert "does not answer at http://127.0.0.1:9" in done.err
    assert "'keytide up'" in done.err


def test_a_doctor_finds_a_healthy_installation_healthy(person: Person) -> None:
    said = person.done("doctor")

    states = {line.split("\t")[0]: line.split("\t")[1] for line in said.splitlines()}
    expected = {"server", "database", "broker", "master key", "token", "clock", "version", "data directory"}
    assert states == dict.fromkeys(expected, "ok")


def test_a_doctor_names_files_that_others_may_read(elsewhere: Person, tmp_path: Path) -> None:
    directory = tmp_path / "none"
    directory.mkdir(mode=0o755)

    done = elsewhere.keytide("doctor")

    assert done.status == 1
    assert f"chmod go-rwx {directory}" in done.out
    assert "token\tfailed\tnone" in done.out


def test_a_doctor_does_not_take_something_else_for_keytide(person: Person) -> None:
    railway = person.service.installation.environment["KEYTIDE_RAILWAY_API_URL"]

    done = person.keytide("doctor", KEYTIDE_URL=railway)

    assert done.status == 1
    assert "What answers there is not Keytide" in done.out


def test_a_misspelt_command_exits_with_1_and_names_the_nearest(person: Person) -> None:
    done = person.keytide("conect")

    assert done.status == 1
    assert "'connect'" in done.err


def administrator(person: Person) -> str:
    return (person.service.installation.data_dir / "admin-token").read_text().strip()
