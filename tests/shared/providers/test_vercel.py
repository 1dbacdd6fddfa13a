"""Vercel keeps the contract, and its oddities do no harm."""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import replace
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from shared.errors import (
    AccessDenied,
    CredentialsRejected,
    DestinationNotFound,
    RateLimited,
    Unavailable,
    UnexpectedAnswer,
)
from shared.plan import Remote
from shared.providers.base import Access, Destination, Named
from shared.providers.vercel import (
    VercelConfig,
    VercelOAuth,
    VercelProjectConfig,
    VercelProvider,
    VercelTeamConfig,
    VercelToken,
)
from tests.fakes.service import Drop, Fail, FakeServer, InProcess, Reply, Response
from tests.fakes.vercel import ALL_CUSTOM, FakeProject, FakeVercel, Variable
from tests.shared.providers.contract import (
    CallLimits,
    Ledger,
    ProviderContract,
    Scene,
    create,
    delete,
    loopback_client,
    synchronise,
    update,
)

PRODUCTION = "prj_1/production"
PREVIEW = "prj_1/preview"

IN_PRODUCTION = VercelProjectConfig(app="prj_1", app_name="shop", env="production", team_id="team_1")
IN_TEAM = VercelTeamConfig(scope="team", team_id="team_1", target_environments=("production",))


def token(text: str = "demo-vercel-token") -> VercelToken:
    return VercelToken(api_token=SecretStr(text))


def team_place(
    environments: Sequence[str],
    *,
    projects: Sequence[str] | None = None,
    team: str = "team_1",
    sensitive: bool = False,
    custom: bool = False,
) -> VercelConfig:
    """Return the place of a team's shared variables for these environments and projects."""
    return VercelConfig.model_validate(
        {
            "scope": "team",
            "teamId": team,
            "targetEnvironments": environments,
            "targetProjects": projects,
            "applyToAllCustomEnvironments": custom,
            "sensitive": sensitive,
        }
    )


def new_fake() -> FakeVercel:
    """Return an emulator with something in every neighbouring place, under a name the tests use as well."""
    fake = FakeVercel.with_demo()
    for place in ("preview", "development", "env_staging", "preview/feature"):
        fake.seed(f"prj_1/{place}", {"SHARED_NAME": f"of {place}", "OWN": "kept"})
    fake.seed("prj_2/production", {"SHARED_NAME": "of another project"})
    fake.seed("team_1/preview", {"SHARED_NAME": "of the team's previews"})
    return fake


class VercelContract(ProviderContract):
    provider_type = VercelProvider
    refuses_single_keys = True


class TestVercelProject(VercelContract):
    call_limits = CallLimits(
        first_sync=2, nothing_changed=1, one_changed=2, all_changed=2, one_removed=2, all_removed=2
    )

    @pytest.fixture
    def scene(self) -> Scene:
        fake = new_fake()
        fake.seed("team_1/production", {"SHARED_NAME": "of the team"})
        return Scene(
            fake=fake,
            place=PRODUCTION,
            config=IN_PRODUCTION,
            missing=IN_PRODUCTION.model_copy(update={"app": "prj_gone"}),
            method="api-token",
            credentials=token(),
            wrong_credentials=token("wrong-vercel-token"),
        )


class TestVercelCustomEnvironment(TestVercelProject):
    @pytest.fixture
    def scene(self) -> Scene:
        fake = new_fake()
        # An installed integration marks what it makes, and has to know it again.
        fake.installations["demo-vercel-token"] = "icfg_ours"
        config = IN_PRODUCTION.model_copy(update={"env": "env_qa", "sensitive": True})
        return Scene(
            fake=fake,
            place="prj_1/env_qa",
            config=config,
            missing=config.model_copy(update={"app": "prj_gone"}),
            method="oauth",
            credentials=VercelOAuth(
                access_token=SecretStr("demo-vercel-token"), team_id="team_1", installation_id="icfg_ours"
            ),
            wrong_credentials=VercelOAuth(access_token=SecretStr("wrong-vercel-token")),
        )


class TestVercelTeam(VercelContract):
    # At most 50 variables go into one call here.
    call_limits = CallLimits(
        first_sync=3, nothing_changed=1, one_changed=2, all_changed=3, one_removed=2, all_removed=3
    )
    missing_error = AccessDenied

    @pytest.fixture
    def scene(self) -> Scene:
        fake = new_fake()
        fake.seed(PRODUCTION, {"SHARED_NAME": "of a project"})
        return Scene(
            fake=fake,
            place="team_1/production",
            config=IN_TEAM,
            missing=IN_TEAM.model_copy(update={"team_id": "team_gone"}),
            method="api-token",
            credentials=token(),
            wrong_credentials=token("wrong-vercel-token"),
        )


# --- the oddities ---------------------------------------------------------------------------------------


@pytest.fixture
def fake() -> Iterator[FakeVercel]:
    service = new_fake()
    service.forget_calls()
    yield service
    assert service.violations == []


@pytest.fixture
def access(fake: FakeVercel) -> Iterator[Access]:
    with FakeServer(fake) as server, loopback_client() as http:
        yield Access(method="api-token", credentials=token(), http=http, address=server.address)


@pytest.fixture
def provider(access: Access) -> VercelProvider:
    return VercelProvider(access)


