"""What every door reads of a request in the same way: headers, the token, the request id, the body."""

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

import uuid_utils
from litestar.types import HTTPScope, Receive, WebSocketScope
from msgspec import Struct

from schemas.errors import PayloadTooLarge
from schemas.tracecontext import trace_id_of

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")


class Disconnected(Struct, frozen=True):
    """The client went before its request was complete."""


def header_map(scope: HTTPScope | WebSocketScope) -> dict[bytes, bytes]:
    """The headers by lower-case name; of a repeated one the first counts."""
    headers: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name, value)
    return headers


def is_welcome(headers: dict[bytes, bytes], origins: Sequence[str]) -> bool:
    """Whether a socket may be opened from its page: browsers ask nobody before. `*` in `origins`: from every page."""
    origin = headers.get(b"origin")
    if origin is None or "*" in origins or origin.decode("latin-1") in origins:
        return True
    return urlsplit(origin).netloc == headers.get(b"host")


def bearer_token(headers: dict[bytes, bytes]) -> str | None:
    """The token of `Authorization: Bearer`, or None."""
    scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
    return token.strip().decode("latin-1") if scheme.lower() == b"bearer" else None


def request_id_of(headers: dict[bytes, bytes]) -> str:
    """The caller's `x-request-id` where it is harmless text of at most 128 characters, else a new one."""
    given = headers.get(b"x-request-id", b"")
    return given.decode() if _REQUEST_ID.fullmatch(given) else str(uuid_utils.uuid7())


def traceparent_of(headers: dict[bytes, bytes]) -> str | None:
    """The trace that a request says it is a part of; None where it does not, or not as W3C Trace Context has it."""
    given = headers.get(b"traceparent")
    if given is None:
        return None
    text = given.decode("latin-1").strip()
    return text if trace_id_of(text) else None


async def read_body(
    receive: Receive, headers: dict[bytes, bytes], max_bytes: int
) -> bytes | PayloadTooLarge | Disconnected | None:
    """The whole body; None for an empty one. An error is answered, not raised: who is calling is checked first."""
    declared = headers.get(b"content-length", b"")
    if declared.isdigit() and int(declared) > max_bytes:
        return _too_large(max_bytes)
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return Disconnected()
        parts.append(message["body"])
        size += len(message["body"])
        if size > max_bytes:
            return _too_large(max_bytes)
        if not message["more_body"]:
            return b"".join(parts) or None


async def disconnected(receive: Receive) -> None:
    """Return when the client has gone. Only after the body has been read."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _too_large(max_bytes: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"The request exceeds {max_bytes} bytes; send it in parts")
