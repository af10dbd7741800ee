"""The memory of answers, from before they are read until their clients have received them.

A reader of the store reserves the size of what it is about to fetch (`hold`). The request or socket keeps the
reservation until the answer is sent. So memory is limited before it is used, whatever callers ask and however slowly
they read. The server's own reads belong to no request, and reserve nothing.
"""

import asyncio
from collections import deque
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar, Token
from typing import Self

from app.capacity.budget import Budget, Waiting
from schemas.errors import PayloadTooLarge, Unavailable

REQUEST_BYTES = 32 * 2**20
"""The maximum of answers for a request or a socket."""

PROCESS_BYTES = 96 * 2**20
"""The maximum of answers for a process."""

SMALL_BYTES = 131_072
"""A call may hold this much although the answers of others fill the process."""

SMALL_BYTES_OF_ALL = 64 * 2**20
"""The maximum of such small calls together, beyond `PROCESS_BYTES`."""

AHEAD_BYTES = 2**19
"""A call of a stream reserves this before it runs, for its first reads, whose size is unknown."""

WAIT_SECONDS = 2.0
"""How long a call waits for memory before it is rejected."""

RETRY_SECONDS = 2


class Answers:
    """The memory of one process. For the tasks of one event loop.

    A workspace may use as much as it leaves free for all others together, so the next workspace always gets some.
    """

    def __init__(self, limit: int = PROCESS_BYTES) -> None:
        self.limit = limit
        self.used = 0
        self._of: dict[str, int] = {}
        self._waiting: dict[str, deque[Waiting]] = {}

    def take(self, workspace: str, size: int, *, is_small: bool = False) -> bool:
        """Hold `size` more bytes for a workspace if they fit. Returns whether they are held now."""
        if is_small:
            fits = self.used + size <= self.limit + SMALL_BYTES_OF_ALL
        else:
            fits = workspace not in self._waiting and self._has_room(workspace, size)
        if fits:
            self._add(workspace, size)
        return fits

    def force(self, workspace: str, size: int) -> None:
        """Hold `size` more bytes even if they do not fit."""
        self._add(workspace, size)

    def give(self, workspace: str, size: int) -> None:
        """Release `size` bytes, and admit waiting callers."""
        self._add(workspace, -size)
        for each in list(self._waiting):
            self._admit(each)

    async def wait(self, workspace: str, size: int) -> None:
        """Hold `size` more bytes as soon as they fit. If cancelled, it holds nothing."""
        waiting = Waiting(size, asyncio.get_running_loop().create_future())
        self._waiting.setdefault(workspace, deque()).append(waiting)
        self._admit(workspace)
        try:
            await waiting.admitted
        except asyncio.CancelledError:
            if waiting.admitted.done() and not waiting.admitted.cancelled():
                self.give(workspace, size)
            else:
                waiting.admitted.cancel()
                self._admit(workspace)
            raise

    def _has_room(self, workspace: str, size: int) -> bool:
        return self.used == 0 or self._of.get(workspace, 0) + size <= self.limit - self.used

    def _add(self, workspace: str, size: int) -> None:
        self.used += size
        of_it = self._of.pop(workspace, 0) + size
        if of_it:
            self._of[workspace] = of_it

    def _admit(self, workspace: str) -> None:
        """Admit the first callers that wait for a workspace, as far as they fit."""
        queue = self._waiting.get(workspace)
        if queue is None:
            return
        while queue and (queue[0].admitted.cancelled() or self._has_room(workspace, queue[0].size)):
            waiting = queue.popleft()
            if not waiting.admitted.cancelled():
                self._add(workspace, waiting.size)
                waiting.admitted.set_result(None)
        if not queue:
            del self._waiting[workspace]


class Request:
    """The memory that the calls of one request, or of one socket, hold together."""

    def __init__(self, answers: Answers, limit: int = REQUEST_BYTES) -> None:
        self.answers = answers
        self.budget = Budget(limit)
        self.waits = False
        """Whether its calls wait until one another's answers have been sent, however long that takes."""

    def call(self) -> "Held":
        """A context manager for one of its calls."""
        return Held(self)


