"""The quiet after the storm, and the final look: has everything come right by itself?"""

import json
import sqlite3
from collections import Counter
from contextlib import suppress
from uuid import UUID

from shared.broker import Task
from shared.db.jobs import Kind
from shared.errors import InputError
from shared.usecases import syncs
from tests.fakes.vercel import FakeVercel
from tests.simulation.database import rows
from tests.simulation.oracle import Intent, Oracle
from tests.simulation.promises import asked_hash
from tests.simulation.targets import Target
from tests.simulation.world import World

#: Seconds that pass between two rounds of sweep and reconcile. A rate limit may have to run out: an hour.
ROUNDS = (1, 400, 4000, 400)
#: The round before which somebody changes destinations by hand once more, now that all is in line.
MEDDLED = 1


def settle(world: World) -> None:
    """End all faults, and let beat and an operator do their part for a while."""
    world.kernel.note("it gets quiet")
    world.calm()
    world.people.renew_what_was_revoked()
    world.people.make_folders()
    for number, seconds in enumerate(ROUNDS):
        world.kernel.clock.advance(seconds=seconds)
        if number == MEDDLED and world.reconciles:
            world.people.meddle()
        # What fails may have to be triggered first, and then be approved.
        for _ in range(2):
            _operate(world)
            world.broker.send(Task.SWEEP)
            _rest(world)
        world.look_for_drift()
        _rest(world)


def _rest(world: World) -> None:
    world.run_until(lambda: world.broker.is_empty and world.kernel.is_at_rest)


def _operate(world: World) -> None:
    """Do what waits for a person."""
    for row in rows("SELECT * FROM syncs ORDER BY name"):
        if row["remove_status"] == "failed":
            _ask_again_to_remove(world, row)
        elif not row["is_paused"]:
            _see_to(world, row)


def _ask_again_to_remove(world: World, row: sqlite3.Row) -> None:
    world.kernel.note(f"asks again to remove what {row['name']} wrote")
    sync_id = UUID(row["id"])
    with suppress(InputError):
        if is_leaving(sync_id):
            syncs.delete_sync(world.people.runtime, row["destination"], sync_id, remove_secrets=True)
        else:
            syncs.trigger(world.people.runtime, row["destination"], sync_id, Kind.REMOVE)


def _see_to(world: World, row: sqlite3.Row) -> None:
    """Approve what is blocked, ask again for what no reconcile mends, and make up for no lost edit."""
    sync_id, mode = UUID(row["id"]), json.loads(row["sync_options"]).get("reconcileMode", "repair")
    nobody_mends = mode != "repair" or not world.reconciles
    is_adrift = world.reconciles and mode == "off"
    was_emptied = (row["last_removed_at"] or "") > (row["last_synced_at"] or "")
    plan_hash = asked_hash(row["last_sync_message"]) if row["sync_status"] == "failed" else ""
    with suppress(InputError):
        if plan_hash:
            world.kernel.note(f"approves {plan_hash} of {row['name']}")
            world.people.approve_plan(sync_id, row["destination"], plan_hash)
        elif nobody_mends and (row["sync_status"] == "failed" or was_emptied or is_adrift):
            world.kernel.note(f"triggers {row['name']}")
            syncs.trigger(world.people.runtime, row["destination"], sync_id, Kind.SYNC)


def is_leaving(sync_id: UUID) -> bool:
    """Is the sync to be deleted once its secrets are removed?"""
    query = "SELECT options FROM jobs WHERE sync_id = ? AND kind = 'remove' ORDER BY created_at DESC LIMIT 1"
    return any("deleteSync" in row["options"] for row in rows(query, sync_id.hex))


# --- the final look ------------------------------------------------------------------------------------


