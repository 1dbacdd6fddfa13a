"""Properties of a plan, for sources, destinations and ledgers of any shape."""

import hashlib
import random
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeVar

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import SecretStr

from shared.errors import PlanBlocked
from shared.plan import (
    Create,
    Delete,
    Desired,
    Plan,
    Reason,
    Remote,
    Scope,
    Skip,
    Update,
    Written,
    build_plan,
    check_safety,
)

KEYS = [f"KEY_{number}" for number in range(8)] + [f"OUT_{number}" for number in range(3)]
VALUES = ["", "correct-horse", "battery-staple", "hunter2-hunter2"]


def fingerprint(value: SecretStr) -> str:
    return hashlib.sha256(b"pepper" + value.get_secret_value().encode()).hexdigest()


def in_scope(key: str) -> bool:
    return key.startswith("KEY_")


@dataclass(frozen=True)
class World:
    """Everything a plan is made from."""

    desired: dict[str, Desired]
    existing: dict[str, Remote]
    ledger: dict[str, Written]
    scope: Scope

    def plan(self) -> Plan:
        return build_plan(
            self.desired.values(), self.existing, self.ledger, scope=self.scope, fingerprint=fingerprint
        )


def wanted(key: str, value: str, version: int = 1) -> Desired:
    return Desired(key, SecretStr(value), version, source_key=key)


def held(key: str, value: str | None, stamp: str | None = None, locked: str | None = None) -> Remote:
    return Remote(key, None if value is None else SecretStr(value), stamp, locked=locked)


def written(key: str, value: str | None, stamp: str | None = None) -> Written:
    return Written(key, None if value is None else fingerprint(SecretStr(value)), 1, stamp)


keys = st.sampled_from(KEYS)
values = st.sampled_from(VALUES)
stamps = st.one_of(st.none(), st.sampled_from(["s1", "s2"]))
locks = st.sampled_from([None, None, None, "an integration owns it"])


@st.composite
def scopes(draw: st.DrawFn) -> Scope:
    refused = draw(st.frozensets(keys, max_size=2))
    return Scope(
        covers=in_scope,
        refuses=lambda key: "its name is reserved" if key in refused else None,
        foreign=draw(st.frozensets(keys, max_size=2)),
        may_delete=draw(st.booleans()),
        delete_unmanaged=draw(st.booleans()),
        list_is_complete=draw(st.booleans()),
    )


@st.composite
def worlds(draw: st.DrawFn) -> World:
    desired = draw(st.dictionaries(keys, values))
    existing = draw(st.dictionaries(keys, st.tuples(st.none() | values, stamps, locks)))
    ledger = draw(st.dictionaries(keys, st.tuples(st.none() | values, stamps)))
    return World(
        desired={key: wanted(key, value) for key, value in desired.items()},
        existing={key: held(key, *state) for key, state in existing.items()},
        ledger={key: written(key, *entry) for key, entry in ledger.items()},
        scope=draw(scopes()),
    )


def writes(plan: Plan) -> list[Create | Update]:
    return [*plan.creates, *plan.updates]


def replacements(plan: Plan) -> list[Update | Delete]:
    return [*plan.updates, *plan.deletes]


def applied(world: World, plan: Plan) -> World:
    """Return the world after a run that carried out *plan* at a destination which hides what was hidden."""
    existing, ledger = dict(world.existing), dict(world.ledger)
    for number, change in enumerate(writes(plan)):
        before = existing.get(change.key)
        hidden = before is not None and before.value is None
        stamp = f"new{number}"
        existing[change.key] = Remote(change.key, None if hidden else change.desired.value, stamp)
        ledger[change.key] = Written(change.key, fingerprint(change.desired.value), 1, stamp)
    for delete in plan.deletes:
        del existing[delete.key]
        ledger.pop(delete.key, None)
    return replace(world, existing=existing, ledger=ledger)


def content(world: World) -> dict[str, str | None]:
    """Return what the destination holds; for hidden values, what the ledger says of them."""
    return {
        key: fingerprint(remote.value) if remote.value is not None else world.ledger[key].fingerprint
        for key, remote in world.existing.items()
        if remote.value is not None or key in world.ledger
    }


# --- what a plan does ----------------------------------------------------------------------------------


@given(worlds())
def test_a_plan_makes_the_destination_hold_the_desired_keys_and_leaves_the_others(world: World) -> None:
    plan = world.plan()
    skipped = {skip.key for skip in plan.skipped}

    after = applied(world, plan)

    arriving = world.desired.keys() - skipped
    untouched = {key for key in world.existing if key in skipped or not in_scope(key)}
    assert after.existing.keys() == arriving | untouched
    assert {key: content(after)[key] for key in arriving} == {
        key: fingerprint(world.desired[key].value) for key in arriving
    }
    assert all(after.existing[key] is world.existing[key] for key in untouched)


