"""The streams and sockets open in this process. They end when their key ends, and when the server stops."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from app.access.authenticator import INVALID, Authenticator
from app.capacity.openings import Openings
from app.capacity.strangers import Strangers
from app.capacity.unfinished import Unfinished
from schemas.errors import Unauthorized
from schemas.principal import Principal

STOP_SECONDS = 8.0
"""The time in which sockets must end when the server stops."""

End = Callable[[Unauthorized | None], None]
"""Ends a stream or socket: with an error for its client, or without one, so that the client connects again."""


class Live:
    """Every open event stream and socket."""

    def __init__(self, authenticator: Authenticator, openings: Openings) -> None:
        self.strangers = Strangers()
        self.unfinished = Unfinished()
        self._authenticator = authenticator
        self._openings = openings
        self._open: set[End] = set()
        self._stopping = False
        self._sockets: set[asyncio.Task[None]] = set()

    @property
    def connections(self) -> int:
        """The number of open streams and sockets."""
        return len(self._open)

    async def stop(self) -> None:
        """End everything because the server stops, now and from now on. Returns when the sockets have ended.

        Granian waits for requests by itself, but cuts sockets without a close frame.
        """
        self._stopping = True
        for end in list(self._open):
            end(None)
        if self._sockets:
            await asyncio.wait(self._sockets, timeout=STOP_SECONDS)

    async def serve(self, socket: Coroutine[Any, Any, None]) -> None:
        """Serve a socket to its end."""
        task = asyncio.create_task(socket)
        self._sockets.add(task)
        task.add_done_callback(self._sockets.discard)
        await task

    def opened(self, principal: Principal) -> AbstractContextManager[None]:
        """Count a stream or a socket of a key during a block. Raises RateLimited, Unavailable."""
        return self._openings.opened(principal.key_id)

    @contextmanager
    def holding(self, principal: Principal, end: End) -> Iterator[None]:
        """Call `end` if the key ends or the server stops during the block, perhaps at once."""
        self._open.add(end)
        unwatch = self._authenticator.watch(principal, lambda: end(Unauthorized(INVALID)))
        try:
            if self._stopping:
                end(None)
            yield
        finally:
            unwatch()
            self._open.discard(end)
