"""Only a few tasks have a turn at once, the others wait in order in a short line, and may leave it."""

import asyncio

import pytest

from app.delivery.queues import Queues, TooManyWaitError


class Work:
    """Tasks that take a turn and keep it until they are released."""

    def __init__(self, queues: Queues) -> None:
        self.queues = queues
        self.begun: list[int] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.ends: dict[int, asyncio.Event] = {}

    async def begin(self, number: int, key: str = "a") -> asyncio.Task[None]:
        """Start a task that wants a turn for `key`."""
        self.ends[number] = asyncio.Event()
        task = asyncio.create_task(self._work(number, key))
        self.tasks.append(task)
        await asyncio.sleep(0)
        return task

    async def end(self, number: int) -> None:
        """Release a task."""
        self.ends[number].set()
        for _ in range(5):
            await asyncio.sleep(0)

    async def _work(self, number: int, key: str) -> None:
        async with self.queues.of(key):
            self.begun.append(number)
            await self.ends[number].wait()


def test_turns_are_bounded_for_each_key_and_taken_in_order() -> None:
    async def story() -> None:
        work = Work(Queues(at_once=2, waiting=2))
        for number in range(4):
            await work.begin(number)
        fifth = await work.begin(4)
        await work.begin(5, "b")
        assert work.begun == [0, 1, 5]
        with pytest.raises(TooManyWaitError):
            await fifth

        await work.end(1)
        assert work.begun == [0, 1, 5, 2]
        await work.begin(6)
        for number in (0, 2, 3, 6, 5):
            await work.end(number)
        assert work.begun == [0, 1, 5, 2, 3, 6]

    asyncio.run(story())


def test_a_caller_that_leaves_frees_a_place() -> None:
    async def story() -> None:
        work = Work(Queues(at_once=1, waiting=1))
        holder = await work.begin(0)
        waiter = await work.begin(1)
        waiter.cancel()
        await asyncio.gather(waiter, return_exceptions=True)
        await work.begin(2)

        holder.cancel()
        await asyncio.gather(holder, return_exceptions=True)
        await asyncio.sleep(0)

        assert work.begun == [0, 2]
        await work.end(2)
        await asyncio.gather(*work.tasks, return_exceptions=True)

    asyncio.run(story())
