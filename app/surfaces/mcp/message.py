"""What is read of a message before the protocol's library reads it: the arguments of a call, as they were sent."""

from typing import Literal

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from app.surfaces.shared.statuses import BAD_REQUEST, PARSE_ERROR, Status
from schemas.jsontext import UNREADABLE


class Message(Struct, frozen=True):
    """One JSON-RPC message. Of a call the `arguments` are kept apart, None where it has none."""

    method: str
    body: bytes
    """For the library; a call's has no arguments."""
    arguments: bytes | None = None


class MessageError(Exception):
    """What was sent is no message of the protocol's."""

    def __init__(self, status: Status, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class _Envelope(Struct, frozen=True):
    """A request, or without an `id` a notification. A client has nothing to answer: the server never asks."""

    jsonrpc: Literal["2.0"]
    method: str
    id: int | str | UnsetType = UNSET
    params: dict[str, Raw] | UnsetType | None = UNSET


def read_message(body: bytes) -> Message:
    """Take a call's arguments out of a message: a procedure reads them as bytes, so that numbers stay as sent.

    Raises MessageError for what is no JSON, or neither a request nor a notification.
    """
    try:
        envelope = _decoder.decode(body)
    except msgspec.ValidationError:
        raise MessageError(BAD_REQUEST, _EXPECTED) from None
    except UNREADABLE:
        raise MessageError(PARSE_ERROR, "The body cannot be read as JSON") from None
    if envelope.method != "tools/call" or not envelope.params:
        return Message(envelope.method, body)
    arguments = bytes(envelope.params.pop("arguments", _NULL))
    return Message(envelope.method, msgspec.json.encode(envelope), None if arguments == b"null" else arguments)


def limited(arguments: bytes | None, limit: int) -> bytes | None:
    """The arguments with that `limit`, where they name none or null. What is no object stays as it is."""
    try:
        members = msgspec.json.decode(arguments or b"{}", type=dict[str, Raw])
    except UNREADABLE:
        return arguments
    if bytes(members.get("limit", _NULL)) == b"null":
        members["limit"] = Raw(b"%d" % limit)
    return msgspec.json.encode(members)


_NULL = Raw(b"null")
_decoder = msgspec.json.Decoder(_Envelope)

_EXPECTED = (
    "One JSON-RPC 2.0 request or notification is expected: an object with `jsonrpc`, `method`, for a request `id`, "
    "and `params` as an object. There are no batches"
)
