"""An emulator of Netlify's environment variables, its oddities included.

By hand: ``python -m tests.fakes.netlify --port 9001``.
"""

import copy
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from tests.fakes.contracts import OpenApi
from tests.fakes.oauth import FakeOAuth
from tests.fakes.service import FakeService, Places, Request, Response, main

BASE = "/api/v1"
TEAM_WIDE = "team"
PER_MINUTE = 500
CONTEXTS = ("all", "dev", "dev-server", "branch-deploy", "deploy-preview", "production", "branch")
SCOPES = ("builds", "functions", "runtime", "post_processing")
SECRET_SCOPES = SCOPES[:3]

#: Whose variables they are: account id, and site id or ``TEAM_WIDE``.
Owner = tuple[str, str]
#: A variable as the service keeps it: the wire's object with every value in plain.
Stored = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Team:
    """A team. A ``free`` one may not choose scopes."""

    id: str
    slug: str
    name: str
    free: bool = True


@dataclass(frozen=True, slots=True)
class Site:
    """A site. One without a repository builds nothing by itself."""

    id: str
    name: str
    account_id: str
    repo_url: str | None = None


@dataclass(frozen=True, slots=True)
class PlainText(Response):
    """An answer that is no JSON."""

    @property
    def content(self) -> bytes:
        return str(self.body).encode()


