"""Vercel: the variables of one environment of a project, or a team's shared variables. REST.

Facts and their sources: ``docs/providers/vercel.md``.

Vercel keeps *records*: a name, one value, and every environment the value reaches. Two records of one name
may not reach the same environment. So a record that reaches further than our place cannot get another value
for our place alone: the new record is refused (ENV_CONFLICT) until the old one is narrowed, and no call does
both. Narrowed first, the key is absent for us in between; moved to our place with the new value first, it is
absent for the others, and lost to them if the second call never comes. Neither order keeps what we promise,
whether the value can be read or not. Such a record is therefore never written: if it holds the wanted value
already that is enough, otherwise the key is refused and a person separates the environments. Taking our
place away from it, which is how its key is deleted here, is one call and touches nobody else.
"""

import json
import re
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, Self, cast

from pydantic import (
    AfterValidator,
    Field,
    ModelWrapValidatorHandler,
    SecretStr,
    StringConstraints,
    model_validator,
)

from shared.errors import (
    AccessDenied,
    CredentialsRejected,
    DestinationNotFound,
    ProviderError,
    RateLimited,
    RequestRejected,
    Transient,
    Unavailable,
    UnexpectedAnswer,
)
from shared.plan import Change, Create, Delete, Remote, Update
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
from shared.providers.http import Api

SYSTEM_ENVIRONMENTS = ("production", "preview", "development")
#: Stands among a record's environments for "all custom environments, of today and later".
ALL_CUSTOM = "all custom environments"

#: https://vercel.com/docs/environment-variables/reserved-environment-variables
RESERVED = frozenset(
    [
        "AWS_SECRET_KEY",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "NOW_REGION",
        "TZ",
        "LAMBDA_TASK_ROOT",
        "LAMBDA_RUNTIME_DIR",
    ]
)
#: Names that Vercel itself provides, the second for the browser.
RESERVED_PREFIXES = ("VERCEL_", "NEXT_PUBLIC_VERCEL_")
MAX_VALUE = 65_536
#: How ids of projects begin, the second those of old projects. No name has a capital letter.
PROJECT_IDS = ("prj_", "Qm")

#: "sensitive" was called "secret" for a while, and "secret" is what answers may call it again.
HIDDEN_TYPES = frozenset({"sensitive", "secret"})

ONGOING = "envs_ongoing_update"
EXISTS = "existing_key_and_target"
INVALID_TOKEN = "invalid_token"  # noqa: S105 - a code, no password
#: What Vercel's codes mean where its status says something else. They come in upper and in lower case.
CODES: Mapping[str, type[ProviderError]] = {
    INVALID_TOKEN: CredentialsRejected,
    ONGOING: Unavailable,
    "rate_limited": RateLimited,
    "internal_server_error": Unavailable,
    # A session that has to prove itself again may not read this value; the token is not dead.
    "challenge_required": AccessDenied,
    "challenge_required_email_otp": AccessDenied,
    "user_auth_required": AccessDenied,
    # These come with 403.
    "env_already_exists": RequestRejected,
    "env_conflict": RequestRejected,
    EXISTS: RequestRejected,
}
UNCONFIRMED = "Vercel did not confirm it"
NOT_REMOVED = "Vercel did not remove it"


def _an_id(project: str) -> str:
    # Vercel takes a project's name for its id, and then one project would have two.
    if not project.startswith(PROJECT_IDS):
        raise ValueError("give the project's id, which begins with prj_, not its name")
    return project


Id = Annotated[str, StringConstraints(min_length=1, max_length=255)]
ProjectId = Annotated[Id, AfterValidator(_an_id)]
Label = Annotated[str, StringConstraints(max_length=255)]
Environment = Annotated[str, StringConstraints(pattern=r"^(production|preview|development|env_\w+)$")]
Branch = Annotated[str, StringConstraints(min_length=1, max_length=250)]
SystemEnvironment = Literal["production", "preview", "development"]


# --- where, and with what ------------------------------------------------------------------------------


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


