"""CloudEvents 1.0.2 as the publish door takes and answers them: pure mappings to and from our events.

What our events have no place for (an id that is no UUID, the type of data that is no JSON object, extensions) is kept
in `metadata.custom.cloudevent`, so that whoever reads an event as a CloudEvent gets what was sent.
"""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any, Literal
from urllib.parse import quote
from uuid import UUID, uuid5

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from schemas.base import Instant, InstantText, ShortText
from schemas.errors import InvalidInput, Issue
from schemas.event import EventType, LogEvent, SynapEvent
from schemas.issues import find_issues, fitted
from schemas.jsontext import MAX_ISSUES, UNREADABLE, join, read_json
from schemas.reference import named_event
from schemas.tracecontext import trace_id_of

IDS = UUID("3d0b7c1e-52a4-5f0e-8a55-6c9d1b7e2f40")
"""The namespace of the UUIDs that ids of CloudEvents become."""

JSON = "application/json"

MIN_EXTENSION, MAX_EXTENSION = -(2**31), 2**31 - 1
"""What an Integer of CloudEvents may be (section Type System)."""

_NAME = re.compile(r"[a-z0-9]{1,64}")
_JSON_TYPE = re.compile(r"(?i)[^/;\s]+/([^;\s]+\+)?json\s*(;.*)?", re.DOTALL)
_NOT_IN_URI = "!#$&'()*+,/:;=?@[]~%"

DataKind = Literal["value", "text", "base64", "none"]
"""How data that is no JSON object stands in ours: below this name; `none`: there was no data."""


