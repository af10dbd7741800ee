"""Statements in libpq's pipeline mode: all that are ready are sent in one write, and one wait receives all results.

psycopg's own pipeline takes three times the processor time for each statement, mostly in cursors and in waking up
tasks. That was half of the time of `events.log`, `events.get` and `events.list`. psycopg still adapts parameters and
rows.
"""

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection, Error, OperationalError
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus, Format
from psycopg.pq.abc import PGconn, PGresult
from psycopg.rows import TupleRow

Row = TupleRow
Call = tuple[str, Mapping[str, object]]
"""A statement with `%(name)s` parameters (`%(name)b`: sent in binary), and their values."""

CallResult = list[Row] | Error | None
"""The result of one call: its rows, its error, or None if it did not run because a call before it failed."""


class Once(str):
    """The text of a statement that is not kept prepared, because callers can produce any number of such texts."""

    __slots__ = ()


_Key = tuple[bytes, tuple[int, ...]]
"""Identifies a prepared statement: its text and the types of its parameters."""

_PARAMETER = re.compile(r"%\((\w+)\)([sb])")
_FAILED = {ExecStatus.FATAL_ERROR, ExecStatus.PIPELINE_ABORTED}


MAX_PREPARED = 64
"""How many statements a connection keeps prepared; each takes up to 0.5 MiB in the database. The least recently used is
closed first."""

CANCEL_SECONDS = 2.0
"""How long the database may take to receive the request that cancels a statement."""

ANSWER_SECONDS = 11.0
"""A database that is silent for longer counts as gone, because its own timeouts end a statement before that."""

LOOK_SECONDS = 0.25
"""How often a silent connection is checked without an event: uvloop reports a reset connection once, and never
again."""


class NoAnswerError(OperationalError):
    """The database did not answer in time. The connection is closed, and whether the statements ran is unknown."""


