"""The thread that runs long work."""

import asyncio
import threading
import time

import pytest

from app.capacity.thread import RestingThread

WORK_SECONDS = 0.05


def _work() -> tuple[float, float]:
    """Keep the processor busy. Returns when it began and ended."""
    began = time.monotonic()
    busy_until = time.thread_time() + WORK_SECONDS
    while time.thread_time() < busy_until:
        pass
    return began, time.monotonic()


def test_the_thread_rests_between_two_pieces_as_long_as_it_worked() -> None:
    async def test() -> list[tuple[float, float]]:
        thread = RestingThread()
        return await asyncio.gather(*(thread.run(_work) for _ in range(3)))

    first, second, third = asyncio.run(test())

    assert second[0] - first[1] >= WORK_SECONDS
    assert third[0] - second[1] >= WORK_SECONDS


def test_work_runs_in_one_thread_beside_the_event_loop() -> None:
    async def test() -> set[int]:
        thread = RestingThread()
        return set(await asyncio.gather(*(thread.run(threading.get_ident) for _ in range(3))))

    threads = asyncio.run(test())

    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_work_that_fails_fails_for_its_caller_only() -> None:
    async def test() -> int:
        thread = RestingThread()
        with pytest.raises(ZeroDivisionError):
            await thread.run(lambda: 1 // 0)
        return await thread.run(lambda: 1)

    assert asyncio.run(test()) == 1
