"""The people of the simulated world: they edit, change their minds, and touch destinations by hand."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from pydantic import SecretStr
from sqlalchemy import update

from shared.db.connections import Connection
from shared.db.jobs import Kind
from shared.db.vault import Secret
from shared.errors import InputError, KeytideError
from shared.runtime import Runtime
from shared.sync_options import SyncOptions
from shared.usecases import connections, edit_secrets, folders, syncs
from shared.usecases.edit_secrets import Draft
from shared.usecases.syncs import SyncChanges, SyncDraft
from tests.fakes.flyio import FakeFlyio
from tests.fakes.netlify import FakeNetlify
from tests.fakes.railway import FakeRailway
from tests.fakes.service import FakeService
from tests.simulation.database import RolledBack, SimulatedDatabase, rows
from tests.simulation.kernel import Kernel
from tests.simulation.oracle import Folder
from tests.simulation.promises import Watch
from tests.simulation.targets import CREDENTIALS, Target, at

#: Its secrets are referred to, and refer to nothing.
SHARED: Folder = ("production", "/shared")
FOLDERS: tuple[Folder, ...] = (
    ("production", "/"),
    ("production", "/web"),
    SHARED,
    ("staging", "/"),
)
#: Where most edits are made.
BUSY_FOLDERS = (*[("production", "/")] * 8, *FOLDERS)
KEYS = ("ALPHA", "BETA", "GAMMA", "DELTA", "EPSILON")
SCHEMAS = (None, "APP_{{secretKey}}", "WEB_{{secretKey}}")


@dataclass
class People:
    """What people can do. New syncs write to one of *targets*: the fewer, the more they meet."""

    kernel: Kernel
    runtime: Runtime
    database: SimulatedDatabase
    watch: Watch
    services: Mapping[str, FakeService]
    project_id: UUID
    targets: Sequence[Target]
    causes_drift: bool
    connections: dict[str, UUID] = field(default_factory=dict)
    tokens: dict[str, Any] = field(default_factory=dict)
    _minted: int = 0
    _named: int = 0

    def act(self) -> None:
        """Do one thing or another. Being refused is part of life."""
        rng = self.kernel.rng
        actions = list(self._actions())
        action = rng.choices([each for each, _ in actions], [weight for _, weight in actions])[0]
        self.kernel.note(action.__name__)
        try:
            action()
        except (KeytideError, RolledBack) as refused:
            self.kernel.note(f"is refused: {type(refused).__name__}")

    def _actions(self) -> list[tuple[Callable[[], None], int]]:
        return [
            (self.edit_secret, 30),
            (self.delete_secret, 14),
            (self.rename_secret, 6),
            (self.change_mind, 6),
            (self.pause_or_resume, 8),
            (self.toggle_auto_sync, 4),
            (self.retarget, 5),
            (self.change_options, 4),
            (self.change_source, 2),
            (self.create_sync, 6),
            (self.delete_sync, 4),
            (self.trigger, 6),
            (self.add_import, 3),
            (self.drop_import, 2),
            (self.write_by_hand, 8 * self.causes_drift),
            (self.delete_by_hand, 4 * self.causes_drift),
            (self.spoil_secret, 2 * self.causes_drift),
            (self.revoke_credentials, 2),
            (self.renew_credentials, 3),
            (self.refuse_key, 1),
        ]

    # --- secrets ---------------------------------------------------------------------------------------

    def edit_secret(self) -> None:
        rng = self.kernel.rng
        keys = rng.sample(KEYS, rng.choice((1, 1, 2, 5)))
        folder = rng.choice(BUSY_FOLDERS)
        self._update(folder, [self._draft(key, folder) for key in keys])

    def delete_secret(self) -> None:
        self._delete(self.kernel.rng.sample(KEYS, self.kernel.rng.choice((1, 1, 2))))

    def rename_secret(self) -> None:
        old, new = self.kernel.rng.sample(KEYS, 2)
        environment, path = self.kernel.rng.choice(FOLDERS)
        edit_secrets.update_secrets(
            self.runtime, self.project_id, environment, path, [Draft(old, new_key=new)], actor="ann"
        )

    def change_mind(self) -> None:
        """Begin an edit that is rolled back."""
        rng = self.kernel.rng
        if rng.random() < 0.3:
            self._delete([rng.choice(KEYS)], in_vain=True)
            return
        text = self._mint()
        self.watch.minted_in_vain.add(text)
        self._update(rng.choice(FOLDERS), [Draft(rng.choice(KEYS), SecretStr(text))], in_vain=True)

    def spoil_secret(self) -> None:
        """Damage a stored value so that it cannot be decrypted any more."""
        found = rows("SELECT id FROM secrets ORDER BY created_at, key")
        if found:
            chosen = UUID(self.kernel.rng.choice(found)["id"])
            with self.database.transaction() as session:
                session.execute(update(Secret).where(Secret.id == chosen).values(value=b"damaged" * 5))

    def _update(self, folder: Folder, drafts: list[Draft], *, in_vain: bool = False) -> None:
        with self._maybe_in_vain(in_vain):
            edit_secrets.update_secrets(
                self.runtime, self.project_id, *folder, drafts, actor="ann", create_missing=True
            )

    def _delete(self, keys: list[str], *, in_vain: bool = False) -> None:
        with self._maybe_in_vain(in_vain):
            edit_secrets.delete_secrets(
                self.runtime, self.project_id, *self.kernel.rng.choice(BUSY_FOLDERS), keys, actor="ann"
            )

    def _maybe_in_vain(self, in_vain: bool) -> AbstractContextManager[None]:
        return self.database.doomed() if in_vain else nullcontext()

    def _mint(self) -> str:
        """Return a value that nothing else ever had."""
        self._minted += 1
        return f"<{self._minted}>"

    def _draft(self, key: str, folder: Folder) -> Draft:
        """Return a new value for *key*, now and then with a reference inside."""
        text, chance = self._mint(), self.kernel.rng.random()
        if folder != SHARED and chance < 0.06:
            text += f"${{production.shared.{key}}}"
        elif folder != SHARED and key != KEYS[0] and chance < 0.12:
            text += f"${{{KEYS[0]}}}"
        return Draft(key, SecretStr(text))

    # --- imports ---------------------------------------------------------------------------------------

    def add_import(self) -> None:
        (environment, path), (shown, shown_path) = self.kernel.rng.sample(FOLDERS, 2)
        folders.create_import(
            self.runtime,
            self.project_id,
            environment=environment,
            path=path,
            imported_environment=shown,
            imported_path=shown_path,
        )

    def drop_import(self) -> None:
        environment, path = self.kernel.rng.choice(FOLDERS)
        found = folders.list_imports(self.runtime, self.project_id, environment=environment, path=path)
        if found:
            folders.delete_import(
                self.runtime, self.project_id, found[0].row.id, environment=environment, path=path
            )

    # --- syncs -----------------------------------------------------------------------------------------

    def create_sync(self) -> None:
        target = self.kernel.rng.choice(self.targets)
        environment, path = self.kernel.rng.choice(BUSY_FOLDERS)
        self._named += 1
        syncs.create_sync(
            self.runtime,
            SyncDraft(
                destination=target.service,
                name=f"sync-{self._named}",
                project_id=self.project_id,
                connection_id=self.connections[target.service],
                environment=environment,
                secret_path=path,
                destination_config=target.config,
                sync_options=self._options(),
            ),
        )

    def delete_sync(self) -> None:
        sync_id, service = self._some_sync()
        syncs.delete_sync(self.runtime, service, sync_id, remove_secrets=self.kernel.rng.random() < 0.6)

    def pause_or_resume(self) -> None:
        sync_id, service = self._some_sync(self.kernel.rng.choice(("1", "is_paused")))
        paused = syncs.get_sync(self.runtime, service, sync_id).sync.is_paused
        syncs.update_sync(self.runtime, service, sync_id, SyncChanges(is_paused=not paused))

    def toggle_auto_sync(self) -> None:
        sync_id, service = self._some_sync(
            "NOT is_auto_sync_enabled" if self.kernel.rng.random() < 0.5 else "1"
        )
        auto = syncs.get_sync(self.runtime, service, sync_id).sync.is_auto_sync_enabled
        syncs.update_sync(self.runtime, service, sync_id, SyncChanges(is_auto_sync_enabled=not auto))

    def retarget(self) -> None:
        sync_id, service = self._some_sync()
        config = self.kernel.rng.choice(at(service)).config
        syncs.update_sync(self.runtime, service, sync_id, SyncChanges(destination_config=config))

    def change_options(self) -> None:
        sync_id, service = self._some_sync()
        syncs.update_sync(self.runtime, service, sync_id, SyncChanges(sync_options=self._options()))

    def change_source(self) -> None:
        sync_id, service = self._some_sync()
        environment, path = self.kernel.rng.choice(FOLDERS)
        changes = SyncChanges(environment=environment, secret_path=path)
        syncs.update_sync(self.runtime, service, sync_id, changes)

    def trigger(self) -> None:
        sync_id, service = self._some_sync()
        syncs.trigger(self.runtime, service, sync_id, Kind.SYNC)

    def _options(self) -> SyncOptions:
        rng = self.kernel.rng
        return SyncOptions.model_validate(
            {
                "initialSyncBehavior": "overwrite-destination",
                "keySchema": rng.choice(SCHEMAS),
                "disableSecretDeletion": rng.random() < 0.1,
                "deleteUnmanaged": rng.random() < 0.8,
                "redeploy": rng.choice(("never", "never", "after-change")),
            }
        )

    def _some_sync(self, condition: str = "1") -> tuple[UUID, str]:
        found = rows(f"SELECT id, destination FROM syncs WHERE {condition} ORDER BY name")
        if not found:
            raise InputError
        chosen = self.kernel.rng.choice(found)
        return UUID(chosen["id"]), chosen["destination"]

    # --- credentials -----------------------------------------------------------------------------------

    def revoke_credentials(self) -> None:
        name = self.kernel.rng.choice(sorted(CREDENTIALS))
        revoked = self._tokens_of(name).pop(CREDENTIALS[name][2], None)
        self.tokens[name] = revoked or self.tokens[name]

    def renew_credentials(self) -> None:
        self.renew(self.kernel.rng.choice(sorted(CREDENTIALS)))

    def renew_what_was_revoked(self) -> None:
        """Store new credentials where the old ones do not work any more, and nowhere else."""
        for name in sorted(self.tokens):
            if CREDENTIALS[name][2] not in self._tokens_of(name):
                self.renew(name)

    def renew(self, name: str) -> None:
        """Let the provider accept the token again, and store it again."""
        _, field_name, token = CREDENTIALS[name]
        if name in self.tokens:
            self._tokens_of(name)[token] = self.tokens[name]
        connections.update_connection(
            self.runtime, name, self.connections[name], credentials={field_name: token}
        )

    def _tokens_of(self, name: str) -> dict[str, Any]:
        service = self.services[name]
        assert isinstance(service, FakeRailway | FakeFlyio | FakeNetlify)
        tokens: dict[str, Any] = service.tokens
        return tokens

    def fill(self) -> None:
        """Give the folders that matter most every secret."""
        for folder in (SHARED, BUSY_FOLDERS[0]):
            self._update(folder, [Draft(key, SecretStr(self._mint())) for key in KEYS])

    def connect(self) -> None:
        """Store a connection for each service."""
        for name, (method, field_name, token) in CREDENTIALS.items():
            draft = connections.ConnectionDraft(name, name, method, {field_name: token})
            row: Connection = connections.create_connection(self.runtime, draft)
            self.connections[name] = row.id

    # --- at the destinations ---------------------------------------------------------------------------

    def write_by_hand(self) -> None:
        """Write a key at a destination: one of ours, one outside of everybody's schema, or a new one."""
        rng = self.kernel.rng
        target = rng.choice(self.targets)
        held = sorted(self.services[target.service].places()[target.place])
        key = rng.choice([*held, f"HAND_{rng.randrange(3)}", f"APP_HAND_{rng.randrange(2)}"])
        put(self.services[target.service], target.place, key, f"by hand {self._mint()}")
        self.kernel.note(f"writes {key} at {target}")
        self.watch.remember_states()

    def delete_by_hand(self) -> None:
        rng = self.kernel.rng
        target = rng.choice(self.targets)
        held = sorted(self.services[target.service].places()[target.place])
        if held:
            key = rng.choice(held)
            remove(self.services[target.service], target.place, key)
            self.kernel.note(f"deletes {key} at {target}")
            self.watch.remember_states()

    def discard_staged_changes(self) -> None:
        """Do in Railway's dashboard what a refused removal asks for."""
        railway = self.services["railway"]
        assert isinstance(railway, FakeRailway)
        for project in railway.projects.values():
            for environment in project.environments.values():
                environment.staged = {}

    def refuse_key(self) -> None:
        """Let a service refuse a key from now on, or accept all again."""
        service = self.services[self.kernel.rng.choice(sorted(self.services))]
        service.refused = set() if service.refused else {self.kernel.rng.choice(KEYS)}


def put(service: FakeService, place: str, key: str, value: str) -> None:
    """Write a variable as a person does in the service's own pages."""
    if isinstance(service, FakeNetlify):
        # A readable one would be in the way of a sync that keeps secrets there, and rightly so.
        service.put(place, {key: value}, is_secret=True)
    else:
        service.seed(place, {key: value})


def remove(service: FakeService, place: str, key: str) -> None:
    """Delete a variable as a person does in the service's own pages."""
    match service:
        case FakeRailway():
            service.variables[place].pop(key)
        case FakeFlyio():
            service.apps[place].secrets.pop(key)
            service.apps[place].version += 1
        case FakeNetlify():
            account, site, context = place.split("/", 2)
            held = service.variables[account, site][key]
            held["values"] = [value for value in held["values"] if value["context"] != context]
            if not held["values"]:
                del service.variables[account, site][key]
