"""Who may do what: tokens and API keys by their scopes, people known to GitHub by their role."""

from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI
from sqlalchemy import select

from shared.db.tokens import ApiToken
from shared.runtime import Runtime
from shared.usecases.projects import create_project
from shared.usecases.tokens import Scope
from tests.api.client import ApiClient
from tests.api.keyway.conftest import PUSHED, SYNC, KeywayClient
from tests.fakes.github import FakeGitHub
from tests.fakes.railway import FakeRailway
from tests.fakes.service import Fail
from tests.support import ManualClock, create_token

ME = "/v1/users/me"
PUSH = "/v1/secrets/push"


def new_key(keyway: KeywayClient, *scopes: str, **more: Any) -> Any:
    body = {"name": "deploy", "environment": "live", "scopes": list(scopes), **more}
    return keyway.data(keyway.post("/v1/api-keys", body))


def with_key(app: FastAPI, keyway: KeywayClient, *scopes: str, **more: Any) -> KeywayClient:
    return KeywayClient(app, new_key(keyway, *scopes, **more)["token"])


# --- API keys ------------------------------------------------------------------------------------------


def test_an_api_key_is_shown_once(keyway: KeywayClient) -> None:
    made = new_key(keyway, "read:secrets", "write:secrets", expiresInDays=30)
    listed = keyway.get("/v1/api-keys")
    one = keyway.get(f"/v1/api-keys/{made['id']}")

    kind, letters = made["token"].rsplit("_", 1)
    assert (kind, len(letters), letters.isalnum()) == ("kw_live", 40, True)
    assert made["expiresAt"] == "2026-01-31T00:00:00.000Z"
    assert (made["isActive"], made["environment"], made["scopes"]) == (
        True,
        "live",
        ["read:secrets", "write:secrets"],
    )
    assert made["token"].startswith(made["prefix"])
    assert letters not in listed.text + one.text
    assert [each["id"] for each in keyway.data(listed)["keys"]] == [made["id"]]


def test_a_revoked_key_is_not_known_any_more(app: FastAPI, keyway: KeywayClient) -> None:
    made = new_key(keyway, "read:secrets")

    ended = keyway.delete(f"/v1/api-keys/{made['id']}")

    assert ended.status_code == 204
    assert KeywayClient(app, made["token"]).get(ME).status_code == 401


def test_a_key_ends_with_its_time(app: FastAPI, keyway: KeywayClient, clock: ManualClock) -> None:
    holder = with_key(app, keyway, "read:secrets", expiresInDays=1)
    before = holder.get(ME).status_code

    clock.advance(seconds=86_400)

    assert (before, holder.get(ME).status_code) == (200, 401)


@pytest.mark.parametrize(
    ("networks", "status"),
    [
        (["127.0.0.0/8"], 200),
        (["10.0.0.0/8", "127.0.0.1"], 200),
        (["10.0.0.0/8"], 401),
        (["::1"], 401),
        (["0.0.0.0/0"], 200),
    ],
)
def test_a_key_is_valid_from_its_networks_only(
    app: FastAPI, keyway: KeywayClient, networks: list[str], status: int
) -> None:
    holder = with_key(app, keyway, "read:secrets", allowedIps=networks)

    assert holder.get(ME).status_code == status


def test_a_key_does_what_its_scopes_say(app: FastAPI, keyway: KeywayClient, vault: UUID) -> None:
    reader = with_key(app, keyway, "read:secrets")
    writer = with_key(app, keyway, "write:secrets")
    keyway.push({"A": "1"})

    refused = reader.post(PUSH, {**PUSHED, "secrets": {"A": "2"}})
    unread = writer.get("/v1/secrets/pull", repo="owner/repo", environment="production")

    assert refused.status_code == 403
    assert refused.json()["detail"] == "API key missing required scope(s): write:secrets"
    assert unread.status_code == 403
    assert reader.pull() == "A=1"
    assert writer.push({"A": "2"})["stats"]["updated"] == 1
    assert [each.get("/v1/api-keys").status_code for each in (reader, writer)] == [403, 403]


