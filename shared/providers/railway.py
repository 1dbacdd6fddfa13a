"""Railway: the variables of a service, or an environment's shared variables. GraphQL v2.

Facts and their sources: ``docs/providers/railway.md``.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import Field, SecretStr, StringConstraints

from shared.errors import (
    AccessDenied,
    CredentialsRejected,
    ProviderError,
    RequestRejected,
    Unavailable,
    UnexpectedAnswer,
)
from shared.plan import Change, Delete, Remote
from shared.providers.base import (
    Access,
    Account,
    Credentials,
    Destination,
    DestinationConfig,
    Named,
    Project,
    Provider,
    Pulled,
    Pushed,
    Service,
)
from shared.providers.http import Answer, Api, map_in, text_in, unexpected

TITLE = "Railway"
#: Names that Railway itself provides, or that steer it.
RESERVED = "RAILWAY_"
NOT_AUTHORIZED = "Not Authorized"

#: The constant texts among Railway's messages. Any other text may quote what was sent, and is not repeated.
CODES: Mapping[str, type[ProviderError]] = {
    "project token not found": CredentialsRejected,
    "two factor authentication required": AccessDenied,
    "internal_server_error": Unavailable,
}

#: A deployment in one of these states started before our write and may run without it.
UNDER_WAY = frozenset({"BUILDING", "DEPLOYING", "INITIALIZING", "QUEUED", "WAITING"})

STAGED_BY_SOMEBODY = (
    "this Railway environment has staged changes of somebody else, and a removal would apply them: "
    "deploy or discard them"
)

# Rendered values would replace a reference such as ${{Postgres.DATABASE_URL}} by what it stands for today.
_READ = """
query Read($project: String!, $environment: String!, $service: String) {
  variables(projectId: $project, environmentId: $environment, serviceId: $service, unrendered: true)
  environmentStagedChanges(environmentId: $environment) { status patch(decryptVariables: false) }
}"""
_WRITE = "mutation Write($input: VariableCollectionUpsertInput!) { variableCollectionUpsert(input: $input) }"
_STAGED = """
query Staged($environment: String!) {
  environmentStagedChanges(environmentId: $environment) { status patch(decryptVariables: false) }
}"""
# The fields of a mutation run one after the other, and after one that fails and may not be null the rest is
# not run: https://spec.graphql.org/October2021/#sec-Handling-Field-Errors ("may be cancelled"; the common
# servers do). So no run of ours stops between the two, and only Railway itself can leave a removal staged.
_REMOVE = """
mutation Remove($environment: String!, $input: EnvironmentConfig!, $merge: Boolean!, $message: String) {
  environmentStageChanges(environmentId: $environment, input: $input, merge: $merge) { id }
  environmentPatchCommitStaged(environmentId: $environment, commitMessage: $message, skipDeploys: true)
}"""
_WITHDRAW = """
mutation Withdraw($environment: String!, $input: EnvironmentConfig!) {
  environmentStageChanges(environmentId: $environment, input: $input, merge: false) { id }
}"""
_LATEST = """
query Latest($environment: String!, $service: String!) {
  serviceInstance(environmentId: $environment, serviceId: $service) {
    latestDeployment { id status canRedeploy }
  }
}"""
_REDEPLOY = """
mutation Redeploy($environment: String!, $service: String!) {
  serviceInstanceRedeploy(environmentId: $environment, serviceId: $service)
}"""

_ME = "query Me { me { id name email workspaces { id name } } }"
_WORKSPACE = "query Workspace { apiToken { workspaces { id name } } }"
_PROJECT_ACCESS = "query ProjectAccess { projectToken { id name project { id name } environment { name } } }"
_PROJECT_FIELDS = """
fragment ProjectFields on Project {
  id name deletedAt workspace { id name }
  environments(first: 100, after: $environments, isEphemeral: false) {
    edges { node { id name canAccess } } pageInfo { hasNextPage endCursor }
  }
  services(first: 100, after: $services) {
    edges { node { id name repoTriggers(first: 1) { edges { node { repository } } } } }
    pageInfo { hasNextPage endCursor }
  }
}"""
_PROJECTS = (
    """
