"""Netlify: the variables of one deploy context, of a site or shared by a team. REST, v1.

Facts and their sources: ``docs/providers/netlify.md``.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Annotated, Any, ClassVar, Literal, Self
from urllib.parse import quote

from pydantic import AfterValidator, Field, SecretStr, StringConstraints, model_validator

from shared.errors import DestinationNotFound, RequestRejected
from shared.plan import Change, Delete, Desired, Remote
from shared.providers.base import (
    Access,
    Account,
    Credentials,
    Destination,
    DestinationConfig,
    Named,
    OAuth,
    OAuthCredentials,
    Project,
    Provider,
    Pulled,
    Pushed,
)
from shared.providers.http import Api, maps_in, text_in, unexpected

TITLE = "Netlify"
#: Names with this prefix are Netlify's own, or steer it.
RESERVED = "NETLIFY_"
#: Names that every build sets itself: https://docs.netlify.com/build/configure-builds/environment-variables
SET_BY_BUILDS = frozenset(
    {
        "BRANCH",
        "BUILD_ID",
        "CACHED_COMMIT_REF",
        "COMMIT_REF",
        "CONTEXT",
        "DEPLOY_ID",
        "DEPLOY_PRIME_URL",
        "DEPLOY_URL",
        "HEAD",
        "INCOMING_HOOK_BODY",
        "INCOMING_HOOK_TITLE",
        "INCOMING_HOOK_URL",
        "NETLIFY",
        "PULL_REQUEST",
        "REPOSITORY_URL",
        "REVIEW_ID",
        "SITE_ID",
        "SITE_NAME",
        "URL",
    }
)

#: A secret in these contexts would be readable, or is refused by Netlify.
WITHOUT_SECRETS = frozenset({"all", "dev"})
#: A secret may not be used in post-processing, so it cannot have every scope.
SECRET_SCOPES = ("builds", "functions", "runtime")
#: Contexts of the builds that we can start. Deploy previews wait for their pull request, dev runs elsewhere.
BUILT_ON_DEMAND = frozenset({"all", "production", "branch"})

READABLE = (
    "Netlify holds this key as a readable variable and the sync asks for a secret: make it a secret there, "
    "or remove it"
)
UNCONFIRMED = "Netlify did not confirm it"
CHANGED_MEANWHILE = "somebody changed this variable at the same moment: run the sync again"
NOT_LINKED = (
    "Netlify did not start a build ({status}). It builds only sites that are linked to a repository: deploy "
    "this site yourself, or switch redeploying off for this sync."
)


def _no_domain(site: str) -> str:
    # Netlify takes a site's domain for its id, and then one site would have several names.
    if "." in site:
        raise ValueError("give the site's id, not its domain")
    return site


Id = Annotated[str, StringConstraints(min_length=1, max_length=255)]
SiteId = Annotated[Id, AfterValidator(_no_domain)]
Label = Annotated[str, StringConstraints(max_length=255)]
Context = Literal["all", "deploy-preview", "production", "branch-deploy", "dev", "branch"]
Entry = Mapping[str, Any]


class NetlifyConfig(DestinationConfig):
    """A deploy context of a site, or without ``siteId`` of the variables that a team's sites share."""

    # Whether a value is kept as a secret makes no other place.
    labels = frozenset({"account_name", "site_name", "is_secret"})

    account_id: Id
    account_name: Label = ""
    site_id: SiteId | None = None
    site_name: Label | None = None
    context: Context = "all"
    context_parameter: Id | None = None
    is_secret: bool = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.context == "branch") != (self.context_parameter is not None):
            raise ValueError("contextParameter names the branch of context branch: both, or neither")
        if self.is_secret and self.context in WITHOUT_SECRETS:
            raise ValueError(f"isSecret needs another context: Netlify keeps no secrets in {self.context}")
        return self

    def identity(self) -> str:
        # A site belongs to one account, and that has two names: its id and its slug.
        named = self if self.site_id is None else self.model_copy(update={"account_id": ""})
        return DestinationConfig.identity(named)