def test_a_key_cannot_do_more_than_its_maker(app: FastAPI, keyway: KeywayClient) -> None:
    maker = with_key(app, keyway, "read:secrets", "admin:api-keys")

    answer = maker.post("/v1/api-keys", {"name": "x", "environment": "test", "scopes": ["write:secrets"]})

    assert answer.status_code == 403


def test_a_key_does_not_outlive_its_maker(app: FastAPI, keyway: KeywayClient) -> None:
    maker = with_key(app, keyway, "read:secrets", "admin:api-keys", expiresInDays=2)

    ends = [new_key(maker, "read:secrets", **more)["expiresAt"] for more in ({}, {"expiresInDays": 1})]
    longer = new_key(maker, "read:secrets", expiresInDays=365)["expiresAt"]

    assert ends == ["2026-01-03T00:00:00.000Z", "2026-01-02T00:00:00.000Z"]
    assert longer == "2026-01-03T00:00:00.000Z"


@pytest.mark.parametrize(
    ("wished", "given"),
    [
        ([], ["127.0.0.0/8"]),
        (["127.0.0.1"], ["127.0.0.1/32"]),
        (["127.0.0.0/8"], ["127.0.0.0/8"]),
        (["127.0.0.1", "10.0.0.1"], None),
        (["0.0.0.0/0"], None),
        (["::1"], None),
    ],
)
def test_a_key_is_valid_where_its_maker_is_and_nowhere_else(
    app: FastAPI, keyway: KeywayClient, wished: list[str], given: list[str] | None
) -> None:
    maker = with_key(app, keyway, "read:secrets", "admin:api-keys", allowedIps=["127.0.0.0/8"])

    body = {"name": "x", "scopes": ["read:secrets"], "allowedIps": wished}
    answer = maker.post("/v1/api-keys", body)

    assert answer.status_code == (403 if given is None else 200)
    assert given is None or maker.data(answer)["allowedIps"] == given


@pytest.mark.parametrize(
    "wrong",
    [
        {"scopes": []},
        {"scopes": ["root"]},
        {"expiresInDays": 366},
        {"allowedIps": ["not an address"]},
        {"environment": "prod"},
        {"name": ""},
    ],
)
def test_a_key_of_the_wrong_form_is_refused(keyway: KeywayClient, wrong: dict[str, Any]) -> None:
    body = {"name": "x", "environment": "live", "scopes": ["read:secrets"], **wrong}

    assert keyway.post("/v1/api-keys", body).status_code == 400


def test_a_key_has_no_right_on_the_other_wire(app: FastAPI, keyway: KeywayClient, vault: UUID) -> None:
    holder = with_key(app, keyway, "read:secrets", "write:secrets", "admin:api-keys")

    answer = holder.get("/api/v4/secrets", projectId=str(vault), environment="production", secretPath="/")

    assert answer.status_code == 403


def test_the_administrators_token_is_no_api_key(keyway: KeywayClient, runtime: Runtime) -> None:
    with runtime.database.snapshot() as session:
        own = session.scalars(select(ApiToken.id)).one()

    assert keyway.data(keyway.get("/v1/api-keys"))["keys"] == []
    assert keyway.delete(f"/v1/api-keys/{own}").status_code == 404
    assert keyway.get(ME).status_code == 200


# --- our tokens ----------------------------------------------------------------------------------------


def test_without_a_valid_token_nothing_is_shown(app: FastAPI, anonymous: ApiClient, vault: UUID) -> None:
    wrong = [KeywayClient(app, token) for token in ("kt_wrong", "kw_live_" + "x" * 40, "eyJhbGciOi.x.y")]

    answers = [each.get("/v1/vaults/owner/repo") for each in (anonymous, *wrong)]

    assert [answer.status_code for answer in answers] == [401] * 4
    assert answers[0].json()["detail"] == "Authentication required"


