"""Tokens that OAuth gave out: renewed once for everybody, and ended with their connection."""

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from shared.db.connections import Connection, ConnectionStatus
from shared.errors import Conflict, CredentialsRejected, KeytideError, Unavailable
from shared.providers.netlify import NetlifyProvider
from shared.runtime import Runtime
from shared.usecases.connections import delete_connection, get_connection, list_connections
from shared.usecases.credentials import LEASE, open_provider
from shared.usecases.tokens import Caller
from tests.fakes.netlify import FakeNetlify
from tests.fakes.service import Fail, Request
from tests.shared.usecases.signing_in import HOUR, connect, token_of, use
from tests.shared.usecases.world import at_once
from tests.support import ManualClock

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
