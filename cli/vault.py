"""Which vault a command is about, and which of its environments."""

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from cli.client import Client
from shared.errors import InvalidInput, NotFound

#: The forms of git's remotes: git@host:owner/repo.git, ssh://git@host/owner/repo, https://host/owner/repo.git
_REMOTE = re.compile(
    r"(?:[\w.-]+@[\w.-]+:|(?:ssh|git|https?)://[^/\s]+/)(?P<owner>[\w.-]+)/(?P<repo>[\w.-]+?)(?:\.git)?/?"
)


@dataclass(frozen=True, slots=True)
class Vault:
    """A project of Keytide's. ``slug`` is ``owner/repo`` where it belongs to a repository."""

    id: str
    slug: str
    environments: tuple[str, ...]

    def checked(self, environment: str) -> str:
        """Return *environment*. Raises ``InvalidInput`` naming those that exist if it does not."""
        if environment not in self.environments:
            raise InvalidInput(
                f"'{self.slug}' has no environment '{environment}'. It has: {', '.join(self.environments)}."
            )
        return environment

    @property
    def keyway_path(self) -> str:
        """The vault in the paths of Keyway's wire, which know repositories only."""
        owner, slash, repo = self.slug.partition("/")
        if not slash:
            raise InvalidInput(
                f"'{self.slug}' is not named like a repository (owner/repo), so there is no one-time sync "
                "for it. Use 'keytide syncs create', or --auto."
            )
        return f"{quote(owner, safe='')}/{quote(repo, safe='')}"


def find_vault(client: Client, name: str | None) -> Vault:
    """Return the vault called *name*, or that of the repository around us. Raises ``NotFound``."""
    slug = name or repository_here()
    try:
        answer = client.get(f"/api/v1/projects/slug/{quote(slug)}")
    except NotFound:
        raise NotFound(
            f"There is no vault '{slug}' here. Create it with 'keytide init', or look at 'keytide vaults'."
        ) from None
    return vault_of(answer["project"])


def vault_of(project: Mapping[str, Any]) -> Vault:
    """Return the vault that the wire describes."""
    names = tuple(each["slug"] for each in project["environments"])
    return Vault(project["id"], project["slug"], names)


def repository_here() -> str:
    """Return ``owner/repo`` as git's remote ``origin`` says. Raises ``InvalidInput`` saying what to do."""
    remote = _origin()
    name = repository_of(remote) if remote else None
    if name is None:
        why = (
            "git's remote 'origin' does not name one"
            if remote
            else "this is no git repository with an origin"
        )
        raise InvalidInput(f"Which vault? {why.capitalize()}. Say --vault owner/repo, or set KEYTIDE_VAULT.")
    return name


def repository_of(remote: str) -> str | None:
    """Return ``owner/repo`` of a remote's address, None if it has another form."""
    found = _REMOTE.fullmatch(remote)
    return f"{found['owner']}/{found['repo']}" if found else None


def _origin() -> str | None:
    try:
        asked = subprocess.run(
            ["git", "remote", "get-url", "origin"],  # noqa: S607 - the git of whoever calls
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return asked.stdout.strip() or None
