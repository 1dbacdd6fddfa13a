"""Netlify keeps the contract, and its oddities do no harm."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from shared.errors import DestinationNotFound, ProviderError, RequestRejected, UnexpectedAnswer
from shared.plan import Update, Written
from shared.providers.base import Access, Destination, Named, Project, RateLimit
from shared.providers.netlify import NetlifyConfig, NetlifyProvider, NetlifyToken
from tests.fakes.netlify import SCOPES, SECRET_SCOPES, FakeNetlify, PlainText, Site, Team
from tests.fakes.service import Drop, Fail, FakeServer, FakeService, Fault, InProcess, Reply, Response
from tests.shared.providers.contract import (
    PLAIN,
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

SITE = "acc-1/site-shop"
TEAM = "acc-1/team"
PRODUCTION = f"{SITE}/production"
TOKEN = NetlifyToken(access_token=SecretStr("demo-access-token"))
WRONG_TOKEN = NetlifyToken(access_token=SecretStr("wrong-access-token"))

IN_PRODUCTION = NetlifyConfig(
    account_id="acc-1",
    account_name="Demo team",
    site_id="site-shop",
    site_name="shop",
    context="production",
)
ON_STAGING = IN_PRODUCTION.model_copy(update={"context": "branch", "context_parameter": "staging"})
AS_SECRET = IN_PRODUCTION.model_copy(update={"is_secret": True})
TEAM_WIDE = NetlifyConfig(account_id="acc-1", account_name="Demo team")


def new_fake(place: str) -> FakeNetlify:
    """Return an emulator in which every place but *place* holds something."""
    fake = FakeNetlify.with_demo()
    for each in fake.places():
        if each != place:
            fake.put(each, {"SHARED_NAME": f"of {each}"})
    return fake


class NetlifyContract(ProviderContract):
    provider_type = NetlifyProvider
    call_limits = CallLimits(
        first_sync=2, nothing_changed=1, one_changed=2, all_changed=101, one_removed=2, all_removed=101
    )
    refuses_single_keys = True

    # A whole request answered with 400 or 422 is taken apart, see "refusals" below, and ends in no error.
    @pytest.mark.parametrize("fault", [Fail(401), Fail(403), Fail(404), Fail(429), Fail(500)], ids=str)
    def test_no_error_shows_a_value_or_a_credential(
        self, scene: Scene, destination: Destination, fake: FakeService, fault: Fault
    ) -> None:
        super().test_no_error_shows_a_value_or_a_credential(scene, destination, fake, fault)


class TestNetlifySite(NetlifyContract):
    @pytest.fixture
    def scene(self) -> Scene:
        return Scene(
            fake=new_fake(PRODUCTION),
            place=PRODUCTION,
            config=IN_PRODUCTION,
            missing=IN_PRODUCTION.model_copy(update={"site_id": "site-gone"}),
            method="access-token",
            credentials=TOKEN,
            wrong_credentials=WRONG_TOKEN,
        )


class TestNetlifyBranch(NetlifyContract):
    @pytest.fixture
    def scene(self) -> Scene:
        place = f"{SITE}/branch:staging"
        fake = new_fake(place)
        fake.put(f"{SITE}/branch:other", {"SHARED_NAME": "of another branch"})
        return Scene(
            fake=fake,
            place=place,
            config=ON_STAGING,
            missing=ON_STAGING.model_copy(update={"site_id": "site-gone"}),
            method="access-token",
            credentials=TOKEN,
            wrong_credentials=WRONG_TOKEN,
        )


class TestNetlifyTeam(NetlifyContract):
    @pytest.fixture
    def scene(self) -> Scene:
        return Scene(
            fake=new_fake(f"{TEAM}/all"),
            place=f"{TEAM}/all",
            config=TEAM_WIDE,
            missing=TEAM_WIDE.model_copy(update={"account_id": "acc-gone"}),
            method="access-token",
            credentials=TOKEN,
            wrong_credentials=WRONG_TOKEN,
        )


class HiddenNetlify(NetlifyProvider):
    """Netlify where everything is a secret."""

    reads_values = False


class TestNetlifySecrets(NetlifyContract):
    provider_type = HiddenNetlify

    @pytest.fixture
    def scene(self) -> Scene:
        fake = FakeNetlify.with_demo()
        fake.put(f"{SITE}/deploy-preview", {"SHARED_NAME": "of previews"}, is_secret=True)
        fake.put(f"{TEAM}/all", {"SHARED_NAME": "of the team"})
        return Scene(
            fake=fake,
            place=PRODUCTION,
            config=AS_SECRET,
            missing=AS_SECRET.model_copy(update={"site_id": "site-gone"}),
            method="access-token",
            credentials=TOKEN,
            wrong_credentials=WRONG_TOKEN,
        )


# --- the oddities ---------------------------------------------------------------------------------------


@pytest.fixture
def fake() -> Iterator[FakeNetlify]:
    service = FakeNetlify.with_demo()
    yield service
    assert service.violations == []


@pytest.fixture
def access(fake: FakeNetlify) -> Iterator[Access]:
    with FakeServer(fake) as server, loopback_client() as http:
        yield Access(method="access-token", credentials=TOKEN, http=http, address=server.address)


@pytest.fixture
def provider(access: Access) -> NetlifyProvider:
    return NetlifyProvider(access)


@pytest.fixture
def destination(provider: NetlifyProvider) -> Destination:
    return provider.destination(IN_PRODUCTION)


@pytest.fixture
def secrets(provider: NetlifyProvider) -> Destination:
    return provider.destination(AS_SECRET)


@pytest.fixture
def api(access: Access) -> Iterator[httpx.Client]:
    """Return a plain client of the emulator, to see what it does."""
    headers = {"Authorization": "Bearer demo-access-token"}
    with httpx.Client(base_url=f"{access.address}/api/v1", headers=headers, verify=False) as client:
        yield client


def sent(fake: FakeNetlify) -> list[str]:
    """Return the writes that arrived, as ``METHOD path`` below the account's variables."""
    paths = [call.path.removeprefix("/api/v1/accounts/acc-1/env") for call in fake.writes]
    return [f"{call.method} {path}".strip() for call, path in zip(fake.writes, paths, strict=True)]


