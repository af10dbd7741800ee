"""`synap import` of a file, compared with COPY of the same rows into a table with the same columns and indexes.

Both write into one database, in turns. COPY is the upper limit of that database: one statement in one transaction, for
rows that need no checks, hashes or signatures. Without indexes it is the limit of the disk and the format.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from statistics import median

import msgspec
from msgspec import Struct

from benchmarks import database, machine
from benchmarks.contestants import EVENT
from benchmarks.database import Cluster
from benchmarks.errors import BenchmarkError, Missing
from benchmarks.usage import processor_seconds

COPY_OUT = "COPY (SELECT * FROM event WHERE workspace_id = 'default' ORDER BY seq) TO STDOUT"


SAYS = {
    "synap import": "",
    "again": "all of which are there already",
    "COPY": "into the same columns and indexes",
    "bare COPY": "into the same columns without an index",
}
"""What is measured."""


class Cost(Struct, frozen=True, kw_only=True):
    """Seconds, and seconds of processor time: of the programs that were run, and of the database."""

    seconds: float
    program_seconds: float
    database_seconds: float

    @classmethod
    def median(cls, costs: list["Cost"]) -> "Cost":
        """The median of each."""
        return cls(**{name: median(getattr(cost, name) for cost in costs) for name in cls.__struct_fields__})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `import`."""
    parser.add_argument("--events", type=int, default=200_000, help="in the file (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="imports, and copies (%(default)s)")


def run(arguments: argparse.Namespace) -> None:
    """Measure and print."""
    events = arguments.events
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        cluster = stack.enter_context(database.cluster())
        file = folder / "events.ndjson"
        with file.open("wb") as lines:
            for place in range(events):
                lines.write(msgspec.json.encode(EVENT | {"subjectId": f"entity-{place}"}) + b"\n")
        rounds: dict[str, list[Cost]] = {name: [] for name in SAYS}
        for place in range(arguments.rounds):
            name = f"round_{place}"
            cluster.create_database(name)
            _synap(cluster, name, folder, "migrate")
            _synap(cluster, name, folder, "init")
            new, none = f" {events} stored, 0 there already,", f" 0 stored, {events} there already,"
            rounds["synap import"].append(_cost(cluster, partial(_import, cluster, name, folder, file, new)))
            rounds["again"].append(_cost(cluster, partial(_import, cluster, name, folder, file, none)))
            cluster.settle([name])
            rounds["COPY"].append(_copied(cluster, name, "LIKE event INCLUDING ALL", events))
            rounds["bare COPY"].append(_copied(cluster, name, "LIKE event", events))
            cluster.drop_database(name)
        facts = {**machine.facts(), **cluster.facts()}
    print("\n".join(_table({name: Cost.median(costs) for name, costs in rounds.items()}, events)))
    print(
        f"{events:,} lines of {file_bytes(events, EVENT)} bytes or so, median of {arguments.rounds}; an import counts "
        "from the start of its process to its end. us: processor microseconds an event."
    )
    print(", ".join(f"{name} {value}" for name, value in facts.items()))


def _table(costs: dict[str, Cost], events: int) -> Iterator[str]:
    """One line for each way."""
    yield f"{'':14}{'events/s':>10}{'of COPY':>9}{'import us':>11}{'database us':>13}"
    for name, cost in costs.items():
        yield (
            f"{name:14}{events / cost.seconds:10,.0f}{costs['COPY'].seconds / cost.seconds:8.2f}x"
            f"{cost.program_seconds * 1e6 / events:11,.0f}{cost.database_seconds * 1e6 / events:13,.0f}   {SAYS[name]}"
        )


def _cost(cluster: Cluster, act: Callable[[], object]) -> Cost:
    """What `act` costs, whose programs have ended with it."""
    database, programs, started = processor_seconds(cluster.pid), _programs_seconds(), time.perf_counter()
    act()
    seconds = time.perf_counter() - started
    return Cost(
        seconds=seconds,
        program_seconds=_programs_seconds() - programs,
        database_seconds=processor_seconds(cluster.pid) - database,
    )


def _programs_seconds() -> float:
    used = getrusage(RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def file_bytes(events: int, event: dict[str, object]) -> int:
    """The length of a line of the file, in bytes."""
    return len(msgspec.json.encode(event | {"subjectId": f"entity-{events}"}))


def _import(cluster: Cluster, name: str, folder: Path, file: Path, expected: str) -> None:
    said = _synap(cluster, name, folder, "import", str(file))
    if expected not in said:
        raise BenchmarkError(f"The import says: {said}")


def _copied(cluster: Cluster, name: str, columns: str, events: int) -> Cost:
    """Copy the rows of the log by COPY, and return the cost for the database."""
    with cluster.connect(name) as connection, connection.cursor() as cursor:
        with cursor.copy(COPY_OUT) as copy:
            rows = [bytes(row) for row in copy]
        cursor.execute(f"CREATE TABLE copied ({columns})")

        def copy_in() -> None:
            with cursor.copy("COPY copied FROM STDIN") as copy:
                for row in rows:
                    copy.write(row)

        cost = _cost(cluster, copy_in)
        if cursor.execute("SELECT count(*) FROM copied").fetchone() != (events,):
            raise BenchmarkError("COPY has left out rows.")
        cursor.execute("DROP TABLE copied")
    return cost


def _synap(cluster: Cluster, name: str, folder: Path, *arguments: str) -> str:
    synap = Path(sys.executable).with_name("synap")
    if not synap.exists():
        raise Missing("The command `synap` is not installed beside this Python: run `make test` once.")
    variables = {"SYNAP_DATABASE_URL": cluster.url(name), "SYNAP_DATA_DIR": str(folder / name)}
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        [synap, *arguments], env=inherited | variables, capture_output=True, text=True, check=False, cwd=folder
    )
    if done.returncode:
        raise BenchmarkError(f"synap {arguments[0]} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout
