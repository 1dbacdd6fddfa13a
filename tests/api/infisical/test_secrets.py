import json
from typing import Any
from uuid import UUID

import pytest

from shared.broker import Task
from shared.runtime import Runtime
from shared.usecases.tokens import Scope
from tests.api.client import UNKNOWN_ID, ApiClient
from tests.support import RecordingBroker, create_token

Body = dict[str, Any]
CANARY = "canary-94be"


def create(api: ApiClient, place: Body, key: str = "KEY", value: str = "a value", **more: Any) -> Body:
    answer = api.post(f"/api/v4/secrets/{key}", {**place, "secretValue": value, **more})
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["secret"])


def values(api: ApiClient, place: Body, **query: str) -> dict[str, str]:
    found = api.get("/api/v4/secrets", **place, **query).json()["secrets"]
    return {each["secretKey"]: each["secretValue"] for each in found}


def test_a_created_secret_is_shown_with_every_field_of_the_wire(api: ApiClient, place: Body) -> None:
    secret = create(api, place, secretComment="from the database")

    assert secret["id"] == secret["_id"]
    assert secret["workspace"] == place["projectId"]
    assert (
        secret.items()
        >= {
            "environment": "production",
            "version": 1,
            "type": "shared",
            "secretKey": "KEY",
            "secretValue": "a value",
            "secretValueHidden": False,
            "secretComment": "from the database",
            "secretPath": "/",
            "tags": [],
            "secretMetadata": [],
            "isRotatedSecret": False,
            "skipMultilineEncoding": None,
            "secretReminderNote": None,
        }.items()
    )


def test_a_new_secret_needs_a_value_which_may_be_empty(api: ApiClient, place: Body) -> None:
    answer = api.post("/api/v4/secrets/KEY", {**place, "value": "in the wrong field"})

    assert answer.status_code == 422
    assert [issue["path"] for issue in answer.json()["message"]] == [["secretValue"]]
    assert values(api, place) == {}


@pytest.mark.parametrize(
    "value",
    ["", "  ", " padded \n\n", "\ttab", "line\r\nline", "ünïcödé 😀", "${", '"quoted"\\n', "x" * 65_536],
)
def test_a_value_is_kept_exactly_as_it_was_sent(api: ApiClient, place: Body, value: str) -> None:
    create(api, place, value=value)

    assert values(api, place) == {"KEY": value}


def test_an_edit_is_a_new_version_and_asks_the_syncs_to_follow(
    api: ApiClient, place: Body, broker: RecordingBroker
) -> None:
    create(api, place)

    answer = api.patch("/api/v4/secrets/KEY", {**place, "secretValue": "another"})

    assert answer.json()["secret"]["version"] == 2
    assert values(api, place) == {"KEY": "another"}
    assert broker.tasks() == [Task.DISPATCH, Task.DISPATCH]


def test_what_changes_nothing_asks_nobody(api: ApiClient, place: Body, broker: RecordingBroker) -> None:
    create(api, place)

    answer = api.patch("/api/v4/secrets/KEY", {**place, "secretValue": "a value"})

    assert answer.json()["secret"]["version"] == 1
    assert broker.tasks() == [Task.DISPATCH]


def test_an_earlier_version_can_be_read(api: ApiClient, place: Body) -> None:
    create(api, place)
    api.patch("/api/v4/secrets/KEY", {**place, "secretValue": "another"})

    first = api.get("/api/v4/secrets/KEY", **place, version=1).json()["secret"]

    assert (first["version"], first["secretValue"]) == (1, "a value")


def test_a_secret_can_be_renamed(api: ApiClient, place: Body) -> None:
    create(api, place, secretComment="kept")

    answer = api.patch("/api/v4/secrets/KEY", {**place, "newSecretName": "NAME"})

    assert answer.json()["secret"]["secretComment"] == "kept"
    assert values(api, place) == {"NAME": "a value"}


def test_a_deleted_secret_is_gone_and_its_value_not_shown(api: ApiClient, place: Body) -> None:
    create(api, place, value=CANARY)

    answer = api.delete("/api/v4/secrets/KEY", place)

    assert answer.json()["secret"]["secretKey"] == "KEY"
    assert CANARY not in answer.text
    assert values(api, place) == {}


