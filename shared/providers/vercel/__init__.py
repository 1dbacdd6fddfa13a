"""Vercel: the variables of one environment of a project, or a team's shared variables. REST.

Facts and their sources: ``docs/providers/vercel.md``.

Vercel keeps *records*: a name, one value, and every environment the value reaches. Two records of one name
may not reach the same environment. So a record that reaches further than our place cannot get another value
for our place alone: the new record is refused (ENV_CONFLICT) until the old one is narrowed, and no call does
both. Narrowed first, the key is absent for us in between; moved to our place with the new value first, it is
absent for the others, and lost to them if the second call never comes. Neither order keeps what we promise,
whether the value can be read or not. Such a record is therefore never written: if it holds the wanted value
already that is enough, otherwise the key is refused and a person separates the environments. Taking our
place away from it, which is how its key is deleted here, is one call and touches nobody else.
"""

from shared.providers.vercel.config import (
    SYSTEM_ENVIRONMENTS,
    VercelConfig,
    VercelOAuth,
    VercelProjectConfig,
    VercelTeamConfig,
    VercelToken,
)
from shared.providers.vercel.provider import VercelProvider

__all__ = [
    "SYSTEM_ENVIRONMENTS",
    "VercelConfig",
    "VercelOAuth",
    "VercelProjectConfig",
    "VercelProvider",
    "VercelTeamConfig",
    "VercelToken",
]
