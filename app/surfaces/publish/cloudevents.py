"""CloudEvents over HTTP (HTTP Protocol Binding 1.0.2): the mode of a request, and its events."""

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import unquote_to_bytes

import msgspec
from msgspec import Meta, Raw

from schemas.errors import InvalidInput, Issue, PayloadTooLarge
from schemas.event import LogEvent, SynapEvent
from schemas.issues import decoded
from schemas.jsontext import MAX_ISSUES, UNREADABLE, join
from schemas.wire.cloudevents import body_data, of_attributes, of_json, respelled, shown

EVENT = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"

MAX_BATCH = 1000

_PREFIX = b"ce-"
_NEEDED = (b"ce-specversion", b"ce-id", b"ce-type", b"ce-source")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_batch = msgspec.json.Decoder(list[Raw])


class _Versioned(msgspec.Struct, frozen=True):
    specversion: str


_specversion = msgspec.json.Decoder(_Versioned)
_specversions = msgspec.json.Decoder(Annotated[list[_Versioned], Meta(min_length=1)])


class Mode(StrEnum):
    """The way in which a request carries events (section 3 of the binding)."""

    BINARY = "binary"
    STRUCTURED = "structured"
    BATCHED = "batched"


def mode_of(headers: Mapping[bytes, bytes]) -> Mode | None:
    """The mode of a request; None if it has no CloudEvent. Raises InvalidInput for a format other than JSON."""
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower().decode("latin-1")
    if kind == EVENT:
        return Mode.STRUCTURED
    if kind == BATCH:
        return Mode.BATCHED
    if kind.startswith("application/cloudevents"):
        raise InvalidInput([Issue("Content-Type", f"must be {EVENT} or {BATCH}: only JSON CloudEvents are accepted")])
    return Mode.BINARY if any(name in headers for name in _NEEDED) else None


def read(
    mode: Mode, headers: Mapping[bytes, bytes], body: bytes, workspace: str, max_event_bytes: int
) -> list[LogEvent]:
    """The events of a request, as inputs of `events.log`. Raises InvalidInput, PayloadTooLarge."""
    if mode is Mode.BATCHED:
        return _read_batch(body, workspace, max_event_bytes)
    if len(body) > max_event_bytes:
        raise PayloadTooLarge(f"Event payload exceeds {max_event_bytes} bytes")
    if mode is Mode.STRUCTURED:
        return [of_json(body, workspace)]
    attributes: dict[str, Any] = {
        name.removeprefix(_PREFIX).decode("latin-1"): _header_value(name, value)
        for name, value in headers.items()
        if name.startswith(_PREFIX)
    }
    if "datacontenttype" in attributes:
        raise InvalidInput([Issue("datacontenttype", "must be sent as the header Content-Type")])
    content_type = headers.get(b"content-type")
    text = None if not content_type else content_type.decode("latin-1")
    if text is not None:
        attributes["datacontenttype"] = text
    return [of_attributes(attributes, body_data(body, text), workspace)]


def _read_batch(body: bytes, workspace: str, max_event_bytes: int) -> list[LogEvent]:
    sent = decoded(body, _batch)
    if not 1 <= len(sent) <= MAX_BATCH:
        raise InvalidInput([Issue("", f"must have 1 to {MAX_BATCH} events, not {len(sent)}")])
    events: list[LogEvent] = []
    issues: list[Issue] = []
    for place, each in enumerate(map(bytes, sent)):
        if len(each) > max_event_bytes:
            raise PayloadTooLarge(f"Event payload exceeds {max_event_bytes} bytes", field=str(place))
        try:
            events.append(of_json(each, workspace, str(place)))
        except InvalidInput as error:
            issues += error.issues
            if len(issues) >= MAX_ISSUES:
                break
    if issues:
        raise InvalidInput(issues[:MAX_ISSUES])
    return events


def hint(body: bytes) -> InvalidInput | None:
    """The error for a CloudEvent, or a batch of them, that was sent as plain JSON; None for other JSON."""
    for kind, decoder in ((EVENT, _specversion), (BATCH, _specversions)):
        with suppress(*UNREADABLE):
            decoder.decode(body)
            return InvalidInput(
                [Issue("Content-Type", f"must be {kind}: the body has a specversion, so it is a CloudEvent")]
            )
    return None


def other_spellings(event: LogEvent) -> list[LogEvent]:
    """The forms that the same event has if it was sent in another mode, where they differ."""
    return [msgspec.structs.replace(event, metadata=metadata) for metadata in respelled(event.metadata)]


def written(events: Iterable[SynapEvent]) -> Raw:
    """Events as a batch of CloudEvents."""
    return Raw(b"[%b]" % b",".join(map(shown, events)))


def _header_value(name: bytes, value: bytes) -> str:
    """The value of a header, decoded (section 3.1.3.2)."""
    text = value.decode("latin-1").strip()
    if quoted := _QUOTED.fullmatch(text):
        text = re.sub(r"\\(.)", r"\1", quoted[1], flags=re.DOTALL)
    try:
        return unquote_to_bytes(text.encode("latin-1")).decode()
    except UnicodeDecodeError:
        raise InvalidInput([Issue(join("", name.decode("latin-1")), "must be UTF-8, percent-encoded")]) from None
