"""The search for invalid places ends, however long the input is."""

import msgspec
import pytest

from schemas.base import Input
from schemas.errors import InvalidInput
from schemas.event import LogEvent, LogEvents
from schemas.issues import LEFT_OUT, MAX_LOOKED, decoded, find_issues
from schemas.sentences import UNFIT


class Numbers(Input, frozen=True, kw_only=True):
    """A list without a limit."""

    numbers: list[int]


LONG = {"list": [1] * (MAX_LOOKED + 1)}


def test_a_search_that_leaves_values_out_says_so() -> None:
    sent = {"type": 1, "data": LONG, "userId": 1}

    issues = find_issues(sent, LogEvent)

    assert [issue.path for issue in issues] == ["type", "userId", ""]
    assert issues[-1].message == LEFT_OUT


def test_a_search_that_ends_says_nothing_of_more() -> None:
    sent = {"type": 1, "data": {"list": [1] * (MAX_LOOKED - 10)}}

    assert [issue.path for issue in find_issues(sent, LogEvent)] == ["type"]


def test_a_place_that_the_search_does_not_reach_is_named_all_the_same() -> None:
    sent = {"numbers": [1] * MAX_LOOKED + ["x"]}

    with pytest.raises(InvalidInput) as caught:
        decoded(msgspec.json.encode(sent), msgspec.json.Decoder(Numbers))

    assert [(issue.path, issue.message) for issue in caught.value.issues] == [(f"numbers.{MAX_LOOKED}", UNFIT)]


def test_a_thousand_ordinary_events_are_searched_to_the_last() -> None:
    event = {"type": "order.placed", "data": {f"field{number}": number for number in range(30)}, "userId": "ann"}
    sent = {"events": [event] * 999 + [{**event, "userId": 1}]}

    assert [issue.path for issue in find_issues(sent, LogEvents)] == ["events.999.userId"]


def test_a_loosely_written_input_beyond_the_search_is_accepted() -> None:
    sent = {"events": [{"type": "a.b", "data": LONG}, {"type": "a.b", "data": {}, "userId": None}]}

    read = decoded(msgspec.json.encode(sent), msgspec.json.Decoder(LogEvents))

    assert len(read.events) == 2
