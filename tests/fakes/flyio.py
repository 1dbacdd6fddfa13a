"""An emulator of Fly.io's Machines API, as far as secrets and restarts go, its oddities included.

By hand: ``python -m tests.fakes.flyio --port 9004``.
"""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tests.fakes.contracts import OpenApi
from tests.fakes.service import FakeService, Places, Request, Response, main


@dataclass
class Machine:
    """A machine. ``environment`` are the secrets it was last started with."""

    id: str
    instance_id: str
    state: str = "started"
    group: str = "app"
    environment: dict[str, str] = field(default_factory=dict)
    starts: int = 0
    #: Its host is not reached, so the configuration is not shown.
    lost: bool = False
    #: It fails as soon as it starts anew.
    breaks: bool = False

    @property
    def config(self) -> dict[str, Any]:
        return {
            "image": "registry.fly.io/demo:1",
            "env": {"PRIMARY_REGION": "ams"},
            "guest": {"cpu_kind": "shared", "cpus": 1, "memory_mb": 256},
            "metadata": {"fly_platform_version": "v2", "fly_process_group": self.group},
        }


@dataclass
class App:
    """An app with its secrets. ``before`` is what a read that lags still shows, until ``fresh_at``."""

    name: str
    org: str
    secrets: dict[str, str] = field(default_factory=dict)
    version: int = 0
    before: dict[str, str] = field(default_factory=dict)
    fresh_at: float = 0.0
    machines: dict[str, Machine] = field(default_factory=dict)


@dataclass(frozen=True)
class Token:
    """What a token opens: organisations, or one app only. Not every token can be asked about itself."""

    orgs: tuple[str, ...]
    app: str | None = None
    is_macaroon: bool = True
    user: str | None = None


