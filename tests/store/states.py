"""Databases with many events, in every state in which PostgreSQL's statistics are missing or wrong."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import psycopg
from msgspec import Struct

from app.store.install.install import migrate
from tests.kit.databases import copy
from tests.kit.examples import ALL
from tests.store.opened import opened

EVENTS = 50_000 if ALL else 20_000
"""The events of a full log. A plan that reads all of them reads a hundred times as many as it may."""

FRESH = 5_000
"""The events of a new log beside others."""

NEW = "fresh"
"""A workspace that is created after everything was analyzed."""

QUIET = "ALTER TABLE {} SET (autovacuum_enabled = false)"

FILL = """
INSERT INTO event (workspace_id, seq, id, type, kid, recorded_at, prev_hash, body_hash, hash, signature, salt, user_id,
    source, data, subject_id, producer, metadata, correlation_id, causation_id, occurred_at)
SELECT workspace, n, md5(workspace || n)::uuid, CASE WHEN rare THEN 'rare.done' ELSE 'common.type' || n %% 3 END,
    install.kid, timestamptz '2024-01-01Z' + n * interval '1 second', sha256(''), sha256(''),
    sha256((workspace || n)::bytea), sha512(''), '',
    CASE WHEN rare THEN 'rare' WHEN n %% 500 = 11 THEN 'gone' ELSE 'common' END,
    CASE WHEN rare THEN 'sync' ELSE 'api' END, '{"title":"Call John"}',
    CASE WHEN rare THEN 'rare' WHEN n %% 500 = 14 THEN 'gone' WHEN n %% 3 > 0 THEN 'common' END,
    CASE WHEN rare THEN 'rare' END,
    CASE WHEN NOT rare AND n %% 10 < 6 THEN '{"ai":{"agent":"common","confidence":{"score":0.' || n %% 9 || '}}}'
        WHEN rare THEN (ARRAY['{"ai":{"agent":"rare"}}', '{"custom":{"tags":["a"]}}',
            '{"import":{"importedAt":"2024-01-01T00:00:00Z","source":"notion"}}',
            '{"sync":{"deviceId":"d","platform":"ios","syncedAt":"2024-01-01T00:00:00Z"}}'])[n / 250 %% 4 + 1] END,
    CASE WHEN rare AND n / 250 %% 2 = 0 THEN 'rare' WHEN rare OR n %% 3 > 0 THEN 'common' END,
    CASE WHEN rare THEN 'rare' WHEN n %% 3 > 0 THEN 'common' END, NULL
FROM install, (SELECT workspace, n, n %% 250 = 7 AND n < %(newer)s AS rare
    FROM generate_series(%(first)s::int, %(last)s::int) AS n, unnest(%(workspaces)s::text[]) AS workspace) AS numbered
"""
"""Fills a log. Rare values are old as well, so an index that is used only for the order would read all newer events."""

END = """
UPDATE event_tip SET seq = %(last)s::int, counted = false, hash = sha256((workspace_id || %(last)s::int)::bytea),
    recorded_at = timestamptz '2024-01-01Z' + %(last)s::int * interval '1 second'
WHERE workspace_id = ANY(%(workspaces)s)
"""
"""Moves the tip. It writes no counters, so that totals are counted by index too."""

SUBSCRIBE = """
INSERT INTO subscription (workspace_id, id, event_types, url, ordered, only_user, state, secret, weak_secret, cursor,
    delivery_seq, attempted, created_at)
SELECT %(workspace)s, id, types, 'https://receiver.example/', ordered, only_user, 'active', '', false, behind,
    deliveries, greatest(deliveries - 2000, 0), now()
