"""Follows the log of a server by `events.stream`.

If the connection is lost, it connects again and continues after the last event, so it returns each event once.
"""

import http.client
import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec
from msgspec import Raw, Struct

from app.cli.terminal import escaped, without_secrets
from app.cli.tokens import bearer

CONNECT_SECONDS = 10.0

SILENCE_SECONDS = 60.0
"""How long a server may send nothing before the connection counts as lost, unless the server names the time."""

RETRY_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)
"""The pauses before new attempts. All later attempts have the last one."""

MAX_LINE_BYTES = 2**25
"""The longest line of an answer that is read. Any event is far shorter."""

_SEQ = re.compile(r"[0-9]{1,16}")


_RETRIABLE = frozenset({"SERVICE_UNAVAILABLE", "TOO_MANY_REQUESTS", "INTERNAL_SERVER_ERROR"})


class TailError(Exception):
    """The log cannot be followed. The message is one sentence for the operator."""


class _LostError(Exception):
    """The connection was lost, or the server is away for now."""


class TailOptions(Struct, frozen=True, kw_only=True):
    """What to follow. `start` is a start of `events.stream`, or the seq of the first event."""

    url: str
    token: str
    workspace: str | None = None
    type: str | None = None
    filter: str | None = None
    start: str = "now"
    superjson: bool = False


class _Message(Struct, frozen=True):
    """A server-sent event."""

    name: str
    data: bytes
    id: str | None


def follow(options: TailOptions, tell: Callable[[str], object] = lambda _: None) -> Iterator[bytes]:
    """The JSON of each event, without end. It reconnects if a connection is lost; if the first one fails, TailError.

    `tell` gets a sentence when the connection is lost, and when it is restored.
    """
    query = _query(options)
    place: str | None = None
    failures = 0
    while True:
        try:
            for message in _messages(options, query, place):
                place = message.id or place
                if failures and message.name in {"message", "ping"}:
                    failures = 0
                    tell("Connected again.")
                if message.name == "message":
                    yield _plain(message.data, options)
        except _LostError as lost:
            if place is None:
                raise TailError(f"{without_secrets(options.url)} cannot be followed: {lost}.") from None
            if not failures:
                tell(f"The connection was lost ({lost}); trying again.")
        time.sleep(RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)])
        failures += 1


def _query(options: TailOptions) -> dict[str, Any]:
    """The input of `events.stream`. Raises TailError."""
    query: dict[str, Any] = {"start": options.start}
    if options.type is not None:
        query["type"] = options.type
    if options.filter is not None:
        try:
            query["filter"] = msgspec.json.decode(options.filter)
        except (msgspec.DecodeError, RecursionError):
            raise TailError('--filter must be JSON, such as \'{"type":{"startsWith":"note."}}\'.') from None
    if _SEQ.fullmatch(options.start):
        query["start"] = _before(options, int(options.start))
    return query


def _before(options: TailOptions, seq: int) -> str:
    """The start of a stream whose first event is that of `seq`: the id of the event before it."""
    if seq == 0:
        return "beginning"
    asked = {"filter": {"seq": {"eq": seq - 1}}, "limit": 1}
    try:
        with closing(_connection(options)) as connection:
            answer = _asked(connection, options, "events.list", asked, {})
            content = answer.read(MAX_LINE_BYTES)
        said = msgspec.json.decode(content)
        if "error" in said:
            raise _refusal(_unpacked(said["error"], options), options)
        events = _unpacked(said["result"]["data"], options)
    except (OSError, http.client.HTTPException, msgspec.DecodeError, LookupError, TypeError, _LostError) as error:
        raise TailError(f"{without_secrets(options.url)} cannot be followed: {_reason(error)}.") from None
    if not events:
        raise TailError(f"The log has no event with the seq {seq - 1}, or this key may not read it.")
    return str(events[0]["id"])


def _messages(options: TailOptions, query: dict[str, Any], place: str | None) -> Iterator[_Message]:
    """The messages of one connection, which ends with _LostError. Raises TailError if the server refuses."""
    try:
        with closing(_connection(options)) as connection:
            headers = {} if place is None else {"last-event-id": place}
            answer = _asked(connection, options, "events.stream", query, headers)
            if answer.headers.get_content_type() != "text/event-stream":
                raise _LostError(f"it answered {answer.status} without events")
            for message in _parsed(answer):
                if message.name == "connected" and connection.sock is not None:
                    connection.sock.settimeout(_silence(message.data))
                elif message.name == "serialized-error":
                    raise _refusal(_unpacked(msgspec.json.decode(message.data), options), options)
                yield message
            raise _LostError("it ended the stream")
    except (OSError, http.client.HTTPException, msgspec.DecodeError, LookupError, TypeError) as error:
        raise _LostError(_reason(error)) from None