@pytest.fixture
def destination(provider: VercelProvider) -> Destination:
    return provider.destination(IN_PRODUCTION)


@pytest.fixture
def team(provider: VercelProvider) -> Destination:
    return provider.destination(IN_TEAM)


def stored(fake: FakeVercel, owner: str, key: str) -> list[Variable]:
    return [
        each for each in fake.variables.values() if owner in {each.project, each.team} and each.key == key
    ]


class TestWhatAListShows:
    def test_ciphertext_is_not_taken_for_a_value(self, fake: FakeVercel, destination: Destination) -> None:
        fake.add("prj_1", "ENCRYPTED", "first", "production")
        fake.add("prj_1", "SENSITIVE", "first", "production", type="sensitive")
        fake.add("prj_1", "PLAIN", "first", "production", type="plain")

        remotes = destination.pull().remotes

        assert remotes["ENCRYPTED"].value is None
        assert remotes["SENSITIVE"].value is None
        assert remotes["PLAIN"].value == SecretStr("first")

    def test_every_page_is_read(self, fake: FakeVercel, destination: Destination) -> None:
        fake.page_size = 2
        fake.seed(PRODUCTION, {f"KEY_{number}": "first" for number in range(5)})

        remotes = destination.pull().remotes

        assert set(remotes) == {f"KEY_{number}" for number in range(5)}

    def test_a_list_that_does_not_end_is_an_error(self, fake: FakeVercel, destination: Destination) -> None:
        page = {"envs": [], "pagination": {"count": 0, "next": 5, "prev": None}}
        fake.fail_next(Reply(Response(200, page)), times=2)

        with pytest.raises(UnexpectedAnswer):
            destination.pull()

    def test_a_list_that_goes_in_circles_is_an_error(
        self, fake: FakeVercel, destination: Destination
    ) -> None:
        for position in (5, 6, 5):
            page = {"envs": [], "pagination": {"count": 0, "next": position, "prev": None}}
            fake.fail_next(Reply(Response(200, page)))

        with pytest.raises(UnexpectedAnswer, match="does not end"):
            destination.pull()

    def test_an_answer_of_another_form_is_an_error_and_never_an_empty_place(
        self, fake: FakeVercel, destination: Destination
    ) -> None:
        fake.fail_next(Reply(Response(200, {"message": "soon"})))

        with pytest.raises(UnexpectedAnswer):
            destination.pull()

    def test_a_single_variable_may_come_without_a_list(
        self, fake: FakeVercel, destination: Destination
    ) -> None:
        fake.bare_single = True
        fake.variables.clear()
        fake.seed(PRODUCTION, {"ONE": "first"})

        remotes = destination.pull().remotes

        assert set(remotes) == {"ONE"}

    def test_hidden_production_variables_make_the_list_incomplete(
        self, fake: FakeVercel, destination: Destination
    ) -> None:
        fake.hidden_production = 3

        pulled = destination.pull()

        assert pulled.incomplete == "Vercel hides 3 production variables from these credentials"

    def test_previews_of_one_branch_are_another_place_than_all_previews(
        self, fake: FakeVercel, provider: VercelProvider
    ) -> None:
        everywhere = IN_PRODUCTION.model_copy(update={"env": "preview"})
        on_branch = everywhere.model_copy(update={"branch": "feature"})

        synchronise(provider.destination(everywhere), {"OWN": "all", "SHARED_NAME": "all"})
        synchronise(provider.destination(on_branch), {"OWN": "feature"})

        assert fake.places()[PREVIEW] == {"OWN": "all", "SHARED_NAME": "all"}
        assert fake.places()[f"{PREVIEW}/feature"] == {"OWN": "feature"}


class TestWhatIsNotOurs:
    @pytest.mark.parametrize(
        ("key", "more"),
        [
            ("DATABASE_URL", {"configuration": "icfg_1"}),
            ("NODE_ENV", {"type": "system"}),
            ("VERCEL_URL", {}),
            ("NEXT_PUBLIC_VERCEL_ENV", {}),
        ],
    )
    def test_a_variable_of_vercel_or_an_integration_is_neither_changed_nor_deleted(
        self, fake: FakeVercel, destination: Destination, key: str, more: Mapping[str, Any]
    ) -> None:
        fake.add("prj_1", key, "theirs", "production", **more)

        wanted = synchronise(destination, {key: "ours"})
        unwanted = synchronise(destination, {"ONE": "first"})

        assert fake.places()[PRODUCTION] == {key: "theirs", "ONE": "first"}
        assert wanted.plan.skipped[0].reason == unwanted.plan.skipped[0].reason

    @pytest.mark.parametrize("key", ["TZ", "AWS_SECRET_KEY", "VERCEL_MINE", "1ST", "A-B", "K" * 257, ""])
    def test_names_that_vercel_cannot_hold_are_refused_before_they_are_sent(
        self, destination: Destination, key: str
    ) -> None:
        assert destination.refuses(key)

    @pytest.mark.parametrize("key", ["AWS_ACCESS_KEY_ID", "_x9", "K" * 256])
    def test_names_that_vercel_can_hold_are_not_refused(self, destination: Destination, key: str) -> None:
        assert destination.refuses(key) is None


