"""Closes sockets whose known callers send messages without an end.

The server below collects a WebSocket message of up to 64 MiB before it passes it on, so a socket may hold that much
unseen. If the process grows, the system is asked how much each client has sent (Linux counts that). The difference to
the messages that have arrived is unfinished.
"""

import asyncio
import os
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from msgspec import Struct

from app.capacity.growth import Growth

WATCH_SECONDS = 0.02

MAX_GROWN_BYTES = 2**26
"""How much the process may grow before the system is asked."""

MAX_UNFINISHED_BYTES = 2**25
"""The maximum of unfinished bytes of all sockets, after the largest were closed."""

RECEIVED = struct.Struct("=128xQ")
"""The position of the bytes received over a connection in Linux's `struct tcp_info`."""

FILES = Path("/proc/self/fd")
"""The open files of this process."""

PeerAddress = tuple[str, int]


class _Socket(Struct, frozen=True, eq=False):
    client: PeerAddress
    arrived: Callable[[], int]
    close: Callable[[], None]


class Unfinished:
    """The open sockets of a process. For one event loop."""

    def __init__(self, max_grown_bytes: int = MAX_GROWN_BYTES, max_bytes: int = MAX_UNFINISHED_BYTES) -> None:
        self._max_grown_bytes = max_grown_bytes
        self._max_bytes = max_bytes
        self._sockets: set[_Socket] = set()
        self._watching: asyncio.Task[None] | None = None

    @contextmanager
    def watched(
        self, client: PeerAddress | None, arrived: Callable[[], int], close: Callable[[], None]
    ) -> Iterator[None]:
        """Watch a socket during the block.

        `arrived` returns the size of its messages so far. `close` is called if it has too many unfinished bytes.
        """
        if client is None:
            yield
            return
        watched = _Socket((client[0], int(client[1])), arrived, close)  # granian gives the port as text
        self._sockets.add(watched)
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            self._sockets.discard(watched)

    async def _watch(self) -> None:
        growth = Growth(self._max_grown_bytes)
        while self._sockets:
            await asyncio.sleep(WATCH_SECONDS)
            if growth.is_too_much():
                self._close_largest(await asyncio.to_thread(received_bytes))
        self._watching = None

    def _close_largest(self, received: dict[PeerAddress, int]) -> None:
        """Close the sockets with the most, until the rest is below the maximum."""
        unfinished = {each: received.get(each.client, 0) - each.arrived() for each in self._sockets}
        left = sum(size for size in unfinished.values() if size > 0)
        for each, size in sorted(unfinished.items(), key=lambda one: -one[1]):
            if left <= self._max_bytes:
                break
            left -= size
            each.close()


def received_bytes() -> dict[PeerAddress, int]:
    """The bytes received over each TCP connection of this process, by client address; empty if not on Linux."""
    received = {}
    for name in FILES.iterdir() if FILES.is_dir() else ():
        with suppress(OSError), _connection(int(name.name)) as connection:
            info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, RECEIVED.size)
            client = connection.getpeername()
            received[client[0], client[1]] = RECEIVED.unpack(info)[0]
    return received


def _connection(descriptor: int) -> socket.socket:
    """A copy of an open socket. Raises OSError if the descriptor is not a socket."""
    copy = os.dup(descriptor)
    try:
        return socket.socket(fileno=copy)
    except OSError:
        os.close(copy)
        raise