# --- the API -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class VercelApi(Api):
    """Vercel's API as one team or person sees it."""

    team: str | None = None
    installation: str | None = None

    def record(self, item: Mapping[str, Any]) -> "Record":
        """Read a variable as Vercel shows it. What our own installation made is not somebody else's."""
        return Record.of(item, installation=self.installation)

    def get(self, path: str, **params: Any) -> Any:
        """Read *path*. Without a team Vercel looks in the personal account and finds no team's project."""
        return self.call("GET", path, params={"teamId": self.team, **params})

    def write(self, method: str, path: str, body: Any, **params: Any) -> Mapping[str, Any]:
        """Send *body*, whose items may be refused singly, and return the answer."""
        answer = self.send(method, path, params={"teamId": self.team, **params}, json=body)
        # Where not one item was taken, the same answer comes with 400.
        told = isinstance(answer.body, dict) and answer.body.get("failed")
        if not (answer.status == 400 and told):
            self.raise_for_status(answer)
        return answer.body if isinstance(answer.body, dict) else {}

    def pages(self, path: str, *, cursor: str, **params: Any) -> Iterator[Mapping[str, Any]]:
        """Yield every page of a list. ``cursor`` is the parameter that takes the next position."""
        position: Any = None
        while True:
            body = self.get(path, **params, **{cursor: position})
            if not isinstance(body, dict):
                raise UnexpectedAnswer("Vercel's list is not an object.", provider=self.title)
            yield body
            following = (body.get("pagination") or {}).get("next")
            if following is None:
                return
            if following == position:
                raise UnexpectedAnswer("Vercel's list does not end.", provider=self.title)
            position = following

    def failures(self, body: Mapping[str, Any]) -> "Failures":
        """Return why single items of *body* failed. Raises if one of them only has to be tried again."""
        found = {}
        for item in body.get("failed") or ():
            error = item["error"]
            code = str(error["code"])
            if issubclass(CODES.get(code.lower(), RequestRejected), Transient):
                raise self.error(None, code)
            names = {error.get(name) for name in ("key", "envVarKey", "envVarId")} - {None}
            # Only the code and the message are always there, and the message may quote the value.
            found.update(dict.fromkeys(names or {ANYBODY}, f"Vercel refused it ({code})"))
        return Failures(found)


ANYBODY = ""


@dataclass(frozen=True, slots=True)
class Failures:
    """Why items failed, by key or by record id, whichever Vercel named."""

    reasons: Mapping[str, str]

    def of(self, key: str, records: Sequence["Record"] = ()) -> str | None:
        """Return why *key* or one of its *records* failed, None if nothing is known against it."""
        return next((self.reasons[name] for name in (key, *_ids(records)) if name in self.reasons), None)

    def unnamed(self, otherwise: str) -> str:
        """Return the reason that Vercel gave without saying for which item."""
        return self.reasons.get(ANYBODY, otherwise)


def error_code(body: Any) -> str | None:
    """Return the code of an error body, and a code of our own where Vercel's tells too little."""
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return None
    if error.get("invalidToken") is True:
        return INVALID_TOKEN
    code, message = error.get("code"), error.get("message")
    # Declared without a code of its own: https://vercel.com/docs/rest-api (400 of createProjectEnv).
    if str(code).lower() == "bad_request" and "ongoing" in str(message):
        return ONGOING
    return code if isinstance(code, str) else None


# --- records -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Record:
    """A stored variable: one value, and every environment that it reaches.

    ``owner`` says who else it belongs to. ``value`` is None where the list does not show it; ``hidden`` ones
    no call shows.
    """

    id: str
    key: str
    reach: frozenset[str]
    branch: str | None
    projects: frozenset[str]
    stamp: str
    hidden: bool
    owner: str | None
    value: SecretStr | None = field(repr=False)

    @classmethod
    def of(cls, item: Mapping[str, Any], *, installation: str | None = None) -> "Record":
        """Read a variable as Vercel shows it, a project's or a team's."""
        target = item.get("target") or []
        reach = {target} if isinstance(target, str) else set(target)
        reach.update(item.get("customEnvironmentIds") or ())
        if item.get("applyToAllCustomEnvironments"):
            reach.add(ALL_CUSTOM)
        return cls(
            id=item["id"],
            key=item["key"],
            reach=frozenset(reach),
            branch=item.get("gitBranch") or None,
            projects=frozenset(item.get("projectId") or ()),
            stamp=f"{item['id']}@{item.get('updatedAt')}",
            hidden=_is_hidden(item),
            owner=_owner(item, installation),
            value=_shown(item, surely=False),
        )


