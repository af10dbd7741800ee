"""Reads the arguments of a call as they were sent, before the protocol's library reads the message."""

from typing import Literal

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from app.surfaces.shared.statuses import BAD_REQUEST, Status
from schemas.jsontext import UNREADABLE, read_json


class Message(Struct, frozen=True):
    """One JSON-RPC message. `arguments` are the call's, separate from the body; None if it has none."""

    method: str
    body: bytes
    """The message for the library, without the arguments of a call."""
    arguments: bytes | None = None


class MessageError(Exception):
    """The body is not a message of the protocol."""

    def __init__(self, status: Status, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class _Envelope(Struct, frozen=True):
    """A request, or without `id` a notification. Clients send no answers, because the server never asks."""

    jsonrpc: Literal["2.0"]
    method: str
    id: int | str | UnsetType = UNSET
    params: dict[str, Raw] | UnsetType | None = UNSET


def read_message(body: bytes) -> Message:
    """Take a call's arguments out of a message. A procedure reads their bytes, so that numbers stay as sent.

    Raises InvalidInput for a body that is not JSON, MessageError for one that is neither a request nor a notification.
    """
    try:
        envelope = _decoder.decode(body)
    except UNREADABLE:
        read_json(body)
        raise MessageError(BAD_REQUEST, _EXPECTED) from None
    if envelope.method != "tools/call" or not envelope.params:
        return Message(envelope.method, body)
    arguments = bytes(envelope.params.pop("arguments", _NULL))
    return Message(envelope.method, msgspec.json.encode(envelope), None if arguments == b"null" else arguments)


def limited(arguments: bytes, limit: int) -> bytes:
    """The arguments with `limit` set, if their own is absent or null. A value that is not an object does not change."""
    return _with(arguments, "limit", limit, replaces=False)


def at_once(arguments: bytes) -> bytes:
    """The arguments of a call that waits, so that it does not."""
    return _with(arguments, "timeoutSeconds", 0, replaces=True)


def _with(arguments: bytes, name: str, value: int, *, replaces: bool) -> bytes:
    try:
        members = msgspec.json.decode(arguments, type=dict[str, Raw])
    except UNREADABLE:
        return arguments
    if replaces or bytes(members.get(name, _NULL)) == b"null":
        members[name] = Raw(b"%d" % value)
    return msgspec.json.encode(members)


_NULL = Raw(b"null")
_decoder = msgspec.json.Decoder(_Envelope)

_EXPECTED = (
    "The body must be one JSON-RPC 2.0 request or notification: an object with `jsonrpc`, `method`, `params` as an "
    "object, and `id` for a request. Batches are not accepted"
)
