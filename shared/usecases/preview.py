"""What a sync would do now, without doing it."""

from dataclasses import dataclass
from uuid import UUID

from shared.db.connections import Connection
from shared.db.syncs import Sync
from shared.errors import PlanBlocked
from shared.plan import Plan, check_safety
from shared.providers.base import Destination, Pulled
from shared.runtime import Runtime
from shared.sync_options import InitialBehavior
from shared.usecases.credentials import open_provider
from shared.usecases.syncs import get_sync
from shared.usecases.view import View, read_view


@dataclass(frozen=True, slots=True)
class Preview:
    """A plan with what a person should know before approving it by its hash.

    ``blocked`` is why it would not be applied without approval, or None.
    """

    plan: Plan
    warnings: tuple[str, ...]
    blocked: str | None


@dataclass(frozen=True, slots=True)
class Sides:
    """Both sides of a sync as they are now."""

    view: View
    destination: Destination
    pulled: Pulled

    def plan(self) -> Plan:
        return self.view.plan(self.pulled, self.destination)


def preview_sync(runtime: Runtime, destination: str, sync_id: UUID) -> Preview:
    """Read both sides of a sync and return what it would do. Writes nothing anywhere.

    Raises a ``PlanError`` if no plan can be made, a ``ProviderError`` if the provider does not answer.
    """
    found = get_sync(runtime, destination, sync_id)
    return preview(found.sync, look(runtime, found.sync, found.connection))


def look(runtime: Runtime, sync: Sync, connection: Connection) -> Sides:
    """Read both sides of *sync*, which need not be stored."""
    provider = open_provider(runtime, connection)
    place = provider.destination(provider.config_type.model_validate(sync.destination_config))
    pulled = place.pull()
    with runtime.database.snapshot() as session:
        return Sides(read_view(runtime, session, sync), place, pulled)


def preview(sync: Sync, sides: Sides) -> Preview:
    """Return what a run of *sync* would do with *sides*."""
    plan = sides.plan()
    warnings = list(sides.view.source.warnings)
    if sides.pulled.incomplete:
        warnings.append(f"Nothing will be deleted: {sides.pulled.incomplete}")
    if _imports_first(sync, sides.view):
        warnings.append("The first run imports from the destination before it writes; this plan does not.")
    return Preview(plan, tuple(warnings), _why_blocked(plan, sides.view))


def _imports_first(sync: Sync, view: View) -> bool:
    waits = sync.initialized_key != sync.destination_key
    return waits and view.options.initial_sync_behavior is not InitialBehavior.OVERWRITE


def _why_blocked(plan: Plan, view: View) -> str | None:
    try:
        check_safety(plan, limit_percent=view.options.deletion_limit_percent)
    except PlanBlocked as blocked:
        return blocked.message
    return None
