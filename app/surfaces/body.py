"""The body of a request: read within its limit, decoded as its headers say (RFC 9110, section 8.4)."""

import asyncio
import zlib
from collections.abc import Iterator, Mapping

from litestar.types import Receive
from msgspec import Struct

from schemas.errors import InvalidInput, Issue, PayloadTooLarge, ProcedureError, UnsupportedMedia
from schemas.jsontext import utf8_json
from schemas.wire.media import refuse_other_charset

CODINGS = ("gzip", "identity")
"""What `Content-Encoding` may name, and what `Accept-Encoding` tells of it."""

MAX_CODINGS = 3
"""Nobody compresses more often, and each one costs another pass."""

MAX_MEMBERS = 1000
"""Of one gzip body. Empty members cost time and decode to nothing."""

_GZIP = frozenset({"gzip", "x-gzip"})
_GZIP_FORMAT = 16 + zlib.MAX_WBITS
_PIECE_BYTES = 65_536


class Disconnected(Struct, frozen=True):
    """The client went before its request was complete."""


class Body(Struct, frozen=True, kw_only=True):
    """A body as it was sent. What is wrong with it is raised when it is wanted: who calls is checked first."""

    sent: bytes
    codings: tuple[str, ...]
    """What it was encoded with, in that order."""
    content_type: str
    max_bytes: int
    error: ProcedureError | None = None

    async def content(self) -> bytes:
        """The decoded bytes, at most `max_bytes`. Raises PayloadTooLarge, UnsupportedMedia, InvalidInput."""
        if self.error is not None:
            raise self.error
        if not self.codings or not self.sent:
            return self.sent
        return await asyncio.to_thread(_decoded, self.sent, self.codings, self.max_bytes)

    async def json(self) -> bytes | None:
        """The decoded bytes of JSON in UTF-8, without a byte order mark; None for an empty body. Raises as `content`.

        The media type itself is the door's to judge.
        """
        content = await self.content()
        refuse_other_charset(self.content_type)
        return utf8_json(content) if content else None


async def read_body(receive: Receive, headers: Mapping[bytes, bytes], max_bytes: int) -> Body | Disconnected:
    """The whole body of a request whose head is not malformed. Raises nothing."""
    error: ProcedureError | None = None
    try:
        codings = _codings(headers)
    except UnsupportedMedia as refused:
        codings, error = (), refused
    sent = b""
    if int(headers.get(b"content-length", b"0")) <= max_bytes:
        received = await _received(receive, max_bytes)
        if received is None:
            return Disconnected()
        sent = received
    else:
        error = _too_large(max_bytes)
    if len(sent) > max_bytes:
        sent, error = b"", _too_large(max_bytes)
    content_type = headers.get(b"content-type", b"").decode("latin-1")
    return Body(sent=sent, codings=codings, content_type=content_type, max_bytes=max_bytes, error=error)


async def disconnected(receive: Receive) -> None:
    """Return when the client has gone. Only after the body has been read."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _received(receive: Receive, max_bytes: int) -> bytes | None:
    """What is sent, or so much of it that it is too large; None where the client went before the end."""
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        parts.append(message["body"])
        size += len(message["body"])
        if size > max_bytes or not message["more_body"]:
            return b"".join(parts)


def _codings(headers: Mapping[bytes, bytes]) -> tuple[str, ...]:
    """What a body was encoded with, in that order. Raises UnsupportedMedia."""
    named = headers.get(b"content-encoding", b"").decode("latin-1").lower().split(",")
    codings = tuple(name for name in map(str.strip, named) if name not in {"", "identity"})
    if len(codings) > MAX_CODINGS or not _GZIP.issuperset(codings):
        raise UnsupportedMedia(
            "Content-Encoding must be gzip, or absent", field="Content-Encoding", accept_encoding=", ".join(CODINGS)
        )
    return codings


def _decoded(sent: bytes, codings: tuple[str, ...], max_bytes: int) -> bytes:
    """`sent` without its codings. What each of them comes to is limited. Raises PayloadTooLarge, InvalidInput."""
    for _ in codings:
        pieces, size = [], 0
        try:
            for piece in _inflated(sent):
                pieces.append(piece)
                size += len(piece)
                if size > max_bytes:
                    raise _too_large(max_bytes)
        except (zlib.error, EOFError):
            message = "says gzip, and the body is not that, or is cut off"
            raise InvalidInput([Issue("Content-Encoding", message)]) from None
        sent = b"".join(pieces)
    return sent


def _inflated(sent: bytes) -> Iterator[bytes]:
    """The content of a gzip body (RFC 1952: one member after the other), in pieces of bounded size.

    Raises zlib.error, and EOFError where it is cut off.
    """
    members, member = 0, None
    for start in range(0, len(sent), _PIECE_BYTES):
        rest = sent[start : start + _PIECE_BYTES]
        piece = b""
        while rest or len(piece) == _PIECE_BYTES:  # a full piece: there is more of what was taken in
            if member is None:
                members += 1
                member = zlib.decompressobj(_GZIP_FORMAT)
            if members > MAX_MEMBERS:
                raise zlib.error
            piece = member.decompress(rest, _PIECE_BYTES)
            yield piece
            rest = member.unused_data if member.eof else member.unconsumed_tail
            if member.eof:
                member, piece = None, b""
    if member is not None:
        raise EOFError


def _too_large(max_bytes: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"The request exceeds {max_bytes} bytes; send it in parts")
