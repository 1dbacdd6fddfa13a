"""An emulator of Railway's GraphQL API, its oddities included.

By hand: ``python -m tests.fakes.railway --port 9001``.
"""

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    SelectionSetNode,
    build_client_schema,
    parse,
    value_from_ast_untyped,
)

from tests.fakes.contracts import graphql_violations, load
from tests.fakes.service import FakeService, Places, Request, Response, main

SHARED = "shared"
Arguments = Mapping[str, Any]
Variables = dict[str, str]


@cache
def official_schema() -> GraphQLSchema | None:
    """Return Railway's published schema, None if it is not beside this checkout."""
    found = load("railway.introspection.json.gz")
    if found is None:
        return None
    document = json.loads(found)
    # The schema breaks a rule of GraphQL itself (a deprecated field of an interface), hence assume_valid.
    return build_client_schema(document.get("data", document), assume_valid=True)


@dataclass
class Environment:
    """An environment. ``staged`` is the patch that waits, ``committed`` are those that were applied.

    ``applying``: what is staged was committed, and the background has not applied it yet.
    """

    id: str
    name: str
    ephemeral: bool = False
    can_access: bool = True
    staged: dict[str, Any] = field(default_factory=dict)
    applying: bool = False
    committed: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Service:
    """A service. ``deployment`` is the state of its latest one, None if there never was any."""

    id: str
    name: str
    repository: str | None = None
    deployment: str | None = "SUCCESS"


@dataclass
class FakeProject:
    """A project with its environments and services."""

    id: str
    name: str
    workspace: str
    environments: dict[str, Environment] = field(default_factory=dict)
    services: dict[str, Service] = field(default_factory=dict)
    deleted: bool = False


@dataclass(frozen=True)
class Token:
    """What a token may reach: an account everything, a workspace or a project token its own."""

    kind: str
    workspace: str | None = None
    project: str | None = None
    environment: str | None = None


class Refused(Exception):
    """Railway answers 200, with this message among the errors."""

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.extensions = {} if code is None else {"code": code}


