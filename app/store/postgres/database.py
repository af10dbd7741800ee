"""The way to PostgreSQL: a pool whose connections give up in time, and the one place that names its failures."""

import asyncio
from collections.abc import Mapping, Sequence

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
from schemas.errors import Internal, Unavailable

STATEMENT_TIMEOUT_MS = 8500

APPLICATION = "synap server 0014"
"""What PostgreSQL calls the connections of a server process: it says which schema the server was written for, so that a
migration takes nothing away from it."""

FORMER_APPLICATIONS = "'synap', 'synap admin', 'synap notices'"
"""What those of version 0.1 are called: `app/store/install/idempotency.py` tells them by that."""

INDEXED = {
    "random_page_cost": "1.1",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_sort": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
    "plan_cache_mode": "force_generic_plan",
}
"""How statements are planned: through the index that has their order, whatever the database knows of the rows. So one
plan is as good as any other, also where it was made when the table was empty. See `docs/decisions/0010`."""

PLANNER_DECIDES: Call = (
    "SELECT "
    + ", ".join(
        f"set_config('{name}', '{'force_custom_plan' if name == 'plan_cache_mode' else 'on'}', true)"
        for name in INDEXED
        if name.startswith("enable_") or name == "plan_cache_mode"
    ),
    {},
)
"""For the rest of a transaction, or of a round trip without one: the planner decides, anew each time."""

SESSION = INDEXED | {
    "timezone": "UTC",
    "synchronous_commit": "on",
    "idle_in_transaction_session_timeout": "5s",
    "lock_timeout": "8s",
    "statement_timeout": f"{STATEMENT_TIMEOUT_MS}ms",
}
"""What every connection sets. A process that freezes inside a transaction costs the others the idle timeout, which
therefore is shorter than the lock timeout. `synchronous_commit` is our promise, whatever the cluster's default is.
Where the URL, the role or the database sets a shorter `statement_timeout`, that stays."""

CONFIGURE = f"""
SELECT set_config(given.name, given.value, false) FROM unnest(%s::text[], %s::text[]) AS given (name, value)
WHERE given.name <> 'statement_timeout'
    OR (SELECT setting::int NOT BETWEEN 1 AND {STATEMENT_TIMEOUT_MS} FROM pg_settings WHERE name = 'statement_timeout')
"""
"""Makes the settings of a connection. A shorter `statement_timeout` of the role or the database stays."""

TRANSACTION_TIMEOUT = "9s"
"""Where the server has it (PostgreSQL 17): also ends a transaction whose client froze in the middle of a message. It
ends the connection too, and so is longer than a statement may take."""

LOST = (
    OperationalError,
    InterfaceError,
    IdleInTransactionSessionTimeout,
    TransactionTimeout,
    ReadOnlySqlTransaction,
    PoolTimeout,
    TooManyRequests,
)
"""What a database raises that is down, restarting, overloaded, full, read-only or out of time.

`OperationalError` is the SQLSTATE classes 08, 40, 53, 55, 57 and 58. A missing right (42501) is not among them: no
retry mends it, and `/readyz` names it.
"""

BROKEN = (AdminShutdown, CannotConnectNow, CrashShutdown, InterfaceError)
"""Of those, the ones that say the connection is gone: another one may work at once."""

BEGIN: Call = ("BEGIN", {})
COMMIT: Call = ("COMMIT", {})
ROLLBACK: Call = ("ROLLBACK", {})

MAX_LANES = 3
"""Batches of reads under way at once: while they are, the next reads gather."""

MAX_BATCH = 16
"""Reads in a batch. They share a connection, so a slow one holds up those behind it."""


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
"""The messages of failures that have a sentence of their own."""


class SlowReadError(Unavailable):
    """A read was ended because it took too long: the same again would be as slow."""

    def __init__(self) -> None:
        super().__init__(
            "The read took too long and was ended; narrow the filter, for example to a type, a user or a range of time"
        )


class Usage(Struct, frozen=True, kw_only=True):
    """How a pool is used."""

    used: int
    idle: int
    """Connections that are made and wait for somebody."""
    waiting: int
    """Callers that wait for a connection."""
    waited_seconds: float
    refused: int
    """How long callers have waited, and how many in vain, since the pool was opened."""


