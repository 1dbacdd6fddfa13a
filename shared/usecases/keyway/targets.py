"""From what Keyway's clients name (project, service, environment) to a destination at its provider."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from shared.db.syncs import Sync
from shared.errors import InvalidInput
from shared.providers.base import Named, Project, Provider
from shared.providers.vercel import SYSTEM_ENVIRONMENTS, VercelProvider

#: A vault's environment, and the provider's that stands for it. What is not here has to be named: never
#: is an unknown environment taken for production.
COUNTERPARTS: Mapping[str, Mapping[str, str]] = {
    "vercel": {
        "production": "production",
        "staging": "preview",
        "development": "development",
        "dev": "development",
    },
    "railway": {
        "production": "production",
        "staging": "staging",
        "development": "development",
        "dev": "development",
    },
    "netlify": {
        "production": "production",
        "staging": "deploy-preview",
        "development": "dev",
        "dev": "dev",
    },
}

#: Netlify's contexts, and what its clients send although there is no such context.
NETLIFY_CONTEXTS = ("all", "production", "deploy-preview", "branch-deploy", "dev")
NETLIFY_ALIASES = {"staging": "deploy-preview", "development": "dev", "local": "dev"}
_BRANCH = "branch:"


@dataclass(frozen=True, slots=True)
class Choice:
    """A place as a client names it. ``environment`` is the provider's name for it."""

    project: Project
    service_id: str | None
    environment: str


def counterpart(provider: str, environment: str, wished: str | None) -> str:
    """Return the provider's environment for a vault's: the one that is *wished*, else its counterpart.

    Raises ``InvalidInput`` listing the counterparts there are.
    """
    if wished:
        return wished
    known = COUNTERPARTS.get(provider)
    if known is None:
        # Fly.io has no environments inside an app.
        return environment
    if environment not in known:
        listed = ", ".join(f"{ours} → {theirs}" for ours, theirs in known.items())
        raise InvalidInput(
            f"The environment '{environment}' has no counterpart at {provider}. Name one with "
            f"providerEnvironment, or use one of: {listed}.",
            field=("providerEnvironment",),
        )
    return known[environment]


def destination_config(provider: Provider[Any], choice: Choice) -> dict[str, Any]:
    """Return the destination of *choice* as its provider describes it. Raises ``InvalidInput``."""
    if choice.service_id is not None and provider.name != "railway":
        raise InvalidInput(f"{provider.title} has no services.", field=("serviceId",))
    return _CONFIGS[provider.name](provider, choice)


def _railway(provider: Provider[Any], choice: Choice) -> dict[str, Any]:
    project = choice.project
    environment = _pick(project.environments, choice.environment, "environment", "providerEnvironment")
    config = {
        "projectId": project.id,
        "projectName": project.name,
        "environmentId": environment.id,
        "environmentName": environment.name,
    }
    if choice.service_id is None:
        return config
    service = _pick(project.services, choice.service_id, "service", "serviceId")
    return {**config, "serviceId": service.id, "serviceName": service.name}


def _vercel(provider: Provider[Any], choice: Choice) -> dict[str, Any]:
    project, name = choice.project, choice.environment
    if name.lower() in SYSTEM_ENVIRONMENTS:
        environment = name.lower()
    else:
        known = cast(VercelProvider, provider).environments(project.id, project.team_id)
        environment = _pick(known, name, "environment", "providerEnvironment").id
    config = {"scope": "project", "app": project.id, "appName": project.name, "env": environment}
    return {**config, "teamId": project.team_id} if project.team_id else config


def _netlify(provider: Provider[Any], choice: Choice) -> dict[str, Any]:
    project, name = choice.project, choice.environment
    config: dict[str, Any] = {
        "accountId": project.team_id,
        "accountName": project.team_name or "",
        "siteId": project.id,
        "siteName": project.name,
    }
    if name.startswith(_BRANCH):
        return {**config, "context": "branch", "contextParameter": name.removeprefix(_BRANCH)}
    context = NETLIFY_ALIASES.get(name.lower(), name.lower())
    if context not in NETLIFY_CONTEXTS:
        raise _unknown("environment", name, [*NETLIFY_CONTEXTS, f"{_BRANCH}<name>"], "providerEnvironment")
    return {**config, "context": context}


def _flyio(provider: Provider[Any], choice: Choice) -> dict[str, Any]:
    return {"appId": choice.project.id, "appName": choice.project.name}


_CONFIGS: Mapping[str, Callable[[Provider[Any], Choice], dict[str, Any]]] = {
    "railway": _railway,
    "vercel": _vercel,
    "netlify": _netlify,
    "flyio": _flyio,
}


def _pick(known: Sequence[Named], wished: str, what: str, field: str) -> Named:
    """Return what has that id, or that name in whatever case."""
    for each in known:
        if wished == each.id:
            return each
    same = [each for each in known if each.name.lower() == wished.lower()]
    if len(same) == 1:
        return same[0]
    raise _unknown(what, wished, [each.name for each in known], field)


def _unknown(what: str, wished: str, known: Sequence[str], field: str) -> InvalidInput:
    return InvalidInput(
        f"There is no {what} '{wished}' there. There are: {', '.join(known) or 'none'}.", field=(field,)
    )


# --- and back ------------------------------------------------------------------------------------------

_PROJECT_FIELDS = {
    "railway": ("projectId", "projectName", "environmentName"),
    "vercel": ("app", "appName", "env"),
    "netlify": ("siteId", "siteName", "context"),
    "flyio": ("appId", "appName", ""),
}


@dataclass(frozen=True, slots=True)
class Shown:
    """A destination as this wire shows it."""

    project_id: str | None
    project_name: str | None
    environment: str | None
    service_id: str | None


def shown(sync: Sync) -> Shown:
    """Return where *sync* writes, in the words of this wire."""
    config = sync.destination_config
    project_id, name, environment = (config.get(field) for field in _PROJECT_FIELDS[sync.destination])
    if config.get("context") == "branch":
        environment = _BRANCH + config["contextParameter"]
    return Shown(project_id, name or None, environment, config.get("serviceId"))


_PREFIX = "keyway-"


def sync_name(provider: str, environment: str, destination_key: str) -> str:
    """Return the name of the sync from that environment to that destination: always the same one."""
    return f"{_PREFIX}{provider}-{environment}-{destination_key[:12]}"


def is_ours(sync: Sync) -> bool:
    """Did this wire make *sync*, and does it write only when it is told to?"""
    return sync.name.startswith(_PREFIX) and not sync.is_auto_sync_enabled
