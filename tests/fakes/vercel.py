"""An emulator of Vercel's REST API, its oddities included.

By hand: ``python -m tests.fakes.vercel --port 9001``.
"""

import json
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from jsonschema import Draft7Validator  # type: ignore[import-untyped]

from tests.fakes.contracts import OpenApi, load
from tests.fakes.oauth import FakeOAuth
from tests.fakes.service import FakeService, Places, Request, Response, main

SYSTEM = ("production", "preview", "development")
ALL_CUSTOM = "all custom environments"
PUBLIC_PREFIXES = ("NEXT_PUBLIC_", "VITE_")

#: Sent by Vercel's own Terraform provider, and declared nowhere.
UNDECLARED_QUERY = {("GET", "until")}
#: Demanded by name in the official schema, which then forgets to describe it.
UNDECLARED_BODY = "applyToAllCustomEnvironments"

#: Where the newer schemas of the request bodies are, which the SDK's models were turned into.
NEWER = (
    ("POST", r"/v10/projects/[^/]+/env", "createProjectEnv"),
    ("PATCH", r"/v9/projects/[^/]+/env/[^/]+", "editProjectEnv"),
    ("DELETE", r"/v1/projects/[^/]+/env", "batchRemoveProjectEnv"),
    ("POST", r"/v1/env", "createSharedEnvVariable"),
    ("PATCH", r"/v1/env", "updateSharedEnvVariable"),
    ("DELETE", r"/v1/env", "deleteSharedEnvVariable"),
)


@cache
def official() -> OpenApi | None:
    """Return Vercel's published schema, None if it is not beside this checkout."""
    return OpenApi.load("vercel.openapi.2025-10-29.json.gz")


@cache
def newer() -> Mapping[str, Any]:
    """Return the newer schemas by operation, none if they are not beside this checkout."""
    found = load("vercel-env.sdk-1.28.35.derived.jsonschema.json.gz")
    operations: Mapping[str, Any] = json.loads(found)["operations"] if found else {}
    return operations


@dataclass
class Variable:
    """A record. One with a ``project`` is that project's, one without is shared in its ``team``."""

    id: str
    key: str
    value: str
    type: str
    reach: frozenset[str]
    project: str | None
    team: str | None
    created: int
    updated: int
    branch: str | None = None
    projects: list[str] = field(default_factory=list)
    configuration: str | None = None

    def overlaps(self, other: "Variable") -> bool:
        """Do both claim the same name in the same place?"""
        return self is not other and self._place == other._place and bool(self.reach & other.reach)

    @property
    def _place(self) -> tuple[str | None, ...]:
        owner = (self.project,) if self.project else (None, self.team)
        return (self.key, self.branch, *owner)


@dataclass
class FakeProject:
    """A project. ``custom`` are its custom environments, id → slug; ``deployed`` has it production?"""

    id: str
    name: str
    team: str | None
    custom: dict[str, str] = field(default_factory=dict)
    link: Mapping[str, str] | None = None
    deployed: bool = True


class Refused(Exception):
    """Vercel answers with an error."""

    def __init__(self, status: int, code: str, message: str = "", **more: Any) -> None:
        super().__init__(code)
        self.status = status
        self.error = {"code": code, "message": message or code, **more}


