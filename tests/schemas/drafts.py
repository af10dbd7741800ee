"""Turns a JSON event into what the log would store, or into all of its issues."""

import json
from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any

import msgspec
import pytest

from app.ledger.draft import Draft, Drafting
from schemas.errors import InvalidInput, Issue
from schemas.event import LogEvent
from schemas.issues import find_issues
from schemas.metadata import metadata_struct
from schemas.principal import EVERY, Principal

OWNER = Principal(key_id="k", user_id="u1", scopes=frozenset({EVERY}), workspaces=(EVERY,))

_drafting = Drafting("did:key:z")
_decoder = msgspec.json.Decoder(LogEvent)


def event(**members: object) -> dict[str, Any]:
    """A valid event with these members."""
    return {"type": "note.created", "data": {}, **members}


def drafted(sent: object) -> Draft:
    """The draft of an event. Raises InvalidInput, with every issue."""
    text = json.dumps(sent).encode()
    try:
        decoded = _decoder.decode(text)
    except msgspec.ValidationError:
        raise InvalidInput(find_issues(msgspec.json.decode(text), LogEvent, metadata_struct())) from None
    return _drafting.draft(decoded, OWNER, "default")


def issues_of(sent: object) -> list[Issue]:
    """The issues of an event; none for a valid one."""
    try:
        drafted(sent)
    except InvalidInput as refused:
        return refused.issues
    return []


def issue_paths(sent: object) -> list[str]:
    """The paths of the issues of an event."""
    return [issue.path for issue in issues_of(sent)]


def stored_metadata(metadata: object) -> Any:
    """The metadata that the log would store, or None."""
    text = drafted(event(metadata=metadata)).body.metadata
    return None if text is None else json.loads(text)


def changed(record: Mapping[str, Any], path: str, value: object = ...) -> dict[str, Any]:
    """A copy of `record` with `value` at the dotted path, or without that member if there is no value."""
    copy = deepcopy(dict(record))
    *parents, last = path.split(".")
    holder: Any = copy
    for step in parents:
        holder = holder[int(step)] if isinstance(holder, list) else holder[step]
    if value is ...:
        del holder[last]
    elif isinstance(holder, list):
        holder[int(last)] = value
    else:
        holder[last] = value
    return copy


def cases(*groups: tuple[Iterable[str], Iterable[object]]) -> pytest.MarkDecorator:
    """A parameter table of `(path, value)` that combines every path with every value in each group."""
    return pytest.mark.parametrize(
        ("path", "value"),
        [
            pytest.param(path, value, id=f"{path} {json.dumps(value)[:24]}")
            for paths, values in groups
            for path in paths
            for value in values
        ],
    )
