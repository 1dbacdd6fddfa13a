"""The quiet after the storm, and the final look: has everything come right by itself?"""

import sqlite3
from collections import Counter
from uuid import UUID

from shared.broker import Task
from shared.db.jobs import Kind
from shared.errors import InputError
from shared.usecases import syncs
from tests.simulation.database import rows
from tests.simulation.oracle import Intent, Oracle
from tests.simulation.targets import Target
from tests.simulation.world import World

#: Seconds that pass between two rounds of sweep and reconcile. A rate limit may have to run out: an hour.
ROUNDS = (1, 400, 4000, 400)


def settle(world: World) -> None:
    """End all faults, and let beat and an operator do their part for a while."""
    world.kernel.note("it gets quiet")
    world.calm()
    world.people.renew_what_was_revoked()
    for seconds in ROUNDS:
        world.kernel.clock.advance(seconds=seconds)
        _operate(world)
        world.broker.send(Task.SWEEP)
        world.look_for_drift()
        _rest(world)


def _rest(world: World) -> None:
    world.run_until(lambda: world.broker.is_empty and world.kernel.is_at_rest)


def _operate(world: World) -> None:
    """Do what waits for a person: approve blocked plans, and ask again for what failed."""
    runtime = world.people.runtime
    for row in rows("SELECT * FROM syncs ORDER BY name"):
        sync_id, message = UUID(row["id"]), row["last_sync_message"] or ""
        if row["remove_status"] == "failed":
            world.kernel.note(f"asks again to delete {row['name']}")
            syncs.delete_sync(runtime, row["destination"], sync_id, remove_secrets=True)
        elif row["sync_status"] == "failed" and not row["is_paused"]:
            world.people.discard_staged_changes()
            approved = message.partition("approvePlan=")[2].split(".")[0]
            if approved or not world.reconciles:
                world.kernel.note(f"triggers {row['name']}, approving {approved or 'nothing'}")
                options = {"approvePlan": approved} if approved else {}
                syncs.trigger(runtime, row["destination"], sync_id, Kind.SYNC, options=options)


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
    if row["remove_status"] is not None:
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
    wrong = [key for key in desired if held.get(key) != desired[key]]
    left = [
        key for key in held.keys() - desired.keys() if world.watch.must_delete(UUID(row["id"]), wish, key)
    ]
    if wrong or left:
        world.watch.breaks("R1", f"{told} has {held} instead of {dict(desired)}: {wrong}, {left}")
    if row["sync_status"] != "succeeded":
        world.watch.breaks("R16", f"{told} holds what its source does")


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
