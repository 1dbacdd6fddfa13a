"""The emulators' base: faults, records and the two ways to reach a service."""

from collections.abc import Iterator, Mapping

import httpx
import pytest

from tests.fakes.service import (
    Drop,
    Fail,
    FakeServer,
    FakeService,
    Fault,
    Hang,
    InProcess,
    Places,
    Reply,
    Request,
    Response,
)


class Shelf(FakeService):
    """One place; PUT merges, DELETE empties, GET shows."""

    def __init__(self) -> None:
        super().__init__(now=lambda: 0.0)
        self.held: dict[str, str] = {}

    def answer(self, request: Request) -> Response:
        if request.method == "PUT":
            self.held.update(request.json)
        elif request.method == "DELETE":
            self.held.clear()
            return Response(204)
        return Response(200, dict(self.held))

    def refusal(self, status: int, request: Request) -> Response:
        return Response(status, {"error": request.body.decode()})

    def places(self) -> Places:
        return {"shelf": dict(self.held)}

    def seed(self, place: str, variables: Mapping[str, str]) -> None:
        self.held.update(variables)

    def demo(self) -> Mapping[str, str]:
        return {}


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture(params=["http", "in-process"])
def client(shelf: Shelf, request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    """Yield a client of the shelf, once over HTTP and once without a socket."""
    if request.param == "in-process":
        with httpx.Client(transport=InProcess(shelf), base_url="http://shelf.test") as http:
            yield http
    else:
        with (
            FakeServer(shelf) as server,
            httpx.Client(base_url=server.address, timeout=0.2, verify=False) as http,
        ):
            yield http


def test_state_is_kept_between_requests(client: httpx.Client) -> None:
    client.put("/", json={"A": "1"})
    client.put("/", json={"B": "2"})

    assert client.get("/").json() == {"A": "1", "B": "2"}
    assert client.delete("/").status_code == 204
    assert client.get("/").json() == {}


def test_every_request_is_recorded(shelf: Shelf, client: httpx.Client) -> None:
    shelf.fail_next(Drop(applied=False), where=lambda request: request.method == "GET")

    client.put("/a?x=1", json={"A": "1"})
    with pytest.raises(httpx.TransportError):
        client.get("/b")

    put, get = shelf.calls
    assert (put.path, put.query, put.body, put.is_write, put.status) == (
        "/a",
        (("x", "1"),),
        {"A": "1"},
        True,
        200,
    )
    assert (get.path, get.is_write, get.status) == ("/b", False, None)
    assert (shelf.reads, shelf.writes) == ([get], [put])


@pytest.mark.parametrize("fault", [Fail(500), Reply(Response(418))], ids=str)
def test_a_request_that_fails_is_not_applied(shelf: Shelf, client: httpx.Client, fault: Fault) -> None:
    shelf.fail_next(fault)

    answer = client.put("/", json={"A": "1"})

    assert answer.status_code in {500, 418}
    assert shelf.held == {}


@pytest.mark.parametrize("fault", [Drop(applied=False), Drop(applied=True), Hang(), Hang(True)], ids=str)
def test_a_request_without_an_answer_is_applied_as_the_fault_says(
    shelf: Shelf, client: httpx.Client, fault: Drop | Hang
) -> None:
    shelf.fail_next(fault)

    with pytest.raises(httpx.TransportError):
        client.put("/", json={"A": "1"})

    assert shelf.held == ({"A": "1"} if fault.applied else {})
    assert client.get("/").status_code == 200


def test_faults_come_in_order_and_only_where_they_were_meant(shelf: Shelf, client: httpx.Client) -> None:
    shelf.fail_next(Fail(500), times=2, where=shelf.is_write)
    shelf.fail_next(Fail(429), where=shelf.is_write)

    answers = [client.put("/", json={}).status_code for _ in range(4)]

    assert answers == [500, 500, 429, 200]
    assert client.get("/").status_code == 200


def test_a_key_that_was_gone_for_a_moment_is_noticed(shelf: Shelf, client: httpx.Client) -> None:
    shelf.seed("shelf", {"A": "1"})
    shelf.forget_calls()
    assert not shelf.was_ever_absent("shelf", "A")

    client.delete("/")
    client.put("/", json={"A": "2"})

    assert shelf.was_ever_absent("shelf", "A")


def test_a_connection_is_kept_alive(shelf: Shelf) -> None:
    with FakeServer(shelf) as server, httpx.Client(base_url=server.address, verify=False) as http:
        first = http.get("/").extensions["network_stream"].get_extra_info("client_addr")
        second = http.get("/").extensions["network_stream"].get_extra_info("client_addr")

    assert first == second


def test_a_closed_server_answers_nobody(shelf: Shelf) -> None:
    with httpx.Client(verify=False) as http:
        with FakeServer(shelf) as server:
            http.get(server.address)

        with pytest.raises(httpx.TransportError):
            http.get(server.address)


def test_a_failure_of_the_emulator_itself_is_a_violation(shelf: Shelf) -> None:
    with (
        FakeServer(shelf) as server,
        httpx.Client(verify=False) as http,
        pytest.raises(httpx.TransportError),
    ):
        http.put(server.address, json=["not", "an", "object"])

    assert "the emulator failed" in shelf.violations[0]