class NetlifyToken(Credentials):
    """A personal access token."""

    access_token: Annotated[SecretStr, Field(min_length=1, max_length=255)]


def error_code(body: Any) -> str | None:
    """Return Netlify's own error code, None where it only repeats the HTTP status."""
    code = body.get("code") if isinstance(body, dict) else None
    return str(code) if type(code) is int and not 100 <= code < 600 else None


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable as one deploy context sees it. ``value_id`` is None if it has no value there."""

    is_secret: bool
    value_id: str | None = None
    value: SecretStr | None = None
    has_other_values: bool = False
    stamp: str | None = None

    @classmethod
    def seen_from(cls, config: NetlifyConfig, entry: Entry) -> Self:
        """Return what *entry* of Netlify's list is in the context of *config*."""
        is_secret = bool(entry.get("is_secret"))
        values = maps_in(entry.get("values"), TITLE)
        ours = next((value for value in values if _is_for(config, value)), None)
        if ours is None:
            return cls(is_secret, has_other_values=bool(values))
        return cls(
            is_secret,
            value_id=text_in(ours, "id", TITLE),
            value=_shown(config, entry, ours),
            has_other_values=len(values) > 1,
            stamp=_stamp(entry, ours),
        )


def _shown(config: NetlifyConfig, entry: Entry, ours: Entry) -> SecretStr | None:
    # Netlify shows the value of a secret as an empty string, except in the context for local work. Where it
    # does not say what is a secret, an empty string may be one.
    value, is_secret = ours.get("value"), entry.get("is_secret")
    if value is None or (config.context != "dev" and (is_secret or (is_secret is None and not value))):
        return None
    if not isinstance(value, str):
        raise unexpected(TITLE)
    return SecretStr(value)


def _is_for(config: NetlifyConfig, value: Entry) -> bool:
    parameter = value.get("context_parameter") or None
    return value.get("context") == config.context and parameter == config.context_parameter


def _stamp(entry: Entry, ours: Entry) -> str | None:
    if len(entry["values"]) == 1:
        return entry.get("updated_at")
    # The moment belongs to the whole variable. Two syncs, each with its own context of one secret, would take
    # each other's writes for an edit and repair them for ever. Who wrote last does not move with ours.
    who = entry.get("updated_by")
    return f"{ours['id']} by {who.get('id') if isinstance(who, dict) else None}"


