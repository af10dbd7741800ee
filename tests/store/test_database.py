"""Reads that travel together."""

import asyncio
import time

from app.store.database import MAX_LANES, Database

SLOW = "SELECT 1 FROM pg_sleep(0.1)"


def test_a_read_that_comes_as_every_lane_ends_is_answered(database_url: str) -> None:
    async def run() -> None:
        database = Database(database_url)
        await database.open()
        await database.pool.wait()

        answered = 0

        async def read() -> None:
            nonlocal answered
            await database.rows(SLOW, {})
            answered += 1
            if answered == 1:
                assert await database.rows("SELECT 2", {}) == [(2,)]

        try:
            async with asyncio.timeout(20), asyncio.TaskGroup() as group:
                for _ in range(MAX_LANES):
                    group.create_task(read())
                    await asyncio.sleep(0.02)  # the next one finds this lane under way, and opens another
                time.sleep(0.3)  # noqa: ASYNC251 - nobody runs until every lane has its answer: all end in one turn
        finally:
            await database.close()

    asyncio.run(run())
