"""Budgets of bytes."""

import asyncio

import pytest

from app.capacity.budget import Budget


def test_a_budget_admits_what_fits() -> None:
    budget = Budget(100)

    taken = [budget.take(60), budget.take(40), budget.take(1)]

    assert taken == [True, True, False]
    assert budget.used == 100


def test_a_budget_admits_a_larger_size_only_by_itself() -> None:
    budget = Budget(100)

    first, second = budget.take(150), budget.take(1)
    budget.give(150)

    assert (first, second) == (True, False)
    assert budget.take(1)


async def _admitted_in_order() -> list[str]:
    budget, admitted = Budget(100), list[str]()
    budget.take(100)

    async def wait(name: str, size: int) -> None:
        await budget.wait(size)
        admitted.append(name)

    waiting = [asyncio.create_task(wait(name, size)) for name, size in (("large", 90), ("small", 10), ("late", 50))]
    await asyncio.sleep(0)
    assert not budget.take(1), "nobody may overtake those who wait"
    budget.give(100)
    await asyncio.wait(waiting[:2])
    budget.give(90)
    await asyncio.wait(waiting)
    assert budget.used == 60
    return admitted


def test_waiting_callers_are_admitted_in_order() -> None:
    assert asyncio.run(_admitted_in_order()) == ["large", "small", "late"]


@pytest.mark.parametrize("is_admitted", [False, True], ids=["while waiting", "just admitted"])
def test_a_cancelled_caller_holds_nothing(*, is_admitted: bool) -> None:
    async def cancelled() -> int:
        budget = Budget(100)
        budget.take(100)
        waiting = asyncio.create_task(budget.wait(50))
        behind = asyncio.create_task(budget.wait(60))
        await asyncio.sleep(0)
        if is_admitted:
            budget.give(100)
            waiting.cancel()
        else:
            waiting.cancel()
            budget.give(100)
        await asyncio.wait([waiting, behind])
        assert waiting.cancelled()
        return budget.used

    assert asyncio.run(cancelled()) == 60
