"""What a project's and a team's variables have in common as a destination."""

import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import cast

from pydantic import SecretStr

from shared.errors import AccessDenied, DestinationNotFound, RequestRejected
from shared.plan import Change, Create, Delete, Remote, Update
from shared.providers.base import Destination, Pulled, Pushed
from shared.providers.http import map_in
from shared.providers.vercel.api import Failures, VercelApi
from shared.providers.vercel.records import (
    RESERVED_PREFIXES,
    TITLE,
    Record,
    by_key,
    ids_of,
    records_of,
    stamp_of,
    value_in,
)

#: https://vercel.com/docs/environment-variables/reserved-environment-variables
RESERVED = frozenset(
    [
        "AWS_SECRET_KEY",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "NOW_REGION",
        "TZ",
        "LAMBDA_TASK_ROOT",
        "LAMBDA_RUNTIME_DIR",
    ]
)
MAX_VALUE = 65_536
UNCONFIRMED = "Vercel did not confirm it"
NOT_REMOVED = "Vercel did not remove it"


class VercelDestination(Destination):
    """A place made of records: those that reach ``place``, one or more environments."""

    def __init__(self, api: VercelApi, place: frozenset[str], *, sensitive: bool) -> None:
        self._api = api
        self._place = place
        self._sensitive = sensitive

    # --- what a project and a team do differently ------------------------------------------------------

    @abstractmethod
    def _list(self) -> tuple[list[Record], str | None]:
        """Return every record that reaches the place, and why there may be more."""

    @abstractmethod
    def _path(self, record: Record) -> str:
        """Return where *record* is read singly."""

    @abstractmethod
    def _put(self, changes: Sequence[Create | Update]) -> tuple[list[Record], Failures]:
        """Write keys whose records reach nothing but the place."""

    @abstractmethod
    def _delete(self, ids: Sequence[str]) -> tuple[set[str], Failures]:
        """Delete records, and return which ones went."""

    @abstractmethod
    def _narrow(self, records: Sequence[Record]) -> tuple[set[str], Failures]:
        """Take the place away from *records*, which keep what else they reach; return those it left."""

    def _foreign(self, records: Sequence[Record]) -> str | None:
        """Why *records* are not this place's to change, or None."""
        return next((record.owner for record in records if record.owner), None)

    # --- the contract ----------------------------------------------------------------------------------

    def pull(self) -> Pulled:
        records, incomplete = self._list()
        found = {key: self._remote(key, tuple(each)) for key, each in by_key(records).items()}
        return Pulled(found, incomplete)

    def push(self, batch: Sequence[Change]) -> Pushed:
        deletes = [change for change in batch if isinstance(change, Delete)]
        if deletes:
            return self._remove(deletes)
        return self._write([change for change in batch if not isinstance(change, Delete)])

    def refuses(self, key: str) -> str | None:
        if key in RESERVED or key.startswith(RESERVED_PREFIXES):
            return "Vercel keeps this name for itself"
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,255}", key):
            return "Vercel takes up to 256 letters, digits and _ in a name, and no digit first"
        return None

    def reveal(self, remotes: Sequence[Remote]) -> Mapping[str, SecretStr]:
        values = {remote.key: self._value(cast("tuple[Record, ...]", remote.handle)) for remote in remotes}
        return {key: value for key, value in values.items() if value is not None}

    # --- reading ---------------------------------------------------------------------------------------

    def _remote(self, key: str, records: tuple[Record, ...]) -> Remote:
        shown = _only({record.value for record in records}) if self._covered_by(records) else None
        return Remote(
            key,
            shown,
            stamp_of(records),
            handle=records,
            locked=self._foreign(records),
            sealed=any(record.hidden for record in records),
        )

    def _covered_by(self, records: Sequence[Record]) -> bool:
        return self._place <= frozenset[str]().union(*(record.reach for record in records))

    def _value(self, records: Sequence[Record]) -> SecretStr | None:
        """Return the value that all *records* have, None if they differ or one cannot be read."""
        return _only({self._read(record) for record in records})

    def _read(self, record: Record) -> SecretStr | None:
        if record.value is not None or record.hidden:
            return record.value
        try:
            return value_in(map_in(self._api.get(self._path(record)), TITLE), surely=True)
        except (AccessDenied, DestinationNotFound, RequestRejected):
            return None

    # --- writing ---------------------------------------------------------------------------------------

    def _write(self, changes: Sequence[Create | Update]) -> Pushed:
        stamps: dict[str, str | None] = {}
        refused: dict[str, str] = {}
        ours: list[Create | Update] = []
        for change in changes:
            reason = self._why_not(change)
            if reason is None:
                ours.append(change)
            elif self._holds(change):
                stamps[change.key] = stamp_of(records_of(change))
            else:
                refused[change.key] = reason
        pushed = self._confirmed(ours) if ours else Pushed({})
        return Pushed({**stamps, **pushed.stamps}, {**refused, **pushed.refused})

    def _why_not(self, change: Create | Update) -> str | None:
        """Why *change* must not be sent, or None."""
        others = sorted({each for record in records_of(change) for each in record.reach - self._place})
        if others:
            return (
                f"its variable at Vercel also serves {', '.join(others)} and has one value for all: "
                "give each its own variable there"
            )
        # One value that is too long would have Vercel refuse the whole batch.
        if len(change.desired.value.get_secret_value()) > MAX_VALUE:
            return f"Vercel takes {MAX_VALUE} characters at most"
        return None

    def _holds(self, change: Create | Update) -> bool:
        """Does the place hold the wanted value already?"""
        records = records_of(change)
        return bool(records) and self._covered_by(records) and self._value(records) == change.desired.value

    def _confirmed(self, changes: Sequence[Create | Update]) -> Pushed:
        written, failures = self._put(changes)
        answered = by_key(written)
        stamps: dict[str, str | None] = {}
        refused: dict[str, str] = {}
        for change in changes:
            reason = failures.of(change.key, records_of(change))
            if reason is None and change.key in answered:
                stamps[change.key] = stamp_of(answered[change.key])
            else:
                refused[change.key] = reason or failures.unnamed(UNCONFIRMED)
        return Pushed(stamps, refused)

    def _type(self, change: Create | Update) -> str:
        # A variable keeps its type: to change it Vercel wants it removed first, and then it would be absent.
        records = records_of(change)
        hidden = any(record.hidden for record in records) if records else self._sensitive
        return "sensitive" if hidden else "encrypted"

    def _remove(self, deletes: Sequence[Delete]) -> Pushed:
        records = [record for change in deletes for record in records_of(change)]
        if any(record.reach - self._place for record in records):
            # What is narrowed gets the remaining environments, so they have to be those of this moment:
            # the sync of another environment may be narrowing the same record.
            records = self._still_there(records)
        wider = [record for record in records if record.reach - self._place]
        inside = [record for record in records if record.reach <= self._place]
        refused: dict[str, str] = {}
        if wider:
            refused |= self._kept(wider, *self._narrow(wider))
        if inside:
            refused |= self._kept(inside, *self._delete(ids_of(inside)))
        return Pushed({each.key: None for each in deletes if each.key not in refused}, refused)

    def _kept(self, records: Sequence[Record], gone: set[str], failures: Failures) -> dict[str, str]:
        """Return which keys of *records* are still there, and why. Those that were gone before are not."""
        left = [record for record in records if record.id not in gone]
        kept = self._still_there(left) if left else []
        return {each.key: failures.of(each.key, [each]) or failures.unnamed(NOT_REMOVED) for each in kept}

    def _still_there(self, records: Sequence[Record]) -> list[Record]:
        """Return those of *records* that still reach the place, as they are now."""
        listed, incomplete = self._list()
        now = {record.id: record for record in listed}
        # What an incomplete list does not show may be there all the same.
        found = [now.get(record.id, record if incomplete else None) for record in records]
        return [record for record in found if record is not None]


def _only(values: set[SecretStr | None]) -> SecretStr | None:
    return values.pop() if len(values) == 1 else None