class Refused(Exception):
    """Netlify answers with that status and message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class FakeNetlify(FakeService):
    """Netlify's API, emulated. A place is ``<account id>/<site id or team>/<context>[:<branch>]``."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        super().__init__(now)
        self.teams: dict[str, Team] = {}
        self.sites: dict[str, Site] = {}
        self.variables: dict[Owner, dict[str, Stored]] = {}
        #: Users by token.
        self.tokens: dict[str, str] = {}
        #: Builds started, by site and branch.
        self.builds: Counter[tuple[str, str | None]] = Counter()
        self.budget = PER_MINUTE
        self.page_size = 100
        self._places: set[str] = set()
        self._ids = 0
        self._stamped = 0.0
        self._schema = OpenApi.load("netlify.swagger.json.gz", base=BASE)
        self.checks_schema = self._schema is not None
        self.oauth = FakeOAuth(
            lambda token: self.tokens.update({token: "user-1"}),
            lambda token: self.tokens.pop(token, None),
            page="/authorize",
            exchange_path="/oauth/token",
        )

    @classmethod
    def with_demo(cls, now: Callable[[], float] = time.time) -> "FakeNetlify":
        """Return an emulator with a team, a linked site, one that is not, and a token."""
        fake = cls(now)
        fake.tokens["demo-access-token"] = "user-1"
        fake.add_team(Team("acc-1", "demo-team", "Demo team"))
        fake.add_site(Site("site-shop", "shop", "acc-1", "https://github.com/demo/shop"))
        fake.add_site(Site("site-blog", "blog", "acc-1"))
        return fake

    def add_team(self, team: Team) -> None:
        self.teams[team.id] = team
        self._add_owner((team.id, TEAM_WIDE))

    def add_site(self, site: Site) -> None:
        self.sites[site.id] = site
        self._add_owner((site.account_id, site.id))

    def _add_owner(self, owner: Owner) -> None:
        self.variables[owner] = {}
        contexts = [*CONTEXTS[:-1], "branch:staging"]
        self._places.update("/".join((*owner, context)) for context in contexts)

    # --- what the base asks for ------------------------------------------------------------------------

    def places(self) -> Places:
        held: dict[str, dict[str, str]] = {place: {} for place in sorted(self._places)}
        for owner, variables in self.variables.items():
            for key, variable in variables.items():
                for value in variable["values"]:
                    held.setdefault("/".join((*owner, _label(value))), {})[key] = value["value"]
        return held

    def seed(self, place: str, variables: Mapping[str, str]) -> None:
        self.put(place, variables)

    def put(self, place: str, variables: Mapping[str, str], *, is_secret: bool = False) -> None:
        """Put *variables* into *place* as a person does. What exists stays the secret it is, or is not."""
        account, site, label = place.split("/", 2)
        context, _, branch = label.partition(":")
        for key, text in variables.items():
            stored = self.variables[account, site].setdefault(key, _new(key, is_secret=is_secret))
            self._set_value(stored, {"context": context, "context_parameter": branch, "value": text})
            self._touch(stored, "user-2")

    def rest(self, place: str) -> dict[Owner, dict[str, Stored]]:
        """Return a copy of all that is kept outside *place*: values with their ids, scopes, secrecy."""
        account, site, label = place.split("/", 2)
        kept = copy.deepcopy(self.variables)
        for owner, variables in kept.items():
            for stored in variables.values():
                if owner == (account, site):
                    stored["values"] = [value for value in stored["values"] if _label(value) != label]
                    del stored["updated_at"], stored["updated_by"]
            kept[owner] = {key: stored for key, stored in variables.items() if stored["values"]}
        return kept

    def demo(self) -> Mapping[str, str]:
        return {"token": "demo-access-token", "accountId": "acc-1", "siteId": "site-shop"}

    def check(self, request: Request) -> list[str]:
        if self._schema is None or self.oauth.serves(request):
            return []
        return self._schema.violations(request)

    def refusal(self, status: int, request: Request) -> Response:
        message = f"refused, you sent {request.body.decode()} {dict(request.headers)}"
        return Response(status, {"code": status, "message": message}, self._headers(spent=status == 429))

    def answer(self, request: Request) -> Response:
        if self.oauth.serves(request):
            return self.oauth.answer(request)
        self.budget = max(0, self.budget - 1)
        if self.tokens.get(_token(request)) is None:
            return Response(401, {"code": 401, "message": "Access Denied"}, self._headers())
        for method, pattern, action in ROUTES:
            found = re.fullmatch(BASE + pattern, request.path)
            if found and method == request.method:
                return self._carry_out(action, request, [unquote(part) for part in found.groups()])
        # Not every 404 is JSON.
        return PlainText(404, "Not Found", {"Content-Type": "text/plain"})

    def _carry_out(self, action: str, request: Request, parts: Sequence[str]) -> Response:
        try:
            status, body, headers = getattr(_Call(self, request), action)(*parts)
        except Refused as refused:
            # Some errors carry msg in place of message.
            body = {"code": refused.status, "msg" if refused.status == 422 else "message": str(refused)}
            return Response(refused.status, body, self._headers())
        return Response(status, body, {**self._headers(), **headers})

    def _headers(self, *, spent: bool = False) -> dict[str, str]:
        return {
            "X-RateLimit-Limit": str(PER_MINUTE),
            "X-RateLimit-Remaining": "0" if spent else str(self.budget),
            "X-RateLimit-Reset": str(int(self.now()) + 60),
            "X-Request-Id": "request-1",
        }

    # --- the state -------------------------------------------------------------------------------------

    def create(self, owner: Owner, wanted: Mapping[str, Any], user: str) -> Stored:
        stored = _new(wanted["key"], is_secret=wanted.get("is_secret", False))
        stored["scopes"] = list(wanted.get("scopes") or SCOPES)
        for value in wanted["values"]:
            self._set_value(stored, value)
        self.variables[owner][wanted["key"]] = stored
        self._touch(stored, user)
        return stored

    def patch(self, stored: Stored, value: Mapping[str, Any], user: str) -> None:
        self._set_value(stored, value)
        self._touch(stored, user)

    def drop_value(self, owner: Owner, key: str, value_id: str, user: str) -> bool:
        stored = self.variables[owner][key]
        left = [value for value in stored["values"] if value["id"] != value_id]
        found = len(left) < len(stored["values"])
        stored["values"] = left
        self._touch(stored, user)
        return found

    def _set_value(self, stored: Stored, wanted: Mapping[str, Any]) -> None:
        value = {"value": wanted["value"], "context": wanted["context"]}
        if wanted.get("context_parameter"):
            value["context_parameter"] = wanted["context_parameter"]
        for existing in stored["values"]:
            if _label(existing) == _label(value):
                existing["value"] = value["value"]
                return
        self._ids += 1
        stored["values"].append({"id": f"value-{self._ids}", **value})

    def _touch(self, stored: Stored, user: str) -> None:
        # Two writes never share a moment here, however coarse the clock.
        self._stamped = max(self.now(), self._stamped + 0.001)
        moment = datetime.fromtimestamp(self._stamped, UTC).isoformat(timespec="milliseconds")
        stored["updated_at"] = moment.replace("+00:00", "Z")
        stored["updated_by"] = {"id": user, "full_name": f"Name of {user}", "email": f"{user}@example.test"}


