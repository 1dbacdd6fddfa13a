"""Where Keytide answers, and with which token: from the environment, a stored login, or this machine.

A stored token belongs to one address and is sent nowhere else.
"""

import ipaddress
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from cli.environment import read_settings
from cli.sockets import base_url
from shared.errors import InvalidInput, KeytideError

TOKEN_VARIABLES = ("KEYTIDE_TOKEN", "KEYWAY_TOKEN")


@dataclass(frozen=True, slots=True)
class Server:
    """An address, a token for it if one was found, and where that token came from."""

    url: str
    token: SecretStr | None
    token_from: str

    @property
    def is_local(self) -> bool:
        return is_loopback(self.url)

    @property
    def is_private(self) -> bool:
        """Can nobody in between read what is sent there?"""
        return self.is_local or urlsplit(self.url).scheme == "https"


def find_server(url: str | None = None) -> Server:
    """Return the server to talk to: *url*, else that of the last login, else the one on this machine."""
    logins = Logins.read()
    url = checked_url(url) if url else logins.current or _local_url()
    for name in TOKEN_VARIABLES:
        if os.environ.get(name):
            return Server(url, SecretStr(os.environ[name]), name)
    if stored := logins.token(url):
        return Server(url, stored, str(Logins.file()))
    if is_loopback(url) and (token := _administrator()):
        return Server(url, token, str(read_settings().admin_token_file))
    return Server(url, None, "")


def checked_url(text: str) -> str:
    """Return an address without its last slash. Raises ``InvalidInput`` if it is none."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
        raise InvalidInput("An address reads like https://keytide.example.com or http://127.0.0.1:8200.")
    return text.rstrip("/")


def is_loopback(url: str) -> bool:
    """Does *url* lead to this machine?"""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _local_url() -> str:
    settings = read_settings()
    return base_url(settings.host, settings.port)


def _administrator() -> SecretStr | None:
    try:
        return SecretStr(read_settings().admin_token_file.read_text().strip())
    except OSError:
        return None


# --- stored logins -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Logins:
    """The tokens of this user, by address. ``current`` is the address of the last login."""

    current: str | None
    tokens: dict[str, SecretStr]

    @staticmethod
    def file() -> Path:
        """Where they are kept, for this user's eyes only."""
        home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
        return Path(home) / "keytide" / "logins.json"

    @classmethod
    def read(cls) -> "Logins":
        """Return what is stored; nothing, if nobody logged in."""
        try:
            stored: dict[str, Any] = json.loads(cls.file().read_text())
            tokens = {url: SecretStr(token) for url, token in stored["tokens"].items()}
            return cls(stored["current"], tokens)
        except FileNotFoundError:
            return cls(None, {})
        except (ValueError, KeyError, TypeError, AttributeError, OSError):
            raise KeytideError(f"{cls.file()} cannot be read. Remove it and log in again.") from None

    def token(self, url: str) -> SecretStr | None:
        return self.tokens.get(url)

    def with_login(self, url: str, token: SecretStr) -> "Logins":
        """Return the logins after one at *url*."""
        return Logins(url, {**self.tokens, url: token})

    def without(self, url: str) -> "Logins":
        """Return the logins after *url* was forgotten."""
        return Logins(None, {known: token for known, token in self.tokens.items() if known != url})

    def write(self) -> None:
        """Store them. A reader sees the old ones or the new ones, and nobody else sees any."""
        opened = {url: token.get_secret_value() for url, token in self.tokens.items()}
        file = self.file()
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = file.with_name(f".{file.name}.{os.getpid()}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with open(descriptor, "w") as stream:
                json.dump({"current": self.current, "tokens": opened}, stream, indent=2)
            temporary.replace(file)
        finally:
            temporary.unlink(missing_ok=True)