def _listed(page: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return the variables on a page of a project's list."""
    if "envs" not in page and "key" not in page:
        raise UnexpectedAnswer("Vercel's list holds no variables.", provider="Vercel")
    # The declared third form of the answer is a single variable by itself.
    return cast("Sequence[Mapping[str, Any]]", page.get("envs", [page]))


def _is_hidden(item: Mapping[str, Any]) -> bool:
    visibility = item.get("visibility")
    return visibility == "secret" if visibility else item.get("type") in HIDDEN_TYPES


def _shown(item: Mapping[str, Any], *, surely: bool) -> SecretStr | None:
    """Return the value if it is the plain text. ``surely``: it is, unless Vercel says otherwise."""
    # A list shows ciphertext for encrypted variables: https://github.com/vercel/sdk/issues/118
    plain = item.get("type") == "plain" or item.get("decrypted", surely)
    value = item.get("value")
    return SecretStr(value) if plain and isinstance(value, str) and not _is_hidden(item) else None


def _owner(item: Mapping[str, Any], installation: str | None) -> str | None:
    integration = item.get("configurationId")
    if integration and integration != installation:
        return "an integration installed at Vercel owns this variable"
    if item.get("type") == "system" or item.get("system") or item["key"].startswith(RESERVED_PREFIXES):
        return "Vercel provides this variable itself"
    return None


def _ids(records: Sequence[Record]) -> list[str]:
    return [record.id for record in records]


def _stamp(records: Sequence[Record]) -> str:
    return ",".join(sorted(record.stamp for record in records))


def _by_key(records: Sequence[Record]) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = {}
    for record in records:
        found.setdefault(record.key, []).append(record)
    return found


def _only(values: set[SecretStr | None]) -> SecretStr | None:
    return values.pop() if len(values) == 1 else None


def _records_of(change: Change) -> tuple[Record, ...]:
    """Return the records that hold the key of *change* today."""
    return () if isinstance(change, Create) else cast("tuple[Record, ...]", change.remote.handle)


def _targets(reach: frozenset[str]) -> list[str]:
    return [each for each in SYSTEM_ENVIRONMENTS if each in reach]


# --- the places ----------------------------------------------------------------------------------------


class VercelDestination(Destination):
    """A place made of records: those that reach ``place``, one or more environments."""

    def __init__(self, api: VercelApi, place: frozenset[str], *, sensitive: bool) -> None:
        self._api = api
        self._place = place
        self._sensitive = sensitive

    # --- what a project and a team do differently ------------------------------------------------------

    @abstractmethod
    def _list(self) -> tuple[list[Record], str | None]:
        """Return every record that reaches the place, and why there may be more."""

    @abstractmethod
    def _path(self, record: Record) -> str:
        """Return where *record* is read singly."""

    @abstractmethod
    def _put(self, changes: Sequence[Create | Update]) -> tuple[list[Record], Failures]:
        """Write keys whose records reach nothing but the place."""

    @abstractmethod
    def _delete(self, ids: Sequence[str]) -> tuple[set[str], Failures]:
        """Delete records, and return which ones went."""

    @abstractmethod
    def _narrow(self, records: Sequence[Record]) -> Failures:
        """Take the place away from *records*, which keep what else they reach."""

    def _foreign(self, records: Sequence[Record]) -> str | None:
        """Why *records* are not this place's to change, or None."""
        return next((record.owner for record in records if record.owner), None)

    # --- the contract ----------------------------------------------------------------------------------

    def pull(self) -> Pulled:
        records, incomplete = self._list()
        found = {key: self._remote(key, tuple(each)) for key, each in _by_key(records).items()}
        return Pulled(found, incomplete)

    def push(self, batch: Sequence[Change]) -> Pushed:
        deletes = [change for change in batch if isinstance(change, Delete)]
        if deletes:
            return self._remove(deletes)
        return self._write([change for change in batch if not isinstance(change, Delete)])

    def refuses(self, key: str) -> str | None:
        if key in RESERVED or key.startswith(RESERVED_PREFIXES):
            return "Vercel keeps this name for itself"
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,255}", key):
            return "Vercel takes up to 256 letters, digits and _ in a name, and no digit first"
        return None

    def reveal(self, remotes: Sequence[Remote]) -> Mapping[str, SecretStr]:
        values = {remote.key: self._value(cast("tuple[Record, ...]", remote.handle)) for remote in remotes}
        return {key: value for key, value in values.items() if value is not None}

    # --- reading ---------------------------------------------------------------------------------------

    def _remote(self, key: str, records: tuple[Record, ...]) -> Remote:
        shown = _only({record.value for record in records}) if self._covered_by(records) else None
        return Remote(
            key,
            shown,
            _stamp(records),
            handle=records,
            locked=self._foreign(records),
            sealed=any(record.hidden for record in records),
        )

    def _covered_by(self, records: Sequence[Record]) -> bool:
        return self._place <= frozenset[str]().union(*(record.reach for record in records))

    def _value(self, records: Sequence[Record]) -> SecretStr | None:
        """Return the value that all *records* have, None if they differ or one cannot be read."""
        return _only({self._read(record) for record in records})

    def _read(self, record: Record) -> SecretStr | None:
        if record.value is not None or record.hidden:
            return record.value
        try:
            return _shown(self._api.get(self._path(record)), surely=True)
        except (AccessDenied, DestinationNotFound, RequestRejected):
            return None

    # --- writing ---------------------------------------------------------------------------------------

    def _write(self, changes: Sequence[Create | Update]) -> Pushed:
        stamps: dict[str, str | None] = {}
        refused: dict[str, str] = {}
        ours: list[Create | Update] = []
        for change in changes:
            reason = self._why_not(change)
            if reason is None:
                ours.append(change)
            elif self._holds(change):
                stamps[change.key] = _stamp(_records_of(change))
            else:
                refused[change.key] = reason
        pushed = self._confirmed(ours) if ours else Pushed({})
        return Pushed({**stamps, **pushed.stamps}, {**refused, **pushed.refused})

    def _why_not(self, change: Create | Update) -> str | None:
        """Why *change* must not be sent, or None."""
        others = sorted({each for record in _records_of(change) for each in record.reach - self._place})
        if others:
            return (
                f"its variable at Vercel also serves {', '.join(others)} and has one value for all: "
                "give each its own variable there"
            )
        # One value that is too long would have Vercel refuse the whole batch.
        if len(change.desired.value.get_secret_value()) > MAX_VALUE:
            return f"Vercel takes {MAX_VALUE} characters at most"
        return None

    def _holds(self, change: Create | Update) -> bool:
        """Does the place hold the wanted value already?"""
        records = _records_of(change)
        return bool(records) and self._covered_by(records) and self._value(records) == change.desired.value

    def _confirmed(self, changes: Sequence[Create | Update]) -> Pushed:
        written, failures = self._put(changes)
        answered = _by_key(written)
        stamps: dict[str, str | None] = {}
        refused: dict[str, str] = {}
        for change in changes:
            reason = failures.of(change.key, _records_of(change))
            if reason is None and change.key in answered:
                stamps[change.key] = _stamp(answered[change.key])
            else:
                refused[change.key] = reason or failures.unnamed(UNCONFIRMED)
        return Pushed(stamps, refused)

    def _type(self, change: Create | Update) -> str:
        # A variable keeps its type: to change it Vercel wants it removed first, and then it would be absent.
        records = _records_of(change)
        hidden = any(record.hidden for record in records) if records else self._sensitive
        return "sensitive" if hidden else "encrypted"

    def _remove(self, deletes: Sequence[Delete]) -> Pushed:
        records = [record for change in deletes for record in _records_of(change)]
        if any(record.reach - self._place for record in records):
            # What is narrowed gets the remaining environments, so they have to be those of this moment:
            # the sync of another environment may be narrowing the same record.
            records = self._still_there(records)
        wider = [record for record in records if record.reach - self._place]
        inside = [record for record in records if record.reach <= self._place]
        refused = self._after_narrowing(wider) | self._after_deleting(inside)
        return Pushed({each.key: None for each in deletes if each.key not in refused}, refused)

    def _after_narrowing(self, records: Sequence[Record]) -> dict[str, str]:
        failures = self._narrow(records) if records else Failures({})
        reasons = {record.key: failures.of(record.key, [record]) for record in records}
        return {key: reason for key, reason in reasons.items() if reason is not None}

    def _after_deleting(self, records: Sequence[Record]) -> dict[str, str]:
        """Delete *records*, and return which keys are still there. Those that were gone before are not."""
        if not records:
            return {}
        gone, failures = self._delete(_ids(records))
        left = [record for record in records if record.id not in gone]
        kept = self._still_there(left) if left else []
        return {each.key: failures.of(each.key, [each]) or failures.unnamed(NOT_REMOVED) for each in kept}

    def _still_there(self, records: Sequence[Record]) -> list[Record]:
        """Return those of *records* that still reach the place, as they are now."""
        now = {record.id: record for record in self._list()[0]}
        return [now[record.id] for record in records if record.id in now]