class TestAVariableOfSeveralEnvironments:
    @pytest.mark.parametrize("kind", ["encrypted", "sensitive", "plain"])
    def test_a_shared_variable_is_not_given_another_value_and_the_reason_names_the_others(
        self, fake: FakeVercel, destination: Destination, kind: str
    ) -> None:
        fake.add("prj_1", "KEY", "old", "production", "development", "env_qa", type=kind)

        run = synchronise(destination, {"KEY": "new", "ONE": "first"})

        assert "serves development, env_qa " in run.refused["KEY"]
        assert fake.places()[PRODUCTION] == {"KEY": "old", "ONE": "first"}
        assert fake.places()["prj_1/env_qa"] == {"KEY": "old"}

    def test_it_is_enough_that_it_holds_the_wanted_value(
        self, fake: FakeVercel, destination: Destination
    ) -> None:
        fake.add("prj_1", "KEY", "same", "production", "development")
        ledger: Ledger = {}

        run = synchronise(destination, {"KEY": "same"}, ledger)
        again = synchronise(destination, {"KEY": "same"}, ledger)

        assert run.refused == {}
        assert fake.writes == []
        assert again.plan.is_empty

    def test_deleting_a_shared_variable_takes_our_environment_away_and_leaves_the_others(
        self, fake: FakeVercel, destination: Destination
    ) -> None:
        fake.add("prj_1", "KEY", "old", "production", "development", "env_qa")
        others = {place: held for place, held in fake.places().items() if place != PRODUCTION}
        fake.forget_calls()

        synchronise(destination, {"ONE": "first"})

        assert fake.places() == {**others, PRODUCTION: {"ONE": "first"}}
        assert not fake.was_ever_absent("prj_1/env_qa", "KEY")

    @pytest.mark.parametrize("body", [{}, {"id": "var", "key": "KEY", "target": ["production"]}], ids=str)
    def test_an_answer_that_does_not_show_it_taken_away_is_not_believed(
        self, fake: FakeVercel, destination: Destination, body: Mapping[str, Any]
    ) -> None:
        fake.add("prj_1", "KEY", "old", "production", "preview")
        fake.fail_next(Reply(Response(200, body)), where=lambda call: call.method == "PATCH")

        pushed = destination.push(delete(destination, "KEY"))

        assert pushed.refused == {"KEY": "Vercel did not remove it"}

    def test_a_record_that_vercel_began_to_hide_is_not_taken_for_removed(
        self, fake: FakeVercel, destination: Destination
    ) -> None:
        fake.add("prj_1", "KEY", "old", "production", "preview")
        batch = delete(destination, "KEY")
        hiding = Response(200, {"envs": [], "hiddenProductionEnvCount": 1})
        fake.fail_next(Reply(hiding), times=2, where=lambda call: call.method == "GET")
        fake.fail_next(Reply(Response(200, {})), where=lambda call: call.method == "PATCH")

        assert destination.push(batch).refused == {"KEY": "Vercel did not remove it"}

    def test_two_environments_that_delete_it_at_the_same_moment_both_succeed(
        self, fake: FakeVercel, provider: VercelProvider, destination: Destination
    ) -> None:
        fake.add("prj_1", "KEY", "old", "production", "env_qa", "development")
        other = provider.destination(IN_PRODUCTION.model_copy(update={"env": "env_qa"}))
        ours, theirs = delete(destination, "KEY"), delete(other, "KEY")

        other.push(theirs)
        destination.push(ours)

        assert [each.reach for each in stored(fake, "prj_1", "KEY")] == [frozenset({"development"})]

    def test_one_that_grew_after_the_pull_is_refused_by_vercel_and_stays(
        self, fake: FakeVercel, destination: Destination
    ) -> None:
        fake.seed(PRODUCTION, {"KEY": "old"})
        change = update(destination, "KEY", "new")
        variable = stored(fake, "prj_1", "KEY")[0]
        variable.reach |= {"env_qa"}

        pushed = destination.push([change, create("ONE", "first")])

        assert pushed.refused == {"KEY": "Vercel refused it (ENV_CONFLICT)"}
        assert variable.value == "old"


class TestTypes:
    def test_what_is_asked_for_is_stored(self, fake: FakeVercel, provider: VercelProvider) -> None:
        sensitive = IN_PRODUCTION.model_copy(update={"sensitive": True})

        synchronise(provider.destination(sensitive), {"ONE": "first"})

        assert stored(fake, "prj_1", "ONE")[0].type == "sensitive"

    @pytest.mark.parametrize("kind", ["encrypted", "sensitive"])
    @pytest.mark.parametrize("wanted", [True, False])
    def test_a_variable_keeps_its_type_and_is_never_replaced(
        self, fake: FakeVercel, provider: VercelProvider, kind: str, wanted: bool
    ) -> None:
        before = fake.add("prj_1", "ONE", "old", "production", type=kind)
        config = IN_PRODUCTION.model_copy(update={"sensitive": wanted})

        synchronise(provider.destination(config), {"ONE": "new"})

        after = stored(fake, "prj_1", "ONE")[0]
        assert (after.id, after.type, after.value) == (before.id, kind, "new")
        assert fake.writes[0].body[0]["type"] == kind

    def test_a_team_policy_that_changes_the_type_is_no_reason_to_write_again(
        self, fake: FakeVercel, destination: Destination
    ) -> None:
        fake.policy_sensitive = True
        ledger: Ledger = {}
        synchronise(destination, {"ONE": "first"}, ledger)

        run = synchronise(destination, {"ONE": "first"}, ledger)

        assert stored(fake, "prj_1", "ONE")[0].type == "sensitive"
        assert run.plan.is_empty