def test_a_secret_is_found_by_its_id(api: ApiClient, place: Body) -> None:
    secret = create(api, place)

    assert api.get(f"/api/v4/secrets/id/{secret['id']}").json()["secret"] == secret
    assert api.get(f"/api/v3/secrets/raw/id/{secret['id']}").json()["secret"] == secret


def test_values_can_be_left_out(api: ApiClient, place: Body) -> None:
    secret = create(api, place, value=CANARY)

    for path in ("/api/v4/secrets", "/api/v4/secrets/KEY", f"/api/v4/secrets/id/{secret['id']}"):
        answer = api.get(path, **place, viewSecretValue="false")

        assert CANARY not in answer.text
        assert '"secretValueHidden":true' in answer.text


def test_references_are_resolved_on_request(api: ApiClient, place: Body) -> None:
    create(api, place, "HOST", "db")
    create(api, place, "URL", "postgres://${HOST}")

    plain = api.get("/api/v4/secrets/URL", **place).json()["secret"]
    expanded = api.get("/api/v4/secrets/URL", **place, expandSecretReferences="true").json()["secret"]

    assert plain["secretValue"] == "postgres://${HOST}"
    assert expanded["secretValue"] == "postgres://db"


def test_folders_below_are_listed_on_request(api: ApiClient, place: Body) -> None:
    api.post("/api/v2/folders", {**place, "name": "web"})
    create(api, place, "ABOVE", "1")
    create(api, {**place, "secretPath": "/web"}, "BELOW", "2")

    assert values(api, place) == {"ABOVE": "1"}
    assert values(api, place, recursive="true") == {"ABOVE": "1", "BELOW": "2"}


def test_a_secret_of_an_import_is_found_by_its_name(api: ApiClient, place: Body) -> None:
    api.post("/api/v2/folders", {**place, "name": "web"})
    create(api, {**place, "secretPath": "/web"}, "BELOW", "2")
    imported = {"environment": "production", "path": "/web"}
    api.post("/api/v2/secret-imports", {**place, "path": "/", "import": imported})

    assert api.get("/api/v4/secrets/BELOW", **place).status_code == 404
    found = api.get("/api/v4/secrets/BELOW", **place, include_imports="true")
    assert found.json()["secret"]["secretPath"] == "/web"


# --- several at once -----------------------------------------------------------------------------------


def batch(*items: Body) -> Body:
    return {"secrets": list(items)}


@pytest.mark.parametrize("path", ["/api/v4/secrets/batch", "/api/v3/secrets/batch/raw"])
def test_secrets_are_created_changed_and_deleted_together(
    api: ApiClient, place: Body, broker: RecordingBroker, path: str
) -> None:
    both = batch({"secretKey": "A", "secretValue": "1"}, {"secretKey": "B", "secretValue": "2"})
    api.post(path, {**place, **both})
    assert values(api, place) == {"A": "1", "B": "2"}

    changes = batch({"secretKey": "A", "secretValue": "3"}, {"secretKey": "B", "newSecretName": "C"})
    api.patch(path, {**place, **changes})
    assert values(api, place) == {"A": "3", "C": "2"}

    api.delete(path, {**place, **batch({"secretKey": "A"}, {"secretKey": "C"})})
    assert values(api, place) == {}
    assert broker.tasks() == [Task.DISPATCH] * 3


def test_a_batch_is_stored_whole_or_not_at_all(api: ApiClient, place: Body) -> None:
    create(api, place, "A", "1")
    clash = batch({"secretKey": "B", "secretValue": "2"}, {"secretKey": "A", "secretValue": "3"})
    missing = batch({"secretKey": "A", "secretValue": "4"}, {"secretKey": "Z", "secretValue": "5"})

    assert api.post("/api/v4/secrets/batch", {**place, **clash}).status_code == 400
    assert api.patch("/api/v4/secrets/batch", {**place, **missing}).status_code == 404
    assert api.delete("/api/v4/secrets/batch", {**place, **missing}).status_code == 404
    assert values(api, place) == {"A": "1"}


