"""The tRPC protocol over HTTP for this client, without any input or output.

Every call is a POST, even a query, so that its input is in a body and not in a URL, which proxies log.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, Literal, TypeVar, get_args
from urllib.parse import urlsplit

import httpx
import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from synap_client import errors
from synap_client.events import written

T = TypeVar("T")

Transformer = Literal["none", "superjson"]
"""The server's format of values: its `SYNAP_TRANSFORMER`."""

AGENT = "synap-client/0.1"
CONNECT_SECONDS = 5.0


class Call(Generic[T]):
    """One call of a procedure, and the type of its answer. `safe` means that doing it twice has no further effect.

    `wait_seconds` is how long the server may take on purpose, beside the client's `timeout_seconds`.
    """

    def __init__(self, name: str, content: object, answer: Any = Any, *, safe: bool, wait_seconds: float = 0) -> None:
        """`content` is the input, or None."""
        self.name = name
        self.safe = safe
        self.wait_seconds = wait_seconds
        self.body = b"" if content is None else content if isinstance(content, bytes) else written(content)
        self._answer = answer

    def read(self, status: int, headers: Mapping[str, str], content: bytes, values: "Values") -> T:
        """The output in an answer. Raises SynapError."""
        try:
            envelope = _envelope.decode(content)
            if envelope.result is not UNSET:
                output: T = values.decode(envelope.result.data, self._answer)
                return output
        except UNREADABLE as error:
            if status < 400:
                raise unexpected(self.name, error, status) from None
        raise failure(status, headers, content, values)


class Values:
    """Reads and writes inputs, outputs and errors in the format of the server's transformer."""

    def __init__(self, transformer: Transformer) -> None:
        """Raises ValueError."""
        if transformer not in get_args(Transformer):
            raise ValueError("transformer must be 'none' or 'superjson', like the server's SYNAP_TRANSFORMER")
        self.transformer: Transformer = transformer

    def encode(self, content: bytes) -> bytes:
        """An input (JSON, or empty) in the server's format."""
        return b'{"json":%b}' % content if content and self.transformer == "superjson" else content

    def decode(self, content: bytes | Raw, wanted: Any) -> Any:
        """A value from an answer. superjson's notes about types are for JavaScript, so an instant is text here too.

        Raises one of UNREADABLE, and MismatchError if the server has the other transformer.
        """
        if self.transformer == "superjson":
            if not _is_packed(content):
                raise MismatchError(WRITES_PLAIN)
            content = _packed.decode(content).json
        try:
            return msgspec.json.decode(content, type=wanted)
        except msgspec.ValidationError:
            if self.transformer == "none" and _is_packed(content):
                raise MismatchError(WRITES_SUPERJSON) from None
            raise


WRITES_PLAIN = "the server does not write superjson; omit transformer"
WRITES_SUPERJSON = "the server writes superjson; set transformer='superjson'"


class MismatchError(ValueError):
    """The server and the client have different transformers."""


UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, MismatchError)


def unexpected(name: str, error: Exception, status: int = 200) -> errors.UnexpectedAnswer:
    """The failure of a call whose answer cannot be read."""
    return errors.UnexpectedAnswer(f"{name}: the answer is not as expected: {error}", status=status)


class Bearer(httpx.Auth):
    """Adds the token to a request, and shows it nowhere else, not even among a traceback's local variables."""

    def __init__(self, token: str | Callable[[], str]) -> None:
        """A function is called for the token of each request."""
        if not callable(token):
            _checked_token(token)
        self._token = token

    def token(self) -> str:
        """The token of the next request."""
        return self._token if isinstance(self._token, str) else self._token()

    def __repr__(self) -> str:
        """A text without the token."""
        return "Bearer(***)"

    def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override]
        """The request, with its token."""
        request.headers["authorization"] = "Bearer " + _checked_token(self.token())
        yield request


