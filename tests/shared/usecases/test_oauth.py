"""Connecting with a browser, whoever comes back, once or again."""

from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import SecretStr
from sqlalchemy import delete, select

from shared.broker import Task
from shared.crypto import hash_token
from shared.db.connections import Connection, ConnectionStatus
from shared.db.models import Base
from shared.db.oauth_states import OAuthState
from shared.db.tokens import ApiToken
from shared.errors import Forbidden, InvalidInput, NotFound
from shared.runtime import Runtime
from shared.usecases.connections import (
    check_connection,
    get_connection,
    list_connections,
    list_projects,
    update_connection,
)
from shared.usecases.credentials import open_provider
from shared.usecases.oauth import begin, complete, is_offered
from shared.usecases.projects import create_project
from shared.usecases.prune import prune
from shared.usecases.tokens import Caller
from tests.fakes.netlify import FakeNetlify
from tests.fakes.oauth import CLIENT_SECRET
from tests.fakes.service import Fail
from tests.fakes.vercel import FakeVercel
from tests.shared.usecases.signing_in import HOUR, connect, token_of, use, visit
from tests.shared.usecases.world import at_once
from tests.support import ManualClock, RecordingBroker, is_sqlite


def configured(runtime: Runtime, **settings: object) -> Runtime:
    return replace(runtime, settings=runtime.settings.model_copy(update=settings))


def stored(runtime: Runtime) -> str:
    """Return all that the database holds, as text."""
    with runtime.database.snapshot() as session:
        rows = [session.execute(select(table)).all() for table in Base.metadata.sorted_tables]
    return repr(rows)


# --- going there ---------------------------------------------------------------------------------------


def test_the_provider_sends_browsers_back_to_the_public_address(here: Runtime, caller: Caller) -> None:
    public = configured(here, public_url="https://keytide.example.com/")

    url = begin(public, "netlify", caller).url

    asked = parse_qs(urlsplit(url).query)
    assert url.startswith("http://netlify.test/authorize?")
    assert asked["redirect_uri"] == ["https://keytide.example.com/v1/integrations/netlify/callback"]


def test_without_a_public_address_browsers_come_back_to_the_loopback(here: Runtime, caller: Caller) -> None:
    url = begin(configured(here, host="::1", port=8300), "netlify", caller).url

    asked = parse_qs(urlsplit(url).query)
    assert asked["redirect_uri"] == ["http://[::1]:8300/v1/integrations/netlify/callback"]


def test_a_server_for_others_has_to_know_its_public_address(here: Runtime, caller: Caller) -> None:
    with pytest.raises(InvalidInput, match="KEYTIDE_PUBLIC_URL"):
        begin(configured(here, host="0.0.0.0"), "netlify", caller)


def test_a_provider_without_a_registration_is_not_offered(runtime: Runtime, caller: Caller) -> None:
    assert not is_offered(runtime, "vercel")
    with pytest.raises(InvalidInput, match="KEYTIDE_VERCEL_CLIENT_ID"):
        begin(runtime, "vercel", caller)


def test_vercel_is_offered_only_with_the_name_of_its_integration(here: Runtime) -> None:
    assert is_offered(here, "vercel")
    assert not is_offered(configured(here, vercel_integration_slug=""), "vercel")


def test_a_provider_that_takes_tokens_only_says_so(here: Runtime, caller: Caller) -> None:
    assert not is_offered(here, "railway")
    with pytest.raises(InvalidInput, match="Railway is not connected with a browser"):
        begin(here, "railway", caller)


def test_an_unknown_provider_is_not_found(here: Runtime, caller: Caller) -> None:
    with pytest.raises(NotFound):
        begin(here, "nowhere", caller)


@pytest.mark.parametrize(
    "redirect_uri",
    [
        "https://evil.example",
        "http://keytide.example.com/",
        "https://keytide.example.com:8443/",
        "https://keytide.example.com.evil.example/",
        "http://localhost.evil.example/",
        "http://localhost:1@evil.example/",
        "http://evil.example\\@localhost/",
        "http://evil.example#@localhost/",
        "http://loc\talhost/",
        "http://localhost\r\nSet-Cookie:a=b",
        "//localhost/",
        "javascript:alert(1)",
        "http://localhost/" + "x" * 2048,
        "",
    ],
)
def test_a_browser_is_not_sent_elsewhere_afterwards(here: Runtime, caller: Caller, redirect_uri: str) -> None:
    public = configured(here, public_url="https://keytide.example.com")

    with pytest.raises(Forbidden, match="redirect_uri"):
        begin(public, "netlify", caller, redirect_uri=redirect_uri)