@given(worlds())
def test_a_second_plan_is_empty(world: World) -> None:
    after = applied(world, world.plan())

    again = after.plan()

    assert again.is_empty
    assert again.drift == ()


@given(worlds())
def test_every_wanted_key_is_accounted_for_exactly_once(world: World) -> None:
    plan = world.plan()

    accounted = [
        *(change.key for change in writes(plan)),
        *(desired.key for desired in plan.unchanged),
        *(skip.key for skip in plan.skipped if skip.wanted),
    ]
    assert sorted(accounted) == sorted(world.desired)


@given(worlds())
def test_a_key_that_is_not_ours_to_change_is_never_written(world: World) -> None:
    plan = world.plan()

    touched = {change.key for change in (*writes(plan), *plan.deletes)}
    locked = {key for key, remote in world.existing.items() if remote.locked}
    assert all(map(in_scope, touched))
    assert not touched & world.scope.foreign
    assert not touched & locked


@given(worlds())
def test_a_name_the_provider_refuses_is_never_sent(world: World) -> None:
    plan = world.plan()

    assert not any(world.scope.refuses(change.key) for change in writes(plan))


@given(worlds())
def test_nothing_is_deleted_where_deletion_is_disabled(world: World) -> None:
    world = replace(world, scope=replace(world.scope, may_delete=False))

    assert world.plan().deletes == ()


@given(worlds())
def test_nothing_is_deleted_from_a_list_that_may_be_incomplete(world: World) -> None:
    world = replace(world, scope=replace(world.scope, list_is_complete=False))

    assert world.plan().deletes == ()


@given(worlds())
def test_only_keys_we_wrote_are_deleted_if_others_shall_stay(world: World) -> None:
    world = replace(world, scope=replace(world.scope, delete_unmanaged=False))

    assert {delete.key for delete in world.plan().deletes} <= world.ledger.keys()


@given(worlds())
def test_a_wanted_key_is_never_deleted(world: World) -> None:
    assert not {delete.key for delete in world.plan().deletes} & world.desired.keys()


@given(worlds())
def test_a_key_that_all_but_the_ledger_lost_is_named_so_that_it_can_be_forgotten(world: World) -> None:
    world = replace(world, scope=replace(world.scope, list_is_complete=True))

    gone = world.plan().gone

    assert set(gone) == world.ledger.keys() - world.desired.keys() - world.existing.keys()


@given(worlds())
def test_nothing_is_forgotten_because_of_a_list_that_may_be_incomplete(world: World) -> None:
    world = replace(world, scope=replace(world.scope, list_is_complete=False))

    assert world.plan().gone == ()


@given(worlds())
def test_only_keys_we_are_known_to_have_written_can_drift(world: World) -> None:
    drift = world.plan().drift

    assert all(world.ledger[key].fingerprint is not None for key in drift)


def test_a_wanted_key_outside_the_scope_is_skipped_and_says_so() -> None:
    plan = World({"OUT_1": wanted("OUT_1", "x")}, {}, {}, Scope(covers=in_scope)).plan()

    assert [(skip.key, skip.reason, skip.wanted) for skip in plan.skipped] == [
        ("OUT_1", Reason.OUT_OF_SCOPE, True)
    ]


# --- hidden values and drift ---------------------------------------------------------------------------


def one_key(value: str, remote: Remote | None, entry: Written | None) -> Plan:
    existing = {} if remote is None else {"KEY_1": remote}
    ledger = {} if entry is None else {"KEY_1": entry}
    return World({"KEY_1": wanted("KEY_1", value)}, existing, ledger, Scope()).plan()


def test_an_empty_value_is_not_created_where_the_list_may_hide_a_full_one() -> None:
    desired = [wanted("KEY_0", ""), wanted("KEY_1", "correct-horse"), wanted("KEY_2", "")]
    ledger = {"KEY_2": written("KEY_2", None)}

    plan = build_plan(desired, {}, ledger, scope=Scope(list_is_complete=False), fingerprint=fingerprint)

    assert [each.key for each in plan.creates] == ["KEY_1", "KEY_2"]
    assert plan.skipped == (Skip("KEY_0", Reason.INCOMPLETE_LIST, wanted=True),)


def test_a_hidden_value_is_unchanged_while_the_stamp_is_ours() -> None:
    plan = one_key("new", held("KEY_1", None, "s1"), written("KEY_1", "new", "s1"))

    assert plan.is_empty
    assert plan.drift == ()


def test_a_hidden_value_with_another_stamp_is_written_again_and_is_drift() -> None:
    plan = one_key("new", held("KEY_1", None, "s2"), written("KEY_1", "new", "s1"))

    assert [update.key for update in plan.updates] == ["KEY_1"]
    assert plan.drift == ("KEY_1",)


