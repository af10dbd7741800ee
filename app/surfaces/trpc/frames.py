"""Reading the frames of a tRPC socket: messages, and what is wrong with them. Pure."""

import msgspec
from msgspec import Raw, Struct

from app.surfaces.errors import PARSE_ERROR
from app.surfaces.trpc.request import RequestError, connection_params
from app.surfaces.trpc.transformer import Transformer
from procedures.procedure import Kind

_METHODS = {str(kind): kind for kind in Kind}
_frame = msgspec.json.Decoder(list[dict[str, Raw]] | dict[str, Raw])


class MalformedFrameError(Exception):
    """A frame is no message of the protocol; its text says why."""


class Message(Struct, frozen=True, kw_only=True):
    """One message of a client. Without `kind` it stops the subscription `id`."""

    id: str | float | None
    """None is malformed, but spoils no other message of its frame."""
    start: bytes
    """What an answer begins with: the id, and `jsonrpc` where it was sent, as they were sent."""
    kind: Kind | None
    path: str = ""
    input: bytes | None = None
    last_event_id: str | None = None


def hello_params(hello: bytes) -> dict[str, str]:
    """The parameters of a socket's first message. Raises RequestError."""
    try:
        message = msgspec.json.decode(hello, type=dict[str, Raw])
        if bytes(message["method"]) == b'"connectionParams"':
            return connection_params(bytes(message["data"]))
    except (msgspec.MsgspecError, ValueError, RecursionError, KeyError):
        pass
    raise RequestError(PARSE_ERROR, 'The first message must be {"method":"connectionParams","data":…}')


def messages_of(text: bytes, transformer: Transformer) -> list[Message]:
    """The messages of a frame. Raises MalformedFrameError: one that is spoils them all."""
    try:
        frame_ = _frame.decode(text)
        return [_message(one, transformer) for one in (frame_ if isinstance(frame_, list) else [frame_])]
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise MalformedFrameError("The frame is not a message of tRPC, nor an array of them") from None


def _message(one: dict[str, Raw], transformer: Transformer) -> Message:
    id_ = one.get("id", Raw(b""))
    decoded = msgspec.json.decode(id_, type=str | float | None)
    start = b'{"id":%b' % bytes(id_)
    if "jsonrpc" in one:
        if bytes(one["jsonrpc"]) != b'"2.0"':
            raise MalformedFrameError("`jsonrpc` must be 2.0")
        start += b',"jsonrpc":"2.0"'
    method = msgspec.json.decode(one.get("method", Raw(b"")), type=str)
    if method == "subscription.stop":
        return Message(id=decoded, start=start, kind=None)
    if method not in _METHODS:
        raise MalformedFrameError("`method` must be query, mutation, subscription or subscription.stop")
    params = msgspec.json.decode(one.get("params", Raw(b"")), type=dict[str, Raw])
    resume = params.get("lastEventId")
    if "input" not in params and transformer.needs_input:
        raise MalformedFrameError("`params.input` is required: the server speaks superjson, and so must the client")
    return Message(
        id=decoded,
        start=start,
        kind=_METHODS[method],
        path=msgspec.json.decode(params.get("path", Raw(b"")), type=str),
        input=bytes(params["input"]) if "input" in params else None,
        last_event_id=None if resume is None else msgspec.json.decode(resume, type=str),
    )
