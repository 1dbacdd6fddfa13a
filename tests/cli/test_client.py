"""What becomes of a server's refusal."""

from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from cli.client import Client, NoAnswer
from cli.follow import wait_for_edits
from cli.render import Screen
from cli.server import Server
from shared.errors import Conflict, Forbidden, InvalidInput, KeytideError, NotFound, Unauthenticated

SERVER = Server("http://127.0.0.1:1", SecretStr("kt_token"), "test")


def refused(status: int, body: Any, **headers: str) -> KeytideError:
    """Return the error that this answer becomes."""
    answer = httpx.Response(status, json=body, headers={"x-request-id": "req-0", **headers})
    transport = httpx.MockTransport(lambda request: answer)
    with httpx.Client(base_url=SERVER.url, transport=transport) as http, pytest.raises(KeytideError) as error:
        Client(SERVER, http).get("/path")
    return error.value


def infisical(status: int, message: Any, error: str = "Error") -> KeytideError:
    return refused(status, {"reqId": "1", "statusCode": status, "message": message, "error": error})


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidInput),
        (401, Unauthenticated),
        (403, Forbidden),
        (404, NotFound),
        (409, Conflict),
        (500, KeytideError),
    ],
)
def test_each_status_becomes_its_error_with_the_servers_words(status: int, kind: type[Exception]) -> None:
    error = infisical(status, "What went wrong.")

    assert type(error) is kind
    assert error.message.startswith("What went wrong.")


def test_keyways_wire_words_its_refusals_otherwise() -> None:
    error = refused(404, {"type": "…", "title": "Not Found", "status": 404, "detail": "Vault not found"})

    assert error.message == "Vault not found"


def test_fields_of_the_wrong_form_are_named() -> None:
    error = infisical(422, [{"path": ["destinationConfig", "path"], "message": "Field required"}])

    assert error.message == "destinationConfig.path: Field required."


def test_a_sentence_about_a_field_ends_once() -> None:
    error = infisical(422, [{"path": ["name"], "message": "Use lower-case letters."}])

    assert error.message == "name: Use lower-case letters."


@pytest.mark.parametrize("error", [infisical(401, "No."), infisical(403, "No.", "TokenError")])
def test_whoever_is_not_known_is_told_how_to_log_in(error: KeytideError) -> None:
    assert isinstance(error, Unauthenticated)
    assert "'keytide login'" in error.message


def test_whoever_asks_too_often_is_told_once_how_long_to_wait() -> None:
    said = "Too many requests, please try again in 7 s."
    error = refused(429, {"detail": said}, **{"retry-after": "7"})

    assert error.message == said


@pytest.mark.parametrize("status", [502, 503])
def test_a_fault_of_a_provider_is_not_looked_for_in_our_log(status: int) -> None:
    error = infisical(status, "Railway did not answer.")

    assert error.message == "Railway did not answer."


def test_a_fault_of_the_server_names_what_its_log_knows_it_by() -> None:
    error = refused(500, {"message": "Something went wrong"}, **{"x-request-id": "req-1"})

    assert error.message == "Something went wrong. The server's log tells more under req-1."


def test_what_is_not_keytide_is_not_taken_for_it() -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(200, text="<html>a proxy</html>"))
    with (
        httpx.Client(base_url=SERVER.url, transport=transport) as http,
        pytest.raises(NoAnswer, match="is not Keytide"),
    ):
        Client(SERVER, http).get("/path")


def test_a_refusal_of_something_else_is_not_repeated() -> None:
    echo = httpx.Response(401, json={"message": "you sent Bearer kt_token"})
    transport = httpx.MockTransport(lambda request: echo)
    with httpx.Client(base_url=SERVER.url, transport=transport) as http, pytest.raises(NoAnswer) as error:
        Client(SERVER, http).get("/path")

    assert "kt_token" not in error.value.message
    assert error.value.message.endswith("is not Keytide, or something before it: it refuses with 401.")


def test_whoever_has_no_token_is_told_so() -> None:
    server = Server("http://127.0.0.1:1", None, "")
    answer = httpx.Response(401, json={"message": "No."}, headers={"x-request-id": "req-1"})
    transport = httpx.MockTransport(lambda request: answer)
    with (
        httpx.Client(base_url=server.url, transport=transport) as http,
        pytest.raises(Unauthenticated, match=r"There is no token for http://127\.0\.0\.1:1 here\."),
    ):
        Client(server, http).get("/path")


def test_an_edit_that_is_not_passed_on_yet_is_waited_for() -> None:
    answers = iter([{"hasOpenChanges": True}, {"hasOpenChanges": True}, {"hasOpenChanges": False}])
    transport = httpx.MockTransport(lambda request: httpx.Response(200, json=next(answers)))
    sync = {"id": "1", "destination": "dotenv", "name": "local"}
    with httpx.Client(base_url=SERVER.url, transport=transport) as http:
        wait_for_edits(Client(SERVER, http), Screen(), sync)

    assert next(answers, None) is None


def test_names_with_signs_of_an_address_arrive_as_they_are() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={})

    with httpx.Client(base_url=SERVER.url, transport=httpx.MockTransport(answer)) as http:
        Client(SERVER, http).get("/path", environment="a&b=c#d e", missing=None)

    assert dict(seen[0].url.params) == {"environment": "a&b=c#d e"}
