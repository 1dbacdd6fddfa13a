"""Every model in one place, for what has to know all tables: migrations and tests."""

from shared.db import (
    access_grants,
    audit,
    change_events,
    connections,
    device_logins,
    identities,
    jobs,
    labels,
    ledger,
    oauth_states,
    rate_limits,
    syncs,
    tokens,
    vault,
)
from shared.db.base import Base

__all__ = [
    "Base",
    "access_grants",
    "audit",
    "change_events",
    "connections",
    "device_logins",
    "identities",
    "jobs",
    "labels",
    "ledger",
    "oauth_states",
    "rate_limits",
    "syncs",
    "tokens",
    "vault",
]