class TestRefusals:
    def test_a_refused_key_is_named_without_its_value(
        self, fake: FakeVercel, destination: Destination
    ) -> None:
        fake.refused.add("TWO")

        pushed = destination.push([create("ONE", "plain-1"), create("TWO", "plain-2")])

        assert pushed.refused == {"TWO": "Vercel refused it (RESERVED_ENV_VARIABLE)"}

    def test_reasons_are_also_read_where_nothing_was_created(
        self, fake: FakeVercel, destination: Destination
    ) -> None:
        fake.refused |= {"ONE", "TWO"}

        pushed = destination.push([create("ONE", "first"), create("TWO", "second")])

        assert set(pushed.refused) == {"ONE", "TWO"}
        assert pushed.stamps == {}

    def test_a_code_that_is_no_code_is_not_repeated(self, fake: FakeVercel, destination: Destination) -> None:
        error = {"code": "you sent plain-text", "message": "", "key": "ONE"}
        fake.fail_next(Reply(Response(400, {"failed": [{"error": error}], "error": error})))

        assert destination.push([create("ONE", "1")]).refused == {"ONE": "Vercel refused it (no code)"}

    def test_a_key_that_the_answer_does_not_mention_is_not_taken_for_written(
        self, fake: FakeVercel, destination: Destination
    ) -> None:
        fake.fail_next(Reply(Response(201, {"created": [], "failed": []})), where=fake.is_write)

        pushed = destination.push([create("ONE", "first")])

        assert pushed.refused == {"ONE": "Vercel did not confirm it"}

    def test_a_reason_without_a_name_is_given_to_what_was_not_confirmed(
        self, fake: FakeVercel, destination: Destination
    ) -> None:
        failed = [{"error": {"code": "MAX_ENVS_EXCEEDED", "message": "too many"}}]
        fake.fail_next(Reply(Response(400, {"error": {}, "failed": failed})), where=fake.is_write)

        pushed = destination.push([create("ONE", "first")])

        assert pushed.refused == {"ONE": "Vercel refused it (MAX_ENVS_EXCEEDED)"}

    def test_a_value_that_is_too_long_does_not_stop_the_others(
        self, fake: FakeVercel, destination: Destination
    ) -> None:
        pushed = destination.push([create("LONG", "x" * 65_537), create("ONE", "first")])

        assert set(pushed.refused) == {"LONG"}
        assert fake.places()[PRODUCTION] == {"ONE": "first"}

    @pytest.mark.parametrize("kind", ["project", "team"])
    def test_a_key_that_was_not_deleted_is_named(
        self, fake: FakeVercel, provider: VercelProvider, kind: str
    ) -> None:
        destination = provider.destination(IN_PRODUCTION if kind == "project" else IN_TEAM)
        destination.push([create("ONE", "first"), create("TWO", "second")])
        fake.refused.add("TWO")

        pushed = destination.push(delete(destination, "ONE", "TWO"))

        assert set(pushed.stamps) == {"ONE"}
        assert set(pushed.refused) == {"TWO"}


class TestErrors:
    def test_another_update_under_way_is_worth_another_try(
        self, fake: FakeVercel, destination: Destination
    ) -> None:
        fake.fail_next(Reply(fake.ongoing_update()), where=fake.is_write)

        with pytest.raises(Unavailable):
            destination.push([create("ONE", "first")])

    def test_an_item_that_only_has_to_be_tried_again_is_not_called_refused(
        self, fake: FakeVercel, destination: Destination
    ) -> None:
        failed = [{"error": {"code": "ENVS_ONGOING_UPDATE", "message": "", "key": "ONE"}}]
        fake.fail_next(Reply(Response(201, {"created": [], "failed": failed})), where=fake.is_write)

        with pytest.raises(Unavailable):
            destination.push([create("ONE", "first")])

    def test_a_403_that_calls_the_token_invalid_means_the_credentials(self, access: Access) -> None:
        revoked = VercelProvider(replace(access, credentials=token("revoked-vercel-token")))

        with pytest.raises(CredentialsRejected):
            revoked.destination(IN_PRODUCTION).pull()

    def test_the_wait_is_read_from_the_reset_in_epoch_seconds(
        self, fake: FakeVercel, destination: Destination
    ) -> None:
        fake.fail_next(Fail(429))

        with pytest.raises(RateLimited) as caught:
            destination.pull()

        assert caught.value.retry_after is not None
        assert 0 < caught.value.retry_after <= 30

    def test_a_teams_project_is_not_found_without_its_team(self, provider: VercelProvider) -> None:
        personal = IN_PRODUCTION.model_copy(update={"team_id": None})

        with pytest.raises(DestinationNotFound):
            provider.destination(personal).pull()

    def test_every_call_names_the_team(self, fake: FakeVercel, destination: Destination) -> None:
        fake.add("prj_1", "WIDE", "old", "production", "env_qa")

        synchronise(destination, {"ONE": "first", "TWO": "second"})
        synchronise(destination, {"ONE": "changed"})
        destination.redeploy()

        assert fake.calls
        assert all(("teamId", "team_1") in call.query for call in fake.calls)

    def test_a_personal_account_is_not_named_as_a_team(
        self, fake: FakeVercel, provider: VercelProvider
    ) -> None:
        config = VercelProjectConfig(app="prj_2", env="production", team_id="usr_1")

        synchronise(provider.destination(config), {"ONE": "first"})

        assert fake.places()["prj_2/production"] == {"ONE": "first"}


