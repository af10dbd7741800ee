"""CloudEvents 1.0.2 as the publish door accepts and returns them: pure mappings to and from our events.

Our events have no member for an id that is not a UUID, the type of data that is not a JSON object, or extensions.
These are stored in `metadata.custom.cloudevent`, so that a reader of CloudEvents gets what was sent.
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
from schemas.errors import InvalidInput, Issue, UnsupportedMedia
from schemas.event import EventType, LogEvent, SynapEvent
from schemas.issues import find_issues, fitted
from schemas.jsontext import MAX_ISSUES, UNREADABLE, join, read_json, utf8_json
from schemas.reference import named_event
from schemas.tracecontext import trace_id_of
from schemas.wire.media import charset_of, refuse_other_charset, without_utf8

AttributeValue = bool | int | str
"""The value of an extension."""

IDS = UUID("3d0b7c1e-52a4-5f0e-8a55-6c9d1b7e2f40")
"""The namespace of the UUIDs that are made from ids of CloudEvents."""

JSON = "application/json"

MIN_EXTENSION, MAX_EXTENSION = -(2**31), 2**31 - 1
"""The range of an Integer of CloudEvents (section Type System)."""

_NAME = re.compile(r"[a-z0-9]{1,64}")
_JSON_TYPE = re.compile(r"(?i)[^/;\s]+/([^;\s]+\+)?json\s*(;.*)?", re.DOTALL)
_BINARY_TYPE = re.compile(r"(?i)(image|audio|video|font)/|application/octet-stream")
"""Media types whose bytes are not text, so that a charset does not apply."""
_SPELLED = re.compile(r"true|false|0|-?[1-9][0-9]{0,9}")
"""Text that spells the value of an extension of another type."""
_NOT_IN_URI = "!#$&'()*+,/:;=?@[]~%"

_TEXTS = frozenset({"authid", "authtype", "partitionkey", "sequence", "severitytext"})
"""Documented extensions whose values are always texts, even if they look like numbers."""

DataKind = Literal["value", "text", "base64", "none"]
"""The member of our `data` that holds data which is not a JSON object; `none` if there was no data."""


class CloudEvent(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A CloudEvent in its JSON format. It may also have extensions: text, whole numbers of 32 bits and booleans."""

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
    """An event as a CloudEvent in the JSON format, with its extensions. `erased` is true if its body was erased.

    `time` is when the event occurred, or when it was stored if the sender gave no time.
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
    """The data of a CloudEvent as the JSON object that our event stores, and the kind of data inside it."""

    json: bytes
    kind: DataKind | None = None


class _Kept(Struct, frozen=True, kw_only=True):
    """The contents of `metadata.custom.cloudevent`."""

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
"""The names of members of `events.log`, each with its name in a CloudEvent."""

ATTRIBUTES = frozenset(field.name for field in msgspec.structs.fields(CloudEvent)) - {"data", "data_base64"}
"""The attributes that are not extensions."""


def of_json(text: bytes, workspace: str, path: str = "") -> LogEvent:
    """The input of `events.log` for a CloudEvent in the JSON format, at `path` of the request.

    Raises InvalidInput with every invalid place.
    """
    try:
        return _of_json(text, workspace, path)
    except UnsupportedMedia:  # here the type of the data is a member, not the header that the error names
        message = "names a charset that is unknown, or for JSON another one than UTF-8; send UTF-8"
        raise InvalidInput([Issue(join(path, "datacontenttype"), message)]) from None


def _of_json(text: bytes, workspace: str, path: str) -> LogEvent:
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
            raise InvalidInput([Issue(join(path, "data_base64"), "must not be sent together with data")])
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
    """The fields of these inputs of `events.log` or `events.logBatch`, each with its name in a CloudEvent.

    A batch of CloudEvents is a list, not an object with `events`. Data that is not an object is in our member `value`.
    """
    names: dict[str, str] = {}
    for place, event in enumerate(events):
        ours, theirs = (f"events.{place}.", f"{place}.") if is_batch else ("", "")
        if _kept(event.metadata).data == "value":
            names[f"{ours}data.value"] = f"{theirs}data"
        names |= {f"{ours}{name}": f"{theirs}{attribute}" for name, attribute in ATTRIBUTE_NAMES.items()}
    return names | ({"events": ""} if is_batch else {})


def body_data(body: bytes, content_type: str | None) -> SentData:
    """The data of a CloudEvent in the binary mode: the body of the request."""
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
    """The other forms that `metadata` has if the same event was sent in another mode.

    The binary mode has only texts (section Type System): there the extensions 5 and true are the texts "5" and "true".
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
    """The member that holds the data; empty if there is no data."""
    if kept.data == "none":
        return {}
    if kept.data is UNSET:
        return {"data": event.data}
    inner = _members.decode(bytes(event.data)).get(kept.data)
    if inner is None:  # another door wrote the metadata
        return {"data": event.data}
    return {"data_base64" if kept.data == "base64" else "data": inner}