class FakeRailway(FakeService):
    """Railway's GraphQL API, emulated. A place is ``<environment>/<service>`` or ``<environment>/shared``."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        super().__init__(now)
        self.workspaces: dict[str, str] = {}
        self.external: set[str] = set()
        self.projects: dict[str, FakeProject] = {}
        self.variables: dict[str, Variables] = {}
        self.sealed: set[tuple[str, str]] = set()
        self.tokens: dict[str, Token] = {}
        #: Deployments started, by place.
        self.deploys: Counter[str] = Counter()
        self.budget = 1000
        self.page_size = 100
        #: Does a commit wait for ``settle`` before it is applied? Until then it shows as staged.
        self.commits_slowly = False
        #: Root fields that fail the next time they are reached. What the document did before stays done.
        self.failing_fields: set[str] = set()
        self.checks_schema = official_schema() is not None

    @classmethod
    def with_demo(cls, now: Callable[[], float] = time.time) -> "FakeRailway":
        """Return an emulator with one project, two environments, two services and a token of each kind."""
        fake = cls(now)
        fake.workspaces["ws-1"] = "Demo workspace"
        fake.add_project("prj-1", "shop", workspace="ws-1")
        fake.tokens["demo-account-token"] = Token("account")
        fake.tokens["demo-workspace-token"] = Token("workspace", workspace="ws-1")
        fake.tokens["demo-project-token"] = Token("project", project="prj-1", environment="env-production")
        return fake

    def add_project(self, project_id: str, name: str, *, workspace: str) -> FakeProject:
        """Add a project with the environments production and staging and the services web and worker."""
        suffix = "" if project_id == "prj-1" else f"-{project_id}"
        project = FakeProject(project_id, name, workspace)
        for each in ("production", "staging"):
            project.environments[f"env-{each}{suffix}"] = Environment(f"env-{each}{suffix}", each)
        for each in ("web", "worker"):
            project.services[f"svc-{each}{suffix}"] = Service(f"svc-{each}{suffix}", each)
        self.projects[project_id] = project
        for environment in project.environments:
            for service in (*project.services, SHARED):
                self.variables[f"{environment}/{service}"] = {}
        return project

    # --- what the base asks for ------------------------------------------------------------------------

    def places(self) -> Places:
        return {place: dict(variables) for place, variables in self.variables.items()}

    def seed(self, place: str, variables: Mapping[str, str]) -> None:
        self.variables[place].update(variables)

    def seal(self, place: str, variables: Mapping[str, str]) -> None:
        """Put *variables* into *place* so that nobody can read them any more."""
        self.seed(place, variables)
        self.sealed.update((place, key) for key in variables)

    def demo(self) -> Mapping[str, str]:
        return {
            "token": "demo-account-token",
            "projectId": "prj-1",
            "environmentId": "env-production",
            "serviceId": "svc-web",
        }

    def is_write(self, request: Request) -> bool:
        return str((request.json or {}).get("query", "")).lstrip().startswith("mutation")

    def check(self, request: Request) -> list[str]:
        schema = official_schema()
        return graphql_violations(schema, request.json) if schema else []

    def refusal(self, status: int, request: Request) -> Response:
        message = f"refused, you sent {request.body.decode()} {dict(request.headers)}"
        headers = self._budget_headers(spent=status == 429)
        return Response(status, {"errors": [{"message": message, "path": []}], "data": None}, headers)

    def answer(self, request: Request) -> Response:
        self.budget = max(0, self.budget - 1)
        if (request.method, request.path) != ("POST", "/graphql/v2"):
            return self.refusal(404, request)
        try:
            body: dict[str, Any] = {"data": self._execute(request)}
        except (Refused, GraphQLError) as error:
            # All of it is null: no root field of a mutation may be, so the null of one moves up to the top.
            failure = {"message": str(error), "extensions": error.extensions or {}}
            body = {"errors": [failure], "data": None}
        return Response(200, body, self._budget_headers())

    def _budget_headers(self, *, spent: bool = False) -> dict[str, str]:
        headers = {
            "X-RateLimit-Limit": "1000",
            "X-RateLimit-Remaining": "0" if spent else str(self.budget),
            "X-RateLimit-Reset": str(int(self.now()) + 3600),
        }
        return {**headers, "Retry-After": "7"} if spent else headers

    # --- running a document ----------------------------------------------------------------------------

    def _execute(self, request: Request) -> dict[str, Any]:
        token = self._token(request)
        document = parse(request.json["query"])
        operation = next(node for node in document.definitions if isinstance(node, OperationDefinitionNode))
        fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        selection = _Selection(request.json.get("variables") or {}, fragments)
        call = _Call(self, token)
        known = {name: self._resolver(call, name) for name in RESOLVERS}
        # One root field after the other, and the first that fails ends the document, as for a mutation.
        data: dict[str, Any] = selection.apply(known, operation.selection_set)
        return data

    def _resolver(self, call: "_Call", name: str) -> Callable[[Arguments], Any]:
        """Return what answers the root field *name*, or fails if a test wants it to."""

        def resolve(arguments: Arguments) -> Any:
            if name in self.failing_fields:
                self.failing_fields.remove(name)
                raise Refused("Something went wrong", code="INTERNAL_SERVER_ERROR")
            return getattr(call, name)(arguments)

        return resolve

    def _token(self, request: Request) -> Token:
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        project = request.headers.get("project-access-token", "")
        token = self.tokens.get(bearer or project)
        if token is None:
            raise Refused("Project Token not found" if project else "Not Authorized")
        # A project token in the other header is unknown there, and the other way round.
        if (token.kind == "project") != bool(project):
            raise Refused("Not Authorized")
        return token

    def deploy(self, environment: str, service: str) -> None:
        """Start a deployment of one service, or, for shared variables, of all."""
        if service != SHARED:
            self.deploys[f"{environment}/{service}"] += 1
            return
        for project in self.projects.values():
            if environment in project.environments:
                self.deploys.update(f"{environment}/{each}" for each in project.services)

    def read(self, environment: str, service: str, *, rendered: bool) -> dict[str, str | None]:
        """Return what a read shows: null for sealed ones, and rendered, also what Railway provides."""
        place = f"{environment}/{service}"
        shown: dict[str, str | None] = {
            key: None if (place, key) in self.sealed else value
            for key, value in self.variables[place].items()
        }
        if not rendered:
            return shown
        provided = {"RAILWAY_ENVIRONMENT_ID": environment, "RAILWAY_SERVICE_ID": service}
        return {key: value and self._rendered(environment, value) for key, value in shown.items()} | provided

    def _rendered(self, environment: str, value: str) -> str:
        return re.sub(r"\$\{\{(\w+)\.(\w+)\}\}", lambda found: self._referred(environment, found), value)

    def _referred(self, environment: str, found: re.Match[str]) -> str:
        services = [each for project in self.projects.values() for each in project.services.values()]
        names = {SHARED: SHARED, **{service.name: service.id for service in services}}
        return self.variables.get(f"{environment}/{names.get(found[1])}", {}).get(found[2], "")

    def apply(self, environment: Environment, patch: dict[str, Any], *, skip_deploys: bool) -> None:
        """Apply a committed *patch*: its variables, and whatever else it holds."""
        environment.committed.append(patch)
        parts = {service: part.get("variables", {}) for service, part in patch.get("services", {}).items()}
        parts[SHARED] = patch.get("sharedVariables", {})
        for service, variables in parts.items():
            place = f"{environment.id}/{service}"
            for key, entry in variables.items():
                self._apply_variable(place, key, entry)
            if variables and not skip_deploys:
                self.deploy(environment.id, service)

    def settle(self) -> None:
        """Apply what was committed slowly, without deployments."""
        for project in self.projects.values():
            for environment in project.environments.values():
                patch, environment.staged = environment.staged, {}
                environment.applying = False
                self.apply(environment, patch, skip_deploys=True)

    def _apply_variable(self, place: str, key: str, entry: dict[str, Any] | None) -> None:
        if entry is None:
            self.variables[place].pop(key, None)
            self.sealed.discard((place, key))
            return
        self.variables[place][key] = entry["value"]
        if entry.get("isSealed"):
            self.sealed.add((place, key))


@dataclass(frozen=True)
class _Selection:
    """Picks from plain Python values what a document asks for. A callable among them takes arguments."""

    variables: Mapping[str, Any]
    fragments: Mapping[str, FragmentDefinitionNode]

    def apply(self, value: Any, selection: SelectionSetNode | None) -> Any:
        if selection is None or value is None:
            return value
        if isinstance(value, list):
            return [self.apply(each, selection) for each in value]
        return {
            (node.alias or node.name).value: self._field(value[node.name.value], node)
            for node in self._fields(selection)
        }

    def _fields(self, selection: SelectionSetNode) -> list[FieldNode]:
        fields: list[FieldNode] = []
        for node in selection.selections:
            if isinstance(node, FieldNode):
                fields.append(node)
            elif isinstance(node, FragmentSpreadNode):
                fields.extend(self._fields(self.fragments[node.name.value].selection_set))
        return fields

    def _field(self, value: Any, node: FieldNode) -> Any:
        if callable(value):
            arguments = {
                each.name.value: value_from_ast_untyped(each.value, dict(self.variables))
                for each in node.arguments or ()
                if not self._is_left_out(each.value)
            }
            value = value(arguments)
        return self.apply(value, node.selection_set)

    def _is_left_out(self, node: Any) -> bool:
        return node.kind == "variable" and node.name.value not in self.variables


#: The root fields that the emulator knows.
RESOLVERS = (
    "apiToken",
    "environmentPatchCommitStaged",
    "environmentStageChanges",
    "environmentStagedChanges",
    "externalWorkspaces",
    "me",
    "project",
    "projectToken",
    "projects",
    "serviceInstance",
    "serviceInstanceRedeploy",
    "variableCollectionUpsert",
    "variableDelete",
    "variables",
)


@dataclass(frozen=True)
class _Call:
    """The root fields, as one token may use them. Their names are Railway's."""

    fake: FakeRailway
    token: Token

    # --- who --------------------------------------------------------------------------------------------

    def me(self, _: Arguments) -> Any:
        self._only("account")
        return {
            "id": "usr-1",
            "name": "Demo user",
            "email": "demo@example.com",
            "workspaces": self._workspaces(external=False),
        }

    def apiToken(self, _: Arguments) -> Any:  # noqa: N802 - Railway's name
        self._only("account", "workspace")
        return {"workspaces": self._workspaces(external=False)}

    def projectToken(self, _: Arguments) -> Any:  # noqa: N802 - Railway's name
        self._only("project")
        project = self.fake.projects[self.token.project or ""]
        environment = project.environments[self.token.environment or ""]
        return {
            "id": "tok-1",
            "name": "demo",
            "projectId": project.id,
            "environmentId": environment.id,
            "project": self._shown(project),
            "environment": {"id": environment.id, "name": environment.name},
        }

    def externalWorkspaces(self, _: Arguments) -> Any:  # noqa: N802 - Railway's name
        self._only("account")
        return [
            {**workspace, "projects": [self._shown(each) for each in self._projects_of(workspace["id"])]}
            for workspace in self._workspaces(external=True)
        ]

    # --- what there is ----------------------------------------------------------------------------------

    def projects(self, arguments: Arguments) -> Any:
        found = self._projects_of(arguments["workspaceId"])
        return self._page([self._shown(project) for project in found], arguments)

    def project(self, arguments: Arguments) -> Any:
        return self._shown(self._project(arguments["id"]))

    def serviceInstance(self, arguments: Arguments) -> Any:  # noqa: N802 - Railway's name
        service = self._service(arguments)
        if service.deployment is None:
            return {"latestDeployment": None}
        ready = service.deployment in {"SUCCESS", "CRASHED", "SLEEPING"}
        deployment = {"id": f"dep-{service.id}", "status": service.deployment, "canRedeploy": ready}
        return {"latestDeployment": deployment}

    def serviceInstanceRedeploy(self, arguments: Arguments) -> bool:  # noqa: N802 - Railway's name
        service = self._service(arguments)
        if service.deployment is None:
            raise Refused("Service has never been deployed")
        self.fake.deploy(arguments["environmentId"], service.id)
        return True

    # --- variables --------------------------------------------------------------------------------------

    def variables(self, arguments: Arguments) -> dict[str, str | None]:
        environment, service = self._target(arguments)
        return self.fake.read(environment.id, service, rendered=not arguments.get("unrendered"))

    def variableCollectionUpsert(self, arguments: Arguments) -> bool:  # noqa: N802 - Railway's name
        given = arguments["input"]
        environment, service = self._target(given)
        place = f"{environment.id}/{service}"
        for key, value in given["variables"].items():
            if not isinstance(value, str) or key in self.fake.refused:
                raise Refused(f"Variable {key} cannot be {value}")
        if given.get("replace"):
            self.fake.variables[place].clear()
            self.fake.sealed = {entry for entry in self.fake.sealed if entry[0] != place}
        self.fake.variables[place].update(given["variables"])
        if not given.get("skipDeploys"):
            self.fake.deploy(environment.id, service)
        return True

    def variableDelete(self, arguments: Arguments) -> bool:  # noqa: N802 - Railway's name
        given = arguments["input"]
        environment, service = self._target(given)
        if self.fake.variables[f"{environment.id}/{service}"].pop(given["name"], None) is None:
            raise Refused("Variable not found")
        self.fake.deploy(environment.id, service)
        return True

    # --- staged changes ---------------------------------------------------------------------------------

    def environmentStagedChanges(self, arguments: Arguments) -> Any:  # noqa: N802 - Railway's name
        return self._patch(self._environment(arguments["environmentId"]))

    def environmentStageChanges(self, arguments: Arguments) -> Any:  # noqa: N802 - Railway's name
        environment = self._environment(arguments["environmentId"])
        before = environment.staged if arguments.get("merge") else {}
        environment.staged = _merged(before, arguments["input"])
        return self._patch(environment)

    def environmentPatchCommitStaged(self, arguments: Arguments) -> str:  # noqa: N802 - Railway's name
        environment = self._environment(arguments["environmentId"])
        environment.applying = self.fake.commits_slowly
        if not environment.applying:
            patch, environment.staged = environment.staged, {}
            self.fake.apply(environment, patch, skip_deploys=bool(arguments.get("skipDeploys")))
        return "workflow-1"

    def _patch(self, environment: Environment) -> dict[str, Any]:
        patch = environment.staged
        status = "APPLYING" if environment.applying else "STAGED"
        return {"id": "pat-1", "status": status, "patch": lambda arguments: patch}

    # --- what a token reaches ---------------------------------------------------------------------------

    def _only(self, *kinds: str) -> None:
        if self.token.kind not in kinds:
            raise Refused("Not Authorized")

    def _workspaces(self, *, external: bool) -> list[dict[str, Any]]:
        return [
            {"id": key, "name": name}
            for key, name in self.fake.workspaces.items()
            if (key in self.fake.external) == external and self.token.workspace in {None, key}
        ]

    def _projects_of(self, workspace: str) -> list[FakeProject]:
        if self.token.kind == "project" or self.token.workspace not in {None, workspace}:
            raise Refused("Not Authorized")
        return [each for each in self.fake.projects.values() if each.workspace == workspace]

    def _project(self, project_id: str) -> FakeProject:
        project = self.fake.projects.get(project_id)
        allowed = project and self.token.workspace in {None, project.workspace}
        if project is None or not allowed or self.token.project not in {None, project_id}:
            raise Refused("Not Authorized")
        return project

    def _environment(self, environment_id: str) -> Environment:
        for project in self.fake.projects.values():
            environment = project.environments.get(environment_id)
            if environment and self.token.environment in {None, environment_id}:
                self._project(project.id)
                return environment
        raise Refused("Not Authorized")

    def _service(self, arguments: Arguments) -> Service:
        self._environment(arguments["environmentId"])
        for project in self.fake.projects.values():
            service = project.services.get(arguments["serviceId"])
            if service and arguments["environmentId"] in project.environments:
                return service
        raise Refused("Not Authorized")

    def _target(self, arguments: Arguments) -> tuple[Environment, str]:
        project = self._project(arguments["projectId"])
        environment = self._environment(arguments["environmentId"])
        if environment.id not in project.environments:
            raise Refused("Not Authorized")
        if "serviceId" not in arguments:
            return environment, SHARED
        return environment, self._service(arguments).id

    # --- how it is shown --------------------------------------------------------------------------------

    def _shown(self, project: FakeProject) -> dict[str, Any]:
        workspace = {"id": project.workspace, "name": self.fake.workspaces[project.workspace]}
        return {
            "id": project.id,
            "name": project.name,
            "deletedAt": "2026-01-01T00:00:00Z" if project.deleted else None,
            "workspace": workspace,
            "environments": lambda arguments: self._environments(project, arguments),
            "services": lambda arguments: self._services(project, arguments),
        }

    def _environments(self, project: FakeProject, arguments: Arguments) -> dict[str, Any]:
        wanted = arguments.get("isEphemeral")
        shown = [
            {"id": each.id, "name": each.name, "isEphemeral": each.ephemeral, "canAccess": each.can_access}
            for each in project.environments.values()
            if wanted is None or each.ephemeral == wanted
        ]
        return self._page(shown, arguments)

    def _services(self, project: FakeProject, arguments: Arguments) -> dict[str, Any]:
        shown = []
        for service in project.services.values():
            triggers = [{"node": {"repository": service.repository}}] if service.repository else []
            connection = {"edges": triggers}
            shown.append(
                {"id": service.id, "name": service.name, "repoTriggers": lambda _, it=connection: it}
            )
        return self._page(shown, arguments)

    def _page(self, nodes: list[dict[str, Any]], arguments: Arguments) -> dict[str, Any]:
        """Return one page of a Relay connection. A cursor is the position after it."""
        start = int(arguments.get("after") or 0)
        end = start + min(arguments.get("first") or self.fake.page_size, self.fake.page_size)
        more = end < len(nodes)
        return {
            "edges": [{"node": node} for node in nodes[start:end]],
            "pageInfo": {"hasNextPage": more, "endCursor": str(end) if more else None},
        }


def _merged(before: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Return *before* with *patch* laid over it, object by object."""
    merged = dict(before)
    for key, value in patch.items():
        nested = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if nested else value
    return merged


if __name__ == "__main__":
    main(FakeRailway.with_demo(), setting="KEYTIDE_RAILWAY_API_URL")
