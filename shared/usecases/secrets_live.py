"""Who has what: which version of a secret is live at which destination."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shared.db import ledger, syncs, vault
from shared.db.ledger import LedgerEntry
from shared.db.syncs import Sync
from shared.runtime import Runtime
from shared.usecases.dispatch import places_showing
from shared.usecases.places import find_place


@dataclass(frozen=True, slots=True)
class Live:
    """A key at a destination. ``version`` and ``confirmed_at`` are of the last confirmed write there.

    ``is_current`` tells whether that is the secret's present version; None if it no longer exists.
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
    """Return where the secrets of a folder are live, through whichever folder or import they got there."""
    with runtime.database.snapshot() as session:
        place = find_place(session, project_id, environment, path)
        present = {row.key: row.version for row in vault.list_secrets(session, place.folder.id)}
        showing = places_showing(session, project_id, {(place.environment.slug, place.folder.path)})
        rows = syncs.syncs_of(session, project_id, showing)
        held = ledger.confirmed_by_sync(session, [sync.id for sync in rows], source_key=key)
    return [live for sync in rows for live in _live(sync, held.get(sync.id, ()), present)]


def _live(sync: Sync, entries: Sequence[LedgerEntry], present: dict[str, int]) -> list[Live]:
    return [
        Live(
            sync=sync,
            key=entry.key,
            source_key=entry.source_key,
            version=entry.secret_version,
            confirmed_at=entry.confirmed_at,
            is_current=present[entry.source_key] == entry.secret_version
            if entry.source_key in present
            else None,
        )
        for entry in entries
        if entry.confirmed_at is not None
    ]