class TestReveal:
    def test_single_reads_show_what_the_list_hides(self, fake: FakeVercel, destination: Destination) -> None:
        fake.add("prj_1", "ENCRYPTED", "first", "production")
        fake.add("prj_1", "PLAIN", "second", "production", type="plain")
        fake.add("prj_1", "SENSITIVE", "third", "production", type="sensitive")
        remotes = list(destination.pull().remotes.values())
        fake.forget_calls()

        values = destination.reveal(remotes)

        assert values == {"ENCRYPTED": SecretStr("first"), "PLAIN": SecretStr("second")}
        assert len(fake.calls) == 1

    def test_a_request_to_log_in_again_only_means_that_a_value_cannot_be_read(
        self, fake: FakeVercel, destination: Destination
    ) -> None:
        fake.seed(PRODUCTION, {"ONE": "first"})
        fake.challenges = True

        assert destination.reveal(list(destination.pull().remotes.values())) == {}

    def test_a_failing_service_is_an_error_and_not_a_missing_value(
        self, fake: FakeVercel, destination: Destination
    ) -> None:
        fake.seed(PRODUCTION, {"ONE": "first"})
        remotes = list(destination.pull().remotes.values())
        fake.fail_next(Fail(503))

        with pytest.raises(Unavailable):
            destination.reveal(remotes)

    def test_shared_variables_can_be_read_singly_too(self, fake: FakeVercel, team: Destination) -> None:
        fake.seed("team_1/production", {"ONE": "first"})

        assert team.reveal(list(team.pull().remotes.values())) == {"ONE": SecretStr("first")}


class TestSharedVariablesOfATeam:
    BOTH = IN_TEAM.model_copy(
        update={
            "target_environments": ("production", "development"),
            "apply_to_all_custom_environments": True,
        }
    )

    def test_they_reach_every_environment_of_the_place(
        self, fake: FakeVercel, provider: VercelProvider
    ) -> None:
        synchronise(provider.destination(self.BOTH), {"ONE": "first"})

        for environment in ("production", "development", ALL_CUSTOM):
            assert fake.places()[f"team_1/{environment}"] == {"ONE": "first"}

    def test_one_that_covers_only_a_part_of_the_place_is_updated_and_widened_in_place(
        self, fake: FakeVercel, provider: VercelProvider
    ) -> None:
        before = fake.add("team_1", "ONE", "old", "production")
        fake.forget_calls()

        synchronise(provider.destination(self.BOTH), {"ONE": "new"})

        assert [each.id for each in stored(fake, "team_1", "ONE")] == [before.id]
        assert fake.places()["team_1/development"] == {"ONE": "new"}
        assert fake.places()[f"team_1/{ALL_CUSTOM}"] == {"ONE": "new"}
        assert not fake.was_ever_absent("team_1/production", "ONE")

    def test_the_right_value_in_a_part_of_the_place_is_not_enough(
        self, fake: FakeVercel, provider: VercelProvider
    ) -> None:
        fake.add("team_1", "ONE", "same", "production", type="plain")

        synchronise(provider.destination(self.BOTH), {"ONE": "same"})

        assert fake.places()["team_1/development"] == {"ONE": "same"}

    def test_several_of_one_name_are_updated_together_and_deleted_together(
        self, fake: FakeVercel, provider: VercelProvider
    ) -> None:
        fake.add("team_1", "ONE", "old", "production", ALL_CUSTOM)
        fake.add("team_1", "ONE", "older", "development")
        both = provider.destination(self.BOTH)
        ledger: Ledger = {}

        synchronise(both, {"ONE": "new", "TWO": "second"}, ledger)
        again = synchronise(both, {"ONE": "new", "TWO": "second"}, ledger)
        values = {each.value for each in stored(fake, "team_1", "ONE")}
        synchronise(both, {"TWO": "second"}, ledger)

        assert values == {"new"}
        assert again.plan.is_empty
        assert stored(fake, "team_1", "ONE") == []

    def test_one_that_reaches_further_is_narrowed_when_deleted_and_never_rewritten(
        self, fake: FakeVercel, provider: VercelProvider
    ) -> None:
        fake.add("team_1", "ONE", "old", "production", "preview", ALL_CUSTOM)
        both = provider.destination(self.BOTH)

        run = synchronise(both, {"ONE": "new", "TWO": "second"})
        synchronise(both, {"TWO": "second"})

        assert "serves preview " in run.refused["ONE"]
        assert fake.places()["team_1/preview"]["ONE"] == "old"
        assert fake.places()[f"team_1/{ALL_CUSTOM}"] == {"TWO": "second"}

    def test_one_that_is_linked_to_other_projects_is_left_alone(
        self, fake: FakeVercel, team: Destination
    ) -> None:
        fake.add("team_1", "ONE", "theirs", "production", projects=["prj_1"])

        wanted = synchronise(team, {"ONE": "ours"})
        unwanted = synchronise(team, {"TWO": "second"})

        assert fake.places()["team_1/production"] == {"ONE": "theirs", "TWO": "second"}
        assert "linked to other projects" in wanted.plan.skipped[0].reason
        assert unwanted.plan.deletes == ()

    def test_new_ones_are_linked_to_the_named_projects(
        self, fake: FakeVercel, provider: VercelProvider
    ) -> None:
        linked = provider.destination(IN_TEAM.model_copy(update={"target_projects": ("prj_1",)}))
        ledger: Ledger = {}

        synchronise(linked, {"ONE": "first"}, ledger)

        assert stored(fake, "team_1", "ONE")[0].projects == ["prj_1"]
        assert synchronise(linked, {"ONE": "first"}, ledger).plan.is_empty

    def test_every_page_is_read(self, fake: FakeVercel, team: Destination) -> None:
        fake.page_size = 2
        fake.seed("team_1/production", {f"KEY_{number}": "first" for number in range(5)})

        assert len(team.pull().remotes) == 5

    def test_a_refused_update_is_named(self, fake: FakeVercel, team: Destination) -> None:
        synchronise(team, {"ONE": "old", "TWO": "old"})
        fake.refused.add("ONE")

        run = synchronise(team, {"ONE": "new", "TWO": "new"})

        assert run.refused == {"ONE": "Vercel refused it (RESERVED_ENV_VARIABLE)"}
        assert fake.places()["team_1/production"] == {"ONE": "old", "TWO": "new"}