# --- contexts -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("context", ["all", "deploy-preview", "branch:staging"])
def test_a_key_of_other_contexts_only_is_absent_and_gets_a_value_beside_theirs(
    destination: Destination, fake: FakeNetlify, context: str
) -> None:
    fake.put(f"{SITE}/{context}", {"ONE": "theirs"})

    run = synchronise(destination, {"ONE": "ours", "TWO": "second"})

    assert [each.key for each in run.plan.creates] == ["ONE", "TWO"]
    assert fake.places()[f"{SITE}/{context}"] == {"ONE": "theirs"}
    assert fake.places()[PRODUCTION] == {"ONE": "ours", "TWO": "second"}
    assert sent(fake) == ["POST", "PATCH /ONE"]


def test_a_removal_takes_one_value_where_others_remain(destination: Destination, fake: FakeNetlify) -> None:
    fake.put(f"{SITE}/all", {"ONE": "theirs"})
    fake.put(PRODUCTION, {"ONE": "ours"})
    fake.forget_calls()

    destination.push(delete(destination, "ONE"))

    assert fake.places()[f"{SITE}/all"] == {"ONE": "theirs"}
    assert fake.places()[PRODUCTION] == {}
    assert sent(fake) == ["DELETE /ONE/value/value-2"]


def test_a_removal_of_the_only_value_removes_the_variable(
    destination: Destination, fake: FakeNetlify
) -> None:
    fake.put(PRODUCTION, {"ONE": "ours"})

    destination.push(delete(destination, "ONE"))

    assert fake.variables["acc-1", "site-shop"] == {}
    assert sent(fake) == ["DELETE /ONE"]


def test_a_key_can_come_back_after_its_removal(destination: Destination, fake: FakeNetlify) -> None:
    fake.put(f"{SITE}/all", {"ONE": "theirs"})
    fake.put(PRODUCTION, {"ONE": "ours", "TWO": "ours"})
    destination.push(delete(destination, "ONE", "TWO"))

    destination.push([create("ONE", "again"), create("TWO", "again")])

    assert fake.places()[PRODUCTION] == {"ONE": "again", "TWO": "again"}
    assert fake.places()[f"{SITE}/all"] == {"ONE": "theirs"}


def test_branches_are_told_apart_by_their_names(provider: NetlifyProvider, fake: FakeNetlify) -> None:
    fake.put(f"{SITE}/branch:staging", {"ONE": "of staging"})
    fake.put(f"{SITE}/branch:other", {"ONE": "of other"})

    remotes = provider.destination(ON_STAGING).pull().remotes

    assert remotes["ONE"].value == SecretStr("of staging")


def test_a_key_is_one_part_of_the_path(destination: Destination, fake: FakeNetlify) -> None:
    synchronise(destination, {"A/B ?#ü": "first"})

    synchronise(destination, {"A/B ?#ü": "changed"})

    assert fake.places()[PRODUCTION] == {"A/B ?#ü": "changed"}
    assert sent(fake) == ["POST", "PATCH /A%2FB%20%3F%23%C3%BC"]


# --- a site and its team --------------------------------------------------------------------------------


def test_every_call_for_a_site_names_it(destination: Destination, fake: FakeNetlify) -> None:
    fake.put(f"{SITE}/all", {"THREE": "theirs"})
    synchronise(destination, {"ONE": "first", "TWO": "second", "THREE": "third"})
    synchronise(destination, {"ONE": "changed"})

    assert {dict(call.query).get("site_id") for call in fake.calls} == {"site-shop"}
    assert {call.method for call in fake.calls} == {"GET", "POST", "PATCH", "DELETE"}


