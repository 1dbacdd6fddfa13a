import stat
from pathlib import Path

import pytest
from pydantic import SecretStr

from cli.server import Logins, checked_url, find_server, is_loopback
from shared.errors import InvalidInput, KeytideError

ELSEWHERE = "https://keytide.example.com"
STORED = SecretStr("kt_stored")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user without a login, beside an installation with an administrator's token."""
    for name in ("KEYTIDE_TOKEN", "KEYWAY_TOKEN", "KEYTIDE_PORT", "KEYTIDE_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("KEYTIDE_DATA_DIR", str(tmp_path))
    (tmp_path / "admin-token").write_text("kt_administrator\n")
    return tmp_path


def token_at(url: str | None) -> str | None:
    token = find_server(url).token
    return token.get_secret_value() if token else None


def test_without_any_hint_it_is_the_installation_on_this_machine() -> None:
    server = find_server()

    assert server.url == "http://127.0.0.1:8200"
    assert token_at(None) == "kt_administrator"


def test_the_administrators_token_leaves_this_machine_never() -> None:
    assert token_at(ELSEWHERE) is None


def test_a_stored_token_is_sent_to_its_own_server_only() -> None:
    Logins.read().with_login(ELSEWHERE, STORED).write()

    assert token_at(ELSEWHERE) == "kt_stored"
    assert token_at("https://keytide.example.com.evil.example") is None
    assert token_at("http://keytide.example.com") is None


def test_the_last_login_says_which_server_is_meant() -> None:
    Logins.read().with_login(ELSEWHERE, STORED).write()

    assert find_server().url == ELSEWHERE


@pytest.mark.parametrize("name", ["KEYTIDE_TOKEN", "KEYWAY_TOKEN"])
def test_the_environments_token_goes_before_a_stored_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Logins.read().with_login(ELSEWHERE, STORED).write()
    monkeypatch.setenv(name, "kt_environment")

    assert token_at(ELSEWHERE) == "kt_environment"


def test_a_forgotten_login_is_gone_and_others_stay() -> None:
    both = Logins.read().with_login(ELSEWHERE, STORED).with_login("https://other.example", STORED)
    both.without("https://other.example").write()

    assert token_at(ELSEWHERE) == "kt_stored"
    assert token_at("https://other.example") is None


def test_the_stored_logins_are_their_owners_alone() -> None:
    Logins.read().with_login(ELSEWHERE, STORED).write()

    assert stat.S_IMODE(Logins.file().stat().st_mode) == 0o600
    assert stat.S_IMODE(Logins.file().parent.stat().st_mode) == 0o700
    assert [path.name for path in Logins.file().parent.iterdir()] == ["logins.json"]


@pytest.mark.parametrize("text", ["{", "[]", '{"current": null}', '{"current": null, "tokens": 1}'])
def test_broken_logins_say_which_file_to_remove(text: str) -> None:
    Logins.file().parent.mkdir(parents=True)
    Logins.file().write_text(text)

    with pytest.raises(KeytideError, match=r"logins\.json cannot be read"):
        find_server()


@pytest.mark.parametrize(
    "text", ["keytide.example.com", "ftp://example.com", "https://user:secret@example.com", "https://", ""]
)
def test_what_is_no_address_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        checked_url(text)

    assert "secret" not in refused.value.message


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:8200", True),
        ("http://[::1]:8200", True),
        ("http://localhost:1", True),
        ("http://127.0.0.1.example.com", False),
        ("http://10.0.0.1", False),
    ],
)
def test_only_this_machine_is_loopback(url: str, expected: bool) -> None:
    assert is_loopback(url) is expected