@pytest.mark.parametrize("entry", [None, written("KEY_1", None, "s1")])
def test_a_hidden_value_of_unknown_content_is_written_and_is_no_drift(entry: Written | None) -> None:
    plan = one_key("new", held("KEY_1", None, "s1"), entry)

    assert [update.key for update in plan.updates] == ["KEY_1"]
    assert plan.drift == ()


def test_a_changed_source_alone_is_no_drift() -> None:
    plan = one_key("new", held("KEY_1", "old", "s1"), written("KEY_1", "old", "s1"))

    assert [update.key for update in plan.updates] == ["KEY_1"]
    assert plan.drift == ()


def test_a_key_that_the_destination_lost_is_created_again_and_is_drift() -> None:
    plan = one_key("new", None, written("KEY_1", "new", "s1"))

    assert [create.key for create in plan.creates] == ["KEY_1"]
    assert plan.drift == ("KEY_1",)


# --- the hash ------------------------------------------------------------------------------------------

T = TypeVar("T")


def shuffled(mapping: dict[str, T], seed: int) -> dict[str, T]:
    items = list(mapping.items())
    random.Random(seed).shuffle(items)
    return dict(items)


@given(worlds(), st.integers())
def test_the_hash_does_not_depend_on_the_order_of_what_was_read(world: World, seed: int) -> None:
    other = replace(
        world,
        desired=shuffled(world.desired, seed),
        existing=shuffled(world.existing, seed),
        ledger=shuffled(world.ledger, seed),
    )

    assert other.plan() == world.plan()


@given(worlds(), st.data())
def test_the_hash_changes_with_a_value_that_would_be_written(world: World, data: st.DataObject) -> None:
    plan = world.plan()
    assume(writes(plan))
    key = data.draw(st.sampled_from(writes(plan))).key

    other = replace(world, desired={**world.desired, key: wanted(key, "something else")}).plan()

    assert other.hash != plan.hash


@given(worlds(), st.data())
def test_the_hash_changes_with_a_remote_that_would_be_replaced_or_deleted(
    world: World, data: st.DataObject
) -> None:
    plan = world.plan()
    assume(replacements(plan))
    remote = data.draw(st.sampled_from(replacements(plan))).remote
    moved = (
        replace(remote, stamp="moved") if remote.value is None else replace(remote, value=SecretStr("moved"))
    )

    other = replace(world, existing={**world.existing, remote.key: moved}).plan()

    assert other.hash != plan.hash


@given(worlds(), worlds())
def test_plans_that_do_different_things_have_different_hashes(one: World, other: World) -> None:
    first, second = one.plan(), other.plan()

    def deeds(plan: Plan) -> tuple[object, ...]:
        return (
            [(create.key, create.desired.value) for create in plan.creates],
            [(update.key, update.desired.value) for update in plan.updates],
            [delete.key for delete in plan.deletes],
        )

    assume(deeds(first) != deeds(second))
    assert first.hash != second.hash


@given(worlds())
def test_nothing_a_plan_shows_holds_a_value(world: World) -> None:
    plan = world.plan()

    told = repr(plan) + str(plan) + plan.hash
    try:
        check_safety(plan, limit_percent=0)
    except PlanBlocked as error:
        told += repr(error) + error.message

    assert not any(value in told for value in VALUES if value)


# --- the brake -----------------------------------------------------------------------------------------


def mirror(
    wanted_keys: Iterable[str],
    held_keys: Iterable[str],
    scope: Scope | None = None,
    *,
    ours: Iterable[str] = (),
) -> Plan:
    """Plan a mirror in which every key that both sides have is equal. The ledger has *ours*."""
    return World(
        {key: wanted(key, "same") for key in wanted_keys},
        {key: held(key, "same") for key in held_keys},
        {key: written(key, "same") for key in ours},
        scope or Scope(),
    ).plan()


def numbered(count: int, prefix: str = "KEY_") -> list[str]:
    return [f"{prefix}{number}" for number in range(count)]


@given(st.integers(1, 30), st.integers(0, 100))
def test_an_empty_source_deletes_nothing_unasked(count: int, limit: int) -> None:
    plan = mirror([], numbered(count))

    with pytest.raises(PlanBlocked, match="holds no secrets any more") as caught:
        check_safety(plan, limit_percent=limit)

    assert caught.value.plan_hash == plan.hash
    assert f"approvePlan={plan.hash}" in caught.value.message


def test_an_empty_source_is_harmless_where_nothing_would_be_deleted() -> None:
    plan = mirror([], numbered(5), Scope(may_delete=False))

    check_safety(plan, limit_percent=0)


