"""Everything at once, by many threads on a real database: nothing locks up, nothing is lost."""

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from shared.db import jobs
from shared.db.jobs import Job, JobStatus, Kind
from shared.db.syncs import Status
from shared.errors import KeytideError
from shared.providers.railway import RailwayDestination
from shared.usecases import syncs
from shared.usecases.connections import update_connection
from shared.usecases.dispatch import dispatch
from shared.usecases.edit_secrets import Draft, update_secrets
from shared.usecases.folders import delete_folder, find_folder, get_folder, update_folder
from shared.usecases.move_secrets import Spot, move_secrets
from shared.usecases.read_secrets import Detail, get_secret, list_secrets
from shared.usecases.reconcile import reconcile_due
from shared.usecases.sweep import sweep
from tests.fakes.service import Fail
from tests.shared.usecases.world import ACTOR, PROVIDER, World, carry_out, together

THREADS = 5
STEPS = 30
KEYS = ("A", "B", "C", "D")
SERVICES = ("svc-web", "svc-worker", None)


class Person:
    """Does one thing after another, all of them allowed, none of them coordinated."""

    def __init__(self, world: World, calm: threading.Event, seed: int) -> None:
        self.world = world
        self.calm = calm
        self.rng = random.Random(seed)
        self.problems: list[str] = []

    def run(self) -> None:
        """Take the steps. Being refused is part of life, anything else is a problem."""
        steps = self.steps()
        for _ in range(STEPS):
            step = self.rng.choice(steps)
            try:
                step()
            except KeytideError:
                pass
            except Exception as error:
                self.problems.append(f"{step.__name__}: {error!r}")

    def steps(self) -> list[Callable[[], object]]:
        busy = [self.edit, self.work, self.work, self.work, self.hear_of_changes]
        return [
            *busy,
            *busy,
            self.create_sync,
            self.change_sync,
            self.pause_or_resume,
            self.delete_sync,
            self.trigger,
            self.renew_credentials,
            self.move_folder,
            self.sweep,
            self.reconcile,
            self.prune,
            self.break_provider,
        ]

    def edit(self) -> None:
        keys = self.rng.sample(KEYS, k=2)
        drafts = [Draft(key, SecretStr(str(self.rng.random()))) for key in keys]
        world = self.world
        path = self.rng.choice(["/", "/base"])
        update_secrets(
            world.runtime, world.project_id, "production", path, drafts, actor=ACTOR, create_missing=True
        )

    def work(self) -> None:
        try:
            hint = self.world.broker.sent.pop()
        except IndexError:
            return
        carry_out(self.world.runtime, hint)

    def hear_of_changes(self) -> None:
        dispatch(self.world.runtime)

    def create_sync(self) -> None:
        name = f"sync {self.rng.randrange(4)}"
        self.world.sync(name, service=self.rng.choice(SERVICES), path=self.rng.choice(["/", "/", "/stray"]))

    def change_sync(self) -> None:
        change: dict[str, Any] = {"destination_config": self.world.config(self.rng.choice(SERVICES))}
        if self.rng.random() < 0.5:
            change = {"sync_options": self.world.options(redeploy=self.rng.choice(["never", "after-change"]))}
        self.world.change(self.any_sync(), **change)

    def pause_or_resume(self) -> None:
        self.world.change(self.any_sync(), is_paused=self.rng.random() < 0.5)

    def delete_sync(self) -> None:
        self.world.delete(self.any_sync(), remove_secrets=self.rng.random() < 0.5)

    def trigger(self) -> None:
        self.world.trigger(self.any_sync(), self.rng.choice([Kind.SYNC, Kind.SYNC, Kind.REMOVE]))

    def renew_credentials(self) -> None:
        world = self.world
        update_connection(
            world.runtime, PROVIDER, world.connection_id, credentials={"apiToken": "demo-account-token"}
        )

    def move_folder(self) -> None:
        folder_id = self.world.folder("stray")
        self.world.put(path="/stray", A="1")
        delete_folder(self.world.runtime, folder_id)

    def sweep(self) -> None:
        self.world.clock.advance(seconds=1)
        sweep(self.world.runtime)

    def reconcile(self) -> None:
        self.world.clock.advance(seconds=1)
        reconcile_due(self.world.runtime)

    def prune(self) -> None:
        with self.world.runtime.database.transaction() as session:
            jobs.delete_finished_before(session, self.world.clock.now)

    def break_provider(self) -> None:
        self.world.railway.fail_next(Fail(503), where=lambda request: not self.calm.is_set())

    def any_sync(self) -> Any:
        found = self.world.sync_ids()
        return self.rng.choice(found) if found else self.world.project_id


