"""The maximum of bytes in requests that run at once: per key, and in all."""

import asyncio
from types import TracebackType
from typing import Self

from app.capacity.budget import Budget
from schemas.errors import Unavailable

ALL_BYTES = 64 * 2**20
"""The maximum for one process."""

KEY_BYTES = 16 * 2**20
"""The maximum for one key in one process, so that a key waits for itself before others wait for it."""

PATIENCE_SECONDS = 5.0
"""How long a request waits for room before it is rejected."""


class Bodies:
    """The bytes of requests that run in one process. For any number of tasks of one event loop."""

    def __init__(
        self, all_bytes: int = ALL_BYTES, key_bytes: int = KEY_BYTES, *, patience_seconds: float = PATIENCE_SECONDS
    ) -> None:
        self._all = Budget(all_bytes)
        self._key_bytes = key_bytes
        self._patience_seconds = patience_seconds
        self._keys: dict[str, Budget] = {}

    def room(self, key_id: str) -> "Room":
        """The room of one request of a key."""
        return Room(self, key_id)

    async def take(self, key_id: str, size: int) -> None:
        """Hold `size` more bytes. Raises Unavailable if there is no room in time."""
        own = self._keys.get(key_id)
        if own is None:
            own = self._keys[key_id] = Budget(self._key_bytes)
        try:
            async with asyncio.timeout(self._patience_seconds):
                await own.wait(size)
                try:
                    await self._all.wait(size)
                except BaseException:
                    own.give(size)
                    raise
        except TimeoutError:
            raise Unavailable("The bodies of other requests fill the server; nothing was stored, retry") from None
        finally:
            self._forget_idle(key_id)

    def give(self, key_id: str, size: int) -> None:
        """Release `size` bytes."""
        self._all.give(size)
        self._keys[key_id].give(size)
        self._forget_idle(key_id)

    def _forget_idle(self, key_id: str) -> None:
        if key_id in self._keys and self._keys[key_id].used == 0:
            del self._keys[key_id]


class Room:
    """The bytes that one request holds until the end of the block."""

    def __init__(self, bodies: Bodies, key_id: str) -> None:
        self._bodies = bodies
        self._key_id = key_id
        self._size = 0

    async def take(self, size: int) -> None:
        """Hold `size` more bytes. Raises Unavailable."""
        await self._bodies.take(self._key_id, size)
        self._size += size

    def __enter__(self) -> Self:
        """Enter the block. It holds nothing yet."""
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        """Release all bytes."""
        if self._size:
            self._bodies.give(self._key_id, self._size)
            self._size = 0