#: What the emulator answers, first match first.
ROUTES = (
    ("GET", r"/user", "user"),
    ("GET", r"/accounts", "accounts"),
    ("GET", r"/sites", "all_sites"),
    ("GET", r"/([^/]+)/sites", "sites_of_team"),
    ("POST", r"/sites/([^/]+)/builds", "build"),
    ("GET", r"/accounts/([^/]+)/env", "list_variables"),
    ("POST", r"/accounts/([^/]+)/env", "create_variables"),
    ("GET", r"/accounts/([^/]+)/env/([^/]+)", "get_variable"),
    ("PUT", r"/accounts/([^/]+)/env/([^/]+)", "replace_variable"),
    ("PATCH", r"/accounts/([^/]+)/env/([^/]+)", "set_value"),
    ("DELETE", r"/accounts/([^/]+)/env/([^/]+)", "delete_variable"),
    ("DELETE", r"/accounts/([^/]+)/env/([^/]+)/value/([^/]+)", "delete_value"),
)

Answer = tuple[int, Any, dict[str, str]]


@dataclass(frozen=True)
class _Call:
    """One request, carried out. The methods are named in ``ROUTES``."""

    fake: FakeNetlify
    request: Request

    # --- who and where ---------------------------------------------------------------------------------

    def user(self) -> Answer:
        return 200, {"id": self._user, "email": "demo@example.test", "full_name": "Demo person"}, {}

    def accounts(self) -> Answer:
        teams = self.fake.teams.values()
        return 200, [{"id": team.id, "slug": team.slug, "name": team.name} for team in teams], {}

    def all_sites(self) -> Answer:
        return self._page([self._site(site) for site in self.fake.sites.values()])

    def sites_of_team(self, slug: str) -> Answer:
        # Unlike the calls for variables, this one knows no ids.
        team = next((team for team in self.fake.teams.values() if team.slug == slug), None)
        if team is None:
            raise Refused(404, "Not Found")
        return self._page(
            [self._site(each) for each in self.fake.sites.values() if each.account_id == team.id]
        )

    def build(self, site_id: str) -> Answer:
        site = self.fake.sites.get(site_id)
        if site is None:
            raise Refused(404, "Not Found")
        if site.repo_url is None:
            raise Refused(422, "This site is not linked to a repository")
        self.fake.builds[site_id, self.request.param("branch")] += 1
        return 200, {"id": "build-1", "deploy_id": "deploy-1", "done": False}, {}

    def _site(self, site: Site) -> dict[str, Any]:
        team = self.fake.teams[site.account_id]
        return {
            "id": site.id,
            "name": site.name,
            "account_id": team.id,
            "account_slug": team.slug,
            "account_name": team.name,
            "build_settings": {"repo_url": site.repo_url} if site.repo_url else {},
        }

    def _page(self, items: list[Any]) -> Answer:
        page = int(self.request.param("page") or 1)
        size = min(int(self.request.param("per_page") or 100), self.fake.page_size)
        shown = items[(page - 1) * size : page * size]
        here = f"<https://api.netlify.com{self.request.path}?page="
        links = [f'{here}{page - 1}>; rel="prev"'] if page > 1 else []
        links += [f'{here}{page + 1}>; rel="next"'] if page * size < len(items) else []
        return 200, shown, {"Link": ", ".join(links)} if links else {}

    # --- variables -------------------------------------------------------------------------------------

    def list_variables(self, account: str) -> Answer:
        return 200, [_shown(stored) for stored in self.fake.variables[self._owner(account)].values()], {}

    def get_variable(self, account: str, key: str) -> Answer:
        return 200, _shown(self._stored(account, key)), {}

    def create_variables(self, account: str) -> Answer:
        owner, wanted = self._owner(account), self.request.json
        if not isinstance(wanted, list):
            raise Refused(422, "The body is an array")
        for each in wanted:
            self._check(owner, each["key"], each)
            if each["key"] in self.fake.variables[owner]:
                raise Refused(422, "A variable of that key exists")
        return 201, [_shown(self.fake.create(owner, each, self._user)) for each in wanted], {}

    def replace_variable(self, account: str, key: str) -> Answer:
        self._stored(account, key)
        owner, wanted = self._owner(account), self.request.json
        self._check(owner, key, wanted)
        # Contexts that are not sent are gone, and another key in the body renames.
        del self.fake.variables[owner][key]
        return 200, _shown(self.fake.create(owner, {"key": key, **wanted}, self._user)), {}

    def set_value(self, account: str, key: str) -> Answer:
        stored, wanted = self._stored(account, key), self.request.json
        self._check(self._owner(account), key, {"values": [wanted]})
        if stored["is_secret"] and wanted["context"] == "all":
            raise Refused(422, "A secret has no value for all contexts")
        self.fake.patch(stored, wanted, self._user)
        return 201, _shown(stored), {}

    def delete_variable(self, account: str, key: str) -> Answer:
        self._stored(account, key)
        del self.fake.variables[self._owner(account)][key]
        return 204, None, {}

    def delete_value(self, account: str, key: str, value_id: str) -> Answer:
        self._stored(account, key)
        if not self.fake.drop_value(self._owner(account), key, value_id, self._user):
            raise Refused(404, "Not Found")
        return 204, None, {}

    @property
    def _user(self) -> str:
        return self.fake.tokens[_token(self.request)]

    def _owner(self, account: str) -> Owner:
        """Return whose variables the call means: without ``site_id``, those of the whole team."""
        team = next((each for each in self.fake.teams.values() if account in (each.id, each.slug)), None)
        if team is None:
            raise Refused(404, "Not Found")
        owner = (team.id, self.request.param("site_id") or TEAM_WIDE)
        if owner not in self.fake.variables:
            raise Refused(404, "Not Found")
        return owner

    def _stored(self, account: str, key: str) -> Stored:
        stored = self.fake.variables[self._owner(account)].get(key)
        if stored is None:
            raise Refused(404, "Not Found")
        return stored

    def _check(self, owner: Owner, key: str, wanted: Mapping[str, Any]) -> None:
        if key in self.fake.refused:
            raise Refused(422, f"Refused, you sent {json.dumps(wanted)}")
        for value in wanted["values"]:
            if value["context"] not in CONTEXTS or ("context_parameter" in value) != (
                value["context"] == "branch"
            ):
                raise Refused(422, "No such context")
        self._check_scopes(owner, wanted)

    def _check_scopes(self, owner: Owner, wanted: Mapping[str, Any]) -> None:
        scopes = wanted.get("scopes")
        if wanted.get("is_secret"):
            # A secret cannot have all scopes, and so may name the three others on every plan.
            if scopes is None or set(scopes) - set(SECRET_SCOPES):
                raise Refused(422, "A secret is not for post-processing")
            if {value["context"] for value in wanted["values"]} & {"all", "dev"}:
                raise Refused(422, "A secret has no value for all contexts or dev")
        elif scopes is not None and self.fake.teams[owner[0]].free:
            raise Refused(403, "Upgrade your Netlify account to set specific scopes")


def _token(request: Request) -> str:
    return request.headers.get("authorization", "").removeprefix("Bearer ")


def _new(key: str, *, is_secret: bool) -> Stored:
    return {
        "key": key,
        "scopes": list(SECRET_SCOPES if is_secret else SCOPES),
        "values": [],
        "is_secret": is_secret,
    }


def _label(value: Mapping[str, Any]) -> str:
    branch = value.get("context_parameter")
    return f"{value['context']}:{branch}" if branch else str(value["context"])


def _shown(stored: Stored) -> Stored:
    """Return *stored* as the API shows it: the values of a secret are blank, except in dev."""
    shown = copy.deepcopy(stored)
    for value in shown["values"]:
        if shown["is_secret"] and value["context"] != "dev":
            value["value"] = ""
    return shown


if __name__ == "__main__":
    main(FakeNetlify.with_demo(), setting="KEYTIDE_NETLIFY_API_URL")
