"""Slow filters delay nobody else, and no transaction waits for them."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.store.opened import draft, opened
from tests.store.test_deliveries import Owed

HEAVY: dict[str, Any] = {"OR": [{"data.text": {"contains": f"y{number}"}} for number in range(98)]}

TEXT = "x" * 1_000_000

OPEN = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND state = 'idle in transaction' AND now() - state_change > interval '150 ms'
"""


@pytest.fixture
def owed(database_url: str, tmp_path: Path) -> Iterator[Owed]:
    """The deliveries of a database of the test's own."""
    with opened(database_url, tmp_path) as store:
        yield Owed(store)


async def watched(owed: Owed, work: Any) -> tuple[Any, int]:
    """Run some work. Returns its result, and how many transactions waited meanwhile."""
    task, waited = asyncio.create_task(work), 0
    while not task.done():
        await asyncio.sleep(0.02)
        waited += (await asyncio.to_thread(owed.rows, OPEN))[0][0]
    return await task, waited


def test_no_transaction_is_open_while_filters_are_asked(owed: Owed) -> None:
    for number in range(10):
        owed.create(f"sub_{number}", "*", filter=HEAVY)
        owed.catch_up(f"sub_{number}")
    owed.store.append(draft("a.b", {"text": TEXT}))
    owed.create("sub_late", "*", filter=HEAVY, cursor=-1)

    step, waited = owed.store.run(watched(owed, owed.dispatching.step(owed.workspace)))
    goes_on, waited_behind = owed.store.run(watched(owed, owed.dispatching.catch_up(owed.workspace, "sub_late")))

    assert (step.seq, goes_on) == (0, False)
    assert (waited, waited_behind) == (0, 0)
    assert owed.rows("SELECT count(*) FROM subscription WHERE cursor IS NOT NULL") == [(0,)]


def test_events_that_another_process_dispatched_are_owed_once(owed: Owed) -> None:
    owed.create("sub_a", "*", filter=HEAVY)
    owed.create("sub_late", "*", filter=HEAVY, cursor=-1)
    owed.store.append(*(draft("a.b", {"text": f"{TEXT} y{number}"}) for number in range(2)))

    async def story() -> None:
        for _ in range(20):
            await asyncio.gather(
                *(owed.dispatching.step(owed.workspace) for _ in range(2)),
                *(owed.dispatching.catch_up(owed.workspace, id_) for id_ in ("sub_a", "sub_late") for _ in range(2)),
            )

    owed.store.run(story())

    assert owed.owed("sub_a") == owed.owed("sub_late") == [(1, 0), (2, 1)]
