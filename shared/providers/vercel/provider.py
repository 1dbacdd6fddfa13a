"""Vercel, the service: who has these credentials, and what they can see."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from pydantic import SecretStr

from shared.errors import AccessDenied
from shared.providers.base import Access, Account, Credentials, Named, OAuth, Project, Provider
from shared.providers.vercel.api import CODES, VercelApi, error_code
from shared.providers.vercel.config import (
    SYSTEM_ENVIRONMENTS,
    VercelConfig,
    VercelOAuth,
    VercelProjectConfig,
    VercelTeamConfig,
    VercelToken,
)
from shared.providers.vercel.destination import VercelDestination
from shared.providers.vercel.project import VercelProjectDestination
from shared.providers.vercel.records import TITLE
from shared.providers.vercel.team import VercelTeamDestination


@dataclass(frozen=True, slots=True)
class Team(Named):
    """A team, or the personal account as one: then the id is the user's."""

    slug: str


class VercelProvider(Provider[VercelConfig]):
    """Vercel, reached with one token."""

    name = "vercel"
    title = TITLE
    methods: ClassVar[Mapping[str, type[Credentials]]] = {"api-token": VercelToken, "oauth": VercelOAuth}
    # The only call that ends such a token removes the integration and every variable it made with it:
    # https://vercel.com/docs/rest-api/integrations/delete-an-integration-configuration
    oauth = OAuth(
        page="/integrations/{slug}/new?state={state}",
        exchange_path="/v2/oauth/access_token",
        credentials=VercelOAuth,
    )
    config_type = VercelConfig
    reads_values = False
    can_redeploy = True

    def __init__(self, access: Access) -> None:
        super().__init__(access)
        self._team = getattr(access.credentials, "team_id", None)

    def whoami(self) -> Account:
        user = self._api(None).get("/v2/user")["user"]
        return Account(user["id"], user["username"])

    def destination(self, config: VercelConfig) -> VercelDestination:
        api = self._api(config.team or self._team)
        if isinstance(config, VercelTeamConfig):
            return VercelTeamDestination(api, config)
        return VercelProjectDestination(api, cast(VercelProjectConfig, config))

    def teams(self) -> list[Team]:
        """Return the teams these credentials can see."""
        pages = self._api(None).pages("/v2/teams", cursor="until", limit=100)
        return [Team(each["id"], each["name"], each["slug"]) for page in pages for each in page["teams"]]

    def projects(self) -> list[Project]:
        names = {team.id: team.name for team in self.teams()}
        scopes = [self._team] if self._team else [*names, None]
        found = (each for scope in scopes for each in self._projects_of(scope))
        # The scope of a call without a team may be a team, too.
        return list({item["id"]: _project(item, names) for item in found}.values())

    def environments(self, project_id: str, team_id: str | None = None) -> tuple[Named, ...]:
        """Return the environments of a project, its custom ones included."""
        return (*_SYSTEM, *self.custom_environments(project_id, team_id))

    def custom_environments(self, project_id: str, team_id: str | None = None) -> tuple[Named, ...]:
        """Return the custom environments of a project. Costs a call."""
        body = self._api(team_id or self._team).get(f"/v9/projects/{project_id}/custom-environments")
        return tuple(Named(each["id"], each["slug"]) for each in body["environments"])

    def _projects_of(self, team: str | None) -> Iterator[Mapping[str, Any]]:
        try:
            for page in self._api(team).pages("/v10/projects", cursor="from", limit="100"):
                yield from page["projects"]
        except AccessDenied:
            # A token can be limited to one team, and a team can demand single sign-on: the others are shown.
            return

    def _api(self, team: str | None) -> VercelApi:
        credentials = self.access.credentials
        token = credentials.api_token if self.access.method == "api-token" else credentials.access_token
        bearer = {"Authorization": SecretStr(f"Bearer {token.get_secret_value()}")}
        installation = getattr(credentials, "installation_id", None)
        return VercelApi(self.title, self.access, bearer, error_code, CODES, team, installation)


_SYSTEM = tuple(Named(each, each) for each in SYSTEM_ENVIRONMENTS)


def _project(item: Mapping[str, Any], teams: Mapping[str, str]) -> Project:
    team = item["accountId"] if item["accountId"].startswith("team_") else None
    return Project(
        id=item["id"],
        name=item["name"],
        environments=_SYSTEM,
        linked_repo=_repository(item.get("link") or {}),
        framework=item.get("framework"),
        team_id=team,
        team_name=teams.get(team) if team else None,
    )


def _repository(link: Mapping[str, Any]) -> str | None:
    """Return ``owner/name`` of the repository a project is built from."""
    match link.get("type"):
        case "github" | "github-limited" | "github-custom-host":
            parts = link.get("org"), link.get("repo")
        case "gitlab":
            parts = link.get("projectNamespace"), link.get("projectName")
        case "bitbucket":
            parts = link.get("owner"), link.get("slug")
        case _:
            return None
    return "/".join(part for part in parts if part) or None