FROM (VALUES
    ('sub_plain', ARRAY['common.*'], false, NULL, NULL::bigint, 6000),
    ('sub_ordered', ARRAY['common.*'], true, NULL, NULL, 6000),
    ('sub_behind', ARRAY['rare.*'], false, NULL, -1, 0),
    ('sub_behind_of_user', ARRAY['rare.*'], false, 'rare', -1, 0)
) AS made (id, types, ordered, only_user, behind, deliveries)
"""

DISPATCH = "INSERT INTO dispatch SELECT workspace_id, seq, 0 FROM event_tip WHERE workspace_id = %(workspace)s"

DELIVER = """
INSERT INTO delivery (workspace_id, subscription_id, delivery_seq, seq, ordered, state, attempts, created_at, due_at,
    ended_at)
SELECT workspace_id, id, n, n %% (SELECT seq FROM event_tip WHERE workspace_id = s.workspace_id), ordered,
    CASE WHEN n > attempted THEN 'pending' ELSE 'delivered' END, (n <= attempted)::int, now(),
    CASE WHEN n > attempted THEN now() - interval '1 second' END, CASE WHEN n <= attempted THEN now() END
FROM subscription AS s, generate_series(1, delivery_seq) AS n WHERE workspace_id = %(workspace)s
"""

INTEND = """
INSERT INTO intent (workspace_id, id, seq, user_id, expires_at, timeout_seconds, uses, decision, started, state, due_at)
SELECT workspace_id, id, seq, user_id, timestamptz '2099-01-01Z', 3600, 1, CASE seq %% 4 WHEN 1 THEN 'approved'
    WHEN 2 THEN 'rejected' WHEN 3 THEN 'expired' END, (seq %% 4 = 1)::int,
    (ARRAY['open', 'used_up', 'rejected', 'expired'])[seq %% 4 + 1],
    CASE WHEN seq %% 4 = 0 THEN timestamptz '2099-01-01Z' END
FROM event WHERE workspace_id = %(workspace)s AND seq BETWEEN 100 AND 3099
"""

START = """
INSERT INTO intent_start (workspace_id, intent_id, use, id, request_id, started_at, outcome)
SELECT workspace_id, id, 1, md5(id::text)::uuid, 'r', now(), 'executed' FROM intent
WHERE workspace_id = %(workspace)s AND started = 1
"""

INVOLVE = """
INSERT INTO intent_party (workspace_id, intent_id, user_id, seq, state)
SELECT workspace_id, id, user_id, seq, state FROM intent WHERE workspace_id = %(workspace)s
"""


class Cluster(Struct, frozen=True):
    """A PostgreSQL with a migrated database that is `empty`. `keys` has its signing key."""

    url: str
    empty: str
    keys: Path


def prepared(url: str, keys: Path) -> Cluster:
    """Prepare a cluster for states, in a PostgreSQL at `url`."""
    cluster = Cluster(url, "template_empty", keys)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {cluster.empty}")
        empty = url.replace("/postgres?", f"/{cluster.empty}?", 1)
        migrate(empty)
        with opened(empty, keys):
            pass
        with psycopg.connect(empty, autocommit=True) as own:
            for table in ("event", "delivery", "attempt", "subscription", "intent", "intent_party", "intent_start"):
                own.execute(QUIET.format(table))
    return cluster


@cache
def full(cluster: Cluster) -> str:
    """The name of a database of the cluster that is full of events. The first call makes it."""
    fill(copy(cluster.url, cluster.empty, "template_full"), 0, EVENTS - 1)
    return "template_full"


def fill(url: str, first: int, last: int, *, workspaces: list[str] | None = None) -> None:
    """Store events from seq `first` to `last` in each of these workspaces (none: the default one)."""
    given = {"first": first, "last": last, "newer": EVENTS * 3 // 5, "workspaces": workspaces or ["default"]}
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(FILL, given)
        connection.execute(END, given)


def subscribe(url: str, workspace: str) -> None:
    """Create subscriptions: some with due deliveries and many ended ones, and some behind their log."""
    with psycopg.connect(url, autocommit=True) as connection:
        for table in ("attempt", "delivery", "subscription", "dispatch"):
            connection.execute(f"DELETE FROM {table}")
        for statement in (SUBSCRIBE, DISPATCH, DELIVER):
            connection.execute(statement, {"workspace": workspace})


def intend(url: str, workspace: str) -> None:
    """Make the state of thousands of intents, most of which have ended."""
    with psycopg.connect(url, autocommit=True) as connection:
        for table in ("intent_start", "intent_party", "intent"):
            connection.execute(f"DELETE FROM {table}")
        for statement in (INTEND, START, INVOLVE):
            connection.execute(statement, {"workspace": workspace})


def analyze(url: str) -> None:
    """Update the planner's statistics."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ANALYZE")


