"""What a person at a terminal sees and is asked."""

import pexpect

from tests.cli.conftest import Person
from tests.fakes.railway import Token

SYNC = ("sync", "railway", "--service", "web")


def test_a_no_changes_nothing(connected: Person) -> None:
    terminal = connected.at_a_terminal(*SYNC)

    terminal.expect(r"TOKEN[^\n]*create")
    terminal.expect(r"2 to create\? \[y/N\]")
    terminal.sendline("n")

    assert ended(terminal) == 1
    assert "Nothing was changed" in terminal.before
    assert connected.held() == {}


def test_a_yes_applies_what_was_shown(connected: Person) -> None:
    terminal = connected.at_a_terminal(*SYNC)

    terminal.expect(r"2 to create\? \[y/N\]")
    terminal.sendline("y")
    terminal.expect("is in sync: 2 created")

    assert ended(terminal) == 0
    assert connected.held() == {"TOKEN": "one", "URL": "https://one.example"}


def test_a_plan_that_deletes_much_is_not_applied_once_it_is_another_one(connected: Person) -> None:
    connected.service.railway.seed(connected.place, {f"KEY_{number}": "old" for number in range(20)})
    terminal = connected.at_a_terminal(*SYNC, "--allow-delete")

    terminal.expect(r"2 to create, 20 to delete\? \[y/N\]")
    connected.service.railway.seed(connected.place, {"LATER": "new"})
    terminal.sendline("y")

    assert ended(terminal) == 1
    assert "changed since" in terminal.before
    assert len(connected.held()) == 21


def test_a_person_may_agree_to_a_plan_that_deletes_much(connected: Person) -> None:
    connected.service.railway.seed(connected.place, {f"KEY_{number}": "old" for number in range(20)})
    terminal = connected.at_a_terminal(*SYNC, "--allow-delete")

    terminal.expect("20 of 20 keys would be deleted")
    terminal.expect(r"2 to create, 20 to delete\? \[y/N\]")
    terminal.sendline("y")

    assert ended(terminal) == 0
    assert connected.held() == {"TOKEN": "one", "URL": "https://one.example"}


def test_a_choice_is_offered_where_several_services_fit(connected: Person) -> None:
    terminal = connected.at_a_terminal("sync", "railway", "--yes")

    terminal.expect(r"1 [^\n]* / web")
    terminal.expect(r"2 [^\n]* / worker")
    terminal.expect("Which one")
    terminal.sendline("1")

    assert ended(terminal) == 0
    assert connected.held() == {"TOKEN": "one", "URL": "https://one.example"}


def test_a_token_is_not_shown_while_it_is_typed(person: Person) -> None:
    token = f"typed-by-{person.vault.rpartition('/')[2]}"
    person.service.railway.tokens[token] = Token("account")
    terminal = person.at_a_terminal("connect", "railway")

    terminal.expect("railway.com/account/tokens")
    terminal.expect("Railway token")
    terminal.waitnoecho()
    terminal.sendline(token)
    terminal.expect("Connected to Railway")
    shown = terminal.before

    assert ended(terminal) == 0
    assert token not in shown


def test_a_secret_is_not_shown_while_it_is_typed(person: Person) -> None:
    terminal = person.at_a_terminal("secrets", "set", "TOKEN")

    terminal.expect("Value of TOKEN")
    terminal.waitnoecho()
    terminal.sendline("typed unseen")
    terminal.expect("Created TOKEN")
    shown = terminal.before

    assert ended(terminal) == 0
    assert "typed unseen" not in shown
    assert person.done("secrets", "get", "TOKEN") == "typed unseen"


def test_a_file_is_overwritten_only_after_a_yes(person: Person) -> None:
    person.put("development", TOKEN="two")
    (person.directory / ".env").write_text("TOKEN=one\n")
    terminal = person.at_a_terminal("secrets", "pull")

    terminal.expect(r"Change .env: 1 to update\? \[y/N\]")
    untouched = (person.directory / ".env").read_text()
    terminal.sendline("y")

    assert ended(terminal) == 0
    assert untouched == "TOKEN=one\n"
    assert (person.directory / ".env").read_text() == "TOKEN=two\n"


def test_an_interrupted_question_changes_nothing(connected: Person) -> None:
    terminal = connected.at_a_terminal(*SYNC)

    terminal.expect(r"\[y/N\]")
    terminal.sendintr()

    assert ended(terminal) != 0
    assert connected.held() == {}


def test_names_from_elsewhere_cannot_steer_the_terminal(connected: Person) -> None:
    connected.service.railway.seed(connected.place, {"\x1b[31mRED": "1"})
    terminal = connected.at_a_terminal("diff", "railway", "--service", "web")

    terminal.expect("RED")
    shown = terminal.before

    assert ended(terminal) == 0
    assert "\x1b[31m" not in shown


def ended(terminal: "pexpect.spawn[str]") -> int:
    """Return the exit status, once the command has ended; what it said last is in ``before``."""
    terminal.expect(pexpect.EOF)
    terminal.close()
    return int(terminal.exitstatus if terminal.exitstatus is not None else 128 + (terminal.signalstatus or 0))