class CloudEvent(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A CloudEvent in its JSON format. Beside these members it may have extensions: text, whole numbers, booleans."""

    specversion: Literal["1.0"]
    id: ShortText
    source: ShortText
    type: EventType
    subject: ShortText | None = None
    time: Instant | None = None
    datacontenttype: ShortText | None = None
    dataschema: ShortText | None = None
    correlationid: ShortText | None = None
    causationid: ShortText | None = None
    data: Any = None
    data_base64: str | None = None


class ShownCloudEvent(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An event as a CloudEvent in the JSON format, with its extensions; `erased` where its body was erased.

    `time` is when it occurred, else when it was stored.
    """

    specversion: Literal["1.0"]
    id: str
    source: str
    type: str
    time: InstantText
    subject: str | None = None
    datacontenttype: str | None = None
    dataschema: str | None = None
    correlationid: str | None = None
    causationid: str | None = None
    data: Any = None
    data_base64: str | None = None
    erased: bool = False


class SentData(Struct, frozen=True):
    """The data of an event: as JSON our own can be, and how that is to be read."""

    json: bytes
    kind: DataKind | None = None


class _Kept(Struct, frozen=True, kw_only=True):
    """What stands in `metadata.custom.cloudevent`."""

    id: str | UnsetType = UNSET
    datacontenttype: str | UnsetType = UNSET
    dataschema: str | UnsetType = UNSET
    data: DataKind | UnsetType = UNSET
    extensions: dict[str, bool | int | str] | UnsetType = UNSET


_EMPTY = _Kept()
_members = msgspec.json.Decoder(dict[str, Raw])

ATTRIBUTE_NAMES = {
    "subjectId": "subject",
    "producer": "source",
    "occurredAt": "time",
    "correlationId": "correlationid",
    "causationId": "causationid",
    "metadata.custom.cloudevent.extensions": "",
}
"""What `events.log` calls `subjectId` is `subject` in a CloudEvent."""

ATTRIBUTES = frozenset(field.name for field in msgspec.structs.fields(CloudEvent)) - {"data", "data_base64"}
"""Those that are no extensions."""


def of_json(text: bytes, workspace: str, path: str = "") -> LogEvent:
    """The input of `events.log` for a CloudEvent in the JSON format, which stands at `path`.

    Raises InvalidInput with every invalid place.
    """
    try:
        members = _members.decode(text)
    except UNREADABLE:
        read_json(text, path)
        raise InvalidInput([Issue(path, "must be a JSON object: a CloudEvent")]) from None
    data, encoded = members.pop("data", None), members.pop("data_base64", None)
    attributes = {name: read_json(bytes(value), join(path, name)) for name, value in members.items()}
    attributes = {name: value for name, value in attributes.items() if value is not None}  # null is absent
    if encoded is not None and bytes(encoded) != b"null":
        if data is not None and bytes(data) != b"null":
            raise InvalidInput([Issue(join(path, "data_base64"), "must not stand beside data")])
        return of_attributes(attributes, _base64_data(bytes(encoded), join(path, "data_base64")), workspace, path)
    return of_attributes(attributes, _json_data(data, attributes.get("datacontenttype")), workspace, path)


def of_attributes(attributes: Mapping[str, Any], data: SentData, workspace: str, path: str = "") -> LogEvent:
    """The input of `events.log` for a CloudEvent. Raises InvalidInput with every invalid place."""
    known = {name: value for name, value in attributes.items() if name in ATTRIBUTES}
    extensions: dict[str, Any] = {
        name: fitted(value, int) for name, value in attributes.items() if name not in ATTRIBUTES
    }
    found = chain(find_issues(known, CloudEvent, path=path), _extension_issues(extensions, path))
    if issues := list(islice(found, MAX_ISSUES)):
        raise InvalidInput(issues)
    event = msgspec.convert(known, CloudEvent)
    id_ = _uuid(event, workspace)
    is_plain = data.kind is None and (event.datacontenttype is None or event.datacontenttype == JSON)
    kept = _Kept(
        id=UNSET if str(id_) == event.id else event.id,
        datacontenttype=UNSET if is_plain else event.datacontenttype or UNSET,
        dataschema=event.dataschema or UNSET,
        data=data.kind or UNSET,
        extensions=extensions or UNSET,
    )
    return LogEvent(
        id=id_,
        type=event.type,
        subject_id=event.subject,
        data=Raw(data.json),
        metadata=Raw(b"null") if kept == _EMPTY else Raw(msgspec.json.encode({"custom": {"cloudevent": kept}})),
        producer=event.source,
        correlation_id=event.correlationid or trace_id_of(str(extensions.get("traceparent", ""))),
        causation_id=event.causationid,
        occurred_at=event.time,
    )


def sent_names(events: Sequence[LogEvent], *, is_batch: bool) -> dict[str, str]:
    """What senders of CloudEvents call the fields of these inputs of `events.log`, or of `events.logBatch`.

    A batch is a list and no member, and data that is no object stands in ours below `value`.
    """
    names: dict[str, str] = {}
    for place, event in enumerate(events):
        ours, theirs = (f"events.{place}.", f"{place}.") if is_batch else ("", "")
        if _kept(event).data == "value":
            names[f"{ours}data.value"] = f"{theirs}data"
        names |= {f"{ours}{name}": f"{theirs}{attribute}" for name, attribute in ATTRIBUTE_NAMES.items()}
    return names | ({"events": ""} if is_batch else {})


def body_data(body: bytes, content_type: str | None) -> SentData:
    """The data of a CloudEvent in the binary mode, whose body it is."""
    if not body:
        return SentData(b"{}", "none")
    if content_type is None or _JSON_TYPE.fullmatch(content_type):
        try:
            value = msgspec.json.decode(body, type=Raw)
        except UNREADABLE:
            if content_type is not None:
                read_json(body, "data")
        else:
            return _value(bytes(value))
    try:
        return SentData(msgspec.json.encode({"text": body.decode()}), "text")
    except UnicodeDecodeError:
        return SentData(msgspec.json.encode({"base64": base64.b64encode(body).decode()}), "base64")


def shown(event: SynapEvent) -> bytes:
    """An event as a CloudEvent, in the JSON format."""
    kept = _kept(event)
    members: dict[str, Any] = {
        "specversion": "1.0",
        "id": str(event.id) if kept.id is UNSET else kept.id,
        "source": quote(event.producer or event.source, safe=_NOT_IN_URI),
        "type": event.type,
        "time": event.occurred_at or event.timestamp,
    }
    optional = {
        "subject": event.subject_id,
        "dataschema": kept.dataschema or None,
        "correlationid": event.correlation_id,
        "causationid": event.causation_id,
    }
    members |= {name: value for name, value in optional.items() if value is not None}
    for name, value in (kept.extensions or {}).items():
        if _NAME.fullmatch(name):
            members.setdefault(name, value)
    if event.erased:
        members["erased"] = True
    members.pop("data", None)
    content_type = kept.datacontenttype or (JSON if kept.data in {UNSET, "value"} else None)
    if content_type is not None:
        members["datacontenttype"] = content_type
    return msgspec.json.encode(members | _data(event, kept))


def _data(event: SynapEvent, kept: _Kept) -> dict[str, Any]:
    """The member that has the data, if one has."""
    if kept.data == "none":
        return {}
    if kept.data is UNSET:
        return {"data": event.data}
    inner = _members.decode(bytes(event.data)).get(kept.data)
    if inner is None:  # another door has written the metadata
        return {"data": event.data}
    return {"data_base64" if kept.data == "base64" else "data": inner}


def _kept(event: SynapEvent | LogEvent) -> _Kept:
    if event.metadata is UNSET:
        return _EMPTY
    try:
        return msgspec.json.decode(bytes(event.metadata), type=_Metadata).custom.cloudevent
    except UNREADABLE:  # another door has written it
        return _EMPTY


class _Custom(Struct, frozen=True):
    cloudevent: _Kept = _EMPTY


class _Metadata(Struct, frozen=True):
    custom: _Custom = _Custom()


def _uuid(event: CloudEvent, workspace: str) -> UUID:
    """The same for the same `source` and `id`, which name an event (section Required Attributes)."""
    if isinstance(given := named_event(event.id), UUID):
        return given
    return uuid5(IDS, msgspec.json.encode([workspace, event.source, event.id]).decode())


def _json_data(data: Raw | None, content_type: object) -> SentData:
    if data is None:
        return SentData(b"{}", "none")
    text = bytes(data)
    if text.startswith(b'"') and isinstance(content_type, str) and not _JSON_TYPE.fullmatch(content_type):
        return SentData(b'{"text":%b}' % text, "text")
    return _value(text)


def _value(text: bytes) -> SentData:
    text = text.strip()
    return SentData(text) if text.startswith(b"{") else SentData(b'{"value":%b}' % text, "value")


def _base64_data(text: bytes, path: str) -> SentData:
    value = read_json(text, path)
    try:
        base64.b64decode(value, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise InvalidInput([Issue(path, "must be text in base64")]) from None
    return SentData(b'{"base64":%b}' % text, "base64")


def _extension_issues(extensions: Mapping[str, Any], path: str) -> Iterator[Issue]:
    for name, value in extensions.items():
        if name == "data":
            yield Issue(join(path, name), "is not an attribute: the body has the data")
        elif not _NAME.fullmatch(name):
            yield Issue(join(path, name), "must have a name of 1 to 64 of a-z and 0-9")
        elif not isinstance(value, str | bool) and not (
            isinstance(value, int) and MIN_EXTENSION <= value <= MAX_EXTENSION
        ):
            yield Issue(join(path, name), "must be text, a boolean, or a whole number of 32 bits")