def test_a_batch_may_skip_what_is_missing(api: ApiClient, place: Body, broker: RecordingBroker) -> None:
    create(api, place, "A", "1")
    both = batch({"secretKey": "A", "secretValue": "2"}, {"secretKey": "Z", "secretValue": "3"})
    none = batch({"secretKey": "Z", "secretValue": "3"})

    some = api.patch("/api/v4/secrets/batch", {**place, **both, "mode": "ignore"})
    nothing = api.patch("/api/v4/secrets/batch", {**place, **none, "mode": "ignore"})

    assert [each["secretKey"] for each in some.json()["secrets"]] == ["A"]
    assert nothing.json() == {"secrets": []}
    assert values(api, place) == {"A": "2"}
    assert broker.tasks() == [Task.DISPATCH] * 2


def test_a_batch_may_change_secrets_of_several_folders(api: ApiClient, place: Body) -> None:
    api.post("/api/v2/folders", {**place, "name": "web"})
    web = {**place, "secretPath": "/web"}
    create(api, place, "A", "1")
    create(api, web, "A", "1")
    both = batch(
        {"secretKey": "A", "secretValue": "in web", "secretPath": "/web/"},
        {"secretKey": "A", "secretValue": "above"},
    )

    answer = api.patch("/api/v4/secrets/batch", {**place, **both})

    assert [each["secretPath"] for each in answer.json()["secrets"]] == ["/web", "/"]
    assert (values(api, place), values(api, web)) == ({"A": "above"}, {"A": "in web"})


def test_a_batch_over_several_folders_is_stored_whole_or_not_at_all(api: ApiClient, place: Body) -> None:
    api.post("/api/v2/folders", {**place, "name": "web"})
    create(api, place, "A", "1")
    change = {"secretKey": "A", "secretValue": "2"}

    missing = api.patch("/api/v4/secrets/batch", {**place, **batch(change, {**change, "secretPath": "/web"})})
    nowhere = api.patch("/api/v4/secrets/batch", {**place, **batch(change, {**change, "secretPath": "/no"})})
    twice = api.patch("/api/v4/secrets/batch", {**place, **batch(change, {**change, "secretPath": "//"})})

    assert (missing.status_code, nowhere.status_code, twice.status_code) == (404, 404, 400)
    assert values(api, place) == {"A": "1"}


def test_a_batch_may_create_what_is_missing(api: ApiClient, place: Body) -> None:
    create(api, place, "A", "1")
    both = batch({"secretKey": "A", "secretValue": "2"}, {"secretKey": "B", "secretValue": "3"})

    answer = api.patch("/api/v4/secrets/batch", {**place, **both, "mode": "upsert"})

    assert [each["version"] for each in answer.json()["secrets"]] == [2, 1]
    assert values(api, place) == {"A": "2", "B": "3"}


# --- moving --------------------------------------------------------------------------------------------


def moving(place: Body, *secrets: Body, **more: Any) -> Body:
    """The request to move *secrets* from the root folder of production to its folder /web."""
    return {
        "projectId": place["projectId"],
        "sourceEnvironment": "production",
        "sourceSecretPath": "/",
        "destinationEnvironment": "production",
        "destinationSecretPath": "/web",
        "secretIds": [secret["id"] for secret in secrets],
        **more,
    }


@pytest.fixture
def web(api: ApiClient, place: Body) -> Body:
    """The folder /web of production."""
    api.post("/api/v2/folders", {**place, "name": "web"})
    return {**place, "secretPath": "/web"}


@pytest.mark.parametrize("path", ["/api/v4/secrets/move", "/api/v3/secrets/move"])
def test_secrets_are_moved_by_their_ids(api: ApiClient, place: Body, web: Body, path: str) -> None:
    moved = create(api, place, "A", "1")
    create(api, place, "B", "2")

    answer = api.post(path, moving(place, moved, projectId="", projectSlug="shop"))

    assert answer.json() == {"isSourceUpdated": True, "isDestinationUpdated": True}
    assert (values(api, place), values(api, web)) == ({"B": "2"}, {"A": "1"})