def test_a_variable_of_the_team_is_no_variable_of_its_sites(
    destination: Destination, provider: NetlifyProvider, fake: FakeNetlify
) -> None:
    fake.put(f"{TEAM}/production", {"ONE": "of the team"})
    team = provider.destination(TEAM_WIDE.model_copy(update={"context": "production"}))

    assert destination.pull().remotes == {}
    assert set(team.pull().remotes) == {"ONE"}


def test_a_site_overrides_a_variable_of_its_team_without_changing_it(
    destination: Destination, fake: FakeNetlify
) -> None:
    fake.put(f"{TEAM}/production", {"ONE": "of the team"})

    synchronise(destination, {"ONE": "of the site"})

    assert fake.places()[f"{TEAM}/production"] == {"ONE": "of the team"}
    assert fake.places()[PRODUCTION] == {"ONE": "of the site"}


def test_a_team_may_be_named_by_its_slug(provider: NetlifyProvider, fake: FakeNetlify) -> None:
    by_slug = provider.destination(IN_PRODUCTION.model_copy(update={"account_id": "demo-team"}))

    synchronise(by_slug, {"ONE": "first"})

    assert fake.places()[PRODUCTION] == {"ONE": "first"}


# --- secrets --------------------------------------------------------------------------------------------


def test_a_new_secret_is_one_and_names_its_scopes_on_a_free_plan(
    secrets: Destination, fake: FakeNetlify
) -> None:
    secrets.push([create("ONE", "first")])

    stored = fake.variables["acc-1", "site-shop"]["ONE"]
    assert stored["is_secret"]
    assert stored["scopes"] == list(SECRET_SCOPES)


def test_a_readable_variable_has_every_scope_because_none_is_named(
    destination: Destination, fake: FakeNetlify
) -> None:
    destination.push([create("ONE", "first")])

    assert fake.variables["acc-1", "site-shop"]["ONE"]["scopes"] == list(SCOPES)
    assert "scopes" not in fake.writes[0].body[0]


def test_the_value_of_a_secret_is_unknown_and_not_empty(destination: Destination, fake: FakeNetlify) -> None:
    fake.put(PRODUCTION, {"ONE": "hidden"}, is_secret=True)

    remote = destination.pull().remotes["ONE"]

    assert remote.value is None
    assert remote.stamp


def test_the_value_of_a_secret_for_local_work_is_readable(
    provider: NetlifyProvider, fake: FakeNetlify
) -> None:
    fake.put(PRODUCTION, {"ONE": "hidden"}, is_secret=True)
    fake.put(f"{SITE}/dev", {"ONE": "local"})

    remotes = provider.destination(IN_PRODUCTION.model_copy(update={"context": "dev"})).pull().remotes

    assert remotes["ONE"].value == SecretStr("local")


@pytest.mark.parametrize("config", [IN_PRODUCTION, AS_SECRET], ids=["isSecret=false", "isSecret=true"])
def test_a_secret_stays_a_secret_when_it_changes(
    provider: NetlifyProvider, fake: FakeNetlify, config: NetlifyConfig
) -> None:
    fake.put(PRODUCTION, {"ONE": "old"}, is_secret=True)
    fake.put(f"{SITE}/deploy-preview", {"ONE": "theirs"})
    place = provider.destination(config)

    place.push([update(place, "ONE", "new")])

    assert fake.variables["acc-1", "site-shop"]["ONE"]["is_secret"]
    assert fake.places()[PRODUCTION] == {"ONE": "new"}
    assert fake.places()[f"{SITE}/deploy-preview"] == {"ONE": "theirs"}


@pytest.mark.parametrize("context", ["production", "deploy-preview"])
def test_a_secret_is_never_written_where_everybody_can_read_it(
    secrets: Destination, fake: FakeNetlify, context: str
) -> None:
    fake.put(f"{SITE}/{context}", {"ONE": "readable"})

    run = synchronise(secrets, {"ONE": PLAIN, "TWO": PLAIN})

    assert list(run.refused) == ["ONE"]
    assert "readable" in run.refused["ONE"]
    assert fake.places()[f"{SITE}/{context}"]["ONE"] == "readable"
    assert fake.places()[PRODUCTION]["TWO"] == PLAIN