def test_a_token_of_another_project_sees_no_vault(app: FastAPI, runtime: Runtime, vault: UUID) -> None:
    own = create_project(runtime, "owner/own", slug="owner/own").project.id
    token = create_token(runtime, "own", [Scope.READ], project_id=own)
    holder = KeywayClient(app, token.get_secret_value())

    assert holder.get("/v1/vaults/owner/repo").status_code == 404
    assert [each["repoFullName"] for each in holder.get("/v1/vaults").json()["data"]] == ["owner/own"]


def test_without_the_role_admin_secrets_do_not_move_to_a_more_protected_environment(
    app: FastAPI, keyway: KeywayClient, runtime: Runtime, place: dict[str, str], railway: FakeRailway
) -> None:
    token = create_token(runtime, "pipeline", [Scope.READ, Scope.WRITE, Scope.SYNC])
    pipeline = KeywayClient(app, token.get_secret_value())
    keyway.push({"A": "1"}, environment="staging")
    up = {**place, "keywayEnvironment": "staging", "providerEnvironment": "production"}

    answers = [pipeline.post(SYNC, up), pipeline.get(f"{SYNC}/preview", **up)]
    level = pipeline.post(SYNC, {**place, "keywayEnvironment": "staging"})

    assert [answer.status_code for answer in answers] == [403, 403]
    assert "requires admin role" in answers[0].json()["detail"]
    assert railway.variables["env-production/svc-web"] == {}
    assert level.json()["data"]["success"] is True


def test_an_administrator_moves_secrets_up(keyway: KeywayClient, place: dict[str, str]) -> None:
    keyway.push({"A": "1"}, environment="staging")
    up = {**place, "keywayEnvironment": "staging", "providerEnvironment": "production"}

    assert keyway.data(keyway.post(SYNC, up))["success"] is True


def test_who_calls_is_told(keyway: KeywayClient) -> None:
    for answer in (keyway.post("/v1/auth/token/validate", {}), keyway.get(ME)):
        told = keyway.data(answer)
        assert (told["username"], told["login"], told["forgeType"]) == (
            "administrator",
            "administrator",
            "keytide",
        )


def test_no_github_app_is_needed(keyway: KeywayClient) -> None:
    body = {"repoOwner": "owner", "repoName": "repo"}

    told = keyway.data(keyway.post("/v1/github/check-installation", body))

    assert told["installed"] is True


# --- people known to GitHub ----------------------------------------------------------------------------


def person(app: FastAPI, github: FakeGitHub, role: str) -> KeywayClient:
    return KeywayClient(app, github.let_in(f"user-with-{role}".replace("-", ""), "owner/repo", role))


@pytest.mark.parametrize(
    ("role", "reads", "writes"),
    [
        ("read", [200, 200, 403], [403, 403, 403]),
        ("triage", [200, 200, 403], [403, 403, 403]),
        ("write", [200, 200, 200], [200, 200, 403]),
        ("maintain", [200, 200, 200], [200, 200, 403]),
        ("admin", [200, 200, 200], [200, 200, 200]),
    ],
)
def test_a_role_reads_and_writes_what_the_environment_allows(
    app: FastAPI,
    keyway: KeywayClient,
    github: FakeGitHub,
    vault: UUID,
    role: str,
    reads: list[int],
    writes: list[int],
) -> None:
    environments = ("development", "staging", "production")
    for environment in environments:
        keyway.push({"A": "1"}, environment=environment)
    someone = person(app, github, role)

    read = [
        someone.get("/v1/secrets/pull", repo="owner/repo", environment=each).status_code
        for each in environments
    ]
    written = [
        someone.post(PUSH, {**PUSHED, "environment": each, "secrets": {"A": "2"}}).status_code
        for each in environments
    ]

    assert (read, written) == (reads, writes)


def test_who_has_no_role_sees_no_vault(app: FastAPI, github: FakeGitHub, vault: UUID) -> None:
    stranger = KeywayClient(app, github.let_in("stranger", "somebody/else", "admin"))

    assert stranger.get("/v1/vaults/owner/repo").status_code == 404
    assert stranger.get("/v1/vaults").json()["data"] == []