def test_a_moved_secret_takes_the_place_of_another_on_request(api: ApiClient, place: Body, web: Body) -> None:
    moved = create(api, place, "A", "moved")
    create(api, web, "A", "there")

    refused = api.post("/api/v4/secrets/move", moving(place, moved))
    assert refused.status_code == 400
    assert values(api, web) == {"A": "there"}

    api.post("/api/v4/secrets/move", moving(place, moved, shouldOverwrite=True))
    assert (values(api, place), values(api, web)) == ({}, {"A": "moved"})


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"secretIds": []}, 422),
        ({"secretIds": [UNKNOWN_ID]}, 404),
        ({"secretIds": ["A"]}, 422),
        ({"shouldOverwrite": "yes"}, 422),
        ({"sourceEnvironment": "staging"}, 404),
        ({"destinationEnvironment": "nowhere"}, 404),
        ({"destinationSecretPath": "/nowhere"}, 404),
        ({"destinationSecretPath": "/"}, 400),
        ({"projectId": UNKNOWN_ID}, 404),
    ],
)
def test_a_wrong_move_leaves_everything_where_it_is(
    api: ApiClient, place: Body, web: Body, change: Body, status: int
) -> None:
    moved = create(api, place, "A", "1")

    answer = api.post("/api/v4/secrets/move", {**moving(place, moved), **change})

    assert answer.status_code == status, answer.text
    assert (values(api, place), values(api, web)) == ({"A": "1"}, {})


# --- older clients -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["workspaceId", "projectId", "workspaceSlug", "projectSlug"])
def test_the_old_paths_take_every_name_of_a_project(api: ApiClient, project_id: UUID, name: str) -> None:
    place = {name: str(project_id) if name.endswith("Id") else "shop", "environment": "production"}

    created = api.post("/api/v3/secrets/raw/KEY", {**place, "secretValue": "1"})
    changed = api.patch("/api/v3/secrets/raw/KEY", {**place, "secretValue": "2"})
    listed = api.get("/api/v3/secrets/raw", **place)
    found = api.get("/api/v3/secrets/raw/KEY", **place)
    deleted = api.delete("/api/v3/secrets/raw/KEY", place)

    assert created.json()["secret"]["version"] == 1
    assert changed.json()["secret"] == found.json()["secret"]
    assert listed.json() == {"secrets": [found.json()["secret"]], "imports": []}
    assert deleted.json()["secret"]["id"] == created.json()["secret"]["id"]


def test_a_project_that_a_client_leaves_empty_was_not_named(api: ApiClient, project_id: UUID) -> None:
    place = {"workspaceId": "", "workspaceSlug": "shop", "environment": "production"}

    assert api.get("/api/v3/secrets/raw", **place).status_code == 200
    assert api.get("/api/v3/secrets/raw", workspaceId="", environment="production").status_code == 400


@pytest.mark.parametrize("text", ["true", "True"])
@pytest.mark.parametrize("name", ["include_imports", "includeImports"])
def test_imports_are_asked_for_in_either_spelling(
    api: ApiClient, place: Body, web: Body, name: str, text: str
) -> None:
    create(api, web, "BELOW", "2")
    imported = {"environment": "production", "path": "/web"}
    api.post("/api/v2/secret-imports", {**place, "path": "/", "import": imported})

    assert api.get("/api/v3/secrets/raw/BELOW", **place, **{name: text}).status_code == 200
    [shown] = api.get("/api/v3/secrets/raw", **place, **{name: text}).json()["imports"]
    assert [each["secretKey"] for each in shown["secrets"]] == ["BELOW"]


