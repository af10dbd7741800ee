"""A TCP proxy between clients and servers that may die.

It forwards to a server that listens, and can cut connections.
"""

import asyncio
import threading
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from random import Random
from typing import Any

CHUNK_BYTES = 65_536


class Proxy:
    """One listener. A connection waits until a server listens on one of the `ports`."""

    def __init__(self, ports: Sequence[int], chance: Random) -> None:
        """`chance` chooses one of the ports that listen."""
        self.port = 0
        self.cuts = 0
        """How often it was cut while connections were open."""
        self.ports = ports
        """The ports to which new connections go. They may be changed at any time."""
        self._chance = chance
        self._open: dict[asyncio.Task[None], int] = {}
        self._listener: asyncio.Server | None = None

    @property
    def leads_to(self) -> list[int]:
        """The port behind each open connection."""
        return list(self._open.values())

    async def listen(self) -> None:
        """Start to accept connections, at a free port the first time, and then at the same one again."""
        self._listener = await asyncio.start_server(self._carry, "127.0.0.1", self.port)
        self.port = self._listener.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Stop accepting connections."""
        if self._listener is not None:
            self._listener.close()

    async def cut(self) -> None:
        """Cut every connection. Data on its way is lost."""
        carrying = list(self._open)
        self.cuts += bool(carrying)
        for task in carrying:
            task.cancel()
        await asyncio.gather(*carrying)

    async def die(self) -> None:
        """Refuse connections, and cut those that are open."""
        self.close()
        await self.cut()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection, until either side ends it or it is cut."""
        task = asyncio.current_task()
        assert task is not None
        ends = [writer]
        try:
            port, (reader_behind, writer_behind) = await self._reach()
            ends.append(writer_behind)
            self._open[task] = port
            ways = _copy(reader, writer_behind), _copy(reader_behind, writer)
            await asyncio.wait(map(asyncio.ensure_future, ways), return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            for end in ends:
                end.transport.abort()
        finally:
            self._open.pop(task, None)
            for end in ends:
                end.close()

    async def _reach(self) -> tuple[int, tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        while True:
            for port in self._chance.sample(self.ports, len(self.ports)):
                with suppress(OSError):
                    return port, await asyncio.open_connection("127.0.0.1", port)
            await asyncio.sleep(0.02)


class Network:
    """Proxies that share a thread."""

    def __init__(self, chance: Random) -> None:
        """`chance` makes the proxies' choices."""
        self._chance = chance
        self._proxies: list[Proxy] = []
        self._loop = asyncio.new_event_loop()
        self._ended = asyncio.Event()

    def proxy(self, ports: Sequence[int]) -> Proxy:
        """Add a proxy, which listens. The servers need not listen on the `ports` yet."""
        proxy = Proxy(ports, self._chance)
        self._run(proxy.listen())
        self._proxies.append(proxy)
        return proxy

    def is_whole(self) -> bool:
        """Whether a connection leads through every proxy."""
        return all(proxy.leads_to for proxy in self._proxies)

    def cut(self, *proxies: Proxy) -> None:
        """Cut every connection of these proxies, or of all if none is given."""
        for proxy in proxies or self._proxies:
            self._run(proxy.cut())

    @contextmanager
    def dead(self, proxy: Proxy) -> Iterator[None]:
        """What is behind a proxy is as if it were not there, during the block."""
        self._run(proxy.die())
        try:
            yield
        finally:
            self._run(proxy.listen())

    def work(self) -> None:
        """Carry connections until `end` is called."""
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._ended.wait())
            for proxy in self._proxies:
                proxy.close()

    def end(self) -> None:
        """Make `work` return."""
        self._loop.call_soon_threadsafe(self._ended.set)

    def _run(self, acting: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(acting, self._loop).result(timeout=60)


@contextmanager
def networking(chance: Random) -> Iterator[Network]:
    """Run a network during the block."""
    network = Network(chance)
    thread = threading.Thread(target=network.work)
    thread.start()
    try:
        yield network
    finally:
        network.end()
        thread.join()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
