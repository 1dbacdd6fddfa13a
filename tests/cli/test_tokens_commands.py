"""``keytide tokens`` as processes, without a terminal."""

import json

from tests.cli.conftest import Person
from tests.e2e.product import post


def test_a_token_may_do_what_it_was_made_for_and_nothing_else(person: Person) -> None:
    token = person.done("tokens", "create", "reader", "--scope", "read").strip()

    read = person.keytide("secrets", "list", KEYTIDE_TOKEN=token)
    written = person.keytide("secrets", "set", "KEY", stdin="value", KEYTIDE_TOKEN=token)

    assert read.status == 0
    assert written.status == 4
    assert "does not carry the scope 'write'" in written.err


def test_a_token_is_valid_for_its_own_vault_only(person: Person) -> None:
    other = post(person.client, "/api/v1/projects", projectName="Another")["project"]["slug"]
    token = person.done("tokens", "create", "ci", "--scope", "read").strip()

    seen = person.keytide("vaults", "--json", KEYTIDE_TOKEN=token)

    assert [each["slug"] for each in json.loads(seen.out)] == [person.vault]
    assert person.keytide("secrets", "list", "--vault", other, KEYTIDE_TOKEN=token).status == 1


def test_all_vaults_are_meant_even_where_the_environment_names_one(person: Person) -> None:
    arguments = ("tokens", "create", "all", "-s", "read", "--all")

    created = person.keytide(*arguments, KEYTIDE_VAULT=person.vault)
    both = person.keytide(*arguments, "--vault", person.vault)

    seen = person.keytide("vaults", KEYTIDE_TOKEN=created.out.strip())
    assert (created.status, seen.status) == (0, 0)
    assert both.status == 1


def test_the_list_tells_what_each_may_do_and_shows_no_token(person: Person) -> None:
    token = person.done("tokens", "create", "ci", "-s", "read", "-s", "sync", "--days", "30").strip()

    listed = person.done("tokens", "list", "--vault", person.vault)

    [line] = [each for each in listed.splitlines() if each.startswith("ci\t")]
    assert line.split("\t")[1:3] == [f"read, sync {person.vault}", "in 29 d"]
    assert token not in listed


def test_a_revoked_token_is_denied_at_once(person: Person) -> None:
    token = person.done("tokens", "create", "ci", "-s", "read").strip()

    asked = person.keytide("tokens", "revoke", "ci", "--vault", person.vault)
    person.done("tokens", "revoke", "ci", "--vault", person.vault, "--yes")

    assert asked.status == 1
    assert person.keytide("vaults", KEYTIDE_TOKEN=token).status == 4