def never_analyzed(_url: str) -> str:
    """A full database without statistics. Returns the workspace to look at, as the other states do."""
    return "default"


def analyzed(url: str) -> str:
    """A full database with correct statistics."""
    analyze(url)
    return "default"


def analyzed_while_empty(url: str) -> str:
    """A database that was analyzed while it was empty, as autovacuum may do, and then filled."""
    analyze(url)
    fill(url, 0, EVENTS - 1)
    return "default"


def large_among_small(url: str) -> str:
    """A database in which one workspace has nine tenths of all events, and a thousand have the rest."""
    fill(url, 0, EVENTS // 10 // 1000 - 1, workspaces=[f"small{n}" for n in range(1000)])
    fill(url, 0, EVENTS * 9 // 10 - 1)
    analyze(url)
    return "default"


def new_among_others(url: str, keys: Path) -> str:
    """A database with a workspace that was created and filled after a thousand others had been analyzed."""
    fill(url, 0, EVENTS * 9 // 10 // 1000 - 1, workspaces=[f"small{n}" for n in range(1000)])
    analyze(url)
    with opened(url, keys, workspaces=[NEW]):
        pass
    fill(url, 0, FRESH - 1, workspaces=[NEW])
    return NEW


def restored(url: str, programs: Path) -> str:
    """A full database after `pg_restore`: without statistics, and with its indexes in another order."""
    with tempfile.TemporaryDirectory() as directory:
        dump = Path(directory) / "dump"
        subprocess.run([programs / "pg_dump", "-Fd", "-f", dump, url], check=True)
        subprocess.run([programs / "pg_restore", "--clean", "--if-exists", "-d", url, dump], check=True)
    return "default"


def programs_15() -> Path | None:
    """The folder of the programs of PostgreSQL 15, if this machine has them."""
    given = os.environ.get("SYNAP_TEST_POSTGRES_15_BIN")
    places = [Path(given)] if given else [Path("/usr/lib/postgresql/15/bin"), Path("/usr/pgsql-15/bin")]
    return next((place for place in places if (place / "initdb").exists()), None)


def _is_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


@contextmanager
def postgres_15(programs: Path) -> Iterator[str]:
    """Run a PostgreSQL 15 during the block. Yields the URL of its database `postgres`."""
    directory = Path(tempfile.mkdtemp(prefix="synap-pg15-"))
    # It refuses to run as root, so it runs as the user of its package, or as nobody.
    user = ("postgres" if _is_user("postgres") else "nobody") if os.geteuid() == 0 else None
    if user is not None:
        shutil.chown(directory, user)
    options = f"-c listen_addresses='' -c unix_socket_directories={directory} -c autovacuum=off -c fsync=off"
    data = directory / "data"

    def run(program: str, *arguments: str) -> None:
        subprocess.run(
            [programs / program, "-D", data, *arguments], user=user, cwd="/", check=True, stdout=subprocess.DEVNULL
        )

    try:
        run("initdb", "--auth=trust", "--encoding=UTF8", "--locale=C", "--username=postgres")
        run("pg_ctl", "-w", "-t", "120", "-l", str(directory / "log"), "-o", options, "start")
        try:
            yield f"postgresql://postgres:@/postgres?host={directory}"
        finally:
            run("pg_ctl", "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(directory, ignore_errors=True)
