"""A line of a file becomes a draft, which has the same id whenever it is read again, or the reasons against it."""

import json
from uuid import UUID

import pytest

from app.cli.importing.drafting import Drafted, LineDrafts, LinePiece, Origin
from schemas.errors import Issue

NOTE = b'{"type":"note.created","data":{"n":1}}'


def _drafted(*lines: bytes, first: int = 1, **origin: str) -> Drafted:
    given = {"workspace": "default", "name": "notes.ndjson", "user": "ann"} | origin
    return LineDrafts(Origin(**given, max_event_bytes=1000), "did:key:z").drafted(LinePiece(first, list(lines)))


def _ids(*lines: bytes, first: int = 1, **origin: str) -> list[UUID]:
    return [draft.id for draft in _drafted(*lines, first=first, **origin).drafts]


def test_a_line_read_again_has_the_same_id() -> None:
    assert _ids(NOTE, NOTE) == _ids(NOTE, NOTE)
    assert _ids(NOTE, NOTE, b'{"type":"a.b","data":{}}')[:2] == _ids(NOTE, NOTE)
    assert _ids(NOTE, NOTE)[1:] == _ids(NOTE, first=2)
    assert _ids(NOTE, user="bob") == _ids(NOTE)


def test_equal_lines_are_distinguished_by_place_file_and_workspace() -> None:
    ids = [*_ids(NOTE, NOTE), *_ids(NOTE, name="other.ndjson"), *_ids(NOTE, workspace="acme"), *_ids(NOTE + b" ")]

    assert len(set(ids)) == 5
    assert {id_.version for id_ in ids} == {5}


def test_an_id_that_a_line_brings_stays() -> None:
    id_ = "01a1ffc8-686a-7523-a674-bb278b2555c9"

    assert _ids(json.dumps({"id": id_, "type": "a.b", "data": {}}).encode()) == [UUID(id_)]


def test_users_are_those_of_the_lines_or_the_operators() -> None:
    other = b'{"type":"a.b","data":{},"userId":"bob"}'

    assert [draft.body.user_id for draft in _drafted(NOTE, other).drafts] == ["ann", "bob"]


def test_empty_lines_count_but_are_nothing() -> None:
    made = _drafted(b"", NOTE, b" \r", NOTE + b"\r", first=7)

    assert (made.numbers, made.refused) == ([8, 10], [])


REFUSED = {
    "no json": (b"nonsense", [""]),
    "not utf-8": (b'{"type":"a.b","data":{"x":"\xff"}}', [""]),
    "half": (NOTE[:-3], [""]),
    "a list": (b"[]", [""]),
    "nothing of it": (b"{}", ["type", "data"]),
    "every place": (b'{"type":"note","data":[],"source":"x","nosuch":1}', ["type", "data", "source", "nosuch"]),
    "the server's own type": (b'{"type":"synap.key.rotated","data":{}}', ["type"]),
    "too large": (b'{"type":"a.b","data":{"x":"' + b"x" * 1000 + b'"}}', [""]),
    "metadata": (b'{"type":"a.b","data":{},"metadata":{"ai":{}}}', ["metadata.ai.agent"]),
}


@pytest.mark.parametrize(("line", "paths"), REFUSED.values(), ids=list(REFUSED))
def test_a_line_that_is_no_event_is_rejected_with_every_place(line: bytes, paths: list[str]) -> None:
    made = _drafted(NOTE, line, NOTE)

    assert made.numbers == [1, 3]
    (refused,) = made.refused
    assert refused.number == 2
    assert {issue.path for issue in refused.issues} >= set(paths)


def test_what_a_server_answered_is_rejected_by_what_it_made() -> None:
    answered = b'{"type":"a.b","data":{},"version":"v1","timestamp":"2026-01-01T00:00:00Z","seq":1,"hash":"sha256:00"}'

    (refused,) = _drafted(answered).refused

    message = "is set by the server; a line may only have the members that events.log accepts"
    assert refused.issues == [Issue(name, message) for name in ("version", "timestamp", "seq", "hash")]