def final_look(world: World) -> None:
    """Check what has to hold once everything is at rest."""
    breaks = world.watch.breaks
    for row in rows("SELECT * FROM change_events WHERE dispatched_at IS NULL"):
        breaks("R4", f"the change of {row['keys']} in {row['path']} was never dispatched")
    for row in rows("SELECT * FROM jobs WHERE status IN ('queued', 'running')"):
        breaks("R16", f"job {row['id'][:8]} is {row['status']} for ever: {row['message']}")
    for target, key in _written_by_two(world.watch.oracle):
        breaks("nothing stands in the ledger twice", f"{key} of {target} does")
    for row in rows("SELECT * FROM syncs ORDER BY name"):
        _look_at(world, row)
    active = "is_auto_sync_enabled AND NOT is_paused"
    for row in rows(f"SELECT * FROM syncs WHERE sync_status = 'succeeded' AND {active} ORDER BY name"):
        _repeat(world, row)


def _written_by_two(oracle: Oracle) -> list[tuple[Target, str]]:
    """Return the keys that two syncs remember and both want. What a sync gave up, it may remember."""
    found = rows("SELECT sync_id, destination_key, key FROM ledger WHERE fingerprint IS NOT NULL")
    claims = Counter(
        (wish.target, row["key"])
        for row in found
        if (wish := oracle.current(UUID(row["sync_id"])))
        and wish.target.key == row["destination_key"]
        and wish.covers(row["key"])
    )
    return [claim for claim, syncs_claiming in claims.items() if syncs_claiming > 1]


def _look_at(world: World, row: sqlite3.Row) -> None:
    wish = world.watch.oracle.current(UUID(row["id"]))
    assert wish is not None
    breaks = world.watch.breaks
    told = f"{row['name']} to {wish.target} ({row['sync_status']}: {row['last_sync_message']})"
    for column in ("sync_status", "import_status", "remove_status"):
        if row[column] in ("pending", "running"):
            breaks("R16", f"{told} stays {row[column]} ({column}) and nothing is queued")
    if row["remove_status"] is not None and is_leaving(UUID(row["id"])):
        breaks("R16", f"{told} should be deleted: {row['last_remove_message']}")
    if wish.is_paused or not wish.is_auto:
        return
    if wish.desired is None:
        _look_at_unreadable(world, row, wish)
    else:
        _look_at_state(world, row, wish, told)


def _look_at_unreadable(world: World, row: sqlite3.Row, wish: Intent) -> None:
    unnamed = [key for key in wish.unreadable if key not in (row["last_sync_message"] or "")]
    if row["sync_status"] != "failed" or unnamed:
        world.watch.breaks(
            "R8", f"{row['name']} is {row['sync_status']} ({row['last_sync_message']}), not naming {unnamed}"
        )


def _look_at_state(world: World, row: sqlite3.Row, wish: Intent, told: str) -> None:
    held = world.services[wish.target.service].places()[wish.target.place]
    desired = wish.desired or {}
    rights, sync_id = world.watch.rights, UUID(row["id"])
    differing = [key for key in desired if held.get(key) != desired[key]]
    kept = [
        key
        for key in desired
        if key in held and (rights.leaves(sync_id, wish, key) or serves_others(world, wish.target, key))
    ]
    left = [key for key in held.keys() - desired.keys() if rights.must_delete(sync_id, wish, key)]
    if not set(differing) <= set(kept) or left:
        world.watch.breaks("R1", f"{told} has {held} instead of {dict(desired)}: {differing}, {left}")
    # A hidden value that happens to be the wanted one is left, and named, like any other.
    if row["sync_status"] != "succeeded" and not kept:
        world.watch.breaks("R16", f"{told} holds what its source does")


def serves_others(world: World, target: Target, key: str) -> bool:
    """Has *key* one value for several environments, so that it cannot be changed for one of them?"""
    service = world.services[target.service]
    return isinstance(service, FakeVercel) and len(service.record_at(target.place, key).reach) > 1


def _repeat(world: World, row: sqlite3.Row) -> None:
    """Running a finished sync again reads once and writes nothing."""
    service = world.services[row["destination"]]
    service.forget_calls()
    try:
        syncs.trigger(world.people.runtime, row["destination"], UUID(row["id"]), Kind.SYNC)
    except InputError:
        return
    world.broker.send(Task.SWEEP)
    _rest(world)
    if service.writes or len(service.reads) > 1:
        world.watch.breaks("R9", f"{row['name']} took {[call.path for call in service.calls]} again")
