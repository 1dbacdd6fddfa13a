"""Connecting with a browser, whoever comes back; and tokens that are renewed once for everybody."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
from pydantic import SecretStr
from sqlalchemy import delete, select

from shared.broker import Task
from shared.crypto import hash_token
from shared.db.connections import Connection, ConnectionStatus
from shared.db.models import Base
from shared.db.oauth_states import OAuthState
from shared.db.tokens import ApiToken
from shared.errors import (
    Conflict,
    CredentialsRejected,
    Forbidden,
    InvalidInput,
    KeytideError,
    NotFound,
    Unavailable,
)
from shared.providers.base import OAuthCredentials
from shared.providers.netlify import NetlifyProvider
from shared.runtime import Runtime
from shared.sync_options import SyncOptions
from shared.usecases.connections import (
    check_connection,
    delete_connection,
    get_connection,
    list_connections,
    list_projects,
    update_connection,
)
from shared.usecases.credentials import LEASE, open_provider, unseal
from shared.usecases.oauth import Begun, begin, complete, is_offered
from shared.usecases.projects import create_project
from shared.usecases.prune import prune
from shared.usecases.syncs import SyncDraft, create_sync
from shared.usecases.tokens import Caller, Scope, authenticate
from tests.fakes.netlify import FakeNetlify
from tests.fakes.oauth import CLIENT_ID, CLIENT_SECRET
from tests.fakes.service import Fail, Request
from tests.fakes.vercel import FakeVercel
from tests.support import ManualClock, RecordingBroker, create_token, emulated_client, is_sqlite

T = TypeVar("T")
HOUR = 3600.0


@pytest.fixture
def netlify() -> FakeNetlify:
    return FakeNetlify.with_demo()


@pytest.fixture
def vercel() -> FakeVercel:
    return FakeVercel.with_demo()


@pytest.fixture
def here(runtime: Runtime, netlify: FakeNetlify, vercel: FakeVercel) -> Iterator[Runtime]:
    """A server that is registered with Netlify and Vercel."""
    registered = runtime.settings.model_copy(
        update={
            "netlify_client_id": CLIENT_ID,
            "netlify_client_secret": SecretStr(CLIENT_SECRET),
            "netlify_site_url": "http://netlify.test",
            "vercel_client_id": CLIENT_ID,
            "vercel_client_secret": SecretStr(CLIENT_SECRET),
            "vercel_integration_slug": "demo",
            "vercel_site_url": "http://vercel.test",
        }
    )
    with emulated_client({"netlify": netlify, "vercel": vercel}) as http:
        yield replace(runtime, settings=registered, http=http)


@pytest.fixture
def caller(runtime: Runtime) -> Caller:
    token = create_token(runtime, "somebody", [Scope.WRITE])
    return authenticate(runtime, token.get_secret_value())


def configured(runtime: Runtime, **settings: object) -> Runtime:
    return replace(runtime, settings=runtime.settings.model_copy(update=settings))


@dataclass(frozen=True)
class Return:
    """A browser that comes back from the provider's page, with its cookie."""

    code: SecretStr
    state: str
    nonce: str

    def to(self, runtime: Runtime, app: str = "netlify") -> Connection:
        done = complete(runtime, app, code=self.code, state=self.state, browser_nonce=self.nonce)
        return done.connection


def visit(runtime: Runtime, begun: Begun) -> Return:
    """Let somebody in on the provider's page."""
    back = runtime.http.get(begun.url).headers["location"]
    told = {name: values[0] for name, values in parse_qs(urlsplit(back).query).items()}
    return Return(SecretStr(told["code"]), told["state"], begun.browser_nonce.get_secret_value())


def connect(
    runtime: Runtime, caller: Caller, app: str = "netlify", project_id: UUID | None = None
) -> Connection:
    return visit(runtime, begin(runtime, app, caller, project_id=project_id)).to(runtime, app)


def token_of(runtime: Runtime, connection: Connection) -> str:
    credentials = unseal(runtime, connection)
    assert isinstance(credentials, OAuthCredentials)
    return credentials.access_token.get_secret_value()


def at_once(count: int, act: Callable[[], T]) -> list[T | KeytideError]:
    """Let *count* threads do *act* at the same time, and return what came of each."""
    ready = threading.Barrier(count)

    def run() -> T | KeytideError:
        ready.wait()
        try:
            return act()
        except KeytideError as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        return [each.result() for each in [pool.submit(run) for _ in range(count)]]


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