def test_two_syncs_of_one_secret_do_not_take_each_others_writes_for_edits(
    provider: NetlifyProvider, secrets: Destination, fake: FakeNetlify
) -> None:
    previews = provider.destination(AS_SECRET.model_copy(update={"context": "deploy-preview"}))
    of_production: Ledger = {}
    of_previews: Ledger = {}
    synchronise(secrets, {"ONE": "first"}, of_production)
    synchronise(previews, {"ONE": "second"}, of_previews)
    synchronise(secrets, {"ONE": "first"}, of_production)
    synchronise(previews, {"ONE": "changed"}, of_previews)

    runs = [
        synchronise(secrets, {"ONE": "first"}, of_production),
        synchronise(previews, {"ONE": "changed"}, of_previews),
    ]

    assert [run.plan.is_empty for run in runs] == [True, True]


def test_somebodys_edit_of_a_secret_with_several_contexts_is_seen(
    secrets: Destination, fake: FakeNetlify
) -> None:
    fake.put(f"{SITE}/deploy-preview", {"ONE": "theirs"}, is_secret=True)
    ledger: Ledger = {}
    synchronise(secrets, {"ONE": "first"}, ledger)
    fake.put(PRODUCTION, {"ONE": "edited by hand"})

    run = synchronise(secrets, {"ONE": "first"}, ledger)

    assert run.plan.drift == ("ONE",)
    assert fake.places()[PRODUCTION] == {"ONE": "first"}


# --- refusals -------------------------------------------------------------------------------------------


def test_one_bad_key_does_not_hold_back_the_others_and_is_named(
    destination: Destination, fake: FakeNetlify
) -> None:
    fake.refused.add("BAD")

    pushed = destination.push([create("ONE", "first"), create("BAD", PLAIN), create("TWO", "second")])

    assert fake.places()[PRODUCTION] == {"ONE": "first", "TWO": "second"}
    assert set(pushed.stamps) == {"ONE", "TWO"}
    assert pushed.refused == {"BAD": "Netlify answered 422."}


@pytest.mark.parametrize("status", [400, 409, 422])
def test_a_refused_request_is_sent_again_key_by_key(
    destination: Destination, fake: FakeNetlify, status: int
) -> None:
    fake.fail_next(Fail(status), where=fake.is_write)

    pushed = destination.push([create("ONE", "first"), create("TWO", "second")])

    assert set(pushed.stamps) == {"ONE", "TWO"}
    assert sent(fake) == ["POST", "POST", "POST"]


@pytest.mark.parametrize("status", [400, 422])
def test_no_refusal_shows_a_value(destination: Destination, fake: FakeNetlify, status: int) -> None:
    fake.fail_next(Fail(status), times=3, where=fake.is_write)

    pushed = destination.push([create("ONE", PLAIN), create("TWO", PLAIN)])

    assert set(pushed.refused) == {"ONE", "TWO"}
    assert PLAIN not in repr(pushed)


def test_a_refused_update_is_named_and_the_others_go_on(destination: Destination, fake: FakeNetlify) -> None:
    fake.put(PRODUCTION, {"ONE": "old", "TWO": "old"})
    fake.refused.add("ONE")

    run = synchronise(destination, {"ONE": "new", "TWO": "new"})

    assert set(run.refused) == {"ONE"}
    assert fake.places()[PRODUCTION] == {"ONE": "old", "TWO": "new"}


def test_a_missing_right_during_a_first_sync_is_not_retried_key_by_key(
    destination: Destination, fake: FakeNetlify
) -> None:
    fake.fail_next(Fail(403), where=fake.is_write)

    with pytest.raises(ProviderError):
        destination.push([create("ONE", "first"), create("TWO", "second")])

    assert len(fake.writes) == 1


# --- somebody else is faster ----------------------------------------------------------------------------


def test_a_key_created_meanwhile_gets_our_value_beside_theirs(
    destination: Destination, fake: FakeNetlify
) -> None:
    destination.pull()
    fake.put(f"{SITE}/all", {"ONE": "theirs"})

    pushed = destination.push([create("ONE", "first"), create("TWO", "second")])

    assert pushed.refused == {}
    assert fake.places()[PRODUCTION] == {"ONE": "first", "TWO": "second"}
    assert fake.places()[f"{SITE}/all"] == {"ONE": "theirs"}


def test_a_single_create_whose_answer_got_lost_converges(destination: Destination, fake: FakeNetlify) -> None:
    batch = [create("ONE", "first")]
    fake.fail_next(Drop(applied=True), where=fake.is_write)
    with pytest.raises(ProviderError):
        destination.push(batch)

    pushed = destination.push(batch)

    assert set(pushed.stamps) == {"ONE"}
    assert fake.places()[PRODUCTION] == {"ONE": "first"}


def test_a_key_removed_meanwhile_is_created(destination: Destination, fake: FakeNetlify) -> None:
    fake.put(PRODUCTION, {"ONE": "old"})
    batch = [update(destination, "ONE", "new")]
    del fake.variables["acc-1", "site-shop"]["ONE"]

    pushed = destination.push(batch)

    assert set(pushed.stamps) == {"ONE"}
    assert fake.places()[PRODUCTION] == {"ONE": "new"}


