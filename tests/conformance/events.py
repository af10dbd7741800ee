"""Reads a stream of server-sent events, and reduces it to what the protocol fixes, to compare two servers."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.conformance.exchange import (
    Answer,
    Call,
    Server,
    allowed,
    answer_of,
    answering,
    ask,
    failed,
    revived,
    varying,
)
from tests.conformance.requests import post, wrapped
from tests.conformance.subscriptions import Subscription

TIMEOUT_SECONDS = 30
KEPT = {"id", "type", "data", "subjectId", "source", "metadata", "caughtUp"}


@dataclass(frozen=True, kw_only=True)
class Said:
    """One event: a message with its value and the id after which to resume, or an event of the protocol itself."""

    name: str
    data: object
    id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Heard:
    """The parts of a stream that must be equal. `ended` is whether the server closed it."""

    status: int
    content_type: str
    cache_control: str
    buffering: str | None
    allow: tuple[str, ...]
    vary: frozenset[str]
    said: tuple[Said, ...]
    ended: bool
    raw: str = field(compare=False, repr=True)

    @property
    def failure(self) -> Call | None:
        """The failed call, if the stream ended with an error."""
        last = self.said[-1].data
        return last if isinstance(last, Call) else None

    @property
    def error(self) -> tuple[object, ...] | None:
        """The error that the stream ended with."""
        return self.failure.error if self.failure else None


def listen(server: Server, subscription: Subscription, *, superjson: bool = False) -> Heard | Answer:
    """Subscribe, and read as long as the subscription says. Returns an `Answer` if the answer is no event stream."""
    for draft in subscription.before:
        _log(server, draft, superjson=superjson)
    meanwhile = subscription.meanwhile
    with answering(server, subscription, timeout_seconds=TIMEOUT_SECONDS) as response:
        if response.headers.get_content_type() != "text/event-stream":
            return answer_of(response, superjson=superjson)
        assert response.getheader("transfer-encoding") == "chunked", "a stream has no length"
        assert response.getheader("content-encoding") is None, "compression delays a stream"
        said: list[Said] = []
        ended = True
        for event in _events(response, superjson=superjson):
            said.append(event)
            if subscription.live and len(said) == 1:
                _log(server, meanwhile, superjson=superjson)
            if event.id == meanwhile["id"] or (not subscription.live and _is_marker(event)):
                ended = False
                break
        return Heard(
            status=response.status,
            content_type=response.headers.get_content_type(),
            # The reference lets a private cache store a stream.
            cache_control=(response.getheader("cache-control") or "").replace("no-store, ", ""),
            buffering=response.getheader("x-accel-buffering"),
            allow=allowed(response),
            vary=varying(response),
            said=tuple(said),
            ended=ended,
            raw=str(response.headers),
        )


def known(value: Any) -> object:
    """A value reduced to what must be equal at every server: ids, times and hashes become their kinds."""
    if not isinstance(value, dict):
        return value
    return {key: inner if key in KEPT else type(inner).__name__ for key, inner in value.items()}


def _log(server: Server, draft: dict[str, object], *, superjson: bool) -> None:
    request = post("log", "/events.log", wrapped(draft) if superjson else draft)
    assert ask(server, request, superjson=superjson).status == 200


def _events(response: http.client.HTTPResponse, *, superjson: bool) -> Iterator[Said]:
    for fields in _fields(response):
        assert "data" in fields, f"a client drops an event without data: {fields}"
        data, id_ = fields["data"], fields.get("id")
        match fields.get("event"):
            case None:
                value = json.loads(data)
                yield Said(name="message", data=known(revived(value) if superjson else value), id=id_ or None)
                if id_ == "":
                    _check_restored(response)
            case "connected":
                yield Said(name="connected", data=json.loads(data))
            case "serialized-error":
                yield Said(name="serialized-error", data=failed(json.loads(data), superjson=superjson), id=id_)
            case str(name):
                yield Said(name=name, data=data, id=id_)


def _check_restored(response: http.client.HTTPResponse) -> None:
    """Check that the event after an untracked message, which clears the client's id, restores an id."""
    restored = next(_fields(response))
    assert restored.get("event") == "restore-id", restored
    assert restored["data"] == "", restored
    assert restored["id"], restored


def _fields(response: http.client.HTTPResponse) -> Iterator[dict[str, str]]:
    """Yield the fields of each event. Events are separated by one or more empty lines."""
    fields: dict[str, str] = {}
    while line := response.readline():
        assert line.endswith(b"\n"), f"the stream ends inside a line: {line!r}"
        name, _, value = line.decode().rstrip("\n").partition(": ")
        if name:
            assert name in {"event", "data", "id"}, line
            assert name not in fields, f"one value is one line: {line!r}"
            fields[name] = value
        elif fields:
            yield fields
            fields = {}
    assert not fields, f"the stream ends inside an event: {fields}"


def _is_marker(event: Said) -> bool:
    return isinstance(event.data, dict) and "caughtUp" in event.data
