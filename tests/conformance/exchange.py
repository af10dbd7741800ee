"""Sends a raw request, and reduces the answer to what the protocol fixes, to compare two servers."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit

from tests.conformance.refusals import Refusal
from tests.conformance.requests import Request

TIMEOUT_SECONDS = 30
CHUNK_BYTES = 65_536


class Server(Protocol):
    """A running server: `url` is without the mount, and `token` has all scopes."""

    @property
    def url(self) -> str: ...
    @property
    def token(self) -> str: ...


@dataclass(frozen=True, kw_only=True)
class Call:
    """The answer to one call: the shape of its data, or its error.

    `path` is absent if `data.path` is. Values of successful calls are compared only by the kinds of their fields.
    """

    data: object = None
    error: tuple[object, ...] | None = None
    path: object = ...
    message: str = field(default="", compare=False)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The parts of an answer that must be equal.

    `kind` is empty, single (object), array, or stream (JSON lines, decoded by index).
    """

    status: int
    kind: str
    content_type: str | None
    allow: tuple[str, ...]
    vary: frozenset[str]
    calls: tuple[Call, ...]
    raw: str = field(compare=False, repr=True)


def ask(server: Server, request: Request, *, superjson: bool = False) -> Answer:
    """Send the request as declared, and read the answer, even if it comes before the body was read."""
    with answering(server, request) as response:
        return answer_of(response, superjson=superjson)


@contextmanager
def answering(
    server: Server, request: Request, *, timeout_seconds: float = TIMEOUT_SECONDS
) -> Iterator[http.client.HTTPResponse]:
    """Send the request as declared. Yields the answer, whose head was read."""
    where = urlsplit(server.url)
    with socket.create_connection((where.hostname, where.port), timeout_seconds) as connection:
        sender = threading.Thread(target=_send, args=(connection, _message(server, request)), daemon=True)
        sender.start()
        response = http.client.HTTPResponse(connection, method=request.method)
        try:
            response.begin()
            yield response
        finally:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            response.close()
            sender.join(TIMEOUT_SECONDS)


def _message(server: Server, request: Request) -> list[bytes]:
    headers = [("host", urlsplit(server.url).netloc), ("connection", "close"), *request.headers]
    if request.token != "none":
        token = server.token if request.token == "good" else "sk_nobody_nothing"
        headers.append(("authorization", f"Bearer {token}"))
    chunks = [request.body[at : at + CHUNK_BYTES] for at in range(0, len(request.body), CHUNK_BYTES)]
    if request.chunked:
        headers.append(("transfer-encoding", "chunked"))
        chunks = [b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks] + [b"0\r\n\r\n"]
    elif request.body or request.method not in {"GET", "HEAD"}:
        headers.append(("content-length", str(len(request.body))))
    head = f"{request.method} /trpc{request.target} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers)
    return [head.encode("ascii") + b"\r\n", *chunks]


def _send(connection: socket.socket, message: list[bytes]) -> None:
    # A server may answer and close before it has read everything.
    with contextlib.suppress(OSError):
        for part in message:
            connection.sendall(part)


def answer_of(response: http.client.HTTPResponse, *, superjson: bool) -> Answer:
    """Read a whole answer."""
    body = response.read()
    kind, envelopes = _envelopes(body, superjson=superjson)
    calls = tuple(_call(envelope, superjson=superjson) for envelope in envelopes)
    whole = kind == "single" and calls[0].error is not None and calls[0].path is ...
    content_type = (response.headers.get_content_type() if response.getheader("content-type") else None) or None
    if whole and content_type == "text/plain":
        content_type = "application/json"  # the reference's content type is an accident
    if kind == "stream":
        assert body.endswith(b"\n"), "clients never see a last line without a newline"
        assert response.getheader("transfer-encoding") == "chunked", "a stream has no length"
    return Answer(
        status=response.status,
        kind=kind,
        content_type=content_type,
        allow=allowed(response),
        vary=varying(response),
        calls=calls,
        raw=f"{response.headers}{body[:2000].decode(errors='replace')}",
    )


def allowed(response: http.client.HTTPResponse) -> tuple[str, ...]:
    """The methods that `allow` names."""
    return tuple(_words(response.getheader("allow")))


def varying(response: http.client.HTTPResponse) -> frozenset[str]:
    """The headers that `vary` names, without those that a server may add."""
    return frozenset(word.lower() for word in _words(response.getheader("vary"))) - {"origin", "accept-encoding"}