def test_a_value_that_was_replaced_before_its_removal_is_named(
    destination: Destination, fake: FakeNetlify, api: httpx.Client
) -> None:
    fake.put(f"{SITE}/all", {"ONE": "theirs"})
    fake.put(PRODUCTION, {"ONE": "ours"})
    batch = delete(destination, "ONE")
    values = [{"context": "all", "value": "theirs"}, {"context": "production", "value": "newer"}]
    replaced = {"key": "ONE", "values": values}
    api.put("/accounts/acc-1/env/ONE?site_id=site-shop", json=replaced).raise_for_status()

    pushed = destination.push(batch)

    assert "same moment" in pushed.refused["ONE"]
    assert fake.places()[PRODUCTION] == {"ONE": "newer"}


def test_a_removal_in_a_closed_team_is_an_error(destination: Destination, fake: FakeNetlify) -> None:
    fake.put(PRODUCTION, {"ONE": "ours"})
    batch = delete(destination, "ONE")
    fake.teams.clear()

    with pytest.raises(DestinationNotFound):
        destination.push(batch)


def test_an_update_without_a_pull_before_asks_what_is_there(
    provider: NetlifyProvider, destination: Destination, fake: FakeNetlify
) -> None:
    fake.put(PRODUCTION, {"ONE": "old"})
    change: Update = update(destination, "ONE", "new")

    provider.destination(IN_PRODUCTION).push([change])

    assert fake.places()[PRODUCTION] == {"ONE": "new"}
    assert sent(fake) == ["PATCH /ONE"]


# --- names ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["NETLIFY", "NETLIFY_USE_YARN", "CONTEXT", "URL", "DEPLOY_ID", "COMMIT_REF"])
def test_a_name_of_netlifys_own_is_neither_shown_nor_taken(
    destination: Destination, fake: FakeNetlify, key: str
) -> None:
    fake.put(PRODUCTION, {key: "theirs"})

    run = synchronise(destination, {key: "ours", "ONE": "first"})
    synchronise(destination, {"ONE": "first"})

    assert [skip.key for skip in run.plan.skipped] == [key]
    assert fake.places()[PRODUCTION] == {key: "theirs", "ONE": "first"}


@pytest.mark.parametrize("key", ["NETLIFYING", "URL_2", "context", "1ST"])
def test_an_ordinary_name_is_not_refused(destination: Destination, key: str) -> None:
    assert destination.refuses(key) is None


# --- redeploying ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("context", ["all", "production"])
def test_a_redeploy_is_one_production_build(
    provider: NetlifyProvider, fake: FakeNetlify, context: str
) -> None:
    provider.destination(IN_PRODUCTION.model_copy(update={"context": context})).redeploy()

    assert fake.builds == {("site-shop", None): 1}


def test_a_redeploy_of_a_branch_builds_that_branch(provider: NetlifyProvider, fake: FakeNetlify) -> None:
    provider.destination(ON_STAGING).redeploy()

    assert fake.builds == {("site-shop", "staging"): 1}


@pytest.mark.parametrize(
    "config",
    [
        TEAM_WIDE,
        *(IN_PRODUCTION.model_copy(update={"context": each}) for each in ("dev", "deploy-preview")),
        IN_PRODUCTION.model_copy(update={"context": "branch-deploy"}),
    ],
    ids=["team", "dev", "deploy-preview", "branch-deploy"],
)
def test_where_no_build_would_use_the_values_none_is_started(
    provider: NetlifyProvider, fake: FakeNetlify, config: NetlifyConfig
) -> None:
    provider.destination(config).redeploy()

    assert fake.calls == []


@pytest.mark.parametrize("site", ["site-blog", "site-gone"])
def test_a_site_that_cannot_build_by_itself_is_a_clear_error(provider: NetlifyProvider, site: str) -> None:
    unlinked = provider.destination(IN_PRODUCTION.model_copy(update={"site_id": site}))

    with pytest.raises(RequestRejected, match="linked to a repository"):
        unlinked.redeploy()


# --- answers --------------------------------------------------------------------------------------------


def test_a_404_without_json_is_not_found(destination: Destination, fake: FakeNetlify) -> None:
    fake.fail_next(Reply(PlainText(404, "Not Found", {"Content-Type": "text/plain"})))

    with pytest.raises(DestinationNotFound):
        destination.pull()


@pytest.mark.parametrize(
    "response",
    [
        Response(204),
        Response(200, {"variables": []}),
        Response(200, [], {"Content-Type": "text/plain"}),
    ],
    ids=["nothing", "object", "text"],
)
def test_an_answer_that_is_no_list_never_means_that_nothing_is_there(
    destination: Destination, fake: FakeNetlify, response: Response
) -> None:
    fake.fail_next(Reply(response))

    with pytest.raises(UnexpectedAnswer):
        destination.pull()


