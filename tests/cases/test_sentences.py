"""Errors are our own sentences: they do not repeat a library's words, and say what would be right."""

import json
import re
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Meta

from app.ledger.draft import Drafting
from procedures.registry import registry
from schemas.base import Input, Instant, Section
from schemas.errors import InvalidInput
from schemas.event import START_MESSAGE
from schemas.instants import fault_of
from schemas.issues import decoded, find_issues
from schemas.principal import Principal
from tests.kit.servers import Server
from tests.kit.web import get
from tests.properties.test_bad_input import EVENT, INPUTS

FOREIGN = re.compile(
    r"Expected `|got `|Object (missing|contains)|Invalid (enum|RFC3339|UUID|value)|at `\$|Input data|out of range - at"
    r"|NoneType|<class|Traceback|validation error|msgspec|pydantic"
)
"""Words of the libraries that parse input."""

DRAFTING = Drafting("did:key:z")

ODD: list[Any] = [None, True, 5, 5.5, -1, 2**60, "", "x", "\0", "2026-02-30T00:00:00Z", [], [5], [None], {}, {"x": 5}]


def _places(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for name, item in items for place in _places(item, (*path, name)))]


def _changed(value: Any, path: tuple[str | int, ...], odd: Any) -> Any:
    if not path:
        return odd
    name, *rest = path
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    copy[name] = _changed(value[name], tuple(rest), odd)
    return copy


def _issues(name: str, sent: Any) -> list[str]:
    try:
        decoded(json.dumps(sent).encode(), registry()[name].decoder, DRAFTING.metadata)
    except InvalidInput as error:
        return [issue.message for issue in error.issues]
    return []


@pytest.mark.parametrize("name", sorted(INPUTS))
def test_no_issue_of_an_input_has_a_librarys_words(name: str) -> None:
    told = {
        message
        for path in _places(INPUTS[name])
        for odd in ODD
        for message in _issues(name, _changed(INPUTS[name], path, odd))
    }

    assert [message for message in told if FOREIGN.search(message)] == []


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*EVENT, "x"]), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(INPUTS)), st.data())
def test_no_mixture_of_issues_has_a_librarys_words(name: str, data: st.DataObject) -> None:
    sent = INPUTS[name]
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(_places(sent)))
        sent = _changed(sent, path, data.draw(JSON_VALUES))

    assert [message for message in _issues(name, sent) if FOREIGN.search(message)] == []


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_what_is_stored_is_told_in_our_words(odd: Any) -> None:
    owner = Principal(key_id="k", user_id="u", scopes=frozenset({"*"}), workspaces=("w",))
    told = []
    for path in _places(EVENT["metadata"]):
        try:
            sent = json.dumps(EVENT | {"metadata": _changed(EVENT["metadata"], path, odd)}).encode()
            DRAFTING.draft(decoded(sent, registry()["events.log"].decoder, DRAFTING.metadata), owner, "w")
        except InvalidInput as error:
            told += [issue.message for issue in error.issues]

    assert [message for message in told if FOREIGN.search(message)] == []


class Part(Section, frozen=True, kw_only=True):
    """A part with a check of its own."""

    low: int
    high: int

    def __post_init__(self) -> None:
        """Raise ValueError if the bounds are in the wrong order."""
        if self.low > self.high:
            raise ValueError("low must not be above high")


class Own(Input, frozen=True, kw_only=True):
    """Types that a developer may declare without a message of their own."""

    stars: Annotated[int, Meta(ge=1, le=5)] = 1
    name: Annotated[str, Meta(min_length=2, max_length=3)] = "ab"
    code: Annotated[str, Meta(pattern="^[a-z]+$")] = "a"
    sizes: Annotated[list[int], Meta(max_length=2)] | None = None
    counts: dict[str, int] | None = None
    tags: set[str] | None = None
    pair: tuple[int, str] = (1, "a")
    either: int | str = 1
    colour: Literal["red", "green"] = "red"
    on: bool = True
    id: UUID | None = None
    at: Instant | None = None
    part: Part | None = None
    named: (
        Annotated[list[str], Meta(min_length=1, max_length=2, extra={"message": "must have 1 to 2 names"})] | None
    ) = None


