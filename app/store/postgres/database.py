"""Access to PostgreSQL: a pool whose connections have timeouts. Only this module translates the driver's failures."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import TypeVar

from msgspec import Struct
from psycopg import InterfaceError, OperationalError
from psycopg.errors import (
    AdminShutdown,
    CannotConnectNow,
    ConfigurationLimitExceeded,
    CrashShutdown,
    DiskFull,
    IdleInTransactionSessionTimeout,
    InsufficientResources,
    OutOfMemory,
    QueryCanceled,
    ReadOnlySqlTransaction,
    TooManyConnections,
    TransactionTimeout,
)
from psycopg_pool import AsyncConnectionPool, PoolTimeout, TooManyRequests

from app.store.postgres.pipe import Call, CallResult, NoAnswerError, Once, PipedConnection, Row
from app.store.postgres.searches import FairQueue, Searches
from app.store.postgres.session import INDEXED, configure
from schemas.errors import Internal, Unavailable

T = TypeVar("T")

APPLICATION = "synap server 0019"
"""The application name of a server process's connections. It contains the schema revision that the server was written
for, so a migration removes nothing that a connected server needs."""

FORMER_APPLICATIONS = "'synap', 'synap admin', 'synap notices'"
"""The application names that version 0.1 uses. `app/store/install/idempotency.py` finds connections of that version by
them."""

PLANNER_DECIDES: Call = (
    "SELECT "
    + ", ".join(
        f"set_config('{name}', '{'force_custom_plan' if name == 'plan_cache_mode' else 'on'}', true)"
        for name in INDEXED
        if name.startswith("enable_") or name == "plan_cache_mode"
    ),
    {},
)
"""Lets the planner choose any plan, anew for each execution. It applies to the rest of the transaction, or of the round
trip if there is no transaction."""

LOST = (
    OperationalError,
    InterfaceError,
    IdleInTransactionSessionTimeout,
    TransactionTimeout,
    ReadOnlySqlTransaction,
    PoolTimeout,
    TooManyRequests,
)
"""The exceptions for a database that is down, restarting, overloaded, full or read-only, or that ran into a timeout.

