"""Machine identities: who may make them, and how they log in."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr

from shared.db.identities import ClientSecret
from shared.errors import Forbidden, NotFound, Unauthenticated
from shared.runtime import Runtime
from shared.usecases import identities
from shared.usecases.identities import IdentityDraft, IdentityView
from shared.usecases.log_in import LOCKOUT, MAX_FAILURES, log_in, renew
from shared.usecases.projects import create_project
from shared.usecases.prune import prune
from shared.usecases.tokens import Caller, Grants, Scope, authenticate
from tests.support import ManualClock

ADMINISTRATOR = Caller(UUID(int=0), "administrator", {None: frozenset({"admin"})})
HOUR = 3600
WRONG = SecretStr("0" * 64)


@pytest.fixture
def shop(runtime: Runtime) -> UUID:
    return create_project(runtime, "Shop").project.id


@pytest.fixture
def bot(runtime: Runtime, shop: UUID) -> IdentityView:
    """An identity that may read in one project, for an hour at a time and two at most."""
    draft = IdentityDraft("bot", {shop: frozenset({"read"})}, token_ttl=HOUR, token_max_ttl=2 * HOUR)
    return identities.create_identity(runtime, ADMINISTRATOR, draft)


@pytest.fixture
def secret(runtime: Runtime, bot: IdentityView) -> SecretStr:
    return identities.create_client_secret(runtime, ADMINISTRATOR, bot.row.id)[1]


def client_id(bot: IdentityView) -> str:
    return str(bot.row.client_id)


def enter(runtime: Runtime, bot: IdentityView, secret: SecretStr) -> str:
    return log_in(runtime, client_id(bot), secret).token.get_secret_value()


# --- logging in ----------------------------------------------------------------------------------------


def test_a_login_gives_a_token_that_may_do_what_the_identity_may(
    runtime: Runtime, bot: IdentityView, secret: SecretStr, shop: UUID
) -> None:
    login = log_in(runtime, client_id(bot), secret)

    caller = authenticate(runtime, login.token.get_secret_value())
    assert (caller.name, caller.identity_id, caller.grants) == ("bot", bot.row.id, {shop: {"read"}})
    assert (login.expires_in, login.max_ttl) == (HOUR, 2 * HOUR)


def test_the_token_of_a_login_ends(
    runtime: Runtime, bot: IdentityView, secret: SecretStr, clock: ManualClock
) -> None:
    token = enter(runtime, bot, secret)

    clock.advance(seconds=HOUR)

    with pytest.raises(Unauthenticated, match="expired"):
        authenticate(runtime, token)


@pytest.mark.parametrize("client", ["", "bot", "00000000-0000-0000-0000-000000000000"])
def test_an_unknown_client_id_is_answered_like_a_wrong_secret(
    runtime: Runtime, bot: IdentityView, secret: SecretStr, client: str
) -> None:
    with pytest.raises(Unauthenticated) as unknown:
        log_in(runtime, client, secret)
    with pytest.raises(Unauthenticated) as wrong:
        log_in(runtime, client_id(bot), WRONG)

    assert unknown.value.message == wrong.value.message


def test_a_client_secret_of_another_identity_is_a_wrong_one(
    runtime: Runtime, bot: IdentityView, secret: SecretStr
) -> None:
    other = identities.create_identity(runtime, ADMINISTRATOR, IdentityDraft("other"))

    with pytest.raises(Unauthenticated):
        log_in(runtime, client_id(other), secret)


def test_after_three_failures_even_the_right_secret_is_refused_for_five_minutes(
    runtime: Runtime, bot: IdentityView, secret: SecretStr, clock: ManualClock
) -> None:
    for _ in range(MAX_FAILURES):
        with pytest.raises(Unauthenticated):
            log_in(runtime, client_id(bot), WRONG)

    clock.advance(seconds=LOCKOUT.total_seconds() - 1)
    with pytest.raises(Unauthenticated):
        log_in(runtime, client_id(bot), secret)
    clock.advance(seconds=1)

    assert enter(runtime, bot, secret)


def test_a_good_login_forgets_the_failures_before_it(
    runtime: Runtime, bot: IdentityView, secret: SecretStr
) -> None:
    for _ in range(2):
        for _ in range(MAX_FAILURES - 1):
            with pytest.raises(Unauthenticated):
                log_in(runtime, client_id(bot), WRONG)

        assert enter(runtime, bot, secret)


def test_a_lockout_does_not_end_the_tokens_of_earlier_logins(
    runtime: Runtime, bot: IdentityView, secret: SecretStr
) -> None:
    token = enter(runtime, bot, secret)
    for _ in range(MAX_FAILURES):
        with pytest.raises(Unauthenticated):
            log_in(runtime, client_id(bot), WRONG)

    assert authenticate(runtime, token).name == "bot"


# --- client secrets ------------------------------------------------------------------------------------


def test_a_client_secret_is_stored_as_its_hash_only(
    runtime: Runtime, bot: IdentityView, secret: SecretStr
) -> None:
    with runtime.database.snapshot() as session:
        row = session.query(ClientSecret).one()

    assert secret.get_secret_value() not in str(vars(row))
    assert row.prefix == secret.get_secret_value()[:4]


def test_a_client_secret_ends_when_it_was_made_to(
    runtime: Runtime, bot: IdentityView, clock: ManualClock
) -> None:
    _, secret = identities.create_client_secret(
        runtime, ADMINISTRATOR, bot.row.id, lives=timedelta(seconds=HOUR)
    )
    assert enter(runtime, bot, secret)

    clock.advance(seconds=HOUR)

    with pytest.raises(Unauthenticated):
        log_in(runtime, client_id(bot), secret)


def test_a_client_secret_serves_as_often_as_it_was_made_to(runtime: Runtime, bot: IdentityView) -> None:
    _, secret = identities.create_client_secret(runtime, ADMINISTRATOR, bot.row.id, uses_limit=1)
    assert enter(runtime, bot, secret)

    with pytest.raises(Unauthenticated):
        log_in(runtime, client_id(bot), secret)


def test_a_revoked_client_secret_is_refused_and_others_are_not(
    runtime: Runtime, bot: IdentityView, secret: SecretStr
) -> None:
    row, revoked = identities.create_client_secret(runtime, ADMINISTRATOR, bot.row.id)

    identities.revoke_client_secret(runtime, ADMINISTRATOR, bot.row.id, row.id)

    with pytest.raises(Unauthenticated):
        log_in(runtime, client_id(bot), revoked)
    assert enter(runtime, bot, secret)


# --- renewing ------------------------------------------------------------------------------------------


def test_a_renewed_token_is_valid_for_longer(
    runtime: Runtime, bot: IdentityView, secret: SecretStr, clock: ManualClock
) -> None:
    token = log_in(runtime, client_id(bot), secret).token
    clock.advance(seconds=HOUR - 1)

    renewed = renew(runtime, token)
    clock.advance(seconds=HOUR - 1)

    assert (renewed.token, renewed.expires_in) == (token, HOUR)
    assert authenticate(runtime, token.get_secret_value()).name == "bot"


def test_no_token_is_renewed_beyond_its_limit(
    runtime: Runtime, bot: IdentityView, secret: SecretStr, clock: ManualClock
) -> None:
    token = log_in(runtime, client_id(bot), secret).token
    for _ in range(3):
        clock.advance(seconds=HOUR - 600)
        if clock.now < bot.row.created_at + timedelta(seconds=2 * HOUR):
            renew(runtime, token)

    with pytest.raises(Unauthenticated, match="expired"):
        authenticate(runtime, token.get_secret_value())
    with pytest.raises(Unauthenticated, match="cannot be renewed"):
        renew(runtime, token)


def test_the_tokens_of_logins_that_ended_are_removed(
    runtime: Runtime, bot: IdentityView, secret: SecretStr, clock: ManualClock
) -> None:
    ended = enter(runtime, bot, secret)
    clock.advance(seconds=HOUR)
    fresh = enter(runtime, bot, secret)

    prune(runtime)

    with pytest.raises(Unauthenticated, match="not known"):
        authenticate(runtime, ended)
    assert authenticate(runtime, fresh).name == "bot"


# --- what they may do ----------------------------------------------------------------------------------


def test_other_grants_hold_at_once_for_who_is_logged_in(
    runtime: Runtime, bot: IdentityView, secret: SecretStr, shop: UUID
) -> None:
    token = enter(runtime, bot, secret)

    changed = IdentityDraft(grants={shop: frozenset({"sync"})})
    identities.update_identity(runtime, ADMINISTRATOR, bot.row.id, changed)

    caller = authenticate(runtime, token)
    assert caller.may(Scope.SYNC, shop)
    assert not caller.may(Scope.READ, shop)


def test_a_deleted_identity_takes_its_tokens_along(
    runtime: Runtime, bot: IdentityView, secret: SecretStr
) -> None:
    token = enter(runtime, bot, secret)

    identities.delete_identity(runtime, ADMINISTRATOR, bot.row.id)

    with pytest.raises(Unauthenticated):
        authenticate(runtime, token)
    with pytest.raises(Unauthenticated):
        log_in(runtime, client_id(bot), secret)


def test_nobody_gives_more_than_they_have(runtime: Runtime, bot: IdentityView, shop: UUID) -> None:
    bank = create_project(runtime, "Bank").project.id
    of_shop = Caller(uuid4(), "shop", {shop: frozenset({"admin"})})
    too_much: list[Grants] = [
        {},
        {None: frozenset({"read"})},
        {bank: frozenset({"read"})},
        {shop: frozenset({"read"}), bank: frozenset({"read"})},
    ]

    for grants in too_much:
        with pytest.raises(Forbidden):
            identities.create_identity(runtime, of_shop, IdentityDraft("mine", grants))
        with pytest.raises(Forbidden):
            identities.update_identity(runtime, of_shop, bot.row.id, IdentityDraft(grants=grants))

    [only] = identities.list_identities(runtime, ADMINISTRATOR, None, limit=10, offset=0)
    assert (only.row.name, only.grants) == ("bot", bot.grants)


def test_an_identity_that_reaches_further_than_its_administrator_does_not_exist(
    runtime: Runtime, bot: IdentityView, shop: UUID
) -> None:
    bank = create_project(runtime, "Bank").project.id
    both = IdentityDraft(grants={shop: frozenset({"read"}), bank: frozenset({"read"})})
    identities.update_identity(runtime, ADMINISTRATOR, bot.row.id, both)
    of_shop = Caller(uuid4(), "shop", {shop: frozenset({"admin"})})

    with pytest.raises(NotFound):
        identities.create_client_secret(runtime, of_shop, bot.row.id)
    with pytest.raises(NotFound):
        identities.delete_identity(runtime, of_shop, bot.row.id)