class Refused(Exception):
    """Fly.io answers with an error."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class FakeFlyio(FakeService):
    """Fly.io's Machines API, emulated. A place is an app."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        super().__init__(now)
        self.orgs: dict[str, str] = {}
        self.apps: dict[str, App] = {}
        self.tokens: dict[str, Token] = {}
        #: Seconds for which a read may show what was there before the last write.
        self.lag = 0.0
        #: Does the answer to a write list the secrets it wrote?
        self.lists_written = True
        self._instances = 0
        self._openapi = OpenApi.load("fly-machines.openapi.json.gz", base="/v1")
        self.checks_schema = self._openapi is not None

    @classmethod
    def with_demo(cls, now: Callable[[], float] = time.time) -> "FakeFlyio":
        """Return an emulator with two organisations, three apps, one machine and a token of each kind."""
        fake = cls(now)
        fake.orgs = {"acme": "Acme Inc", "personal": "Demo Person"}
        for name, org in (("shop", "acme"), ("shop-worker", "acme"), ("blog", "personal")):
            fake.apps[name] = App(name, org)
        fake.add_machine("shop", "d891234a")
        fake.tokens = {
            "fm2_demo-org": Token(("acme",)),
            "fm2_demo-deploy": Token(("acme",), app="shop"),
            "fm2_demo-first,fm2_demo-second": Token(("acme", "personal")),
            "demo-old-personal": Token(("personal",), is_macaroon=False),
        }
        return fake

    def add_machine(self, app: str, machine_id: str) -> Machine:
        """Add a running machine to *app*."""
        machine = Machine(machine_id, self._next_instance())
        self.apps[app].machines[machine_id] = machine
        return machine

    # --- what the base asks for ------------------------------------------------------------------------

    def places(self) -> Places:
        return {name: dict(app.secrets) for name, app in self.apps.items()}

    def seed(self, place: str, variables: Mapping[str, str]) -> None:
        app = self.apps[place]
        self._write(app, variables)
        app.fresh_at = 0.0

    def demo(self) -> Mapping[str, str]:
        return {"token": "FlyV1 fm2_demo-org", "appId": "shop"}

    def check(self, request: Request) -> list[str]:
        if self._openapi is None:
            return []
        if request.path.endswith("/secrets"):
            request = _as_specified(request)
        return self._openapi.violations(request)

    def refusal(self, status: int, request: Request) -> Response:
        sent = f"refused, you sent {request.body.decode()} {dict(request.headers)}"
        return Response(status, {"error": sent, "status": "unknown"}, {"fly-request-id": "01DEMO-ams"})

    def answer(self, request: Request) -> Response:
        try:
            return Response(200, self._answer(request))
        except Refused as refused:
            return self.refusal(refused.status, request)

    # --- the operations --------------------------------------------------------------------------------

    def _answer(self, request: Request) -> Any:
        token = self._token(request)
        match [request.method, *request.path.removeprefix("/v1/").split("/")]:
            case ["GET", "tokens", "current"]:
                return self._about(token)
            case ["GET", "apps"]:
                return self._list_apps(token, request.param("org_slug"))
            case ["GET", "apps", name]:
                return self._shown_app(self._app(token, name))
            case [method, "apps", name, "secrets"]:
                return self._secrets(method, self._app(token, name), request)
            case [method, "apps", name, "machines", *rest]:
                return self._machines(method, self._app(token, name), rest, request)
        raise Refused(404)

    def _token(self, request: Request) -> Token:
        scheme, _, text = request.headers.get("authorization", "").partition(" ")
        token = self.tokens.get(text)
        if token is None or scheme != ("FlyV1" if token.is_macaroon else "Bearer"):
            raise Refused(401)
        return token

    def _about(self, token: Token) -> dict[str, Any]:
        if not token.is_macaroon:
            return {"tokens": []}
        return {
            "tokens": [
                {
                    "token_id": f"token-{slug}",
                    "org_slug": slug,
                    "organization": self.orgs[slug],
                    **({"apps": [token.app]} if token.app else {}),
                    **({"user": token.user} if token.user else {}),
                }
                for slug in token.orgs
            ]
        }

    def _list_apps(self, token: Token, slug: str | None) -> dict[str, Any]:
        if slug is None:
            raise Refused(400)
        if slug not in token.orgs or token.app:
            raise Refused(403)
        found = [self._shown_app(app) for app in self.apps.values() if app.org == slug]
        return {"total_apps": len(found), "apps": found}

    def _app(self, token: Token, name: str) -> App:
        app = self.apps.get(name)
        if app is None:
            raise Refused(404)
        if app.org not in token.orgs or token.app not in {None, name}:
            raise Refused(403)
        return app

    def _shown_app(self, app: App) -> dict[str, Any]:
        return {
            "id": f"id-of-{app.name}",
            "name": app.name,
            "status": "deployed" if app.machines else "pending",
            "machine_count": len(app.machines),
            "organization": {"name": self.orgs[app.org], "slug": app.org},
        }

    def _secrets(self, method: str, app: App, request: Request) -> dict[str, Any]:
        if method == "GET":
            asked = request.param("min_version") or request.param("version")
            held = self._seen(app, int(asked) if asked else None)
            return {"secrets": _shown_secrets(app, held)}
        values = (request.json or {}).get("values")
        if method != "POST" or not isinstance(values, dict) or self.refused & values.keys():
            raise Refused(400)
        self._write(app, values)
        written = {name: value for name, value in values.items() if value is not None}
        shown = _shown_secrets(app, written) if self.lists_written else []
        return {"secrets": shown, "version": app.version, "Version": app.version}

    def _seen(self, app: App, version: int | None) -> dict[str, str]:
        """Return the secrets as somebody sees them who does not say what version there must be."""
        lags = self.now() < app.fresh_at and (version is None or version < app.version)
        return app.before if lags else app.secrets

    def _write(self, app: App, values: Mapping[str, str | None]) -> None:
        app.before = dict(app.secrets)
        app.fresh_at = self.now() + self.lag
        app.version += 1
        for name, value in values.items():
            if value is None:
                app.secrets.pop(name, None)
            else:
                app.secrets[name] = value

    def _machines(self, method: str, app: App, rest: list[str], request: Request) -> Any:
        if not rest:
            wanted = request.param("state")
            found = [each for each in app.machines.values() if wanted in {None, each.state}]
            return [_shown_machine(machine) for machine in found]
        machine = app.machines.get(rest[0])
        if machine is None:
            raise Refused(404)
        match [method, *rest[1:]]:
            case ["POST"]:
                return self._update(app, machine, request.json)
            case ["GET", "wait"]:
                if request.param("version") != machine.instance_id:
                    raise Refused(400)
                return {"ok": True, "state": machine.state, "version": machine.instance_id}
        raise Refused(404)

    def _update(self, app: App, machine: Machine, asked: Mapping[str, Any]) -> dict[str, Any]:
        if asked.get("current_version", machine.instance_id) != machine.instance_id:
            raise Refused(412)
        machine.instance_id = self._next_instance()
        machine.environment = dict(self._seen(app, asked.get("min_secrets_version")))
        machine.starts += 1
        machine.state = "failed" if machine.breaks else "started"
        return _shown_machine(machine)

    def _next_instance(self) -> str:
        self._instances += 1
        return f"01INSTANCE{self._instances:016}"


def _shown_secrets(app: App, secrets: Mapping[str, str]) -> list[dict[str, str]]:
    return [
        {
            "name": name,
            "digest": hashlib.sha256(f"{app.name}/{name}/{value}".encode()).hexdigest()[:16],
            "created_at": "2026-01-01T00:00:00Z",
            "updated_at": "2026-01-01T00:00:00Z",
        }
        for name, value in secrets.items()
    ]


def _shown_machine(machine: Machine) -> dict[str, Any]:
    return {
        "id": machine.id,
        "name": f"machine-{machine.id}",
        "state": machine.state,
        "region": "ams",
        "instance_id": machine.instance_id,
        "host_status": "unreachable" if machine.lost else "ok",
        **({"incomplete_config": machine.config} if machine.lost else {"config": machine.config}),
    }


def _as_specified(request: Request) -> Request:
    """Return *request* without what the real API takes although its specification does not say so.

    A null unsets a secret, and Fly's own client names the version of a read ``version``.
    """
    query = tuple(each for each in request.query if each[0] != "version")
    sent = request.json
    if not isinstance(sent, dict) or not isinstance(sent.get("values"), dict):
        return replace(request, query=query)
    values = {name: "" if value is None else value for name, value in sent["values"].items()}
    return replace(request, query=query, body=json.dumps({**sent, "values": values}).encode())


if __name__ == "__main__":
    main(FakeFlyio.with_demo(), setting="KEYTIDE_FLYIO_API_URL")