class TestRedeploy:
    def test_the_last_good_production_deployment_runs_again(
        self, fake: FakeVercel, destination: Destination
    ) -> None:
        destination.redeploy()

        assert [(each["deploymentId"], each["target"]) for each in fake.deploys] == [
            ("dpl_prj_1", "production")
        ]

    def test_a_project_that_was_never_deployed_stays_so(
        self, fake: FakeVercel, destination: Destination
    ) -> None:
        fake.projects["prj_1"].deployed = False

        destination.redeploy()

        assert fake.deploys == []

    @pytest.mark.parametrize("env", ["preview", "development", "env_qa"])
    def test_other_environments_take_the_values_up_with_their_next_deployment(
        self, fake: FakeVercel, provider: VercelProvider, env: str
    ) -> None:
        provider.destination(IN_PRODUCTION.model_copy(update={"env": env})).redeploy()

        assert fake.calls == []


class TestListings:
    def test_projects_of_every_team_and_of_the_person_are_shown(
        self, fake: FakeVercel, provider: VercelProvider
    ) -> None:
        fake.page_size = 1
        link = {"type": "github", "org": "acme", "repo": "web"}
        fake.projects["prj_3"] = FakeProject("prj_3", "web", "team_1", link=link)
        fake.projects["prj_4"] = FakeProject("prj_4", "api", "team_1")

        shown = {project.id: project for project in provider.projects()}

        assert set(shown) == {"prj_1", "prj_2", "prj_3", "prj_4"}
        assert (shown["prj_1"].team_id, shown["prj_1"].team_name) == ("team_1", "Demo team")
        assert (shown["prj_2"].team_id, shown["prj_2"].team_name) == (None, None)
        assert shown["prj_3"].linked_repo == "acme/web"
        assert shown["prj_3"].framework == "nextjs"

    @pytest.mark.parametrize(
        ("link", "repository"),
        [
            ({"type": "gitlab", "projectNamespace": "acme", "projectName": "web"}, "acme/web"),
            ({"type": "bitbucket", "owner": "acme", "slug": "web"}, "acme/web"),
            ({"type": "something else"}, None),
            (None, None),
        ],
    )
    def test_repositories_of_other_hosts_are_known_too(
        self,
        fake: FakeVercel,
        provider: VercelProvider,
        link: Mapping[str, str] | None,
        repository: str | None,
    ) -> None:
        fake.projects["prj_1"].link = link

        assert {each.id: each.linked_repo for each in provider.projects()}["prj_1"] == repository

    def test_a_team_that_shows_nothing_to_these_credentials_hides_no_other(
        self, fake: FakeVercel, provider: VercelProvider
    ) -> None:
        fake.fail_next(Fail(403), where=lambda request: request.param("teamId") == "team_1")

        assert [project.id for project in provider.projects()] == ["prj_2"]

    def test_an_integration_of_a_team_sees_that_team(self, access: Access) -> None:
        installed = VercelOAuth(access_token=SecretStr("demo-vercel-token"), team_id="team_1")
        provider = VercelProvider(replace(access, method="oauth", credentials=installed))

        assert [project.id for project in provider.projects()] == ["prj_1"]
        assert provider.destination(IN_PRODUCTION.model_copy(update={"team_id": None})).pull().remotes == {}

    def test_environments_of_a_project_include_its_own(self, provider: VercelProvider) -> None:
        environments = provider.environments("prj_1", "team_1")

        assert [each.id for each in environments[:3]] == ["production", "preview", "development"]
        assert environments[3:] == (Named("env_staging", "staging"), Named("env_qa", "qa"))

    def test_teams_are_listed_with_their_slugs(self, provider: VercelProvider) -> None:
        assert [(team.id, team.name, team.slug) for team in provider.teams()] == [
            ("team_1", "Demo team", "team_1")
        ]


