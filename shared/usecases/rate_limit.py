"""Letting a client make so many requests in a window and no more, whichever API process it meets."""

from dataclasses import dataclass
from datetime import timedelta
from math import ceil

from shared.db import rate_limits
from shared.runtime import Runtime


@dataclass(frozen=True, slots=True)
class Limit:
    """So many requests in that time."""

    requests: int
    window: timedelta


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a client may still do. ``resets_in`` is in whole seconds."""

    limit: int
    remaining: int
    resets_in: int
    is_exceeded: bool


def take(runtime: Runtime, client: str, limit: Limit) -> Allowance:
    """Count one request of *client*, and return what it may still do."""
    now = runtime.clock()
    with runtime.database.transaction() as session:
        counted = rate_limits.count_request(session, client, limit.window, now=now)
    return Allowance(
        limit=limit.requests,
        remaining=max(0, limit.requests - counted.count),
        resets_in=max(1, ceil((counted.ends_at - now).total_seconds())),
        is_exceeded=counted.count > limit.requests,
    )