class FakeVercel(FakeService):
    """Vercel's REST API, emulated.

    A place is ``<project>/<environment>``, ``<project>/preview/<branch>`` or ``<team>/<environment>``.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        super().__init__(now)
        #: Whose the tokens are that work.
        self.tokens: dict[str, str] = {}
        #: The integrations that tokens belong to, and with them the variables they make, by token.
        self.installations: dict[str, str] = {}
        self.teams: dict[str, str] = {}
        self.projects: dict[str, FakeProject] = {}
        self.variables: dict[str, Variable] = {}
        self.deploys: list[Mapping[str, Any]] = []
        self.page_size: int | None = None
        #: How many production variables the token may not see: the newest ones, as far as there are any.
        self.hidden_production = 0
        #: Does a list of one variable come as the bare variable?
        self.bare_single = False
        #: The team's policy: production and preview are stored as sensitive, whatever was asked for.
        self.policy_sensitive = False
        #: Does reading a single value ask the person to log in once more?
        self.challenges = False
        self.oauth = FakeOAuth(
            self._install,
            lambda token: self.tokens.pop(token, None),
            page="/integrations/demo/new",
            exchange_path="/v2/oauth/access_token",
            registered="http://127.0.0.1:8200/v1/integrations/vercel/callback",
            extra={"installation_id": "icfg_ours", "user_id": "usr_1", "team_id": None},
        )
        self.checks_schema = official() is not None
        self._last = 0
        self._places: set[str] = set()

    @classmethod
    def with_demo(cls, now: Callable[[], float] = time.time) -> "FakeVercel":
        """Return an emulator with a team, a project of its own and one of a person's, and a token."""
        fake = cls(now)
        fake.tokens["demo-vercel-token"] = "usr_1"
        fake.teams["team_1"] = "Demo team"
        custom = {"env_staging": "staging", "env_qa": "qa"}
        fake.projects["prj_1"] = FakeProject("prj_1", "shop", "team_1", custom=custom)
        fake.projects["prj_2"] = FakeProject("prj_2", "notes", None)
        return fake

    def _install(self, token: str) -> None:
        self.tokens[token] = "usr_1"
        self.installations[token] = self.oauth.extra["installation_id"]

    # --- what the base asks for ------------------------------------------------------------------------

    def places(self) -> Places:
        found: dict[str, dict[str, str]] = {place: {} for place in self._known_places()}
        for variable in self.variables.values():
            for place in self._places_of(variable):
                found.setdefault(place, {})[variable.key] = variable.value
        return found

    def seed(self, place: str, variables: Mapping[str, str]) -> None:
        owner, environment, *branch = place.split("/")
        for key, value in variables.items():
            known = [each for each in self.variables.values() if each.key == key]
            found = next((each for each in known if place in self._places_of(each)), None)
            if found:
                found.value, found.updated = value, self._tick()
            else:
                self.add(owner, key, value, environment, branch=branch[0] if branch else None)

    def remove(self, place: str, key: str) -> None:
        """Take a variable out of a place; from others that its record reaches, it is not taken."""
        found = self.record_at(place, key)
        found.reach -= {place.split("/")[1]}
        if not found.reach:
            del self.variables[found.id]

    def record_at(self, place: str, key: str) -> Variable:
        """Return the record that gives a place its variable."""
        known = (each for each in self.variables.values() if each.key == key)
        return next(each for each in known if place in self._places_of(each))

    def add(self, owner: str, key: str, value: str, *reach: str, **more: Any) -> Variable:
        """Put a record there as it is. *owner* is a project or a team."""
        project = owner if owner in self.projects else None
        team = self.projects[owner].team if project else owner
        moment = self._tick()
        more = {"type": "encrypted", **more}
        variable = Variable(
            f"var_{moment}",
            key,
            value,
            more.pop("type"),
            frozenset(reach),
            project,
            team,
            moment,
            moment,
            **more,
        )
        self.variables[variable.id] = variable
        return variable

    def demo(self) -> Mapping[str, str]:
        return {"token": "demo-vercel-token", "teamId": "team_1", "app": "prj_1", "env": "production"}

    def check(self, request: Request) -> list[str]:
        schema = official()
        if schema is None or self.oauth.serves(request):
            return []
        declared = _declared(request)
        return schema.violations(declared) + _newer_violations(declared)

    def refusal(self, status: int, request: Request) -> Response:
        code = {401: "forbidden", 403: "forbidden", 404: "not_found", 429: "rate_limited"}.get(status)
        code = code or ("internal_server_error" if status >= 500 else "bad_request")
        message = f"refused, you sent {request.body.decode()} {dict(request.headers)}"
        error: dict[str, Any] = {"code": code, "message": message}
        if status == 429:
            error["limit"] = {"remaining": 0, "reset": self._reset(), "total": 120}
        return Response(status, {"error": error}, self._budget(spent=status == 429))

    def ongoing_update(self) -> Response:
        """Return the answer to a write while another one is under way."""
        message = (
            "The environment variable couldn't be created because an ongoing update is already happening"
        )
        return Response(400, {"error": {"code": "BAD_REQUEST", "message": message}}, self._budget())

    def answer(self, request: Request) -> Response:
        if self.oauth.serves(request):
            return self.oauth.answer(request)
        try:
            status, body = self._answer(request)
        except Refused as error:
            more = {"failed": error.error.pop("failed")} if "failed" in error.error else {}
            status, body = error.status, {"error": error.error, **more}
        return Response(status, body, self._budget())

    # --- time, budget, places --------------------------------------------------------------------------

    def _tick(self) -> int:
        self._last = max(int(self.now() * 1000), self._last + 1)
        return self._last

    def _reset(self) -> int:
        return int(self.now()) + 30

    def _budget(self, *, spent: bool = False) -> dict[str, str]:
        left = "0" if spent else "119"
        return {
            "X-RateLimit-Limit": "120",
            "X-RateLimit-Remaining": left,
            "X-RateLimit-Reset": str(self._reset()),
        }

    def _known_places(self) -> Iterable[str]:
        for project in self.projects.values():
            yield from (f"{project.id}/{each}" for each in (*SYSTEM, *project.custom))
        for team in self.teams:
            yield from (f"{team}/{each}" for each in (*SYSTEM, ALL_CUSTOM))
        yield from self._places

    def _places_of(self, variable: Variable) -> list[str]:
        suffix = f"/{variable.branch}" if variable.branch else ""
        places = [f"{variable.project or variable.team}/{each}{suffix}" for each in variable.reach]
        # A branch is a place for as long as somebody remembers it, also without variables.
        self._places.update(places)
        return places

    # --- routing ---------------------------------------------------------------------------------------

    def _answer(self, request: Request) -> tuple[int, Any]:
        if _token(request) not in self.tokens:
            raise Refused(403, "forbidden", "Not authorized", invalidToken=True)
        team = request.param("teamId")
        if team is not None and team not in self.teams:
            raise Refused(403, "forbidden", "Not authorized: trying to access resource under another scope")
        for method, pattern, name in ROUTES:
            found = re.fullmatch(pattern, request.path)
            if found and method == request.method:
                call = _Call(self, request, team)
                answer: tuple[int, Any] = getattr(call, name)(*found.groups())
                return answer
        raise Refused(404, "not_found")


