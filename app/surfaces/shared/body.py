"""The body of a request: read within its limit, and decoded as its headers say (RFC 9110, section 8.4)."""

import asyncio
import zlib
from collections.abc import Iterator, Mapping
from typing import Final

from litestar.types import Receive

from app.capacity.bodies import Room
from app.capacity.parsing import parse
from schemas.errors import InvalidInput, Issue, PayloadTooLarge, ProcedureError, TimedOut, UnsupportedMedia
from schemas.jsontext import utf8_json
from schemas.wire.media import refuse_other_charset

CODINGS = ("gzip", "identity")
"""The accepted values of `Content-Encoding`, which `Accept-Encoding` lists."""

MAX_CODINGS = 3
"""The maximum of codings in one `Content-Encoding`. Nobody needs more, and each costs another pass."""

MAX_MEMBERS = 1000
"""The maximum of members in one gzip body. Empty members cost time and decode to nothing."""

BODY_SECONDS = 30.0
"""The time in which the whole body must arrive."""

FREE_BYTES = 65_536
"""A body up to this size reserves no room, because each connection has a buffer of that size anyway."""

_MALFORMED: Final = "malformed_json"
_GZIP = frozenset({"gzip", "x-gzip"})
_GZIP_FORMAT = 16 + zlib.MAX_WBITS
_PIECE_BYTES = 65_536


class Body:
    """The body of a request with a well-formed head. It is read only when needed, after the caller is known."""

    def __init__(
        self,
        receive: Receive,
        headers: Mapping[bytes, bytes],
        max_bytes: int,
        room: Room,
        *,
        seconds: float = BODY_SECONDS,
    ) -> None:
        """The decoded body may have `max_bytes`, and `seconds` to arrive. Above `FREE_BYTES` it reserves `room`."""
        self._receive = receive
        self._headers = headers
        self._max_bytes = max_bytes
        self._room = room
        self._seconds = seconds
        self._sent: bytes | ProcedureError | None = None
        self._is_read = asyncio.Event()

    async def content(self) -> bytes:
        """The decoded bytes. Raises PayloadTooLarge, UnsupportedMedia, TimedOut, Unavailable.

        Raises InvalidInput if the client leaves before the body is complete.
        """
        codings = _codings(self._headers)
        declared = int(self._headers.get(b"content-length", b"0"))
        if declared > self._max_bytes:
            raise _too_large(self._max_bytes)
        if codings:
            await self._room.take(self._max_bytes)
        elif declared > FREE_BYTES:
            await self._room.take(declared)
        received = await self._received(is_counted=bool(codings) or declared > FREE_BYTES)
        self._is_read.set()
        if not codings or not received:
            return received
        return await parse(self._max_bytes, _decoded, received, codings, self._max_bytes)

    async def _received(self, *, is_counted: bool) -> bytes:
        """The bytes that were sent. Raises the errors of `content`."""
        parts, size = [], 0
        try:
            async with asyncio.timeout(self._seconds):
                while True:
                    message = await self._receive()
                    if message["type"] != "http.request":
                        raise InvalidInput([Issue("", "the request ended before its body was complete", _MALFORMED)])
                    parts.append(message["body"])
                    size += len(message["body"])
                    if size > self._max_bytes:
                        raise _too_large(self._max_bytes)
                    if not message["more_body"]:
                        return b"".join(parts)
                    if size > FREE_BYTES and not is_counted:
                        await self._room.take(self._max_bytes)
                        is_counted = True
        except TimeoutError:
            raise TimedOut(f"The body did not arrive within {self._seconds:g} s; send the request again") from None

    async def json(self) -> bytes | None:
        """The decoded bytes of JSON in UTF-8, without a byte order mark; None for an empty body. Raises as `content`.

        The caller of this method checks the media type.
        """
        content = await self.content()
        refuse_other_charset(self._headers.get(b"content-type", b"").decode("latin-1"))
        return utf8_json(content) if content else None

    async def arrive(self) -> int:
        """Wait for the JSON and return its size in bytes. `sent` raises its errors."""
        try:
            self._sent = await self.json()
        except ProcedureError as error:
            self._sent = error
        return len(self._sent) if isinstance(self._sent, bytes) else 0

    def sent(self) -> bytes | None:
        """The JSON that has arrived. Raises the errors of `json`."""
        if isinstance(self._sent, ProcedureError):
            raise self._sent
        return self._sent

    async def left(self) -> None:
        """Return when the client has gone. This begins only after the body has been read."""
        await self._is_read.wait()
        await disconnected(self._receive)


async def disconnected(receive: Receive) -> None:
    """Return when the client has gone. Call it only after the body has been read."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _codings(headers: Mapping[bytes, bytes]) -> tuple[str, ...]:
    """The codings of a body, in the order in which they were applied. Raises UnsupportedMedia."""
    if b"content-encoding" not in headers:
        return ()
    named = headers[b"content-encoding"].decode("latin-1").lower().split(",")
    codings = tuple(name for name in map(str.strip, named) if name not in {"", "identity"})
    if len(codings) > MAX_CODINGS or not _GZIP.issuperset(codings):
        raise UnsupportedMedia(
            "Content-Encoding must be gzip, or absent", field="Content-Encoding", accept_encoding=", ".join(CODINGS)
        )
    return codings


def _decoded(sent: bytes, codings: tuple[str, ...], max_bytes: int) -> bytes:
    """`sent` without its codings. Each decoded result is limited too. Raises PayloadTooLarge, InvalidInput."""
    for _ in codings:
        pieces, size = [], 0
        try:
            for piece in _inflated(sent):
                pieces.append(piece)
                size += len(piece)
                if size > max_bytes:
                    raise _too_large(max_bytes)
        except (zlib.error, EOFError):
            message = "says gzip, but the body is not gzip, or is cut off"
            raise InvalidInput([Issue("Content-Encoding", message)]) from None
        sent = b"".join(pieces)
    return sent


def _inflated(sent: bytes) -> Iterator[bytes]:
    """The content of a gzip body (RFC 1952: a sequence of members), in pieces of bounded size.

    Raises zlib.error, or EOFError if the body is cut off.
    """
    members, member = 0, None
    for start in range(0, len(sent), _PIECE_BYTES):
        rest = sent[start : start + _PIECE_BYTES]
        piece = b""
        while rest or len(piece) == _PIECE_BYTES:  # after a full piece the decompressor still holds data
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
