"""What a sync of Keyway's wire would do, and how both sides stand: by the one planner, writing nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import uuid4

from shared.db import syncs, vault
from shared.db.connections import Connection
from shared.db.syncs import Sync
from shared.db.vault import ROOT
from shared.runtime import Runtime
from shared.usecases.credentials import open_provider
from shared.usecases.import_secrets import choose, readable_values
from shared.usecases.keyway.access import Member
from shared.usecases.keyway.locate import (
    Ask,
    Direction,
    Order,
    Target,
    key_of,
    linked_keys,
    permitted,
    project_at,
    require_linked,
)
from shared.usecases.keyway.syncs import draft_for, find_sync_of, fitted_options, refuse_other_deletion
from shared.usecases.keyway.targets import Choice, destination_config, is_ours, shown
from shared.usecases.outcome import Outcome
from shared.usecases.preview import Sides, look, preview
from shared.usecases.sync_rules import parse_config
from shared.usecases.syncs import get_sync


@dataclass(frozen=True, slots=True)
class SyncPreview:
    """What would be done, by key names. ``kept`` and ``skipped`` say why a key is left as it is."""

    to_create: Sequence[str]
    to_update: Sequence[str]
    to_delete: Sequence[str] = ()
    unchanged: Sequence[str] = ()
    skipped: Mapping[str, str] = field(default_factory=dict)
    kept: Mapping[str, str] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    blocked: str | None = None
    plan_hash: str | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """Both sides compared, by key names."""

    keyway_count: int
    provider_count: int
    only_in_keyway: Sequence[str]
    only_in_provider: Sequence[str]
    different: Sequence[str]
    same: Sequence[str]


@dataclass(frozen=True, slots=True)
class Standing:
    """How a vault and a project at a provider stand to each other before anything is done."""

    is_first_sync: bool
    vault_is_empty: bool
    provider_secret_count: int


def preview_order(runtime: Runtime, target: Target, order: Order) -> SyncPreview:
    """Return what *order* would do now. Writes nothing anywhere."""
    sync, connection = _as_if(runtime, target, order)
    sides = look(runtime, sync, connection)
    if order.direction is Direction.PULL:
        return _import_preview(sides, order)
    found = preview(sync, sides)
    plan = found.plan
    return SyncPreview(
        to_create=[change.key for change in plan.creates],
        to_update=[change.key for change in plan.updates],
        to_delete=[change.key for change in plan.deletes],
        unchanged=[entry.key for entry in plan.unchanged],
        skipped={skip.key: skip.reason for skip in plan.skipped if skip.wanted},
        kept={skip.key: skip.reason for skip in plan.skipped if not skip.wanted},
        warnings=found.warnings,
        blocked=found.blocked,
        plan_hash=plan.hash,
    )


def _import_preview(sides: Sides, order: Order) -> SyncPreview:
    outcome = Outcome()
    values = readable_values(sides.destination, sides.pulled)
    chosen = choose(sides.view, values, order.import_behavior, outcome)
    present = sides.view.source.secrets.keys()
    return SyncPreview(
        to_create=sorted(chosen.keys() - present),
        to_update=sorted(chosen.keys() & present),
        unchanged=sorted(values.keys() - chosen.keys()),
        warnings=outcome.warnings,
    )


def compare(runtime: Runtime, target: Target) -> Difference:
    """Return how the two places differ, as the planner sees it."""
    sync, connection = _as_if(runtime, target, None)
    sides = look(runtime, sync, connection)
    plan, held = sides.plan(), sides.pulled.remotes.keys()
    withheld = {skip.key for skip in plan.skipped if skip.wanted}
    wanted = {entry.key for entry in sides.view.desired}
    return Difference(
        keyway_count=len(wanted),
        provider_count=len(held),
        only_in_keyway=sorted({change.key for change in plan.creates} | (withheld - held)),
        only_in_provider=sorted(held - wanted),
        different=sorted({change.key for change in plan.updates} | (withheld & held)),
        same=[entry.key for entry in plan.unchanged],
    )


def standing(runtime: Runtime, member: Member, ask: Ask) -> Standing:
    """Return how the vault and the project stand to each other.

    Of a project with services all that the caller may use are counted, unless one is named: clients ask
    before they choose.
    """
    connection, theirs = permitted(runtime, member, ask, None)
    provider = open_provider(runtime, connection)
    project = project_at(provider, ask.project_id)
    services = [ask.service_id] if ask.service_id else [None, *(each.id for each in project.services)]
    configs = [destination_config(provider, Choice(project, each, theirs)) for each in services]
    places = {key_of(connection, config): parse_config(connection.app, config) for config in configs}
    linked = linked_keys(runtime, member, connection)
    require_linked(linked, places, member)
    usable = [place for key, place in places.items() if linked is None or key in linked]
    held = sum(len(provider.destination(place).pull().remotes) for place in usable)
    with runtime.database.snapshot() as session:
        known = syncs.list_syncs(session, member.project.id, destination=connection.app)
        count = vault.count_secrets(session, member.project.id, ask.environment)
    is_known = any(
        sync.connection_id == connection.id and shown(sync).project_id == project.id for sync in known
    )
    return Standing(is_first_sync=not is_known, vault_is_empty=count == 0, provider_secret_count=held)


def _as_if(runtime: Runtime, target: Target, order: Order | None) -> tuple[Sync, Connection]:
    """Return the sync that would carry *order* out, and its connection. Stores nothing."""
    sync = find_sync_of(runtime, target)
    if sync is None:
        return _unstored(runtime, target, order or Order()), target.connection
    if order is not None:
        refuse_other_deletion(sync, order)
        sync.sync_options = fitted_options(sync, order).stored()
    if is_ours(sync):
        return sync, target.connection
    return sync, get_sync(runtime, sync.destination, sync.id).connection


def _unstored(runtime: Runtime, target: Target, order: Order) -> Sync:
    draft = draft_for(target, order)
    with runtime.database.snapshot() as session:
        folder = vault.find_folder_in_project(session, draft.project_id, draft.environment, ROOT)
    return Sync(
        id=uuid4(),
        project_id=draft.project_id,
        folder_id=folder.id if folder else None,
        destination=draft.destination,
        destination_config=dict(target.config),
        destination_key=target.key,
        sync_options=draft.sync_options.stored(),
        # What a column's default would say once the row is stored.
        spared_keys={},
    )