query Projects($workspace: String!, $after: String, $environments: String, $services: String) {
  projects(workspaceId: $workspace, first: 50, after: $after) {
    edges { node { ...ProjectFields } } pageInfo { hasNextPage endCursor }
  }
}"""
    + _PROJECT_FIELDS
)
_SHARED_WITH_ME = (
    """
query SharedWithMe($environments: String, $services: String) {
  externalWorkspaces { projects { ...ProjectFields } }
}"""
    + _PROJECT_FIELDS
)
_PROJECT = (
    """
query Project($id: String!, $environments: String, $services: String) {
  project(id: $id) { ...ProjectFields }
}"""
    + _PROJECT_FIELDS
)

Id = Annotated[str, StringConstraints(min_length=1, max_length=255)]
Label = Annotated[str, StringConstraints(max_length=255)]


class RailwayConfig(DestinationConfig):
    """A service in an environment, or without ``serviceId`` the environment's shared variables."""

    labels = frozenset({"project_name", "environment_name", "service_name"})

    project_id: Id
    project_name: Label = ""
    environment_id: Id
    environment_name: Label = ""
    service_id: Id | None = None
    service_name: Label | None = None


class RailwayToken(Credentials):
    """An account, workspace or project token."""

    api_token: Annotated[SecretStr, Field(min_length=1, max_length=255)]


class RailwayApi(Api):
    """Railway's API, with the one answer of it that has three meanings."""

    def error(self, status: int | None, code: str | None, answer: Answer | None = None) -> ProviderError:
        """Return the error that *status* and Railway's *code* stand for."""
        if status is not None or code != NOT_AUTHORIZED:
            return super().error(status, code, answer)
        # https://docs.railway.com/integrations/api: a dead token, a missing grant and a wrong id read alike.
        return AccessDenied(
            "Railway answered Not Authorized: the token is no longer valid, may not do this, or the project, "
            "environment or service does not exist.",
            provider=self.title,
            code=code,
        )

    def run(self, document: str, **variables: Any) -> Any:
        """Send *document* and return its data."""
        return self.graphql("/graphql/v2", document, variables)


def error_code(body: Any) -> str | None:
    """Return Railway's name for the first error in *body*, if it is one of the texts known to be constant."""
    errors = body.get("errors") if isinstance(body, dict) else None
    if not isinstance(errors, list) or not errors or not isinstance(errors[0], dict):
        return None
    extensions = errors[0].get("extensions")
    named = extensions.get("code") if isinstance(extensions, dict) else None
    for text in (errors[0].get("message"), named):
        if isinstance(text, str) and (text == NOT_AUTHORIZED or text.lower() in CODES):
            return text
    return None


Path = tuple[str, ...]
Connection = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a destination's variables are in an environment's configuration."""

    path: Path

    @classmethod
    def of(cls, config: RailwayConfig) -> "Place":
        """Return the place of a service's variables, or of the shared ones."""
        if config.service_id is None:
            return cls(("sharedVariables",))
        return cls(("services", config.service_id, "variables"))

    def removal_of(self, keys: Sequence[str]) -> dict[str, Any]:
        """Return the patch that removes *keys*."""
        patch: dict[str, Any] = dict.fromkeys(keys)
        for step in reversed(self.path):
            patch = {step: patch}
        return patch

    def removals_in(self, patch: Any) -> frozenset[str] | None:
        """Return the keys that *patch* removes here, None if it does anything else."""
        leaves = list(_leaves(patch))
        if all(value is None and path[:-1] == self.path and _is_ours(path[-1]) for path, value in leaves):
            return frozenset(path[-1] for path, _ in leaves)
        return None


