"""The inputs and outputs of each method, shared by both clients."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, Unpack
from uuid import UUID

from msgspec import Struct

from synap_client.authors import Place
from synap_client.events import (
    BrowsedPage,
    BrowseFields,
    Event,
    EventFilters,
    EventPage,
    NewEvent,
    PageFields,
    Record,
    Trace,
    Validation,
    with_id,
    written,
)
from synap_client.intents import Intent, Started
from synap_client.wire import Call, Streamed

Outcome = Literal["executed", "failed"]


def log(event: NewEvent) -> Call[Event]:
    """`events.log`. The id makes a retry safe."""
    return Call("events.log", with_id(event), Event, safe=True)


def log_batch(events: Iterable[NewEvent]) -> Call[list[Event]]:
    """`events.logBatch`."""
    return Call("events.logBatch", {"events": [with_id(event) for event in events]}, list[Event], safe=True)


def place() -> Call[Place]:
    """`keys.current`: where the events of the caller's key are stored."""
    return Call("keys.current", {}, Place, safe=True)


def get(event_id: str | UUID) -> Call[Event]:
    """`events.get`."""
    return Call("events.get", {"eventId": str(event_id)}, Event, safe=True)


def list_(**wanted: Unpack[PageFields]) -> Call[list[Event]]:
    """`events.list`."""
    return Call("events.list", _input(wanted), list[Event], safe=True)


def page(**wanted: Unpack[PageFields]) -> Call[EventPage]:
    """`events.page`."""
    return Call("events.page", _input(wanted), EventPage, safe=True)


def browse(**wanted: Unpack[BrowseFields]) -> Call[BrowsedPage]:
    """`events.browse`."""
    return Call("events.browse", _input(wanted), BrowsedPage, safe=True)


def validate(event: NewEvent) -> Call[Validation]:
    """`events.validate`. It changes nothing, so a retry is safe. Without an id, no id is looked up."""
    return Call("events.validate", written(event, judged=True), Validation, safe=True)


def trace(event_id: str | UUID, limit: int | None, depth: int | None) -> Call[Trace]:
    """`events.trace`."""
    return Call("events.trace", _input({"event_id": str(event_id), "limit": limit, "depth": depth}), Trace, safe=True)


def intent(intent_id: str) -> Call[Intent]:
    """`intents.get`."""
    return Call("intents.get", {"eventId": intent_id}, Intent, safe=True)


def wait(intent_id: str, seconds: int) -> Call[Intent]:
    """`intents.wait`: the server answers when the intent is decided, or after so many seconds."""
    content = {"eventId": intent_id, "timeoutSeconds": seconds}
    return Call("intents.wait", content, Intent, safe=True, wait_seconds=seconds)


def start(intent: Event, parameters: object, request_id: str) -> Call[Started]:
    """`intents.start`. The request's id makes a retry safe."""
    content = {"eventId": intent.id, "hash": intent.hash, "parameters": parameters, "requestId": request_id}
    return Call("intents.start", content, Started, safe=True)


def finish(start_id: str, outcome: Outcome, data: Record) -> Call[Event]:
    """`intents.finish`. The server returns the first report if it comes again."""
    content = {"startId": start_id, "outcome": outcome} | ({"data": data} if data else {})
    return Call("intents.finish", content, Event, safe=True)


def other(name: str, input: object, *, retry: bool) -> Call[Any]:
    """Any procedure, by name."""
    return Call(name, input, Any, safe=retry)


def stream_input(start: str | None, filters: EventFilters, *, follow: bool) -> dict[str, Any]:
    """The input of `events.stream`."""
    return _input({**filters, "start": start, "markers": None if follow else True})


class Marker(Struct, frozen=True, rename="camel"):
    """A marker of `events.stream`."""

    caught_up: bool = False


STREAMED = Streamed(Event, Marker)
"""The items of `events.stream`."""


def _input(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields with their names on the wire, without those that are None."""
    return {_camel(name): value for name, value in fields.items() if value is not None}


def _camel(name: str) -> str:
    first, *rest = name.rstrip("_").split("_")
    return first + "".join(part.capitalize() for part in rest)