IN_ORDER = "stars, name, code, sizes, counts, tags, pair, either, colour, on, id, at, part, named"
OWN = ", ".join(sorted(IN_ORDER.split(", ")))


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ({"stars": 6}, {"stars": "must be a whole number (at least 1, at most 5)"}),
        ({"stars": "5"}, {"stars": "must be a whole number (at least 1, at most 5)"}),
        ({"name": "abcd"}, {"name": "must be text (at least 2 long, at most 3 long)"}),
        ({"name": 5}, {"name": "must be text, not a number"}),
        ({"code": "A"}, {"code": "must be text (matching the pattern ^[a-z]+$)"}),
        ({"sizes": [1, 2, 3]}, {"sizes": "must be an array (at most 2 long), not 3"}),
        ({"sizes": [1, "x"]}, {"sizes.1": "must be a whole number"}),
        ({"sizes": {}}, {"sizes": "must be an array (at most 2 long)"}),
        ({"counts": {"a": 1.0, "b": "x"}}, {"counts.b": "must be a whole number"}),
        ({"counts": []}, {"counts": "must be an object, not an array"}),
        ({"tags": ["a", 5]}, {"tags.1": "must be text, not a number"}),
        ({"pair": [1]}, {"pair": "does not fit what is expected here"}),
        ({"either": []}, {"either": "must be a whole number or text, not an array"}),
        ({"colour": "blue"}, {"colour": "must be one of: red, green"}),
        ({"on": "yes"}, {"on": "must be true or false, not text"}),
        ({"id": "x"}, {"id": "must be a UUID: 32 digits of hex, with or without dashes"}),
        ({"id": 5}, {"id": "must be a UUID: 32 digits of hex, with or without dashes, not a number"}),
        ({"at": 5}, {"at": "must be an RFC 3339 time with a UTC offset, not a number"}),
        ({"part": {"low": 2, "high": 1}}, {"part": "low must not be above high"}),
        ({"part": {"low": 2.0, "high": 1.0}}, {"part": "low must not be above high"}),
        ({"part": {"low": "x"}}, {"part.low": "must be a whole number", "part.high": "is required"}),
        (
            {"part": []},
            {"part": "must be an object, not an array; it has the members: low (required), high (required)"},
        ),
        ({"named": "ab"}, {"named": "must be an array, not text; it must have 1 to 2 names"}),
        ({"named": {}}, {"named": "must be an array, not an object; it must have 1 to 2 names"}),
        ({"named": []}, {"named": "must have 1 to 2 names, not 0"}),
        ({"low": 1}, {"low": f"is not a known field; did you mean part.low? known are: {OWN}"}),
        ([], {"": f"must be an object, not an array; it has the members: {IN_ORDER}"}),
    ],
    ids=repr,
)
def test_issues_of_a_developers_types_are_in_our_words(sent: Any, told: dict[str, str]) -> None:
    assert {issue.path: issue.message for issue in find_issues(sent, Own)} == told


def test_a_developers_own_whole_numbers_may_have_a_fraction() -> None:
    sent = b'{"stars":5.0,"sizes":[1e0],"counts":{"a":2.0},"either":1.0,"part":{"low":1.0,"high":2}}'

    assert decoded(sent, msgspec.json.Decoder(Own)) == Own(
        stars=5, sizes=[1], counts={"a": 2}, either=1, part=Part(low=1, high=2)
    )


INSTANTS = {
    "2026-02-30T00:00:00Z": "the day 2026-02-30 does not exist",
    "2025-02-29T00:00:00Z": "the day 2025-02-29 does not exist",
    "1900-02-29T00:00:00Z": "the day 1900-02-29 does not exist",
    "2026-04-31T00:00:00Z": "the day 2026-04-31 does not exist",
    "2026-01-00T00:00:00Z": "the day 2026-01-00 does not exist",
    "2026-13-01T00:00:00Z": "there is no month 13",
    "0000-01-01T00:00:00Z": "the first year is 0001",
    "2026-01-01T23:59:60Z": "leap seconds (second 60) cannot be stored; send second 59, or 00 of the next minute",
    "2026-01-01T23:59:61Z": "there is no second 61",
    "2026-01-01T24:00:00Z": "the last hour is 23; midnight is 00:00:00 of the next day",
    "2026-01-01T25:00:00Z": "the time 25:00 does not exist",
    "2026-01-01T12:60:00Z": "the time 12:60 does not exist",
    "2026-01-01T12:00Z": "the seconds are missing",
    "2026-01-01": "the time is missing; add one with an offset, such as T00:00:00Z",
    "2026-01-01T12:00:00": "the UTC offset is missing; add Z, or an offset such as +02:00",
    "2026-01-01T12:00:00.5": "the UTC offset is missing; add Z, or an offset such as +02:00",
    "2026-01-01T12:00:00 02:00": "the offset has a space in place of '+'; in a URL write '+' as %2B",
    "2026-01-01T12:00:00.123 0200": "the offset has a space in place of '+'; in a URL write '+' as %2B",
    "2026-01-01T12:00:00+02": "the UTC offset must be Z, or like +02:00",
    "2026-01-01T12:00:00 UTC": "the UTC offset must be Z, or like +02:00",
    "2026-01-01T12:00:00+24:00": "the largest UTC offset is 23:59",
}


