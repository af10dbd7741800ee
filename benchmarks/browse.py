"""Browsing a large log: pages of `GET /api/events`, with the rows that the database goes through for each.

Every query is asked of the door, and its statements also of the database alone, which is the limit. Rows are those that
the plans' scans met, from EXPLAIN ANALYZE of the statements that the server runs. A page that asks for equal values, or
for a range of what it is ordered by, must not meet more than three times what it shows and one page; the others are
printed. A first page also counts all that match, unless counters know.
"""

import argparse
import asyncio
import http.client
import random
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from statistics import median, quantiles
from typing import Any
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from app.sealing.cursors import Cursors
from app.store.events.browser import Browser
from app.store.install.secret import read_secret
from app.store.postgres.pipe import PipedConnection
from benchmarks import database, machine
from benchmarks.contestants import Contestant, our_process, seed
from benchmarks.database import Cluster
from benchmarks.errors import BenchmarkError
from benchmarks.progress import progress
from schemas.browse import BrowseEvents
from tests.store.plans import Recording

LIMIT = 100

FAR = 1000
"""Pages to walk."""

TYPES = [
    f"entity.{name}" for name in ("created", "updated", "viewed", "linked", "moved", "shared", "archived", "deleted")
]

WORKSPACE = "default"


class Query(Struct, frozen=True, kw_only=True):
    """What is asked. `held`: it must not go through more than it shows; `far`: of the page at the end of a walk."""

    name: str
    wanted: dict[str, Any] = {}
    held: bool = True
    far: bool = False


class Result(Struct, frozen=True, kw_only=True):
    """Milliseconds at the door and of the database alone, and rows: shown, met for the page, met for the total."""

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
        """Whether it keeps what it is held to."""
        if not self.query.held:
            return "printed"
        return "kept" if self.met <= 3 * self.shown + LIMIT else "FAILED"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what may be said after `browse`."""
    parser.add_argument("--events", type=int, default=1_000_000, help="in the log (%(default)s)")
    parser.add_argument("--requests", type=int, default=300, help="of each query at most (%(default)s)")
    parser.add_argument("--seconds", type=float, default=10.0, help="for each query at most (%(default)s)")


def run(arguments: argparse.Namespace) -> None:
    """Measure and print one table; BenchmarkError where a query goes through more than it is held to."""
    with ExitStack() as stack:
        workspace = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        cluster = stack.enter_context(database.cluster())
        cluster.create_database("ours")
        server = stack.enter_context(our_process(cluster, workspace))
        seed(server, arguments.events, _event)
        cluster.settle(["ours"])
        cursors = Cursors(read_secret(workspace / "synap-ours" / "install.secret"))
        results = []
        for query in _queries(cluster):
            door = Door(server)  # of its own: while plans are looked at, the server closes an idle connection
            try:
                results.append(_measure(query, door, cluster, cursors, arguments))
            except BenchmarkError as error:
                if query.held:
                    raise
                print(f"{query.name:20} {error}", flush=True)
                continue
            finally:
                door.close()
            print(_line(results[-1], results[0]), flush=True)
        facts = {**machine.facts(), **cluster.facts()}
    print()
    print(
        f"{arguments.events:,} events, {LIMIT} a page; at most {arguments.requests} requests or "
        f"{arguments.seconds:.0f} s of each, one after the other; x is to the first page; server and database share "
        "this machine."
    )
    print(", ".join(f"{name} {value}" for name, value in facts.items()))
    if failed := [result.query.name for result in results if result.verdict == "FAILED"]:
        raise BenchmarkError(f"More rows were met than three times what was shown, and a page: {', '.join(failed)}.")


def _event(place: int) -> dict[str, Any]:
    """One of many: types, users, agents and kinds that are common, and some that are rare."""
    chance = random.Random(place)  # noqa: S311 - the same events in every run
    event: dict[str, Any] = {
        "type": TYPES[min(int(chance.expovariate(0.7)), len(TYPES) - 1)],
        "subjectId": f"entity-{chance.randrange(100_000)}",
        "userId": f"user-{chance.randrange(2000)}",
        "source": chance.choice(["api", "api", "intelligence", "sync"]),
        "data": {"title": f"Call John, {place}", "priority": chance.randrange(5)},
    }
    if place % 3 == 0:
        event["occurredAt"] = (
            datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=chance.randrange(10**7))
        ).isoformat()
    if place % 1000 == 7:
        event["metadata"] = {"automation": {"ruleId": "r", "ruleName": "nightly", "trigger": {"type": "schedule"}}}
    elif place % 10 < 6:
        agent = "auditor" if place % 1000 == 1 else chance.choice(["orchestrator", "coder", "planner", "reviewer"])
        event["metadata"] = {"ai": {"agent": agent, "confidence": {"score": chance.randrange(101) / 100}}}
    return event


def _queries(cluster: Cluster) -> list[Query]:
    """What is asked, with times that lie in the log."""
    with cluster.connect("ours") as connection:
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
        """One page; BenchmarkError where it is refused."""
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
        """Give up the connection."""
        self._connection.close()


def _measure(query: Query, door: Door, cluster: Cluster, cursors: Cursors, arguments: argparse.Namespace) -> Result:
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
    while len(times) < max(2, arguments.requests) and (len(times) < 2 or sum(times) < arguments.seconds * 1000):
        started = time.perf_counter()
        page = door.page(wanted)
        times.append((time.perf_counter() - started) * 1000)
    alone, met, counted = asyncio.run(_beneath(cluster.url("ours"), cursors, wanted, arguments.seconds))
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
    """The median milliseconds of a query's statements alone, and the rows met for the page and for the total."""
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
"""What the door's parameters are called inside."""


def _line(result: Result, first: Result) -> str:
    return (
        f"{result.query.name:20} p50 {result.p50:9.2f} ms {result.p50 / first.p50:8.2f}x   p99 {result.p99:9.2f} ms   "
        f"alone {result.alone:9.2f} ms   shown {result.shown:3}   met {result.met:9,}  {result.verdict:8} "
        f"total met {result.counted:9,}   ({result.asked} requests)"
    )
