"""Fly.io: the secrets of an app. Machines REST API.

Facts and their sources: ``docs/providers/flyio.md``.
"""

import hashlib
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Annotated, Any, ClassVar

from pydantic import Field, SecretStr, StringConstraints

from shared.errors import (
    CredentialsRejected,
    ProviderError,
    RateLimited,
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
    Project,
    Provider,
    Pulled,
    Pushed,
)
from shared.providers.http import Answer, Api, map_in, maps_in, text_in, unexpected

TITLE = "Fly.io"
#: One request a second for each action and app; no header says so.
SECONDS_BETWEEN_CALLS = 1.0
#: Somebody else changes the same machine: its version is not the one we saw, or they hold its lease.
BUSY = {409, 412}
#: The slug under which everybody finds their own organisation.
PERSONAL = "personal"
#: As much of an account's id is kept.
ACCOUNT_ID_LENGTH = 255
#: An answer to a wait must come before the call times out, so a long wait is several calls.
WAIT_SECONDS = 20
WAITS = 3
#: Machines that flyctl runs for a moment; they are not part of the app.
PASSING = {"fly_app_release_command", "fly_app_console"}

CODES: Mapping[str, type[ProviderError]] = {"insufficient_capacity": Unavailable}

AppName = Annotated[str, StringConstraints(max_length=255, pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]


class FlyioConfig(DestinationConfig):
    """An app, by its name. Fly.io has no environments inside an app."""

    labels = frozenset({"app_name"})

    app_id: AppName
    app_name: Annotated[str, StringConstraints(max_length=255)] | None = None


class FlyioToken(Credentials):
    """A deploy, organisation or personal token, with or without its scheme in front."""

    access_token: Annotated[SecretStr, Field(min_length=1, max_length=1000)]


class FlyioApi(Api):
    """The Machines API, with what its statuses mean here."""

    def error(self, status: int | None, code: str | None, answer: Answer | None = None) -> ProviderError:
        """Return the error that *status* and Fly.io's *code* stand for."""
        if status in BUSY:
            return Unavailable(
                "Fly.io is busy with another change.", provider=self.title, status=status, code=code
            )
        error = super().error(status, code, answer)
        if isinstance(error, RateLimited) and error.retry_after is None:
            error.retry_after = SECONDS_BETWEEN_CALLS
        return error

    def map(self, method: str, path: str, **parts: Any) -> Mapping[str, Any]:
        """Send one request and return its answer, which has to be a JSON object."""
        return map_in(self.call(method, path, **parts), self.title)


def error_code(body: Any) -> str | None:
    """Return Fly.io's code word in *body*. The text beside it may quote what was sent, and is not kept."""
    word = body.get("status") if isinstance(body, dict) else None
    return word if word in {"insufficient_capacity", "name_taken", "unknown"} else None


class FlyioDestination(Destination):
    """The secrets of one app."""

    # No limit is published; a run of a thousand keys should stay within the burst of three calls.
    batch_size = 500

    def __init__(self, api: FlyioApi, config: FlyioConfig) -> None:
        self._api = api
        self._app = f"/v1/apps/{config.app_id}"
        self._version: int | None = None  # of the app's secrets, after our last write

    def pull(self) -> Pulled:
        return Pulled({key: Remote(key, None, stamp=digest) for key, digest in self._digests().items()})

    def push(self, batch: Sequence[Change]) -> Pushed:
        values = {
            change.key: None if isinstance(change, Delete) else change.desired.value.get_secret_value()
            for change in batch
        }
        answer = self._write(values)
        set_keys = {key for key, value in values.items() if value is not None}
        # An answer that only tells the new version confirms the write, too; the digests are read then.
        answered = _digests(answer) if "secrets" in answer else {}
        return Pushed({**dict.fromkeys(values), **self._stamps(set_keys, answered)})

    def refuses(self, key: str) -> str | None:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", key):
            return "Fly.io makes each secret an environment variable: letters, digits and _, no digit first"
        return None

    def redeploy(self) -> None:
        """Restart the app's running machines, one after the other. Without any, the values just wait."""
        for machine in self._running_machines():
            self._update(machine)

    def _stamps(self, keys: Set[str], answered: Mapping[str, str]) -> dict[str, str]:
        """Return the digests of *keys*, which were just set. Those that Fly.io *answered* cost no call."""
        digests = answered if keys <= answered.keys() else self._digests()
        unseen = keys - digests.keys()
        if unseen:
            # Fly.io took the write, so nobody has to mend anything: the next attempt sets them once more.
            raise Unavailable(
                f"Fly.io took these secrets, but does not list them yet: {', '.join(sorted(unseen))}.",
                provider=self._api.title,
            )
        return {key: digests[key] for key in keys}

    def _digests(self) -> dict[str, str]:
        # A read may lag behind a write. The specification says min_version, Fly's own client says version.
        params = {"min_version": self._version, "version": self._version}
        return _digests(self._api.map("GET", f"{self._app}/secrets", params=params))

    def _write(self, values: Mapping[str, str | None]) -> Mapping[str, Any]:
        """Set and unset secrets in one call; what is not named stays."""
        answer = self._api.map("POST", f"{self._app}/secrets", json={"values": values})
        if type(answer.get("version")) is int:
            self._version = answer["version"]
        elif "secrets" not in answer:
            raise unexpected(self._api.title)
        return answer

    def _running_machines(self) -> list[Mapping[str, Any]]:
        machines = self._api.call("GET", f"{self._app}/machines", params={"state": "started"}) or []
        return [
            machine
            for machine in machines
            if machine["state"] == "started" and _process_group(machine) not in PASSING
        ]

    def _update(self, machine: Mapping[str, Any]) -> None:
        """Give *machine* its own configuration again, which makes it start anew with the present secrets."""
        if not machine.get("config"):
            raise Unavailable(
                f"Fly.io does not reach the host of machine {machine['id']}.", provider=self._api.title
            )
        path = f"{self._app}/machines/{machine['id']}"
        updated = self._api.map(
            "POST",
            path,
            json={
                "config": machine["config"],
                "current_version": machine["instance_id"],
                # Without it the machine may start with the secrets as they were before.
                "min_secrets_version": self._known_version(),
            },
        )
        self._wait(path, updated)

    def _known_version(self) -> int:
        if self._version is None:
            # Only a write tells the version. Unsetting a name that nobody has changes nothing.
            self._write({f"KEYTIDE_NOBODY_HAS_{secrets.token_hex(8).upper()}": None})
        if self._version is None:
            raise UnexpectedAnswer(
                "Fly.io did not tell the version of the app's secrets.", provider=self._api.title
            )
        return self._version

    def _wait(self, path: str, machine: Mapping[str, Any]) -> None:
        """Return when *machine* runs, or has ended by itself. Raises if it failed or takes too long."""
        params = {"state": "settled", "version": machine["instance_id"], "timeout": WAIT_SECONDS}
        for _ in range(WAITS):
            answer = self._api.send("GET", f"{path}/wait", params=params)
            if answer.status != 408:
                break
        self._api.raise_for_status(answer)
        if isinstance(answer.body, dict) and answer.body.get("state") == "failed":
            raise RequestRejected(
                f"The values are set, but machine {machine['id']} failed to start with them.",
                provider=self._api.title,
            )


def _digests(body: Mapping[str, Any]) -> dict[str, str]:
    """Return the digest of each secret in *body*. How it is computed is not published: a mark, no more."""
    if "secrets" not in body:
        raise UnexpectedAnswer("Fly.io answered without a list of secrets.", provider=TITLE)
    # An app without any says null.
    listed = [] if body["secrets"] is None else maps_in(body["secrets"], TITLE)
    return {text_in(secret, "name", TITLE): text_in(secret, "digest", TITLE) for secret in listed}


def _process_group(machine: Mapping[str, Any]) -> str | None:
    metadata = (machine.get("config") or {}).get("metadata") or {}
    group: str | None = metadata.get("fly_process_group")
    return group


class FlyioProvider(Provider[FlyioConfig]):
    """Fly.io, reached with one token."""

    name = "flyio"
    title = TITLE
    methods: ClassVar[Mapping[str, type[Credentials]]] = {"access-token": FlyioToken}
    config_type = FlyioConfig
    reads_values = False
    can_import = False
    can_redeploy = True

    def __init__(self, access: Access) -> None:
        super().__init__(access)
        self._token = _without_scheme(access.credentials.access_token)
        header = SecretStr(f"{self._scheme} {self._token.get_secret_value()}")
        self._api = FlyioApi(self.title, access, {"Authorization": header}, error_code, CODES)

    def whoami(self) -> Account:
        reach = self._reach()
        if not reach:
            raise CredentialsRejected(
                "Fly.io knows no organisation that this token opens.", provider=self.title
            )
        places = ",".join(sorted({self._place(token) for token in reach}))
        names = dict.fromkeys(_told(token) for token in reach)
        return Account(places if len(places) <= ACCOUNT_ID_LENGTH else _digest(places), ", ".join(names))

    def destination(self, config: FlyioConfig) -> FlyioDestination:
        return FlyioDestination(self._api, config)

    def projects(self) -> list[Project]:
        listed = [_project(app) for token in self._reach() for app in self._apps(token)]
        return list({project.id: project for project in listed}.values())

    @property
    def _scheme(self) -> str:
        parts = self._token.get_secret_value().split(",")
        macaroon = any(re.match(r"fm1[ra]_|fm2_", part.strip()) for part in parts)
        return "FlyV1" if macaroon else "Bearer"

    def _reach(self) -> list[Mapping[str, Any]]:
        """Return what each part of the token opens. A personal token has one part per organisation."""
        if self._scheme == "Bearer":
            # Only macaroons can be asked about themselves; an old token always has a personal organisation.
            self._listed(PERSONAL)
            return [{"org_slug": PERSONAL}]
        tokens = self._api.map("GET", "/v1/tokens/current").get("tokens") or []
        return [token for token in tokens if token.get("org_slug")]

    def _place(self, token: Mapping[str, Any]) -> str:
        """Return what tells what a part of the token opens from what any other token opens."""
        place: str = token["org_slug"]
        if place == PERSONAL:
            # So the slug says whoever asks. An old token is all that is known of its person.
            person = token.get("user") or _digest(self._token.get_secret_value())
            place = f"{place}:{person}"
        apps = sorted(token.get("apps") or [])
        return f"{place}/{'+'.join(apps)}" if apps else place

    def _apps(self, token: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        names = token.get("apps") or []
        if names:  # a deploy token may not list its organisation
            yield from (self._api.map("GET", f"/v1/apps/{name}") for name in names)
        else:
            yield from self._listed(token["org_slug"])

    def _listed(self, org_slug: str) -> list[Mapping[str, Any]]:
        found = self._api.map("GET", "/v1/apps", params={"org_slug": org_slug})
        return found.get("apps") or []


def _told(token: Mapping[str, Any]) -> str:
    """Return what a part of the token opens, for people."""
    organization: str = token.get("organization") or token["org_slug"]
    apps = token.get("apps") or []
    return f"{organization} ({', '.join(apps)})" if apps else organization


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _without_scheme(token: SecretStr) -> SecretStr:
    text = re.sub(r"^\s*((FlyV1|Bearer)\s+)+", "", token.get_secret_value(), flags=re.IGNORECASE)
    return SecretStr("".join(text.split()))


def _project(app: Mapping[str, Any]) -> Project:
    organization = app.get("organization") or {}
    return Project(
        # The REST API addresses an app by its name; its id is for nobody.
        id=app["name"],
        name=app["name"],
        team_id=organization.get("slug"),
        team_name=organization.get("name"),
    )
