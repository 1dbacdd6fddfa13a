"""Places at Vercel, and the credentials that reach them."""

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, cast

from pydantic import (
    AfterValidator,
    Field,
    ModelWrapValidatorHandler,
    SecretStr,
    StringConstraints,
    model_validator,
)

from shared.providers.base import Credentials, DestinationConfig, OAuthCredentials

SYSTEM_ENVIRONMENTS = ("production", "preview", "development")
#: Stands among a record's environments for "all custom environments, of today and later".
ALL_CUSTOM = "all custom environments"

#: How ids of projects begin, the second those of old projects. No name has a capital letter.
PROJECT_IDS = ("prj_", "Qm")


def _an_id(project: str) -> str:
    # Vercel takes a project's name for its id, and then one project would have two.
    # A "/", "?" or "#" in it would lead to another address, or give one project a second id.
    if not project.startswith(PROJECT_IDS) or not re.fullmatch(r"[A-Za-z0-9_-]+", project):
        raise ValueError("give the project's id, which begins with prj_, not its name")
    return project


Id = Annotated[str, StringConstraints(min_length=1, max_length=255)]
ProjectId = Annotated[Id, AfterValidator(_an_id)]
Label = Annotated[str, StringConstraints(max_length=255)]
Environment = Annotated[str, StringConstraints(pattern=r"^(production|preview|development|env_\w+)$")]
Branch = Annotated[str, StringConstraints(min_length=1, max_length=250)]
SystemEnvironment = Literal["production", "preview", "development"]


class VercelConfig(DestinationConfig):
    """A place at Vercel: validating one gives a project's or a team's, as its ``scope`` says."""

    team_id: str | None = None
    sensitive: bool = False

    @model_validator(mode="wrap")
    @classmethod
    def _by_scope(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if cls is not VercelConfig or isinstance(data, VercelConfig):
            return handler(data)
        # Syncs from before there were two scopes have none.
        scope = data.get("scope") if isinstance(data, Mapping) else None
        kind = VercelTeamConfig if scope == "team" else VercelProjectConfig
        return cast(Self, kind.model_validate(data))

    @property
    def team(self) -> str | None:
        """The team to name in every call. A personal account has none: clients send its user id, or null."""
        return self.team_id if self.team_id and self.team_id.startswith("team_") else None


class VercelProjectConfig(VercelConfig):
    """One environment of a project, or of its previews those of one branch."""

    labels = frozenset({"app_name"})

    scope: Literal["project"] = "project"
    app: ProjectId
    app_name: Label = ""
    env: Environment
    branch: Branch | None = None

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if self.branch is not None and self.env != "preview":
            raise ValueError("branch: only the preview environment has branches")
        if self.sensitive and self.env == "development":
            raise ValueError("sensitive: Vercel keeps no sensitive variables for development")
        return self

    def identity(self) -> str:
        # The project id says which team it is; a team id may be there or not.
        return _text({"scope": self.scope, "app": self.app, "env": self.env, "branch": self.branch})


class VercelTeamConfig(VercelConfig):
    """A team's shared variables for these environments, linked to these projects."""

    labels = frozenset({"team_name"})
    may_overlap = True

    scope: Literal["team"]
    team_id: Id
    team_name: Label | None = None
    target_environments: tuple[SystemEnvironment, ...] = ()
    apply_to_all_custom_environments: bool = False
    target_projects: tuple[ProjectId, ...] | None = None

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if not self.target_environments and not self.apply_to_all_custom_environments:
            raise ValueError("targetEnvironments: name at least one, or apply to all custom environments")
        if not self.place:
            raise ValueError("sensitive: Vercel keeps no sensitive variables for development")
        return self

    @property
    def place(self) -> frozenset[str]:
        """The environments that are written: development takes no part where values are sensitive."""
        named = {each for each in self.target_environments if not (self.sensitive and each == "development")}
        return frozenset(named | ({ALL_CUSTOM} if self.apply_to_all_custom_environments else set()))

    def identity(self) -> str:
        place = {"environments": sorted(self.place), "projects": sorted(self.target_projects or ())}
        return _text({"scope": self.scope, "team": self.team_id, **place})

    def collides(self, other: DestinationConfig) -> bool:
        # A variable is one record, with all the environments that it reaches and projects it is linked to.
        return (
            isinstance(other, VercelTeamConfig)
            and self.team == other.team
            and bool(self.place & other.place)
            and self._shares_a_project(other)
        )

    def _shares_a_project(self, other: "VercelTeamConfig") -> bool:
        ours, theirs = set(self.target_projects or ()), set(other.target_projects or ())
        # Without projects the variable is every project's.
        return not ours or not theirs or bool(ours & theirs)


def _text(place: Mapping[str, Any]) -> str:
    return json.dumps(place, sort_keys=True, separators=(",", ":"))


class VercelToken(Credentials):
    """A personal access token."""

    api_token: Annotated[SecretStr, Field(min_length=1)]


class VercelOAuth(OAuthCredentials):
    """What an installed integration got. Vercel marks the variables it makes with ``installation_id``."""

    installation_id: str | None = None
