"""How many calls a minute a key may make."""

import pytest

from app.capacity.rates import MINUTE, Rate, Rates
from schemas.errors import RateLimited

SECOND = 10**9


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 5 * MINUTE

    def __call__(self) -> int:
        return self.now


def taken(rates: Rates, times: int, rate: Rate = "read", key_id: str = "a") -> int:
    """Make so many calls at once. Returns how many of them pass."""
    passed = 0
    for _ in range(times):
        try:
            rates.take(rate, key_id)
            passed += 1
        except RateLimited:
            pass
    return passed


@pytest.mark.parametrize("limit", [1, 3, 7, 60, 1000])
def test_a_key_may_make_all_calls_of_a_minute_at_once(limit: int) -> None:
    rates = Rates({"read": limit, "write": 0}, Clock())

    assert taken(rates, limit + 5) == limit


def test_calls_come_back_one_by_one() -> None:
    clock = Clock()
    rates = Rates({"read": 6, "write": 0}, clock)

    at_once = taken(rates, 10)
    clock.now += 10 * SECOND
    after_ten_seconds = taken(rates, 10)
    clock.now += 60 * SECOND
    after_a_minute = taken(rates, 10)

    assert (at_once, after_ten_seconds, after_a_minute) == (6, 1, 6)


def test_a_caller_that_keeps_the_pace_is_never_rejected() -> None:
    clock = Clock()
    rates = Rates({"read": 7, "write": 0}, clock)

    for _ in range(50):
        assert taken(rates, 1) == 1
        clock.now += MINUTE // 7


def test_keys_and_rates_are_counted_apart() -> None:
    rates = Rates({"read": 2, "write": 1}, Clock())

    assert taken(rates, 3) == 2
    assert taken(rates, 3, "write") == 1
    assert taken(rates, 3, key_id="b") == 2


def test_a_rejected_caller_learns_when_to_retry() -> None:
    clock = Clock()
    rates = Rates({"read": 6, "write": 0}, clock)
    taken(rates, 6)
    clock.now += 3 * SECOND

    with pytest.raises(RateLimited) as caught:
        rates.take("read", "a")
    clock.now += caught.value.retry_after_seconds * SECOND

    assert caught.value.retry_after_seconds == 7
    assert taken(rates, 2) == 1


def test_an_answer_has_the_remaining_calls() -> None:
    clock = Clock()
    rates = Rates({"read": 6, "write": 0}, clock)

    left = []
    for _ in range(3):
        rates.take("read", "a")
        allowance = rates.allowance("read", "a")
        assert allowance is not None
        left.append(allowance.remaining)

    assert left == [5, 4, 3]
    assert rates.allowance("write", "a") is None


def test_keys_that_have_all_of_their_calls_are_forgotten() -> None:
    clock = Clock()
    rates = Rates({"read": 60, "write": 0}, clock)
    for number in range(1000):
        rates.take("read", f"key{number}")

    clock.now += 2 * MINUTE
    rates.take("read", "last")

    assert rates.known_keys == 1
