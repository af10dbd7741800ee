"""The way to PostgreSQL: a pool whose connections give up in time, and the one place that names its failures."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from psycopg import AsyncConnection, InterfaceError, OperationalError
from psycopg.errors import (
    AdminShutdown,
    CannotConnectNow,
    CrashShutdown,
    IdleInTransactionSessionTimeout,
    InsufficientResources,
    TransactionTimeout,
)
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool, PoolTimeout, TooManyRequests

from schemas.errors import Unavailable

SESSION = {
    "timezone": "UTC",
    "synchronous_commit": "on",
    "idle_in_transaction_session_timeout": "5s",
    "lock_timeout": "8s",
    "statement_timeout": "10s",
}
"""What every connection sets. A process that freezes inside a transaction costs the others the idle timeout, which
therefore is shorter than the lock timeout. `synchronous_commit` is our promise, whatever the cluster's default is."""

TRANSACTION_TIMEOUT = "9s"
"""Where the server has it (PostgreSQL 17): also ends a transaction whose client froze in the middle of a message."""

LOST = (
    OperationalError,
    InterfaceError,
    IdleInTransactionSessionTimeout,
    TransactionTimeout,
    PoolTimeout,
    TooManyRequests,
)
"""What a database raises that is down, restarting, overloaded or out of time."""

BROKEN = (AdminShutdown, CannotConnectNow, CrashShutdown, InterfaceError)
"""Of those, the ones that say the connection is gone: another one may work at once."""

Row = TupleRow
Connection = AsyncConnection[Row]


class Database:
    """A pool of connections, for the tasks of one event loop. `open` it before use, `close` it at the end."""

    def __init__(self, url: str, *, max_connections: int = 6, wait_seconds: float = 2.0) -> None:
        """`wait_seconds` is how long a caller waits for a connection before it is told to retry."""
        self.pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            url,
            min_size=2,
            max_size=max_connections,
            timeout=wait_seconds,
            max_waiting=5000,
            reconnect_timeout=1,
            configure=_configure,
            kwargs={"autocommit": True, "connect_timeout": 3, "application_name": "synap", "prepare_threshold": 1},
            open=False,
        )

    async def open(self) -> None:
        """Start the pool. A database that is down does not stop it; connections are made when it is back."""
        await self.pool.open(wait=False)

    async def close(self) -> None:
        """Close every connection."""
        await self.pool.close()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection in autocommit mode. Raises Unavailable where the database does not answer in time."""
        try:
            async with self.pool.connection() as connection:
                yield connection
        except LOST as error:
            raise unavailable(error) from error

    async def rows(self, query: str, parameters: Mapping[str, object]) -> list[Row]:
        """All rows of one read in binary form; tried again on another connection where the first had died unnoticed.

        Raises Unavailable.
        """
        for last_try in (False, True):
            try:
                async with self.pool.connection() as connection:
                    return await (await connection.execute(query, parameters, binary=True)).fetchall()
            except LOST as error:
                if last_try or not is_broken(error):
                    raise unavailable(error) from error
                await self.pool.check()
        raise AssertionError("unreachable")


def is_broken(error: Exception) -> bool:
    """Whether an error says that the connection itself is gone, with whatever it was doing."""
    return isinstance(error, BROKEN) or (
        isinstance(error, OperationalError)
        and error.sqlstate is None
        and not isinstance(error, PoolTimeout | TooManyRequests)
    )


def unavailable(error: Exception) -> Unavailable:
    """What a caller is told of a failing database: never its own words, which may quote a statement."""
    if isinstance(error, PoolTimeout | TooManyRequests | InsufficientResources):
        return Unavailable("The database cannot be reached or is overloaded; retry")
    return Unavailable("The database is unavailable or took too long; retry")


async def _configure(connection: Connection) -> None:
    settings = dict(SESSION)
    if connection.info.server_version >= 170000:
        settings["transaction_timeout"] = TRANSACTION_TIMEOUT
    await connection.execute(
        "SELECT set_config(name, value, false) FROM unnest(%s::text[], %s::text[]) AS setting (name, value)",
        (list(settings), list(settings.values())),
    )