ROUTES = (
    ("GET", r"/v2/user", "user"),
    ("GET", r"/v2/teams", "teams"),
    ("GET", r"/v10/projects", "projects"),
    ("GET", r"/v9/projects/([^/]+)/custom-environments", "custom_environments"),
    ("GET", r"/v6/deployments", "deployments"),
    ("POST", r"/v13/deployments", "deploy"),
    ("GET", r"/v10/projects/([^/]+)/env", "list_variables"),
    ("GET", r"/v1/projects/([^/]+)/env/([^/]+)", "read_variable"),
    ("POST", r"/v10/projects/([^/]+)/env", "create_variables"),
    ("PATCH", r"/v9/projects/([^/]+)/env/([^/]+)", "edit_variable"),
    ("DELETE", r"/v1/projects/([^/]+)/env", "delete_variables"),
    ("GET", r"/v1/env", "list_shared"),
    ("GET", r"/v1/env/([^/]+)", "read_shared"),
    ("POST", r"/v1/env", "create_shared"),
    ("PATCH", r"/v1/env", "edit_shared"),
    ("DELETE", r"/v1/env", "delete_shared"),
)


@dataclass(frozen=True)
class _Call:
    """One request, in the scope of a team or of the person."""

    fake: FakeVercel
    request: Request
    team: str | None

    # --- who and what ----------------------------------------------------------------------------------

    def user(self) -> tuple[int, Any]:
        user = {
            "id": self.fake.tokens[_token(self.request)],
            "username": "demo",
            "email": "demo@example.com",
            "defaultTeamId": None,
        }
        return 200, {"user": user}

    def teams(self) -> tuple[int, Any]:
        teams = [{"id": team, "name": name, "slug": team} for team, name in sorted(self.fake.teams.items())]
        return 200, self._page("teams", teams, "until")

    def projects(self) -> tuple[int, Any]:
        mine = [project for project in self.fake.projects.values() if project.team == self.team]
        shown = [
            {
                "id": project.id,
                "name": project.name,
                "accountId": project.team or "usr_1",
                "framework": "nextjs",
                "link": project.link,
            }
            for project in mine
        ]
        return 200, self._page("projects", shown, "from", prefix="MZXW6")

    def custom_environments(self, name: str) -> tuple[int, Any]:
        custom = self._project(name).custom.items()
        shown = [{"id": each, "slug": slug, "type": "preview"} for each, slug in custom]
        return 200, {"accountLimit": {"total": 12}, "environments": shown}

    def deployments(self) -> tuple[int, Any]:
        project = self._project(self.request.param("projectId") or "")
        found = [{"uid": f"dpl_{project.id}", "name": project.name}] if project.deployed else []
        return 200, {"deployments": found}

    def deploy(self) -> tuple[int, Any]:
        self._project(self.request.json["project"])
        self.fake.deploys.append(self.request.json)
        return 200, {"id": "dpl_new"}

    @property
    def _installation(self) -> str | None:
        return self.fake.installations.get(_token(self.request))

    def _is_foreign(self, variable: Variable) -> bool:
        return variable.configuration not in {None, self._installation}

    def _project(self, name: str) -> FakeProject:
        for project in self.fake.projects.values():
            if name in {project.id, project.name} and project.team == self.team:
                return project
        # A team's project does not exist for a call that does not name the team.
        raise Refused(404, "not_found", "Project not found.")

    def _page(self, name: str, items: Sequence[Any], cursor: str, *, prefix: str = "") -> dict[str, Any]:
        size = self.fake.page_size or len(items) or 1
        start = int((self.request.param(cursor) or "0").removeprefix(prefix))
        following = start + size
        after: Any = f"{prefix}{following}" if prefix else following
        page = {"count": len(items[start:following]), "next": after, "prev": None}
        if following >= len(items):
            page["next"] = None
        return {name: items[start:following], "pagination": page}

    # --- a project's variables -------------------------------------------------------------------------

    def list_variables(self, name: str) -> tuple[int, Any]:
        project = self._project(name)
        mine = [each for each in self.fake.variables.values() if each.project == project.id]
        hidden = [each.id for each in mine if "production" in each.reach][::-1][: self.fake.hidden_production]
        shown = [_shown(each, reads=False) for each in mine if each.id not in hidden]
        if self.fake.bare_single and len(shown) == 1:
            return 200, shown[0]
        if self.fake.hidden_production:
            return 200, {"envs": shown, "hiddenProductionEnvCount": self.fake.hidden_production}
        return 200, self._page("envs", shown, "until")

    def read_variable(self, name: str, id_: str) -> tuple[int, Any]:
        return self._read(self._variable(id_, project=self._project(name).id))

    def create_variables(self, name: str) -> tuple[int, Any]:
        project = self._project(name)
        body = self.request.json
        items = body if isinstance(body, list) else [body]
        if any(len(item["value"]) > 65_536 for item in items):
            raise Refused(400, "env_value_invalid_length")
        created, failed = [], []
        for item in items:
            try:
                created.append(_shown(self._upsert(project, item), reads=False))
            except Refused as error:
                failed.append({"error": error.error})
        if failed and not created:
            raise Refused(400, "BAD_REQUEST", "No environment variables were created", failed=failed)
        return 201, {"created": created if isinstance(body, list) else created[0], "failed": failed}

    def _upsert(self, project: FakeProject, item: Mapping[str, Any]) -> Variable:
        reach = frozenset([*item.get("target", ()), *item.get("customEnvironmentIds", ())])
        self._accept(item, reach)
        if not reach <= {*SYSTEM, *project.custom}:
            raise Refused(400, "BAD_REQUEST", "no such environment", key=item["key"])
        wanted = Variable(
            "", item["key"], item["value"], item["type"], reach, project.id, project.team, 0, 0,
            branch=item.get("gitBranch"),
        )  # fmt: skip
        clash = next((each for each in self.fake.variables.values() if each.overlaps(wanted)), None)
        if clash is None:
            kind = self._kind(item["type"], reach)
            return self.fake.add(
                project.id, item["key"], item["value"], *reach,
                type=kind, branch=wanted.branch, configuration=self._installation,
            )  # fmt: skip
        # Only a record of exactly the same environments is updated; its type stays as it is.
        if clash.reach != reach or self.request.param("upsert") != "true" or self._is_foreign(clash):
            raise Refused(
                400, "ENV_CONFLICT", f"{item['value']} on branch undefined", envVarKey=item["key"],
                value=item["value"],
            )  # fmt: skip
        clash.value, clash.updated = item["value"], self.fake._tick()
        return clash

    def _accept(self, item: Mapping[str, Any], reach: frozenset[str]) -> None:
        """Refuse what Vercel does not take, naming the key in one of the two ways and quoting the value."""
        key, value = item["key"], item["value"]
        named = {"key": key, "value": value}
        if key in self.fake.refused or key == "TZ":
            raise Refused(400, "RESERVED_ENV_VARIABLE", f"{key}={value} is reserved", **named)
        if not re.fullmatch(r"\w{1,256}", key):
            raise Refused(400, "KEY_INVALID_CHARACTERS", **named)
        if item.get("type") == "sensitive" and ("development" in reach or key.startswith(PUBLIC_PREFIXES)):
            raise Refused(400, "VALUE_INVALID_TYPE", **named)

    def _kind(self, asked: str, reach: frozenset[str]) -> str:
        forced = self.fake.policy_sensitive and "development" not in reach
        return "sensitive" if forced else asked

    def edit_variable(self, name: str, id_: str) -> tuple[int, Any]:
        variable = self._variable(id_, project=self._project(name).id)
        body = self.request.json
        if self._is_foreign(variable):
            raise Refused(403, "forbidden", "managed by an integration")
        if "key" in body and variable.type == "sensitive":
            raise Refused(400, "BAD_REQUEST", "a sensitive variable cannot be renamed")
        custom = variable.reach - set(SYSTEM)
        system = variable.reach & set(SYSTEM)
        reach = frozenset([*body.get("target", system), *body.get("customEnvironmentIds", custom)])
        self._change(variable, body.get("value", variable.value), reach)
        return 200, _shown(variable, reads=False)

    def _change(self, variable: Variable, value: str, reach: frozenset[str]) -> None:
        if not reach:
            raise Refused(400, "BAD_REQUEST", "a variable needs an environment")
        changed = replace(variable, reach=reach)
        if any(each.overlaps(changed) for each in self.fake.variables.values() if each is not variable):
            raise Refused(400, "ENV_CONFLICT", envVarId=variable.id, envVarKey=variable.key)
        variable.value, variable.reach, variable.updated = value, reach, self.fake._tick()

    def delete_variables(self, name: str) -> tuple[int, Any]:
        project = self._project(name)
        ids = self.request.json["ids"]
        mine = [each for each in map(self.fake.variables.get, ids) if each and each.project == project.id]
        gone = [each.id for each in mine if not self._is_foreign(each) and each.key not in self.fake.refused]
        for id_ in gone:
            del self.fake.variables[id_]
        return 200, {"deleted": len(gone), "ids": gone}

    def _variable(self, id_: str, **owner: str | None) -> Variable:
        variable = self.fake.variables.get(id_)
        if variable is None or any(getattr(variable, name) != value for name, value in owner.items()):
            raise Refused(404, "not_found", "The environment variable was not found.")
        return variable

    def _read(self, variable: Variable) -> tuple[int, Any]:
        if self.fake.challenges:
            raise Refused(403, "challenge_required", "Log in again.")
        return 200, _shown(variable, reads=True)

    # --- a team's shared variables ---------------------------------------------------------------------

    def list_shared(self) -> tuple[int, Any]:
        shown = [_shown_shared(each, reads=False) for each in self._shared()]
        return 200, self._page("data", shown, "until")

    def read_shared(self, id_: str) -> tuple[int, Any]:
        found = self._variable(id_, project=None, team=self.team)
        status, _ = self._read(found)
        return status, _shown_shared(found, reads=True)

    def create_shared(self) -> tuple[int, Any]:
        body = self.request.json
        if len(body["evs"]) > 50:
            raise Refused(400, "TOO_MANY_KEYS")
        reach = frozenset(body.get("target", ()))
        reach |= {ALL_CUSTOM} if body.get("applyToAllCustomEnvironments") else set()
        created, failed = [], []
        for item in body["evs"]:
            try:
                created.append(self._share({**item, "type": body.get("type", "encrypted")}, reach))
            except Refused as error:
                failed.append({"error": error.error})
        if failed and not created:
            if any(each["error"]["code"] == "existing_key_and_target" for each in failed):
                raise Refused(409, "existing_key_and_target")
            raise Refused(400, "BAD_REQUEST", failed=failed)
        return 201, {"created": [_shown_shared(each, reads=False) for each in created], "failed": failed}

    def _share(self, item: Mapping[str, Any], reach: frozenset[str]) -> Variable:
        self._accept(item, reach)
        wanted = Variable("", item["key"], "", "", reach, None, self.team, 0, 0)
        if any(each.overlaps(wanted) for each in self._shared()):
            raise Refused(409, "existing_key_and_target", key=item["key"])
        projects = self.request.json.get("projectId", [])
        kind = self._kind(item["type"], reach)
        return self.fake.add(
            self.team or "", item["key"], item["value"], *reach, type=kind, projects=projects
        )

    def edit_shared(self) -> tuple[int, Any]:
        updated, failed = [], []
        for id_, change in self.request.json["updates"].items():
            try:
                updated.append(_shown_shared(self._edit_shared(id_, change), reads=False))
            except Refused as error:
                failed.append({"error": error.error})
        return 200, {"updated": updated, "failed": failed}

    def _edit_shared(self, id_: str, change: Mapping[str, Any]) -> Variable:
        variable = self._variable(id_, project=None, team=self.team)
        if variable.key in self.fake.refused:
            raise Refused(400, "RESERVED_ENV_VARIABLE", str(change), envVarId=id_)
        system = frozenset(change.get("target", variable.reach & set(SYSTEM)))
        everywhere = change.get("applyToAllCustomEnvironments", ALL_CUSTOM in variable.reach)
        reach = system | ({ALL_CUSTOM} if everywhere else set())
        self._change(variable, change.get("value", variable.value), reach)
        return variable

    def delete_shared(self) -> tuple[int, Any]:
        ids = self.request.json["ids"]
        if len(ids) > 50:
            raise Refused(400, "TOO_MANY_IDS")
        mine = {each.id for each in self._shared() if each.key not in self.fake.refused}
        gone = [id_ for id_ in ids if id_ in mine]
        for id_ in gone:
            del self.fake.variables[id_]
        missing = [{"code": "not_found", "message": "", "envVarId": id_} for id_ in ids if id_ not in mine]
        return 200, {"deleted": gone, "failed": [{"error": error} for error in missing]}

    def _shared(self) -> list[Variable]:
        if self.team is None:
            raise Refused(400, "bad_request", "a team is needed")
        return [each for each in self.fake.variables.values() if not each.project and each.team == self.team]


