"""What every provider promises, as tests to inherit.

    class TestVercel(ProviderContract):
        provider_type = VercelProvider
        call_limits = CallLimits(first_sync=2, nothing_changed=1, ...)

        @pytest.fixture
        def scene(self) -> Scene: ...

The provider talks to its emulator over real HTTP. ``synchronise`` does what a run of the engine does.
"""

import hashlib
import logging
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import httpx
import pytest
from pydantic import SecretStr

from shared.errors import (
    AccessDenied,
    CredentialsRejected,
    DestinationNotFound,
    LeaseLost,
    ProviderError,
    RateLimited,
    RequestRejected,
    Unavailable,
    Unreachable,
)
from shared.key_schema import KeySchema
from shared.plan import Change, Create, Delete, Desired, Plan, Scope, Update, Written, build_plan
from shared.providers.base import (
    Access,
    Credentials,
    Destination,
    DestinationConfig,
    Provider,
    Pushed,
)
from tests.fakes.service import Drop, Fail, FakeServer, FakeService, Fault, Hang

Ledger = dict[str, Written]

#: A value to look for where it must not be. Tests name it, so that their own source lines do not hold it.
PLAIN = "plain-text-of-a-secret"


@dataclass(frozen=True)
class Scene:
    """An emulator with one place to write to, at least one neighbour that must not change, and the keys."""

    fake: FakeService
    place: str
    config: DestinationConfig
    missing: DestinationConfig
    method: str
    credentials: Credentials
    wrong_credentials: Credentials


@dataclass(frozen=True)
class CallLimits:
    """Provider calls a run of 100 keys may cost at most, the reading ones included."""

    first_sync: int
    nothing_changed: int
    one_changed: int
    all_changed: int
    one_removed: int
    all_removed: int


@dataclass(frozen=True)
class Run:
    """A run that ended: what was planned, and what the provider refused."""

    plan: Plan
    refused: Mapping[str, str]


def loopback_client() -> httpx.Client:
    # There is no TLS on the loopback, and loading the certificates would take longer than a test.
    return httpx.Client(verify=False)


def fingerprint(value: SecretStr) -> str:
    return hashlib.sha256(value.get_secret_value().encode()).hexdigest()


def synchronise(
    destination: Destination, values: Mapping[str, str], ledger: Ledger | None = None, **scope: Any
) -> Run:
    """Make *destination* hold *values* and nothing else, as a run of the engine does. Updates *ledger*.

    *scope* are parts of a ``Scope`` that narrow down what may be touched.
    """
    known = {} if ledger is None else ledger
    wanted = [Desired(key, SecretStr(value), 1, key) for key, value in values.items()]
    existing = destination.pull().remotes
    limits = Scope(refuses=destination.refuses, **scope)
    plan = build_plan(wanted, existing, known, scope=limits, fingerprint=fingerprint)
    refused: dict[str, str] = {}
    for batch in batches(destination, plan):
        pushed = destination.push(batch)
        refused.update(pushed.refused)
        note(known, batch, pushed)
    return Run(plan, refused)


def batches(destination: Destination, plan: Plan) -> Iterator[Sequence[Change]]:
    """Yield the batches of *plan*: creates and updates first, deletes last, never mixed."""
    phases: tuple[Sequence[Change], ...] = ((*plan.creates, *plan.updates), plan.deletes)
    for changes in phases:
        for start in range(0, len(changes), destination.batch_size):
            yield changes[start : start + destination.batch_size]


def note(ledger: Ledger, batch: Sequence[Change], pushed: Pushed) -> None:
    """Write into *ledger* what the provider confirmed."""
    for change in batch:
        if change.key in pushed.refused:
            continue
        if isinstance(change, Delete):
            ledger.pop(change.key, None)
        else:
            desired = change.desired
            stamp = pushed.stamps[change.key]
            ledger[change.key] = Written(change.key, fingerprint(desired.value), desired.version, stamp)


def create(key: str, value: str) -> Create:
    return Create(key, Desired(key, SecretStr(value), 1, key))


