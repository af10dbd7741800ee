"""Ends a server process no later than its parent, after a goodbye to its clients."""

import asyncio
import multiprocessing
import os
import signal
from collections.abc import Callable, Coroutine
from typing import Any

from app.signals import SIGNALS

CHECK_SECONDS = 0.25
"""The time between two checks that the parent still lives."""


def end_when_told() -> None:
    """Let SIGTERM end this server process from now on, until it handles that signal itself.

    The process inherits that all signals are blocked. The others stay blocked, because the parent decides about signals
    to the group.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def exit_with_parent() -> asyncio.Task[None]:
    """A task that stops this process gracefully soon after its parent has died (even by SIGKILL)."""
    parent = multiprocessing.parent_process()
    return asyncio.create_task(_watch(os.getppid() if parent is None or parent.pid is None else parent.pid))


def before_stop(say_goodbye: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run `say_goodbye` when SIGTERM tells this server process to stop, and stop when it is done.

    Granian itself would wait until every open stream has ended, without telling any. It also stops on SIGINT, which is
    blocked, so we let one through.
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
