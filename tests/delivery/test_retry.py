"""When a delivery is attempted again."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.delivery.retry import next_attempt_at, parse_retry_after

SCHEDULE = (0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
NOW = datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)


def _wait(attempts: int, random: float = 0.5, retry_after_seconds: float | None = None) -> float | None:
    at = next_attempt_at(
        attempts, schedule=SCHEDULE, now=NOW, random=lambda: random, retry_after_seconds=retry_after_seconds
    )
    return None if at is None else (at - NOW).total_seconds()


def test_without_jitter_the_waits_are_those_of_the_schedule() -> None:
    assert tuple(_wait(attempts) for attempts in range(10)) == SCHEDULE


@pytest.mark.parametrize("attempts", [10, 11, 1000, -1])
def test_after_the_schedule_there_is_no_attempt(attempts: int) -> None:
    assert _wait(attempts) is None
    assert _wait(attempts, retry_after_seconds=60) is None


def test_an_empty_schedule_allows_no_attempt() -> None:
    assert next_attempt_at(0, schedule=(), now=NOW, random=lambda: 0.0) is None


def test_jitter_is_a_fifth_to_either_side() -> None:
    assert _wait(2, random=0.0) == pytest.approx(240)
    assert _wait(2, random=0.999999999) == pytest.approx(360)


WAITS = {
    "longer than the schedule": (2, 0.0, 1000, 1000),
    "longer, spread upward alone": (2, 0.5, 1000, 1100),
    "shorter than the schedule": (3, 0.5, 10, 1800),
    "nothing": (3, 0.5, 0, 1800),
    "negative": (3, 0.5, -5, 1800),
    "more than a day": (2, 0.0, 10**9, 86400),
    "infinite": (2, 0.0, float("inf"), 86400),
}


@pytest.mark.parametrize(("attempts", "random", "asked", "wait"), WAITS.values(), ids=list(WAITS))
def test_a_longer_wait_that_the_receiver_requests_counts(
    attempts: int, random: float, asked: float, wait: float
) -> None:
    assert _wait(attempts, random, asked) == pytest.approx(wait)


@given(st.integers(0, 9), st.floats(0, 1, exclude_max=True), st.one_of(st.none(), st.floats(0, 1e12, allow_nan=False)))
def test_a_wait_is_never_sooner_than_asked_nor_out_of_bounds(attempts: int, random: float, asked: float | None) -> None:
    wait = _wait(attempts, random, asked)

    assert wait is not None
    assert wait >= SCHEDULE[attempts] * 0.8 - 1e-3
    assert wait >= min(asked or 0, 86400) - 1e-3
    assert wait <= max(SCHEDULE[attempts], min(asked or 0, 86400)) * 1.2 + 1e-3


HEADERS = {
    "seconds": ("120", 120),
    "zero": ("0", 0),
    "white space": (" 120\t", 120),
    "leading zeros": ("00120", 120),
    "more than a day": ("86401", 86400),
    "very many digits": ("9" * 10_000, 86400),
    "IMF-fixdate": ("Sun, 06 Nov 1994 08:51:37 GMT", 120),
    "RFC 850": ("Sunday, 06-Nov-94 08:51:37 GMT", 120),
    "asctime": ("Sun Nov  6 08:51:37 1994", 120),
    "a date that has passed": ("Sun, 06 Nov 1994 08:49:36 GMT", 0),
    "a date years away": ("Sun, 06 Nov 2044 08:49:37 GMT", 86400),
    "nothing": ("", None),
    "negative": ("-1", None),
    "a fraction": ("1.5", None),
    "a sign": ("+5", None),
    "hexadecimal": ("0x10", None),
    "digits of another script": ("١٢٠", None),
    "a superscript": ("²", None),
    "text": ("tomorrow", None),
    "ISO 8601": ("1994-11-06T08:51:37Z", None),
    "no such day": ("Sun, 31 Feb 1994 08:51:37 GMT", None),
    "a zone beyond a day": ("Sun, 06 Nov 1994 08:51:37 +9999", None),
    "long text": ("x" * 10_000, None),
}


@pytest.mark.parametrize(("text", "seconds"), HEADERS.values(), ids=list(HEADERS))
def test_retry_after_is_seconds_or_a_date(text: str, seconds: int | None) -> None:
    assert parse_retry_after(text, NOW) == seconds


def test_a_part_of_a_second_rounds_up() -> None:
    assert parse_retry_after("Sun, 06 Nov 1994 08:49:39 GMT", NOW + timedelta(milliseconds=500)) == 2


@given(st.one_of(st.text(max_size=70), st.from_regex(r"[A-Z][a-z]{2}, [0-9]{1,5} [A-Z][a-z]{2} [0-9]{1,6} .{0,20}")))
def test_hostile_text_raises_nothing(text: str) -> None:
    seconds = parse_retry_after(text, NOW)

    assert seconds is None or 0 <= seconds <= 86400


@given(st.datetimes(timezones=st.just(UTC), min_value=datetime(1900, 1, 1), max_value=datetime(9990, 1, 1)))  # noqa: DTZ001 - Hypothesis wants naive bounds
def test_any_date_is_a_wait_within_a_day(at: datetime) -> None:
    text = at.strftime("%a, %d %b ") + f"{at.year:04d}" + at.strftime(" %H:%M:%S GMT")
    elsewhere = NOW.astimezone(timezone(timedelta(hours=-7)))

    seconds = parse_retry_after(text, elsewhere)

    assert seconds == min(max((at.replace(microsecond=0) - NOW).total_seconds(), 0), 86400)
