"""Reaching the destination of a claimed job: every call is preceded by a look at the lease."""

from datetime import timedelta

from shared.backoff import LONGEST_ASKED_WAIT
from shared.db import connections
from shared.providers.base import Destination, RateLimit
from shared.usecases.claim import Claim
from shared.usecases.credentials import open_provider


def open_destination(claim: Claim) -> Destination:
    """Return the destination of the claimed job. Before each of its calls the lease is checked."""

    def observe(limit: RateLimit) -> None:
        if limit.remaining <= 0 and limit.resets_in > 0:
            block_connection(claim, limit.resets_in)

    provider = open_provider(claim.runtime, claim.connection, before_call=claim.hold, observe=observe)
    return provider.destination(provider.config_type.model_validate(claim.sync.destination_config))


def block_connection(claim: Claim, seconds: float) -> None:
    """Let no further job of this connection start for a while: its budget is used up."""
    with claim.runtime.database.transaction() as session:
        connection = connections.lock(session, claim.connection.id)
        until = claim.runtime.clock() + timedelta(seconds=min(seconds, LONGEST_ASKED_WAIT))
        if connection is not None and (connection.blocked_until or until) <= until:
            connection.blocked_until = until
