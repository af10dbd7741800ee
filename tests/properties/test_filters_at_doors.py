"""Any filter at any door gets an answer in time, causes no failure, and finds no event of another workspace."""

import itertools
import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import quote_from_bytes
from uuid import UUID

import httpx
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from msgspec import Struct

from tests.filters import hostile
from tests.filters.test_filter_property import filters_of, leaves
from tests.kit import web
from tests.kit.examples import ALL, examples
from tests.kit.servers import Server, cloned, serving
from tests.procedures.conftest import Keyed
from tests.properties.door import TIMEOUT_SECONDS, Door
from tests.properties.test_bad_input import ANY_JSON, JSON_BITS, paths, replaced

MANY = settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.too_slow])

SECRET = "sEcReT-5d1f"
"""A text in every event of the other workspace, and in nothing that is sent."""

MAX_CHARACTERS = 10_000
"""The maximum length of a filter in a query string."""

IDS = [str(UUID(int=(0xA7000 + number) << 64 | 1 << 63 | number)) for number in range(1, 5)]
"""The ids in well-formed filters. They belong to events of the other workspace; the caller knows them."""

VALUES: list[Any] = [1, 1.5, "a", "A", True, None, "", "\0", ["a"], {"a": "a"}, "2024-01-01T00:00:00Z"]

EVENTS: list[dict[str, Any]] = [
    {
        "type": ("note.created", "a.b")[place % 2],
        "data": {"a": value, "b": {"a": value}, "number": 1},
        "metadata": {"custom": {"number": value, "text": value, "at": value, "inner": {"a": value}}},
        "subjectId": ("a", "ab", None)[place % 3],
        "source": ("api", "sync")[place % 2],
        "occurredAt": (None, "2024-01-01T00:00:00Z")[place % 2],
    }
    for place, value in enumerate(VALUES)
]

ONE_FOR_ONE = {
    "api": "/api/events",
    "ledger": "/ledger/v1/events",
    "events.browse": "/trpc/events.browse",
    "events.list": "/trpc/events.list",
    "events.page": "/trpc/events.page",
    "ledger.entries": "/trpc/ledger.entries",
}
"""The doors that answer a call with events, and their addresses."""

STREAMS: dict[str, dict[str, object]] = {
    "events.stream": {"start": "beginning", "markers": True},
    "ledger.stream": {"after": -1, "markers": True},
}
"""The doors that stream events, and their other parameters."""


class Neighbours(Struct, frozen=True):
    """A caller that may read one of two workspaces."""

    caller: Server
    tokens: list[str]
    """All tokens of the server."""
    own: set[str]
    """The ids of the caller's events."""
    client: httpx.Client
    door: Door

    def ask(self, name: str, filter_: bytes, **others: object) -> tuple[int, frozenset[str]]:
        """Make a call with any bytes as its filter.

        Checks the answer, and returns its status and the ids that it has.
        """
        sent = {"filter": filter_, **{each: json.dumps(value).encode() for each, value in others.items()}}
        if "." in name:
            members = b",".join(b'"%b":%b' % (each.encode(), value) for each, value in sent.items())
            sent = {"input": b"{%b}" % members}
        query = "&".join(f"{each}={quote_from_bytes(value)}" for each, value in sent.items())
        answer = self.client.get(f"{ONE_FOR_ONE[name]}?{query}")
        self._check(answer.text)
        if answer.status_code == 200:
            found, total = _found(name, answer.json())
            assert total is None or total == len(found)
            return 200, self._own(found)
        assert 400 <= answer.status_code < 500, answer.text
        error = answer.json()["error"]
        if "." in name:
            assert error["data"]["httpStatus"] == answer.status_code
            assert {issue["path"].split(".")[0] for issue in error["data"]["issues"]} <= {*sent, *others, "filter", ""}
        else:
            assert error.keys() <= {"code", "message", "field"}
        assert error["message"]
        return answer.status_code, frozenset()

    def follow(self, name: str, filter_: object) -> tuple[int, frozenset[str]]:
        """Open a stream with a filter, read its backlog, and return its status and the ids that it has."""
        reply = self.door.stream(name, {**STREAMS[name], "filter": filter_}, at_most=100)
        self._check(json.dumps(reply.body))
        if reply.status != 200:
            return reply.status, frozenset()
        events = [value for value in reply.body if "caughtUp" not in value]
        return 200, self._own([value.get("event_id", value["id"]) for value in events])

    def _own(self, found: list[str]) -> frozenset[str]:
        assert len(set(found)) == len(found)
        assert set(found) <= self.own
        return frozenset(found)

    def _check(self, text: str) -> None:
        assert SECRET not in text
        assert not any(token in text for token in self.tokens)


