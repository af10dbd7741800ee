"""One call of a webhook: a POST to an address that the guard has checked, over a connection of its own.

No redirect is followed, no proxy is asked, no encoding is undone, no connection is kept. Whatever the other side does,
a call ends in time and holds little memory: its answer is for an operator to look at, its status is what counts.
"""

import asyncio
import functools
import os
import re
import ssl
import time
from asyncio import StreamReader, StreamWriter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

import h11
from msgspec import Struct, field

from app.delivery.guard import Address, Guard, Target, TargetRefused, Unresolved
from app.delivery.retry import parse_retry_after

MAX_BODY_BYTES = 20_000
"""What is kept of an answer's body."""
MAX_HEAD_BYTES = 32_768
"""Status line and headers of an answer, or any one piece of its framing; what is read at once may go beyond."""
MAX_RECEIVED_BYTES = 262_144
"""Of one answer in all: interim answers and the framing of tiny chunks are bounded too."""
MAX_PIECES = 128
"""Interim answers and chunks that are read of one answer: many answers of thousands each would stop the process."""
BODY_SECONDS = 5.0
"""The status is known by then: a body that drips costs no more than this."""
CONNECT_SECONDS = 5.0
"""For one address while another is left to try."""
MAX_ADDRESSES = 4

FINAL, SWITCHING = 200, 101
"""The lowest status that is no interim answer's, and the one behind which another protocol is spoken."""

_STATUS_LINE = re.compile(rb"HTTP/[0-9]\.[0-9] ([1-9][0-9]{2})(?: [^\r\n]*)?\r?\n")
_BLANK_LINE = re.compile(rb"\n\r?\n")
_RETRY = b"retry-after"
_RETRY_AFTER = re.compile(rb"(?im)^retry-after:([^\r\n]*)")
_READ_BYTES = 16_384
_ENDLESS = "The answer has no end of what comes before its status"
_CLOSED = "The connection was closed without an answer"
_OWN_HEADERS = {"host", "content-length", "transfer-encoding", "connection", "accept-encoding", "expect", "upgrade"}


class PostResult(Struct, frozen=True, kw_only=True):
    """What came of a call."""

    status: int | None = None
    """As answered, 200 to 999; None where no answer came."""
    error: str | None = None
    """Why this is no delivery, one sentence for an operator; None where it is one: the status is from 200 to 299.

    Of the URL it may name the host or its literal address, never what the host resolves to, nor anything that was sent.
    """
    body: bytes = b""
    """The answer's first 20,000 bytes at most, as they came: not decoded, and cut off where the answer broke off."""
    retry_after_seconds: int | None = None
    """What the answer asked for in `Retry-After`, from 0 to 86,400."""
    elapsed_seconds: float


class _Answer(Struct):
    """What is known so far."""

    stage: str = "looking up its host"
    status: int | None = None
    is_read: bool = False
    """Whether its head is known to keep the rules of HTTP/1.1."""
    retry_after_seconds: int | None = None
    body: bytearray = field(default_factory=bytearray)
    head: bytearray = field(default_factory=bytearray)
    """All that came, until it is known to keep the rules."""

    def take(self, data: bytes) -> bool:
        """Take note of what came (nothing: the other side has closed). Whether that tells the status."""
        if not self.is_read:
            self.head += data or b"\n"
        if self.status is not None or (final := _final(self.head)) is None:
            return False
        self.status = final[0]
        return True

    def keep(self) -> None:
        """Of an answer that breaks the rules in its head: keep how long to wait, and the body as it came."""
        if (final := _final(self.head)) is not None and not self.is_read:
            head, *body = _BLANK_LINE.split(self.head[final[1] :], maxsplit=1)
            self.retry_after_seconds = _retry_after(_RETRY_AFTER.findall(head))
            self.body += b"".join(body)[:MAX_BODY_BYTES]


class _NoAnswer(Exception):
    """The other side did not answer as HTTP/1.1 has it; the message is one sentence."""


async def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    guard: Guard,
    timeout_seconds: float = 15.0,
    party: str = "",
    tls: ssl.SSLContext | None = None,
) -> PostResult:
    """POST `body` to `url` once, by HTTP/1.1 (RFC 9112), within `timeout_seconds` for all of it.

    Failures are outcomes. `url` is judged anew. Of its addresses the first four are tried, until one is connected to;
    then the call is made, and never again. Over https the certificate must be for the URL's host, by what the system
    trusts unless `tls` says otherwise. Raises ValueError for `headers` that HTTP does not allow or that are set here
    (`Host` and framing). `party` is on whose behalf the host is looked up.
    """
    started = time.monotonic()
    answer = _Answer()
    error: str | None = None
    own = _OWN_HEADERS & {name.lower() for name in headers}
    if own:
        raise ValueError(f"these headers are set here: {', '.join(sorted(own))}")
    try:
        async with asyncio.timeout(timeout_seconds):
            target = guard.target(url)
            http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)
            request = _request(http, target, body, headers)
            addresses = await guard.addresses(target, party)
            answer.stage = "connecting"
            reader, writer = await _connect(target, addresses, (tls or _system_trust()) if target.secure else None)
            answer.stage = "waiting for the answer"
            try:
                writer.write(request)  # not waited for: an answer may come before all is sent
                await _read(http, reader, answer)
            finally:
                # Not closed with care: that would wait for the other side, and nothing more is wanted of it.
                writer.transport.abort()
    except TargetRefused as refused:
        error = f"The URL {refused}"
    except (Unresolved, _NoAnswer) as failed:
        error = str(failed)
    except TimeoutError:
        error = f"No answer within {timeout_seconds:g} s, {answer.stage}"
    except OSError as failed:
        error = _described(failed)
    if answer.status is not None:
        error = _judged(answer.status)  # whatever became of the body: the receiver has answered
    return PostResult(
        status=answer.status,
        error=error,
        body=bytes(answer.body),
        retry_after_seconds=answer.retry_after_seconds,
        elapsed_seconds=time.monotonic() - started,
    )