@dataclass(frozen=True, slots=True)
class Staged:
    """What waits in an environment until somebody deploys it, or, once committed, is being applied."""

    patch: Any
    applying: bool

    @classmethod
    def shown_in(cls, data: Mapping[str, Any]) -> "Staged":
        """Return what an answer shows as staged: an empty patch if there is nothing."""
        changes = map_in(data.get("environmentStagedChanges"), TITLE)
        status = text_in(changes, "status", TITLE)
        # What is no object cannot be read as "nothing": it counts as somebody's.
        patch = {} if status == "COMMITTED" else changes.get("patch")
        return cls(patch, applying=status == "APPLYING")


def _leaves(node: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield every value of a nested patch with its path. An empty object changes nothing and has none."""
    if not isinstance(node, dict):
        yield path, node
        return
    for name, child in node.items():
        yield from _leaves(child, (*path, name))


class RailwayDestination(Destination):
    """The variables of one service, or the shared ones, in one environment."""

    def __init__(self, api: RailwayApi, config: RailwayConfig) -> None:
        self._api = api
        self._config = config
        self._place = Place.of(config)
        self._staged: Staged | None = None  # None once anything was called since we looked

    def pull(self) -> Pulled:
        # What is staged comes with the same call, because a removal has to know.
        data = self._run(
            _READ,
            project=self._config.project_id,
            environment=self._config.environment_id,
            service=self._config.service_id,
        )
        self._staged = Staged.shown_in(data)
        variables = map_in(data.get("variables"), TITLE)
        return Pulled({key: _remote(key, value) for key, value in variables.items() if _is_ours(key)})

    def push(self, batch: Sequence[Change]) -> Pushed:
        keys = [change.key for change in batch]
        refused: str | None = None
        if any(isinstance(change, Delete) for change in batch):
            refused = self._remove(keys)
        else:
            self._write(batch)
        if refused:
            return Pushed(stamps={}, refused=dict.fromkeys(keys, refused))
        return Pushed(stamps=dict.fromkeys(keys))

    def refuses(self, key: str) -> str | None:
        if key.startswith(RESERVED):
            return f"names with {RESERVED} are Railway's own"
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", key):
            return "Railway takes letters, digits and _ in a name, and no digit first"
        return None

    def redeploy(self) -> None:
        """Redeploy the service once. Nothing happens where it never ran, or for shared variables."""
        if self._config.service_id is None:
            return
        where = {"environment": self._config.environment_id, "service": self._config.service_id}
        latest = self._run(_LATEST, **where)["serviceInstance"]["latestDeployment"]
        if latest is None:
            return
        if latest["canRedeploy"]:
            _confirm(self._run(_REDEPLOY, **where).get("serviceInstanceRedeploy") is True)
        elif latest["status"] in UNDER_WAY:
            raise Unavailable("Railway is still busy with another deployment of this service.")

    def _write(self, batch: Sequence[Change]) -> None:
        self._withdraw_left_over()
        values = {
            change.key: change.desired.value.get_secret_value()
            for change in batch
            if not isinstance(change, Delete)
        }
        target = {
            "projectId": self._config.project_id,
            "environmentId": self._config.environment_id,
            "serviceId": self._config.service_id,
        }
        # replace would wipe whatever is not in this batch, sealed variables and references included.
        options = {"variables": values, "replace": False, "skipDeploys": True}
        given = {name: value for name, value in target.items() if value is not None}
        try:
            told = self._run(_WRITE, input={**given, **options})
        except RequestRejected as error:
            raise _refused(sorted(values), error) from None
        _confirm(told.get("variableCollectionUpsert") is True)

    def _withdraw_left_over(self) -> None:
        """Take back removals that were staged here and never committed.

        The next person to press Deploy would apply them to keys that are wanted again.
        """
        staged = self._staged
        if staged and not staged.applying and self._place.removals_in(staged.patch):
            self._run(_WITHDRAW, environment=self._config.environment_id, input={})

    def _remove(self, keys: Sequence[str]) -> str | None:
        """Remove *keys* without a deployment, or return why they have to stay.

        ``variableDelete`` may deploy each time; a committed patch need not. But committing applies all that
        is staged in the environment, the edits of people as well, so nothing is done while theirs wait.
        Railway has no conditional commit. What is staged between our look and our document goes along with
        it: an edit of a person, or the removal of another sync whose document runs at the same moment,
        which that sync wanted and had checked as we did. Where removals left over here are replaced, what
        is staged in that moment is lost with them.
        """
        staged = self._staged or self._look()
        left_over = self._place.removals_in(staged.patch)
        if left_over is None and staged.applying:
            raise Unavailable("Railway is still applying another change to this environment.")
        if left_over is None:
            return STAGED_BY_SOMEBODY
        told = self._run(
            _REMOVE,
            environment=self._config.environment_id,
            input=self._place.removal_of(keys),
            # Removals here that nobody committed are what Railway kept of a document that failed half-way.
            # They may be wanted keys by now, so they are replaced. In every other case merging is a must.
            merge=staged.applying or not left_over,
            message=f"Keytide removed {len(keys)} variables",
        )
        text_in(told, "environmentPatchCommitStaged", TITLE)
        return None

    def _look(self) -> Staged:
        return Staged.shown_in(self._run(_STAGED, environment=self._config.environment_id))

    def _run(self, document: str, **variables: Any) -> Any:
        # While we were calling, somebody may have staged something.
        self._staged = None
        return self._api.run(document, **variables)


def _is_ours(key: str) -> bool:
    return not key.startswith(RESERVED)


def _remote(key: str, value: Any) -> Remote:
    # A sealed variable shows null. Railway gives no mark of its state, so edits of it cannot be seen.
    if value is None:
        return Remote(key, None, sealed=True)
    if not isinstance(value, str):
        raise unexpected(TITLE)
    return Remote(key, SecretStr(value))


def _refused(keys: Sequence[str], error: RequestRejected) -> RequestRejected:
    """Return *error* with the *keys* of the batch: Railway takes all or none, and names none."""
    hint = "" if len(keys) == 1 else " (all in one call: change them one at a time to find the one at fault)"
    return RequestRejected(
        f"{error.message} Not written: {', '.join(keys)}{hint}.",
        provider=error.provider,
        status=error.status,
        code=error.code,
    )


def _confirm(done: bool) -> None:
    if not done:
        raise UnexpectedAnswer("Railway answered, but did not confirm that it was done.", provider=TITLE)


class RailwayProvider(Provider[RailwayConfig]):
    """Railway, reached with one token."""

    name = "railway"
    title = TITLE
    methods: ClassVar[Mapping[str, type[Credentials]]] = {
        "account-token": RailwayToken,
        "project-token": RailwayToken,
        "team-token": RailwayToken,
        "workspace-token": RailwayToken,  # what Railway calls a team token today
    }
    config_type = RailwayConfig
    reads_values = True
    can_redeploy = True

    def __init__(self, access: Access) -> None:
        super().__init__(access)
        self._api = RailwayApi(self.title, access, _authorization(access), error_code, CODES)

    def whoami(self) -> Account:
        try:
            return self._whoami()
        except AccessDenied as error:
            # A token that may not even ask about itself is dead, or of another kind than was said.
            raise CredentialsRejected(
                "Railway does not accept this token, or it is of another kind.",
                provider=self.title,
                status=error.status,
                code=error.code,
            ) from None

    def destination(self, config: RailwayConfig) -> RailwayDestination:
        return RailwayDestination(self._api, config)

    def projects(self) -> list[Project]:
        return list({project.id: project for project in self._projects()}.values())

    def _whoami(self) -> Account:
        match self.access.method:
            case "account-token":
                me = self._api.run(_ME)["me"]
                return Account(me["id"], me["name"] or me["email"])
            case "project-token":
                token = self._api.run(_PROJECT_ACCESS)["projectToken"]
                return Account(token["id"], f"{token['project']['name']}, {token['environment']['name']}")
            case _:
                return self._workspace()

    def _workspace(self) -> Account:
        workspaces = self._api.run(_WORKSPACE)["apiToken"]["workspaces"]
        if not workspaces:
            raise AccessDenied("Railway shows no workspace to this token.", provider=self.title)
        return Account(workspaces[0]["id"], workspaces[0]["name"])

    def _projects(self) -> Iterator[Project]:
        """Yield every project. One that was shared with several workspaces comes several times."""
        match self.access.method:
            case "account-token":
                for workspace in self._api.run(_ME)["me"]["workspaces"]:
                    yield from self._in_workspace(workspace["id"])
                for workspace in self._api.run(_SHARED_WITH_ME)["externalWorkspaces"]:
                    yield from self._alive(workspace["projects"])
            case "project-token":
                project_id = self._api.run(_PROJECT_ACCESS)["projectToken"]["project"]["id"]
                yield self._listed(self._api.run(_PROJECT, id=project_id)["project"])
            case _:
                for workspace in self._api.run(_WORKSPACE)["apiToken"]["workspaces"]:
                    yield from self._in_workspace(workspace["id"])

    def _in_workspace(self, workspace_id: str) -> Iterator[Project]:
        def page(after: str | None) -> Connection:
            connection: Connection = self._api.run(_PROJECTS, workspace=workspace_id, after=after)["projects"]
            return connection

        return self._alive(_pages(page))

    def _alive(self, nodes: Iterable[Mapping[str, Any]]) -> Iterator[Project]:
        return (self._listed(node) for node in nodes if node["deletedAt"] is None)

    def _listed(self, node: Mapping[str, Any]) -> Project:
        environments = list(self._all(node, "environments"))
        services = list(self._all(node, "services"))
        workspace = node["workspace"] or {}
        return Project(
            id=node["id"],
            name=node["name"],
            environments=tuple(_named(each) for each in environments if each["canAccess"]),
            services=tuple(_service(each) for each in services),
            linked_repo=next(filter(None, map(_repository, services)), None),
            team_id=workspace.get("id"),
            team_name=workspace.get("name"),
        )

    def _all(self, project: Mapping[str, Any], name: str) -> Iterator[Mapping[str, Any]]:
        """Yield every item of a list inside *project*; its first page is there already."""

        def page(after: str | None) -> Connection:
            if after is None:
                first: Connection = project[name]
                return first
            more: Connection = self._api.run(_PROJECT, id=project["id"], **{name: after})["project"][name]
            return more

        return _pages(page)


def _authorization(access: Access) -> dict[str, SecretStr]:
    token = access.credentials.api_token
    if access.method == "project-token":
        return {"Project-Access-Token": token}
    return {"Authorization": SecretStr(f"Bearer {token.get_secret_value()}")}


def _pages(page: Callable[[str | None], Connection]) -> Iterator[Mapping[str, Any]]:
    """Yield the nodes of a Relay connection, page by page."""
    after: str | None = None
    while True:
        connection = page(after)
        yield from (edge["node"] for edge in connection["edges"])
        info = connection["pageInfo"]
        if not info["hasNextPage"] or info["endCursor"] in {None, after}:
            return
        after = info["endCursor"]


def _named(node: Mapping[str, Any]) -> Named:
    return Named(node["id"], node["name"])


def _service(node: Mapping[str, Any]) -> Service:
    return Service(node["id"], node["name"], _repository(node))


def _repository(service: Mapping[str, Any]) -> str | None:
    triggers = service["repoTriggers"]["edges"]
    return triggers[0]["node"]["repository"] if triggers else None
