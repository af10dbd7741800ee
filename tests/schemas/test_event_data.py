"""Typed event data is checked with all issues at once, and stored as it was sent."""

import json
import subprocess
import sys
from typing import Any

import msgspec
import pytest

from schemas.base import Section
from schemas.event_data import event_data, event_types
from schemas.jsontext import UNSAFE_NUMBER


class NoteCreated(Section, frozen=True, kw_only=True):
    """A developer's data. It is not registered in this process, because a registration cannot be undone."""

    title: str


class Listed(msgspec.Struct, array_like=True):
    title: str


NAMES = ["", "created", "note..created", "note created", "note.created\n", "a." + "b" * 128, "note.*", "é.x"]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: repr(name)[:20])
def test_data_is_of_an_event_type(name: str) -> None:
    with pytest.raises(ValueError, match="Event type must follow dot notation"):
        event_data({name: NoteCreated})

    assert name not in event_types()


def test_the_servers_own_types_are_its_own() -> None:
    with pytest.raises(ValueError, match=r"event type 'synap\.event\.erased': must not begin with 'synap\.'"):
        event_data({"synap.event.erased": NoteCreated})


@pytest.mark.parametrize(
    "kind", [dict, int, NoteCreated(title="x"), "NoteCreated", None, list[NoteCreated]], ids=lambda kind: str(kind)[:20]
)
def test_data_is_a_struct(kind: Any) -> None:
    with pytest.raises(ValueError, match=r"event type 'note\.created': its data must be a msgspec Struct, not "):
        event_data({"note.created": kind})


def test_data_is_an_object() -> None:
    with pytest.raises(ValueError, match="its data must be an object, and Listed is an array"):
        event_data({"note.created": Listed})


SCRIPT = """
import json, sys
from datetime import datetime
from typing import Annotated, Any
import msgspec
from msgspec import Meta
from schemas.base import Instant, Section, ShortText
from schemas.event_data import event_data

class Author(Section, frozen=True, kw_only=True):
    name: ShortText
    since: Instant | None = None

class NoteCreated(Section, frozen=True, kw_only=True):
    title: ShortText
    stars: Annotated[int, Meta(ge=1, le=5, extra={"message": "must be 1 to 5 stars"})] = 1
    author: Author | None = None
    more: dict[str, Any] | None = None

    def __post_init__(self):
        if self.title == "five" and self.stars != 5:
            raise ValueError("five has 5 stars")

class Open(msgspec.Struct):
    size: int

event_data({"note.created": NoteCreated, "note.opened": Open})
from tests.schemas.drafts import drafted, event
from schemas.errors import InvalidInput

for sent in json.load(sys.stdin):
    try:
        print(json.dumps(["stored", drafted(sent).body.data]))
    except InvalidInput as refused:
        print(json.dumps(["refused", {issue.path: issue.message for issue in refused.issues}]))
"""


def _drafted(*events: object) -> list[Any]:
    """The drafts or issues of events, in a process that has registered data for two types."""
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT], input=json.dumps(events), capture_output=True, text=True, timeout=60, check=True
    )
    return [json.loads(line) for line in ran.stdout.splitlines()]


def _note(**data: object) -> dict[str, Any]:
    return {"type": "note.created", "data": data}


STORED: list[dict[str, Any]] = [
    {"title": "x"},
    {"title": "x", "stars": 5},
    {"author": {"name": "Ann", "since": "2024-12-09T06:30:00.5+05:30"}, "title": "x"},
    {"author": None, "stars": None, "title": "x"},
    {"author": {"name": "Ann", "since": None}, "more": {"a": None, "b": [None]}, "title": "x"},
]

NAIVE = "must be an RFC 3339 time with a UTC offset: the UTC offset is missing; add Z, or an offset such as +02:00"
WRONG: list[tuple[dict[str, Any], dict[str, str]]] = [
    (_note(), {"data.title": "is required"}),
    (_note(title=None), {"data.title": "is required"}),
    (_note(title=""), {"data.title": "must have 1 to 256 characters, none of them U+0000"}),
    (_note(title="five"), {"data": "five has 5 stars"}),
    (
        _note(titel="x", stars=6, author={"since": "2024-12-09T06:30:00"}),
        {
            "data.title": "is required",
            "data.stars": "must be 1 to 5 stars",
            "data.author.name": "is required",
            "data.author.since": NAIVE,
            "data.titel": "is not a known field; known are: author, more, stars, title",
        },
    ),
    (
        _note(title="x", more={"n": 2**53, "m": {"k": 2**60}}),
        dict.fromkeys(
            ["data.more.n", "data.more.m.k"],
            UNSAFE_NUMBER,
        ),
    ),
    (
        _note(author=[]),
        {
            "data.title": "is required",
            "data.author": "must be an object, not an array; it has the members: name (required), since",
        },
    ),
    ({"type": "note.created", "data": "x"}, {"data": "must be a JSON object, not text"}),
    ({"type": "note.opened", "data": {"size": "1"}}, {"data.size": "must be a whole number"}),
    (
        {**_note(stars=0), "metadata": {"ai": {}}, "occurredAt": "now"},
        {
            "data.title": "is required",
            "data.stars": "must be 1 to 5 stars",
            "metadata.ai.agent": "is required",
            "occurredAt": "must be an RFC 3339 time with a UTC offset, such as 2026-01-31T12:00:00Z",
        },
    ),
]


def test_typed_data_is_stored_as_it_was_sent() -> None:
    drafts = _drafted(*(_note(**data) for data in STORED))

    assert drafts == [["stored", json.dumps(data, separators=(",", ":"), sort_keys=True)] for data in STORED]


def test_every_place_of_typed_data_that_is_wrong_is_named() -> None:
    drafts = _drafted(*(sent for sent, _ in WRONG))

    assert drafts == [["refused", issues] for _, issues in WRONG]


def test_other_types_and_what_a_struct_leaves_open_are_free() -> None:
    drafts = _drafted(
        {"type": "note.deleted", "data": {"title": 1}}, {"type": "note.opened", "data": {"size": 1, "colour": "red"}}
    )

    assert drafts == [["stored", '{"title":1}'], ["stored", '{"colour":"red","size":1}']]