def use(runtime: Runtime, connection: Connection) -> None:
    """Let a sync use *connection*."""
    create_sync(
        runtime,
        SyncDraft(
            destination="netlify",
            name="shop",
            project_id=create_project(runtime, "Shop").project.id,
            connection_id=connection.id,
            environment="production",
            secret_path="/",
            destination_config={"accountId": "acc-1", "siteId": "site-shop"},
            sync_options=SyncOptions.model_validate({"initialSyncBehavior": "overwrite-destination"}),
        ),
    )


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


# --- ending --------------------------------------------------------------------------------------------


@pytest.fixture
def revocable(monkeypatch: pytest.MonkeyPatch, netlify: FakeNetlify) -> None:
    """Netlify, if it let applications end their tokens."""
    assert NetlifyProvider.oauth is not None
    ending = replace(NetlifyProvider.oauth, revoke_path="/oauth/revoke")
    monkeypatch.setattr(NetlifyProvider, "oauth", ending)
    netlify.oauth.revoke_path = "/oauth/revoke"


@pytest.mark.usefixtures("revocable")
def test_a_deleted_connection_leaves_no_token_behind(
    here: Runtime, caller: Caller, netlify: FakeNetlify
) -> None:
    connection = connect(here, caller)

    delete_connection(here, "netlify", connection.id)

    assert token_of(here, connection) not in netlify.tokens
    assert list_connections(here) == []


@pytest.mark.usefixtures("revocable")
def test_a_connection_is_deleted_even_if_its_token_cannot_be_ended(
    here: Runtime, caller: Caller, netlify: FakeNetlify, capsys: pytest.CaptureFixture[str]
) -> None:
    connection = connect(here, caller)
    netlify.fail_next(Fail(503), where=lambda request: request.path == "/oauth/revoke")

    delete_connection(here, "netlify", connection.id)

    said = capsys.readouterr().out
    assert list_connections(here) == []
    assert "connection.not_revoked" in said
    assert token_of(here, connection) not in said


@pytest.mark.usefixtures("revocable")
def test_a_connection_in_use_keeps_its_token(here: Runtime, caller: Caller, netlify: FakeNetlify) -> None:
    connection = connect(here, caller)
    use(here, connection)

    with pytest.raises(Conflict, match="still used by"):
        delete_connection(here, "netlify", connection.id)

    assert token_of(here, connection) in netlify.tokens


def test_where_tokens_cannot_be_ended_only_the_connection_goes(
    here: Runtime, caller: Caller, netlify: FakeNetlify
) -> None:
    connection = connect(here, caller)
    netlify.forget_calls()

    delete_connection(here, "netlify", connection.id)

    assert netlify.calls == []


# --- tokens that end -----------------------------------------------------------------------------------


@pytest.fixture
def ending(here: Runtime, caller: Caller, netlify: FakeNetlify, clock: ManualClock) -> Connection:
    """A connection whose token ends in four minutes."""
    netlify.oauth.lifetime = HOUR
    connection = connect(here, caller)
    clock.advance(seconds=HOUR - 240)
    return connection


def refresh_is_asked(request: Request) -> bool:
    return b"grant_type=refresh_token" in request.body


def test_a_token_that_is_good_for_long_is_not_renewed(
    here: Runtime, caller: Caller, netlify: FakeNetlify, clock: ManualClock
) -> None:
    netlify.oauth.lifetime = HOUR
    connection = connect(here, caller)
    clock.advance(seconds=HOUR - 301)

    open_provider(here, connection).whoami()

    assert netlify.oauth.refreshes == 0


def test_a_token_about_to_end_is_renewed_and_stored(
    here: Runtime, ending: Connection, netlify: FakeNetlify, clock: ManualClock
) -> None:
    open_provider(here, ending).whoami()

    now = get_connection(here, "netlify", ending.id)
    assert token_of(here, now) in netlify.tokens
    assert token_of(here, now) != token_of(here, ending)
    assert now.refreshing_until is None
    clock.advance(seconds=HOUR - 400)
    open_provider(here, now).whoami()
    assert netlify.oauth.refreshes == 1


def test_twenty_workers_renew_a_token_once(here: Runtime, ending: Connection, netlify: FakeNetlify) -> None:
    results = at_once(20, lambda: open_provider(here, ending))

    assert [each for each in results if isinstance(each, KeytideError)] == []
    assert netlify.oauth.refreshes == 1
    assert token_of(here, get_connection(here, "netlify", ending.id)) in netlify.tokens


def test_twenty_workers_renew_a_token_once_that_has_ended(
    here: Runtime, ending: Connection, netlify: FakeNetlify, clock: ManualClock
) -> None:
    clock.advance(seconds=HOUR)

    results = at_once(20, lambda: open_provider(here, ending).whoami())

    assert {type(each) for each in results if isinstance(each, KeytideError)} <= {Unavailable}
    assert netlify.oauth.refreshes == 1


