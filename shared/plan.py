"""What has to change at a destination, decided without touching it.

*Desired* (from the source) and *existing* (from ``Destination.pull()``) give a ``Plan``; the ledger says
what we wrote there before. Everything here is pure: no database, no network, no clock.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pydantic import SecretStr

from shared.errors import PlanBlocked

Fingerprint = Callable[[SecretStr], str]


@dataclass(frozen=True, slots=True)
class Desired:
    """A secret as the destination should hold it. ``key`` is the destination's name for it."""

    key: str
    value: SecretStr
    version: int
    source_key: str


@dataclass(frozen=True, slots=True)
class Remote:
    """What a destination holds under one key.

    ``value`` is None where the provider does not show it. ``stamp`` is the provider's own mark of this
    state: another stamp means somebody wrote since. ``handle`` is the adapter's own and opaque to us.
    ``locked`` says why the key is not ours to change (an integration owns it, it covers other environments).
    ``sealed``: somebody chose to hide this value for good, where others are shown.
    """

    key: str
    value: SecretStr | None
    stamp: str | None = None
    handle: object = field(default=None, repr=False)
    locked: str | None = None
    sealed: bool = False


@dataclass(frozen=True, slots=True)
class Written:
    """What the ledger says about one key.

    ``fingerprint`` is None while a write is under way or its outcome was never learnt: the key is ours, its
    content is unknown. Where somebody else had put it there first, ``stamp`` is then its ``mark_of`` before
    our write, and as long as it fits the key is not ours.
    """

    key: str
    fingerprint: str | None
    version: int
    stamp: str | None


@dataclass(frozen=True, slots=True)
class Create:
    """Put a key where there is none."""

    key: str
    desired: Desired


@dataclass(frozen=True, slots=True)
class Update:
    """Give an existing key another value, in place."""

    key: str
    desired: Desired
    remote: Remote


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove a key."""

    key: str
    remote: Remote


Change = Create | Update | Delete


class Reason(StrEnum):
    """Why a key is left as it is although source and destination differ."""

    OTHER_SYNC = "another sync writes this key"
    OUT_OF_SCOPE = "it lies outside the scope of this sync"
    DELETION_DISABLED = "deletion is disabled"
    NOT_OURS = "this sync did not write it, and only its own keys are deleted"
    NOT_IMPORTED = "it was there first and could not be imported; another value in the vault replaces it"
    SEALED = "somebody sealed it at the provider, so nobody could bring it back"
    INCOMPLETE_LIST = "the provider did not show every key"


@dataclass(frozen=True, slots=True)
class Skip:
    """A key left alone. ``wanted``: the source has it, so the destination now lacks something."""

    key: str
    reason: str
    wanted: bool


@dataclass(frozen=True)
class Plan:
    """What a run will do. ``stamps`` are those of the unchanged keys.

    Of the keys that it deletes or empties, ``unmanaged`` are those that we did not write, and
    ``irretrievable`` those whose value nobody could bring back.
    Holds values only inside ``SecretStr``; ``hash`` and the key names may be shown.
    """

    creates: tuple[Create, ...] = ()
    updates: tuple[Update, ...] = ()
    deletes: tuple[Delete, ...] = ()
    unchanged: tuple[Desired, ...] = ()
    stamps: Mapping[str, str | None] = field(default_factory=dict)
    skipped: tuple[Skip, ...] = ()
    drift: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    blanked: tuple[str, ...] = ()
    unmanaged: tuple[str, ...] = ()
    irretrievable: tuple[str, ...] = ()
    hash: str = ""

    @property
    def changes(self) -> tuple[Change, ...]:
        """Everything to be written, in its order."""
        return (*self.creates, *self.updates, *self.deletes)

    @property
    def in_scope(self) -> int:
        """How many of the destination's keys this run could have lost: the rest must not loosen the brake."""
        return len(self.updates) + len(self.unchanged) + len(self.deletes)

    @property
    def lost(self) -> tuple[str, ...]:
        """The keys whose value the destination would no longer have."""
        return (*(change.key for change in self.deletes), *self.blanked)

    @property
    def is_empty(self) -> bool:
        """Is there nothing to write?"""
        return not self.changes

    @property
    def source_is_empty(self) -> bool:
        """Does the source hold no key at all for this destination?"""
        wanted = any(skip.wanted for skip in self.skipped)
        return not (self.creates or self.updates or self.unchanged or wanted)