class VercelProjectDestination(VercelDestination):
    """One environment of a project, or the previews of one branch."""

    def __init__(self, api: VercelApi, config: VercelProjectConfig) -> None:
        super().__init__(api, frozenset({config.env}), sensitive=config.sensitive)
        self._config = config
        self._project = f"projects/{config.app}/env"

    def redeploy(self) -> None:
        """Deploy production's last good deployment again. Only production has one that stands for it all."""
        if self._config.env != "production":
            return
        project = self._config.app
        last = self._api.get(
            "/v6/deployments", projectId=project, target="production", state="READY", limit="1"
        )["deployments"]
        if last:
            again = {"name": last[0]["name"], "project": project, "deploymentId": last[0]["uid"]}
            how = {"target": "production", "meta": {"action": "redeploy"}}
            self._api.write("POST", "/v13/deployments", {**again, **how}, forceNew="1")

    def _list(self) -> tuple[list[Record], str | None]:
        records: dict[str, Record] = {}
        unseen = 0
        for page in self._api.pages(f"/v10/{self._project}", cursor="until"):
            unseen += page.get("hiddenProductionEnvCount") or 0
            records |= {item["id"]: self._api.record(item) for item in _listed(page)}
        ours = [each for each in records.values() if self._place & each.reach and self._is_of_branch(each)]
        return ours, f"Vercel hides {unseen} production variables from these credentials" if unseen else None

    def _is_of_branch(self, record: Record) -> bool:
        # A branch has its own records; those without a branch serve all previews and are another place.
        return record.branch == self._config.branch

    def _path(self, record: Record) -> str:
        return f"/v1/{self._project}/{record.id}"

    def _put(self, changes: Sequence[Create | Update]) -> tuple[list[Record], Failures]:
        # With upsert a record of exactly this reach is updated in place; it has to be v10.
        body = self._api.write(
            "POST", f"/v10/{self._project}", [self._entry(change) for change in changes], upsert="true"
        )
        created = body.get("created") or []
        items = [created] if isinstance(created, dict) else created
        return [self._api.record(item) for item in items], self._api.failures(body)

    def _entry(self, change: Create | Update) -> dict[str, Any]:
        is_system = self._config.env in SYSTEM_ENVIRONMENTS
        return {
            "key": change.key,
            "value": change.desired.value.get_secret_value(),
            "type": self._type(change),
            ("target" if is_system else "customEnvironmentIds"): [self._config.env],
            **({"gitBranch": self._config.branch} if self._config.branch else {}),
        }

    def _delete(self, ids: Sequence[str]) -> tuple[set[str], Failures]:
        try:
            body = self._api.write("DELETE", f"/v1/{self._project}", {"ids": list(ids)})
        except DestinationNotFound:  # the records or the project: the list that follows will tell
            return set(), Failures({})
        return set(body.get("ids") or ()), Failures({})

    def _narrow(self, records: Sequence[Record]) -> Failures:
        reasons: dict[str, str] = {}
        for record in records:
            kept = record.reach - self._place
            custom = sorted(each for each in record.reach if each not in SYSTEM_ENVIRONMENTS)
            body: dict[str, Any] = {"target": _targets(kept)}
            if custom:
                body["customEnvironmentIds"] = [each for each in custom if each in kept]
            try:
                self._api.write("PATCH", f"/v9/{self._project}/{record.id}", body)
            except RequestRejected as error:
                reasons[record.key] = f"Vercel refused it ({error.code})"
            except DestinationNotFound:
                continue
        return Failures(reasons)


