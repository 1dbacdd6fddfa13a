"""What our side knows before a plan is made: the source, the ledger, and who else writes there."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy.orm import Session

from shared.crypto import DataKey
from shared.db import ledger, syncs
from shared.db.syncs import Sync
from shared.db.vault import Environment, Folder, Project
from shared.errors import SourceMissing
from shared.plan import Desired, Plan, Scope, Written, build_plan
from shared.providers.base import Destination, Pulled
from shared.runtime import Runtime
from shared.sync_options import InitialBehavior, SyncOptions
from shared.usecases.places import Place
from shared.usecases.source import Source, read_source


@dataclass(frozen=True)
class View:
    """What our side knows, in one consistent state: the source, the ledger, and who else writes there."""

    place: Place
    data_key: DataKey
    source: Source
    desired: Sequence[Desired]
    written: Mapping[str, Written]
    foreign: frozenset[str]
    spared: frozenset[str]
    options: SyncOptions

    def plan(self, pulled: Pulled, destination: Destination) -> Plan:
        """Return what has to change so that the destination holds the source."""
        scope = Scope(
            covers=self.covers,
            refuses=destination.refuses,
            foreign=self.foreign,
            spared=self.spared,
            may_delete=not self.options.disable_secret_deletion,
            delete_unmanaged=self.options.delete_unmanaged,
            list_is_complete=pulled.incomplete is None,
        )
        return build_plan(
            self.desired, pulled.remotes, self.written, scope=scope, fingerprint=self.data_key.fingerprint
        )

    def covers(self, remote_key: str) -> bool:
        """Is that destination key this sync's business?"""
        key = self.options.parsed_key_schema.strip(remote_key, self.place.environment.slug)
        return key is not None and self.options.covers(key)


def read_view(runtime: Runtime, session: Session, sync: Sync) -> View:
    """Read the source and the ledger. Raises ``SourceMissing``, ``SourceUnreadable``."""
    options = sync.options
    place = source_place(session, sync)
    data_key = runtime.data_key(place.project.data_key)
    source = read_source(session, data_key, place, recursive=options.recursive)
    schema, environment = options.parsed_key_schema, place.environment.slug
    desired = [
        Desired(schema.apply(key, environment), secret.value, secret.version, key)
        for key, secret in source.secrets.items()
        if options.covers(key)
    ]
    return View(
        place=place,
        data_key=data_key,
        source=source,
        desired=desired,
        written=ledger.read(session, sync.id, sync.destination_key),
        spared=_spared(sync, options, data_key, desired),
        foreign=foreign_keys(session, sync),
        options=options,
    )


def _spared(
    sync: Sync, options: SyncOptions, data_key: DataKey, desired: Sequence[Desired]
) -> frozenset[str]:
    """Return the keys that an import had to leave behind and nobody has given another value since.

    An empty value is none: what could not be read is not replaced by nothing. Where the sync is to overwrite
    what it finds, any other value will do.
    """
    then = sync.spared_keys
    overwrites = options.initial_sync_behavior is InitialBehavior.OVERWRITE
    full = [entry for entry in desired if entry.key in then and entry.value]
    given = {
        entry.key for entry in full if overwrites or data_key.fingerprint(entry.value) != then[entry.key]
    }
    return frozenset(then.keys() - given)


def foreign_keys(session: Session, sync: Sync) -> frozenset[str]:
    """Return the keys of the sync's destination that other syncs write.

    A sync that was given another key schema has given up what only the former one produced.
    """
    writes = {other.id: _scope_of(session, other) for other in syncs.syncs_at(session, sync.destination_key)}
    written = ledger.keys_of_others(session, sync.id, sync.destination_key)
    return frozenset(key for owner, key in written if writes[owner](key))


def _scope_of(session: Session, sync: Sync) -> Callable[[str], bool]:
    """Return the test for the keys that the key schema of *sync* can produce now."""
    environment = session.get(Environment, sync.environment_id) if sync.environment_id else None
    if environment is None:
        return lambda key: True
    schema = sync.options.parsed_key_schema
    return partial(schema.matches, environment=environment.slug)


def source_place(session: Session, sync: Sync) -> Place:
    """Return the folder that the sync reads. Raises ``SourceMissing`` once it was deleted."""
    folder = session.get(Folder, sync.folder_id) if sync.folder_id else None
    environment = session.get(Environment, folder.environment_id) if folder else None
    project = session.get(Project, environment.project_id) if environment else None
    if folder is None or environment is None or project is None:
        raise SourceMissing
    return Place(project, environment, folder)