@dataclass(frozen=True, slots=True)
class Scope:
    """Which keys a run may touch, and which it may delete.

    ``covers`` tells whether a destination key belongs to this sync (key schema, filters).
    ``refuses`` gives the provider's reason why it cannot hold a key of that name, or None.
    ``foreign`` are the keys that other syncs wrote at the same destination, ``spared`` those that an import
    had to leave behind and nobody has given another value since.
    """

    covers: Callable[[str], bool] = lambda key: True
    refuses: Callable[[str], str | None] = lambda key: None
    foreign: frozenset[str] = frozenset()
    spared: frozenset[str] = frozenset()
    may_delete: bool = True
    delete_unmanaged: bool = True
    list_is_complete: bool = True


def build_plan(
    desired: Iterable[Desired],
    existing: Mapping[str, Remote],
    ledger: Mapping[str, Written],
    *,
    scope: Scope,
    fingerprint: Fingerprint,
) -> Plan:
    """Compare, and return what has to be done so that *existing* holds *desired*."""
    wanted = {entry.key: entry for entry in desired}
    ledger = known_ours(ledger, existing, fingerprint)
    draft = _Draft(fingerprint)
    for key in sorted(wanted):
        obstacle = _obstacle(wanted[key], existing.get(key), ledger.get(key), scope)
        draft.want(wanted[key], existing.get(key), ledger.get(key), obstacle)
    for key in sorted(existing.keys() - wanted.keys()):
        if scope.covers(key):
            draft.drop(existing[key], ledger.get(key), _why_kept(existing[key], ledger, scope))
    # What the ledger remembers but neither side holds any more: the destination lost it, and so may we.
    lost = ledger.keys() - wanted.keys() - existing.keys()
    gone = tuple(sorted(lost)) if scope.list_is_complete else ()
    return draft.finish(gone=gone)


def known_ours(
    ledger: Mapping[str, Written], existing: Mapping[str, Remote], fingerprint: Fingerprint
) -> dict[str, Written]:
    """Return what of *ledger* is ours: no key that still is what it was before we first tried to write it."""
    return {
        key: written
        for key, written in ledger.items()
        if key not in existing
        or written.fingerprint is not None
        or written.stamp != mark_of(existing[key], fingerprint)
    }


def mark_of(remote: Remote, fingerprint: Fingerprint) -> str:
    """Return a mark of what *remote* holds. With another one somebody, or we, wrote since."""
    state = hashlib.sha256(_state(remote, fingerprint).encode()).hexdigest()
    return f"before our write: {state}"


def _state(remote: Remote, fingerprint: Fingerprint) -> str:
    value = "" if remote.value is None else fingerprint(remote.value)
    return f"{value}@{remote.stamp or ''}"


def _obstacle(desired: Desired, remote: Remote | None, written: Written | None, scope: Scope) -> str | None:
    """Why a wanted key must not be written, or None."""
    if not scope.covers(desired.key):
        return Reason.OUT_OF_SCOPE
    if desired.key in scope.foreign:
        return Reason.OTHER_SYNC
    if remote is not None and remote.locked:
        return remote.locked
    if remote is not None and written is None and desired.key in scope.spared:
        return Reason.NOT_IMPORTED
    if remote is None and written is None and not scope.list_is_complete and not desired.value:
        # It may be there and not shown, and then this would empty it.
        return Reason.INCOMPLETE_LIST
    return scope.refuses(desired.key)


def _why_kept(remote: Remote, ledger: Mapping[str, Written], scope: Scope) -> str | None:
    """Why a key that the source does not have stays at the destination, or None if it goes."""
    if remote.key in scope.foreign:
        return Reason.OTHER_SYNC
    if remote.locked:
        return remote.locked
    if not scope.may_delete:
        return Reason.DELETION_DISABLED
    if remote.key not in ledger:
        if remote.key in scope.spared:
            return Reason.NOT_IMPORTED
        if not scope.delete_unmanaged:
            return Reason.NOT_OURS
        if remote.sealed:
            return Reason.SEALED
    if not scope.list_is_complete:
        return Reason.INCOMPLETE_LIST
    return None