class NetlifyDestination(Destination):
    """The variables of one deploy context."""

    def __init__(self, api: Api, config: NetlifyConfig) -> None:
        self._api = api
        self._config = config
        self._path = f"/api/v1/accounts/{_part(config.account_id)}/env"
        # Without a site every call would mean the variables of the whole team.
        self._site = {"site_id": config.site_id}
        self._variables: dict[str, Variable] | None = None  # None: not listed yet

    def pull(self) -> Pulled:
        # A key with values for other contexts only, "all" among them, is absent here: giving it a value here
        # and taking that away again leaves theirs as they are.
        return Pulled(
            {
                key: Remote(key, variable.value, variable.stamp, sealed=variable.value is None)
                for key, variable in self._list().items()
                if variable.value_id is not None and self.refuses(key) is None
            }
        )

    def push(self, batch: Sequence[Change]) -> Pushed:
        stamps = self._create_together(batch)
        refused: dict[str, str] = {}
        for change in batch:
            if change.key in stamps:
                continue
            try:
                stamps[change.key] = self._apply(change)
            except RequestRejected as error:
                refused[change.key] = error.message
        return Pushed(stamps, refused)

    def refuses(self, key: str) -> str | None:
        if key.startswith(RESERVED):
            return f"names with {RESERVED} are Netlify's own"
        if key in SET_BY_BUILDS:
            return "Netlify's builds set this name themselves"
        return None

    def redeploy(self) -> None:
        """Start one build. Nothing happens for shared variables, or where no build would use the values."""
        if self._config.site_id is None or self._config.context not in BUILT_ON_DEMAND:
            return
        path = f"/api/v1/sites/{_part(self._config.site_id)}/builds"
        try:
            self._api.call("POST", path, params={"branch": self._config.context_parameter})
        except (RequestRejected, DestinationNotFound) as error:
            raise RequestRejected(
                NOT_LINKED.format(status=error.status),
                provider=error.provider,
                status=error.status,
                code=error.code,
            ) from None

    def _create_together(self, batch: Sequence[Change]) -> dict[str, str | None]:
        """Create, with one call, what Netlify holds for no context yet. Returns the stamps of what was.

        Netlify takes all keys of that call or none, so one bad key would hold back the others. When it
        refuses, nothing is created here and the caller goes on key by key, which names the bad ones.
        """
        known = self._known()
        new = [each.desired for each in batch if not isinstance(each, Delete) and each.key not in known]
        if not new:
            return {}
        try:
            return self._post(new)
        except RequestRejected:
            # Some may exist by now: created by somebody, or by a call of ours whose answer got lost.
            self._list()
            return {}

    def _apply(self, change: Change) -> str | None:
        if isinstance(change, Delete):
            self._delete(change.key)
            return None
        return self._put(change.desired)

    def _put(self, desired: Desired) -> str | None:
        """Give a key its value in our context, and return the stamp."""
        known = self._known().get(desired.key)
        if known is None:
            return self._post([desired])[desired.key]
        if self._config.is_secret and not known.is_secret:
            raise RequestRejected(READABLE, provider=self._api.title)
        path = f"{self._path}/{_part(desired.key)}"
        try:
            entry = self._api.call("PATCH", path, params=self._site, json=self._value(desired))
        except DestinationNotFound:
            # A key that is gone and an account that is closed read alike; creating it tells which.
            return self._post([desired])[desired.key]
        return self._note([entry], [desired])[desired.key]

    def _post(self, new: Sequence[Desired]) -> dict[str, str | None]:
        """Create variables that Netlify does not hold for any context, and return their stamps."""
        # Naming scopes takes a paid plan, leaving them out means all. A secret cannot have all of them, and
        # may name the others on every plan: https://github.com/netlify/terraform-provider-netlify/issues/57
        kind: dict[str, Any] = {"is_secret": self._config.is_secret}
        if self._config.is_secret:
            kind["scopes"] = SECRET_SCOPES
        body = [{"key": each.key, "values": [self._value(each)], **kind} for each in new]
        return self._note(self._api.call("POST", self._path, params=self._site, json=body), new)

    def _delete(self, key: str) -> None:
        """Take away our context's value, and the variable with it if there is no other."""
        known = self._known().get(key)
        if known is None or known.value_id is None:
            return
        path = f"{self._path}/{_part(key)}"
        if known.has_other_values:
            path += f"/value/{_part(known.value_id)}"
        answer = self._api.send("DELETE", path, params=self._site)
        if answer.status == 404:
            # A value that is gone, one that was replaced meanwhile and an account that is closed read alike.
            self._ensure_gone(key, CHANGED_MEANWHILE)
            return
        self._api.raise_for_status(answer)
        if answer.status != 204:
            self._ensure_gone(key, UNCONFIRMED)

    def _ensure_gone(self, key: str, otherwise: str) -> None:
        found = self._list().get(key)
        if found is not None and found.value_id is not None:
            raise RequestRejected(otherwise, provider=self._api.title)

    def _value(self, desired: Desired) -> dict[str, str]:
        value = {"context": self._config.context, "value": desired.value.get_secret_value()}
        if self._config.context_parameter is not None:
            value["context_parameter"] = self._config.context_parameter
        return value

    def _known(self) -> dict[str, Variable]:
        return self._list() if self._variables is None else self._variables

    def _list(self) -> dict[str, Variable]:
        """Ask Netlify for every variable, whatever its contexts. The list is not paged."""
        self._variables = self._read(self._api.call("GET", self._path, params=self._site))
        return self._variables

    def _note(self, answer: Any, written: Sequence[Desired]) -> dict[str, str | None]:
        """Remember what Netlify answered to a write, and return the stamps by key.

        Raises ``RequestRejected`` unless the answer shows a value of ours for each key that was *written*.
        """
        now = self._read(answer)
        if any(each.key not in now or now[each.key].value_id is None for each in written):
            raise RequestRejected(UNCONFIRMED, provider=self._api.title)
        self._known().update(now)
        return {each.key: now[each.key].stamp for each in written}

    def _read(self, answer: Any) -> dict[str, Variable]:
        entries = maps_in(answer, TITLE)
        return {text_in(entry, "key", TITLE): Variable.seen_from(self._config, entry) for entry in entries}


