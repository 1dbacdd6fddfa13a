"""The ledger: what we last wrote where. Keyed fingerprints, versions and the provider's stamps; no values."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ColumnElement, ForeignKey, Index, String, delete, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from shared.db.base import Base
from shared.db.syncs import Sync
from shared.plan import Desired, Written


class LedgerEntry(Base):
    """One key of one destination that a sync writes.

    It stands here before the key is first written, without a fingerprint: if the outcome of that write is
    never learnt, the key is still known to be ours. Where somebody else had put the key there first, the
    stamp is then a mark of what it held before: as long as it does, it is not ours.
    """

    __tablename__ = "ledger"
    sync_id: Mapped[UUID] = mapped_column(ForeignKey("syncs.id", ondelete="CASCADE"), primary_key=True)
    destination_key: Mapped[str] = mapped_column(String(64), primary_key=True)
    key: Mapped[str] = mapped_column(String(512), primary_key=True)
    source_key: Mapped[str] = mapped_column(String(255))
    fingerprint: Mapped[str | None] = mapped_column(String(64))
    secret_version: Mapped[int]
    stamp: Mapped[str | None] = mapped_column(String(255))
    confirmed_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ix_ledger_destination_key_key", "destination_key", "key"),
        CheckConstraint("(fingerprint IS NULL) = (confirmed_at IS NULL)", name="confirmed_has_fingerprint"),
    )


def read(session: Session, sync_id: UUID, destination_key: str) -> dict[str, Written]:
    """Return what the sync wrote at that destination, by key."""
    rows = session.scalars(select(LedgerEntry).where(_of(sync_id, destination_key)))
    return {row.key: Written(row.key, row.fingerprint, row.secret_version, row.stamp) for row in rows}


def confirmed_by_sync(
    session: Session, sync_ids: Iterable[UUID], *, source_key: str | None = None
) -> Mapping[UUID, Sequence[LedgerEntry]]:
    """Return what the destination of each of these syncs is known to hold, by key, in one query.

    With *source_key* that secret alone.
    """
    query = (
        select(LedgerEntry)
        .join(Sync, Sync.id == LedgerEntry.sync_id)
        .where(Sync.id.in_(list(sync_ids)), LedgerEntry.destination_key == Sync.destination_key)
        .where(LedgerEntry.confirmed_at.is_not(None))
    )
    if source_key is not None:
        query = query.where(LedgerEntry.source_key == source_key)
    found: dict[UUID, list[LedgerEntry]] = {}
    for row in session.scalars(query.order_by(LedgerEntry.key)):
        found.setdefault(row.sync_id, []).append(row)
    return found


def keys_of_others(session: Session, sync_id: UUID, destination_key: str) -> Sequence[tuple[UUID, str]]:
    """Return the keys of that destination that other syncs wrote, each with the sync that did."""
    found = session.execute(
        select(LedgerEntry.sync_id, LedgerEntry.key)
        # A sync that has moved on to another destination writes here no more.
        .join(Sync, Sync.id == LedgerEntry.sync_id)
        .where(Sync.destination_key == destination_key)
        .where(LedgerEntry.destination_key == destination_key, LedgerEntry.sync_id != sync_id)
    )
    return [(owner, key) for owner, key in found]


def intend(
    session: Session,
    sync_id: UUID,
    destination_key: str,
    desired: Iterable[Desired],
    *,
    before: Mapping[str, str],
) -> None:
    """Note, before they are written, that these keys are ours and what they hold is not known for now.

    *before* are the marks of those that are somebody else's until they are written.
    """
    wanted = list(desired)
    rows = session.scalars(select(LedgerEntry).where(_of(sync_id, destination_key)))
    known = {row.key: row for row in rows}
    for entry in wanted:
        if entry.key in known:
            row = known[entry.key]
            row.fingerprint = row.confirmed_at = None
            row.stamp = before.get(entry.key, row.stamp)
    session.add_all(
        LedgerEntry(
            sync_id=sync_id,
            destination_key=destination_key,
            key=entry.key,
            source_key=entry.source_key,
            secret_version=entry.version,
            stamp=before.get(entry.key),
        )
        for entry in wanted
        if entry.key not in known
    )


def confirm(
    session: Session,
    sync_id: UUID,
    destination_key: str,
    desired: Iterable[Desired],
    *,
    fingerprints: Mapping[str, str],
    stamps: Mapping[str, str | None],
    now: datetime,
) -> None:
    """Note that the destination holds *desired*, under the stamps the provider gave."""
    rows = {row.key: row for row in session.scalars(select(LedgerEntry).where(_of(sync_id, destination_key)))}
    for entry in desired:
        row = rows.get(entry.key)
        if row is None:
            row = LedgerEntry(sync_id=sync_id, destination_key=destination_key, key=entry.key)
            session.add(row)
        row.source_key = entry.source_key
        row.fingerprint = fingerprints[entry.key]
        row.secret_version = entry.version
        row.stamp = stamps.get(entry.key)
        row.confirmed_at = now


def forget(session: Session, sync_id: UUID, destination_key: str, keys: Iterable[str]) -> None:
    """Remove *keys*: the destination no longer holds them."""
    gone = list(keys)
    if gone:
        session.execute(delete(LedgerEntry).where(_of(sync_id, destination_key), LedgerEntry.key.in_(gone)))


def hand_over(session: Session, from_sync: UUID, to_sync: UUID, destination_key: str) -> None:
    """Make what one sync wrote at a destination another one's."""
    session.execute(update(LedgerEntry).where(_of(from_sync, destination_key)).values(sync_id=to_sync))


def _of(sync_id: UUID, destination_key: str) -> ColumnElement[bool]:
    return (LedgerEntry.sync_id == sync_id) & (LedgerEntry.destination_key == destination_key)
