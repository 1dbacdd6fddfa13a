"""People who look after the syncs: they create, change, pause, move, trigger, approve and delete them."""

from uuid import UUID

from shared.db.jobs import Kind
from shared.sync_options import InitialBehavior, SyncOptions
from shared.usecases import syncs
from shared.usecases.syncs import SyncChanges, SyncDraft
from tests.simulation.database import rows
from tests.simulation.editors import BUSY_FOLDERS, FOLDERS, WEB
from tests.simulation.person import Person
from tests.simulation.promises import asked_hash
from tests.simulation.targets import Target, at

SCHEMAS = (None, None, "APP_{{secretKey}}", "WEB_{{secretKey}}", "{{environment}}_{{secretKey}}")
IMPORTING = (InitialBehavior.IMPORT_PRIORITIZE_SOURCE, InitialBehavior.IMPORT_PRIORITIZE_DESTINATION)


class Operator(Person):
    """Changes what is synced where."""

    def create_sync(self) -> None:
        rng = self.kernel.rng
        target = rng.choice(self.targets)
        environment, path = rng.choice(BUSY_FOLDERS)
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
                sync_options=self._options(target, recursive=(environment, path) == WEB),
            ),
        )

    def delete_sync(self) -> None:
        sync_id, service = self.some_sync()
        syncs.delete_sync(self.runtime, service, sync_id, remove_secrets=self.kernel.rng.random() < 0.6)

    def pause_or_resume(self) -> None:
        sync_id, service = self.some_sync(self.kernel.rng.choice(("1", "is_paused")))
        paused = syncs.get_sync(self.runtime, service, sync_id).sync.is_paused
        syncs.update_sync(self.runtime, service, sync_id, SyncChanges(is_paused=not paused))

    def toggle_auto_sync(self) -> None:
        sync_id, service = self.some_sync(
            "NOT is_auto_sync_enabled" if self.kernel.rng.random() < 0.5 else "1"
        )
        auto = syncs.get_sync(self.runtime, service, sync_id).sync.is_auto_sync_enabled
        syncs.update_sync(self.runtime, service, sync_id, SyncChanges(is_auto_sync_enabled=not auto))

    def retarget(self) -> None:
        rng = self.kernel.rng
        sync_id, service = self.some_sync()
        config = rng.choice(at(service)).config
        changes = SyncChanges(destination_config=config, remove_secrets=rng.random() < 0.5)
        syncs.update_sync(self.runtime, service, sync_id, changes)

    def change_options(self) -> None:
        sync_id, service = self.some_sync()
        options = self._options(self.kernel.rng.choice(at(service)), recursive=True)
        syncs.update_sync(self.runtime, service, sync_id, SyncChanges(sync_options=options))

    def change_source(self) -> None:
        sync_id, service = self.some_sync()
        environment, path = self.kernel.rng.choice(FOLDERS)
        changes = SyncChanges(environment=environment, secret_path=path)
        syncs.update_sync(self.runtime, service, sync_id, changes)

    def trigger(self) -> None:
        sync_id, service = self.some_sync()
        syncs.trigger(self.runtime, service, sync_id, Kind.SYNC)

    def import_by_hand(self) -> None:
        sync_id, service = self.some_sync()
        options = {"importBehavior": self.kernel.rng.choice(IMPORTING).value}
        syncs.trigger(self.runtime, service, sync_id, Kind.IMPORT, options=options)

    def remove_by_hand(self) -> None:
        """Let a sync remove what it wrote. It goes on to exist, and its next run brings all of it back."""
        sync_id, service = self.some_sync()
        syncs.trigger(self.runtime, service, sync_id, Kind.REMOVE)

    def approve(self) -> None:
        """Approve a plan that was blocked, whatever happened since."""
        sync_id, service = self.some_sync("last_sync_message LIKE '%approvePlan=%'")
        [row] = rows("SELECT last_sync_message FROM syncs WHERE id = ?", sync_id.hex)
        self.approve_plan(sync_id, service, asked_hash(row["last_sync_message"]))

    def approve_plan(self, sync_id: UUID, service: str, plan_hash: str) -> None:
        """Let the sync carry out the plan with that hash."""
        options = {"approvePlan": plan_hash}
        syncs.trigger(self.runtime, service, sync_id, Kind.SYNC, options=options)

    def _options(self, target: Target, *, recursive: bool) -> SyncOptions:
        rng = self.kernel.rng
        behavior = InitialBehavior.OVERWRITE
        if target.can_be_imported and rng.random() < 0.6:
            behavior = rng.choice(IMPORTING)
        return SyncOptions.model_validate(
            {
                "initialSyncBehavior": behavior,
                "keySchema": rng.choice(SCHEMAS),
                "disableSecretDeletion": rng.random() < 0.1,
                "deleteUnmanaged": rng.random() < 0.8,
                "deletionLimitPercent": rng.choice((30, 30, 30, 0, 100)),
                "redeploy": rng.choice(("never", "never", "after-change")),
                "reconcileMode": rng.choice(("repair", "repair", "repair", "report", "off")),
                "excludeKeys": rng.choice(((), (), ("GAMMA", "*ETA"))),
                "recursive": recursive and behavior is InitialBehavior.OVERWRITE and rng.random() < 0.6,
            }
        )
