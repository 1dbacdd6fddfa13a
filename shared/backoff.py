"""When to try again, and when to look for drift. The clock and the dice come from outside."""

import hashlib
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

from croniter import croniter
from croniter.croniter import CroniterError

from shared.errors import InvalidInput

MAX_ATTEMPTS = 12

# In seconds.
SHORTEST_WAIT = 0.2
FIRST_WAIT = 2
LONGEST_WAIT = 300
#: Longest wait that a provider can ask for.
LONGEST_ASKED_WAIT = 3600

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CRON_FIELDS = 5
_MAX_CRON_LENGTH = 255


def retry_delay(attempt: int, *, retry_after: float | None = None, rng: Random) -> timedelta:
    """Return how long to wait after *attempt* failures.

    *retry_after* is what the provider asked for, in seconds; we never come back sooner, unless it asked for
    more than an hour. None or 0 means that it did not say, and the wait doubles with every failure.
    """
    if retry_after:
        asked = min(retry_after, LONGEST_ASKED_WAIT)
        seconds = min(asked + rng.uniform(0, asked / 10), LONGEST_ASKED_WAIT)
    else:
        # The whole wait is random: jobs that failed together must not come back together.
        seconds = rng.uniform(0, min(LONGEST_WAIT, FIRST_WAIT * 2 ** (attempt - 1)))
    return timedelta(seconds=max(seconds, SHORTEST_WAIT))


def next_reconcile(
    after: datetime, *, every: timedelta | None, cron: str | None, offset: float
) -> datetime | None:
    """Return the first moment later than *after* at which a sync is due, or None if it never is.

    *offset* is the sync's place within its interval, from 0 up to 1 (see ``spread``). A cron expression
    means the moments it says, in UTC, and comes before an interval.
    """
    if cron is not None:
        moment: datetime = croniter(cron, after.astimezone(UTC)).get_next(datetime)
        return moment
    if every is None:
        return None
    first = _EPOCH + offset * every
    return first + ((after - first) // every + 1) * every


def spread(sync_id: UUID) -> float:
    """Return a sync's place within its interval, always the same: thousands of hourly syncs spread evenly."""
    # Not the id itself: ids that are made in the order of time begin alike.
    digest = hashlib.sha256(sync_id.bytes).digest()
    return int.from_bytes(digest[:6]) / 2**48


def parse_cron(text: str) -> str:
    """Return *text* if it is a cron expression that comes due, in the usual five fields or as ``@daily``."""
    cron = text.strip()
    if not _comes_due(cron):
        raise InvalidInput(
            "This is not a cron expression. Write five fields, such as '0 3 * * *' for 3:00 UTC every day, "
            "that come due at some time.",
            field=("syncOptions", "reconcileCron"),
        )
    return cron


def _comes_due(cron: str) -> bool:
    fields = cron.split()
    if len(cron) > _MAX_CRON_LENGTH or (len(fields) != _CRON_FIELDS and not cron.startswith("@")):
        return False
    # "R" stands for a random number, which would be another one at every look.
    if any(field.lower().startswith("r") for field in fields):
        return False
    try:
        croniter(cron, _EPOCH).get_next(datetime)
    except CroniterError:
        return False
    return True
