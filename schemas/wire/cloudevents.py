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
from schemas.jsontext import MAX_ISSUES, UNREADABLE, join, read_json, utf8_json
from schemas.reference import named_event
from schemas.tracecontext import trace_id_of
from schemas.wire.media import charset_of, refuse_other_charset, without_utf8

IDS = UUID("3d0b7c1e-52a4-5f0e-8a55-6c9d1b7e2f40")
"""The namespace of the UUIDs that ids of CloudEvents become."""

JSON = "application/json"

MIN_EXTENSION, MAX_EXTENSION = -(2**31), 2**31 - 1
"""What an Integer of CloudEvents may be (section Type System)."""

_NAME = re.compile(r"[a-z0-9]{1,64}")
_JSON_TYPE = re.compile(r"(?i)[^/;\s]+/([^;\s]+\+)?json\s*(;.*)?", re.DOTALL)
_BINARY_TYPE = re.compile(r"(?i)(image|audio|video|font)/|application/octet-stream")
"""Types whose bytes no charset has a say in."""
_SPELLED = re.compile(r"true|false|0|-?[1-9][0-9]{0,9}")
"""A text that spells an extension of another type."""
_NOT_IN_URI = "!#$&'()*+,/:;=?@[]~%"

_TEXTS = frozenset({"authid", "authtype", "partitionkey", "sequence", "severitytext"})
"""Documented extensions whose values are texts, also those that spell a number."""

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
        return of_attributes(
            attributes,
            _base64_data(bytes(encoded), attributes.get("datacontenttype"), join(path, "data_base64")),
            workspace,
            path,
        )
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
    content_type = None if event.datacontenttype is None else _plain_type(event.datacontenttype)
    is_plain = data.kind in {None, "value", "none"} and content_type in {None, JSON}
    kept = _Kept(
        id=UNSET if str(id_) == event.id else event.id,
        datacontenttype=UNSET if is_plain else content_type or UNSET,
        dataschema=event.dataschema or UNSET,
        data=data.kind or UNSET,
        extensions=extensions or UNSET,
    )
    return LogEvent(
        id=id_,
        type=event.type,
        subject_id=event.subject,
        data=Raw(data.json),
        metadata=Raw(b"null") if kept == _EMPTY else _custom(kept),
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
        if _kept(event.metadata).data == "value":
            names[f"{ours}data.value"] = f"{theirs}data"
        names |= {f"{ours}{name}": f"{theirs}{attribute}" for name, attribute in ATTRIBUTE_NAMES.items()}
    return names | ({"events": ""} if is_batch else {})


def body_data(body: bytes, content_type: str | None) -> SentData:
    """The data of a CloudEvent in the binary mode, whose body it is."""
    if not body:
        return SentData(b"{}", "none")
    if content_type is None or _JSON_TYPE.fullmatch(content_type):
        refuse_other_charset(content_type or "")
        text = body if content_type is None else utf8_json(body, "data")
        try:
            value = msgspec.json.decode(text, type=Raw)
        except UNREADABLE:
            if content_type is not None:
                read_json(text, "data")
        else:
            return _value(bytes(value))
    return _text_or_bytes(body, content_type or "")


def respelled(metadata: Raw) -> list[Raw]:
    """The metadata that an event may have that came in another mode, where 5 and true are texts, or texts are those.

    The binary mode has only texts (section Type System).
    """
    kept = _kept(metadata)
    extensions = kept.extensions or {}
    others = (
        {name: _spelled(value) for name, value in extensions.items()},
        {name: value if name in _TEXTS else _typed(value) for name, value in extensions.items()},
    )
    found = [_custom(msgspec.structs.replace(kept, extensions=other)) for other in others if extensions]
    return [other for other in found if bytes(other) != bytes(metadata)]


def shown(event: SynapEvent) -> bytes:
    """An event as a CloudEvent, in the JSON format."""
    kept = _kept(event.metadata)
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


def _custom(kept: _Kept) -> Raw:
    return Raw(msgspec.json.encode({"custom": {"cloudevent": kept}}))


def _kept(metadata: Raw | UnsetType) -> _Kept:
    if metadata is UNSET:
        return _EMPTY
    try:
        return msgspec.json.decode(bytes(metadata), type=_Metadata).custom.cloudevent
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
        return SentData(b"{}", "none") if text == b'""' else SentData(b'{"text":%b}' % text, "text")
    return _value(text)


def _value(text: bytes) -> SentData:
    text = text.strip()
    return SentData(text) if text.startswith(b"{") else SentData(b'{"value":%b}' % text, "value")


def _base64_data(text: bytes, content_type: object, path: str) -> SentData:
    """The data of an event in JSON that is bytes: as `body_data` has the same bytes."""
    value = read_json(text, path)
    try:
        content = base64.b64decode(value, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise InvalidInput([Issue(path, "must be text in base64")]) from None
    if content and not isinstance(content_type, str):
        return _bytes(content)
    try:
        return body_data(content, str(content_type))
    except InvalidInput:  # it is not the JSON that it claims to be
        return _bytes(content)


def _text_or_bytes(content: bytes, content_type: str) -> SentData:
    """Data that is no JSON: as text where it is text in the charset of its type, else as it is."""
    charset = None if _BINARY_TYPE.match(content_type) else charset_of(content_type)
    try:
        return SentData(msgspec.json.encode({"text": content.decode(charset or "utf-8")}), "text")
    except UnicodeError:
        return _bytes(content)


def _bytes(content: bytes) -> SentData:
    return SentData(msgspec.json.encode({"base64": base64.b64encode(content).decode()}), "base64")


def _plain_type(content_type: str) -> str:
    """A type of data, as one mode has it and the other: in the binary one libraries add the charset of JSON."""
    if not _JSON_TYPE.fullmatch(content_type):
        return content_type
    plain = without_utf8(content_type)
    return JSON if plain.lower() == JSON else plain


def _spelled(value: bool | int | str) -> str:  # noqa: FBT001 - it is an attribute's value
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _typed(value: bool | int | str) -> bool | int | str:  # noqa: FBT001 - it is an attribute's value
    if not isinstance(value, str) or not _SPELLED.fullmatch(value):
        return value
    read: bool | int = msgspec.json.decode(value)
    return read if MIN_EXTENSION <= read <= MAX_EXTENSION else value


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