@pytest.mark.parametrize("response", [Response(204), Response(201, {}), Response(201, [{}])], ids=str)
def test_a_write_whose_answer_shows_no_variable_is_no_success(
    destination: Destination, fake: FakeNetlify, response: Response
) -> None:
    fake.fail_next(Reply(response), where=fake.is_write)

    with pytest.raises(UnexpectedAnswer):
        destination.push([create("ONE", "first")])


def test_a_key_that_the_answer_to_a_write_does_not_show_is_not_taken_for_written(
    destination: Destination, fake: FakeNetlify
) -> None:
    fake.seed(PRODUCTION, {"OLD": "old"})
    fake.fail_next(Reply(Response(201, [])), times=2, where=lambda call: call.method == "POST")
    other = Response(201, {"key": "OLD", "values": [{"id": "v", "context": "dev", "value": "new"}]})
    fake.fail_next(Reply(other), where=lambda call: call.method == "PATCH")

    pushed = destination.push([create("ONE", "first"), update(destination, "OLD", "new")])

    assert pushed.stamps == {}
    assert pushed.refused == dict.fromkeys(["ONE", "OLD"], "Netlify did not confirm it")


def test_an_empty_string_of_what_may_be_a_secret_is_not_taken_for_its_value(
    destination: Destination, fake: FakeNetlify
) -> None:
    values = [{"id": "value-1", "context": "production", "value": ""}]
    fake.fail_next(Reply(Response(200, [{"key": "ONE", "values": values}])))

    assert destination.pull().remotes["ONE"].value is None


def test_netlifys_own_error_code_is_kept_and_its_words_are_not(
    destination: Destination, fake: FakeNetlify
) -> None:
    fake.fail_next(Reply(Response(403, {"code": 70101, "message": f"you sent {PLAIN}"})))

    with pytest.raises(ProviderError) as caught:
        destination.pull()

    assert (caught.value.status, caught.value.code) == (403, "70101")
    assert PLAIN not in str(caught.value)


@pytest.mark.parametrize("body", [{"code": 403}, {"code": "text"}, {"code": True}, {}, []], ids=str)
def test_a_code_that_says_nothing_new_is_left_out(
    destination: Destination, fake: FakeNetlify, body: Any
) -> None:
    fake.fail_next(Reply(Response(403, body)))

    with pytest.raises(ProviderError) as caught:
        destination.pull()

    assert caught.value.code is None


def test_the_rate_budget_is_reported(access: Access, fake: FakeNetlify) -> None:
    seen: list[RateLimit] = []

    NetlifyProvider(replace(access, observe=seen.append)).whoami()

    assert seen[0].remaining == 499
    assert 0 < seen[0].resets_in <= 60


# --- listings -------------------------------------------------------------------------------------------


def test_the_person_behind_the_token_is_named(provider: NetlifyProvider) -> None:
    account = provider.whoami()

    assert (account.id, account.name) == ("user-1", "Demo person")


def test_a_person_without_a_name_is_named_by_the_address(
    provider: NetlifyProvider, fake: FakeNetlify
) -> None:
    fake.fail_next(Reply(Response(200, {"id": "user-1", "full_name": "", "email": "demo@example.test"})))

    assert provider.whoami().name == "demo@example.test"


def test_teams_are_listed(provider: NetlifyProvider) -> None:
    assert provider.accounts() == [Named("acc-1", "Demo team")]


def test_every_page_of_a_teams_sites_is_read(provider: NetlifyProvider, fake: FakeNetlify) -> None:
    fake.add_team(Team("acc-2", "other-team", "Other team"))
    fake.add_site(Site("site-other", "other", "acc-2"))
    fake.add_site(Site("site-docs", "docs", "acc-1"))
    fake.page_size = 2

    sites = provider.sites("acc-1")

    assert sites == [Named("site-shop", "shop"), Named("site-blog", "blog"), Named("site-docs", "docs")]


def test_sites_of_a_team_nobody_knows_are_an_error(provider: NetlifyProvider) -> None:
    with pytest.raises(DestinationNotFound):
        provider.sites("acc-gone")


def test_every_page_of_projects_is_read(provider: NetlifyProvider, fake: FakeNetlify) -> None:
    fake.page_size = 1

    projects = provider.projects()

    assert projects == [
        Project("site-shop", "shop", linked_repo="demo/shop", team_id="acc-1", team_name="Demo team"),
        Project("site-blog", "blog", team_id="acc-1", team_name="Demo team"),
    ]


@pytest.mark.parametrize(
    ("address", "repository"),
    [
        ("https://github.com/demo/docs", "demo/docs"),
        ("https://github.com/demo/docs.git", "demo/docs"),
        ("https://gitlab.com/demo/docs", "https://gitlab.com/demo/docs"),
    ],
)
def test_a_repository_at_github_is_named_shortly(
    provider: NetlifyProvider, fake: FakeNetlify, address: str, repository: str
) -> None:
    fake.add_site(Site("site-docs", "docs", "acc-1", address))

    assert provider.projects()[-1].linked_repo == repository