def _asked(
    connection: http.client.HTTPConnection, options: TailOptions, name: str, asked: object, headers: dict[str, str]
) -> http.client.HTTPResponse:
    sent = msgspec.json.encode({"json": asked} if options.superjson else asked).decode()
    path = f"{urlsplit(options.url).path.rstrip('/')}/trpc/{name}?input={quote(sent)}"
    if options.token:
        headers = headers | {"authorization": bearer(options.token)}
    if options.workspace is not None:
        headers = headers | {"x-workspace-id": quote(options.workspace)}
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    if answer.status >= 500 or (answer.status != 200 and "json" not in answer.headers.get_content_type()):
        raise _LostError(f"it answered {answer.status}")
    return answer


def _connection(options: TailOptions) -> http.client.HTTPConnection:
    """A connection to the server. Raises TailError for an invalid URL."""
    try:
        parts = urlsplit(options.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection: http.client.HTTPConnection = kind(parts.hostname, parts.port, timeout=CONNECT_SECONDS)
    except ValueError:
        shown = without_secrets(options.url)
        raise TailError(f"{shown} is not the URL of a server, such as http://127.0.0.1:8000.") from None
    return connection


def _parsed(answer: http.client.HTTPResponse) -> Iterator[_Message]:
    """Server-sent events (the HTML standard, section 9.2.6), as our server writes them: with LF, one line of data."""
    name, data, id_ = "message", b"", None
    while line := answer.readline(MAX_LINE_BYTES):
        field, _, value = line.rstrip(b"\n").partition(b": ")
        if not field:
            yield _Message(name, data, id_)
            name, data, id_ = "message", b"", None
        elif field == b"event":
            name = value.decode()
        elif field == b"data":
            data = value
        elif field == b"id":
            id_ = value.decode()


def _silence(connected: bytes) -> float:
    """The seconds of silence after which the server says that a connection counts as lost."""
    told = msgspec.json.decode(connected)
    seconds = told.get("reconnectAfterInactivityMs") if isinstance(told, dict) else None
    return seconds / 1000 if isinstance(seconds, int | float) and seconds > 0 else SILENCE_SECONDS


def _plain(data: bytes, options: TailOptions) -> bytes:
    _check_transformer(options, is_wrapped=data.startswith(b'{"json":'))
    return bytes(msgspec.json.decode(data, type=_Wrapped).json) if options.superjson else data


def _unpacked(value: Any, options: TailOptions) -> Any:
    _check_transformer(options, is_wrapped=isinstance(value, dict) and "json" in value)
    return value["json"] if options.superjson else value


def _check_transformer(options: TailOptions, *, is_wrapped: bool) -> None:
    """Raise TailError if the server wraps values and this command does not, or the other way round."""
    if is_wrapped != options.superjson:
        raise _otherwise(options)


def _otherwise(options: TailOptions) -> TailError:
    """The error if the server uses the other transformer."""
    spoken = "none" if options.superjson else "superjson"
    return TailError(f"{without_secrets(options.url)} uses another transformer; set SYNAP_TRANSFORMER={spoken}.")


def _refusal(error: Any, options: TailOptions) -> TailError | _LostError:
    """The failure for an error of the server."""
    refusal = msgspec.convert(error, _Refusal)
    if refusal.data.reason == "wrong_transformer":
        return _otherwise(options)
    message = escaped(refusal.message).removesuffix(".")
    if refusal.data.code in _RETRIABLE:
        return _LostError(message)
    hint = "; give it a token: --token-file or SYNAP_TOKEN" if refusal.data.code == "UNAUTHORIZED" else ""
    return TailError(f"{without_secrets(options.url)} rejected the call: {message}{hint}.")


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


class _ErrorData(Struct, frozen=True):
    code: str
    reason: str = ""


class _Refusal(Struct, frozen=True):
    """tRPC's error object."""

    message: str
    data: _ErrorData


class _Wrapped(Struct, frozen=True):
    """A value as superjson writes it. Its notes on types are for JavaScript, and are ignored."""

    json: Raw
