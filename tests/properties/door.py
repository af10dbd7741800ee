"""A tRPC door for any input. The answer must come in time, be a tRPC envelope, and have no status 5xx."""

import contextlib
import http.client
import json
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
from msgspec import Struct

from tests.kit import web
from tests.kit.servers import Server

TIMEOUT_SECONDS = 30

JSON = {"content-type": "application/json"}


class Reply(Struct, frozen=True):
    """A status and its body, which is known to be well-formed."""

    status: int
    body: Any

    @property
    def errors(self) -> list[dict[str, Any]]:
        """The error objects in the answer."""
        envelopes = self.body if isinstance(self.body, list) else [self.body]
        return [envelope["error"] for envelope in envelopes if "error" in envelope]

    @property
    def places(self) -> set[str]:
        """The paths of all issues."""
        return {issue["path"] for error in self.errors for issue in error["data"].get("issues", ())}


class Door:
    """A server's tRPC door, over one connection that stays open."""

    def __init__(self, server: Server, *, superjson: bool, seconds: float = TIMEOUT_SECONDS) -> None:
        self.server = server
        self.superjson = superjson
        self._client = web.client(base_url=server.url, headers=server.headers, timeout=seconds)

    def wrapped(self, value: object) -> object:
        """An input as the door's transformer writes it."""
        return {"json": value} if self.superjson else value

    def mutate(self, name: str, value: object) -> Reply:
        """Make a call by POST."""
        return self.post(name, json.dumps(self.wrapped(value)).encode())

    def mutate_raw(self, name: str, text: bytes) -> Reply:
        """Make a call by POST with any bytes as its input."""
        return self.post(name, b'{"json":%b}' % text if self.superjson else text)

    def query(self, name: str, value: object) -> Reply:
        """Make a call by GET."""
        return self.get(f"{name}?input={quote(json.dumps(self.wrapped(value)))}")

    def stream(self, name: str, value: object, *, at_most: int = 3) -> Reply:
        """Open a subscription by server-sent events, and read its values up to the marker after its backlog.

        It may also end with an error. A stream without a marker is read only until it is connected, because a value may
        never come.
        """
        has_marker = isinstance(value, dict) and value.get("markers") is True
        values: list[Any] = []
        target = f"/trpc/{name}?input={quote(json.dumps(self.wrapped(value)))}"
        with self._client.stream("GET", target) as response:
            assert response.status_code == 200
            for event in _events(response.iter_bytes()):
                if event.get("event") == "serialized-error":
                    error = json.loads(event["data"])
                    status = (error["json"] if self.superjson else error)["data"]["httpStatus"]
                    return self._checked(status, b'{"error":%b}' % event["data"].encode())
                if "event" not in event:
                    values.append(json.loads(event["data"]))
                is_marker = "event" not in event and event["id"] == ""
                is_connected = event.get("event") == "connected" and "id" in event
                if is_marker or len(values) == at_most or (is_connected and not has_marker):
                    return Reply(200, values)
        raise AssertionError("the stream ended without a word")

    def output(self, reply: Reply) -> Any:
        """The output of a call."""
        data = reply.body["result"]["data"]
        return data["json"] if self.superjson else data

    def post(self, target: str, content: bytes, headers: Iterable[tuple[bytes, bytes]] = ()) -> Reply:
        """POST any body to any target."""
        given = [(name.encode(), value.encode()) for name, value in JSON.items()]
        return self._reply(self._client.post(f"/trpc/{target}", content=content, headers=[*given, *headers]))

    def get(self, target: str, headers: Iterable[tuple[bytes, bytes]] = ()) -> Reply:
        """GET any target. Header values may be any bytes that HTTP allows."""
        return self._reply(self._client.get(f"/trpc/{target}", headers=list(headers)))

    def raw(self, method: str, target: bytes, content: bytes = b"") -> Reply | int:
        """Send a raw request line. Returns only a status if the request was rejected as HTTP, before the door."""
        where = urlsplit(self.server.url)
        connection = http.client.HTTPConnection(str(where.hostname), where.port, timeout=TIMEOUT_SECONDS)
        with contextlib.closing(connection):
            head = b"%b /trpc%b HTTP/1.1\r\nhost: x\r\nconnection: close\r\n" % (method.encode(), target)
            token = f"authorization: Bearer {self.server.token}\r\ncontent-type: application/json\r\n".encode()
            connection.send(head + token + b"content-length: %d\r\n\r\n" % len(content) + content)
            response = http.client.HTTPResponse(connection.sock, method=method)
            response.begin()
            body = response.read()
        if not body:
            assert 400 <= response.status < 500, response.status
            return response.status
        return self._checked(response.status, body)

    def _reply(self, response: httpx.Response) -> Reply:
        return self._checked(response.status_code, response.content)

    def _checked(self, status: int, content: bytes) -> Reply:
        assert 200 <= status < 300 or 400 <= status < 500, content[:500]
        body = self._unwrapped(json.loads(content))
        for envelope in body if isinstance(body, list) else [body]:
            assert isinstance(envelope, dict), envelope
            assert envelope.keys() in ({"result"}, {"error"}), envelope.keys()
            if "error" in envelope:
                _check_error(envelope["error"])
        if not isinstance(body, list):
            assert ("result" in body) == (status == 200)
            assert "result" in body or body["error"]["data"]["httpStatus"] == status
        assert self.server.token.encode() not in content
        return Reply(status, body)

    def _unwrapped(self, body: Any) -> Any:
        if self.superjson:
            for envelope in body if isinstance(body, list) else [body]:
                if "error" in envelope:
                    envelope["error"] = envelope["error"]["json"]
                else:
                    assert "json" in envelope["result"]["data"]
        return body


def _events(pieces: Iterable[bytes]) -> Iterator[dict[str, str]]:
    """Yield server-sent events, each as a mapping of its fields."""
    rest = b""
    for piece in pieces:
        *events, rest = (rest + piece).split(b"\n\n")
        for event in events:
            lines = [line.partition(":") for line in event.decode().split("\n")]
            yield {name: value.removeprefix(" ") for name, _, value in lines}


def _check_error(error: dict[str, Any]) -> None:
    assert error.keys() == {"message", "code", "data"}
    assert isinstance(error["message"], str)
    assert error["message"]
    assert isinstance(error["code"], int)
    data = error["data"]
    assert isinstance(data["code"], str)
    assert 400 <= data["httpStatus"] < 500
    assert data.keys() <= {"code", "httpStatus", "path", "reason", "issues", "hash", "retryAfterSeconds"}
    for issue in data.get("issues", [{"path": "", "message": "x"}]):
        assert issue.keys() == {"path", "message"}
        assert issue["message"]