class NetlifyProvider(Provider[NetlifyConfig]):
    """Netlify, reached with one token."""

    name = "netlify"
    title = TITLE
    methods: ClassVar[Mapping[str, type[Credentials]]] = {
        "access-token": NetlifyToken,
        "oauth": OAuthCredentials,
    }
    # Its tokens do not expire, and no call ends them: https://docs.netlify.com/api-and-cli-guides/api-guides/get-started-with-api
    oauth = OAuth(
        page="/authorize?client_id={client_id}&response_type=code&redirect_uri={redirect_uri}&state={state}",
        exchange_path="/oauth/token",
        exchange_extra={"grant_type": "authorization_code"},
    )
    config_type = NetlifyConfig
    reads_values = True
    can_redeploy = True

    def __init__(self, access: Access) -> None:
        super().__init__(access)
        token = access.credentials.access_token.get_secret_value()
        self._api = Api(self.title, access, {"Authorization": SecretStr(f"Bearer {token}")}, error_code)

    def whoami(self) -> Account:
        user = self._api.call("GET", "/api/v1/user")
        return Account(user["id"], user.get("full_name") or user["email"])

    def destination(self, config: NetlifyConfig) -> NetlifyDestination:
        return NetlifyDestination(self._api, config)

    def projects(self) -> list[Project]:
        return [_project(site) for site in self._pages("/api/v1/sites", filter="all")]

    def accounts(self) -> list[Named]:
        """Return the teams that these credentials can see."""
        return [_named(account) for account in self._accounts()]

    def sites(self, account_id: str) -> list[Named]:
        """Return the sites of a team."""
        # The other calls take a team's id as well, this one is documented with the slug only.
        slug = next((each["slug"] for each in self._accounts() if each["id"] == account_id), account_id)
        return [_named(site) for site in self._pages(f"/api/v1/{_part(slug)}/sites")]

    def _accounts(self) -> list[Entry]:
        return maps_in(self._api.call("GET", "/api/v1/accounts"), TITLE)

    def _pages(self, path: str, **params: str) -> Iterator[Entry]:
        for page in count(1):
            answer = self._api.send("GET", path, params={**params, "page": page, "per_page": 100})
            self._api.raise_for_status(answer)
            yield from maps_in(answer.body, TITLE)
            if 'rel="next"' not in answer.headers.get("link", ""):
                return


def _part(text: str) -> str:
    """Return *text* as one part of a path."""
    return quote(text, safe="")


def _named(entry: Entry) -> Named:
    return Named(entry["id"], entry["name"])


def _project(site: Entry) -> Project:
    return Project(
        id=site["id"],
        name=site["name"],
        linked_repo=_repository(site),
        team_id=site.get("account_id"),
        team_name=site.get("account_name"),
    )


def _repository(site: Entry) -> str | None:
    """Return the linked repository: ``owner/name`` at GitHub, the whole address elsewhere."""
    address = (site.get("build_settings") or {}).get("repo_url") or None
    return address and address.removeprefix("https://github.com/").removesuffix(".git")
