"""``keytide secrets`` as processes, without a terminal."""

import os
import stat
import sys

import pytest

from tests.cli.conftest import Person

#: Values that a reader of lines, or of quotes, would break.
AWKWARD = {
    "PEM": "-----BEGIN KEY-----\nabc+/=\n-----END KEY-----\n",
    "JSON": '{"a": "b\\n", "c": \'d\'}',
    "DOLLARS": "$HOME ${PATH} `id` \\$",
    "SPACES": "  around  # no comment",
    "EMPTY": "",
    "UNICODE": "grüße 🗝",
    "CRLF": "one\r\ntwo",
}


def test_values_with_quotes_and_lines_survive_a_pull_and_a_push(person: Person) -> None:
    person.put("development", **AWKWARD)

    person.done("secrets", "pull")
    person.done("secrets", "push", "-e", "staging", "--yes")

    assert values(person, "staging") == AWKWARD


def test_a_pulled_file_is_its_owners_alone(person: Person) -> None:
    person.put("development", TOKEN="one")

    person.done("secrets", "pull", "--file", ".env.local")

    mode = (person.directory / ".env.local").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


def test_a_file_that_is_there_is_changed_only_with_a_yes_and_keeps_its_other_lines(person: Person) -> None:
    person.put("development", TOKEN="two")
    file = person.directory / ".env"
    file.write_text("# mine\nTOKEN=one # which\nLOCAL=1\n")

    asked = person.keytide("secrets", "pull")
    untouched = file.read_text()
    person.done("secrets", "pull", "--yes")

    assert asked.status == 1
    assert untouched == "# mine\nTOKEN=one # which\nLOCAL=1\n"
    assert file.read_text() == "# mine\nTOKEN=two # which\nLOCAL=1\n"


def test_a_push_shows_keys_and_no_values_and_needs_a_yes(person: Person) -> None:
    (person.directory / ".env").write_text("TOKEN=a-secret-value\n")

    done = person.keytide("secrets", "push")

    assert done.status == 1
    assert done.out == "+ TOKEN\n"
    assert "a-secret-value" not in done.out + done.err
    assert values(person) == {}


def test_a_push_deletes_only_with_prune(person: Person) -> None:
    person.put("development", OLD="1", KEPT="1")
    (person.directory / ".env").write_text("KEPT=1\n")

    person.done("secrets", "push", "--yes")
    before = values(person)
    person.done("secrets", "push", "--yes", "--prune")

    assert before == {"OLD": "1", "KEPT": "1"}
    assert values(person) == {"KEPT": "1"}


def test_a_line_that_cannot_be_read_stops_a_push(person: Person) -> None:
    (person.directory / ".env").write_text('GOOD=1\n\nBROKEN="never closed\n')

    done = person.keytide("secrets", "push", "--yes")

    assert done.status == 1
    assert "line 3" in done.err
    assert values(person) == {}


def test_a_list_shows_values_only_if_that_was_said(person: Person) -> None:
    person.put("development", TOKEN="a-secret-value")

    plain = person.done("secrets", "list") + person.done("secrets", "list", "--json")
    shown = person.done("secrets", "list", "--show-values")

    assert "a-secret-value" not in plain
    assert "TOKEN\ta-secret-value\t1\t" in shown


def test_get_prints_the_value_to_the_byte(person: Person) -> None:
    person.put("development", PEM=AWKWARD["PEM"])

    assert person.done("secrets", "get", "PEM") == AWKWARD["PEM"]


def test_set_takes_the_value_from_standard_input_or_from_a_file_to_the_byte(person: Person) -> None:
    (person.directory / "key.pem").write_text(AWKWARD["PEM"])

    created = person.done("secrets", "set", "TOKEN", stdin="one two\n")
    person.done("secrets", "set", "PEM", "--file", "key.pem")

    assert created.startswith("Created TOKEN")
    assert values(person) == {"TOKEN": "one two", "PEM": AWKWARD["PEM"]}


@pytest.mark.parametrize("nothing", ["", "\n"])
def test_an_empty_standard_input_empties_no_secret(person: Person, nothing: str) -> None:
    person.put("development", TOKEN="one")

    done = person.keytide("secrets", "set", "TOKEN", stdin=nothing)

    assert done.status == 1
    assert "--file /dev/null" in done.err
    assert values(person) == {"TOKEN": "one"}


def test_an_empty_value_can_be_set_by_a_file(person: Person) -> None:
    person.put("development", TOKEN="one")

    person.done("secrets", "set", "TOKEN", "--file", os.devnull)

    assert values(person) == {"TOKEN": ""}


def test_what_would_be_empty_afterwards_is_said_before(person: Person) -> None:
    person.put("development", TOKEN="one", URL="two")
    (person.directory / ".env").write_text("TOKEN=\nURL=three\n")

    asked = person.keytide("secrets", "push")

    assert asked.err.startswith("Note: Empty afterwards: TOKEN.\n")
    assert values(person) == {"TOKEN": "one", "URL": "two"}


@pytest.mark.parametrize("words", [["KEY=s3cret"], ["KEY", "s3cret"], ["KEY", "s3cret", "two"]])
def test_a_value_on_the_command_line_is_neither_taken_nor_repeated(person: Person, words: list[str]) -> None:
    done = person.keytide("secrets", "set", *words, stdin="other")

    assert done.status == 1
    assert "keytide secrets set KEY'" in done.err
    assert "s3cret" not in done.out + done.err
    assert values(person, "development") == {}


def test_what_does_not_exist_stops_a_deletion(person: Person) -> None:
    person.put("development", TOKEN="one")

    done = person.keytide("secrets", "delete", "TOKEN", "MISSPELT", "--yes")

    assert done.status == 1
    assert "no MISSPELT" in done.err
    assert values(person) == {"TOKEN": "one"}


def test_run_gives_a_command_the_resolved_secrets_but_not_our_token(person: Person) -> None:
    person.put("development", HOST="db", URL="postgres://${HOST}/shop")
    look = "import os, sys; print(os.environ['URL'], os.environ.get('KEYTIDE_TOKEN')); sys.exit(7)"
    token = (person.service.installation.data_dir / "admin-token").read_text().strip()

    done = person.keytide("secrets", "run", "--", sys.executable, "-c", look, KEYTIDE_TOKEN=token)

    assert done == type(done)(7, "postgres://db/shop None\n", "")


def test_an_unknown_environment_is_refused_with_those_that_exist(person: Person) -> None:
    done = person.keytide("secrets", "list", "-e", "prod")

    assert done.status == 1
    assert "development, staging, production" in done.err


def values(person: Person, environment: str = "development") -> dict[str, str]:
    """Return what an environment of the vault holds."""
    where = f"projectId={person.project_id}&environment={environment}"
    found = person.get(f"/api/v4/secrets?{where}")["secrets"]
    return {each["secretKey"]: each["secretValue"] for each in found}