@pytest.mark.parametrize(
    "redirect_uri",
    [
        "https://keytide.example.com/done?a=b",
        "https://KEYTIDE.example.com:443",
        "http://localhost:5173/",
        "http://127.0.0.1:3000/x#y",
        "http://[::1]:3000/",
    ],
)
def test_a_browser_may_return_to_us_or_to_its_own_machine(
    here: Runtime, caller: Caller, redirect_uri: str
) -> None:
    public = configured(
        here,
        public_url="https://keytide.example.com",
        netlify_site_url="http://netlify.test",
    )
    back = visit(public, begin(public, "netlify", caller, redirect_uri=redirect_uri))

    done = complete(public, "netlify", code=back.code, state=back.state, browser_nonce=back.nonce)

    assert done.redirect_uri == redirect_uri


# --- coming back ---------------------------------------------------------------------------------------


def test_coming_back_gives_a_connection_that_works(here: Runtime, caller: Caller) -> None:
    connection = connect(here, caller)

    assert (connection.method, connection.account_id) == ("oauth", "user-1")
    assert connection.status == ConnectionStatus.CONNECTED
    assert connection.name == "netlify-demo-person"
    assert [each.name for each in list_projects(here, "netlify", connection.id)] == ["shop", "blog"]


def test_a_team_that_installed_the_integration_is_remembered(
    here: Runtime, caller: Caller, vercel: FakeVercel
) -> None:
    vercel.oauth.extra = {"team_id": "team_1", "installation_id": "icfg_ours"}

    connection = connect(here, caller, "vercel")

    assert (connection.account_id, connection.team_id) == ("usr_1", "team_1")
    assert [each.id for each in list_projects(here, "vercel", connection.id)] == ["prj_1"]


def test_a_connection_belongs_to_the_project_it_was_begun_for(here: Runtime, caller: Caller) -> None:
    project = create_project(here, "Shop").project

    connection = connect(here, caller, project_id=project.id)

    assert connection.project_id == project.id


def test_a_state_serves_once(here: Runtime, caller: Caller, netlify: FakeNetlify) -> None:
    back = visit(here, begin(here, "netlify", caller))
    back.to(here)
    exchanges = netlify.oauth.exchanges

    with pytest.raises(InvalidInput, match="Start again"):
        back.to(here)

    assert netlify.oauth.exchanges == exchanges
    assert len(list_connections(here)) == 1


def test_another_browser_is_refused_and_the_right_one_can_still_finish(here: Runtime, caller: Caller) -> None:
    back = visit(here, begin(here, "netlify", caller))
    stranger = begin(here, "netlify", caller).browser_nonce.get_secret_value()

    for nonce in (stranger, ""):
        with pytest.raises(InvalidInput, match="another browser"):
            replace(back, nonce=nonce).to(here)

    assert back.to(here).app == "netlify"


def test_a_state_of_another_provider_is_refused(here: Runtime, caller: Caller, vercel: FakeVercel) -> None:
    back = visit(here, begin(here, "netlify", caller))

    with pytest.raises(InvalidInput, match="Start again"):
        back.to(here, "vercel")

    assert vercel.oauth.exchanges == 0


def test_after_ten_minutes_a_state_is_refused(here: Runtime, caller: Caller, clock: ManualClock) -> None:
    back = visit(here, begin(here, "netlify", caller))
    clock.advance(seconds=600)

    with pytest.raises(InvalidInput, match="ten minutes"):
        back.to(here)


def test_a_state_just_before_its_end_is_good(here: Runtime, caller: Caller, clock: ManualClock) -> None:
    back = visit(here, begin(here, "netlify", caller))
    clock.advance(seconds=599)

    assert back.to(here).app == "netlify"


def test_a_state_ends_with_the_token_of_whoever_began(here: Runtime, caller: Caller) -> None:
    back = visit(here, begin(here, "netlify", caller))
    with here.database.transaction() as session:
        session.execute(delete(ApiToken).where(ApiToken.id == caller.token_id))

    with pytest.raises(InvalidInput, match="Start again"):
        back.to(here)


def test_states_that_nobody_came_back_with_are_pruned(
    here: Runtime, caller: Caller, clock: ManualClock
) -> None:
    begin(here, "netlify", caller)
    clock.advance(seconds=300)
    fresh = visit(here, begin(here, "netlify", caller))
    clock.advance(seconds=300)

    prune(here)

    with here.database.snapshot() as session:
        assert session.scalars(select(OAuthState.hash)).all() == [hash_token(fresh.state)]


def test_what_the_provider_says_about_an_error_is_not_repeated(here: Runtime, caller: Caller) -> None:
    back = visit(here, begin(here, "netlify", caller))
    wrong = replace(back, code=SecretStr("plain-text-of-a-code"))

    with pytest.raises(InvalidInput) as caught:
        wrong.to(here)

    assert "Netlify did not accept this sign-in" in caught.value.message
    for hidden in ("script", "plain-text-of-a-code", CLIENT_SECRET):
        assert hidden not in caught.value.message
    assert list_connections(here) == []


