"""A server process must not outlive the one that started it, however that ended."""

import asyncio
import os
import signal

CHECK_SECONDS = 0.25


def exit_with_parent() -> asyncio.Task[None]:
    """A task that stops this process, gracefully, soon after its parent has died (even of SIGKILL)."""
    return asyncio.create_task(_watch(os.getppid()))


async def _watch(parent: int) -> None:
    while os.getppid() == parent:  # noqa: ASYNC110 - no event tells of it
        await asyncio.sleep(CHECK_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
