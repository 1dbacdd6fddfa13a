"""Fly.io keeps the contract, and its oddities do no harm."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from pydantic import SecretStr, ValidationError

from shared.errors import (
    AccessDenied,
    CredentialsRejected,
    LeaseLost,
    RateLimited,
    RequestRejected,
    Unavailable,
    UnexpectedAnswer,
)
from shared.plan import Delete, Remote
from shared.providers.base import Access, Destination
from shared.providers.flyio import FlyioConfig, FlyioProvider, FlyioToken
from tests.fakes.flyio import FakeFlyio, Token
from tests.fakes.service import Fail, FakeServer, Reply, Request, Response
from tests.shared.providers.contract import (
    CallLimits,
    Ledger,
    ProviderContract,
    Scene,
    create,
    delete,
    loopback_client,
    synchronise,
)

SHOP = FlyioConfig(app_id="shop", app_name="Shop")
HOUR = 3600.0


def token(text: str) -> FlyioToken:
    return FlyioToken(access_token=SecretStr(text))


def new_fake() -> FakeFlyio:
    fake = FakeFlyio.with_demo()
    for place in ("shop-worker", "blog"):
        fake.seed(place, {"SHARED_NAME": f"of {place}"})
    return fake


class FlyioContract(ProviderContract):
    provider_type = FlyioProvider
    call_limits = CallLimits(
        first_sync=2, nothing_changed=1, one_changed=2, all_changed=2, one_removed=2, all_removed=2
    )


class TestFlyio(FlyioContract):
    @pytest.fixture
    def scene(self) -> Scene:
        return Scene(
            fake=new_fake(),
            place="shop",
            config=SHOP,
            missing=FlyioConfig(app_id="gone"),
            method="access-token",
            credentials=token("FlyV1 fm2_demo-org"),
            wrong_credentials=token("FlyV1 fm2_wrong"),
        )


class TestFlyioWhereReadsLagBehindWrites(FlyioContract):
    @pytest.fixture
    def scene(self) -> Scene:
        fake = new_fake()
        fake.lag = HOUR
        return Scene(
            fake=fake,
            place="shop",
            config=SHOP,
            missing=FlyioConfig(app_id="gone"),
            method="access-token",
            credentials=token("fm2_demo-org"),
            wrong_credentials=token("fm2_wrong"),
        )


# --- the oddities ---------------------------------------------------------------------------------------


@pytest.fixture
def fake() -> Iterator[FakeFlyio]:
    service = new_fake()
    yield service
    assert service.violations == []


@pytest.fixture
def access(fake: FakeFlyio) -> Iterator[Access]:
    with FakeServer(fake) as server, loopback_client() as http:
        yield Access("access-token", token("FlyV1 fm2_demo-org"), http, server.address)


@pytest.fixture
def destination(access: Access) -> Destination:
    return FlyioProvider(access).destination(SHOP)


@pytest.fixture
def using(access: Access) -> Callable[[str], FlyioProvider]:
    """Return a function that makes the provider with another token."""
    return lambda text: FlyioProvider(replace(access, credentials=token(text)))


def is_wait(request: Request) -> bool:
    return request.path.endswith("/wait")


def test_values_are_never_shown_so_none_is_read(destination: Destination, fake: FakeFlyio) -> None:
    fake.seed("shop", {"ONE": "by hand"})

    remote = destination.pull().remotes["ONE"]

    assert remote.value is None
    assert remote.stamp


def test_an_app_without_a_list_of_secrets_is_an_error_and_never_empty(
    destination: Destination, fake: FakeFlyio
) -> None:
    fake.fail_next(Reply(Response(200, {"error": "odd"})))

    with pytest.raises(UnexpectedAnswer):
        destination.pull()


@pytest.mark.parametrize("body", [None, [], "text"])
def test_an_answer_that_is_no_object_is_an_error(
    destination: Destination, fake: FakeFlyio, body: object
) -> None:
    fake.fail_next(Reply(Response(200, body)))

    with pytest.raises(UnexpectedAnswer):
        destination.pull()


def test_an_app_without_secrets_may_say_null(destination: Destination, fake: FakeFlyio) -> None:
    fake.fail_next(Reply(Response(200, {"secrets": None})))

    assert destination.pull().remotes == {}


def test_a_removal_is_one_call_that_sets_null(destination: Destination, fake: FakeFlyio) -> None:
    fake.seed("shop", {"ONE": "1", "TWO": "2", "THREE": "3"})

    destination.push([Delete(key, Remote(key, None)) for key in ("ONE", "TWO")])

    assert [call.body for call in fake.writes] == [{"values": {"ONE": None, "TWO": None}}]
    assert fake.places()["shop"] == {"THREE": "3"}


def test_the_version_alone_confirms_a_removal(destination: Destination, fake: FakeFlyio) -> None:
    fake.fail_next(Reply(Response(200, {"version": 7})))

    assert destination.push([Delete("ONE", Remote("ONE", None))]).stamps == {"ONE": None}


def test_a_write_whose_answer_tells_nothing_is_no_success(destination: Destination, fake: FakeFlyio) -> None:
    fake.fail_next(Reply(Response(200, {})))

    with pytest.raises(UnexpectedAnswer):
        destination.push([Delete("ONE", Remote("ONE", None))])


def test_a_read_after_a_write_asks_for_its_version_by_both_names(
    destination: Destination, fake: FakeFlyio
) -> None:
    destination.push([create("ONE", "1")])

    destination.pull()

    assert dict(fake.reads[-1].query) == {"min_version": "1", "version": "1"}


def test_a_read_before_any_write_asks_for_no_version(destination: Destination, fake: FakeFlyio) -> None:
    destination.pull()

    assert fake.reads[-1].query == ()


def test_where_the_answer_to_a_write_lists_nothing_the_stamps_are_read(
    destination: Destination, fake: FakeFlyio
) -> None:
    fake.lists_written = False
    fake.lag = HOUR
    ledger: Ledger = {}

    synchronise(destination, {"ONE": "1"}, ledger)
    again = synchronise(destination, {"ONE": "1"}, ledger)

    assert ledger["ONE"].stamp is not None
    assert again.plan.is_empty


def test_a_secret_that_is_not_listed_after_its_write_is_not_taken_for_written(
    destination: Destination, fake: FakeFlyio
) -> None:
    fake.lists_written = False
    fake.fail_next(Reply(Response(200, {"secrets": []})), where=lambda request: request.method == "GET")

    with pytest.raises(Unavailable, match="ONE, TWO"):
        destination.push([create("TWO", "2"), create("ONE", "1")])


def test_a_secret_that_is_listed_late_is_set_once_more_and_then_confirmed(
    destination: Destination, fake: FakeFlyio
) -> None:
    fake.lists_written = False
    ledger: Ledger = {}
    fake.fail_next(Reply(Response(200, {"secrets": []})), times=2, where=lambda call: call.method == "GET")
    with pytest.raises(Unavailable):
        synchronise(destination, {"ONE": "1"}, ledger)

    synchronise(destination, {"ONE": "1"}, ledger)

    assert ledger["ONE"].stamp is not None
    assert len(fake.writes) == 2


def test_a_rate_limit_without_a_word_about_it_lasts_the_documented_second(
    destination: Destination, fake: FakeFlyio
) -> None:
    fake.fail_next(Fail(429))

    with pytest.raises(RateLimited) as caught:
        destination.pull()

    assert caught.value.retry_after == 1.0


def test_an_app_of_another_organisation_is_denied(access: Access) -> None:
    with pytest.raises(AccessDenied):
        FlyioProvider(access).destination(FlyioConfig(app_id="blog")).pull()


def test_the_code_word_of_an_error_is_kept_and_its_text_is_not(
    destination: Destination, fake: FakeFlyio
) -> None:
    body = {"error": "no room for FlyV1 fm2_demo-org", "status": "insufficient_capacity"}
    fake.fail_next(Reply(Response(422, body)))

    with pytest.raises(Unavailable) as caught:
        destination.pull()

    assert caught.value.code == "insufficient_capacity"
    assert "no room" not in caught.value.message


@pytest.mark.parametrize("name", ["1ST", "WITH-DASH", "WITH SPACE", "", "LINE\n", "ÜBER"])
def test_a_name_that_is_no_environment_variable_is_refused(destination: Destination, name: str) -> None:
    assert destination.refuses(name)
    assert destination.refuses("_Name_2") is None


@pytest.mark.parametrize("app", ["", "..", "shop/../blog", "shop?x=1", "a b", "a" * 256])
def test_a_name_that_no_app_can_have_is_refused(app: str) -> None:
    with pytest.raises(ValidationError):
        FlyioConfig(app_id=app)


# --- tokens ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["fm2_demo-org", "FlyV1 fm2_demo-org", "Bearer fm2_demo-org", " flyv1  fm2_demo-org\n"]
)
def test_a_token_works_with_any_scheme_in_front_and_with_none(
    using: Callable[[str], FlyioProvider], text: str
) -> None:
    assert using(text).whoami().name == "Acme Inc"


def test_a_token_of_several_parts_names_all_its_organisations(
    using: Callable[[str], FlyioProvider],
) -> None:
    provider = using("FlyV1 fm2_demo-first, fm2_demo-second")

    assert provider.whoami().name == "Acme Inc, Demo Person"
    assert [project.name for project in provider.projects()] == ["shop", "shop-worker", "blog"]


def test_a_deploy_token_lists_its_own_app(using: Callable[[str], FlyioProvider]) -> None:
    projects = using("FlyV1 fm2_demo-deploy").projects()

    assert [(each.id, each.team_id, each.team_name) for each in projects] == [("shop", "acme", "Acme Inc")]


def test_an_old_personal_token_is_sent_as_a_bearer(using: Callable[[str], FlyioProvider]) -> None:
    provider = using("demo-old-personal")

    assert provider.whoami().id.startswith("personal:")
    assert [project.id for project in provider.projects()] == ["blog"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Token(("acme",), app="shop"), Token(("acme",), app="shop-worker")),
        (Token(("acme",), app="shop"), Token(("acme",))),
        (Token(("personal",), user="ada"), Token(("personal",), user="bob")),
        (Token(("personal",), is_macaroon=False), Token(("personal",), is_macaroon=False)),
        (Token(("acme", "personal")), Token(("acme",))),
    ],
)
def test_tokens_that_open_different_things_belong_to_different_accounts(
    using: Callable[[str], FlyioProvider], fake: FakeFlyio, one: Token, other: Token
) -> None:
    texts = [f"fm2_{name}" if one.is_macaroon else name for name in ("one", "other")]
    fake.tokens |= dict(zip(texts, (one, other), strict=True))

    first, second = (using(text).whoami() for text in texts)

    assert first.id != second.id
    assert texts[0] not in first.id


@pytest.mark.parametrize(
    "kind",
    [
        Token(("acme",)),
        Token(("acme",), app="shop"),
        Token(("personal",), user="ada"),
        Token(("acme", "personal"), user="ada"),
    ],
)
def test_a_new_token_for_the_same_things_belongs_to_the_same_account(
    using: Callable[[str], FlyioProvider], fake: FakeFlyio, kind: Token
) -> None:
    fake.tokens |= {"fm2_old": kind, "fm2_new": replace(kind, orgs=kind.orgs[::-1])}

    assert using("fm2_old").whoami().id == using("fm2_new").whoami().id


def test_an_account_of_many_organisations_keeps_its_id_short(
    using: Callable[[str], FlyioProvider], fake: FakeFlyio
) -> None:
    names = tuple(f"organisation-number-{number}" for number in range(15))
    fake.orgs |= {name: name.title() for name in names}
    fake.tokens |= {"fm2_many": Token(names), "fm2_fewer": Token(names[:-1])}

    many, fewer = (using(text).whoami().id for text in ("fm2_many", "fm2_fewer"))

    assert len(many) <= 255
    assert many != fewer


def test_a_deploy_token_is_named_after_its_app(using: Callable[[str], FlyioProvider]) -> None:
    assert using("FlyV1 fm2_demo-deploy").whoami().name == "Acme Inc (shop)"


def test_a_token_that_opens_no_organisation_is_rejected(access: Access, fake: FakeFlyio) -> None:
    fake.fail_next(Reply(Response(200, {"tokens": []})))

    with pytest.raises(CredentialsRejected):
        FlyioProvider(access).whoami()


# --- restarts -------------------------------------------------------------------------------------------


def test_a_push_restarts_nothing(destination: Destination, fake: FakeFlyio) -> None:
    synchronise(destination, {"ONE": "1", "TWO": "2"})
    synchronise(destination, {"ONE": "changed"})

    assert fake.apps["shop"].machines["d891234a"].starts == 0


def test_a_redeploy_starts_each_running_machine_once_with_the_new_values(
    destination: Destination, fake: FakeFlyio
) -> None:
    fake.lag = HOUR
    second = fake.add_machine("shop", "second")
    destination.push([create("ONE", "1")])

    destination.redeploy()

    first = fake.apps["shop"].machines["d891234a"]
    assert [machine.starts for machine in (first, second)] == [1, 1]
    assert [machine.environment for machine in (first, second)] == [{"ONE": "1"}, {"ONE": "1"}]


def test_a_redeploy_sends_the_machine_its_own_configuration(
    destination: Destination, fake: FakeFlyio
) -> None:
    machine = fake.apps["shop"].machines["d891234a"]
    seen = machine.instance_id
    destination.push([create("ONE", "1")])

    destination.redeploy()

    update = fake.writes[-1].body
    assert update == {"config": machine.config, "current_version": seen, "min_secrets_version": 1}


def test_a_redeploy_in_a_later_run_asks_for_the_version_and_changes_no_secret(
    destination: Destination, access: Access, fake: FakeFlyio
) -> None:
    fake.lag = HOUR
    destination.push([create("ONE", "1")])

    FlyioProvider(access).destination(SHOP).redeploy()

    assert fake.apps["shop"].machines["d891234a"].environment == {"ONE": "1"}
    assert fake.places()["shop"] == {"ONE": "1"}


@pytest.mark.parametrize(("state", "group"), [("stopped", "app"), ("started", "fly_app_release_command")])
def test_a_redeploy_leaves_a_machine_alone_that_is_not_the_running_app(
    destination: Destination, fake: FakeFlyio, state: str, group: str
) -> None:
    machine = fake.apps["shop"].machines["d891234a"]
    machine.state, machine.group = state, group

    destination.redeploy()

    assert machine.starts == 0
    assert fake.writes == []


def test_a_redeploy_of_an_app_without_machines_does_nothing(
    destination: Destination, fake: FakeFlyio
) -> None:
    fake.apps["shop"].machines.clear()

    destination.redeploy()

    assert fake.writes == []


def test_a_machine_that_somebody_changes_meanwhile_is_tried_again_later(
    destination: Destination, fake: FakeFlyio
) -> None:
    fake.fail_next(Fail(412), where=lambda request: "/machines/" in request.path)

    with pytest.raises(Unavailable):
        destination.redeploy()


def test_a_slow_start_is_waited_for(destination: Destination, fake: FakeFlyio) -> None:
    fake.fail_next(Fail(408), times=2, where=is_wait)

    destination.redeploy()

    assert [call.status for call in fake.calls if call.path.endswith("/wait")] == [408, 408, 200]


def test_a_start_that_takes_too_long_is_tried_again_later(destination: Destination, fake: FakeFlyio) -> None:
    fake.fail_next(Fail(408), times=3, where=is_wait)

    with pytest.raises(Unavailable):
        destination.redeploy()


def test_a_machine_that_fails_with_the_new_values_is_named_and_the_next_is_left_running(
    destination: Destination, fake: FakeFlyio
) -> None:
    fake.apps["shop"].machines["d891234a"].breaks = True
    second = fake.add_machine("shop", "second")

    with pytest.raises(RequestRejected, match="d891234a failed to start"):
        destination.redeploy()

    assert second.starts == 0


def test_a_machine_whose_host_is_not_reached_is_tried_again_later(
    destination: Destination, fake: FakeFlyio
) -> None:
    fake.apps["shop"].machines["d891234a"].lost = True

    with pytest.raises(Unavailable, match="d891234a"):
        destination.redeploy()


def test_a_lost_lease_stops_between_two_machines(access: Access, fake: FakeFlyio) -> None:
    second = fake.add_machine("shop", "second")

    def lost_after_the_first() -> None:
        if fake.apps["shop"].machines["d891234a"].starts:
            raise LeaseLost

    with pytest.raises(LeaseLost):
        FlyioProvider(replace(access, before_call=lost_after_the_first)).destination(SHOP).redeploy()

    assert second.starts == 0


def test_deletes_and_writes_of_a_run_keep_the_version_of_the_last_write(
    destination: Destination, fake: FakeFlyio
) -> None:
    fake.lag = HOUR
    destination.push([create("ONE", "1"), create("TWO", "2")])
    destination.push(delete(destination, "TWO"))

    destination.redeploy()

    assert fake.apps["shop"].machines["d891234a"].environment == {"ONE": "1"}
