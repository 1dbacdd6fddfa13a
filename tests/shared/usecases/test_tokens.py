"""Making API tokens, and finding out who calls."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from shared.db.tokens import ApiToken
from shared.errors import Forbidden, NotFound, Unauthenticated
from shared.runtime import Runtime
from shared.usecases.projects import create_project
from shared.usecases.tokens import (
    Caller,
    Scope,
    authenticate,
    create_first_token,
    issue_token,
    list_tokens,
    revoke_token,
)
from tests.support import ManualClock, create_token

ADMINISTRATOR = Caller(UUID(int=0), "administrator", {None: frozenset({"admin"})})


def test_who_holds_a_token_is_its_caller(runtime: Runtime) -> None:
    token = create_token(runtime, "ci", [Scope.READ, Scope.SYNC])

    caller = authenticate(runtime, token.get_secret_value())

    assert (caller.name, caller.grants) == ("ci", {None: {"read", "sync"}})


def test_an_unknown_token_is_nobody(runtime: Runtime) -> None:
    with pytest.raises(Unauthenticated, match="not known"):
        authenticate(runtime, "kt_" + "0" * 40)


def test_a_token_ends_when_it_expires(runtime: Runtime, clock: ManualClock) -> None:
    token = create_token(runtime, "ci", [], expires_at=clock.now + timedelta(seconds=10)).get_secret_value()
    authenticate(runtime, token)

    clock.advance(seconds=10)

    with pytest.raises(Unauthenticated, match="expired"):
        authenticate(runtime, token)


def test_a_token_is_stored_as_its_hash_only(runtime: Runtime) -> None:
    token = create_token(runtime, "ci", [Scope.READ])

    with runtime.database.snapshot() as session:
        row = session.query(ApiToken).one()

    assert token.get_secret_value() not in str(vars(row))
    assert len(token.get_secret_value()) == len("kt_") + 40


def test_the_first_token_is_made_once(runtime: Runtime) -> None:
    token = create_first_token(runtime)

    assert token is not None
    assert authenticate(runtime, token.get_secret_value()).grants == {None: {"admin"}}
    assert create_first_token(runtime) is None


@pytest.mark.parametrize(
    ("scopes", "needed", "allowed"),
    [
        ({"read"}, Scope.READ, True),
        ({"read"}, Scope.WRITE, False),
        ({"write"}, Scope.READ, False),
        ({"admin"}, Scope.SYNC, True),
        (set(), Scope.READ, False),
    ],
)
def test_a_scope_allows_what_it_says(scopes: set[str], needed: Scope, allowed: bool) -> None:
    caller = Caller(uuid4(), "ci", {None: frozenset(scopes)})

    if allowed:
        caller.require(needed, uuid4())
    else:
        with pytest.raises(Forbidden):
            caller.require(needed, uuid4())


def test_a_token_of_one_project_is_good_for_no_other() -> None:
    project_id = uuid4()
    caller = Caller(uuid4(), "ci", {project_id: frozenset({"admin"})})

    caller.require(Scope.WRITE, project_id)
    for other in (uuid4(), None):
        with pytest.raises(Forbidden, match="another project"):
            caller.require(Scope.READ, other)


def test_a_token_may_do_different_things_in_different_projects(runtime: Runtime) -> None:
    shop, bank = (create_project(runtime, name).project.id for name in ("Shop", "Bank"))
    grants = {shop: frozenset({"read", "sync"}), bank: frozenset({"write"})}
    _, token = issue_token(runtime, "ci", grants)

    caller = authenticate(runtime, token.get_secret_value())

    allowed = {(scope, place) for scope in Scope for place in (shop, bank, None) if caller.may(scope, place)}
    assert allowed == {(Scope.READ, shop), (Scope.SYNC, shop), (Scope.WRITE, bank)}
    assert caller.projects(Scope.READ) == {shop}


def test_what_holds_for_all_projects_adds_to_what_holds_for_one() -> None:
    shop = uuid4()
    caller = Caller(uuid4(), "ci", {None: frozenset({"read"}), shop: frozenset({"write"})})

    assert caller.may(Scope.READ, shop)
    assert caller.may(Scope.WRITE, shop)
    assert not caller.may(Scope.WRITE, uuid4())
    assert caller.projects(Scope.READ) is None


def test_a_token_without_grants_may_do_nothing() -> None:
    caller = Caller(uuid4(), "ci", {})

    assert not caller.knows(uuid4())
    with pytest.raises(Forbidden):
        caller.require_somewhere(Scope.READ)


def test_a_token_for_a_project_that_does_not_exist_is_not_made(runtime: Runtime) -> None:
    with pytest.raises(NotFound):
        issue_token(runtime, "ci", {uuid4(): frozenset({"read"})})

    assert list_tokens(runtime, None, limit=10, offset=0) == []


def test_a_token_for_several_projects_is_none_for_the_wire_of_vaults() -> None:
    caller = Caller(uuid4(), "ci", {uuid4(): frozenset({"read"}), uuid4(): frozenset({"read"})})

    with pytest.raises(Forbidden, match="several projects"):
        caller.only_grant()


def test_a_revoked_token_is_nobody(runtime: Runtime) -> None:
    view, token = issue_token(runtime, "ci", {None: frozenset({"read"})})

    revoke_token(runtime, ADMINISTRATOR, view.id)

    with pytest.raises(Unauthenticated, match="not known"):
        authenticate(runtime, token.get_secret_value())


def test_a_token_that_reaches_further_than_its_administrator_does_not_exist(runtime: Runtime) -> None:
    shop, bank = (create_project(runtime, name).project.id for name in ("Shop", "Bank"))
    grants = {shop: frozenset({"read"}), bank: frozenset({"read"})}
    view, token = issue_token(runtime, "ci", grants)
    of_shop = Caller(uuid4(), "shop", {shop: frozenset({"admin"})})

    with pytest.raises(NotFound):
        revoke_token(runtime, of_shop, view.id)

    assert authenticate(runtime, token.get_secret_value()).grants == grants


def test_tokens_are_listed_by_project_newest_first(runtime: Runtime, clock: ManualClock) -> None:
    shop, bank = (create_project(runtime, name).project.id for name in ("Shop", "Bank"))
    for name, project_id in (("first", shop), ("other", bank), ("second", shop)):
        issue_token(runtime, name, {project_id: frozenset({"read"})})
        clock.advance(seconds=1)

    assert [view.name for view in list_tokens(runtime, shop, limit=10, offset=0)] == ["second", "first"]
    assert [view.name for view in list_tokens(runtime, None, limit=2, offset=1)] == ["other", "first"]