# --- what is refused -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "change", "status"),
    [
        ("A:B", {}, 400),
        ("A=B", {}, 400),
        ("A B", {}, 400),
        ("A%0AB", {}, 400),
        ("K" * 256, {}, 400),
        ("TAKEN", {}, 400),
        ("KEY", {"secretValue": "v" * 65_537}, 400),
        ("KEY", {"secretValue": "ü" * 32_769}, 400),
        ("KEY", {"secretValue": "a\0b"}, 400),
        ("KEY", {"secretValue": 7}, 422),
        ("KEY", {"secretValue": None}, 422),
        ("KEY", {"secretComment": "c" * 4_097}, 400),
        ("KEY", {"type": "personal"}, 422),
        ("KEY", {"environment": "nowhere"}, 404),
        ("KEY", {"environment": "e" * 65}, 422),
        ("KEY", {"secretPath": "/nowhere"}, 404),
        ("KEY", {"secretPath": "/../etc"}, 400),
        ("KEY", {"secretPath": ""}, 422),
        ("KEY", {"projectId": "not-an-id"}, 422),
        ("KEY", {"projectId": None}, 400),
        ("KEY", {"projectId": UNKNOWN_ID}, 404),
    ],
)
def test_a_wrong_secret_is_refused_and_not_stored(
    api: ApiClient, place: Body, key: str, change: Body, status: int, broker: RecordingBroker
) -> None:
    create(api, place, "TAKEN")

    answer = api.post(f"/api/v4/secrets/{key}", {**place, "secretValue": CANARY, **change})

    assert answer.status_code == status, answer.text
    assert answer.json().keys() >= {"reqId", "statusCode", "message", "error"}
    assert CANARY not in answer.text
    assert values(api, place) == {"TAKEN": "a value"}
    assert broker.tasks() == [Task.DISPATCH]


@pytest.mark.parametrize(
    "secrets",
    [
        [],
        {},
        "KEY",
        [{}],
        [{"secretKey": ""}],
        [{"secretKey": "A", "secretValue": {"nested": CANARY}}],
        [{"secretKey": "A", "secretValue": CANARY}, {"secretKey": "A", "secretValue": CANARY}],
        [{"secretKey": f"K{n}", "secretValue": CANARY} for n in range(1001)],
    ],
)
def test_a_wrong_batch_is_refused_and_not_stored(api: ApiClient, place: Body, secrets: Any) -> None:
    answer = api.post("/api/v4/secrets/batch", {**place, "secrets": secrets})

    assert answer.status_code in (400, 422)
    assert CANARY not in answer.text
    assert values(api, place) == {}


@pytest.mark.parametrize(
    "query",
    [
        {"recursive": "yes"},
        {"viewSecretValue": "1"},
        {"include_imports": ""},
        {"secretPath": "nö"},
        {"environment": ""},
    ],
)
def test_a_wrong_query_is_refused(api: ApiClient, place: Body, query: Body) -> None:
    assert api.get("/api/v4/secrets", **{**place, **query}).status_code in (400, 422)


@pytest.mark.parametrize("version", ["0", "-1", "9", "9" * 20, "x"])
def test_a_version_that_never_was_is_not_shown(api: ApiClient, place: Body, version: str) -> None:
    create(api, place)

    answer = api.get("/api/v4/secrets/KEY", **place, version=version)

    assert answer.status_code in (404, 422)
    assert "a value" not in answer.text


def test_a_circle_of_references_is_named_without_a_value(api: ApiClient, place: Body) -> None:
    create(api, place, "A", f"{CANARY} ${{B}}")
    create(api, place, "B", f"{CANARY} ${{A}}")

    answer = api.get("/api/v4/secrets", **place, expandSecretReferences="true")

    assert answer.status_code == 400
    assert "A" in answer.json()["message"]
    assert CANARY not in answer.text


def test_who_may_only_write_learns_no_value(
    api: ApiClient, place: Body, runtime: Runtime, project_id: UUID
) -> None:
    create(api, place, value=CANARY)
    token = create_token(runtime, "writer", [Scope.WRITE], project_id=project_id)
    writer = ApiClient(api.app, token.get_secret_value())

    renamed = writer.patch("/api/v4/secrets/KEY", {**place, "newSecretName": "NAME"})
    deleted = writer.delete("/api/v4/secrets/NAME", place)

    assert (renamed.status_code, deleted.status_code) == (200, 200)
    assert CANARY not in json.dumps([renamed.json(), deleted.json()])
    assert writer.get("/api/v4/secrets", **place).status_code == 403
