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
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import msgspec

from benchmarks import database, machine
from benchmarks.contestants import EVENT
from benchmarks.database import Cluster
from benchmarks.errors import BenchmarkError, Missing

COPY_OUT = "COPY (SELECT * FROM event WHERE workspace_id = 'default' ORDER BY seq) TO STDOUT"


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
        imports, again, copies, bare = [], [], [], []
        for place in range(arguments.rounds):
            name = f"round_{place}"
            cluster.create_database(name)
            _synap(cluster, name, folder, "migrate")
            _synap(cluster, name, folder, "init")
            imports.append(_imported(cluster, name, folder, file, f" {events} stored, 0 there already,"))
            again.append(_imported(cluster, name, folder, file, f" 0 stored, {events} there already,"))
            cluster.settle([name])
            copies.append(_copied(cluster, name, "LIKE event INCLUDING ALL", events))
            bare.append(_copied(cluster, name, "LIKE event", events))
            with cluster.connect() as connection:
                connection.execute(f"DROP DATABASE {name}")
        facts = {**machine.facts(), **cluster.facts()}
    ceiling = events / median(copies)
    print(
        f"synap import  {events / median(imports):12,.0f} events/s   {events / median(imports) / ceiling:5.2f}x of COPY"
    )
    print(f"again         {events / median(again):12,.0f} lines/s    all of which are there already")
    print(f"COPY          {ceiling:12,.0f} rows/s     into the same columns and indexes")
    print(f"COPY          {events / median(bare):12,.0f} rows/s     into the same columns without an index")
    print(
        f"{events:,} lines of {file_bytes(events, EVENT)} bytes or so, median of {arguments.rounds}; an import counts "
        "from the start of its process to its end."
    )
    print(", ".join(f"{name} {value}" for name, value in facts.items()))


def file_bytes(events: int, event: dict[str, object]) -> int:
    """The length of a line of the file, in bytes."""
    return len(msgspec.json.encode(event | {"subjectId": f"entity-{events}"}))


def _imported(cluster: Cluster, name: str, folder: Path, file: Path, expected: str) -> float:
    """Run one import, and return its seconds."""
    started = time.perf_counter()
    said = _synap(cluster, name, folder, "import", str(file))
    elapsed = time.perf_counter() - started
    if expected not in said:
        raise BenchmarkError(f"The import says: {said}")
    return elapsed


def _copied(cluster: Cluster, name: str, columns: str, events: int) -> float:
    """Copy the rows of the log by COPY, and return the seconds."""
    with cluster.connect(name) as connection, connection.cursor() as cursor:
        with cursor.copy(COPY_OUT) as copy:
            rows = [bytes(row) for row in copy]
        cursor.execute(f"CREATE TABLE copied ({columns})")
        started = time.perf_counter()
        with cursor.copy("COPY copied FROM STDIN") as copy:
            for row in rows:
                copy.write(row)
        elapsed = time.perf_counter() - started
        if cursor.execute("SELECT count(*) FROM copied").fetchone() != (events,):
            raise BenchmarkError("COPY has left out rows.")
        cursor.execute("DROP TABLE copied")
    return elapsed


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