def base_url(url: str) -> str:
    """The URL of the procedures, for a server's URL (`http://127.0.0.1:8000`, with or without `/trpc`)."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("the URL of a server must begin with http:// or https://")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("the URL of a server must have no user, password, query or fragment")
    return url.rstrip("/").removesuffix("/trpc") + "/trpc"


def timeout_of(call: Call[Any], timeout_seconds: float) -> httpx.Timeout:
    """The timeout of one attempt of a call."""
    return httpx.Timeout(timeout_seconds + call.wait_seconds, connect=min(CONNECT_SECONDS, timeout_seconds))


def headers_of(workspace: str | None) -> dict[str, str]:
    """The headers of every request."""
    named = {} if workspace is None else {"x-workspace-id": workspace}
    return {"content-type": "application/json", "user-agent": AGENT, **named}


def lost(error: httpx.RequestError, name: str) -> errors.ConnectionLost:
    """The failure of a call that was not answered."""
    unsent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
    return errors.ConnectionLost(f"{name}: {type(error).__name__}: {error}", sent=not unsent)


def is_stream(headers: Mapping[str, str]) -> bool:
    """Whether an answer is a stream of events."""
    return headers.get("content-type", "").startswith("text/event-stream")


def failure(status: int, headers: Mapping[str, str], content: bytes, values: Values) -> errors.SynapError:
    """The failure in an answer."""
    try:
        error = values.decode(_failed.decode(content).error, ErrorObject)
    except MismatchError as mismatch:
        return errors.UnexpectedAnswer(str(mismatch), status=status)
    except UNREADABLE:
        return _foreign(status, headers)
    return told(error, headers.get("x-request-id"))


class ErrorData(Struct, frozen=True, rename="camel"):
    """The members of an error object besides its message."""

    code: str = ""
    http_status: int = 0
    reason: str | None = None
    issues: Sequence[errors.Issue] = ()
    hash: str = ""
    retry_after_seconds: float = 1
    ids: Sequence[str] = ()


class ErrorObject(Struct, frozen=True):
    """tRPC's error object."""

    message: str
    data: ErrorData = ErrorData()


def told(error: ErrorObject, request_id: str | None = None) -> errors.SynapError:  # noqa: PLR0911 - a table
    """The failure in an error object."""
    data, message = error.data, error.message
    if data.reason == "wrong_transformer":
        wanted = WRITES_SUPERJSON if message.startswith("must be superjson") else WRITES_PLAIN
        return errors.UnexpectedAnswer(wanted, status=data.http_status)
    match data.code:
        case "BAD_REQUEST":
            return errors.InvalidInput(message, issues=data.issues, reason=data.reason)
        case "CONFLICT":
            return errors.Conflict(message, hash=data.hash, reason=data.reason)
        case "TOO_MANY_REQUESTS":
            return errors.RateLimited(message, retry_after_seconds=data.retry_after_seconds, reason=data.reason)
        case "SERVICE_UNAVAILABLE" | "BAD_GATEWAY" | "GATEWAY_TIMEOUT" | "TIMEOUT":
            return errors.Unavailable(
                message, retry_after_seconds=data.retry_after_seconds, ids=data.ids, reason=data.reason
            )
        case "INTERNAL_SERVER_ERROR":
            return errors.ServerFault(message, request_id=request_id, reason=data.reason)
        case code if code in _PLAIN:
            return _PLAIN[code](message, reason=data.reason)
        case code:
            return errors.UnexpectedAnswer(f"{code}: {message}", status=data.http_status)


class Message(Struct, frozen=True):
    """One server-sent event. `id` is None if it has no id."""

    event: str
    data: bytes
    id: str | None


class MessageReader:
    """Reads server-sent events from the pieces in which they arrive (HTML Standard, section 9.2.6).

    It works on bytes, because only CR and LF end a line; the data may contain Unicode's line separators.
    """

    def __init__(self) -> None:
        """Begins without any data."""
        self._rest = b""
        self._event, self._data, self._id = "message", list[bytes](), None

    def feed(self, piece: bytes) -> Iterator[Message]:
        """The events that this piece completes."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            name, _, value = line.removesuffix(b"\r").partition(b":")
            value = value.removeprefix(b" ")
            if not name and not value:
                if self._data:
                    yield Message(self._event, b"\n".join(self._data), self._id)
                self._event, self._data, self._id = "message", [], None
            elif name == b"event":
                self._event = value.decode(errors="replace")
            elif name == b"data":
                self._data.append(value)
            elif name == b"id":
                self._id = value.decode(errors="replace")

    _id: str | None


class Item(Struct, frozen=True):
    """A value of a stream, or a marker, which has no id."""

    id: str | None
    value: Any


class Streamed(Struct, frozen=True):
    """The types of a subscription's values and markers."""

    value: Any = Any
    marker: Any = Any


