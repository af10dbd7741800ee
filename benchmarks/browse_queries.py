"""Pages of `GET /api/events`, and the rows that the database reads for each.

Every query runs at the door, and its statements also directly in the database, which is the lower limit. Rows are those
that the plans' scans read, from EXPLAIN ANALYZE of the statements that the server runs. A page with conditions on equal
values, or with a range of the key of its order, must not read more rows than three times what it shows and one page.
For other pages the rows are only printed. A first page also counts all matches, unless counters suffice.
"""

import asyncio
import http.client
import time
from http import HTTPStatus
from statistics import median, quantiles
from typing import Any
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from app.sealing.cursors import Cursors
from app.store.events.browser import Browser
from app.store.postgres.pipe import PipedConnection
from benchmarks.contestants import Contestant
from benchmarks.database import Cluster
from benchmarks.errors import BenchmarkError
from benchmarks.filling import TYPES, WORKSPACE
from benchmarks.progress import progress
from schemas.browse import BrowseEvents
from tests.store.plans import Recording

LIMIT = 100

FAR = 1000
"""How many pages to walk."""


class Query(Struct, frozen=True, kw_only=True):
    """A query. If `held`, it must not read much more than it shows.

    If `far`, the page at the end of a walk is measured.
    """

    name: str
    wanted: dict[str, Any] = {}
    held: bool = True
    far: bool = False


class Bounds(Struct, frozen=True):
    """The maximum number of runs of a query, and the maximum seconds."""

    requests: int
    seconds: float


class Result(Struct, frozen=True, kw_only=True):
    """Milliseconds at the door and in the database alone, and rows: shown, read for the page, read for the total."""

    query: Query
    asked: int
    p50: float
    p99: float
    alone: float
    shown: int
    met: int
    counted: int

    @property
    def verdict(self) -> str:
        """Whether it reads no more rows than it may."""
        if not self.query.held:
            return "printed"
        return "kept" if self.met <= 3 * self.shown + LIMIT else "FAILED"


def queries(cluster: Cluster, database: str) -> list[Query]:
    """The queries, with times within the log."""
    with cluster.connect(database) as connection:
        instants = connection.execute(
            "SELECT recorded_at FROM event WHERE workspace_id = %s AND seq IN (SELECT seq * part / 4 FROM event_tip, "
            "generate_series(1, 2) AS part WHERE workspace_id = %s) ORDER BY seq",
            (WORKSPACE, WORKSPACE),
        ).fetchall()
    early, late = (at.isoformat() for (at,) in instants)
    sure = {"metadata.ai.confidence.score": {"gte": 0.9}}
    return [
        Query(name="first page"),
        Query(name=f"page {FAR:,}", far=True),
        Query(name="type", wanted={"type": TYPES[3]}),
        Query(name=f"type, page {FAR // 10}", wanted={"type": TYPES[3]}, far=True),
        Query(name="subject", wanted={"subject_id": "entity-4711"}),
        Query(name="user", wanted={"user_id": "user-47"}),
        Query(name="time range", wanted={"created_at_after": early, "created_at_before": late}),
        Query(name="type, time range", wanted={"type": TYPES[3], "created_at_before": early}),
        Query(name="agent", wanted={"filter": {"metadata.ai.agent": "auditor"}}),
        Query(name="common agent", wanted={"filter": {"metadata.ai.agent": "coder"}}),
        Query(name="agent, sure", wanted={"filter": {"metadata.ai.agent": "auditor", **sure}}, held=False),
        Query(name="common agent, sure", wanted={"filter": {"metadata.ai.agent": "coder", **sure}}, held=False),
        Query(name="rare kind", wanted={"filter": {"metadata.automation": {"isNull": False}}}),
        Query(name="title", wanted={"filter": {"data.title": {"endsWith": ", 4711"}}}, held=False),
        Query(name="by type", wanted={"orderBy": [{"type": "asc"}]}),
        Query(name="by occurredAt", wanted={"orderBy": [{"occurredAt": "desc"}]}, held=False),
        Query(name="by confidence", wanted={"orderBy": [{"metadata.ai.confidence.score": "desc"}]}, held=False),
    ]