def _words(header: str | None) -> Iterator[str]:
    return (word.strip() for word in (header or "").split(",") if word.strip())


def _envelopes(body: bytes, *, superjson: bool) -> tuple[str, list[Any]]:
    if not body:
        return "empty", []
    try:
        whole = json.loads(body)
    except json.JSONDecodeError:
        whole = None
    if isinstance(whole, list):
        return "array", whole
    if isinstance(whole, dict) and whole.keys() & {"result", "error"}:
        return "single", [whole]
    lines = [json.loads(line) for line in body.decode().split("\n") if line.strip()]
    if superjson:
        lines = [revived(line) for line in lines]
    return "stream", _results(lines)


def _results(lines: list[Any]) -> list[Any]:
    """The results of a stream by index. Each placeholder is replaced by the value of its chunk."""
    head, *chunks = lines
    assert isinstance(head, dict), "the first line names every index"
    arrived = {chunk: (status, payload) for chunk, status, payload in chunks}
    assert len(arrived) == len(chunks), "a promise settles once"

    def decoded(value: Any) -> Any:
        (inner, *definitions) = value
        result: Any = inner[0] if inner else None
        for key, kind, chunk in definitions:
            assert kind == 0, "none of these procedures streams its output"
            status, payload = arrived[chunk]
            assert status == 0, "a failed call resolves to its error"
            if key is None:
                result = decoded(payload)
            else:
                result[key] = decoded(payload)
        return result

    return [decoded(head[str(index)]) for index in range(len(head))]


class _Instant:
    """Stands for a Date that superjson announced."""


def revived(value: Any) -> Any:
    """A superjson value with its Dates marked and its undefineds removed. Fails for anything else."""
    assert isinstance(value, dict), f"not wrapped by superjson: {value!r}"
    assert value.keys() <= {"json", "meta"}, f"not wrapped by superjson: {value!r}"
    result = value["json"]
    annotations = value.get("meta", {}).get("values", {})
    if annotations == ["undefined"]:
        return None
    for path, (kind,) in annotations.items():
        *parents, last = path.split(".")
        holder = result
        for key in parents:
            holder = holder[int(key)] if isinstance(holder, list) else holder[key]
        key = int(last) if isinstance(holder, list) else last
        if kind == "undefined":
            del holder[key]
        else:
            assert kind == "Date", kind
            assert str(holder[key]).endswith("Z"), holder[key]
            holder[key] = _Instant()
    return result


def _call(envelope: Any, *, superjson: bool) -> Call:
    assert isinstance(envelope, dict), envelope
    assert len(envelope) == 1, f"one of result and error: {envelope.keys()}"
    if "result" in envelope:
        result = envelope["result"]
        assert result.keys() <= {"data"}, result.keys()
        data = result.get("data", ...)
        wrapped = superjson and isinstance(data, dict) and "json" in data
        return Call(data=shape(revived(data) if wrapped else data))
    return failed(envelope["error"], superjson=superjson)


def _only_wrapped(error: dict[str, Any]) -> dict[str, Any]:
    """An error object of superjson without the unwrapped copy that ours adds for clients without superjson."""
    wrapped: dict[str, Any] = error["json"]
    if wrapped["data"].get("reason") != "wrong_transformer":
        return error
    assert error == wrapped | {"json": wrapped}
    return {"json": wrapped}


def failed(error: Any, *, superjson: bool) -> Call:
    """The call that failed with this error object."""
    if superjson and "json" in error:
        error = revived(_only_wrapped(error))
    assert error.keys() == {"message", "code", "data"}, error.keys()
    assert isinstance(error["message"], str), error["message"]
    assert error["message"], "clients show the message"
    data = error["data"]
    assert "stack" not in data, data
    return Call(
        error=(error["code"], data["code"], data["httpStatus"]),
        path=data.get("path", ...),
        message=error["message"],
    )


def check_refused(calls: Sequence[Call], refusal: Refusal) -> None:
    """Check that every call failed with the error of this refusal."""
    assert {call.error for call in calls} == {refusal.error}
    assert all(refusal.names in call.message for call in calls), calls


def shape(value: Any) -> object:
    """The kinds of a value's fields, without the contents of arrays and next pages, which depend on the log."""
    if isinstance(value, Mapping):
        return {key: type(inner).__name__ for key, inner in value.items() if key != "nextCursor"}
    return type(value).__name__
