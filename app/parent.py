"""How a server process ends: never later than the one that started it, and with word to those it serves."""

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from typing import Any

CHECK_SECONDS = 0.25


def exit_with_parent() -> asyncio.Task[None]:
    """A task that stops this process, gracefully, soon after its parent has died (even of SIGKILL)."""
    return asyncio.create_task(_watch(os.getppid()))


def before_stop(say_goodbye: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run `say_goodbye` when this process is told to stop, and stop when it is done.

    The server itself would wait until every open stream has ended, and say so to nobody. It stops on either signal: so
    we take the one that the parent sends, and pass on the other.
    """
    stopping: list[asyncio.Task[None]] = []

    async def stop() -> None:
        try:
            await say_goodbye()
        finally:
            os.kill(os.getpid(), signal.SIGINT)

    def told() -> None:
        if not stopping:
            stopping.append(asyncio.create_task(stop()))

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told)


async def _watch(parent: int) -> None:
    while os.getppid() == parent:  # noqa: ASYNC110 - no event tells of it
        await asyncio.sleep(CHECK_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
