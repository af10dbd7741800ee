"""A receiver of many webhook deliveries at once: one thread with its own event loop, and real sockets."""

import asyncio
import threading
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec


@dataclass(frozen=True)
class Received:
    """A received request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The decoded body."""
        return msgspec.json.decode(self.body)


Answer = bytes | float | None
"""How a receiver reacts: it sends these bytes, hangs for so many seconds, or (None) closes at once."""


def status(code: int, body: bytes = b"", *headers: str) -> bytes:
    """The bytes of an answer with this status."""
    lines = [f"HTTP/1.1 {code} Said", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


OK = status(200, b"ok")


@dataclass
class Receiver:
    """A running receiver. `behaviour` may be replaced at any time."""

    port: int = 0
    behaviour: Callable[[Received], Answer] = lambda _: OK
    received: list[Received] = field(default_factory=list)
    answered: list[Received] = field(default_factory=list)
    """The requests that were answered with success."""
    open: int = 0
    most_open: int = 0
    """The number of open connections now, and its maximum."""

    def url(self, path: str = "/hook") -> str:
        """The URL to post to."""
        return f"http://127.0.0.1:{self.port}{path}"

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Serve one connection."""
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            await self._serve(reader, writer)
        finally:
            self.open -= 1

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n"))[:-4].decode("latin-1")
            line, *fields = head.split("\r\n")
            headers = {name.lower(): value for name, _, value in (each.partition(": ") for each in fields)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            request = Received(line.split(" ")[1], headers, body)
            self.received.append(request)
            answer = self.behaviour(request)
            if isinstance(answer, float):
                with suppress(TimeoutError):
                    await asyncio.wait_for(reader.read(), answer)
            elif answer is not None:
                writer.write(answer)
                if answer.startswith(b"HTTP/1.1 2"):
                    self.answered.append(request)
        writer.close()


@contextmanager
def receiving(behaviour: Callable[[Received], Answer] = lambda _: OK) -> Iterator[Receiver]:
    """Run a receiver during the block."""
    receiver = Receiver(behaviour=behaviour)
    loop = asyncio.new_event_loop()
    started = threading.Event()
    ended = asyncio.Event()

    async def run() -> None:
        server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0, backlog=1000)
        receiver.port = server.sockets[0].getsockname()[1]
        started.set()

        await ended.wait()
        server.close()
        await asyncio.sleep(0.05)  # for connections that were just accepted

    def serve() -> None:
        loop.run_until_complete(run())

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    assert started.wait(10)
    try:
        yield receiver
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(10)