def test_a_source_whose_keys_are_all_skipped_is_not_empty() -> None:
    plan = mirror(["TAKEN"], ["TAKEN", "OLD"], Scope(foreign=frozenset({"TAKEN"})))

    assert not plan.source_is_empty
    check_safety(plan, limit_percent=30)


@given(st.integers(2, 60), st.integers(0, 100), st.data())
def test_a_plan_is_blocked_exactly_if_it_deletes_more_than_its_share(
    total: int, limit: int, data: st.DataObject
) -> None:
    lost = data.draw(st.integers(0, total - 1))
    unmanaged = data.draw(st.integers(0, lost))
    plan = mirror(numbered(total - lost), numbered(total), ours=numbered(total - unmanaged))
    is_a_lot = lost >= 10 or unmanaged >= 5 or limit == 0
    too_much = is_a_lot and lost / total > limit / 100

    try:
        check_safety(plan, limit_percent=limit)
        blocked = False
    except PlanBlocked:
        blocked = True

    assert blocked == too_much


@pytest.mark.parametrize("scope", [Scope(covers=in_scope), Scope(foreign=frozenset(numbered(90, "OUT_")))])
def test_keys_that_are_not_ours_do_not_loosen_the_brake(scope: Scope) -> None:
    plan = mirror(numbered(5), [*numbered(20), *numbered(90, "OUT_")], scope)

    with pytest.raises(PlanBlocked, match="15 of 20 keys would be deleted"):
        check_safety(plan, limit_percent=30)


def test_emptying_values_counts_like_deleting_them() -> None:
    names = numbered(20)
    world = World(
        {key: wanted(key, "") for key in names}, {key: held(key, "full") for key in names}, {}, Scope()
    )

    with pytest.raises(PlanBlocked, match="and 20 emptied"):
        check_safety(world.plan(), limit_percent=30)


def test_emptying_what_nobody_remembers_counts_like_deleting_it() -> None:
    names = numbered(5)
    world = World(
        {
            **{key: wanted(key, "") for key in names},
            **{key: wanted(key, "same") for key in numbered(10, "K")},
        },
        {
            **{key: held(key, "full") for key in names},
            **{key: held(key, "same") for key in numbered(10, "K")},
        },
        {},
        Scope(),
    )

    with pytest.raises(PlanBlocked, match="5 emptied"):
        check_safety(world.plan(), limit_percent=30)


def test_a_hidden_value_that_nobody_else_has_is_not_emptied_unasked() -> None:
    world = World({"A": wanted("A", "")}, {"A": held("A", None)}, {}, Scope())

    with pytest.raises(PlanBlocked, match="lost for good"):
        check_safety(world.plan(), limit_percent=100)


def test_the_limit_itself_may_be_deleted_and_not_one_key_more() -> None:
    check_safety(mirror(numbered(70), numbered(100)), limit_percent=30)

    with pytest.raises(PlanBlocked, match="31 of 100"):
        check_safety(mirror(numbered(69), numbered(100)), limit_percent=30)


def test_nine_keys_are_few_and_ten_are_not() -> None:
    check_safety(mirror(numbered(11), numbered(20), ours=numbered(20)), limit_percent=30)

    with pytest.raises(PlanBlocked, match="10 of 20"):
        check_safety(mirror(numbered(10), numbered(20), ours=numbered(20)), limit_percent=30)


def test_two_values_that_are_all_there_is_are_not_emptied_unasked() -> None:
    names = numbered(2)
    world = World(
        {key: wanted(key, "") for key in names},
        {key: held(key, "full") for key in names},
        {key: written(key, "full") for key in names},
        Scope(),
    )

    with pytest.raises(PlanBlocked, match="Every value"):
        check_safety(world.plan(), limit_percent=30)


def test_what_an_import_left_behind_follows_the_vault_once_we_wrote_it() -> None:
    spared = Scope(spared=frozenset({"A"}))
    world = World({"A": wanted("A", "")}, {"A": held("A", "1")}, {"A": written("A", "1")}, spared)

    assert [change.key for change in world.plan().updates] == ["A"]


def test_a_new_source_with_many_keys_is_not_blocked() -> None:
    check_safety(mirror(numbered(200), numbered(3)), limit_percent=30)


def test_what_somebody_sealed_is_deleted_only_if_we_wrote_it() -> None:
    existing = {key: Remote(key, None, sealed=True) for key in ("OURS", "THEIRS")}
    ledger = {"OURS": Written("OURS", "f", 1, None)}

    plan = build_plan([], existing, ledger, scope=Scope(), fingerprint=lambda value: value.get_secret_value())

    assert [change.key for change in plan.deletes] == ["OURS"]
    assert plan.skipped == (Skip("THEIRS", Reason.SEALED, wanted=False),)