@contextmanager
def counted_writers(patch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """Yield how many were ever writing to a destination at once, at most."""
    most: Counter[str] = Counter()
    writing: Counter[str] = Counter()
    original = RailwayDestination.push

    def push(self: RailwayDestination, batch: Any) -> Any:
        where = self._config.identity()
        writing[where] += 1
        most[where] = max(most[where], writing[where])
        try:
            return original(self, batch)
        finally:
            writing[where] -= 1

    with patch.context() as patched:
        patched.setattr(RailwayDestination, "push", push)
        yield most


def settle(world: World) -> None:
    """Let everything go on, and time pass until nothing is left to do."""
    for view in syncs.list_syncs(world.runtime, world.project_id):
        if view.folder is not None and view.sync.remove_status is None:
            world.change(view.sync.id, is_paused=False, is_auto_sync_enabled=True)
    for _ in range(12):
        world.later(400)


def unfinished(world: World) -> list[tuple[str, str]]:
    with world.runtime.database.snapshot() as session:
        query = select(Job.kind, Job.status).where(Job.status.in_([JobStatus.QUEUED, JobStatus.RUNNING]))
        return [(kind, status) for kind, status in session.execute(query)]


def vault(world: World) -> dict[str, str]:
    """Return what the root folder shows: its own secrets, and below them what it imports."""
    listing = list_secrets(world.runtime, world.project_id, "production", "/", Detail(imports=True))
    views = [*(view for shown in listing.imports for view in shown.secrets), *listing.secrets]
    return {view.key: view.value.get_secret_value() for view in views if view.value is not None}


@pytest.mark.parametrize("seed", range(2))
def test_many_at_once_neither_lock_up_nor_lose_anything(
    world: World, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put(ANCHOR="1", A="0")
    world.folder("base")
    world.show("/base")
    world.sync("sync 0")
    world.sync("sync 1", service="svc-worker")
    calm = threading.Event()
    people = [Person(world, calm, seed * 100 + number) for number in range(THREADS)]

    with counted_writers(monkeypatch) as most_writers:
        together([person.run for person in people])
    calm.set()
    settle(world)

    assert [problem for person in people for problem in person.problems] == []
    assert set(most_writers.values()) <= {1}
    assert unfinished(world) == []
    for view in syncs.list_syncs(world.runtime, world.project_id):
        if view.folder is not None and view.folder.path == "/" and view.sync.remove_status is None:
            service = view.sync.destination_config.get("serviceId", "shared")
            assert (view.sync.sync_status, view.sync.last_sync_message) == (Status.SUCCEEDED, None)
            assert world.held(service) == vault(world)
    assert world.railway.violations == []


def test_renames_of_a_folder_and_of_one_below_it_both_count(world: World) -> None:
    top, below = world.folder("a"), world.folder("b", parent="/a")

    for number in range(5):
        names = (f"x{number}", f"y{number}")
        together(
            [
                lambda names=names: update_folder(world.runtime, top, name=names[0]),
                lambda names=names: update_folder(world.runtime, below, name=names[1]),
            ]
        )

        folder = get_folder(world.runtime, below).folder
        assert (folder.name, folder.path) == (names[1], "/{}/{}".format(*names))


def test_edits_moves_and_renames_never_wait_for_each_other_in_a_circle(world: World) -> None:
    names = "abc"
    ids = [world.folder(name, parent="/p") for name in names]
    top = folder_at(world, "/p")
    for name in names:
        world.put(path=f"/p/{name}", A="1")
    faults: list[BaseException] = []

    def edit(rng: random.Random) -> None:
        above = rng.choice("pq")
        drafts = [Draft("A", SecretStr("2"), path=f"/{above}/{name}") for name in rng.sample(names, 2)]
        update_secrets(
            world.runtime, world.project_id, "production", "/", drafts, actor=ACTOR, create_missing=True
        )

    def move(rng: random.Random) -> None:
        above = rng.choice("pq")
        source, destination = (Spot("production", f"/{above}/{name}") for name in rng.sample(names, 2))
        secret = get_secret(
            world.runtime, world.project_id, "production", source.path, "A", detail=Detail(values=False)
        )
        move_secrets(
            world.runtime,
            world.project_id,
            [secret.id],
            source=source,
            destination=destination,
            overwrite=True,
            actor=ACTOR,
        )

    def rename(rng: random.Random) -> None:
        update_folder(world.runtime, top, name=rng.choice("pq"))

    def rename_below(rng: random.Random) -> None:
        number = rng.randrange(len(names))
        update_folder(world.runtime, ids[number], name=names[number] + rng.choice(["", "x"]))

    def often(action: Callable[[random.Random], None], seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(60):
            try:
                with suppress(KeytideError):
                    action(rng)
            except Exception as fault:
                faults.append(fault)

    actions = [edit, edit, move, move, rename, rename_below]
    together([partial(often, action, seed) for seed, action in enumerate(actions)])

    assert faults == []


def folder_at(world: World, path: str) -> UUID:
    return find_folder(world.runtime, world.project_id, environment="production", path=path).folder.id