class TestConfigs:
    def test_a_description_without_a_scope_is_a_projects(self) -> None:
        old = {"app": "prj_1", "appName": "shop", "env": "production", "teamId": "team_1"}

        config = VercelConfig.model_validate(old)

        assert config == IN_PRODUCTION

    def test_a_teams_description_is_known_by_its_scope(self) -> None:
        wire = {"scope": "team", "teamId": "team_1", "targetEnvironments": ["production"]}

        assert VercelConfig.model_validate(wire) == IN_TEAM

    @pytest.mark.parametrize("change", [{"team_id": None}, {"sensitive": True}, {"app_name": "renamed"}])
    def test_what_does_not_make_another_place(self, change: Mapping[str, Any]) -> None:
        assert IN_PRODUCTION.model_copy(update=change).identity() == IN_PRODUCTION.identity()

    def test_the_order_of_environments_does_not_make_another_place(self) -> None:
        one = IN_TEAM.model_copy(update={"target_environments": ("production", "preview")})
        other = IN_TEAM.model_copy(update={"target_environments": ("preview", "production")})

        assert one.identity() == other.identity() != IN_TEAM.identity()

    @pytest.mark.parametrize(
        ("wire", "part"),
        [
            ({"app": "prj_1", "env": "development", "sensitive": True}, "sensitive"),
            ({"app": "prj_1", "env": "production", "branch": "main"}, "branch"),
            ({"app": "prj_1", "env": "staging"}, "env"),
            ({"scope": "team", "teamId": "team_1"}, "targetEnvironments"),
            (
                {
                    "scope": "team",
                    "teamId": "team_1",
                    "targetEnvironments": ["development"],
                    "sensitive": True,
                },
                "sensitive",
            ),
            ({"scope": "account", "app": "prj_1", "env": "production"}, "scope"),
        ],
    )
    def test_a_place_that_cannot_be_is_refused_and_the_field_named(
        self, wire: Mapping[str, Any], part: str
    ) -> None:
        with pytest.raises(ValidationError, match=part):
            VercelConfig.model_validate(wire)

    @pytest.mark.parametrize("name", ["shop", "prj-1", "qm-shop", "prj_1/", "prj_1?", "prj_1#", "prj_/../.."])
    def test_a_project_that_is_given_by_its_name_is_refused(self, name: str) -> None:
        with pytest.raises(ValidationError, match=r"app\n.*give the project's id"):
            VercelConfig.model_validate({"app": name, "env": "production"})
        with pytest.raises(ValidationError, match=r"targetProjects\.0\n.*give the project's id"):
            team_place(["production"], projects=[name])

    def test_an_old_project_has_an_id_of_another_form(self) -> None:
        old = {"app": "QmWoAtyPjr3Prb7CcCGn6jEmLKe6wsGHDcha13AdvMsmmW", "env": "production"}

        assert VercelConfig.model_validate(old).identity()

    @pytest.mark.parametrize(
        "other",
        [
            {"environments": ["production", "preview"]},
            {"environments": ["production"], "projects": ["prj_1"]},
            {"environments": ["production"], "projects": ["prj_2", "prj_1"]},
            {"environments": ["production"], "sensitive": True},
        ],
        ids=str,
    )
    @pytest.mark.parametrize("projects", [None, ["prj_1"]], ids=str)
    def test_places_of_a_team_that_share_an_environment_and_a_project_collide(
        self, projects: list[str] | None, other: Mapping[str, Any]
    ) -> None:
        one, two = team_place(["production"], projects=projects), team_place(**other)

        assert one.collides(two)
        assert two.collides(one)

    @pytest.mark.parametrize(
        "other",
        [
            {"environments": ["preview", "development"]},
            {"environments": ["production"], "projects": ["prj_2"]},
            {"environments": ["production"], "team": "team_2"},
            {"environments": [], "custom": True},
        ],
        ids=str,
    )
    def test_places_of_a_team_that_share_nothing_do_not_collide(self, other: Mapping[str, Any]) -> None:
        one, two = team_place(["production"], projects=["prj_1"]), team_place(**other)

        assert not one.collides(two)
        assert not two.collides(one)

    def test_where_values_are_sensitive_development_is_not_shared(self) -> None:
        sensitive = team_place(["production", "development"], sensitive=True)

        assert not sensitive.collides(team_place(["development"]))

    def test_a_team_and_its_project_have_variables_of_their_own(self) -> None:
        assert not IN_TEAM.collides(IN_PRODUCTION)
        assert not IN_PRODUCTION.collides(IN_TEAM)

    @pytest.mark.parametrize("part", [{"env": "preview"}, {"app": "prj_2"}], ids=str)
    def test_another_project_or_environment_is_another_place(self, part: Mapping[str, Any]) -> None:
        assert not IN_PRODUCTION.collides(IN_PRODUCTION.model_copy(update=part))

    def test_a_branch_has_variables_of_its_own(self) -> None:
        previews = IN_PRODUCTION.model_copy(update={"env": "preview"})

        assert not previews.collides(previews.model_copy(update={"branch": "feature"}))

    def test_a_sensitive_team_sync_leaves_development_out(
        self, fake: FakeVercel, provider: VercelProvider
    ) -> None:
        wire = {
            "scope": "team",
            "teamId": "team_1",
            "targetEnvironments": ["production", "development"],
            "sensitive": True,
        }

        synchronise(provider.destination(VercelConfig.model_validate(wire)), {"ONE": "first"})

        assert fake.places()["team_1/production"] == {"ONE": "first"}
        assert fake.places()["team_1/development"] == {}