def meanwhile(netlify: FakeNetlify, action: Callable[[], object]) -> None:
    """Let *action* happen once, while Netlify is about to renew a token."""
    pending = [action]

    def watch(request: Request) -> bool:
        if pending and refresh_is_asked(request):
            pending.pop()()
        return False

    # A fault that never strikes, but is asked about every request.
    netlify.fail_next(Fail(500), where=watch)


def test_while_a_token_is_renewed_others_use_the_old_one(
    here: Runtime, ending: Connection, netlify: FakeNetlify
) -> None:
    used: list[str] = []
    meanwhile(netlify, lambda: used.append(open_provider(here, ending).whoami().id))

    open_provider(here, ending)

    assert used == ["user-1"]
    assert netlify.oauth.refreshes == 1


def test_while_a_token_that_has_ended_is_renewed_others_come_back_later(
    here: Runtime, ending: Connection, netlify: FakeNetlify, clock: ManualClock
) -> None:
    clock.advance(seconds=HOUR)
    met: list[str] = []

    def another_worker() -> None:
        with pytest.raises(Unavailable) as caught:
            open_provider(here, ending)
        met.append(caught.value.message)

    meanwhile(netlify, another_worker)

    open_provider(here, ending)

    assert met == ["The access to Netlify is being renewed by another worker."]
    assert netlify.oauth.refreshes == 1


def test_no_transaction_is_open_while_a_token_is_renewed(
    here: Runtime, ending: Connection, netlify: FakeNetlify
) -> None:
    wrote: list[bool] = []

    def write() -> None:
        with here.database.transaction() as session:
            session.get_one(Connection, ending.id).description = "written meanwhile"
        wrote.append(True)

    # In another thread: a lock held by the one that renews would keep it waiting.
    def elsewhere() -> None:
        thread = threading.Thread(target=write)
        thread.start()
        thread.join(timeout=10)

    meanwhile(netlify, elsewhere)

    open_provider(here, ending)

    assert wrote == [True]


def test_the_lease_of_a_worker_that_died_ends(
    here: Runtime, ending: Connection, netlify: FakeNetlify, clock: ManualClock
) -> None:
    with here.database.transaction() as session:
        session.get_one(Connection, ending.id).refreshing_until = clock.now + LEASE
    open_provider(here, ending)
    assert netlify.oauth.refreshes == 0

    clock.advance(seconds=LEASE.total_seconds())
    open_provider(here, ending)

    assert netlify.oauth.refreshes == 1


def test_a_token_that_cannot_be_renewed_just_now_is_used_to_its_end(
    here: Runtime, ending: Connection, netlify: FakeNetlify, clock: ManualClock
) -> None:
    netlify.fail_next(Fail(503), times=2, where=refresh_is_asked)

    assert open_provider(here, ending).whoami().id == "user-1"
    clock.advance(seconds=240)
    with pytest.raises(Unavailable):
        open_provider(here, ending)
    open_provider(here, ending).whoami()

    assert netlify.oauth.refreshes == 1


def test_a_permission_that_was_taken_back_fails_the_connection(
    here: Runtime, ending: Connection, netlify: FakeNetlify
) -> None:
    netlify.oauth.refuse_refreshes()

    with pytest.raises(CredentialsRejected):
        open_provider(here, ending)

    now = get_connection(here, "netlify", ending.id)
    assert (now.status, now.refreshing_until) == (ConnectionStatus.FAILED, None)
    assert now.last_error == "Netlify answered 400 invalid_grant. Renew the credentials of this connection."


def test_a_connection_made_anew_during_a_renewal_keeps_its_new_token(
    here: Runtime, caller: Caller, ending: Connection, netlify: FakeNetlify
) -> None:
    anew: list[str] = []
    meanwhile(netlify, lambda: anew.append(token_of(here, connect(here, caller))))

    open_provider(here, ending)

    assert [token_of(here, get_connection(here, "netlify", ending.id))] == anew


def test_a_rejection_of_old_tokens_does_not_fail_a_connection_made_anew(
    here: Runtime, caller: Caller, ending: Connection, netlify: FakeNetlify
) -> None:
    def reconnect() -> None:
        netlify.oauth.refuse_refreshes()
        connect(here, caller)

    meanwhile(netlify, reconnect)

    with pytest.raises(CredentialsRejected):
        open_provider(here, ending)

    assert get_connection(here, "netlify", ending.id).status == ConnectionStatus.CONNECTED


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