def test_github_is_asked_once_a_minute(
    app: FastAPI, github: FakeGitHub, vault: UUID, clock: ManualClock
) -> None:
    someone = person(app, github, "read")

    for _ in range(3):
        someone.get("/v1/vaults/owner/repo")
    asked = len(github.calls)
    github.roles.clear()
    clock.advance(seconds=61)

    assert asked == 2
    assert someone.get("/v1/vaults/owner/repo").status_code == 404


def test_a_token_that_github_rejects_is_not_valid(app: FastAPI, github: FakeGitHub, vault: UUID) -> None:
    stranger = KeywayClient(app, "ghp_unknown0000000000")

    assert stranger.get("/v1/vaults/owner/repo").status_code == 401


def test_github_out_of_order_is_not_a_wrong_token(app: FastAPI, github: FakeGitHub, vault: UUID) -> None:
    someone = person(app, github, "read")
    github.fail_next(Fail(500))

    assert someone.get("/v1/vaults/owner/repo").status_code == 503


def test_only_tokens_of_githubs_are_shown_to_github(app: FastAPI, github: FakeGitHub) -> None:
    KeywayClient(app, "eyJhbGciOiJIUzI1NiJ9.e30.x").get(ME)

    assert github.calls == []


def test_only_an_administrator_of_the_repository_creates_its_vault(app: FastAPI, github: FakeGitHub) -> None:
    body = {"repoFullName": "owner/repo"}

    answers = [person(app, github, role).post("/v1/vaults", body) for role in ("write", "admin")]

    assert [answer.status_code for answer in answers] == [403, 201]


def test_people_use_the_connections_of_their_vaults_and_manage_none(
    app: FastAPI, keyway: KeywayClient, github: FakeGitHub, place: dict[str, str], railway: FakeRailway
) -> None:
    keyway.push({"A": "1"})
    someone = person(app, github, "admin")
    path = "/v1/integrations/connections"
    before = (someone.data(someone.get(path))["connections"], someone.post(SYNC, place).status_code)
    keyway.data(keyway.post(f"{SYNC}/link", place))

    after = someone.data(someone.get(path))["connections"]
    result = someone.data(someone.post(SYNC, place))

    assert before == ([], 404)
    assert [each["id"] for each in after] == [place["connectionId"]]
    assert result["success"] is True
    refused = [
        someone.delete(f"{path}/{place['connectionId']}"),
        someone.post("/v1/integrations/railway/connect", {"token": "demo-account-token"}),
        someone.get("/v1/integrations/vercel/authorize"),
        someone.get("/v1/api-keys"),
    ]
    assert [answer.status_code for answer in refused] == [403] * 4


@pytest.mark.parametrize(
    ("role", "push", "pull"), [("read", 403, 403), ("write", 200, 403), ("admin", 200, 200)]
)
def test_a_sync_needs_to_read_or_to_write_the_vaults_environment(
    app: FastAPI,
    keyway: KeywayClient,
    github: FakeGitHub,
    place: dict[str, str],
    role: str,
    push: int,
    pull: int,
) -> None:
    keyway.push({"A": "1"})
    keyway.data(keyway.post(f"{SYNC}/link", place))
    someone = person(app, github, role)

    answers = [someone.post(SYNC, {**place, "direction": direction}) for direction in ("push", "pull")]

    assert [answer.status_code for answer in answers] == [push, pull]


@pytest.mark.parametrize("role", ["read", "triage", "write", "maintain"])
@pytest.mark.parametrize(
    "elsewhere",
    [
        {"serviceId": "svc-worker"},
        {"keywayEnvironment": "staging"},
        {"keywayEnvironment": "staging", "providerEnvironment": "production", "serviceId": "svc-worker"},
        {"projectId": "prj-2", "serviceId": "svc-web-prj-2"},
    ],
)
def test_people_reach_only_what_their_vault_is_linked_to(
    app: FastAPI,
    keyway: KeywayClient,
    github: FakeGitHub,
    place: dict[str, str],
    railway: FakeRailway,
    role: str,
    elsewhere: dict[str, str],
) -> None:
    railway.add_project("prj-2", "payroll", workspace="ws-1")
    for there in railway.places():
        railway.seed(there, {"THEIRS": "of another team"})
    before = railway.places()
    keyway.data(keyway.post(f"{SYNC}/link", place))
    someone, asked = person(app, github, role), {**place, **elsewhere}

    answers = [
        someone.post(SYNC, {**asked, "allowDelete": True}),
        someone.post(SYNC, {**asked, "direction": "pull"}),
        someone.post(f"{SYNC}/link", asked),
        someone.get(f"{SYNC}/preview", **asked),
        someone.get(f"{SYNC}/diff", **asked),
        someone.get(f"{SYNC}/status", **asked, environment=asked.get("keywayEnvironment", "production")),
    ]

    assert [answer.status_code for answer in answers] == [403] * 6
    assert railway.places() == before


