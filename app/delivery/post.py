"""One call of a webhook: a POST to an address that the guard has checked, over its own connection.

It follows no redirect, uses no proxy, decodes nothing and reuses no connection. Whatever the receiver does, a call ends
in time and needs little memory. Its status decides; its answer is for an operator to read.
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
"""The maximum of an answer's body that is returned, unless the caller names another one."""
MAX_HEAD_BYTES = 32_768
"""The maximum of an answer's status line and headers, or of one piece of framing. A single read may exceed it."""
MAX_RECEIVED_BYTES = 262_144
"""The maximum of one answer in all, so that interim answers and the framing of tiny chunks are limited too."""
MAX_PIECES = 128
"""The maximum of interim answers and chunks that are read. Thousands in many answers would block the process."""
BODY_SECONDS = 5.0
"""The time for the body after the status is known, so that a slow body costs no more."""
CONNECT_SECONDS = 5.0
"""The time to connect to one address while others are left to try."""
MAX_ADDRESSES = 4

FINAL, SWITCHING = 200, 101
"""The lowest status that is not interim, and the status after which another protocol is spoken."""

_STATUS_LINE = re.compile(rb"HTTP/[0-9]\.[0-9] ([1-9][0-9]{2})(?: [^\r\n]*)?\r?\n")
_BLANK_LINE = re.compile(rb"\n\r?\n")
_RETRY = b"retry-after"
_RETRY_AFTER = re.compile(rb"(?im)^retry-after:([^\r\n]*)")
_READ_BYTES = 16_384
_ENDLESS = "The answer is too long before its status"
_CLOSED = "The connection was closed without an answer"
_OWN_HEADERS = {"host", "content-length", "transfer-encoding", "connection", "accept-encoding", "expect", "upgrade"}


class PostResult(Struct, frozen=True, kw_only=True):
    """The result of a call."""

    status: int | None = None
    """The status of the answer, 200 to 999; None if there was no answer."""
    error: str | None = None
    """Why the delivery failed, in one sentence for an operator; None if the status is from 200 to 299.

    It may name the URL's host or literal address, but not what the host resolves to, nor anything that was sent.
    """
    body: bytes = b""
    """The first bytes of the answer's body, not decoded, and incomplete if the answer broke off."""
    retry_after_seconds: int | None = None
    """The seconds in the answer's `Retry-After`, from 0 to 86,400."""
    elapsed_seconds: float


class _Answer(Struct):
    """The parts of the answer that are known so far."""

    max_body_bytes: int
    stage: str = "looking up its host"
    status: int | None = None
    is_read: bool = False
    """Whether its head is known to be valid HTTP/1.1."""
    retry_after_seconds: int | None = None
    body: bytearray = field(default_factory=bytearray)
    head: bytearray = field(default_factory=bytearray)
    """All bytes received, until the head is known to be valid."""

    def take(self, data: bytes) -> bool:
        """Add received bytes (empty: the receiver has closed). Returns whether they complete the status."""
        if not self.is_read:
            self.head += data or b"\n"
        if self.status is not None or (final := _final(self.head)) is None:
            return False
        self.status = final[0]
        return True

    def keep(self) -> None:
        """Save the wait and the raw body of an answer whose head is not valid HTTP/1.1."""
        if (final := _final(self.head)) is not None and not self.is_read:
            head, *body = _BLANK_LINE.split(self.head[final[1] :], maxsplit=1)
            self.retry_after_seconds = _retry_after(_RETRY_AFTER.findall(head))
            self.body += b"".join(body)[: self.max_body_bytes]


class _NoAnswer(Exception):
    """The receiver did not send a valid HTTP/1.1 answer. The message is one sentence."""


async def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    guard: Guard,
    timeout_seconds: float = 15.0,
    max_body_bytes: int = MAX_BODY_BYTES,
    party: str = "",
    tls: ssl.SSLContext | None = None,
) -> PostResult:
    """POST `body` to `url` once, by HTTP/1.1 (RFC 9112), within `timeout_seconds` for all of it.

    Failures are outcomes. `url` is checked again. The first four addresses are tried until one connects; the call is
    then made once. Of its answer's body at most `max_body_bytes` are returned. Over https the certificate must be for
    the URL's host, by the system's trust unless `tls` is given. Raises ValueError for `headers` that HTTP does not
    allow or that this function sets (`Host` and framing). `party` is the workspace on whose behalf the host is looked
    up.
    """
    started = time.monotonic()
    answer = _Answer(max_body_bytes)
    error: str | None = None
    own = _OWN_HEADERS & {name.lower() for name in headers}
    if own:
        raise ValueError(f"this function sets these headers: {', '.join(sorted(own))}")
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
                writer.write(request)  # not awaited: an answer may come before everything is sent
                await _read(http, reader, answer)
            finally:
                # A graceful close would wait for the receiver, and nothing more is needed from it.
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
        error = _judged(answer.status)  # even if the body failed: the receiver has answered
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
    """A connection to the first of `addresses` that accepts one. The host's name is only used for TLS."""
    tried = addresses[:MAX_ADDRESSES]
    for address in tried[:-1]:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                return await _open(target, address, tls)
        except OSError:  # also a timeout; the next address may work
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
    """Read into `answer` until its body ends or is long enough. Raises _NoAnswer, OSError if there is no answer.

    Once the status line is known, the rest may break off or be invalid; it is then stored as received.
    """
    received = pieces = 0
    deadline: asyncio.Timeout
    async with asyncio.timeout(None) as deadline:
        while len(answer.body) < answer.max_body_bytes:
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
                answer.body += event.data[: answer.max_body_bytes - len(answer.body)]
                pieces += 1
            elif isinstance(event, h11.InformationalResponse):
                pieces += 1
            else:
                return  # the end of the message
            if pieces > MAX_PIECES:
                raise _NoAnswer(_ENDLESS)


def _final(head: bytes | bytearray) -> tuple[int, int] | None:
    """The status of the first answer that is not interim, and its position; None until that line is complete."""
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
    """`error` by its class and number only: its own text may contain the address that was called."""
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
    """The system's certificates. They are read once."""
    tls = ssl.create_default_context()
    tls.set_alpn_protocols(["http/1.1"])
    return tls