# --- the configuration ----------------------------------------------------------------------------------


def test_the_wires_names_are_understood_and_the_context_defaults_to_all() -> None:
    config = NetlifyConfig.model_validate(
        {"accountId": "acc-1", "accountName": "Demo team", "siteId": "site-shop", "siteName": "shop"}
    )

    assert config == NetlifyConfig(
        account_id="acc-1", account_name="Demo team", site_id="site-shop", site_name="shop", context="all"
    )


def test_an_unknown_context_is_refused_with_the_list_of_the_known() -> None:
    with pytest.raises(ValidationError) as caught:
        NetlifyConfig.model_validate({"accountId": "acc-1", "context": "local"})

    message = str(caught.value)
    known = ("all", "deploy-preview", "production", "branch-deploy", "dev", "branch")
    assert [each for each in known if f"'{each}'" not in message] == []


@pytest.mark.parametrize(
    "part",
    [
        {"context": "branch"},
        {"context": "production", "contextParameter": "staging"},
        {"contextParameter": "staging"},
        {"context": "all", "isSecret": True},
        {"context": "dev", "isSecret": True},
        {"isSecret": True},
        {"siteId": ""},
        {"siteName": "x" * 256},
        {"accountId": ""},
        {"site": "site-shop"},
    ],
    ids=str,
)
def test_a_configuration_that_means_no_place_is_refused(part: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        NetlifyConfig.model_validate({"accountId": "acc-1", **part})


@pytest.mark.parametrize(
    "part",
    [{"site_id": "site-blog"}, {"site_id": None}, {"context": "dev"}, {"context_parameter": "main"}],
    ids=str,
)
def test_another_site_context_or_branch_is_another_place(part: dict[str, Any]) -> None:
    assert ON_STAGING.model_copy(update=part).identity() != ON_STAGING.identity()


def test_a_site_is_one_place_however_its_account_is_named() -> None:
    by_slug = IN_PRODUCTION.model_copy(update={"account_id": "demo-team"})

    assert by_slug.identity() == IN_PRODUCTION.identity()
    assert by_slug.collides(IN_PRODUCTION)


def test_the_shared_variables_of_two_accounts_are_two_places() -> None:
    other = TEAM_WIDE.model_copy(update={"account_id": "acc-2"})

    assert other.identity() != TEAM_WIDE.identity()
    assert not other.collides(TEAM_WIDE)


@pytest.mark.parametrize("site", ["shop.netlify.app", "www.example.com"])
def test_a_site_that_is_named_by_its_domain_is_refused(site: str) -> None:
    with pytest.raises(ValidationError, match=r"siteId\n.*give the site's id, not its domain"):
        NetlifyConfig.model_validate({"accountId": "acc-1", "siteId": site})


def test_a_secret_lies_in_the_same_place_as_a_readable_value() -> None:
    assert AS_SECRET.identity() == IN_PRODUCTION.identity()


@pytest.mark.parametrize("text", ["", "x" * 256])
def test_a_token_has_1_to_255_characters(text: str) -> None:
    with pytest.raises(ValidationError):
        NetlifyToken(access_token=SecretStr(text))


# --- the emulator behaves like the service --------------------------------------------------------------

ENV = "/accounts/acc-1/env"


def readable(key: str, **more: Any) -> dict[str, Any]:
    return {"key": key, "values": [{"context": "production", "value": "first"}], **more}


def test_the_emulator_creates_all_keys_of_a_request_or_none(api: httpx.Client, fake: FakeNetlify) -> None:
    fake.put(PRODUCTION, {"ONE": "first"})

    answer = api.post(f"{ENV}?site_id=site-shop", json=[readable("NEW"), readable("ONE")])

    assert answer.status_code == 422
    assert fake.places()[PRODUCTION] == {"ONE": "first"}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (readable("ONE", scopes=["builds"]), 403),
        (readable("ONE", is_secret=True), 422),
        (readable("ONE", is_secret=True, scopes=["builds", "post_processing"]), 422),
        (readable("ONE", is_secret=True, scopes=["builds", "functions", "runtime"]), 201),
        (readable("ONE"), 201),
    ],
    ids=["scopes", "secret", "secret for post-processing", "secret with scopes", "readable"],
)
def test_the_emulator_sells_scopes_except_for_secrets(
    api: httpx.Client, fake: FakeNetlify, body: dict[str, Any], status: int
) -> None:
    answer = api.post(f"{ENV}?site_id=site-shop", json=[body])
    fake.violations.clear()  # the schema spells post_processing with a dash

    assert answer.status_code == status


