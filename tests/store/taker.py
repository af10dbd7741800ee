"""A process that takes calls in even steps: `python -m tests.store.taker URL LIMIT CALLS SECONDS`.

It prints `ready`, begins when it reads a line, and prints how many calls passed, how many were rejected, and how many
times it asked the database.
"""

import asyncio
import sys
from collections.abc import Sequence

from app.access.rate_limits import RateLimits
from app.store.postgres.database import Database
from app.store.postgres.pipe import Call, Row
from schemas.errors import RateLimited

WINDOW_SECONDS = 600


class Counting(Database):
    """A database that counts leases."""

    asked = 0

    async def atomic(self, calls: Sequence[Call]) -> list[list[Row]]:
        """Count the statement, and run it."""
        self.asked += 1
        return await super().atomic(calls)


async def main(url: str, limit: int, calls: int, seconds: float) -> None:
    """Take `calls` calls in `seconds`."""
    database = Counting(url)
    await database.open()
    await database.pool.wait()
    limits = RateLimits(database, {"publish": limit}, window_seconds=WINDOW_SECONDS)
    passed = refused = 0
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.readline)
    loop = asyncio.get_running_loop()
    started = loop.time()
    for number in range(calls):
        await asyncio.sleep(max(0, started + (number + 0.5) * seconds / calls - loop.time()))
        try:
            await limits.take("publish", "w")
            passed += 1
        except RateLimited:
            refused += 1
    await database.close()
    sys.stdout.write(f"{passed} {refused} {database.asked}\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])))
