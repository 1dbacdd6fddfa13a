import json
from typing import Any

import pytest

from api.bodies import MAX_BODY_BYTES, parse_json
from shared.errors import InvalidInput
from tests.api.client import ApiClient

CANARY = "canary-7c9e"
JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ('{"a": 1,}', {"a": 1}),
        ('{"a": [1, 2, ], }', {"a": [1, 2]}),
        ('[{"a": 1},\n\t]', [{"a": 1}]),
        ('{"a": ",}", "b": "\\",]",}', {"a": ",}", "b": '",]'}),
        ('{"a": "x,\\\\",}', {"a": "x,\\"}),
    ],
)
def test_a_comma_behind_the_last_entry_is_forgiven(text: str, meant: Any) -> None:
    assert parse_json(text.encode()) == meant


@pytest.mark.parametrize("value", [",}", ",]", 'a\\",}', "\\", ", ]", "ü,}"])
def test_text_inside_quotes_is_left_alone(value: str) -> None:
    body = json.dumps({"strict": value})

    assert parse_json(body.encode()) == {"strict": value}
    assert parse_json(body.replace("}", ",}").encode() if "}" not in value else body.encode())


@pytest.mark.parametrize(
    "text",
    [
        "[,]",
        "{,}",
        "[1,,]",
        "[1,,2]",
        '{"a":,}',
        '{"a":1,,}',
        ",",
        "",
        "{",
        '{"a": "x,}',
        "[1,",
        "{'a': 1}",
        "// {}",
    ],
)
def test_every_other_fault_stays_one(text: str) -> None:
    with pytest.raises(InvalidInput, match="not valid JSON"):
        parse_json(text.encode())


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 200_000,
        b"[1" + b"0" * 5_000 + b"]",
        b"[NaN]",
        b"[-Infinity,]",
        b'{"a": "\xff"}',
        b'{"a": "\\ud800"}',
        b'{"\\udc00": 1}',
        b'{"a": ["\\u0000"]}',
        b'{"a": "\x00"}',
        "\ud800".encode("utf-8", "surrogatepass"),
    ],
)
def test_what_cannot_be_stored_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidInput):
        parse_json(body)


def test_escapes_that_mean_something_else_are_taken() -> None:
    # A pair of surrogates is one character, and an escaped backslash begins no escape.
    assert parse_json(rb'["\ud83d\ude00", "\\u0000", "\\ud800"]') == ["\U0001f600", "\\u0000", "\\ud800"]


@pytest.mark.parametrize("piece", ['\\"', '"', ",", ", ", "[,", ",]", '",'])
def test_reading_takes_time_in_proportion_to_the_length(piece: str) -> None:
    # Quadratic time would be minutes here; nothing is measured, it just has to come to an end.
    body = b"{" + piece.encode() * (2**20 // len(piece))

    with pytest.raises(InvalidInput):
        parse_json(body)


@pytest.mark.parametrize(
    "body",
    [
        f'{{"projectName": "{CANARY}" oops}}'.encode(),
        f'{{"projectName": "{CANARY}\\ud800"}}'.encode(),
        f'["{CANARY}"]'.encode(),
        f'"{CANARY}"'.encode(),
        f'{{"projectName": ["{CANARY}"]}}'.encode(),
        f'{{"projectName": {{"{CANARY}": 1}}}}'.encode(),
        CANARY.encode() + b"\xff",
        b"null",
        b"[]",
        b"",
    ],
)
def test_a_bad_body_is_answered_without_repeating_it(
    api: ApiClient, body: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    answer = api.request("POST", "/api/v1/projects", content=body, headers=JSON)

    assert answer.status_code in (400, 422)
    assert answer.json()["error"] in ("BadRequest", "ValidationFailure")
    assert CANARY not in answer.text
    assert CANARY not in "".join(capfd.readouterr())


def test_a_body_of_another_type_is_refused(api: ApiClient) -> None:
    answer = api.request(
        "POST", "/api/v1/projects", content=b'{"projectName": "x"}', headers={"Content-Type": "text/plain"}
    )

    assert answer.status_code == 415
    assert "application/json" in answer.json()["message"]


def test_a_body_that_is_too_large_is_refused(api: ApiClient) -> None:
    answer = api.request("POST", "/api/v1/projects", content=b" " * (MAX_BODY_BYTES + 1), headers=JSON)

    assert answer.status_code == 413
    assert answer.json()["error"] == "PayloadTooLarge"


def test_an_address_with_a_nul_character_is_refused(api: ApiClient) -> None:
    for path in ("/api/v1/projects/slug/a%00b", "/api/v1/projects?limit=1&x=%00"):
        assert api.get(path).status_code == 400
