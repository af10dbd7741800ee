"""Plays a script over a raw WebSocket, and reduces the answers to what the protocol fixes."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.conformance.events import known
from tests.conformance.exchange import Call, Server, failed, revived
from tests.conformance.requests import KNOWN, text, wrapped
from tests.conformance.scripts import Frame, Script, call

TIMEOUT_SECONDS = 30
LAST = "the last call"
PING = '{"id":null,"method":"ping"}'
"""The message that our server sends on an idle socket. Clients ignore it."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """One message: its kind (a `result.type`, `error`, or a bare text) and its content."""

    kind: str
    jsonrpc: object = ...
    data: object = ...
    tracked: object = ...
    error: Call | None = None


@dataclass(frozen=True, kw_only=True)
class Played:
    """The messages that must be equal: those of each step, in order for each id. Calls may overtake each other."""

    steps: tuple[dict[str, list[Told]], ...]
    closed: bool
    raw: tuple[str, ...] = field(compare=False, repr=True)

    def count(self, step: int) -> int:
        """How many messages answered a step."""
        return sum(len(told) for told in self.steps[step].values())


def play(server: Server, script: Script, *, superjson: bool = False) -> Played:
    """Play the whole script. Then make one more call, or wait for the server's close, so that no message is missed."""
    headers = {} if script.token == "none" else {"authorization": f"Bearer {_token(server, script)}"}
    url = f"{server.url.replace('http', 'ws')}/trpc{script.target}".replace("{token}", server.token)
    heard: list[list[str]] = []
    closed = False
    with connect(
        url,
        additional_headers=headers,
        compression=None,
        ping_interval=None,
        max_size=None,
        proxy=None,
        close_timeout=1,
    ) as socket:
        try:
            for step in script.steps:
                heard.append([])
                for frame in step.frames:
                    _send(socket, frame, server.token)
                while len(heard[-1]) < step.answers:
                    heard[-1].append(_received(socket))
            if script.closes:
                while True:
                    heard[-1].append(_received(socket))
            value = {"eventId": KNOWN}
            _send(socket, text(call(LAST, "events.get", wrapped(value) if superjson else value)), server.token)
            while LAST not in (answer := _received(socket)):
                heard[-1].append(answer)
        except TimeoutError:
            pass
        except ConnectionClosed:
            closed = True
    return Played(
        steps=tuple(_by_id(answers, superjson=superjson) for answers in heard),
        closed=closed,
        raw=tuple(answer[:300] for answers in heard for answer in answers),
    )


def _token(server: Server, script: Script) -> str:
    return server.token if script.token == "good" else "sk_nobody_nothing"


def _send(socket: ClientConnection, frame: Frame, token: str) -> None:
    if isinstance(frame, str):
        frame = frame.replace("{token}", token)
    socket.send(frame)


def _received(socket: ClientConnection) -> str:
    """The next answer, without pings, which the server may send on a slow machine."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    received = socket.recv(TIMEOUT_SECONDS)
    while received == PING:
        received = socket.recv(max(0.0, deadline - time.monotonic()))
    assert isinstance(received, str), "answers are text frames"
    return received


def _by_id(answers: list[str], *, superjson: bool) -> dict[str, list[Told]]:
    by_id: dict[str, list[Told]] = {}
    for answer in answers:
        id_, told = ("PONG", Told(kind=answer)) if answer == "PONG" else _told(json.loads(answer), superjson=superjson)
        by_id.setdefault(text(id_), []).append(told)
    return by_id


def _told(message: Any, *, superjson: bool) -> tuple[object, Told]:
    assert isinstance(message, dict), f"answers are single objects: {message}"
    assert message.keys() - {"jsonrpc"} in ({"id", "result"}, {"id", "error"}), message
    id_, jsonrpc = message["id"], message.get("jsonrpc", ...)
    if isinstance(id_, float) and id_.is_integer():
        id_ = int(id_)
    if "error" in message:
        return id_, Told(kind="error", jsonrpc=jsonrpc, error=failed(message["error"], superjson=superjson))
    result = message["result"]
    assert result.keys() <= {"type", "data", "id"}, result
    data, tracked = result.get("data", ...), result.get("id", ...)
    if superjson and data is not ...:
        data = revived(data)
    if isinstance(data, dict) and data.keys() == {"id", "data"}:
        assert data["id"] == data["data"]["id"] == tracked, "the id of a tracked value is there twice"
        data = known(data["data"])
    elif isinstance(data, dict) and "caughtUp" in data:
        # The client resumes after the id of its last message. Our server gives the marker an id, the reference does
        # not.
        assert tracked in {..., data["cursor"]}, message
        data, tracked = known(data), ...
    elif isinstance(data, list):
        data = "list"  # its content depends on the log
    elif isinstance(data, dict):
        data = {key: type(inner).__name__ for key, inner in data.items() if key != "nextCursor"}
    return id_, Told(kind=result["type"], jsonrpc=jsonrpc, data=data, tracked=tracked)
