"""Connections to providers, and what they show there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cli.client import Client, part
from cli.render import Screen
from shared.errors import InvalidInput, KeytideError

Connection = Mapping[str, Any]
#: A project at a provider; where it has services, one of them.
Project = Mapping[str, Any]

_CONNECTIONS = "/api/v1/app-connections"


class NotConnected(KeytideError):
    """There is no connection to that provider."""


def titles(client: Client) -> dict[str, str]:
    """Return the providers that this server knows: their title by name."""
    options = client.get(f"{_CONNECTIONS}/options")["appConnectionOptions"]
    return {each["app"]: each["name"] for each in options}


def checked_provider(client: Client, provider: str) -> str:
    """Return the title of *provider*. Raises ``InvalidInput`` naming those that exist."""
    known = titles(client)
    if provider not in known:
        raise InvalidInput(f"There is no provider '{provider}'. There are: {', '.join(sorted(known))}.")
    return known[provider]


def checked_for_projects(client: Client, provider: str) -> None:
    """Raise ``InvalidInput`` saying what to use instead, if *provider* has no projects to pick from."""
    title = checked_provider(client, provider)
    listed = client.get("/v1/integrations")["data"]["providers"]
    if provider not in {each["name"] for each in listed}:
        raise InvalidInput(f"{title} has no projects to pick from. Use 'keytide syncs create {provider}'.")


def list_connections(client: Client, provider: str | None = None) -> list[Connection]:
    """Return the connections that the token may see."""
    path = _CONNECTIONS if provider is None else f"{_CONNECTIONS}/{part(provider)}"
    return list(client.get(path)["appConnections"])


def find_connection(client: Client, provider: str, wished: str | None) -> Connection:
    """Return the connection with that name or id, or the only one. Raises ``NotConnected``."""
    checked_provider(client, provider)
    known = list_connections(client, provider)
    found = [each for each in known if wished in (None, each["id"], each["name"])]
    if len(found) == 1:
        return found[0]
    if not known:
        raise NotConnected(f"{provider} is not connected. Connect it with 'keytide connect {provider}'.")
    names = ", ".join(each["name"] for each in known)
    if wished:
        raise InvalidInput(f"There is no connection '{wished}' to {provider}. There are: {names}.")
    raise InvalidInput(f"Which connection to {provider}? Say --connection: {names}.")


def connection_for_sync(client: Client, provider: str, wished: str | None) -> Connection:
    """Return the connection that a new sync uses. Of those without credentials any one will do."""
    known = list_connections(client, provider) if wished is None else []
    if known and all(each["method"] == "directory" for each in known):
        return known[0]
    return find_connection(client, provider, wished)


# --- projects at a provider ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wish:
    """Which project of a provider's is meant, as far as it was said."""

    project: str | None = None
    service: str | None = None
    team: str | None = None

    def fits(self, project: Project) -> bool:
        """Does *project* match all that was said? Ids exactly, names in whatever case."""
        return (
            _is(self.project, project["id"], project["name"], project["serviceName"])
            and _is(self.service, project["serviceId"], project["serviceName"])
            and _is(self.team, project["teamId"] or "personal", project["teamName"])
        )


def list_projects(client: Client, screen: Screen, provider: str) -> list[Project]:
    """Return what all connections to *provider* show. Raises ``NotConnected`` without any."""
    checked_for_projects(client, provider)
    with screen.working(f"Looking at {provider}"):
        found = client.get(f"/v1/integrations/providers/{part(provider)}/all-projects")["data"]
    if not found["connections"]:
        raise NotConnected(f"{provider} is not connected. Connect it with 'keytide connect {provider}'.")
    failures = [f"A connection to {provider} does not answer: {each['error']}" for each in found["failed"]]
    if failures and not found["projects"]:
        # What is there is not known: nobody may take it for nothing.
        raise KeytideError(" ".join(failures))
    for failure in failures:
        screen.warn(failure)
    return list(found["projects"])


def choose_project(screen: Screen, projects: Sequence[Project], wish: Wish, repository: str) -> Project:
    """Return the project that is wished for, else the one that belongs to *repository*; asks in doubt."""
    found = [each for each in projects if wish.fits(each)]
    if not found:
        raise InvalidInput(f"There is no such project. There are: {_listed(projects)}.")
    if wish.project is None:
        found = _of_repository(found, repository)
    if len(found) > 1:
        number = screen.choose(
            "Which one?",
            [title(each) for each in found],
            otherwise=f"Which project? Name one with --project and --service: {_listed(found)}.",
        )
        found = [found[number]]
    [project] = found
    if project["linkedRepo"] and project["linkedRepo"].lower() != repository.lower():
        screen.warn(f"{title(project)} is built from {project['linkedRepo']}, not from {repository}.")
    return project


def title(project: Project) -> str:
    """Return a project's name for people, with its service and team."""
    service = f" / {project['serviceName']}" if project["serviceName"] else ""
    team = f" ({project['teamName']})" if project["teamName"] else ""
    return f"{project['name']}{service}{team}"


def _of_repository(projects: list[Project], repository: str) -> list[Project]:
    """Return the projects that belong to *repository*; all of them if none does."""
    name = repository.rpartition("/")[2]
    linked = [each for each in projects if _is(repository, each["linkedRepo"] or "")]
    return linked or [each for each in projects if _is(name, each["name"])] or projects


def _is(wished: str | None, *names: str | None) -> bool:
    return wished is None or any(wished.lower() == (name or "").lower() for name in names)


def _listed(projects: Sequence[Project]) -> str:
    return ", ".join(title(each) for each in projects) or "none"
