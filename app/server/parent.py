"""How a server process ends: never later than the one that started it, and with word to those it serves."""

import asyncio
import multiprocessing
import os
import signal
from collections.abc import Callable, Coroutine
from typing import Any

from app.signals import SIGNALS

CHECK_SECONDS = 0.25
"""How often it looks whether its parent still lives."""


def end_when_told() -> None:
    """Let SIGTERM end this server process from now on, until it listens for that itself.

    It inherits that all signals are blocked. The others remain so: a group gets each of them, and the parent decides.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def exit_with_parent() -> asyncio.Task[None]:
    """A task that stops this process, gracefully, soon after its parent has died (even of SIGKILL)."""
    parent = multiprocessing.parent_process()
    return asyncio.create_task(_watch(os.getppid() if parent is None or parent.pid is None else parent.pid))


def before_stop(say_goodbye: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run `say_goodbye` when this server process is told to stop by SIGTERM, and stop when it is done.

    Granian itself would wait until every open stream has ended, and say so to nobody. It stops on SIGINT as well, which
    is blocked: we let one through.
    """
    stopping: list[asyncio.Task[None]] = []

    async def goodbye() -> None:
        try:
            await say_goodbye()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            os.kill(os.getpid(), signal.SIGINT)
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})

    def told() -> None:
        if not stopping:
            stopping.append(asyncio.create_task(goodbye()))

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told)


async def _watch(parent: int) -> None:
    while os.getppid() == parent:  # noqa: ASYNC110 - no event tells of it
        await asyncio.sleep(CHECK_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