class VercelTeamDestination(VercelDestination):
    """A team's shared variables for some environments, linked to some projects."""

    batch_size = 50

    def __init__(self, api: VercelApi, config: VercelTeamConfig) -> None:
        super().__init__(api, config.place, sensitive=config.sensitive)
        self._projects = frozenset(config.target_projects or ())

    def _list(self) -> tuple[list[Record], str | None]:
        records: dict[str, Record] = {}
        for page in self._api.pages("/v1/env", cursor="until"):
            records |= {item["id"]: self._api.record(item) for item in page["data"]}
        return [record for record in records.values() if self._place & record.reach], None

    def _foreign(self, records: Sequence[Record]) -> str | None:
        # A name and an environment can be shared once in a team, whichever projects are linked to it.
        if any(record.projects != self._projects for record in records):
            return "the team's variable of that name is linked to other projects than targetProjects names"
        return super()._foreign(records)

    def _path(self, record: Record) -> str:
        return f"/v1/env/{record.id}"

    def _put(self, changes: Sequence[Create | Update]) -> tuple[list[Record], Failures]:
        updates = [change for change in changes if isinstance(change, Update)]
        creates = [change for change in changes if isinstance(change, Create)]
        created, failures = self._created(creates) if creates else ([], Failures({}))
        # There is no upsert for a team: what a lost answer left behind already is updated instead.
        updates += self._existing([change for change in creates if failures.of(change.key)])
        updated, more = self._updated(updates) if updates else ([], Failures({}))
        settled = {update.key for update in updates}
        reasons = {name: why for name, why in failures.reasons.items() if name not in settled}
        return created + updated, Failures({**reasons, **more.reasons})

    def _created(self, creates: Sequence[Create]) -> tuple[list[Record], Failures]:
        values = [{"key": each.key, "value": each.desired.value.get_secret_value()} for each in creates]
        body = {
            "evs": values,
            "type": self._type(creates[0]),
            "target": _targets(self._place),
            **({"projectId": sorted(self._projects)} if self._projects else {}),
            **({"applyToAllCustomEnvironments": True} if ALL_CUSTOM in self._place else {}),
        }
        try:
            answer = self._api.write("POST", "/v1/env", body)
        except RequestRejected as error:
            if (error.code or "").lower() != EXISTS:
                raise
            return [], Failures({each.key: f"Vercel refused it ({error.code})" for each in creates})
        return [self._api.record(item) for item in answer.get("created") or ()], self._api.failures(answer)

    def _existing(self, creates: Sequence[Create]) -> list[Update]:
        """Return updates for those of *creates* that turn out to be there, and to be ours."""
        remotes = self.pull().remotes if creates else {}
        found = [Update(each.key, each.desired, remotes[each.key]) for each in creates if each.key in remotes]
        return [each for each in found if each.remote.locked is None and self._why_not(each) is None]

    def _updated(self, updates: Sequence[Update]) -> tuple[list[Record], Failures]:
        changed: dict[str, Any] = {}
        for update in updates:
            records = _records_of(update)
            value = {"value": update.desired.value.get_secret_value()}
            changed |= {record.id: value for record in records}
            changed[records[0].id] = value | self._widened(records)
        return self._patch(changed)

    def _widened(self, records: Sequence[Record]) -> dict[str, Any]:
        """Return what the first of *records* must reach as well, so that together they reach the place."""
        if self._covered_by(records):
            return {}
        missing = self._place.difference(*(record.reach for record in records))
        body: dict[str, Any] = {"target": _targets(records[0].reach | missing)}
        return body | ({"applyToAllCustomEnvironments": True} if ALL_CUSTOM in missing else {})

    def _narrow(self, records: Sequence[Record]) -> Failures:
        changed: dict[str, Any] = {}
        for record in records:
            changed[record.id] = {"target": _targets(record.reach - self._place)}
            if ALL_CUSTOM in record.reach & self._place:
                changed[record.id]["applyToAllCustomEnvironments"] = False
        return self._patch(changed)[1]

    def _patch(self, changed: Mapping[str, Any]) -> tuple[list[Record], Failures]:
        answer = self._api.write("PATCH", "/v1/env", {"updates": changed})
        return [self._api.record(item) for item in answer.get("updated") or ()], self._api.failures(answer)

    def _delete(self, ids: Sequence[str]) -> tuple[set[str], Failures]:
        gone: set[str] = set()
        reasons: dict[str, str] = {}
        for start in range(0, len(ids), self.batch_size):
            answer = self._api.write("DELETE", "/v1/env", {"ids": ids[start : start + self.batch_size]})
            gone.update(answer.get("deleted") or ())
            reasons |= self._api.failures(answer).reasons
        return gone, Failures(reasons)


# --- the service ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Team(Named):
    """A team, or the personal account as one: then the id is the user's."""

    slug: str


class VercelProvider(Provider[VercelConfig]):
    """Vercel, reached with one token."""

    name = "vercel"
    title = "Vercel"
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