class Following:
    """One stream across any number of connections: its place, and the next item."""

    def __init__(self, name: str, content: object, timeout_seconds: float, values: Values, streamed: Streamed) -> None:
        """`content` is the input."""
        self.name = name
        self.body = values.encode(b"" if content is None else written(content))
        self._values = values
        self._streamed = streamed
        self.ended = False
        self.connected = False
        """Whether anything has arrived over this connection."""
        self._last_id: str | None = None
        self._silence_seconds = timeout_seconds

    def headers(self) -> dict[str, str]:
        """The header that says where to resume."""
        self.connected = False
        return {"accept": "text/event-stream"} | ({} if self._last_id is None else {"last-event-id": self._last_id})

    def timeout(self) -> httpx.Timeout:
        """The timeout of a stream: after more silence than the server announced, the connection is dead."""
        return httpx.Timeout(self._silence_seconds, connect=CONNECT_SECONDS)

    def take(self, message: Message) -> Item | None:
        """The item in a message, if there is one. Raises SynapError if the server rejected the stream."""
        try:
            return self._take(message)
        except UNREADABLE as error:
            raise unexpected(self.name, error) from None

    def _take(self, message: Message) -> Item | None:
        self.connected = True
        if message.id:
            self._last_id = message.id
        if message.event == "message":
            wanted = self._streamed.value if message.id else self._streamed.marker
            return Item(message.id or None, self._values.decode(message.data, wanted))
        if message.event == "connected":
            announced = msgspec.json.decode(message.data, type=_Connected).reconnect_after_inactivity_ms
            self._silence_seconds = announced / 1000 if announced else self._silence_seconds
        elif message.event == "serialized-error":
            raise told(self._values.decode(message.data, ErrorObject))
        elif message.event == "return":
            self.ended = True
        return None


class _Connected(Struct, frozen=True, rename="camel"):
    reconnect_after_inactivity_ms: float = 0


class _Result(Struct, frozen=True):
    data: Raw = Raw(b"null")


class _Envelope(Struct, frozen=True):
    result: _Result | UnsetType = UNSET


class _Failed(Struct, frozen=True):
    error: Raw


class _Packed(Struct, frozen=True):
    json: Raw


_envelope = msgspec.json.Decoder(_Envelope)
_failed = msgspec.json.Decoder(_Failed)
_packed = msgspec.json.Decoder(_Packed)


def _is_packed(content: bytes | Raw) -> bool:
    """Whether a value has superjson's envelope."""
    try:
        return bool(_packed.decode(content))
    except UNREADABLE:
        return False


_PLAIN = {
    "UNAUTHORIZED": errors.Unauthorized,
    "FORBIDDEN": errors.Forbidden,
    "NOT_FOUND": errors.NotFound,
    "PAYLOAD_TOO_LARGE": errors.PayloadTooLarge,
}


def _foreign(status: int, headers: Mapping[str, str]) -> errors.SynapError:
    """The failure in an answer that is not the server's own, such as a proxy's."""
    message = f"answered with HTTP {status}, but not with an error of a Synap server"
    after = headers.get("retry-after", "")
    seconds = float(after) if after.isascii() and after.isdigit() else 1.0
    match status:
        case 401:
            return errors.Unauthorized(message)
        case 403:
            return errors.Forbidden(message)
        case 413:
            return errors.PayloadTooLarge(message)
        case 429:
            return errors.RateLimited(message, retry_after_seconds=seconds)
        case 408 | 502 | 503 | 504:
            return errors.Unavailable(message, retry_after_seconds=seconds)
        case _:
            return errors.UnexpectedAnswer(f"{message}; is the URL that of a server?", status=status)


def _checked_token(token: object) -> str:
    if not isinstance(token, str):
        raise TypeError(f"the token must be the text that keys.create returned, not {type(token).__name__}")
    token = token.strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ValueError(
            "the token is not valid: it must be printable ASCII without spaces, as keys.create returned it, without "
            "'Bearer'"
        )
    return token