def test_a_token_that_the_provider_does_not_accept_is_not_saved(
    here: Runtime, caller: Caller, netlify: FakeNetlify
) -> None:
    back = visit(here, begin(here, "netlify", caller))
    netlify.fail_next(Fail(401), where=lambda request: request.path.endswith("/user"))

    with pytest.raises(InvalidInput, match="was not saved"):
        back.to(here)

    assert list_connections(here) == []


def test_of_two_who_come_back_with_one_state_one_connects(
    here: Runtime, caller: Caller, netlify: FakeNetlify
) -> None:
    back = visit(here, begin(here, "netlify", caller))

    results = at_once(2, lambda: back.to(here))

    assert sorted(type(each).__name__ for each in results) == ["Connection", "InvalidInput"]
    assert len(list_connections(here)) == 1
    assert netlify.oauth.exchanges == 1


def test_one_account_that_comes_back_twice_at_once_gives_one_connection(
    here: Runtime, caller: Caller
) -> None:
    waiting = [visit(here, begin(here, "netlify", caller)) for _ in range(4)]

    results = at_once(4, lambda: waiting.pop().to(here))

    rows = list_connections(here)
    assert {each.id for each in results if isinstance(each, Connection)} == {rows[0].id}
    assert len(results) == 4
    assert len(rows) == 1


# --- again ---------------------------------------------------------------------------------------------


def test_connecting_again_renews_the_connection_in_place(
    here: Runtime, caller: Caller, clock: ManualClock
) -> None:
    first = connect(here, caller)
    clock.advance(seconds=60)

    second = connect(here, caller)

    assert [row.id for row in list_connections(here)] == [first.id]
    assert second.connected_at == clock.now
    assert (second.created_at, second.version) == (first.created_at, first.version + 1)
    assert token_of(here, second) != token_of(here, first)


def test_connecting_again_repairs_a_failed_connection(
    here: Runtime, caller: Caller, netlify: FakeNetlify
) -> None:
    connection = connect(here, caller)
    netlify.tokens.clear()
    check_connection(here, "netlify", connection.id)

    again = connect(here, caller)

    assert (again.id, again.status, again.last_error) == (connection.id, "connected", None)


def test_connecting_again_runs_the_syncs_of_the_connection(
    here: Runtime, caller: Caller, broker: RecordingBroker
) -> None:
    connection = connect(here, caller)
    use(here, connection)
    broker.sent.clear()

    connect(here, caller)

    assert broker.tasks() == [Task.RUN_JOB]


def test_another_project_does_not_take_over_a_connection(here: Runtime, caller: Caller) -> None:
    shop, blog = (create_project(here, name).project.id for name in ("Shop", "Blog"))

    first = connect(here, caller, project_id=shop)
    second = connect(here, caller, project_id=blog)

    assert first.id != second.id
    assert {row.name for row in list_connections(here)} == {"netlify-demo-person", "netlify-demo-person-2"}


def test_an_account_whose_connection_was_given_to_another_one_gets_its_own(
    here: Runtime, caller: Caller, netlify: FakeNetlify
) -> None:
    first = connect(here, caller)
    netlify.tokens["somebody-elses-token"] = "user-2"
    given = {"accessToken": "somebody-elses-token"}
    update_connection(here, "netlify", first.id, credentials=given)

    second = connect(here, caller)

    assert second.id != first.id
    assert token_of(here, get_connection(here, "netlify", first.id)) == "somebody-elses-token"


def test_each_team_of_an_account_is_a_connection(here: Runtime, caller: Caller, vercel: FakeVercel) -> None:
    personal = connect(here, caller, "vercel")
    vercel.oauth.extra = {"team_id": "team_1", "installation_id": "icfg_other"}

    team = connect(here, caller, "vercel")

    assert team.id != personal.id
    assert team.name == "vercel-demo-team-1"
    assert connect(here, caller, "vercel").id == team.id


# --- what is kept, and what is told --------------------------------------------------------------------


def test_no_token_code_or_nonce_is_stored_or_logged_in_clear(
    here: Runtime,
    caller: Caller,
    netlify: FakeNetlify,
    clock: ManualClock,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG")
    netlify.oauth.lifetime = HOUR
    begun = begin(here, "netlify", caller)
    back = visit(here, begun)
    caplog.clear()  # what the browser did is its own business
    held_meanwhile = stored(here)
    connection = back.to(here)
    clock.advance(seconds=HOUR - 1)
    open_provider(here, connection)
    shown = capsys.readouterr()

    everything = f"{held_meanwhile} {stored(here)} {shown.out} {shown.err} {caplog.text} {begun!r}"
    for hidden in ("emulated-", CLIENT_SECRET, back.state, back.nonce):
        assert hidden not in everything
    if is_sqlite(here.database):
        files = b"".join(file.read_bytes() for file in here.settings.data_dir.glob("keytide.db*"))
        assert b"netlify-demo-person" in files
        for hidden in ("emulated-", CLIENT_SECRET, back.state, back.nonce):
            assert hidden.encode() not in files
