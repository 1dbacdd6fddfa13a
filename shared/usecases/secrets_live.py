"""Who has what: which version of a secret is live at which destination."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from shared.db import ledger, syncs
from shared.db.ledger import LedgerEntry
from shared.db.syncs import Sync
from shared.references import Address
from shared.runtime import Runtime
from shared.usecases.dispatch import places_showing
from shared.usecases.places import find_place
from shared.usecases.source import VaultReader, shown_by
from shared.usecases.view import source_place


@dataclass(frozen=True, slots=True)
class Live:
    """A key at a destination. ``version`` and ``confirmed_at`` are of the last confirmed write there.

    ``is_current`` tells whether that is the secret's present version; None if the sync shows no such secret
    any more.
    """

    sync: Sync
    key: str
    source_key: str
    version: int
    confirmed_at: datetime
    is_current: bool | None


def secrets_live(
    runtime: Runtime, project_id: UUID, environment: str, path: str, *, key: str | None = None
) -> list[Live]:
    """Return where the secrets of a folder are live, through whichever folder or import they got there.

    A key that a sync shows from another folder is that folder's. What is shown no more, but not yet removed,
    may have been any of theirs.
    """
    with runtime.database.snapshot() as session:
        place = find_place(session, project_id, environment, path)
        here = (place.environment.slug, place.folder.path)
        rows = syncs.syncs_of(session, project_id, places_showing(session, project_id, {here}))
        held = ledger.confirmed_by_sync(session, [sync.id for sync in rows], source_key=key)
        reader = VaultReader(session, runtime.data_key(place.project.data_key), place.project)
        sources = {(sync.folder_id, sync.is_recursive): sync for sync in rows}
        shown = {source: _shown(session, reader, sync) for source, sync in sources.items()}
        return [
            live
            for sync in rows
            for entry in held.get(sync.id, ())
            for live in _live(sync, entry, here, shown[sync.folder_id, sync.is_recursive], reader)
        ]


def _shown(session: Session, reader: VaultReader, sync: Sync) -> Mapping[str, Address]:
    shown, _ = shown_by(reader, source_place(session, sync), recursive=sync.is_recursive)
    return shown


def _live(
    sync: Sync,
    entry: LedgerEntry,
    here: tuple[str, str],
    shown: Mapping[str, Address],
    reader: VaultReader,
) -> Iterator[Live]:
    """Yield *entry* if it is of a secret that lies *here*, or may have lain here."""
    address = shown.get(entry.source_key)
    is_elsewhere = address is not None and (address.environment, address.path) != here
    if entry.confirmed_at is None or is_elsewhere:
        return
    yield Live(
        sync=sync,
        key=entry.key,
        source_key=entry.source_key,
        version=entry.secret_version,
        confirmed_at=entry.confirmed_at,
        is_current=entry.secret_version == reader.version(address) if address else None,
    )