def test_a_refused_place_is_named_with_who_may_link_it(
    app: FastAPI, keyway: KeywayClient, github: FakeGitHub, place: dict[str, str]
) -> None:
    keyway.data(keyway.post(f"{SYNC}/link", place))
    someone = person(app, github, "write")

    told = someone.post(SYNC, {**place, "serviceId": "svc-worker"}).json()["detail"]

    assert "owner/repo is not linked to that destination" in told
    assert "role admin in the repository, or with a Keytide token" in told


def test_an_administrator_of_the_repository_links_what_the_others_then_use(
    app: FastAPI, keyway: KeywayClient, github: FakeGitHub, place: dict[str, str]
) -> None:
    keyway.data(keyway.post(f"{SYNC}/link", place))
    keyway.push({"A": "1"}, environment="staging")
    staging = {**place, "keywayEnvironment": "staging"}
    reader = person(app, github, "read")

    before = reader.post(SYNC, staging)
    linked = person(app, github, "admin").post(f"{SYNC}/link", staging)
    after = reader.post(SYNC, staging)

    assert [answer.status_code for answer in (before, linked, after)] == [403, 200, 200]
    assert after.json()["data"]["success"] is True


def test_people_are_told_how_much_the_linked_services_hold(
    app: FastAPI, keyway: KeywayClient, github: FakeGitHub, place: dict[str, str], railway: FakeRailway
) -> None:
    railway.seed("env-production/svc-web", {"A": "1"})
    railway.seed("env-production/svc-worker", {"THEIRS": "1", "ALSO": "2"})
    keyway.data(keyway.post(f"{SYNC}/link", place))
    whole = {key: value for key, value in place.items() if key != "serviceId"}

    counts = [
        each.data(each.get(f"{SYNC}/status", **whole))["providerSecretCount"]
        for each in (person(app, github, "write"), person(app, github, "admin"))
    ]

    assert counts == [1, 3]


def test_status_link_and_diff_look_at_the_environment_too(
    app: FastAPI, keyway: KeywayClient, github: FakeGitHub, place: dict[str, str]
) -> None:
    keyway.data(keyway.post(f"{SYNC}/link", place))
    someone = person(app, github, "read")

    answers = [
        someone.get(f"{SYNC}/status", **place),
        someone.get(f"{SYNC}/diff", **place),
        someone.post(f"{SYNC}/link", place),
    ]

    assert [answer.status_code for answer in answers] == [403] * 3


def test_githubs_ids_of_a_repository_are_told_to_who_can_see_it(
    app: FastAPI, keyway: KeywayClient, github: FakeGitHub
) -> None:
    someone = person(app, github, "read")

    known = someone.data(someone.get("/v1/github/repo-ids", repo="owner/repo"))
    unknown = keyway.data(keyway.get("/v1/github/repo-ids", repo="owner/repo"))

    assert (known, unknown) == ({"ownerId": 7, "repoId": 77}, {"ownerId": None, "repoId": None})


@pytest.mark.parametrize("name", ["../../user", "owner/..", "owner/re po", "owner"])
def test_odd_names_are_never_asked_for(app: FastAPI, github: FakeGitHub, name: str) -> None:
    someone = person(app, github, "read")

    told = someone.data(someone.get("/v1/github/repo-ids", repo=name))

    assert told == {"ownerId": None, "repoId": None}
    assert {call.path for call in github.calls} == {"/user"}
