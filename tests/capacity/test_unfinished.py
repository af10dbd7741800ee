"""Messages that never end."""

import asyncio
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

import pytest

from app.capacity.unfinished import PeerAddress, Unfinished, received_bytes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux says how much came over a connection")


SOCKETS = {"idle": (100, 90), "most": (9_000, 0), "some": (6_000, 0), "done": (8_000, 7_990)}
"""For each socket, how much its client has sent, and how much of that has arrived as messages."""


@contextmanager
def sent(size: int) -> Iterator[PeerAddress]:
    """Yield the address of a client that has sent `size` bytes to this process."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as client,
        listener.accept()[0] as connection,
    ):
        client.sendall(b"x" * size)
        received = 0
        while received < size:
            received += len(connection.recv(size))
        yield client.getsockname()


def test_the_system_says_how_much_each_client_has_sent() -> None:
    with sent(5_000) as one, sent(70) as other:
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - the number only
        received = received_bytes()
        after = len(os.listdir("/proc/self/fd"))  # noqa: PTH208

    assert (received[one], received[other]) == (5_000, 70)
    assert before == after, "it must not leave files open"


def test_the_largest_unfinished_messages_are_closed_when_the_process_grows() -> None:
    closed: list[str] = []

    async def grow() -> None:
        unfinished = Unfinished(max_grown_bytes=2**20, max_bytes=10_000)
        with ExitStack() as held:
            for name, (size, arrived) in SOCKETS.items():
                client = held.enter_context(sent(size))
                held.enter_context(unfinished.watched(client, partial(int, arrived), partial(closed.append, name)))
            taken = []
            while not closed:
                taken.append(b"x" * 2**20)
                await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(grow(), 60))

    assert set(closed) == {"most"}
