"""Push, pull and view: whole environments, and what comes back from a reader of lines."""

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.providers.dotenv import EnvText
from shared.runtime import Runtime
from shared.usecases import edit_secrets, read_secrets
from shared.usecases.edit_secrets import Replaced
from shared.usecases.keyway import secrets
from shared.usecases.keyway.secrets import as_read_by_lines, on_a_line
from shared.usecases.read_secrets import Detail
from tests.api.keyway.conftest import PUSHED, KeywayClient

PEM = "-----BEGIN KEY-----\nabc=\n-----END KEY-----\n"


def read_by_lines(text: str) -> dict[str, str]:
    """Read .env text as the clients of this wire do: line by line, one pair of quotes, no escapes."""
    found = {}
    for line in map(str.strip, text.split("\n")):
        key, equals, value = line.partition("=")
        if not line or line.startswith("#") or not equals:
            continue
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        found[key.strip()] = value
    return found


def versions(runtime: Runtime, project_id: UUID) -> dict[str, int]:
    found = read_secrets.list_secrets(runtime, project_id, "production", "/", Detail())
    return {view.key: view.version for view in found.secrets}


def test_a_push_counts_what_changed_and_names_what_it_deleted(keyway: KeywayClient, vault: UUID) -> None:
    keyway.push({"SAME": "1", "CHANGED": "1", "GONE": "1"})

    told = keyway.push({"SAME": "1", "CHANGED": "2", "NEW": "1"})

    assert told == {
        "success": True,
        "message": "Secrets pushed successfully",
        "stats": {"created": 1, "updated": 1, "deleted": 1, "unchanged": 1},
        "deletedKeys": ["GONE"],
    }
    assert keyway.pull() == "CHANGED=2\nNEW=1\nSAME=1"


def test_an_unchanged_secret_gets_no_new_version(keyway: KeywayClient, vault: UUID, runtime: Runtime) -> None:
    keyway.push({"A": "1", "B": "1"})

    keyway.push({"A": "1", "B": "2"})

    assert versions(runtime, vault) == {"A": 1, "B": 2}


def test_a_push_without_secrets_deletes_only_if_that_is_said(keyway: KeywayClient, vault: UUID) -> None:
    keyway.push({"A": "1"})

    refused = keyway.post("/v1/secrets/push", {**PUSHED, "secrets": {}})
    kept = keyway.pull()
    meant = keyway.push({}, allowEmpty=True)

    assert refused.status_code == 400
    assert "delete all 1" in refused.json()["detail"]
    assert kept == "A=1"
    assert meant["deletedKeys"] == ["A"]