def test_the_emulator_patches_only_what_exists(api: httpx.Client) -> None:
    answer = api.patch(f"{ENV}/ONE?site_id=site-shop", json={"context": "production", "value": "first"})

    assert answer.status_code == 404


def test_the_emulator_replaces_a_variable_with_all_its_contexts(api: httpx.Client, fake: FakeNetlify) -> None:
    fake.put(f"{SITE}/dev", {"ONE": "local"})

    answer = api.put(f"{ENV}/ONE?site_id=site-shop", json=readable("ONE"))

    assert answer.status_code == 200
    assert fake.places()[f"{SITE}/dev"] == {}
    assert fake.places()[PRODUCTION] == {"ONE": "first"}


def test_the_emulator_means_the_team_where_no_site_is_named(api: httpx.Client, fake: FakeNetlify) -> None:
    answer = api.post(ENV, json=[readable("ONE")])

    assert answer.status_code == 201
    assert fake.places()[f"{TEAM}/production"] == {"ONE": "first"}
    assert fake.places()[PRODUCTION] == {}


def test_the_emulator_answers_an_unknown_path_without_json(api: httpx.Client, fake: FakeNetlify) -> None:
    answer = api.get("/elsewhere")
    fake.violations.clear()

    assert (answer.status_code, answer.text) == (404, "Not Found")
    assert answer.headers["Content-Type"] == "text/plain"


def test_the_emulator_shows_secrets_blank(api: httpx.Client, fake: FakeNetlify) -> None:
    fake.put(PRODUCTION, {"ONE": "hidden"}, is_secret=True)

    one = api.get(f"{ENV}/ONE?site_id=site-shop").json()

    assert [value["value"] for value in one["values"]] == [""]


# --- whatever else is there -----------------------------------------------------------------------------

KEYS = st.sampled_from(["ONE", "TWO", "THREE", "FOUR"])
VALUES = st.sampled_from(["", "first", "second"])
LABELS = ["all", "dev", "dev-server", "branch-deploy", "deploy-preview", "production", "branch:a", "branch:b"]
OWNERS = ["acc-1/site-shop", "acc-1/site-blog", "acc-1/team"]
#: A variable: whose, its key, is it a secret, its values by context.
VARIABLES = st.tuples(
    st.sampled_from(OWNERS), KEYS, st.booleans(), st.dictionaries(st.sampled_from(LABELS), VALUES)
)
PLACES = st.tuples(
    st.sampled_from(OWNERS), st.sampled_from([each for each in LABELS if "server" not in each])
)


def config_of(owner: str, label: str, *, is_secret: bool) -> NetlifyConfig:
    context, _, branch = label.partition(":")
    site = owner.split("/")[1]
    return NetlifyConfig.model_validate(
        {
            "accountId": "acc-1",
            "siteId": None if site == "team" else site,
            "context": context,
            "contextParameter": branch or None,
            "isSecret": is_secret and context not in {"all", "dev"},
        }
    )


@settings(max_examples=150)
@given(
    inventory=st.lists(VARIABLES, max_size=8),
    place=PLACES,
    is_secret=st.booleans(),
    targets=st.lists(st.dictionaries(KEYS, VALUES), min_size=1, max_size=3),
)
def test_what_is_not_ours_is_the_same_after_every_run(
    inventory: list[tuple[str, str, bool, Mapping[str, str]]],
    place: tuple[str, str],
    is_secret: bool,
    targets: list[Mapping[str, str]],
) -> None:
    fake = FakeNetlify.with_demo()
    for owner, key, secret, values in inventory:
        for label, value in values.items():
            fake.put(f"{owner}/{label}", {key: value}, is_secret=secret and "all" not in values)
    where = "/".join(place)
    before = fake.rest(where)
    # All that is there is ours: sealed values of others are left alone, which is proved elsewhere.
    ledger = Ledger({key: Written(key, None, 0, None) for key in fake.places().get(where, {})})

    with httpx.Client(transport=InProcess(fake)) as http:
        provider = NetlifyProvider(Access("access-token", TOKEN, http, "http://netlify.test"))
        destination = provider.destination(config_of(*place, is_secret=is_secret))
        for target in targets:
            refused = synchronise(destination, target, ledger).refused
            assert fake.rest(where) == before
            assert_holds(fake.places().get(where, {}), target, but_for=refused)

            fake.forget_calls()
            assert synchronise(destination, target, ledger).refused.keys() == refused.keys()
            assert refused or fake.writes == []
    assert fake.violations == []


def assert_holds(held: Mapping[str, str], target: Mapping[str, str], *, but_for: Mapping[str, str]) -> None:
    """Assert that a place holds *target* and nothing else, refused keys aside."""
    assert {key: value for key, value in held.items() if key not in but_for} == {
        key: value for key, value in target.items() if key not in but_for
    }
