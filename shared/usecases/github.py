"""Asking GitHub whose a token is, and what its owner may do in a repository."""

import re
import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Any
from urllib.parse import quote

from pydantic import SecretStr

from shared.crypto import hash_token
from shared.errors import AccessDenied, CredentialsRejected, DestinationNotFound, Unauthenticated
from shared.providers.base import Access
from shared.providers.http import Api
from shared.runtime import Runtime

#: How long an answer of GitHub's counts.
KEPT_FOR = timedelta(minutes=1)
#: Answers kept at the same time; beyond that, all are asked for again.
KEPT = 10_000

#: What GitHub's own tokens look like. Nothing else is ever shown to GitHub.
_TOKEN = re.compile(r"(gh[pousr]_|github_pat_)[A-Za-z0-9_]{10,255}")
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)


class Role(IntEnum):
    """What somebody may do in a repository; each may what the ones before it may."""

    READ = 1
    TRIAGE = 2
    WRITE = 3
    MAINTAIN = 4
    ADMIN = 5

    @property
    def title(self) -> str:
        return self.name.lower()


#: GitHub's name for each role in the permissions of a repository, the highest first.
_PERMISSIONS = (
    ("admin", Role.ADMIN),
    ("maintain", Role.MAINTAIN),
    ("push", Role.WRITE),
    ("triage", Role.TRIAGE),
    ("pull", Role.READ),
)


@dataclass(frozen=True, slots=True)
class GitHubUser:
    """A person at GitHub, and the token that proves it."""

    id: int
    login: str
    token: SecretStr


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository as a token sees it."""

    id: int
    owner_id: int
    role: Role | None


def is_github_token(token: str) -> bool:
    """Does *token* look like one that GitHub gave out?"""
    return _TOKEN.fullmatch(token) is not None


@dataclass
class GitHub:
    """GitHub, each of whose answers is kept for a minute."""

    runtime: Runtime
    _kept: dict[tuple[str, str], tuple[datetime, Any]] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def user(self, token: SecretStr) -> GitHubUser:
        """Return whose *token* it is. Raises ``Unauthenticated`` if GitHub does not accept it."""
        found = self._get(token, "/user")
        if found is None:
            raise Unauthenticated("GitHub does not accept this token.")
        return GitHubUser(found["id"], found["login"], token)

    def repository(self, token: SecretStr, full_name: str) -> Repository | None:
        """Return the repository ``owner/name``, None if it does not exist for that token."""
        if not _REPOSITORY.fullmatch(full_name) or {".", ".."} & set(full_name.split("/")):
            return None
        found = self._get(token, f"/repos/{quote(full_name)}")
        if found is None:
            return None
        granted = found.get("permissions") or {}
        role = next((role for name, role in _PERMISSIONS if granted.get(name)), None)
        return Repository(found["id"], found["owner"]["id"], role)

    def _get(self, token: SecretStr, path: str) -> Any:
        """Return what GitHub answers, None if it shows nothing there to *token*."""
        place, now = (hash_token(token.get_secret_value()), path), self.runtime.clock()
        with self._lock:
            kept = self._kept.get(place)
        if kept is not None and kept[0] > now:
            return kept[1]
        answer = self._ask(token, path)
        with self._lock:
            if len(self._kept) >= KEPT:
                self._kept.clear()
            self._kept[place] = now + KEPT_FOR, answer
        return answer

    def _ask(self, token: SecretStr, path: str) -> Any:
        access = Access("token", None, self.runtime.http, self.runtime.settings.github_api_url)
        bearer = {"Authorization": SecretStr(f"Bearer {token.get_secret_value()}")}
        try:
            return Api("GitHub", access, bearer).call("GET", path)
        except (AccessDenied, CredentialsRejected, DestinationNotFound):
            return None
