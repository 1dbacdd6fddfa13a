"""Runs that got half-way: what was written is known, and the rest is made good."""

from uuid import UUID

import pytest

from shared.db import ledger
from shared.db.syncs import Status
from shared.usecases.run_job import run_job
from tests.fakes.service import Fail
from tests.shared.usecases.world import World, is_write, place


def test_a_batch_that_is_refused_fails_the_job_and_keeps_what_was_written(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.providers.railway.RailwayDestination.batch_size", 2)
    world.put(A="1", B="1", C="1")
    sync_id = world.sync()
    world.railway.refused.add("C")

    world.work()

    assert world.state(sync_id).sync_status == Status.FAILED
    assert world.held() == {"A": "1", "B": "1"}
    assert world.jobs(sync_id)[0].created_count == 2


def test_a_crash_between_the_write_and_the_ledger_is_made_good(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put(A="1")
    sync_id = world.sync()
    job_id = world.broker.sent[-1].ids[0]
    world.lose_hints()
    with monkeypatch.context() as patch:
        patch.setattr("shared.db.ledger.confirm", crash)
        patch.setattr("shared.usecases.run_job.finish", crash)
        with pytest.raises(KeyboardInterrupt):
            run_job(world.runtime, job_id)
    assert world.held() == {"A": "1"}

    world.later(world.runtime.settings.lease_seconds + 1)

    assert world.state(sync_id).sync_status == Status.SUCCEEDED
    assert len(world.railway.writes) == 1
    assert confirmed(world, sync_id) == {"A"}


def test_a_key_whose_write_was_never_confirmed_is_removed_with_the_sync(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put(A="1")
    sync_id = world.sync()
    with monkeypatch.context() as patch:
        patch.setattr("shared.db.ledger.confirm", crash)
        with pytest.raises(KeyboardInterrupt):
            world.work()
    world.clock.advance(seconds=world.runtime.settings.lease_seconds + 1)

    world.delete(sync_id, remove_secrets=True)
    world.later(1)

    assert world.held() == {}
    assert not world.exists(sync_id)


def test_a_value_that_may_have_been_overwritten_is_not_taken_for_the_one_before(world: World) -> None:
    world.railway.seal(place("svc-web"), {"A": "unknown"})
    world.put(A="1")
    sync_id = world.sync()
    world.work()
    world.railway.fail_next(Fail(503), where=is_write)
    world.put(A="2")
    world.work()

    with world.runtime.database.snapshot() as session:
        written = ledger.read(session, sync_id, world.state(sync_id).destination_key)

    assert written["A"].fingerprint is None


def crash(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def confirmed(world: World, sync_id: UUID) -> set[str]:
    with world.runtime.database.snapshot() as session:
        return {row.key for row in ledger.confirmed_by_sync(session, [sync_id])[sync_id]}