@pytest.mark.parametrize(("text", "told"), INSTANTS.items(), ids=list(INSTANTS))
def test_the_fault_of_an_instant_is_named(text: str, told: str) -> None:
    [issue] = find_issues({"at": text}, Own)

    assert issue.message == f"must be an RFC 3339 time with a UTC offset: {told}"


@pytest.mark.parametrize(
    "text", ["", "now", "1767225600", "20260101T000000Z", "Thu, 01 Jan 2026 00:00:00 GMT", "x" * 999]
)
def test_the_error_for_no_instant_says_what_one_is(text: str) -> None:
    [issue] = find_issues({"at": text}, Own)

    assert issue.message == "must be an RFC 3339 time with a UTC offset, such as 2026-01-31T12:00:00Z"


@settings(deadline=None)
@given(
    st.from_regex(
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})", fullmatch=True
    )
)
def test_every_rejected_instant_has_a_reason_of_its_own(text: str) -> None:
    try:
        msgspec.convert(text, Instant)
    except msgspec.ValidationError:
        assert fault_of(text).startswith("must be an RFC 3339 time with a UTC offset: ")


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/events?from={}", "from"),
        ("/v1/events?to={}", "to"),
        ("/api/events?created_at_after={}", "created_at_after"),
        ("/ledger/v1/events?since={}", "since"),
        ("/ledger/v1/audit?since={}", "since"),
    ],
)
def test_the_error_for_a_raw_plus_in_a_url_explains_it(server: Server, path: str, field: str) -> None:
    asked = path.format("2026-01-01T00:00:00+02:00")

    refused = get(f"{server.url}{asked}", headers=server.headers)
    taken = get(f"{server.url}{asked.replace('+', '%2B')}", headers=server.headers)

    assert refused.json()["error"]["message"].startswith(f"{field}: ")
    assert "%2B" in refused.json()["error"]["message"]
    assert taken.status_code == 200


@pytest.mark.parametrize("start", ["2026-02-30T00:00:00Z", "2026-01-01T00:00:00 02:00", "2026-01-01"])
def test_the_error_for_a_start_that_is_no_time_says_why(server: Server, start: str) -> None:
    wanted = {"eventTypes": ["*"], "webhookUrl": "https://93.184.216.34/hook", "startFrom": start}

    refused = server.mutate("subscriptions.create", wanted).json()["error"]

    assert refused["data"]["issues"] == [{"path": "startFrom", "message": fault_of(start)}]


@pytest.mark.parametrize("field", ["start", "lastEventId"])
def test_the_error_for_no_start_says_what_one_is(server: Server, field: str) -> None:
    asked = json.dumps({field: "yesterday"})

    response = get(f"{server.url}/trpc/events.stream", params={"input": asked}, headers=server.headers)

    assert f'"message":"{field}: {START_MESSAGE}"' in response.text


MALFORMED = {
    b"": "it ends too early",
    b'{"a":': "it ends too early",
    b'{"a":1}x': "trailing characters (byte 8)",
    b'{"a":"\\ud800"}': "a string contains half of a surrogate pair",
    b'{"a":"\xff"}': "it is not UTF-8",
}


@pytest.mark.parametrize(("sent", "told"), MALFORMED.items(), ids=repr)
def test_the_error_for_malformed_json_says_why(sent: bytes, told: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        decoded(sent, registry()["events.list"].decoder)

    assert refused.value.message == f"JSON is malformed: {told}"


@pytest.mark.parametrize("number", ["1" * 5000, "-" + "1" * 5000], ids=["positive", "negative"])
def test_a_number_of_thousands_of_digits_is_out_of_range_and_not_malformed(number: str) -> None:
    sent = f'{{"type":"case.number","data":{{}},"metadata":{{"custom":{{"n":[{number}]}}}},"nope":{number}}}'.encode()

    with pytest.raises(InvalidInput) as refused:
        decoded(sent, registry()["events.log"].decoder, DRAFTING.metadata)

    told = {issue.path: issue.message for issue in refused.value.issues}
    assert "out of range" in told["metadata.custom.n.0"]
    assert told["nope"].startswith("is not a known field")