class PipedConnection(AsyncConnection[Row]):
    """A connection that can also send many statements at once. It works in autocommit mode, for one task at a time."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.is_distributed = False
        """Whether the events of its database are distributed over several nodes."""
        self._names: dict[_Key, bytes] = {}
        """The names of the prepared statements; the least recently used comes first."""
        self._made = 0
        self._unneeded: list[bytes] = []
        """The names of statements that the next round trip closes. It closes them first, because an error makes the
        database skip all that follows it."""

    async def trip(self, calls: Sequence[Call], *, while_wanted: bool = False) -> list[list[Row]]:
        """Return the rows of each call, in one round trip. Raises the first error; the calls behind it did not run.

        With `while_wanted` the database ends the calls if this is cancelled.
        """
        outcomes = await (self.outcomes_while_wanted if while_wanted else self.outcomes)(calls)
        rows: list[list[Row]] = []
        for outcome in outcomes:
            if isinstance(outcome, Error):
                raise outcome
            rows.append(outcome or [])
        return rows

    async def trip_by_name(self, calls: Mapping[str, Call]) -> dict[str, list[Row]]:
        """Run these calls as `trip` does, and return the rows of each by its name."""
        return dict(zip(calls, await self.trip(list(calls.values())), strict=True))

    async def outcomes(self, calls: Sequence[Call]) -> list[CallResult]:
        """Return the result of each call, in one round trip.

        Without an open transaction the calls are one transaction, which an error ends.

        Raises the error of its commit, and OperationalError if the connection was lost. The connection is closed then,
        and also if this is cancelled.
        """
        pgconn = self.pgconn
        if pgconn.status != ConnStatus.OK:
            raise OperationalError("the connection is closed")
        try:
            pgconn.nonblocking = 1
            pgconn.enter_pipeline_mode()
            closed = self._close_unneeded()
            prepared = [self._send(sql, parameters) for sql, parameters in calls]
            pgconn.pipeline_sync()
            results = await self._receive()
            pgconn.exit_pipeline_mode()
        except BaseException:
            pgconn.finish()  # it is in the middle of a round trip, so nobody could use it again
            raise
        return self._outcomes(prepared, results[closed:])

    async def outcomes_while_wanted(self, calls: Sequence[Call]) -> list[CallResult]:
        """Return what `outcomes` returns.

        If this is cancelled, the database ends the statements, and the connection stays usable.
        """
        running = asyncio.create_task(self.outcomes(calls))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            with suppress(Error):
                await self.cancel_safe(timeout=CANCEL_SECONDS)
            await asyncio.wait([running])
            raise
        finally:
            running.cancel()  # does nothing unless this was cancelled twice

    async def notices(self, seconds: float) -> list[tuple[int, str]]:
        """Return the notices that have arrived, or that arrive first within so many seconds.

        Each is the process id of the backend that sent it, and its text. psycopg's `notifies` looks ten times a second.
        Raises OperationalError if the connection was lost.
        """
        pgconn, loop = self.pgconn, asyncio.get_running_loop()
        if not (found := _arrived(pgconn)):
            awake = asyncio.Event()
            socket = pgconn.socket
            loop.add_reader(socket, awake.set)
            try:
                async with asyncio.timeout(seconds):
                    await awake.wait()
            except TimeoutError:
                pass  # looks nevertheless, as in `LOOK_SECONDS`
            finally:
                loop.remove_reader(socket)
            pgconn.consume_input()
            found = _arrived(pgconn)
        return found

    def _close_unneeded(self) -> int:
        """Queue the closing of the statements that are not needed any more. Returns how many there are."""
        for name in self._unneeded:
            self.pgconn.send_close_prepared(name)
        closed = len(self._unneeded)
        self._unneeded.clear()
        return closed

    def _send(self, sql: str, parameters: Mapping[str, object]) -> "_Key | None":
        """Queue one call.

        Returns the key of the statement that it prepares first, if any: that has a result of its own.
        """
        is_kept = not isinstance(sql, Once)
        text, names, formats = (_compiled if is_kept else _compile)(sql)
        transformer = Transformer(self)
        values = transformer.dump_sequence([parameters[name] for name in names], formats)
        key = (text, transformer.types or ())
        name = self._names.pop(key, None) if is_kept else b""
        is_new = not name
        if name is None:
            self._made += 1
            name = b"piped_%d" % self._made
        if is_new:
            self.pgconn.send_prepare(name, text, transformer.types)
        self.pgconn.send_query_prepared(name, values, transformer.formats, Format.BINARY)
        self._keep(key, name)
        return key if is_new else None

    def _keep(self, key: _Key, name: bytes) -> None:
        """Mark a statement as the last used, or as one that is not needed any more."""
        if not name:
            self._unneeded.append(name)
            return
        self._names[key] = name
        if len(self._names) > MAX_PREPARED:
            self._unneeded.append(self._names.pop(next(iter(self._names))))

    async def _receive(self) -> list[PGresult]:
        pgconn, loop = self.pgconn, asyncio.get_running_loop()
        socket = pgconn.socket  # libpq forgets it if the connection is lost, but the loop still watches it
        awake = asyncio.Event()
        give_up_at = loop.time() + ANSWER_SECONDS
        timer: asyncio.TimerHandle

        def look() -> None:
            nonlocal timer
            timer = loop.call_later(LOOK_SECONDS, look)
            awake.set()

        async def news() -> None:
            await awake.wait()
            awake.clear()
            pgconn.consume_input()  # also while sending: otherwise each side might wait for the other to read
            if loop.time() > give_up_at:
                raise NoAnswerError("no answer in time")

        timer = loop.call_later(LOOK_SECONDS, look)
        loop.add_reader(socket, awake.set)
        try:
            while pgconn.flush():  # the kernel's buffer is full for now
                loop.add_writer(socket, awake.set)
                await news()
                loop.remove_writer(socket)
            results: list[PGresult] = []
            while True:
                while pgconn.is_busy():
                    await news()
                result = pgconn.get_result()
                if result is None:
                    continue  # the end of one statement's results
                if result.status == ExecStatus.PIPELINE_SYNC:
                    break
                results.append(result)
        finally:
            timer.cancel()
            loop.remove_writer(socket)
            loop.remove_reader(socket)
        return results

    def _outcomes(self, prepared: Sequence[_Key | None], results: list[PGresult]) -> list[CallResult]:
        outcomes: list[CallResult] = []
        remaining = iter(results)
        for key in prepared:
            result = next(remaining)
            if key is not None:
                preparation, result = result, next(remaining)
                if preparation.status in _FAILED:
                    self._names.pop(key, None)
                    result = preparation
            if result.status == ExecStatus.PIPELINE_ABORTED:
                outcomes.append(None)
            elif result.status == ExecStatus.FATAL_ERROR:
                outcomes.append(error_from_result(result))
            else:
                transformer = Transformer(self)
                transformer.set_pgresult(result)
                outcomes.append(transformer.load_rows(0, result.ntuples, tuple) if result.ntuples else [])
        for failed_commit in remaining:
            raise error_from_result(failed_commit)
        return outcomes


def _arrived(pgconn: PGconn) -> list[tuple[int, str]]:
    """The notices that libpq has read."""
    return [(notice.be_pid, notice.extra.decode()) for notice in iter(pgconn.notifies, None)]


def uuid_array(ids: Iterable[UUID]) -> str:
    """An array literal: psycopg adapts a list element by element, at ten times the cost."""
    return f"{{{','.join([id_.hex for id_ in ids])}}}"


def _compile(sql: str) -> tuple[bytes, tuple[str, ...], list[PyFormat]]:
    """The statement with `$1`… for the names, the names in that order, and how each is sent."""
    order: dict[str, PyFormat] = {}
    for match in _PARAMETER.finditer(sql):
        order[match[1]] = PyFormat.BINARY if match[2] == "b" else order.get(match[1], PyFormat.AUTO)
    places = {name: f"${place}" for place, name in enumerate(order, 1)}
    text = _PARAMETER.sub(lambda match: places[match[1]], sql)
    return text.encode(), tuple(order), list(order.values())


_compiled = lru_cache(maxsize=1024)(_compile)
