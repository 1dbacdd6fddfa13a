from datetime import UTC, datetime, timedelta, timezone
from random import Random
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.backoff import MAX_ATTEMPTS, next_reconcile, parse_cron, retry_delay, spread
from shared.errors import InvalidInput

NOON = datetime(2030, 6, 15, 12, 0, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)

dice = st.integers(min_value=0).map(Random)
moments = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
intervals = st.timedeltas(timedelta(seconds=1), timedelta(days=31))
offsets = st.floats(0, 1, exclude_max=True)


@given(st.integers(1, 5000), dice)
def test_a_wait_stays_between_its_floor_and_a_ceiling_that_doubles(attempt: int, rng: Random) -> None:
    delay = retry_delay(attempt, rng=rng)

    assert timedelta(seconds=0.2) <= delay <= timedelta(seconds=min(300, 2**attempt))


@pytest.mark.parametrize("attempt", range(1, MAX_ATTEMPTS + 1))
def test_waits_use_the_whole_room_below_the_ceiling(attempt: int) -> None:
    rng = Random(7)
    ceiling = min(300, 2**attempt)

    waits = [retry_delay(attempt, rng=rng).total_seconds() for _ in range(300)]

    assert min(waits) < ceiling * 0.15
    assert max(waits) > ceiling * 0.95


@given(st.integers(1, MAX_ATTEMPTS), st.floats(0.2, 3600), dice)
def test_a_provider_is_not_asked_sooner_than_it_wishes(attempt: int, asked: float, rng: Random) -> None:
    seconds = retry_delay(attempt, retry_after=asked, rng=rng).total_seconds()

    microsecond = 1e-6
    assert asked - microsecond <= seconds <= min(asked * 1.1, 3600) + microsecond


def test_those_who_were_asked_to_wait_do_not_come_back_together() -> None:
    rng = Random(7)

    waits = {retry_delay(1, retry_after=60, rng=rng) for _ in range(100)}

    assert len(waits) > 90


@pytest.mark.parametrize("asked", [3601, 86400, float("inf")])
def test_nobody_waits_longer_than_an_hour(asked: float) -> None:
    assert retry_delay(1, retry_after=asked, rng=Random(7)) == HOUR


@pytest.mark.parametrize("asked", [0.001, 1e-9])
def test_a_provider_that_asks_for_nearly_nothing_still_gets_a_pause(asked: float) -> None:
    assert retry_delay(1, retry_after=asked, rng=Random(7)) == timedelta(seconds=0.2)


def test_a_provider_that_asks_for_no_wait_at_all_gets_the_usual_one() -> None:
    assert retry_delay(8, retry_after=0, rng=Random(7)) == retry_delay(8, rng=Random(7))


def test_without_a_cadence_a_sync_is_never_due() -> None:
    assert next_reconcile(NOON, every=None, cron=None, offset=0.5) is None


@given(moments, intervals, offsets)
def test_an_interval_gives_its_first_moment_after_the_given_one(
    after: datetime, every: timedelta, offset: float
) -> None:
    due = next_reconcile(after, every=every, cron=None, offset=offset)

    assert due is not None
    assert after < due <= after + every
    assert (due - EPOCH - offset * every) % every == timedelta(0)


def test_a_moment_that_is_due_itself_is_followed_by_the_next() -> None:
    due = next_reconcile(NOON, every=HOUR, cron=None, offset=0.25)
    assert due == NOON + timedelta(minutes=15)

    assert next_reconcile(due, every=HOUR, cron=None, offset=0.25) == due + HOUR


def test_a_cron_expression_is_read_in_utc_and_comes_before_the_interval() -> None:
    elsewhere = NOON.astimezone(timezone(timedelta(hours=5, minutes=30)))

    due = next_reconcile(elsewhere, every=HOUR, cron="0 3 * * *", offset=0.5)

    assert due == datetime(2030, 6, 16, 3, 0, tzinfo=UTC)
    assert due.tzinfo is not None
    assert due.utcoffset() == timedelta(0)


def test_a_cron_moment_that_is_due_itself_is_followed_by_the_next() -> None:
    assert next_reconcile(NOON, every=None, cron="0 * * * *", offset=0) == NOON + HOUR


@given(st.uuids())
def test_the_place_of_a_sync_is_stable_and_within_the_interval(sync_id: UUID) -> None:
    place = spread(sync_id)

    assert 0 <= place < 1
    assert place == spread(UUID(str(sync_id)))


def test_syncs_whose_ids_were_made_in_a_row_are_spread_evenly() -> None:
    places = [spread(UUID(int=n)) for n in range(6000)]

    per_minute = [sum(1 for place in places if int(place * 60) == minute) for minute in range(60)]

    assert min(per_minute) > 50
    assert max(per_minute) < 150


@pytest.mark.parametrize(
    "text", ["0 3 * * *", "*/15 8-18 * * mon-fri", "@daily", "0 0 29 2 *", "0 0 L mar *"]
)
def test_a_cron_expression_is_accepted_as_it_is(text: str) -> None:
    assert parse_cron(f" {text} ") == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hourly",
        "* * * *",
        "61 * * * *",
        "*/0 * * * *",
        "@reboot",
        "* * * * * *",  # every second
        "0 0 30 2 *",  # never
        "R * * * *",  # at random
        "H * * * *",
        "0," * 200 + "0 * * * *",
    ],
)
def test_what_is_no_cron_expression_or_never_comes_due_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="five fields") as caught:
        parse_cron(text)

    assert caught.value.field == ("syncOptions", "reconcileCron")


cron_fields = st.text(alphabet="0123456789*/,-?LWRH#@()monjan", min_size=1, max_size=6)


@given(st.one_of(st.text(max_size=20), st.lists(cron_fields, min_size=5, max_size=5).map(" ".join)), moments)
def test_any_text_is_either_refused_or_gives_a_later_moment(text: str, after: datetime) -> None:
    try:
        cron = parse_cron(text)
    except InvalidInput:
        return

    due = next_reconcile(after, every=None, cron=cron, offset=0)
    assert due is not None
    assert due > after
