"""Whether a connection works: asked by a person, or learnt from its jobs."""

import pytest

from shared.db.connections import Connection, ConnectionStatus
from shared.errors import NotFound, Unavailable
from shared.usecases.connections import check_connection, get_connection, update_connection
from tests.fakes.service import Fail
from tests.shared.usecases.world import PROVIDER, World


def connection(world: World) -> Connection:
    return get_connection(world.runtime, PROVIDER, world.connection_id)


def check(world: World) -> Connection:
    return check_connection(world.runtime, PROVIDER, world.connection_id)


def test_a_check_records_that_the_credentials_work(world: World) -> None:
    world.clock.advance(seconds=10)

    checked = check(world)

    assert (checked.status, checked.last_error) == (ConnectionStatus.CONNECTED, None)
    assert checked.last_checked_at == world.clock.now
    assert connection(world).last_checked_at == world.clock.now


def test_a_check_records_that_the_credentials_are_rejected(world: World) -> None:
    world.railway.fail_next(Fail(401))

    checked = check(world)

    assert checked.status == ConnectionStatus.FAILED
    assert checked.last_error == connection(world).last_error
    assert "Railway answered 401" in str(checked.last_error)


def test_a_check_that_works_again_clears_the_failure(world: World) -> None:
    world.railway.fail_next(Fail(401))
    check(world)

    checked = check(world)

    assert (checked.status, checked.last_error) == (ConnectionStatus.CONNECTED, None)


def test_a_provider_that_is_out_of_order_says_nothing_about_the_credentials(world: World) -> None:
    before = connection(world).last_checked_at
    world.clock.advance(seconds=10)
    world.railway.fail_next(Fail(503))

    with pytest.raises(Unavailable):
        check(world)

    assert connection(world).status == ConnectionStatus.CONNECTED
    assert connection(world).last_checked_at == before


def test_a_check_of_old_credentials_says_nothing_about_new_ones(world: World) -> None:
    def replace_credentials() -> None:
        update_connection(
            world.runtime, PROVIDER, world.connection_id, credentials={"apiToken": "demo-account-token"}
        )

    pending = [replace_credentials]

    def rejects_the_old(request: object) -> bool:
        if not pending:
            return False
        pending.pop()()
        return True

    world.railway.fail_next(Fail(401), where=rejects_the_old)

    check(world)

    assert connection(world).status == ConnectionStatus.CONNECTED


def test_a_connection_of_another_provider_is_not_found(world: World) -> None:
    with pytest.raises(NotFound):
        check_connection(world.runtime, "netlify", world.connection_id)


def test_a_rejected_run_fails_the_connection_and_a_later_success_restores_it(world: World) -> None:
    world.put(A="1")
    world.sync()
    world.railway.fail_next(Fail(401))
    world.work()
    failed = connection(world)

    world.put(A="2")
    world.work()

    assert failed.status == ConnectionStatus.FAILED
    assert (connection(world).status, connection(world).last_error) == (ConnectionStatus.CONNECTED, None)


def test_runs_within_an_hour_do_not_write_to_the_connection(world: World) -> None:
    world.put(A="1")
    sync_id = world.sync()
    world.work()
    known = connection(world).last_checked_at
    world.clock.advance(seconds=3599)

    world.trigger(sync_id)
    world.work()

    assert connection(world).last_checked_at == known


def test_the_first_success_after_an_hour_is_noted(world: World) -> None:
    world.put(A="1")
    sync_id = world.sync()
    world.work()
    world.clock.advance(seconds=3600)

    world.trigger(sync_id)
    world.work()

    assert connection(world).last_checked_at == world.clock.now
