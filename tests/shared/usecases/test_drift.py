"""A value that somebody changed at the provider, whichever provider and whether it can be read or not."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr

from shared.db.jobs import Job, JobStatus, Trigger
from shared.runtime import Runtime
from shared.usecases import syncs
from shared.usecases.connections import ConnectionDraft, create_connection
from shared.usecases.edit_secrets import Draft, create_secrets
from shared.usecases.projects import create_project
from shared.usecases.reconcile import reconcile_due
from shared.usecases.syncs import SyncDraft
from tests.fakes.service import FakeService
from tests.shared.usecases.world import carry_out, sync_options
from tests.support import ManualClock, RecordingBroker

HOUR = 3600


@dataclass(frozen=True)
class Kind:
    """A place at a provider: how it is reached, and what the emulator calls it."""

    provider: str
    method: str
    credentials: Mapping[str, str]
    config: Mapping[str, Any]
    place: str


_VERCEL = partial(Kind, "vercel", "api-token", {"apiToken": "demo-vercel-token"}, place="prj_1/production")
_NETLIFY = partial(Kind, "netlify", "access-token", {"accessToken": "demo-access-token"})
_PROJECT = {"scope": "project", "app": "prj_1", "teamId": "team_1", "env": "production"}
_SITE = {"accountId": "acc-1", "siteId": "site-shop", "context": "production"}

KINDS = {
    "railway": Kind(
        "railway",
        "account-token",
        {"apiToken": "demo-account-token"},
        {"projectId": "prj-1", "environmentId": "env-production", "serviceId": "svc-web"},
        "env-production/svc-web",
    ),
    # Vercel's lists show ciphertext, and nothing at all of what is sensitive.
    "vercel, encrypted": _VERCEL(_PROJECT),
    "vercel, sensitive": _VERCEL({**_PROJECT, "sensitive": True}),
    "netlify, readable": _NETLIFY(_SITE, "acc-1/site-shop/production"),
    "netlify, secret": _NETLIFY({**_SITE, "isSecret": True}, "acc-1/site-shop/production"),
    "flyio": Kind("flyio", "access-token", {"accessToken": "FlyV1 fm2_demo-org"}, {"appId": "shop"}, "shop"),
}


@dataclass
class Target:
    """A sync of A and B to one place at a provider, which has run once."""

    runtime: Runtime
    broker: RecordingBroker
    clock: ManualClock
    fake: FakeService
    kind: Kind
    sync_id: UUID

    def held(self) -> Mapping[str, str]:
        return self.fake.places()[self.kind.place]

    def touch(self, **values: str) -> None:
        """Change values there by hand, a moment later."""
        self.clock.advance(seconds=10)
        self.fake.seed(self.kind.place, values)
        self.fake.forget_calls()

    def reconcile(self) -> Job:
        """Let the time of the next reconcile come, and return its job."""
        self.clock.advance(seconds=HOUR)
        assert reconcile_due(self.runtime) == 1
        self.work()
        [job, *_] = syncs.list_jobs(self.runtime, self.kind.provider, self.sync_id, limit=10, offset=0)
        assert job.trigger == Trigger.RECONCILE
        return job

    def work(self) -> None:
        while self.broker.sent:
            self.clock.advance(seconds=0.001)
            carry_out(self.runtime, self.broker.sent.pop(0))


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


@pytest.fixture
def fake(request: pytest.FixtureRequest, kind: Kind) -> FakeService:
    return request.getfixturevalue(kind.provider)  # type: ignore[no-any-return]


@pytest.fixture
def mode() -> str:
    return "repair"


@pytest.fixture
def target(
    runtime: Runtime, broker: RecordingBroker, clock: ManualClock, fake: FakeService, kind: Kind, mode: str
) -> Target:
    # The emulators' moments follow the clock, so that what is changed later has another stamp.
    fake.now = lambda: clock().timestamp()
    project_id = create_project(runtime, "Shop").project.id
    drafts = [Draft("A", SecretStr("one")), Draft("B", SecretStr("two"))]
    create_secrets(runtime, project_id, "production", "/", drafts, actor="somebody")
    connection = ConnectionDraft(kind.provider, "connection", kind.method, dict(kind.credentials))
    draft = SyncDraft(
        destination=kind.provider,
        name="drifting",
        project_id=project_id,
        connection_id=create_connection(runtime, connection).id,
        environment="production",
        secret_path="/",
        destination_config=kind.config,
        sync_options=sync_options(reconcileMode=mode),
    )
    sync_id = syncs.create_sync(runtime, draft).sync.id
    target = Target(runtime, broker, clock, fake, kind, sync_id)
    target.work()
    assert target.held() == {"A": "one", "B": "two"}
    fake.forget_calls()
    return target


def test_a_value_that_somebody_changed_is_repaired_by_the_next_reconcile(target: Target) -> None:
    target.touch(A="changed by hand")

    job = target.reconcile()

    assert target.held() == {"A": "one", "B": "two"}
    assert (job.status, job.details["drift"], job.details["updated"]) == (JobStatus.SUCCEEDED, ["A"], ["A"])


@pytest.mark.parametrize("mode", ["report"])
def test_a_reconcile_that_only_reports_names_the_key_and_writes_nothing(target: Target) -> None:
    target.touch(A="changed by hand")

    job = target.reconcile()

    assert target.fake.writes == []
    assert target.held() == {"A": "changed by hand", "B": "two"}
    assert (job.status, job.details["drift"], list(job.details["refused"])) == (
        JobStatus.FAILED,
        ["A"],
        ["A"],
    )


def test_what_was_repaired_stays_repaired_without_another_write(target: Target) -> None:
    target.touch(A="changed by hand")
    target.reconcile()
    target.fake.forget_calls()

    job = target.reconcile()

    assert target.fake.writes == []
    assert (job.status, job.details["drift"]) == (JobStatus.SUCCEEDED, [])


def test_an_unchanged_sync_costs_one_read_call(target: Target) -> None:
    job = target.reconcile()

    assert [call.is_write for call in target.fake.calls] == [False]
    assert (job.status, job.unchanged_count) == (JobStatus.SUCCEEDED, 2)
