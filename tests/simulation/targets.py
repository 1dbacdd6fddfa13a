"""The destinations of the simulated world, each at an emulator of its provider."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from shared.db.syncs import destination_key
from shared.usecases.sync_rules import parse_config
from tests.fakes.flyio import FakeFlyio
from tests.fakes.netlify import FakeNetlify
from tests.fakes.railway import FakeRailway
from tests.fakes.service import FakeService
from tests.fakes.vercel import FakeVercel


@dataclass(frozen=True, slots=True)
class Target:
    """A destination: the wire's ``config`` of what the emulator of ``service`` calls ``place``.

    ``shows_values``: can they be read, and so be imported? ``lists_values``: does the list show them, so that
    a plan can compare them?
    """

    service: str
    place: str
    config: Mapping[str, Any] = field(hash=False)
    shows_values: bool = True
    lists_values: bool = True

    @property
    def can_be_imported(self) -> bool:
        """Can a sync be made that begins with an import? Single values may be hidden all the same."""
        return self.service != "flyio"

    @property
    def spares_hidden(self) -> bool:
        """Is what people wrote there hidden by their choice, and so never deleted?"""
        return self.can_be_imported and not self.shows_values

    @property
    def key(self) -> str:
        """What Keytide calls it in ledger and jobs."""
        return _key(self)

    def __str__(self) -> str:
        return f"{self.service}:{self.place}"


@cache
def _key(target: Target) -> str:
    return destination_key(target.service, parse_config(target.service, target.config).identity())


def _railway(environment: str, service: str) -> Target:
    config = {"projectId": "prj-1", "environmentId": environment, "serviceId": service}
    return Target("railway", f"{environment}/{service}", config)


def _fly(app: str) -> Target:
    return Target("flyio", app, {"appId": app}, shows_values=False, lists_values=False)


def _netlify(site: str, context: str, *, is_secret: bool) -> Target:
    config = {"accountId": "acc-1", "siteId": site, "context": context, "isSecret": is_secret}
    shows = not is_secret
    return Target("netlify", f"acc-1/{site}/{context}", config, shows_values=shows, lists_values=shows)


def _vercel(team: str | None, project: str, environment: str, *, sensitive: bool) -> Target:
    config = {"teamId": team, "app": project, "env": environment, "sensitive": sensitive}
    place = f"{project}/{environment}"
    return Target("vercel", place, config, shows_values=not sensitive, lists_values=False)


TARGETS = (
    # Two services of one environment: Railway stages the removals of both together.
    _railway("env-production", "svc-web"),
    _railway("env-production", "svc-worker"),
    _fly("shop"),
    _fly("shop-worker"),
    _netlify("site-shop", "production", is_secret=True),
    _netlify("site-blog", "deploy-preview", is_secret=False),
    # Two environments of one project: a record may serve both.
    _vercel("team_1", "prj_1", "production", sensitive=False),
    _vercel("team_1", "prj_1", "preview", sensitive=False),
    _vercel(None, "prj_2", "production", sensitive=True),
)

#: How each service is reached: the connection's method, its field, and a token that works.
CREDENTIALS = {
    "railway": ("account-token", "apiToken", "demo-account-token"),
    "flyio": ("access-token", "accessToken", "fm2_demo-org"),
    "netlify": ("access-token", "accessToken", "demo-access-token"),
    "vercel": ("api-token", "apiToken", "demo-vercel-token"),
}


def create_services(now: Callable[[], float]) -> dict[str, FakeService]:
    """Return a fresh emulator of each provider."""
    services: dict[str, FakeService] = {
        "railway": FakeRailway.with_demo(now),
        "flyio": FakeFlyio.with_demo(now),
        "netlify": FakeNetlify.with_demo(now),
        "vercel": FakeVercel.with_demo(now),
    }
    for service in services.values():
        # The adapters' own tests check every request against the official schema; here it only costs time.
        service.check = lambda request: []  # type: ignore[method-assign]
    return services


@cache
def by_key() -> Mapping[str, Target]:
    """Return every destination by the name that Keytide gives it."""
    return {target.key: target for target in TARGETS}


def at(service: str) -> list[Target]:
    """Return the destinations at *service*."""
    return [target for target in TARGETS if target.service == service]