def update(destination: Destination, key: str, value: str) -> Update:
    return Update(key, Desired(key, SecretStr(value), 2, key), destination.pull().remotes[key])


def delete(destination: Destination, *keys: str) -> list[Change]:
    remotes = destination.pull().remotes
    return [Delete(key, remotes[key]) for key in keys]


def hundred(value: str = "value") -> dict[str, str]:
    return {f"KEY_{number:03}": f"{value}-{number}" for number in range(100)}


class ProviderContract:
    """Inherited by the tests of each provider."""

    provider_type: ClassVar[type[Provider[Any]]]
    call_limits: ClassVar[CallLimits]
    #: What a 403 and a place that does not exist mean, where the service's own answers mean something else.
    forbidden_error: ClassVar[type[ProviderError]] = AccessDenied
    missing_error: ClassVar[type[ProviderError]] = DestinationNotFound
    #: Does it refuse single keys of a batch and take the others? Otherwise it refuses the batch.
    refuses_single_keys: ClassVar[bool] = False
    #: Values that must arrive as they are. Leave one out only where the service documents that it cannot.
    hard_values: ClassVar[Mapping[str, str]] = {
        "EMPTY": "",
        "MULTI_LINE": "-----BEGIN-----\nab\r\n\tcd\n-----END-----\n",
        "UNICODE": "ключ 🔑 naïve \u2028",
        "QUOTES": "'single' \"double\" `back` \\slash\\n",
        "DOLLAR": "$HOME ${OTHER} $(date) $$ %s {{x}}",
        "SPACES": "  padded  ",
        "LONG": "0123456789abcde\n" * 1875,
    }

    @pytest.fixture
    def scene(self) -> Scene:
        """Return an emulator and how to reach it. Every provider's tests have their own."""
        raise NotImplementedError

    @pytest.fixture
    def fake(self, scene: Scene) -> Iterator[FakeService]:
        scene.fake.forget_calls()
        yield scene.fake
        assert scene.fake.violations == []

    @pytest.fixture
    def access(self, scene: Scene, fake: FakeService) -> Iterator[Access]:
        with FakeServer(fake) as server, loopback_client() as http:
            yield Access(
                method=scene.method, credentials=scene.credentials, http=http, address=server.address
            )

    @pytest.fixture
    def provider(self, access: Access) -> Provider[Any]:
        return self.provider_type(access)

    @pytest.fixture
    def destination(self, scene: Scene, provider: Provider[Any]) -> Destination:
        return provider.destination(scene.config)

    @pytest.fixture
    def other(self, scene: Scene, access: Access) -> Callable[..., Destination]:
        """Return a function that makes the destination anew with other parts of the access."""

        def make(config: DestinationConfig | None = None, **parts: Any) -> Destination:
            return self.provider_type(replace(access, **parts)).destination(config or scene.config)

        return make

    @pytest.fixture
    def held(self, scene: Scene, fake: FakeService) -> Callable[[], Mapping[str, str]]:
        """Return a function that tells what the place really holds."""
        return lambda: fake.places()[scene.place]

    # --- reading and writing ---------------------------------------------------------------------------

    def test_an_empty_place_has_no_keys(self, destination: Destination) -> None:
        assert destination.pull().remotes == {}

    def test_the_constructors_make_no_call(self, destination: Destination, fake: FakeService) -> None:
        assert fake.calls == []

    def test_created_keys_are_seen_by_the_next_pull(
        self, provider: Provider[Any], destination: Destination
    ) -> None:
        destination.push([create("ONE", "first"), create("TWO", "second")])

        remotes = destination.pull().remotes

        assert set(remotes) == {"ONE", "TWO"}
        if provider.reads_values:
            assert remotes["ONE"].value == SecretStr("first")

    def test_an_update_replaces_the_value_in_place(
        self, destination: Destination, held: Callable[[], Mapping[str, str]]
    ) -> None:
        destination.push([create("ONE", "first"), create("TWO", "second")])

        destination.push([update(destination, "ONE", "changed")])

        assert held() == {"ONE": "changed", "TWO": "second"}

    def test_creates_and_updates_go_together(
        self, destination: Destination, held: Callable[[], Mapping[str, str]]
    ) -> None:
        destination.push([create("ONE", "first")])

        destination.push([create("TWO", "second"), update(destination, "ONE", "changed")])

        assert held() == {"ONE": "changed", "TWO": "second"}

    def test_a_delete_takes_that_key_and_no_other(
        self, destination: Destination, held: Callable[[], Mapping[str, str]]
    ) -> None:
        destination.push([create("ONE", "first"), create("TWO", "second"), create("ONE_MORE", "third")])

        destination.push(delete(destination, "ONE"))

        assert held() == {"TWO": "second", "ONE_MORE": "third"}
        assert set(destination.pull().remotes) == {"TWO", "ONE_MORE"}

    def test_values_arrive_exactly_as_they_are(
        self,
        provider: Provider[Any],
        destination: Destination,
        held: Callable[[], Mapping[str, str]],
    ) -> None:
        destination.push([create(key, value) for key, value in self.hard_values.items()])

        assert held() == self.hard_values
        if provider.reads_values:
            read = {key: remote.value for key, remote in destination.pull().remotes.items()}
            assert read == {key: SecretStr(value) for key, value in self.hard_values.items()}

    # --- repeating -------------------------------------------------------------------------------------

    def test_pushing_a_batch_twice_does_no_harm(
        self, destination: Destination, held: Callable[[], Mapping[str, str]]
    ) -> None:
        batch = [create("ONE", "first"), create("TWO", "second")]

        destination.push(batch)
        again = destination.push(batch)

        assert held() == {"ONE": "first", "TWO": "second"}
        assert set(again.stamps) == {"ONE", "TWO"}

    def test_deleting_what_is_gone_does_no_harm(
        self, destination: Destination, held: Callable[[], Mapping[str, str]]
    ) -> None:
        destination.push([create("ONE", "first"), create("TWO", "second")])
        batch = delete(destination, "ONE")
        destination.push(batch)

        again = destination.push(batch)

        assert held() == {"TWO": "second"}
        assert set(again.stamps) == {"ONE"}

    def test_a_finished_sync_repeated_reads_at_most_once_and_writes_nothing(
        self, destination: Destination, fake: FakeService
    ) -> None:
        ledger: Ledger = {}
        synchronise(destination, {"ONE": "first", "TWO": "second"}, ledger)
        fake.forget_calls()

        run = synchronise(destination, {"ONE": "first", "TWO": "second"}, ledger)

        assert run.plan.is_empty
        assert fake.writes == []
        assert len(fake.reads) <= 1

    def test_every_key_of_a_batch_is_stamped_or_refused_but_not_both(self, destination: Destination) -> None:
        batch = [create("ONE", "first"), create("TWO", "second")]

        created = destination.push(batch)
        deleted = destination.push(delete(destination, "ONE"))

        assert sorted([*created.stamps, *created.refused]) == ["ONE", "TWO"]
        assert [*deleted.stamps, *deleted.refused] == ["ONE"]

    def test_the_stamp_of_a_write_is_the_stamp_of_the_next_pull(self, destination: Destination) -> None:
        created = destination.push([create("ONE", "first"), create("TWO", "second")])
        updated = destination.push([update(destination, "ONE", "changed")])

        remotes = destination.pull().remotes

        assert remotes["ONE"].stamp == updated.stamps["ONE"]
        assert remotes["TWO"].stamp == created.stamps["TWO"]

    def test_somebody_elses_edit_is_seen(
        self, scene: Scene, destination: Destination, fake: FakeService
    ) -> None:
        ledger: Ledger = {}
        synchronise(destination, {"ONE": "first", "TWO": "second"}, ledger)
        fake.seed(scene.place, {"ONE": "edited by hand"})

        run = synchronise(destination, {"ONE": "first", "TWO": "second"}, ledger)

        assert run.plan.drift == ("ONE",)
        assert fake.places()[scene.place] == {"ONE": "first", "TWO": "second"}

    def test_a_place_with_hundreds_of_keys_is_read_whole(
        self, scene: Scene, destination: Destination, fake: FakeService
    ) -> None:
        keys = {f"KEY_{number:03}" for number in range(250)}
        fake.seed(scene.place, dict.fromkeys(keys, "value"))

        assert set(destination.pull().remotes) == keys

    # --- what must not change --------------------------------------------------------------------------

    def test_keys_outside_the_key_schema_are_never_touched(
        self, scene: Scene, destination: Destination, fake: FakeService
    ) -> None:
        fake.seed(scene.place, {"THEIRS": "1", "APP": "2"})
        fake.forget_calls()
        ledger: Ledger = {}
        covers = partial(KeySchema.parse("APP_{{secretKey}}").matches, environment="production")

        for wanted in ({"APP_ONE": "1", "APP_TWO": "2"}, {"APP_ONE": "changed"}, {}):
            synchronise(destination, wanted, ledger, covers=covers)

            assert fake.places()[scene.place] == {"THEIRS": "1", "APP": "2", **wanted}

        assert not fake.was_ever_absent(scene.place, "THEIRS")

    def test_nothing_is_deleted_where_deletion_is_disabled(
        self, scene: Scene, destination: Destination, fake: FakeService
    ) -> None:
        fake.seed(scene.place, {"THEIRS": "1"})
        ledger: Ledger = {}
        synchronise(destination, {"ONE": "first", "TWO": "second"}, ledger, may_delete=False)

        synchronise(destination, {"ONE": "changed"}, ledger, may_delete=False)

        assert fake.places()[scene.place] == {"THEIRS": "1", "ONE": "changed", "TWO": "second"}

    def test_the_neighbours_stay_as_they_are(
        self, scene: Scene, destination: Destination, fake: FakeService
    ) -> None:
        before = _neighbours(scene)
        assert any(before.values())

        synchronise(destination, {"SHARED_NAME": "first", "TWO": "second"})
        synchronise(destination, {"SHARED_NAME": "changed"})
        synchronise(destination, {"OTHER": "third"})

        assert _neighbours(scene) == before

    def test_an_updated_key_is_never_absent(
        self, scene: Scene, destination: Destination, fake: FakeService
    ) -> None:
        synchronise(destination, {f"KEY_{number}": "old" for number in range(5)})
        fake.forget_calls()

        synchronise(destination, {f"KEY_{number}": "new" for number in range(5)})

        assert set(fake.places()[scene.place].values()) == {"new"}
        assert not [key for key in fake.places()[scene.place] if fake.was_ever_absent(scene.place, key)]

    # --- errors ----------------------------------------------------------------------------------------

    def test_rejected_credentials_are_named(self, destination: Destination, fake: FakeService) -> None:
        fake.fail_next(Fail(401))

        with pytest.raises(CredentialsRejected):
            destination.pull()

    def test_a_missing_right_is_named(self, destination: Destination, fake: FakeService) -> None:
        fake.fail_next(Fail(403))

        with pytest.raises(self.forbidden_error):
            destination.push([create("ONE", "first")])

    def test_a_place_that_answers_404_is_not_found(self, destination: Destination, fake: FakeService) -> None:
        fake.fail_next(Fail(404))

        with pytest.raises(DestinationNotFound):
            destination.pull()

    def test_a_place_that_does_not_exist_is_an_error_and_never_empty(
        self, scene: Scene, other: Callable[..., Destination]
    ) -> None:
        with pytest.raises(self.missing_error):
            other(scene.missing).pull()

    def test_a_rate_limit_says_how_long_to_wait(self, destination: Destination, fake: FakeService) -> None:
        fake.fail_next(Fail(429))

        with pytest.raises(RateLimited) as caught:
            destination.push([create("ONE", "first")])

        assert caught.value.retry_after is not None
        assert caught.value.retry_after > 0

    @pytest.mark.parametrize("status", [500, 502, 503, 504])
    def test_a_provider_out_of_order_is_unavailable(
        self, destination: Destination, fake: FakeService, status: int
    ) -> None:
        fake.fail_next(Fail(status))

        with pytest.raises(Unavailable):
            destination.push([create("ONE", "first")])

    @pytest.mark.parametrize("fault", [Drop(applied=False), Drop(applied=True), Fail(503)], ids=str)
    @pytest.mark.parametrize("target", [{"ONE": "new", "TWO": "more"}, {"TWO": "same"}], ids=["put", "drop"])
    def test_a_write_of_unknown_outcome_converges_when_repeated(
        self,
        scene: Scene,
        destination: Destination,
        fake: FakeService,
        fault: Fault,
        target: Mapping[str, str],
    ) -> None:
        ledger: Ledger = {}
        synchronise(destination, {"ONE": "old", "TWO": "same"}, ledger)
        fake.fail_next(fault, where=fake.is_write)

        with pytest.raises((Unreachable, Unavailable)):
            synchronise(destination, target, ledger)
        synchronise(destination, target, ledger)

        assert fake.places()[scene.place] == target

    @pytest.mark.parametrize("fault", [Drop(applied=False), Drop(applied=True), Fail(503)], ids=str)
    def test_the_same_batch_pushed_again_after_a_dropped_answer_converges(
        self, scene: Scene, destination: Destination, fake: FakeService, fault: Fault
    ) -> None:
        batch = [create("ONE", "first"), create("TWO", "second")]
        fake.fail_next(fault, where=fake.is_write)

        with pytest.raises((Unreachable, Unavailable)):
            destination.push(batch)
        destination.push(batch)

        assert fake.places()[scene.place] == {"ONE": "first", "TWO": "second"}

    def test_a_dropped_connection_is_unreachable(self, destination: Destination, fake: FakeService) -> None:
        fake.fail_next(Drop(applied=False))

        with pytest.raises(Unreachable):
            destination.pull()

    def test_an_answer_that_never_comes_is_unreachable(
        self, other: Callable[..., Destination], fake: FakeService
    ) -> None:
        impatient = other(call_seconds=0.2)
        fake.fail_next(Hang())

        with pytest.raises(Unreachable):
            impatient.pull()

    def test_a_refused_key_is_named(self, scene: Scene, destination: Destination, fake: FakeService) -> None:
        fake.refused.add("TWO")
        batch = [create("ONE", "first"), create("TWO", "second")]

        if self.refuses_single_keys:
            pushed = destination.push(batch)

            assert set(pushed.refused) == {"TWO"}
            assert fake.places()[scene.place] == {"ONE": "first"}
        else:
            with pytest.raises(RequestRejected):
                destination.push(batch)

            assert fake.places()[scene.place] == {}

    # --- who ----------------------------------------------------------------------------------------------

    def test_the_credentials_say_whose_they_are(self, provider: Provider[Any]) -> None:
        account = provider.whoami()

        assert account.id
        assert account.name

    def test_wrong_credentials_are_rejected(self, scene: Scene, access: Access) -> None:
        stranger = replace(access, credentials=scene.wrong_credentials)

        with pytest.raises(CredentialsRejected):
            self.provider_type(stranger).whoami()

    def test_two_descriptions_that_differ_in_labels_are_one_place(self, scene: Scene) -> None:
        renamed = scene.config.model_copy(update=dict.fromkeys(scene.config.labels, "renamed"))

        assert renamed.identity() == scene.config.identity()
        assert scene.missing.identity() != scene.config.identity()

    # --- the engine's hooks ----------------------------------------------------------------------------

    def test_every_request_is_announced(self, other: Callable[..., Destination], fake: FakeService) -> None:
        announced: list[int] = []
        watched = other(before_call=lambda: announced.append(len(fake.calls)))

        synchronise(watched, {"ONE": "first"})
        synchronise(watched, {"TWO": "second"})

        assert announced == list(range(len(fake.calls)))

    def test_a_lost_lease_stops_the_request(
        self, other: Callable[..., Destination], fake: FakeService
    ) -> None:
        def lost() -> None:
            raise LeaseLost

        with pytest.raises(LeaseLost):
            other(before_call=lost).push([create("ONE", "first")])

        assert fake.calls == []

    # --- secrecy ---------------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        "fault",
        [Fail(400), Fail(401), Fail(403), Fail(404), Fail(429), Fail(500), Drop(applied=False)],
        ids=str,
    )
    def test_no_error_shows_a_value_or_a_credential(
        self, scene: Scene, destination: Destination, fake: FakeService, fault: Fault
    ) -> None:
        fake.fail_next(fault, where=fake.is_write)

        with pytest.raises(ProviderError) as caught:
            destination.push([create("ONE", PLAIN), create("TWO", PLAIN)])

        shown = "".join(traceback.format_exception(caught.value)) + repr(vars(caught.value))
        assert PLAIN not in shown
        assert not [secret for secret in _secrets(scene) if secret in shown]

    def test_no_log_line_and_no_repr_shows_a_value_or_a_credential(
        self,
        scene: Scene,
        provider: Provider[Any],
        destination: Destination,
        fake: FakeService,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        caplog.set_level(logging.DEBUG)

        provider.whoami()
        synchronise(destination, {"ONE": PLAIN, "TWO": PLAIN})
        synchronise(destination, {"ONE": f"{PLAIN} again"})

        shown = (
            caplog.text + repr(provider) + repr(destination) + repr(vars(provider)) + repr(vars(destination))
        )
        assert PLAIN not in shown
        assert not [secret for secret in _secrets(scene) if secret in shown]

    # --- what it costs ---------------------------------------------------------------------------------

    def test_a_first_sync_of_100_keys_stays_below_its_limit(
        self, destination: Destination, fake: FakeService
    ) -> None:
        synchronise(destination, hundred())

        assert len(fake.calls) <= self.call_limits.first_sync

    def test_nothing_changed_stays_below_its_limit(self, destination: Destination, fake: FakeService) -> None:
        assert self._calls(destination, fake, hundred()) <= self.call_limits.nothing_changed

    def test_one_changed_key_stays_below_its_limit(self, destination: Destination, fake: FakeService) -> None:
        target = {**hundred(), "KEY_050": "changed"}

        assert self._calls(destination, fake, target) <= self.call_limits.one_changed

    def test_100_changed_keys_stay_below_their_limit(
        self, destination: Destination, fake: FakeService
    ) -> None:
        assert self._calls(destination, fake, hundred("changed")) <= self.call_limits.all_changed

    def test_one_removed_key_stays_below_its_limit(self, destination: Destination, fake: FakeService) -> None:
        target = {key: value for key, value in hundred().items() if key != "KEY_050"}

        assert self._calls(destination, fake, target) <= self.call_limits.one_removed

    def test_100_removed_keys_stay_below_their_limit(
        self, destination: Destination, fake: FakeService
    ) -> None:
        assert self._calls(destination, fake, {}) <= self.call_limits.all_removed

    def _calls(self, destination: Destination, fake: FakeService, target: Mapping[str, str]) -> int:
        """Return how many calls it costs to turn the synchronised hundred keys into *target*."""
        ledger: Ledger = {}
        synchronise(destination, hundred(), ledger)
        fake.forget_calls()
        synchronise(destination, target, ledger)
        return len(fake.calls)

    # --- the official schema ---------------------------------------------------------------------------

    def test_requests_follow_the_official_schema(
        self, provider: Provider[Any], destination: Destination, fake: FakeService
    ) -> None:
        if not fake.checks_schema:
            pytest.skip("the official schemas are not beside this checkout (KEYTIDE_CONTRACTS)")

        provider.whoami()
        provider.projects()
        synchronise(destination, {"ONE": "first", "TWO": "second"})
        synchronise(destination, {"ONE": "changed"})
        destination.redeploy()

        assert fake.violations == []


def _neighbours(scene: Scene) -> dict[str, dict[str, str]]:
    places = scene.fake.places().items()
    return {name: dict(variables) for name, variables in places if name != scene.place}


def _secrets(scene: Scene) -> list[str]:
    values = dict(scene.credentials).values()
    return [value.get_secret_value() for value in values if isinstance(value, SecretStr)]
