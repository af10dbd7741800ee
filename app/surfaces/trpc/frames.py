"""Reads the frames of a tRPC socket: their messages, or what is wrong with them. Pure.

A frame's length bounds its cost: an array is read only up to the maximum of messages, and members that the protocol
does not know are skipped.
"""

from functools import cache

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from app.contract.operation import Kind
from app.surfaces.shared.statuses import PARSE_ERROR
from app.surfaces.trpc.request import RequestError, connection_params
from app.surfaces.trpc.transformer import Transformer
from schemas.errors import InvalidInput
from schemas.jsontext import UNREADABLE, read_json

MAX_ECHOED = 8192
"""The maximum of characters in a path, and of bytes in an id, because answers repeat both."""

_EXPECTED = (
    "The frame must be a message of tRPC, or an array of them. A message has an `id` (a number or text), a `method`, "
    "and `params` with a `path`; a `lastEventId` must be text"
)

_METHODS = {str(kind): kind for kind in Kind}


class MalformedFrameError(Exception):
    """A frame is not a message of the protocol. The text says why."""


class CrowdedFrameError(Exception):
    """A frame has too many messages; none was read."""


class Message(Struct, frozen=True, kw_only=True):
    """One message of a client. Without `kind` it stops the subscription `id`."""

    id: str | float | None
    """The call's id. None is malformed, but does not affect other messages of the frame."""
    start: bytes
    """The beginning of an answer: the id, and `jsonrpc` if it was sent, both as they were sent."""
    kind: Kind | None
    path: str = ""
    input: bytes | None = None
    last_event_id: str | None = None


def hello_params(hello: bytes) -> dict[str, str]:
    """The parameters of a socket's first message. Raises RequestError."""
    try:
        message = msgspec.json.decode(hello, type=_Hello)
        if message.method == "connectionParams":
            return connection_params(bytes(message.data))
    except UNREADABLE:
        pass
    raise RequestError(PARSE_ERROR, 'The first message must be {"method":"connectionParams","data":…}')


def messages_of(text: bytes, transformer: Transformer, most: int) -> list[Message]:
    """The messages of a frame. Raises MalformedFrameError if any message is malformed.

    Raises CrowdedFrameError for more than `most`.
    """
    try:
        if not text.lstrip(b" \t\r\n").startswith(b"["):
            return [_message(text, transformer)]
        try:
            several = _array(most).decode(text)
        except msgspec.ValidationError:  # the frame is well-formed so far, and any array of up to `most` values fits
            raise CrowdedFrameError from None
        return [_message(one, transformer) for one in msgspec.structs.astuple(several) if one is not UNSET]
    except UNREADABLE:
        raise MalformedFrameError(_fault(text)) from None


def _fault(text: bytes) -> str:
    """Why a frame has no messages."""
    try:
        read_json(text)
    except InvalidInput as error:
        return f"The frame cannot be read: {error.message}"
    return _EXPECTED


@cache
def _array(most: int) -> msgspec.json.Decoder[Struct]:
    """Splits an array of at most `most` values. It rejects a longer one before it has read the rest.

    A decoder for lists would read a list of any length.
    """
    places = [(f"m{place}", Raw | UnsetType, UNSET) for place in range(most)]
    return msgspec.json.Decoder(msgspec.defstruct("_Array", places, array_like=True, forbid_unknown_fields=True))


class _Hello(Struct, frozen=True):
    method: str
    data: Raw


class _Params(Struct, frozen=True, rename="camel"):
    path: str
    input: Raw | UnsetType = UNSET
    last_event_id: str | UnsetType = UNSET


class _Sent(Struct, frozen=True):
    """A message as it was sent."""

    id: Raw
    method: str
    jsonrpc: Raw | UnsetType = UNSET
    params: Raw | UnsetType = UNSET
    """The parameters. Those of `subscription.stop` are not checked."""


_sent = msgspec.json.Decoder(_Sent)
_params = msgspec.json.Decoder(_Params)
_id = msgspec.json.Decoder(str | float | None)


def _message(text: bytes | Raw, transformer: Transformer) -> Message:
    sent = _sent.decode(text)
    id_ = bytes(sent.id)
    if len(id_) > MAX_ECHOED:
        raise MalformedFrameError(f"An `id` may have at most {MAX_ECHOED:,} bytes")
    decoded = _id.decode(id_)
    start = b'{"id":%b' % id_
    if sent.jsonrpc is not UNSET:
        if bytes(sent.jsonrpc) != b'"2.0"':
            raise MalformedFrameError("`jsonrpc` must be 2.0")
        start += b',"jsonrpc":"2.0"'
    if sent.method == "subscription.stop":
        return Message(id=decoded, start=start, kind=None)
    if sent.method not in _METHODS:
        raise MalformedFrameError("`method` must be query, mutation, subscription or subscription.stop")
    params = _params.decode(b"" if sent.params is UNSET else sent.params)
    if params.input is UNSET and transformer.needs_input:
        raise MalformedFrameError("`params.input` is required: the server uses superjson, and so must the client")
    if len(params.path) > MAX_ECHOED:
        raise MalformedFrameError(f"A `path` may have at most {MAX_ECHOED:,} characters")
    return Message(
        id=decoded,
        start=start,
        kind=_METHODS[sent.method],
        path=params.path,
        input=None if params.input is UNSET else bytes(params.input),
        last_event_id=None if params.last_event_id is UNSET else params.last_event_id,
    )
