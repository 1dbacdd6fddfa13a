"""Connections: checked before they are stored, and renewed for everything that uses them."""

import pytest

from shared.db.connections import Connection
from shared.errors import Conflict, InvalidInput, NotFound, Unavailable
from shared.usecases import connections
from shared.usecases.connections import ConnectionDraft, create_connection, update_connection
from shared.usecases.run_job import run_job
from tests.fakes.railway import Token
from tests.fakes.service import Fail
from tests.shared.usecases.world import PROVIDER, World


def draft(
    name: str = "new", token: str = "demo-account-token", method: str = "account-token"
) -> ConnectionDraft:
    return ConnectionDraft(PROVIDER, name, method, {"apiToken": token})


def stored(world: World) -> list[str]:
    return [row.name for row in connections.list_connections(world.runtime)]


def test_a_connection_knows_whose_it_is(world: World) -> None:
    connection = create_connection(world.runtime, draft())

    assert (connection.account_id, connection.account_name) == ("usr-1", "Demo user")
    assert connection.status == "connected"


def test_credentials_that_the_provider_rejects_are_not_stored(world: World) -> None:
    with pytest.raises(InvalidInput, match="could not be checked") as refused:
        create_connection(world.runtime, draft(token="a-wrong-token"))

    assert "a-wrong-token" not in refused.value.message
    assert stored(world) == ["Railway"]


def test_credentials_that_cannot_be_checked_just_now_are_not_stored(world: World) -> None:
    world.railway.fail_next(Fail(503))

    with pytest.raises(Unavailable):
        create_connection(world.runtime, draft())

    assert stored(world) == ["Railway"]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (ConnectionDraft(PROVIDER, "new", "account-token", {"token": "a-secret-value"}), "apiToken"),
        (ConnectionDraft(PROVIDER, "new", "carrier-pigeon", {"apiToken": "a-secret-value"}), "no method"),
    ],
)
def test_credentials_of_another_form_are_refused_without_repeating_them(
    world: World, wrong: ConnectionDraft, told: str
) -> None:
    with pytest.raises(InvalidInput, match=told) as refused:
        create_connection(world.runtime, wrong)

    assert "a-secret-value" not in refused.value.message


def test_a_provider_that_does_not_exist_is_named_with_those_that_do(world: World) -> None:
    with pytest.raises(NotFound, match=r"no provider 'pigeon'.*railway"):
        create_connection(world.runtime, ConnectionDraft("pigeon", "new", "x", {}))


def test_a_name_is_given_once_per_provider(world: World) -> None:
    with pytest.raises(Conflict):
        create_connection(world.runtime, draft("Railway"))


def test_credentials_are_stored_sealed(world: World) -> None:
    with world.runtime.database.snapshot() as session:
        row = session.get_one(Connection, world.connection_id)

    assert b"demo-account-token" not in row.credentials
    assert "demo-account-token" not in str(vars(row))


def test_renewed_credentials_run_every_sync_again(world: World) -> None:
    world.put(A="1")
    active = world.sync()
    by_hand = world.sync("worker", service="svc-worker", auto=False)
    world.railway.tokens["another-token"] = Token("account")
    world.railway.tokens["demo-account-token"] = Token("workspace", workspace="nowhere")
    world.work()
    assert world.held() == {}

    update_connection(world.runtime, PROVIDER, world.connection_id, credentials={"apiToken": "another-token"})
    world.work()

    assert (world.held(), world.held("svc-worker")) == ({"A": "1"}, {})
    assert [world.state(each).generation for each in (active, by_hand)] == [2, 2]


def test_renewed_credentials_stop_a_run_with_the_old_ones_before_its_next_write(world: World) -> None:
    world.put(A="1")
    world.sync()
    job_id = world.broker.sent[-1].ids[0]
    world.lose_hints()
    renewed = {"apiToken": "demo-account-token"}
    world.meanwhile(
        lambda: update_connection(world.runtime, PROVIDER, world.connection_id, credentials=renewed)
    )

    run_job(world.runtime, job_id)

    assert world.railway.writes == []
    world.work()
    assert world.held() == {"A": "1"}


def test_renewed_credentials_lift_the_wait_of_the_old_ones(world: World) -> None:
    world.put(A="1")
    world.sync()
    world.railway.fail_next(Fail(429))
    world.work()

    update_connection(
        world.runtime, PROVIDER, world.connection_id, credentials={"apiToken": "demo-account-token"}
    )
    world.work()

    assert world.held() == {"A": "1"}


def test_another_name_runs_nothing_again(world: World) -> None:
    sync_id = world.sync()
    world.work()

    update_connection(world.runtime, PROVIDER, world.connection_id, name="new name", description="words")

    assert connections.find_connection(world.runtime, PROVIDER, "new name").description == "words"
    assert world.broker.sent == []
    assert world.state(sync_id).generation == 1


def test_a_connection_in_use_stays(world: World) -> None:
    sync_id = world.sync()

    with pytest.raises(Conflict, match="still used by: web"):
        connections.delete_connection(world.runtime, PROVIDER, world.connection_id)

    world.delete(sync_id)
    connections.delete_connection(world.runtime, PROVIDER, world.connection_id)
    assert stored(world) == []


def test_a_connection_is_found_under_its_own_provider_only(world: World) -> None:
    with pytest.raises(NotFound):
        connections.get_connection(world.runtime, "vercel", world.connection_id)
    with pytest.raises(NotFound):
        connections.find_connection(world.runtime, PROVIDER, "other")


def test_a_project_sees_its_own_connections_and_those_of_all(world: World) -> None:
    other = create_connection(
        world.runtime,
        ConnectionDraft(
            PROVIDER, "own", "account-token", {"apiToken": "demo-account-token"}, project_id=world.project_id
        ),
    )

    shown = connections.list_connections(world.runtime, app=PROVIDER, project_id=world.project_id)

    assert {row.id for row in shown} == {world.connection_id, other.id}


def test_the_projects_of_a_connection_are_listed(world: World) -> None:
    [project] = connections.list_projects(world.runtime, PROVIDER, world.connection_id)

    assert [service.id for service in project.services] == ["svc-web", "svc-worker"]