def _custom(kept: _Kept) -> Raw:
    return Raw(msgspec.json.encode({"custom": {"cloudevent": kept}}))


def _kept(metadata: Raw | UnsetType) -> _Kept:
    if metadata is UNSET:
        return _EMPTY
    try:
        return msgspec.json.decode(bytes(metadata), type=_Metadata).custom.cloudevent
    except UNREADABLE:  # another door wrote it
        return _EMPTY


class _Custom(Struct, frozen=True):
    cloudevent: _Kept = _EMPTY


class _Metadata(Struct, frozen=True):
    custom: _Custom = _Custom()


def _uuid(event: CloudEvent, workspace: str) -> UUID:
    """A UUID made from `source` and `id`, which together identify an event (section Required Attributes)."""
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
    """The data of an event in JSON with `data_base64`: the same as `body_data` returns for those bytes."""
    value = read_json(text, path)
    try:
        content = base64.b64decode(value, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise InvalidInput([Issue(path, "must be text in base64")]) from None
    if content and not isinstance(content_type, str):
        return _bytes(content)
    try:
        return body_data(content, str(content_type))
    except InvalidInput:  # its type says JSON, but it is not
        return _bytes(content)


def _text_or_bytes(content: bytes, content_type: str) -> SentData:
    """Data that is not JSON: text if it is valid in the charset of its type, otherwise bytes."""
    charset = None if _BINARY_TYPE.match(content_type) else charset_of(content_type)
    try:
        return SentData(msgspec.json.encode({"text": content.decode(charset or "utf-8")}), "text")
    except UnicodeError:
        return _bytes(content)


def _bytes(content: bytes) -> SentData:
    return SentData(msgspec.json.encode({"base64": base64.b64encode(content).decode()}), "base64")


def _plain_type(content_type: str) -> str:
    """A data type without the charset that libraries add to JSON in the binary mode, so that both modes agree."""
    if not _JSON_TYPE.fullmatch(content_type):
        return content_type
    plain = without_utf8(content_type)
    return JSON if plain.lower() == JSON else plain


def _spelled(value: AttributeValue) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _typed(value: AttributeValue) -> AttributeValue:
    if not isinstance(value, str) or not _SPELLED.fullmatch(value):
        return value
    read: bool | int = msgspec.json.decode(value)
    return read if MIN_EXTENSION <= read <= MAX_EXTENSION else value


def _extension_issues(extensions: Mapping[str, Any], path: str) -> Iterator[Issue]:
    for name, value in extensions.items():
        if name == "data":
            yield Issue(join(path, name), "is not an attribute; send the data in the body")
        elif not _NAME.fullmatch(name):
            yield Issue(join(path, name), "must have a name of 1 to 64 characters of a-z and 0-9")
        elif not isinstance(value, str | bool) and not (
            isinstance(value, int) and MIN_EXTENSION <= value <= MAX_EXTENSION
        ):
            yield Issue(join(path, name), "must be text, a boolean, or a whole number of 32 bits")