def _token(request: Request) -> str:
    return request.headers.get("authorization", "").removeprefix("Bearer ")


def _shown(variable: Variable, *, reads: bool) -> dict[str, Any]:
    """Show a project's variable. Only a single read shows an encrypted value, the rest is ciphertext."""
    system = [each for each in SYSTEM if each in variable.reach]
    return {
        **_value(variable, reads=reads),
        "id": variable.id,
        "key": variable.key,
        "type": variable.type,
        # One environment alone may come as a bare string.
        "target": system[0] if system == ["preview"] else system,
        "customEnvironmentIds": sorted(variable.reach - set(SYSTEM)),
        **({"gitBranch": variable.branch} if variable.branch else {}),
        "configurationId": variable.configuration,
        "createdAt": variable.created,
        "updatedAt": variable.updated,
    }


def _shown_shared(variable: Variable, *, reads: bool) -> dict[str, Any]:
    shown = _shown(variable, reads=reads)
    del shown["customEnvironmentIds"], shown["configurationId"]
    return {
        **shown,
        "target": [each for each in SYSTEM if each in variable.reach],
        "applyToAllCustomEnvironments": ALL_CUSTOM in variable.reach,
        "projectId": variable.projects,
        "ownerId": variable.team,
    }


def _value(variable: Variable, *, reads: bool) -> dict[str, Any]:
    match variable.type:
        case "sensitive":
            return {"decrypted": False} if reads else {"value": "", "decrypted": False}
        case "encrypted" if not reads:
            return {"value": f"eyJ2IjoidjIi{variable.updated:x}", "decrypted": False}
        case _:
            return {"value": variable.value, "decrypted": reads}


# --- the schema ----------------------------------------------------------------------------------------


def _declared(request: Request) -> Request:
    """Return *request* without what Vercel takes although its schema does not declare it."""
    query = tuple(each for each in request.query if (request.method, each[0]) not in UNDECLARED_QUERY)
    body = request.body
    if request.path == "/v1/env" and UNDECLARED_BODY.encode() in body:
        body = json.dumps(_without(request.json)).encode()
    return replace(request, query=query, body=body)


def _without(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    return {name: _without(value) for name, value in node.items() if name != UNDECLARED_BODY}


def _newer_violations(request: Request) -> list[str]:
    for method, pattern, operation in NEWER:
        if method == request.method and re.fullmatch(pattern, request.path) and operation in newer():
            errors = Draft7Validator(newer()[operation]["requestBody"]).iter_errors(request.json)
            return [f"{operation}: body{error.json_path[1:]}: {error.message[:200]}" for error in errors]
    return []


if __name__ == "__main__":
    main(FakeVercel.with_demo(), setting="KEYTIDE_VERCEL_API_URL")