# --- any inventory --------------------------------------------------------------------------------------

KEYS = st.sampled_from(["A", "B", "C", "D"])
VALUES = st.sampled_from(["one", "two", "three"])
RUNS = st.lists(st.dictionaries(KEYS, VALUES), min_size=1, max_size=3)
TEAM = IN_TEAM.model_copy(
    update={
        "target_environments": ("production", "development"),
        "apply_to_all_custom_environments": True,
        "target_projects": ("prj_1",),
    }
)


def put_if_possible(
    fake: FakeVercel, owner: str, key: str, value: str, reach: frozenset[str], **more: Any
) -> None:
    """Add a record unless Vercel could not hold it beside the others."""
    one = fake.add(owner, key, value, *sorted(reach), **more)
    if any(one.overlaps(each) for each in fake.variables.values()):
        del fake.variables[one.id]


@st.composite
def projects(draw: st.DrawFn) -> FakeVercel:
    """Any variables that a project could hold at once."""
    fake = FakeVercel.with_demo()
    names = ["production", "preview", "development", "env_qa", "env_staging"]
    for _ in range(draw(st.integers(0, 8))):
        reach = draw(st.frozensets(st.sampled_from(names), min_size=1, max_size=3))
        kinds = ["encrypted"] if "development" in reach else ["encrypted", "plain", "sensitive"]
        put_if_possible(
            fake,
            "prj_1",
            draw(KEYS),
            draw(VALUES),
            reach,
            type=draw(st.sampled_from(kinds)),
            branch=draw(st.sampled_from([None, "feature", "other"])) if reach == {"preview"} else None,
            configuration=draw(st.sampled_from([None, None, None, "icfg_1"])),
        )
    return fake


@st.composite
def teams(draw: st.DrawFn) -> FakeVercel:
    """Any variables that a team could share at once."""
    fake = FakeVercel.with_demo()
    names = ["production", "preview", "development", ALL_CUSTOM]
    for _ in range(draw(st.integers(0, 8))):
        reach = draw(st.frozensets(st.sampled_from(names), min_size=1, max_size=3))
        linked = draw(st.sampled_from([["prj_1"], ["prj_1"], [], ["prj_1", "prj_2"]]))
        put_if_possible(fake, "team_1", draw(KEYS), draw(VALUES), reach, projects=linked)
    return fake


@given(
    fake=projects(),
    env=st.sampled_from(["production", "preview", "preview/feature", "env_qa"]),
    runs=RUNS,
)
def test_of_whatever_a_project_holds_only_our_place_changes(
    fake: FakeVercel, env: str, runs: list[dict[str, str]]
) -> None:
    name, _, branch = env.partition("/")
    config = IN_PRODUCTION.model_copy(update={"env": name, "branch": branch or None})

    check_runs(fake, config, {f"prj_1/{env}"}, runs)


@given(fake=teams(), runs=RUNS)
def test_of_whatever_a_team_shares_only_our_place_changes(
    fake: FakeVercel, runs: list[dict[str, str]]
) -> None:
    check_runs(fake, TEAM, {"team_1/production", "team_1/development", f"team_1/{ALL_CUSTOM}"}, runs)


def check_runs(fake: FakeVercel, config: VercelConfig, ours: set[str], runs: list[dict[str, str]]) -> None:
    with httpx.Client(transport=InProcess(fake)) as http:
        access = Access(method="api-token", credentials=token(), http=http, address="http://vercel.invalid")
        destination = VercelProvider(access).destination(config)
        for wanted in runs:
            fake.forget_calls()
            run = synchronise(destination, wanted)
            left_alone = run.refused.keys() | {skip.key for skip in run.plan.skipped}
            check_states(fake, ours, wanted, left_alone)
    assert fake.violations == []


def check_states(fake: FakeVercel, ours: set[str], wanted: Mapping[str, str], left_alone: Set[str]) -> None:
    """What is not ours never changed, what stays was never absent, and the rest is as wanted."""
    before = fake.history[0]
    for state in fake.history:
        assert {name: held for name, held in state.items() if name not in ours} == {
            name: held for name, held in before.items() if name not in ours
        }
    for place in ours:
        had, has = before.get(place, {}), fake.places().get(place, {})
        written = {key: value for key, value in wanted.items() if key not in left_alone}
        assert has == {**written, **{key: value for key, value in had.items() if key in left_alone}}
        assert not [key for key in had.keys() & wanted.keys() if fake.was_ever_absent(place, key)]


# --- answers that are lost, and handles ------------------------------------------------------------------


def test_a_write_whose_answer_was_lost_is_not_repeated_in_vain(
    fake: FakeVercel, destination: Destination
) -> None:
    ledger: Ledger = {}
    fake.fail_next(Drop(applied=True), where=fake.is_write)

    with pytest.raises(Exception, match="did not answer"):
        synchronise(destination, {"ONE": "first"}, ledger)
    synchronise(destination, {"ONE": "first"}, ledger)

    assert synchronise(destination, {"ONE": "first"}, ledger).plan.is_empty


def test_handles_show_no_value(fake: FakeVercel, destination: Destination) -> None:
    fake.add("prj_1", "PLAIN", "plain-text", "production", type="plain")

    remote: Remote = destination.pull().remotes["PLAIN"]

    assert "plain-text" not in repr(remote) + repr(remote.handle)