class _Read(Struct, frozen=True, eq=False):
    """One read, and the promise that its caller waits for."""

    call: Call
    rows: asyncio.Future[list[Row]]


class _Pool(AsyncConnectionPool[PipedConnection]):
    """Checks a connection by asking the kernel, not the database: that one may be frozen, and nothing is waited for."""

    @staticmethod
    async def check_connection(conn: PipedConnection) -> None:
        """Raise where the connection is dead."""
        conn.pgconn.consume_input()  # reads what the database said last
        conn.pgconn.consume_input()  # finds that it hung up


class Database:
    """A pool of connections, for the tasks of one event loop. `open` it before use, `close` it at the end."""

    def __init__(
        self,
        url: str,
        *,
        max_connections: int = 8,
        wait_seconds: float = 1.5,
        search_wait_seconds: float = 10,
        search_seconds: float = 0,
    ) -> None:
        """`wait_seconds` is how long a caller waits for a connection; then it gets Unavailable.

        A search waits `search_wait_seconds` for its turn: by then those that run have ended, however long they take.
        `search_seconds` is how long a workspace may search in a minute; 0: any time.
        """
        self.pool = _Pool(
            url,
            connection_class=PipedConnection,
            min_size=2,
            max_size=max_connections,
            timeout=wait_seconds,
            max_waiting=5000,
            reconnect_timeout=1,
            configure=_configure,
            # Whatever the environment, the role or the database sets: a text has characters that no other encoding has.
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
        self._waiting: FairQueue[_Read] = FairQueue()
        self._lanes: set[asyncio.Task[None] | None] = set()

    async def open(self) -> None:
        """Start the pool. A database that is down does not stop it; connections are made when it is back."""
        await self.pool.open(wait=False)

    @property
    def usage(self) -> "Usage":
        """How the pool is used."""
        told = self.pool.get_stats()
        idle = told["pool_available"]
        return Usage(
            used=told["pool_size"] - idle,
            idle=idle,
            waiting=told["requests_waiting"],
            waited_seconds=told.get("requests_wait_ms", 0) / 1000,
            refused=told.get("requests_errors", 0),
        )

    async def close(self) -> None:
        """Close every connection."""
        await self.pool.close()

    async def rows(self, query: str, parameters: Mapping[str, object]) -> list[Row]:
        """All rows of one read that an index serves. Reads that come together go to the database together.

        Raises Unavailable (SlowReadError), and what psycopg raises for a statement that fails.
        """
        read = _Read((query, parameters), asyncio.get_running_loop().create_future())
        self._waiting.put(_workspace_of(parameters), read)
        if len(self._lanes) < MAX_LANES:
            self._lanes.add(asyncio.create_task(self._lane()))
        return await read.rows

    async def rows_alone(self, query: str, parameters: Mapping[str, object]) -> list[Row]:
        """The same for a read that may be slow: it holds up no other."""
        return _rows_of_last(await self._trip([(query, parameters)]))

    async def search(
        self, query: str, parameters: Mapping[str, object], *, is_planned: bool = True, is_metered: bool = True
    ) -> list[Row]:
        """The same for a read in the workspace of its `parameters` that may take seconds.

        Half of the connections serve such reads, so that however many come at once, everything else goes on. They run
        in turns (`Searches`), and end if their caller goes. If `is_planned`, no index is known to serve the read: the
        planner decides how it is done, and the statement is not kept. If it may look at more than it answers, it
        `is_metered`: its time counts. Raises RateLimited too.
        """
        calls = [PLANNER_DECIDES, (Once(query), parameters)] if is_planned else [(query, parameters)]
        async with self._searches.turn(_workspace_of(parameters), is_metered=is_metered):
            return _rows_of_last(await self._trip(calls, while_wanted=True))

    async def atomic(self, calls: Sequence[Call]) -> list[list[Row]]:
        """The rows of each of these statements, which are one transaction and one round trip.

        They may be run twice, where the connection was lost: what they write has to bear that. Raises as `rows` does.
        """
        rows: list[list[Row]] = []
        for outcome in await self._trip(calls):
            if not isinstance(outcome, list):
                raise _translated(outcome)
            rows.append(outcome)
        return rows

    async def atomic_by_name(self, calls: Mapping[str, Call]) -> dict[str, list[Row]]:
        """The same for statements that differ from call to call: the rows of each, by its name."""
        return dict(zip(calls, await self.atomic(list(calls.values())), strict=True))

    async def discard_broken(self) -> None:
        """Close the idle connections that died unnoticed: where one has (a restart), the others have too."""
        await self.pool.check()

    async def _lane(self) -> None:
        """Carry out what waits, batch by batch, until nothing does."""
        await asyncio.sleep(0)  # the other reads of this turn of the loop join
        while batch := self._next(MAX_BATCH):
            outcomes: Sequence[CallResult | Exception]
            try:
                outcomes = await self._trip([read.call for read in batch])
            except Exception as error:  # noqa: BLE001 - the lane goes on, and each caller gets the error as its own
                # Whoever came meanwhile has waited as long: told now, rather than one batch after the other.
                batch += self._next(len(self._waiting))
                outcomes = [error] * len(batch)
            for read, outcome in zip(batch, outcomes, strict=True):
                if read.rows.cancelled():
                    continue
                if isinstance(outcome, list):
                    read.rows.set_result(outcome)
                elif outcome is None:  # one before it failed; this one goes first in the next batch
                    self._waiting.put(_workspace_of(read.call[1]), read, first=True)
                else:
                    read.rows.set_exception(_failed_read(outcome))
        # At once, not when the loop gets to it: a read that comes in between would find no lane and open none.
        self._lanes.discard(asyncio.current_task())

    def _next(self, most: int) -> list[_Read]:
        """The reads whose turn it is."""
        return [turn[1] for _ in range(most) if (turn := self._waiting.take()) is not None]

    async def _trip(self, calls: Sequence[Call], *, while_wanted: bool = False) -> Sequence[CallResult]:
        """Run reads; tried again on another connection where the first had died unnoticed. Raises Unavailable."""
        try:
            try:
                return await self._outcomes(calls, while_wanted=while_wanted)
            except LOST as error:
                if not is_broken(error) or isinstance(error, NoAnswerError):
                    raise
            await self.discard_broken()
            return await self._outcomes(calls, while_wanted=while_wanted)
        except LOST as error:
            raise unavailable(error) from error

    async def _outcomes(self, calls: Sequence[Call], *, while_wanted: bool) -> Sequence[CallResult]:
        async with self.pool.connection() as connection:
            return await (connection.outcomes_while_wanted if while_wanted else connection.outcomes)(calls)


def _workspace_of(parameters: Mapping[str, object]) -> str:
    """The workspace that a read is about; empty for one of the server's own."""
    return str(parameters.get("workspace", ""))


def _rows_of_last(outcomes: Sequence[CallResult]) -> list[Row]:
    """The rows of the last call. Raises the error for its caller."""
    rows = outcomes[-1]
    if isinstance(rows, list):
        return rows
    raise _failed_read(rows)


def _failed_read(error: Exception | None) -> Exception:
    """The error for the caller of a read."""
    if isinstance(error, QueryCanceled):
        return SlowReadError()
    return _translated(error)


def _translated(error: Exception | None) -> Exception:
    """The error for the caller of a statement."""
    return unavailable(error) if isinstance(error, LOST) else error or Internal()


def is_broken(error: Exception) -> bool:
    """Whether an error says that the connection itself is gone, with whatever it was doing."""
    return isinstance(error, BROKEN) or (
        isinstance(error, OperationalError)
        and error.sqlstate is None
        and not isinstance(error, PoolTimeout | TooManyRequests)
    )


def unavailable(error: Exception) -> Unavailable:
    """The error for a failing database. It never has the database's message, which may quote a statement."""
    for kinds, message in MESSAGES.items():
        if isinstance(error, kinds):
            return Unavailable(message)
    return Unavailable("The database is unavailable or took too long; retry")


async def _configure(connection: PipedConnection) -> None:
    settings = dict(SESSION)
    if connection.info.server_version >= 170000:
        settings["transaction_timeout"] = TRANSACTION_TIMEOUT
    await connection.execute(CONFIGURE, (list(settings), list(settings.values())))