class _Draft:
    """A plan in the making."""

    def __init__(self, fingerprint: Fingerprint) -> None:
        self._fingerprint = fingerprint
        self._blank = fingerprint(SecretStr(""))
        self._creates: list[Create] = []
        self._updates: list[Update] = []
        self._deletes: list[Delete] = []
        self._unchanged: list[Desired] = []
        self._stamps: dict[str, str | None] = {}
        self._skipped: list[Skip] = []
        self._drift: list[str] = []
        self._blanked: list[str] = []
        self._unmanaged: list[str] = []
        self._irretrievable: list[str] = []
        self._digest = hashlib.sha256()

    def want(
        self, desired: Desired, remote: Remote | None, written: Written | None, obstacle: str | None
    ) -> None:
        """Note what becomes of a key that the source has."""
        target = self._fingerprint(desired.value)
        if obstacle is not None:
            self._skipped.append(Skip(desired.key, obstacle, wanted=True))
        elif remote is None:
            self._creates.append(Create(desired.key, desired))
            self._note_drift(desired.key, written)
            self._record("create", desired.key, target)
        elif self._holds(remote, target, written):
            self._unchanged.append(desired)
            self._stamps[desired.key] = remote.stamp
        else:
            self._updates.append(Update(desired.key, desired, remote))
            if self._was_touched(remote, written):
                self._note_drift(desired.key, written)
            if target == self._blank:
                self._blanked.append(desired.key)
                self._note_loss(remote, written)
            self._record("update", desired.key, target, _state(remote, self._fingerprint))

    def drop(self, remote: Remote, written: Written | None, kept: str | None) -> None:
        """Note what becomes of a key that only the destination has."""
        if kept is not None:
            self._skipped.append(Skip(remote.key, kept, wanted=False))
            return
        self._deletes.append(Delete(remote.key, remote))
        self._note_loss(remote, written)
        self._record("delete", remote.key, _state(remote, self._fingerprint))

    def _note_loss(self, remote: Remote, written: Written | None) -> None:
        if written is not None:
            return
        self._unmanaged.append(remote.key)
        if remote.value is None:
            self._irretrievable.append(remote.key)

    def finish(self, *, gone: tuple[str, ...]) -> Plan:
        return Plan(
            creates=tuple(self._creates),
            updates=tuple(self._updates),
            deletes=tuple(self._deletes),
            unchanged=tuple(self._unchanged),
            stamps=self._stamps,
            skipped=tuple(self._skipped),
            drift=tuple(self._drift),
            gone=gone,
            blanked=tuple(self._blanked),
            unmanaged=tuple(self._unmanaged),
            irretrievable=tuple(self._irretrievable),
            hash=self._digest.hexdigest(),
        )

    def _holds(self, remote: Remote, target: str, written: Written | None) -> bool:
        if remote.value is not None:
            return self._fingerprint(remote.value) == target
        # Write-only: we trust what we wrote for as long as the provider says that nobody wrote since.
        return written is not None and written.fingerprint == target and written.stamp == remote.stamp

    def _was_touched(self, remote: Remote, written: Written | None) -> bool:
        """Did somebody else write this key after us?"""
        if written is None or written.fingerprint is None:
            return False
        if remote.value is not None:
            return self._fingerprint(remote.value) != written.fingerprint
        return remote.stamp != written.stamp

    def _note_drift(self, key: str, written: Written | None) -> None:
        if written is not None and written.fingerprint is not None:
            self._drift.append(key)

    def _record(self, *parts: str) -> None:
        # Lengths keep ("a", "bc") and ("ab", "c") apart.
        for part in parts:
            self._digest.update(f"{len(part)}:{part};".encode())


#: So many keys may go without being asked about, whatever share of the destination they are …
FEW = 10
#: … and so many if some we did not write are among them: no vault remembers those.
FEW_UNMANAGED = 5


def check_safety(plan: Plan, *, limit_percent: int) -> None:
    """Raise ``PlanBlocked`` if *plan* removes or blanks more than a person should be surprised by.

    That is: everything; values that we did not write and cannot see, so that nobody could bring them back;
    or more than *limit_percent* of the keys in scope, unless they are few. A limit of 0 lets no deletion
    pass.
    """
    lost = len(plan.lost)
    if plan.source_is_empty and plan.deletes:
        raise _blocked(plan, "The source holds no secrets any more, and")
    if plan.irretrievable:
        raise _blocked(
            plan, "Values that are hidden and that this sync did not write would be lost for good:"
        )
    if lost > 1 and lost == plan.in_scope:
        raise _blocked(plan, "Every value that the destination holds would be lost:")
    are_few = lost < FEW and len(plan.unmanaged) < FEW_UNMANAGED
    if lost * 100 > plan.in_scope * limit_percent and not (are_few and limit_percent):
        raise _blocked(plan, f"More than {limit_percent} % of the destination's keys would be lost:")


def _blocked(plan: Plan, why: str) -> PlanBlocked:
    what = f"{len(plan.deletes)} of {plan.in_scope} keys would be deleted"
    if plan.blanked:
        what += f" and {len(plan.blanked)} emptied"
    return PlanBlocked(
        f"{why} {what}. Nothing was changed. If that is meant, look at the preview and trigger the sync "
        f"with approvePlan={plan.hash}.",
        plan_hash=plan.hash,
    )
