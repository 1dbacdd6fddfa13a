"""Railway keeps the contract, and its oddities do no harm."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from pydantic import SecretStr, ValidationError

from shared.errors import (
    AccessDenied,
    CredentialsRejected,
    RequestRejected,
    Unavailable,
    UnexpectedAnswer,
    Unreachable,
)
from shared.plan import Delete, Remote
from shared.providers.base import Access, Destination, Named, RateLimit
from shared.providers.railway import RailwayConfig, RailwayProvider, RailwayToken
from tests.fakes.railway import Environment, FakeRailway, Service
from tests.fakes.service import Drop, Fail, FakeServer, Fault, InProcess, Reply, Response
from tests.shared.providers.contract import (
    CallLimits,
    ProviderContract,
    Scene,
    create,
    delete,
    loopback_client,
    synchronise,
    update,
)

WEB = "env-production/svc-web"
SHARED = "env-production/shared"

IN_WEB = RailwayConfig(
    project_id="prj-1", environment_id="env-production", service_id="svc-web", service_name="web"
)
IN_SHARED = RailwayConfig(project_id="prj-1", environment_id="env-production")


def token(text: str) -> RailwayToken:
    return RailwayToken(api_token=SecretStr(text))


def new_fake() -> FakeRailway:
    fake = FakeRailway.with_demo()
    for place in fake.places():
        if place not in {WEB, SHARED}:
            fake.seed(place, {"SHARED_NAME": f"of {place}", "URL": "${{worker.SHARED_NAME}}"})
    return fake


class RailwayContract(ProviderContract):
    provider_type = RailwayProvider
    call_limits = CallLimits(
        first_sync=2, nothing_changed=1, one_changed=2, all_changed=2, one_removed=2, all_removed=2
    )
    missing_error = AccessDenied


class TestRailwayService(RailwayContract):
    @pytest.fixture
    def scene(self) -> Scene:
        return Scene(
            fake=new_fake(),
            place=WEB,
            config=IN_WEB,
            missing=IN_WEB.model_copy(update={"service_id": "svc-gone"}),
            method="account-token",
            credentials=token("demo-account-token"),
            wrong_credentials=token("wrong-account-token"),
        )


class TestRailwaySharedVariables(RailwayContract):
    @pytest.fixture
    def scene(self) -> Scene:
        return Scene(
            fake=new_fake(),
            place=SHARED,
            config=IN_SHARED,
            missing=IN_SHARED.model_copy(update={"environment_id": "env-gone"}),
            method="project-token",
            credentials=token("demo-project-token"),
            wrong_credentials=token("wrong-project-token"),
        )


# --- the oddities ---------------------------------------------------------------------------------------


@pytest.fixture
def fake() -> Iterator[FakeRailway]:
    service = new_fake()
    yield service
    assert service.violations == []


@pytest.fixture
def access(fake: FakeRailway) -> Iterator[Access]:
    with FakeServer(fake) as server, loopback_client() as http:
        yield Access(
            method="account-token",
            credentials=token("demo-account-token"),
            http=http,
            address=server.address,
        )


@pytest.fixture
def destination(access: Access) -> Destination:
    return RailwayProvider(access).destination(IN_WEB)


def using(access: Access, method: str, text: str) -> RailwayProvider:
    return RailwayProvider(replace(access, method=method, credentials=token(text)))


def test_a_reference_is_read_as_it_was_written(destination: Destination, fake: FakeRailway) -> None:
    fake.seed(WEB, {"DATABASE_URL": "${{worker.SHARED_NAME}}"})

    remote = destination.pull().remotes["DATABASE_URL"]

    assert remote.value == SecretStr("${{worker.SHARED_NAME}}")


def test_a_reference_survives_a_sync_of_other_keys(destination: Destination, fake: FakeRailway) -> None:
    fake.seed(WEB, {"DATABASE_URL": "${{worker.SHARED_NAME}}"})

    destination.push([create("ONE", "first")])

    assert fake.places()[WEB] == {"DATABASE_URL": "${{worker.SHARED_NAME}}", "ONE": "first"}


def test_a_sealed_variable_is_there_without_a_value(destination: Destination, fake: FakeRailway) -> None:
    fake.seal(WEB, {"SEALED": "nobody reads this"})

    assert destination.pull().remotes == {"SEALED": Remote("SEALED", None, sealed=True)}


def test_a_sealed_variable_survives_writes_and_removals_of_other_keys(
    destination: Destination, fake: FakeRailway
) -> None:
    fake.seal(WEB, {"SEALED": "nobody reads this"})

    destination.push([create("ONE", "first"), create("TWO", "second")])
    destination.push(delete(destination, "ONE"))

    assert fake.places()[WEB] == {"SEALED": "nobody reads this", "TWO": "second"}
    assert (WEB, "SEALED") in fake.sealed


def test_a_sealed_variable_takes_a_new_value_and_stays_sealed(
    destination: Destination, fake: FakeRailway
) -> None:
    fake.seal(WEB, {"SEALED": "old"})

    destination.push([update(destination, "SEALED", "new")])

    assert fake.places()[WEB] == {"SEALED": "new"}
    assert (WEB, "SEALED") in fake.sealed


@pytest.mark.parametrize("value", [7, True, {"value": "1"}, ["1"]], ids=str)
def test_a_value_that_is_no_text_is_not_made_one(
    destination: Destination, fake: FakeRailway, value: Any
) -> None:
    staged = {"status": "STAGED", "patch": {}}
    data = {"variables": {"ONE": value}, "environmentStagedChanges": staged}
    fake.fail_next(Reply(Response(200, {"data": data})))

    with pytest.raises(UnexpectedAnswer):
        destination.pull()


def test_staged_changes_that_are_not_shown_count_as_somebodys(
    destination: Destination, fake: FakeRailway
) -> None:
    staged = {"status": "STAGED", "patch": None}
    fake.seed(WEB, {"ONE": "first"})
    fake.fail_next(
        Reply(Response(200, {"data": {"variables": {"ONE": "first"}, "environmentStagedChanges": staged}}))
    )

    pushed = destination.push(delete(destination, "ONE"))

    assert "staged changes" in pushed.refused["ONE"]
    assert fake.writes == []


def test_railways_own_names_are_neither_shown_nor_taken(destination: Destination, fake: FakeRailway) -> None:
    fake.seed(WEB, {"RAILWAY_DOCKERFILE_PATH": "Dockerfile.prod"})

    run = synchronise(destination, {"ONE": "first", "RAILWAY_RUN_UID": "0"})

    assert [skip.key for skip in run.plan.skipped] == ["RAILWAY_RUN_UID"]
    assert fake.places()[WEB] == {"ONE": "first", "RAILWAY_DOCKERFILE_PATH": "Dockerfile.prod"}


@pytest.mark.parametrize("key", ["RAILWAY_TOKEN", "1ST", "WITH-DASH", "WITH SPACE", "", "LINE\n"])
def test_a_name_that_railway_cannot_hold_is_refused(destination: Destination, key: str) -> None:
    assert destination.refuses(key)


def test_a_refused_call_names_the_keys_and_no_value(destination: Destination, fake: FakeRailway) -> None:
    fake.refused = {"TWO"}

    with pytest.raises(RequestRejected, match=r"Not written: ONE, TWO \(all in one call") as caught:
        destination.push([create("ONE", "correct-horse"), create("TWO", "battery-staple")])

    assert "battery-staple" not in caught.value.message


def test_an_ordinary_name_is_not_refused(destination: Destination) -> None:
    assert destination.refuses("_Railway_url2") is None


# --- deployments ----------------------------------------------------------------------------------------


def test_neither_writes_nor_removals_deploy(destination: Destination, fake: FakeRailway) -> None:
    synchronise(destination, {"ONE": "first", "TWO": "second"})
    synchronise(destination, {"ONE": "changed"})

    assert fake.places()[WEB] == {"ONE": "changed"}
    assert fake.deploys == {}


def test_a_redeploy_is_one_deployment_of_that_service(destination: Destination, fake: FakeRailway) -> None:
    destination.redeploy()

    assert fake.deploys == {WEB: 1}


@pytest.mark.parametrize("status", [None, "REMOVED", "FAILED"])
def test_a_service_that_does_not_run_is_not_deployed(
    destination: Destination, fake: FakeRailway, status: str | None
) -> None:
    fake.projects["prj-1"].services["svc-web"].deployment = status

    destination.redeploy()

    assert fake.writes == []


def test_a_service_that_is_being_deployed_is_busy(destination: Destination, fake: FakeRailway) -> None:
    fake.projects["prj-1"].services["svc-web"].deployment = "BUILDING"

    with pytest.raises(Unavailable):
        destination.redeploy()


def test_shared_variables_redeploy_nothing(access: Access, fake: FakeRailway) -> None:
    RailwayProvider(access).destination(IN_SHARED).redeploy()

    assert fake.calls == []


# --- staged changes of people ---------------------------------------------------------------------------

THEIRS = {"services": {"svc-web": {"deploy": {"startCommand": "serve"}}}}


def environment(fake: FakeRailway) -> Environment:
    return fake.projects["prj-1"].environments["env-production"]


@pytest.mark.parametrize(
    "theirs",
    [
        THEIRS,
        {"services": {"svc-web": {"variables": {"THEIRS": {"value": "new"}}}}},
        {"services": {"svc-web": {"variables": {"ONE": None, "THEIRS": {"value": "new"}}}}},
        {"services": {"svc-web": {"variables": {"RAILWAY_RUN_UID": None}}}},
        {"services": {"svc-web": {"variables": {"ONE": "new"}}}},
        {"services": {"svc-worker": {"variables": {"ONE": None}}}},
        {"services": {"svc-web": {"variables": {"ONE": None}}, "svc-worker": {"variables": {"ONE": None}}}},
        {"sharedVariables": {"ONE": None}},
    ],
    ids=["setting", "value", "value and removal", "reserved", "same key", "other service", "both", "shared"],
)
def test_a_removal_waits_while_somebodys_changes_are_staged(
    destination: Destination, fake: FakeRailway, theirs: dict[str, Any]
) -> None:
    fake.seed(WEB, {"ONE": "first", "TWO": "second"})
    environment(fake).staged = theirs
    batch = delete(destination, "ONE")

    pushed = destination.push(batch)

    assert "staged" in pushed.refused["ONE"]
    assert fake.writes == []
    assert environment(fake).staged == theirs
    assert fake.places()[WEB] == {"ONE": "first", "TWO": "second"}


def test_values_are_written_while_somebodys_changes_are_staged(
    destination: Destination, fake: FakeRailway
) -> None:
    environment(fake).staged = THEIRS

    destination.push([create("ONE", "first")])

    assert fake.places()[WEB] == {"ONE": "first"}
    assert environment(fake).staged == THEIRS


def test_changes_that_were_staged_during_another_call_are_seen_before_a_removal(
    destination: Destination, fake: FakeRailway
) -> None:
    fake.seed(WEB, {"ONE": "first"})
    batch = delete(destination, "ONE")
    destination.push([create("TWO", "second")])
    environment(fake).staged = THEIRS

    pushed = destination.push(batch)

    assert "staged" in pushed.refused["ONE"]
    assert environment(fake).committed == []
    assert environment(fake).staged == THEIRS
    assert fake.places()[WEB] == {"ONE": "first", "TWO": "second"}


def test_a_removal_without_a_pull_before_asks_what_is_staged(
    destination: Destination, fake: FakeRailway
) -> None:
    fake.seed(WEB, {"ONE": "first"})
    environment(fake).staged = THEIRS

    pushed = destination.push([Delete("ONE", Remote("ONE", None))])

    assert set(pushed.refused) == {"ONE"}
    assert fake.writes == []


def test_a_removal_after_another_call_asks_again_what_is_staged(
    destination: Destination, fake: FakeRailway
) -> None:
    keys = [f"KEY_{number:03}" for number in range(250)]
    fake.seed(WEB, dict.fromkeys(keys, "value"))

    synchronise(destination, {})

    assert fake.places()[WEB] == {}
    assert [call.is_write for call in fake.calls] == [False, True, False, True, False, True]


def test_a_run_that_changes_one_key_and_removes_another_costs_four_calls(
    destination: Destination, fake: FakeRailway
) -> None:
    fake.seed(WEB, {"ONE": "first", "TWO": "second"})

    synchronise(destination, {"ONE": "changed"})

    assert fake.places()[WEB] == {"ONE": "changed"}
    assert len(fake.calls) == 4


def test_removals_go_on_while_railway_still_applies_the_ones_before(
    destination: Destination, fake: FakeRailway
) -> None:
    fake.seed(WEB, {f"KEY_{number:03}": "value" for number in range(250)})
    fake.commits_slowly = True

    run = synchronise(destination, {"ONE": "first"})
    fake.settle()

    assert run.refused == {}
    assert fake.places()[WEB] == {"ONE": "first"}


def test_a_removal_waits_until_railway_has_applied_somebodys_changes(
    destination: Destination, fake: FakeRailway
) -> None:
    fake.seed(WEB, {"ONE": "first"})
    environment(fake).staged, environment(fake).applying = THEIRS, True

    with pytest.raises(Unavailable, match="still applying"):
        destination.push(delete(destination, "ONE"))

    assert fake.writes == []


# --- removals that were staged but not committed --------------------------------------------------------

FAULTS = [Drop(applied=False), Drop(applied=True), Fail(503)]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_removal_whose_answer_is_lost_leaves_nothing_staged(
    destination: Destination, fake: FakeRailway, fault: Fault
) -> None:
    fake.seed(WEB, {"ONE": "first"})
    batch = delete(destination, "ONE")
    fake.fail_next(fault)

    with pytest.raises((Unreachable, Unavailable)):
        destination.push(batch)

    assert environment(fake).staged == {}


def test_a_removal_that_could_not_be_staged_commits_nothing(
    destination: Destination, fake: FakeRailway
) -> None:
    fake.seed(WEB, {"ONE": "first"})
    batch = delete(destination, "ONE")
    environment(fake).staged = THEIRS
    fake.failing_fields.add("environmentStageChanges")

    with pytest.raises(Unavailable):
        destination.push(batch)

    assert environment(fake).committed == []


@pytest.fixture
def left_over(destination: Destination, fake: FakeRailway) -> dict[str, Any]:
    """What Railway keeps staged when it failed between the two halves of removing ONE."""
    fake.seed(WEB, {"ONE": "first", "TWO": "second"})
    batch = delete(destination, "ONE")
    fake.failing_fields.add("environmentPatchCommitStaged")
    with pytest.raises(Unavailable):
        destination.push(batch)
    staged = environment(fake).staged
    assert staged == {"services": {"svc-web": {"variables": {"ONE": None}}}}
    return staged


def test_a_removal_that_was_not_committed_is_carried_on(
    destination: Destination, fake: FakeRailway, left_over: dict[str, Any]
) -> None:
    run = synchronise(destination, {"TWO": "second"})

    assert run.refused == {}
    assert fake.places()[WEB] == {"TWO": "second"}


def test_a_removal_that_was_not_committed_is_not_committed_with_another(
    destination: Destination, fake: FakeRailway, left_over: dict[str, Any]
) -> None:
    run = synchronise(destination, {"ONE": "first"})

    assert run.refused == {}
    assert fake.places()[WEB] == {"ONE": "first"}
    assert environment(fake).staged == {}


@pytest.mark.parametrize(
    "wanted", [{"ONE": "changed", "TWO": "second"}, {"ONE": "first", "TWO": "changed"}], ids=["it", "another"]
)
def test_a_key_that_is_wanted_again_is_no_longer_staged_for_removal_once_something_is_written(
    destination: Destination, fake: FakeRailway, left_over: dict[str, Any], wanted: dict[str, str]
) -> None:
    synchronise(destination, wanted)

    assert environment(fake).staged == {}
    assert environment(fake).committed == []
    assert fake.places()[WEB] == wanted


def test_a_removal_that_was_not_committed_is_withdrawn_only_once(
    destination: Destination, fake: FakeRailway, left_over: dict[str, Any]
) -> None:
    destination.pull()
    destination.push([create("THREE", "third")])
    environment(fake).staged = THEIRS

    destination.push([create("FOUR", "fourth")])

    assert environment(fake).staged == THEIRS


def test_a_write_leaves_staged_changes_of_which_one_is_somebodys(
    destination: Destination, fake: FakeRailway, left_over: dict[str, Any]
) -> None:
    environment(fake).staged = mixed = {"services": {**left_over["services"], **THEIRS["services"]}}

    synchronise(destination, {"ONE": "changed", "TWO": "second"})

    assert environment(fake).staged == mixed


def test_a_write_leaves_what_railway_is_still_applying(
    destination: Destination, fake: FakeRailway, left_over: dict[str, Any]
) -> None:
    environment(fake).applying = True

    synchronise(destination, {"ONE": "first", "TWO": "changed"})

    assert environment(fake).staged == left_over


def test_a_removal_of_a_shared_variable_that_was_not_committed_is_replaced(
    access: Access, fake: FakeRailway
) -> None:
    fake.seed(SHARED, {"ONE": "first", "TWO": "second"})
    environment(fake).staged = {"sharedVariables": {"TWO": None}}

    run = synchronise(RailwayProvider(access).destination(IN_SHARED), {"TWO": "second"})

    assert run.refused == {}
    assert fake.places()[SHARED] == {"TWO": "second"}


def test_what_one_service_has_left_over_is_not_committed_with_another_services_removal(
    access: Access, fake: FakeRailway, left_over: dict[str, Any]
) -> None:
    worker = RailwayProvider(access).destination(IN_WEB.model_copy(update={"service_id": "svc-worker"}))

    pushed = worker.push(delete(worker, "SHARED_NAME"))

    assert set(pushed.refused) == {"SHARED_NAME"}
    assert environment(fake).staged == left_over


# --- answers --------------------------------------------------------------------------------------------


def test_not_authorized_says_that_it_has_three_meanings(destination: Destination, fake: FakeRailway) -> None:
    fake.fail_next(Reply(Response(200, {"errors": [{"message": "Not Authorized"}], "data": None})))

    with pytest.raises(AccessDenied, match=r"no longer valid, may not do this, or .* does not exist"):
        destination.pull()


def test_partial_data_beside_an_error_is_an_error(destination: Destination, fake: FakeRailway) -> None:
    answer = {"errors": [{"message": "Problem"}], "data": {"variables": {}, "environmentStagedChanges": None}}
    fake.fail_next(Reply(Response(200, answer)))

    with pytest.raises(RequestRejected):
        destination.pull()


def test_a_missing_second_factor_is_named(destination: Destination, fake: FakeRailway) -> None:
    error = {"message": "Two Factor Authentication Required", "extensions": {"workspaceName": "acme"}}
    fake.fail_next(Reply(Response(200, {"errors": [error], "data": None})))

    with pytest.raises(AccessDenied, match="Two Factor Authentication Required"):
        destination.pull()


@pytest.mark.parametrize(
    "body",
    [
        {"errors": ["text"]},
        {"errors": [{"message": 7, "extensions": "x"}]},
        {"errors": {"a": 1}},
        {"data": []},
    ],
)
def test_an_answer_of_unknown_form_is_an_error(
    destination: Destination, fake: FakeRailway, body: dict[str, Any]
) -> None:
    fake.fail_next(Reply(Response(200, body)))

    with pytest.raises((RequestRejected, UnexpectedAnswer)):
        destination.pull()


def test_the_budget_of_every_answer_is_passed_on(access: Access, fake: FakeRailway) -> None:
    told: list[RateLimit] = []
    provider = RailwayProvider(replace(access, observe=told.append))

    provider.destination(IN_WEB).pull()
    provider.destination(IN_WEB).pull()

    assert [limit.remaining for limit in told] == [999, 998]
    assert all(3590 < limit.resets_in <= 3600 for limit in told)


# --- tokens and listings --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "text", "name"),
    [
        ("account-token", "demo-account-token", "Demo user"),
        ("team-token", "demo-workspace-token", "Demo workspace"),
        ("workspace-token", "demo-workspace-token", "Demo workspace"),
        ("project-token", "demo-project-token", "shop, production"),
    ],
)
def test_each_kind_of_token_says_whose_it_is(access: Access, method: str, text: str, name: str) -> None:
    assert using(access, method, text).whoami().name == name


@pytest.mark.parametrize(
    ("method", "text"),
    [
        ("account-token", "demo-workspace-token"),
        ("account-token", "demo-project-token"),
        ("project-token", "demo-account-token"),
        ("team-token", "demo-project-token"),
    ],
)
def test_a_token_of_another_kind_is_rejected(access: Access, method: str, text: str) -> None:
    with pytest.raises(CredentialsRejected):
        using(access, method, text).whoami()


def test_a_project_token_reaches_no_other_environment(access: Access) -> None:
    staging = IN_WEB.model_copy(update={"environment_id": "env-staging"})

    with pytest.raises(AccessDenied):
        using(access, "project-token", "demo-project-token").destination(staging).pull()


def test_the_listing_shows_environments_services_and_the_repository(
    access: Access, fake: FakeRailway
) -> None:
    project = fake.projects["prj-1"]
    project.services["svc-web"].repository = "acme/shop"
    project.environments["env-pr-7"] = Environment("env-pr-7", "pr-7", ephemeral=True)
    project.environments["env-vault"] = Environment("env-vault", "vault", can_access=False)

    (listed,) = RailwayProvider(access).projects()

    assert listed.environments == (Named("env-production", "production"), Named("env-staging", "staging"))
    assert [(service.id, service.name, service.linked_repo) for service in listed.services] == [
        ("svc-web", "web", "acme/shop"),
        ("svc-worker", "worker", None),
    ]
    assert (listed.linked_repo, listed.team_name) == ("acme/shop", "Demo workspace")


def test_the_listing_reads_every_page(access: Access, fake: FakeRailway) -> None:
    fake.page_size = 2
    for number in range(2, 6):
        fake.add_project(f"prj-{number}", f"project {number}", workspace="ws-1")
    services = fake.projects["prj-4"].services
    services.update({f"svc-{number}": Service(f"svc-{number}", f"service {number}") for number in range(3)})

    listed = {project.id: project for project in RailwayProvider(access).projects()}

    assert sorted(listed) == ["prj-1", "prj-2", "prj-3", "prj-4", "prj-5"]
    assert len(listed["prj-4"].services) == 5


def test_the_listing_has_what_others_shared_and_leaves_out_what_was_deleted(
    access: Access, fake: FakeRailway
) -> None:
    fake.workspaces["ws-other"] = "Somebody's"
    fake.external.add("ws-other")
    fake.add_project("prj-2", "shared with me", workspace="ws-other")
    fake.add_project("prj-3", "deleted", workspace="ws-1").deleted = True

    listed = RailwayProvider(access).projects()

    assert [project.name for project in listed] == ["shop", "shared with me"]


def test_a_workspace_token_lists_its_workspace_only(access: Access, fake: FakeRailway) -> None:
    fake.workspaces["ws-2"] = "Another"
    fake.add_project("prj-2", "elsewhere", workspace="ws-2")

    listed = using(access, "workspace-token", "demo-workspace-token").projects()

    assert [project.name for project in listed] == ["shop"]


def test_a_project_token_lists_its_project(access: Access) -> None:
    listed = using(access, "project-token", "demo-project-token").projects()

    assert [project.name for project in listed] == ["shop"]


# --- settings -------------------------------------------------------------------------------------------


def test_the_destination_takes_the_wires_names() -> None:
    wire = {
        "projectId": "p",
        "projectName": "",
        "environmentId": "e",
        "environmentName": "Development",
        "serviceId": "s",
        "serviceName": "web",
    }

    config = RailwayConfig.model_validate(wire)

    assert config.model_dump(by_alias=True) == wire
    assert config.identity() == '{"environment_id":"e","project_id":"p","service_id":"s"}'


@pytest.mark.parametrize(
    "wrong", [{"projectId": ""}, {"projectId": "x" * 256}, {"serviceID": "s"}, {"environmentId": None}]
)
def test_a_destination_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RailwayConfig.model_validate({"projectId": "p", "environmentId": "e", **wrong})


@pytest.mark.parametrize("text", ["", "x" * 256])
def test_a_token_of_impossible_length_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        RailwayToken.model_validate({"apiToken": text})


# --- the emulator ---------------------------------------------------------------------------------------


def test_the_emulator_needs_no_socket(fake: FakeRailway) -> None:
    with httpx.Client(transport=InProcess(fake)) as http:
        access = Access(
            method="account-token",
            credentials=token("demo-account-token"),
            http=http,
            address="http://railway.test",
        )
        RailwayProvider(access).destination(IN_WEB).push([create("ONE", "first")])

    assert fake.places()[WEB] == {"ONE": "first"}
