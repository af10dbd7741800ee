"""Measures what statements cost the database: the rows and blocks that each plan reads, as the store runs it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct
from psycopg import sql
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import Format, TransactionStatus

from app.store.postgres.database import Database
from app.store.postgres.pipe import Call, CallResult, PipedConnection, _compiled
from tests.kit.databases import require_own

UTILITY = {"BEGIN", "COMMIT", "ROLLBACK"}

EXPLAIN = sql.SQL("EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) EXECUTE {}{}")

SOME = 60
"""Rows that a statement may read in any case: for a step of a walk, a neighbour, some types."""

SCANS = {"Seq Scan", "Sample Scan", "Tid Scan", "Index Scan", "Index Only Scan", "Bitmap Index Scan"}
"""The nodes that read rows. The rows of a bitmap are counted in its indexes."""


class Cost(Struct, frozen=True):
    """What one run of a statement read.

    `visited` are the rows that it read of the table that it read most, `blocks` the blocks that it read, and `scans`
    the scans of its plan.
    """

    visited: int
    blocks: int
    scans: list[str]


class Seen(Struct, frozen=True):
    """A statement that was run, its rows, and its cost."""

    call: Call
    rows: Sequence[Any]
    cost: Cost

    @property
    def sql(self) -> str:
        """The statement, without its parameters."""
        return self.call[0]

    def within(self, shown: int) -> bool:
        """Whether it costs no more than its rows, or than the events that its operation shows, justify.

        It may read three rows of every table for each, and some more. Blocks of writing statements are not counted,
        because they write many indexes.
        """
        answered = max(shown, self.counted)
        is_read = _is_read(self.call)
        return self.cost.visited <= 3 * answered + SOME and (
            not is_read or self.cost.blocks <= 8 * (max(answered, self.cost.visited) + SOME)
        )

    @property
    def counted(self) -> int:
        """How many rows it returned, or the number that is its only result."""
        is_number = len(self.rows) == 1 and len(self.rows[0]) == 1 and type(self.rows[0][0]) is int
        return self.rows[0][0] if is_number else len(self.rows)


class Recording(Database):
    """A database with one connection that records what the store runs, and explains each statement before it runs it.

    It explains the prepared statement itself. `plans` is a plan_cache_mode that replaces the connection's own.
    """

    def __init__(self, url: str, *, plans: str | None = None) -> None:
        require_own("the plans")
        super().__init__(url, wait_seconds=60)
        self.seen: list[Seen] = []
        self.pool.connection_class = type("Watched", (_Watched,), {"seen": self.seen, "plans": plans})

    async def open(self) -> None:
        """Start the pool."""
        await super().open()
        await self.pool.resize(min_size=1, max_size=1)


class _Watched(PipedConnection):
    seen: list[Seen]
    plans: str | None

    async def outcomes(self, calls: Sequence[Call]) -> list[CallResult]:
        """Run the calls one after the other, in the open transaction or a new one, and return their results."""
        is_whole = len(calls) == 1 and _is_read(calls[0])  # it needs no transaction around it
        is_own = self.info.transaction_status == TransactionStatus.IDLE and calls[0][0] not in UTILITY and not is_whole
        outcomes: list[CallResult] = []
        if self.plans is not None and self.info.transaction_status == TransactionStatus.IDLE:
            await self.execute(f"SET plan_cache_mode = {self.plans}", prepare=False)
        if is_own:
            await self.execute("BEGIN", prepare=False)
        for query, parameters in calls:
            call = (str(query), parameters)  # always kept prepared, to be explained
            outcomes.append(None if outcomes and isinstance(outcomes[-1], Exception | None) else await self._run(call))
        if is_own:
            is_failed = self.info.transaction_status == TransactionStatus.INERROR
            await self.execute("ROLLBACK" if is_failed else "COMMIT", prepare=False)
        return outcomes

    async def _run(self, call: Call) -> CallResult:
        if call[0] in UTILITY:
            [outcome] = await super().outcomes([call])
            return outcome
        is_read = _is_read(call)
        if not is_read:
            await self.execute("SAVEPOINT before", prepare=False)
        [outcome] = await super().outcomes([call])  # this prepares it
        if isinstance(outcome, Exception):
            return outcome
        if is_read:
            cost = await self._cost(call)
        else:
            await self.execute("ROLLBACK TO before", prepare=False)
            cost = await self._cost(call)
            await self.execute("ROLLBACK TO before", prepare=False)
            [outcome] = await super().outcomes([call])
        self.seen.append(Seen(call, outcome if isinstance(outcome, list) else [], cost))
        return outcome

    async def _cost(self, call: Call) -> Cost:
        query, parameters = call
        # The key under which the connection has prepared it.
        text, names, formats = _compiled(query)
        transformer = Transformer(self)
        transformer.dump_sequence([parameters[each] for each in names], formats)
        name = self._names[text, transformer.types or ()].decode()
        values = sql.SQL(", ").join([sql.Literal(_readable(parameters[each], self)) for each in names])
        arguments = sql.SQL("({})").format(values) if names else sql.SQL("")
        explain = EXPLAIN.format(sql.Identifier(name), arguments)
        [[[explained]]] = await (await self.execute(explain, prepare=False)).fetchall()
        return _cost(explained["Plan"])


def _is_read(call: Call) -> bool:
    return str(call[0]).split(None, 1)[0] == "SELECT"


def _readable(value: object, connection: PipedConnection) -> object:
    """A value that can be written into a statement: an array of `arrays.py` as a list."""
    if not isinstance(value, bytes) or type(value) is bytes:
        return value
    transformer = Transformer(connection)
    type_ = transformer.get_dumper(value, PyFormat.BINARY).oid
    return transformer.get_loader(type_, Format.BINARY).load(value)


def _cost(plan: dict[str, Any]) -> Cost:
    visited: Counter[str] = Counter()
    scans = []
    for node in _nodes(plan):
        if not node["Actual Loops"]:
            continue
        lost = sum(value for name, value in node.items() if name.startswith("Rows Removed by"))
        met = node["Actual Rows"] if node["Node Type"] in SCANS else 0
        visited[node.get("Relation Name", "")] += (met + lost) * node["Actual Loops"]
        if node["Node Type"] in SCANS:
            scans.append(f"{node['Node Type']} {node.get('Index Name', node.get('Relation Name'))}")
    blocks = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
    return Cost(round(max(visited.values(), default=0)), blocks, scans)


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from _nodes(child)