async def _connect(
    target: Target, addresses: Sequence[Address], tls: ssl.SSLContext | None
) -> tuple[StreamReader, StreamWriter]:
    """A connection to the first of `addresses` that takes one. The host's name serves TLS alone, unresolved."""
    tried = addresses[:MAX_ADDRESSES]
    for address in tried[:-1]:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                return await _open(target, address, tls)
        except OSError:  # a timeout as well; the next may do better
            continue
    return await _open(target, tried[-1], tls)


async def _open(target: Target, address: Address, tls: ssl.SSLContext | None) -> tuple[StreamReader, StreamWriter]:
    return await asyncio.open_connection(
        str(address),
        target.port,
        limit=_READ_BYTES,
        ssl=tls,
        server_hostname=None if tls is None else target.host,
    )


def _request(http: h11.Connection, target: Target, body: bytes, headers: Mapping[str, str]) -> bytes:
    """The request's bytes. Raises ValueError for headers that HTTP does not allow."""
    own = {
        "Host": target.authority,
        "Connection": "close",
        "Accept-Encoding": "identity",
        "Content-Length": str(len(body)),
    }
    try:
        request = h11.Request(method="POST", target=target.path, headers=[*own.items(), *headers.items()])
        return b"".join(http.send(event) or b"" for event in (request, h11.Data(data=body), h11.EndOfMessage()))
    except h11.LocalProtocolError as error:
        raise ValueError(str(error)) from None


async def _read(http: h11.Connection, reader: StreamReader, answer: _Answer) -> None:
    """Read into `answer` until its body ends or is long enough. Raises _NoAnswer, OSError where there is none.

    Its status line is enough: what comes behind may break off, or break the rules (then it is kept as it came).
    """
    received = pieces = 0
    deadline: asyncio.Timeout
    async with asyncio.timeout(None) as deadline:
        while len(answer.body) < MAX_BODY_BYTES:
            try:
                event = http.next_event()
            except h11.RemoteProtocolError:
                answer.keep()
                raise _NoAnswer("The answer is not HTTP/1.1" if received else _CLOSED) from None
            if event is h11.NEED_DATA:
                data = await reader.read(_READ_BYTES)
                received += len(data)
                if received > MAX_RECEIVED_BYTES:
                    raise _NoAnswer(_ENDLESS)
                if answer.take(data):
                    deadline.reschedule(asyncio.get_running_loop().time() + BODY_SECONDS)
                http.receive_data(data)
            elif isinstance(event, h11.Response):
                answer.is_read = True
                answer.retry_after_seconds = _retry_after(value for name, value in event.headers if name == _RETRY)
            elif isinstance(event, h11.Data):
                answer.body += event.data[: MAX_BODY_BYTES - len(answer.body)]
                pieces += 1
            elif isinstance(event, h11.InformationalResponse):
                pieces += 1
            else:
                return  # the end of the message
            if pieces > MAX_PIECES:
                raise _NoAnswer(_ENDLESS)


def _final(head: bytes | bytearray) -> tuple[int, int] | None:
    """The status of the first answer that is no interim one, and where it begins; None until that line is complete."""
    at = 0
    while (line := _STATUS_LINE.match(head, at)) is not None:
        status = int(line[1])
        if status >= FINAL:
            return status, at
        end = _BLANK_LINE.search(head, line.end() - 1)
        if status == SWITCHING or end is None:
            return None
        at = end.end()
    return None


def _retry_after(values: Iterable[bytes]) -> int | None:
    value = next(iter(values), None)
    return None if value is None else parse_retry_after(value.decode("latin-1"), datetime.now(UTC))


def _judged(status: int) -> str | None:
    if 200 <= status <= 299:
        return None
    return f"Answered {status}; redirects are not followed" if 300 <= status <= 399 else f"Answered {status}"


def _described(error: OSError) -> str:
    """`error` in words of its class and number alone: its own text may have the address that was called."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"The certificate was not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed ({error.reason or 'no reason given'})"
    if isinstance(error, ConnectionRefusedError):
        return "The connection was refused"
    if isinstance(error, ConnectionError) or error.errno is None:
        return _CLOSED
    return f"The connection failed: {os.strerror(error.errno)}"


@functools.cache
def _system_trust() -> ssl.SSLContext:
    """Made once: it reads all of the system's certificates."""
    tls = ssl.create_default_context()
    tls.set_alpn_protocols(["http/1.1"])
    return tls
