"""Heads: what it costs in a minute to anchor all workspaces in `_node`, and the size of the event.

Every workspace has grown by some events since the minute before, which is the dearest case.
"""

import argparse
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import psycopg

from app.store.install.install import migrate
from app.store.ledger.anchor import Anchor
from app.store.ledger.heads import Heads
from app.store.ledger.trees import Trees
from benchmarks import database, machine
from benchmarks.usage import processor_seconds
from tests.store.opened import Store, opened
from tests.store.states import fill

OPEN_LOGS = """
WITH made AS (INSERT INTO workspace (id, created_at) SELECT 'w' || n, now() FROM generate_series(1, %s) AS n
    RETURNING id)
INSERT INTO event_tip (workspace_id, seq, hash, recorded_at, kid)
SELECT made.id, -1, decode(repeat('00', 32), 'hex'), 'epoch', kid FROM made, install
"""

LARGEST = "SELECT max(octet_length(event::text)) FROM event WHERE workspace_id = '_node' AND type = 'synap.tree.heads'"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `heads`."""
    parser.add_argument("--workspaces", type=int, default=10_000, help="that grow each minute (%(default)s)")
    parser.add_argument("--events", type=int, default=3, help="by which each grows (%(default)s)")
    parser.add_argument("--minutes", type=int, default=3, help="that are measured (%(default)s)")


def run(arguments: argparse.Namespace) -> None:
    """Measure and print."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        cluster = stack.enter_context(database.cluster())
        cluster.create_database("ours")
        migrate(cluster.url("ours"))
        store = stack.enter_context(opened(cluster.url("ours"), folder))
        with psycopg.connect(store.url, autocommit=True) as connection:
            connection.execute(OPEN_LOGS, [arguments.workspaces])
        names = [f"w{number}" for number in range(1, arguments.workspaces + 1)]
        for minute in range(arguments.minutes + 1):
            first = minute * arguments.events
            fill(store.url, first, first + arguments.events - 1, workspaces=names)
            cluster.settle(["ours"])
            _minute(store, cluster.pid, "first" if minute == 0 else f"minute {minute}")
        with psycopg.connect(store.url) as connection:
            [(size,)] = connection.execute(LARGEST).fetchall()
            facts = {**machine.facts(), **cluster.facts()}
    print(f"event          {size:12,} bytes, all columns of the row")
    print(*(f"{name}: {value}" for name, value in facts.items()), sep="\n")


def _minute(store: Store, database_pid: int, name: str) -> None:
    heads = Heads(store.database, Trees(store.database))
    leased_at = store.run(heads.lease(0))
    before = time.process_time(), processor_seconds(database_pid)
    logs = store.run(Anchor(heads, store.log, node=store.node).anchor(leased_at))
    ours = time.process_time() - before[0]
    theirs = processor_seconds(database_pid) - before[1]
    print(f"{name:15}{logs:12,} logs   {ours:6.2f} s processor time of the server, {theirs:6.2f} s of the database")