def _found(name: str, body: Any) -> tuple[list[str], int | None]:
    """The ids in an answer, and its total."""
    body = body["result"]["data"] if "." in name else body
    if isinstance(body, list):
        return [each["id"] for each in body], None
    if "events" in body:
        return [each.get("event_id", each["id"]) for each in body["events"]], body["total"]
    return [each["id"] for each in body["data"]], body["pageInfo"]["total"]


@pytest.fixture(scope="module")
def neighbours(postgres_url: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Neighbours]:
    """Two workspaces with the same events.

    Their causes and effects are in the other workspace, whose events have a secret.
    """
    with (
        cloned(postgres_url, template, "test_filters_at_doors") as url,
        serving(tmp_path_factory.mktemp("doors"), database_url=url) as server,
        web.client(base_url=server.url, timeout=TIMEOUT_SECONDS) as client,
    ):
        keyed = Keyed(server, url)
        mine, theirs = keyed.workspace(), keyed.workspace()
        _, caller = keyed.key("events:read", "ledger:read", workspaces=(mine,))
        _, other = keyed.key("events:read", "events:write", workspaces=(theirs,))
        client.headers.update(caller.headers)
        ids = itertools.chain(IDS, itertools.repeat(None))
        causes = itertools.cycle([*IDS, None])
        own = _logged(server, mine, [{**each, "causationId": next(causes)} for each in EVENTS])
        secrets = [
            {
                **each,
                "id": next(ids),
                "data": {**each["data"], "secret": SECRET},
                "metadata": {"custom": {**each["metadata"]["custom"], "secret": SECRET}},
                "userId": f"user-{SECRET}",
                "correlationId": f"correlation-{SECRET}",
                "causationId": next(iter(own)) if place % 2 else next(causes),
            }
            for place, each in enumerate(EVENTS)
        ]
        _logged(server, theirs, secrets)
        yield Neighbours(caller, [server.token, caller.token, other.token], own, client, Door(caller, superjson=False))


def _logged(server: Server, workspace: str, events: list[dict[str, Any]]) -> set[str]:
    answer = server.mutate("events.logBatch", {"events": events}, **{"x-workspace-id": workspace})
    assert answer.status_code == 200, answer.text
    return {each["id"] for each in answer.json()["result"]["data"]}


WELL_FORMED = filters_of(leaves)

ODD = st.one_of(
    ANY_JSON,
    WELL_FORMED,
    st.sampled_from(
        [float("nan"), float("inf"), 10**400, -(2**70), 1e308, "\ud800", "\udfff\0", "x" * 1025, [1] * 101]
    ),
    st.sampled_from(["AND", "OR", "NOT", "parent", "some"]).map(lambda name: {name: {name: [{name: None}]}}),
    st.sampled_from(["EQ", "eq ", "$eq", "regex", "matches", "", "__proto__", "toString"]).map(lambda name: {name: 1}),
    st.sampled_from(
        ["Type", "TYPE", "data.", "data..a", ".", "data\0.a", "workspace_id", "metadata.nosuch", "\ud800"]
    ).map(lambda name: {name: "a"}),
)


