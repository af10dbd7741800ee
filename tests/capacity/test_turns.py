"""The work of callers, done in turns."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from app.capacity.turns import LONG_COST, SLICE_SECONDS, Turns


def run(test: Callable[[Turns], Awaitable[Any]]) -> Any:
    """Run a test in an event loop, and return its result."""

    async def with_turns() -> Any:
        return await test(Turns())

    return asyncio.run(with_turns())


@pytest.mark.parametrize(("cost", "beside"), [(LONG_COST, False), (LONG_COST + 1, True)], ids=["short", "long"])
def test_long_work_runs_beside_the_event_loop(cost: int, beside: bool) -> None:  # noqa: FBT001
    thread = run(lambda turns: turns.run("one", cost, threading.get_ident))

    assert (thread != threading.get_ident()) == beside


def test_the_event_loop_looks_at_the_network_between_slices_of_short_work() -> None:
    done: list[str] = []

    def work() -> None:
        turn_ends = threading.Event()
        turn_ends.wait(2 * SLICE_SECONDS)  # longer than a slice
        done.append("work")

    async def test(turns: Turns) -> None:
        tasks = [asyncio.create_task(turns.run(str(number), 0, work)) for number in range(5)]
        for _ in range(100):
            await asyncio.sleep(0)
            done.append("network")
        await asyncio.gather(*tasks)

    run(test)

    assert ["work", "work"] not in [done[place : place + 2] for place in range(len(done))]
    assert done.count("work") == 5


def test_callers_take_turns_however_much_work_one_has() -> None:
    order: list[str] = []

    async def test(turns: Turns) -> None:
        asked = ["one"] * 4 + ["two"]
        works = [turns.run(caller, LONG_COST + 1, partial(order.append, caller)) for caller in asked]
        await asyncio.gather(*works)

    run(test)

    assert order.index("two") == 1


def test_work_that_fails_fails_for_its_caller_only() -> None:
    async def test(turns: Turns) -> int:
        with pytest.raises(ZeroDivisionError):
            await turns.run("one", LONG_COST + 1, lambda: 1 // 0)
        return await turns.run("one", LONG_COST + 1, lambda: 1)

    assert run(test) == 1