`OperationalError` is the SQLSTATE classes 08, 40, 53, 55, 57 and 58. A missing right (42501) is not among them: a retry
does not help, and `/readyz` names the right.
"""

BROKEN = (AdminShutdown, CannotConnectNow, CrashShutdown, InterfaceError)
"""The exceptions of `LOST` that mean that the connection is gone. Another connection may work at once."""

BEGIN: Call = ("BEGIN", {})
COMMIT: Call = ("COMMIT", {})
ROLLBACK: Call = ("ROLLBACK", {})

MAX_LANES = 3
"""How many batches of reads run at once. New reads wait for the next batch meanwhile."""

MAX_BATCH = 16
"""The maximum of reads in a batch. They share a connection, so a slow read delays the reads behind it."""


OVERLOADED = "The database cannot be reached or is overloaded; retry"


MESSAGES: Mapping[tuple[type[Exception], ...], str] = {
    (DiskFull,): "The disk of the database is full; retry later",
    (ReadOnlySqlTransaction,): "The database is read-only; retry later",
    (
        PoolTimeout,
        TooManyRequests,
        InsufficientResources,
        OutOfMemory,
        TooManyConnections,
        ConfigurationLimitExceeded,
    ): OVERLOADED,
}
"""The messages of failures that have their own message."""


class SlowReadError(Unavailable):
    """A read was ended because it took too long. The same read would be as slow again."""

    def __init__(self) -> None:
        super().__init__(
            "The read took too long and was ended; narrow the filter, for example to a type, a user or a range of time"
        )


class Usage(Struct, frozen=True, kw_only=True):
    """How busy a pool is."""

    used: int
    idle: int
    """Open connections that nobody uses."""
    waiting: int
    """Callers that wait for a connection."""
    waited_seconds: float
    refused: int
    """`waited_seconds` is how long callers have waited since the pool was opened, `refused` how many got no
    connection."""


class _Read(Struct, frozen=True, eq=False):
    """One read, and the future that its caller awaits."""

    call: Call
    rows: asyncio.Future[list[Row]]


class _Pool(AsyncConnectionPool[PipedConnection]):
    """A pool that checks a connection by asking the kernel. The check never waits, even if the database is frozen."""

    @staticmethod
    async def check_connection(conn: PipedConnection) -> None:
        """Raise if the connection is dead."""
        conn.pgconn.consume_input()  # reads the last message of the database
        conn.pgconn.consume_input()  # notices that the database closed the connection


class Database:
    """A pool of connections, for the tasks of one event loop. Call `open` before use and `close` at the end."""

    def __init__(
        self,
        url: str,
        *,
        max_connections: int = 8,
        wait_seconds: float = 1.5,
        search_wait_seconds: float = 10,
        search_seconds: float = 0,
    ) -> None:
        """`wait_seconds` is how long a caller waits for a connection before it gets Unavailable.

        A search waits `search_wait_seconds` for its turn. The searches that run end within that time, because a
        statement has a timeout. `search_seconds` is how long a workspace may search in a minute; 0 means no limit.
        """
        self.pool = _Pool(
            url,
            connection_class=PipedConnection,
            min_size=2,
            max_size=max_connections,
            timeout=wait_seconds,
            max_waiting=5000,
            reconnect_timeout=1,
            configure=configure,
            # UTF-8, whatever the environment, the role or the database sets: no other encoding can hold every text.
            kwargs={
                "autocommit": True,
                "connect_timeout": 3,
                "application_name": APPLICATION,
                "client_encoding": "utf8",
            },
            open=False,
        )
        self._searches = Searches(
            places=max(1, max_connections // 2), wait_seconds=search_wait_seconds, seconds_a_minute=search_seconds
        )
        self.is_stopping = False
        """Whether the server stops. Then a read that takes several statements ends after the one that runs."""
        self._is_distributed: bool | None = None
        self._held: set[str] = set()
        self._waiting: FairQueue[_Read] = FairQueue()
        self._lanes: set[asyncio.Task[None] | None] = set()

    async def open(self) -> None:
        """Start the pool. It also starts if the database is down, and connects when the database is back."""
        await self.pool.open(wait=False)

    @property
    def usage(self) -> "Usage":
        """How busy the pool is."""
        told = self.pool.get_stats()
        idle = told["pool_available"]
        return Usage(
            used=told["pool_size"] - idle,
            idle=idle,
            waiting=told["requests_waiting"],
            waited_seconds=told.get("requests_wait_ms", 0) / 1000,
            refused=told.get("requests_errors", 0),
        )

    async def is_distributed(self) -> bool:
        """Whether the events are distributed over several nodes, as the first connection finds. Raises Unavailable."""

        async def ask() -> bool:
            async with self.pool.connection() as connection:
                return connection.is_distributed

        if self._is_distributed is None:
            self._is_distributed = await self.retried(ask)
        return self._is_distributed

    async def close(self) -> None:
        """Close every connection."""
        await self.pool.close()

    async def rows(self, query: str, parameters: Mapping[str, object]) -> list[Row]:
        """Return all rows of one read that an index serves. Reads that arrive together share a round trip.

        Raises Unavailable (SlowReadError), and what psycopg raises for a statement that fails.
        """
        read = _Read((query, parameters), asyncio.get_running_loop().create_future())
        self._waiting.put(_workspace_of(parameters), read)
        if len(self._lanes) < MAX_LANES:
            self._lanes.add(asyncio.create_task(self._lane()))
        return await read.rows

    async def holds(self, question: str) -> bool:
        """Whether the schema has what a statement asks about, such as a table that an older schema lacks.

        A true answer is remembered, because nothing that a server uses is removed from the schema while it runs.
        Raises Unavailable.
        """
        if question not in self._held and await self.rows(question, {}) == [(True,)]:
            self._held.add(question)
        return question in self._held

    async def rows_alone(self, query: str, parameters: Mapping[str, object]) -> list[Row]:
        """Return all rows of one read that may be slow. It has a connection of its own, so it delays no other read."""
        return _rows_of_last(await self._trip([(query, parameters)]))

    async def search(
        self, query: str, parameters: Mapping[str, object], *, is_planned: bool = True, is_metered: bool = True
    ) -> list[Row]:
        """Return all rows of a read that may take seconds, in the workspace that its `parameters` name.

        Searches use at most half of the connections, so other calls continue however many searches arrive. They take
        turns (`Searches`), and end if their caller goes away. Set `is_planned` if no index is known to serve the read:
        then the planner chooses the plan, and the statement is not kept prepared. Set `is_metered` if the read may look
        at more rows than it returns: then its time counts against the workspace's limit. Raises RateLimited too.
        """
        calls = [PLANNER_DECIDES, (Once(query), parameters)] if is_planned else [(query, parameters)]
        async with self.searching(_workspace_of(parameters), is_metered=is_metered):
            return _rows_of_last(await self._trip(calls, while_wanted=True))

    def searching(self, workspace: str, *, is_metered: bool = True) -> AbstractAsyncContextManager[None]:
        """A turn among the searches, which lasts to the end of the block. Raises what `search` raises of turns."""
        return self._searches.turn(workspace, is_metered=is_metered)

    async def atomic(self, calls: Sequence[Call]) -> list[list[Row]]:
        """Run these statements as one transaction in one round trip, and return the rows of each.

        They may run twice if the connection was lost, so running what they write twice must be harmless. Raises what
        `rows` raises.
        """
        rows: list[list[Row]] = []
        for outcome in await self._trip(calls):
            if not isinstance(outcome, list):
                raise _translated(outcome)
            rows.append(outcome)
        return rows

    async def atomic_by_name(self, calls: Mapping[str, Call]) -> dict[str, list[Row]]:
        """Run these statements as `atomic` does, and return the rows of each by its name."""
        return dict(zip(calls, await self.atomic(list(calls.values())), strict=True))

    async def discard_broken(self) -> None:
        """Close the idle connections that died unnoticed. If one has died (a restart), the others have died too."""
        await self.pool.check()

    async def _lane(self) -> None:
        """Run the reads that wait, batch by batch, until no read waits."""
        await asyncio.sleep(0)  # lets the other reads of this turn of the event loop join
        while batch := self._next(MAX_BATCH):
            outcomes: Sequence[CallResult | Exception]
            try:
                outcomes = await self._trip([read.call for read in batch])
            except Exception as error:  # noqa: BLE001 - the lane goes on, and each caller gets the error as its own
                # Reads that arrived meanwhile have waited as long, so they fail now too, not one batch after the other.
                batch += self._next(len(self._waiting))
                outcomes = [error] * len(batch)
            for read, outcome in zip(batch, outcomes, strict=True):
                if read.rows.cancelled():
                    continue
                if isinstance(outcome, list):
                    read.rows.set_result(outcome)
                elif outcome is None:  # did not run because a read before it failed; it goes first in the next batch
                    self._waiting.put(_workspace_of(read.call[1]), read, first=True)
                else:
                    read.rows.set_exception(_failed_read(outcome))
        # At once, not in a callback of the task: a read that arrives in between would open no lane, and wait for ever.
        self._lanes.discard(asyncio.current_task())

    def _next(self, most: int) -> list[_Read]:
        """Take up to `most` reads whose turn it is."""
        return [turn[1] for _ in range(most) if (turn := self._waiting.take()) is not None]

    async def retried(self, run: Callable[[], Awaitable[T]]) -> T:
        """Return the result of `run`. It runs again if its connection had died unnoticed. Raises Unavailable."""
        try:
            try:
                return await run()
            except LOST as error:
                if not is_broken(error) or isinstance(error, NoAnswerError):
                    raise
            await self.discard_broken()
            return await run()
        except LOST as error:
            raise unavailable(error) from error

    async def _trip(self, calls: Sequence[Call], *, while_wanted: bool = False) -> Sequence[CallResult]:
        return await self.retried(partial(self._outcomes, calls, while_wanted=while_wanted))

    async def _outcomes(self, calls: Sequence[Call], *, while_wanted: bool) -> Sequence[CallResult]:
        async with self.pool.connection() as connection:
            return await (connection.outcomes_while_wanted if while_wanted else connection.outcomes)(calls)


def _workspace_of(parameters: Mapping[str, object]) -> str:
    """The workspace of a read; empty if the read is the server's own."""
    return str(parameters.get("workspace", ""))


def _rows_of_last(outcomes: Sequence[CallResult]) -> list[Row]:
    """Return the rows of the last call. Raises the error that its caller gets."""
    rows = outcomes[-1]
    if isinstance(rows, list):
        return rows
    raise _failed_read(rows)


def _failed_read(error: Exception | None) -> Exception:
    """The exception that the caller of a read gets."""
    if isinstance(error, QueryCanceled):
        return SlowReadError()
    return _translated(error)


def _translated(error: Exception | None) -> Exception:
    """The exception that the caller of a statement gets."""
    return unavailable(error) if isinstance(error, LOST) else error or Internal()


def is_broken(error: Exception) -> bool:
    """Whether an error means that the connection is gone. What became of its statements is then unknown."""
    return isinstance(error, BROKEN) or (
        isinstance(error, OperationalError)
        and error.sqlstate is None
        and not isinstance(error, PoolTimeout | TooManyRequests)
    )


def unavailable(error: Exception) -> Unavailable:
    """The exception for a failing database. It never contains the database's message, which may quote a statement."""
    for kinds, message in MESSAGES.items():
        if isinstance(error, kinds):
            return Unavailable(message)
    return Unavailable("The database is unavailable or took too long; retry")