class Held:
    """The memory that one call holds while it is entered. At the end the rest is released."""

    __slots__ = ("_ahead", "_is_over", "_size", "_token", "_workspace", "request")

    def __init__(self, request: Request) -> None:
        self.request = request
        self._token: Token[Held | None]
        self._workspace = ""
        self._size = 0
        self._ahead = 0
        """The part of its size that is reserved ahead of the answer."""
        self._is_over = False

    def __enter__(self) -> Self:
        """Let `hold` in this task, and in those that it starts, use this."""
        self._token = _held.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        """Release the rest. Memory that a task takes after the call has ended is not held."""
        _held.reset(self._token)
        self._is_over = True
        self.give(self._size)

    async def begin(self, workspace: str, size: int) -> None:
        """Hold what must be held before the call runs, at least `size`."""
        if self.request.waits:
            size = max(size, AHEAD_BYTES)
        if size > SMALL_BYTES:
            await self.take(workspace, size)
            self._ahead = self._size

    async def take(self, workspace: str, size: int) -> None:
        """Hold `size` bytes that are not read yet. Raises PayloadTooLarge, Unavailable."""
        if self._is_over:
            return
        self.give(self._ahead)  # a caller that waits holds nothing, so that no two wait for each other
        self._ahead = 0
        request = self.request
        if not request.budget.take(size):
            if not request.waits:
                raise _too_much(request.budget.limit)
            await request.budget.wait(size)
        try:
            if not request.answers.take(workspace, size):
                await self._wait(workspace, size)
        except BaseException:
            request.budget.give(size)
            raise
        self._add(workspace, size)

    def keep(self, workspace: str, size: int) -> None:
        """Hold `size` bytes that are already read. Raises PayloadTooLarge, Unavailable, without waiting."""
        counted = min(size, self._ahead)
        self.give(self._ahead - counted)
        self._ahead = 0
        size -= counted
        request = self.request
        if request.waits:
            request.budget.force(size)
            request.answers.force(workspace, size)
        elif not request.budget.take(size):
            raise _too_much(request.budget.limit)
        elif not request.answers.take(workspace, size, is_small=self._size + size <= SMALL_BYTES):
            request.budget.give(size)
            raise _too_full()
        self._add(workspace, size)

    def give(self, size: int) -> None:
        """Release `size` bytes, or all if fewer are held: the client has received them."""
        size = min(size, self._size)
        if size:
            self._size -= size
            self.request.budget.give(size)
            self.request.answers.give(self._workspace, size)

    def _add(self, workspace: str, size: int) -> None:
        self._workspace = workspace
        self._size += size
        if self._is_over:
            self.give(self._size)

    async def _wait(self, workspace: str, size: int) -> None:
        try:
            async with asyncio.timeout(None if self.request.waits else WAIT_SECONDS):
                await self.request.answers.wait(workspace, size)
        except TimeoutError:
            raise _too_full() from None


_held: ContextVar[Held | None] = ContextVar("held", default=None)


async def begin(workspace: str, size: int) -> None:
    """Hold what the current call must hold before it runs: `size`, unless that is small. Raises as `hold`."""
    held = _held.get()
    if held is not None:
        await held.begin(workspace, size)


async def hold(workspace: str, size: int) -> None:
    """Hold `size` bytes of the current call's answer before they are read. While it waits, it holds nothing.

    Raises PayloadTooLarge if the request has reached its maximum; Unavailable if the process has.
    """
    held = _held.get()
    if held is not None:
        await held.take(workspace, size)


def keep(workspace: str, size: int) -> None:
    """Hold bytes that have just been read, and are never many. Raises as `hold`, without waiting."""
    held = _held.get()
    if held is not None:
        held.keep(workspace, size)


def taken(size: int) -> None:
    """Note that the client has received `size` bytes of the current call's answer."""
    held = _held.get()
    if held is not None:
        held.give(size)


def request() -> Request | None:
    """The request or socket that the current task belongs to."""
    held = _held.get()
    return None if held is None else held.request


def holding() -> AbstractContextManager[object]:
    """Let the block hold memory as a call of its own, which is released at the end of the block."""
    current = request()
    return nullcontext() if current is None else current.call()


def _too_much(limit: int) -> PayloadTooLarge:
    return PayloadTooLarge(
        f"The answers of one request may have {limit / 2**20:g} MiB that the client has not received yet; ask for "
        "fewer with `limit`, or in separate requests"
    )


def _too_full() -> Unavailable:
    message = "Answers that clients have not received yet fill the server's memory; retry, or ask for fewer"
    return Unavailable(message, retry_after_seconds=RETRY_SECONDS)