class Door:
    """One keep-alive connection to `/api/events`."""

    def __init__(self, server: Contestant) -> None:
        self._connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=60)
        self._headers = {"authorization": f"Bearer {server.token}"}

    def page(self, wanted: dict[str, Any]) -> Any:
        """Read one page. Raises BenchmarkError if it is rejected."""
        texts = {
            name: value if isinstance(value, str) else msgspec.json.encode(value).decode()
            for name, value in wanted.items()
        }
        self._connection.request("GET", f"/api/events?{urlencode(texts)}", headers=self._headers)
        response = self._connection.getresponse()
        answer = response.read()
        if response.status != HTTPStatus.OK:
            raise BenchmarkError(f"/api/events was answered with {response.status}: {answer[:500].decode()}")
        return msgspec.json.decode(answer)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def measure(query: Query, door: Door, url: str, cursors: Cursors, bounds: Bounds) -> Result:
    """Run a query at the door, and its statements in the database at `url`."""
    wanted = {"limit": LIMIT, **query.wanted}
    if query.far:
        page, pages = door.page(wanted), FAR if not query.wanted else FAR // 10
        with progress(query.name, pages) as moved:
            for done in range(1, pages):
                if not page["pageInfo"]["hasNextPage"]:
                    break
                page = door.page({**wanted, "after": page["pageInfo"]["endCursor"]})
                moved(done + 1)
        wanted["after"] = page["pageInfo"]["startCursor"]
    times: list[float] = []
    while len(times) < max(2, bounds.requests) and (len(times) < 2 or sum(times) < bounds.seconds * 1000):
        started = time.perf_counter()
        page = door.page(wanted)
        times.append((time.perf_counter() - started) * 1000)
    alone, met, counted = asyncio.run(_beneath(url, cursors, wanted, bounds.seconds))
    return Result(
        query=query,
        asked=len(times),
        p50=median(times),
        p99=quantiles(times, n=100, method="inclusive")[98],
        alone=alone,
        shown=len(page["data"]),
        met=met,
        counted=counted,
    )


async def _beneath(url: str, cursors: Cursors, wanted: dict[str, Any], seconds: float) -> tuple[float, int, int]:
    """The median milliseconds of a query's statements alone, and the rows read for the page and for the total."""
    recording = Recording(url)
    await recording.open()
    fields = {WIRE.get(name, name): value for name, value in wanted.items()}
    try:
        await Browser(recording, cursors).page(WORKSPACE, msgspec.convert(fields, BrowseEvents), None)
    finally:
        await recording.close()
    times: list[float] = []
    async with await PipedConnection.connect(url, autocommit=True) as connection:
        while len(times) < 2 or (len(times) < 20 and sum(times) < seconds * 1000):
            started = time.perf_counter()
            for seen in recording.seen:
                await connection.trip([seen.call])
            times.append((time.perf_counter() - started) * 1000)
    met = [seen.cost.visited for seen in recording.seen]
    return median(times), met[0], sum(met[1:])


WIRE = {
    "subject_id": "subjectId",
    "user_id": "userId",
    "created_at_after": "createdAtAfter",
    "created_at_before": "createdAtBefore",
}
"""The internal names of the door's parameters."""


def line(result: Result, first: Result) -> str:
    """A query's result in one line. `x` is its ratio to the first query's."""
    return (
        f"{result.query.name:20} p50 {result.p50:9.2f} ms {result.p50 / first.p50:8.2f}x   p99 {result.p99:9.2f} ms   "
        f"alone {result.alone:9.2f} ms   shown {result.shown:3}   met {result.met:9,}  {result.verdict:8} "
        f"total met {result.counted:9,}   ({result.asked} requests)"
    )