def test_a_push_keeps_the_value_it_carries_while_somebody_deletes_the_key(
    keyway: KeywayClient, vault: UUID, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyway.push({"A": "1", "B": "1"})
    replace_secrets = secrets.replace_secrets

    def delete_first(*given: Any, **named: Any) -> Replaced:
        edit_secrets.delete_secrets(runtime, vault, "production", "/", ["A"], actor="somebody")
        return replace_secrets(*given, **named)

    monkeypatch.setattr(secrets, "replace_secrets", delete_first)
    keyway.push({"A": "1", "B": "2"})

    assert read_by_lines(keyway.pull()) == {"A": "1", "B": "2"}


def test_an_empty_environment_is_not_found(keyway: KeywayClient, vault: UUID) -> None:
    answer = keyway.get("/v1/secrets/pull", repo="owner/repo", environment="staging")

    assert answer.status_code == 404


def test_an_unknown_environment_names_those_that_exist(keyway: KeywayClient, vault: UUID) -> None:
    body = {"repoFullName": "owner/repo", "secrets": {"A": "1"}}
    answers = [keyway.post("/v1/secrets/push", body), keyway.get("/v1/secrets/pull", repo="owner/repo")]

    for answer in answers:
        assert answer.status_code == 400
        assert answer.json()["detail"] == (
            "Environment 'default' does not exist in this vault. "
            "Available environments: development, staging, production"
        )


@pytest.mark.parametrize(
    "value",
    ["", "plain", "two words", 'say "hi"', "it's", "'\"", PEM, "C:\\new\\table", "$HOME", "#no", " edge "],
)
def test_a_value_survives_pull_and_push_by_a_reader_of_lines(
    keyway: KeywayClient, vault: UUID, runtime: Runtime, value: str
) -> None:
    keyway.push({"VALUE": value, "OTHER": "1"})

    echoed = read_by_lines(keyway.pull())
    told = keyway.push({**echoed, "OTHER": "2"})

    assert echoed.keys() == {"VALUE", "OTHER"}
    assert told["stats"] == {"created": 0, "updated": 1, "deleted": 0, "unchanged": 1}
    view = keyway.get("/v1/secrets/view", repo="owner/repo", environment="production", key="VALUE")
    assert keyway.data(view) == {"key": "VALUE", "value": value, "environment": "production"}


@pytest.mark.parametrize("value", ["two words", PEM, 'say "hi"', "it's", "$HOME"])
def test_a_proper_reader_of_env_files_finds_the_value(keyway: KeywayClient, vault: UUID, value: str) -> None:
    keyway.push({"VALUE": value})

    assert EnvText.parse(keyway.pull()).values == {"VALUE": value}


@pytest.mark.parametrize(
    "value",
    [
        "C:\\new\\table",
        "\\\\server\\share",
        r"^\d+$",
        '{"key": "-----BEGIN-----\\nabc"}',
        'say \\"hi\\"',
        'it\'s "quoted"',
        "two words",
    ],
)
def test_keyway_run_and_a_proper_reader_find_the_same_value(
    keyway: KeywayClient, vault: UUID, value: str
) -> None:
    keyway.push({"VALUE": value})

    text = keyway.pull()

    assert read_by_lines(text) == EnvText.parse(text).values == {"VALUE": value}


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0")))
def test_every_value_is_one_line_that_comes_back(value: str) -> None:
    line = f"KEY={on_a_line(value)}"

    assert read_by_lines(line) == {"KEY": as_read_by_lines(value)}
    assert EnvText.parse(line).values == {"KEY": value}


def test_a_key_that_reads_as_a_comment_is_not_deleted_by_an_echo(keyway: KeywayClient, vault: UUID) -> None:
    made = keyway.post(
        "/api/v4/secrets/%23ODD",
        {"projectId": str(vault), "environment": "production", "secretPath": "/", "secretValue": "1"},
    )
    keyway.push({"A": "1"})

    view = keyway.get("/v1/secrets/view", repo="owner/repo", environment="production", key="#ODD")

    assert made.status_code == 200
    assert keyway.data(view)["value"] == "1"


def test_a_pull_can_be_read_in_parts(keyway: KeywayClient, vault: UUID) -> None:
    keyway.push({"A": "1", "B": "2", "C": "3"})

    answer = keyway.get("/v1/secrets/pull", repo="owner/repo", environment="production", limit=1, offset=1)

    assert keyway.data(answer)["content"] == "B=2"


@pytest.mark.parametrize(
    "body",
    [
        {**PUSHED, "secrets": {"A": 1}},
        {**PUSHED, "secrets": {"A B": "1"}},
        {**PUSHED, "secrets": {"A": "x" * 65_537}},
        {**PUSHED, "secrets": {f"K{number}": "" for number in range(1001)}},
        {**PUSHED, "secrets": {"A": "1"}, "environment": ""},
        {"repoFullName": "owner/repo"},
    ],
)
def test_a_push_of_the_wrong_form_is_refused_whole_and_shows_no_value(
    keyway: KeywayClient, vault: UUID, body: dict[str, object]
) -> None:
    answer = keyway.post("/v1/secrets/push", body)

    assert answer.status_code == 400
    assert "xxx" not in answer.text
    empty = keyway.get("/v1/secrets/pull", repo="owner/repo", environment="production")
    assert empty.status_code == 404
