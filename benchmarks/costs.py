"""The cost of calls, and the bytes of an event, in logs of different sizes.

The cost is the processor time of server and database under load, as `calls` measures it.
"""

import argparse
from collections.abc import Iterator, Sequence
from datetime import datetime

import msgspec

from benchmarks.calls import CALLS, Call, Side, measured, query
from benchmarks.contestants import Contestant
from benchmarks.database import Cluster
from benchmarks.filling import TYPES, WORKSPACE
from benchmarks.report import Figures

MOST = 1.2
"""The maximum ratio of a call's cost in the largest log to that in the smallest."""

IDS = 10_000


class Log(msgspec.Struct, frozen=True):
    """A measured log with so many events on its own server."""

    server: Contestant
    cluster: Cluster
    events: int
    calls: Sequence[Call]
    bytes: dict[str, float]
    """Bytes for each event, by table and index."""


Costs = dict[str, list[Figures]]
"""The figures of each call, one for each log."""


def opened(server: Contestant, cluster: Cluster, events: int) -> Log:
    """The log of a server, which has `events` events."""
    ids, times = _samples(cluster, server.database)
    return Log(
        server=msgspec.structs.replace(server, ids=ids),
        cluster=cluster,
        events=events,
        calls=_calls(times[len(times) // 4], times[len(times) * 3 // 4]),
        bytes=_bytes(cluster, server.database),
    )


def measure(logs: Sequence[Log], arguments: argparse.Namespace) -> Costs:
    """Measure all logs in turns, so that they share noise. The median of the rounds counts.

    The writing call is last.
    """
    costs: Costs = {}
    places = list(range(len(logs)))
    for number, call in enumerate(logs[0].calls):
        runs: list[list[Figures]] = [[] for _ in logs]
        for turn in range(arguments.rounds):
            for place in places if turn % 2 == 0 else reversed(places):
                log = logs[place]
                runs[place].append(measured(log.calls[number], Side(log.server, log.cluster), arguments))
        costs[call.name] = [Figures.median(each) for each in runs]
    return costs


def _calls(early: datetime, late: datetime) -> list[Call]:
    """The calls whose cost must not grow with the log. The times are within it."""
    between = {"from": early.isoformat(), "to": late.isoformat()}
    return [
        CALLS["get"],
        CALLS["list"],
        Call(name="events.page of 1,000", path=query("events.page", limit=1000)),
        CALLS["browse"],
        CALLS["tile"],
        CALLS["entries"],
        Call(name="total of a type", path=query("events.page", limit=1, type=TYPES[0])),
        Call(name="total of a time range", path=query("events.page", limit=1, **between)),
        CALLS["log"],
    ]


def _samples(cluster: Cluster, database: str) -> tuple[list[str], list[datetime]]:
    """Ids and times of events at random places of the log, oldest first."""
    statement = """
        SELECT event.id::text, event.recorded_at FROM event_tip AS tip
        JOIN LATERAL generate_series(1, %(ids)s) AS part ON true
        JOIN event ON event.workspace_id = tip.workspace_id AND event.seq = tip.seq * part / %(ids)s
        WHERE tip.workspace_id = %(workspace)s ORDER BY event.seq
    """
    with cluster.connect(database) as connection:
        rows = connection.execute(statement, {"ids": IDS, "workspace": WORKSPACE}).fetchall()
    return [id_ for id_, _ in rows], [at for _, at in rows]


def _bytes(cluster: Cluster, database: str) -> dict[str, float]:
    """Bytes for each event: of the table, of each of its indexes, and of the whole database."""
    statement = """
        SELECT 'heap', pg_table_size('event') UNION ALL
        SELECT indexrelid::regclass::text, pg_relation_size(indexrelid) FROM pg_index WHERE indrelid = 'event'::regclass
        UNION ALL SELECT 'the whole database', pg_database_size(current_database())
    """
    with cluster.connect(database) as connection:
        (events,) = connection.execute("SELECT count(*) FROM event").fetchone() or (0,)
        return {name: size / events for name, size in connection.execute(statement)}


def table(logs: Sequence[Log], costs: Costs) -> Iterator[str]:
    """One line for each call, then for each table and index; a column for each log."""
    heads = "".join(f"{log.events:22,}" for log in logs)
    yield f"{'processor us a call (calls/s), events:':40}{heads}{'last to first':>16}"
    for name, found in costs.items():
        ratio = found[-1].total_us / found[0].total_us
        columns = "".join(f"{each.total_us:12,.0f} {f'({each.calls_per_second:,.0f})':>9}" for each in found)
        yield f"{name:40}{columns}{ratio:11.2f}x    {'kept' if ratio <= MOST else f'above {MOST}x'}"
    yield ""
    yield f"{'bytes an event, events:':40}{heads}"
    for name in logs[-1].bytes:
        yield f"{name:40}" + "".join(f"{log.bytes.get(name, 0):22,.0f}" for log in logs)