@st.composite
def nearly_well_formed(draw: Any) -> bytes:
    """A filter with one or two places changed, or too deep, too large, or with a repeated name."""
    sent = draw(WELL_FORMED)
    for _ in range(draw(st.integers(0, 2))):
        sent = replaced(sent, draw(st.sampled_from(paths(sent))), draw(ODD))
    for _ in range(draw(st.sampled_from([0, 0, 0, 6, 7, 8, 9, 70, 900]))):
        sent = draw(st.sampled_from([{"NOT": sent}, {"OR": [sent]}, {"children": {"none": sent}}]))
    if draw(st.booleans()):
        sent = {"AND": [sent] * draw(st.sampled_from([1, 9, 50, 120])), **(sent if isinstance(sent, dict) else {})}
    text = json.dumps(sent)[:MAX_CHARACTERS]
    if text.startswith("{") and draw(st.booleans()):
        text = text[:-1] + (", " if text != "{}" else "") + text[1:]
    return text.encode()


@MANY
@given(filter_=WELL_FORMED)
def test_every_door_finds_the_same_events(neighbours: Neighbours, filter_: Any) -> None:
    text = json.dumps(filter_).encode()

    answers = {name: neighbours.ask(name, text) for name in ONE_FOR_ONE}
    followed = [neighbours.follow(name, filter_) for name in STREAMS]

    [(status, found)] = set(answers.values())
    event(f"{status}, {'none' if not found else 'all' if found == neighbours.own else 'some'}")
    assert status == 200
    if '"parent":' in json.dumps(filter_) or '"children":' in json.dumps(filter_):
        assert followed == [(400, frozenset())] * len(STREAMS)
    else:
        assert followed == [(200, found)] * len(STREAMS)


@MANY
@given(filter_=nearly_well_formed())
def test_every_door_rejects_the_same_filters(neighbours: Neighbours, filter_: bytes) -> None:
    answers = {name: neighbours.ask(name, filter_) for name in ONE_FOR_ONE}

    [(status, _)] = set(answers.values())
    event(str(status))
    assert status in {200, 400}
    with suppress(ValueError):
        for name in STREAMS:
            neighbours.follow(name, json.loads(filter_))


@MANY
@given(
    filter_=ANY_JSON.map(json.dumps).map(str.encode)
    | st.binary(max_size=60)
    | JSON_BITS
    | ODD.map(json.dumps).map(str.encode),
    order=ANY_JSON | st.lists(st.dictionaries(st.sampled_from(["type", "seq", "data.a"]), ANY_JSON, max_size=2)),
)
def test_anything_may_be_sent_as_a_filter_or_an_order(neighbours: Neighbours, filter_: bytes, order: Any) -> None:
    for name in ONE_FOR_ONE:
        neighbours.ask(name, filter_)
    for name in ("api", "events.browse"):
        neighbours.ask(name, b"{}", orderBy=order)


@pytest.mark.parametrize("number", range(len(hostile.TEXTS)))
def test_hostile_filters_are_answered_at_every_door(neighbours: Neighbours, number: int) -> None:
    """By default each text is in three of the nine places, and `make soak` tries all.

    `tests/surfaces/test_browse.py` has each text in each place, at one door.
    """
    every = hostile.filters(number)
    for filter_ in every if ALL else every[number % 3 :: 3]:
        text = json.dumps(filter_).encode()

        answers = {name: neighbours.ask(name, text) for name in ONE_FOR_ONE}
        for name in STREAMS:
            neighbours.follow(name, filter_)

        assert len(set(answers.values())) == 1


def test_no_call_ended_in_a_defect(neighbours: Neighbours) -> None:
    """It is the last test of this module: none of the inputs above caused a defect."""
    log = neighbours.caller.log.read_text(errors="replace")

    assert '"event": "defect"' not in log
    assert "Traceback" not in log
    assert SECRET not in log
