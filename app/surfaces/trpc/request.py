"""Reads a tRPC request: its calls, its inputs, and the errors that reject all of it. Pure."""

import re
from urllib.parse import unquote_to_bytes

import msgspec
from msgspec import Raw, Struct

from app.surfaces.shared.accept import named_quality
from app.surfaces.shared.requests import repeated
from app.surfaces.shared.statuses import BAD_REQUEST, METHOD_NOT_SUPPORTED, PARSE_ERROR, UNSUPPORTED_MEDIA_TYPE, Status
from schemas.errors import InvalidInput, Issue
from schemas.jsontext import UNREADABLE, read_json

JSON_LINES = "application/jsonl"
_LINES = JSON_LINES.encode()
_NOT_JSON = ("multipart/form-data", "application/octet-stream")
PARAMETERS = frozenset({b"batch", b"input", b"connectionParams", b"lastEventId", b"Last-Event-Id", b"token"})
"""The query parameters that this door reads."""

_OF_JSON = ((b"%22", b'"'), (b"%7B", b"{"), (b"%7D", b"}"), (b"%3A", b":"), (b"%2C", b","))
"""Escapes of every input in a URL. Replaced first, they take half of the time. None leaves a character of an escape."""

_BAD_ESCAPE = re.compile(rb"%(?![0-9a-fA-F]{2})")


class RequestError(Exception):
    """The whole request is rejected, whatever its calls are."""

    def __init__(self, status: Status, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Request(Struct, frozen=True, kw_only=True):
    """The contents of the request line and the headers."""

    paths: list[str]
    batch: bool
    stream: bool
    input: bytes | None
    """The input of a GET as JSON bytes; None if there is none."""
    params: bytes | None
    """`connectionParams` as sent; None if there are none."""
    last_event_id: bytes | None
    """The id after which a stream resumes; None if it begins anew."""


def read_request(
    method: str, raw_path: bytes, mount: bytes, query_string: bytes, headers: dict[bytes, bytes], max_calls: int
) -> Request:
    """The request, checked in the order of the protocol (`docs/api/wire.md`, section 2). Raises RequestError.

    The caller of this function checks the kinds of procedures, because it knows them.
    """
    text = _path(raw_path.removeprefix(mount))
    _check_content_type(method, headers)
    query = read_query(query_string)
    batch = query.get(b"batch") == b"1"
    paths = text.split(",") if batch else [text]
    if len(paths) > max_calls:
        told = f"A batch may have at most {max_calls} calls, this one has {len(paths)}"
        raise RequestError(BAD_REQUEST, f"{told}: send it in parts, with `maxItems: {max_calls}` in the client's link")
    last = headers.get(b"last-event-id", query.get(b"lastEventId", query.get(b"Last-Event-Id")))
    return Request(
        paths=paths,
        batch=batch,
        stream=_wants_lines(headers),
        input=query.get(b"input") or None,
        params=query.get(b"connectionParams"),
        last_event_id=last or None,
    )


def connection_params(sent: bytes | None) -> dict[str, str]:
    """The parameters in which clients that cannot set headers send the token and the workspace. Raises RequestError."""
    if sent is None:
        return {}
    try:
        return msgspec.json.decode(sent, type=dict[str, str] | None) or {}
    except UNREADABLE:
        raise RequestError(PARSE_ERROR, "connectionParams must be JSON: null, or an object of texts") from None


def resumed(content: bytes | None, last_event_id: str | None) -> bytes | None:
    """An input with `lastEventId` added, if it is an object, null or absent (`docs/api/wire.md`, section 7.3)."""
    if last_event_id is None:
        return content
    try:
        members = msgspec.json.decode(content or b"{}", type=dict[str, Raw] | None) or {}
    except UNREADABLE:
        return content
    members["lastEventId"] = Raw(msgspec.json.encode(last_event_id))
    return msgspec.json.encode(members)


def batch_inputs(content: bytes | None) -> dict[str, bytes]:
    """The inputs of a batch by index as text. Raises InvalidInput."""
    if content is None:
        return {}
    try:
        return {index: bytes(raw) for index, raw in _inputs.decode(content).items()}
    except UNREADABLE:
        read_json(content)
        raise InvalidInput(
            [Issue("", "the inputs of a batch must be a JSON object, by index", "malformed_json")]
        ) from None


def _path(raw: bytes) -> str:
    sent = raw.removeprefix(b"/").removesuffix(b"/")
    if b"%" in sent:
        if _BAD_ESCAPE.search(sent):
            raise RequestError(BAD_REQUEST, "The path has a malformed percent-encoding")
        sent = unquote_to_bytes(sent)
    try:
        return sent.decode()
    except UnicodeDecodeError:
        raise RequestError(BAD_REQUEST, "The path has a malformed percent-encoding") from None


def _check_content_type(method: str, headers: dict[bytes, bytes]) -> None:
    if headers.get(b"content-type") == b"application/json":
        return
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower().decode("latin-1")
    if kind in _NOT_JSON:
        if method != "POST":
            raise RequestError(METHOD_NOT_SUPPORTED, f"{kind} can be sent by POST only")
        raise RequestError(UNSUPPORTED_MEDIA_TYPE, f"The procedures accept application/json, not {kind}")
    if kind != "application/json" and method != "GET":
        raise RequestError(
            UNSUPPORTED_MEDIA_TYPE, "The content-type must be application/json" + (f", not {kind[:64]}" if kind else "")
        )


def read_query(query_string: bytes) -> dict[bytes, bytes]:
    """The parameters by name, read as `URLSearchParams` does. Raises RequestError if one of ours appears twice."""
    pairs = [pair.partition(b"=") for pair in query_string.split(b"&") if pair]
    listed = [(_form_decoded(name), _form_decoded(value)) for name, _, value in pairs]
    query = dict(listed)
    for name in repeated(name for name, _ in listed) if len(query) < len(listed) else ():
        if name in PARAMETERS:
            raise RequestError(BAD_REQUEST, f"The parameter {name.decode()} is given more than once; send it once")
    return query


def _form_decoded(text: bytes) -> bytes:
    if b"%" not in text and b"+" not in text:
        return text
    text = text.replace(b"+", b" ")
    for escape, character in _OF_JSON:
        text = text.replace(escape, character)
    if b"%" in text:
        text = unquote_to_bytes(text)
    return text.decode(errors="replace").encode()


def _wants_lines(headers: dict[bytes, bytes]) -> bool:
    wish = headers.get(b"trpc-accept")
    if wish is not None:
        return wish == _LINES
    if _LINES not in headers.get(b"accept", b"").lower():
        return False
    quality = named_quality(headers, JSON_LINES)
    return quality > 0 and quality >= named_quality(headers, "application/json")


_inputs = msgspec.json.Decoder(dict[str, Raw])
