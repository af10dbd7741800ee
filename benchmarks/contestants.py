"""The server and its node peer: how each is started, seeded and called.

Both run as one process with their own database, check a bearer token on every call, and serve `/trpc/events.log`,
`.get` and `.list`. Each is the value of a context manager, and runs during the block.
"""

import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.json import Jsonb

from benchmarks.database import Cluster
from benchmarks.errors import BenchmarkError, Missing
from benchmarks.machine import program
from benchmarks.process import answers, free_port, serving
from benchmarks.progress import progress
from benchmarks.trpc import Client

NODE = Path(__file__).parent / "peers" / "node"
EVENT: dict[str, Any] = msgspec.json.decode((Path(__file__).parent / "event.json").read_bytes())
"""The AI-created event of the events document. It is logged, and the seeds are its copies."""

LARGEST_BATCH = 1000


class Contestant(msgspec.Struct, frozen=True, kw_only=True):
    """A running server. `url` is without a path."""

    name: str
    url: str
    token: str
    pid: int
    database: str = ""
    """The name of its database in the cluster, if it has one."""
    ids: list[str] = []
    """The ids of its seeded events."""

    def probe(self) -> None:
        """Check that it stores, finds and lists, so that only correct answers are measured."""
        client = Client(f"{self.url}/trpc", self.token)
        try:
            logged = client.mutation("events.log", EVENT)
            found = client.query("events.get", {"eventId": logged["id"]})
            page = client.query("events.list", {"limit": 100})
        finally:
            client.close()
        if found != logged or any(found[field] != EVENT[field] for field in EVENT):
            raise BenchmarkError(f"{self.name}: events.get does not return what events.log stored.")
        if len(page) != min(100, len(self.ids) + 1) or page[0] != logged:
            raise BenchmarkError(f"{self.name}: events.list does not return the newest 100.")


@contextmanager
def node(cluster: Cluster, workspace: Path, events: int) -> Iterator[Contestant]:
    """Run the node server of `peers/node/`, after its packages are installed. One INSERT seeds it."""
    cluster.create_database("node")
    with node_process(cluster, workspace) as server:
        yield msgspec.structs.replace(server, ids=_seed_node(cluster, events))


@contextmanager
def node_process(cluster: Cluster, workspace: Path, *, notices: bool = False) -> Iterator[Contestant]:
    """Run the node server on the database `node`. With `notices`, its processes notify each other of logged events."""
    _install_node()
    database = conninfo_to_dict(cluster.url("node"))
    port, token = free_port(), secrets.token_urlsafe(32)
    url = f"http://127.0.0.1:{port}"
    environment = {
        "NODE_ENV": "production",
        "PORT": str(port),
        "TOKEN": token,
        "USER_ID": "user-1",
        "PGHOST": str(database["host"]),
        "PGPORT": str(database.get("port") or 5432),
        "PGUSER": str(database["user"]),
        "PGDATABASE": "node",
        **({"NOTICES": "1"} if notices else {}),
    }
    command = [program("node"), str(NODE / "server.mjs")]
    # It is up when tRPC answers an unknown path with 404.
    ready = partial(answers, f"{url}/trpc/up", 404)
    with serving(command, environment=environment, directory=workspace, ready=ready) as pid:
        yield Contestant(name="node", url=url, token=token, pid=pid, database="node")


def _install_node() -> None:
    """Install exactly the packages of the lock file, if they are not installed yet."""
    installed, wanted = NODE / "node_modules" / ".package-lock.json", NODE / "package-lock.json"
    if installed.exists() and installed.stat().st_mtime >= wanted.stat().st_mtime:
        return
    command = [program("npm"), "ci", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=NODE, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchmarkError(f"`npm ci` failed: {done.stderr.strip()}")


def _seed_node(cluster: Cluster, events: int) -> list[str]:
    """Insert `events` copies of EVENT into node's table. Returns their ids."""
    statement = """
        INSERT INTO events (id, type, subject_id, data, metadata, user_id, source)
        SELECT gen_random_uuid(), %(type)s, %(subjectId)s, %(data)s, %(metadata)s, 'user-1', %(source)s
        FROM generate_series(1, %(events)s) RETURNING id::text
    """
    values = {**EVENT, "data": Jsonb(EVENT["data"]), "metadata": Jsonb(EVENT["metadata"]), "events": events}
    with cluster.connect("node") as connection:
        return [str(row[0]) for row in connection.execute(statement, values)]


@contextmanager
def ours(cluster: Cluster, workspace: Path, events: int, settings: Mapping[str, str]) -> Iterator[Contestant]:
    """Run `synap serve` of this environment. `events.logBatch` seeds it."""
    cluster.create_database("ours")
    with our_process(cluster, workspace, settings=settings) as server:
        yield msgspec.structs.replace(server, ids=seed(server, events))


@contextmanager
def our_process(
    cluster: Cluster, workspace: Path, database: str = "ours", settings: Mapping[str, str] | None = None
) -> Iterator[Contestant]:
    """Run `synap serve` on `database`, with these additional variables."""
    synap = Path(sys.executable).parent / "synap"
    if not synap.exists():
        raise Missing("The command `synap` is not installed beside this Python: run `make dev`.")
    data = workspace / f"synap-{database}"
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {
        "SYNAP_DATABASE_URL": cluster.url(database),
        "SYNAP_PORT": str(port),
        "SYNAP_LEDGER_PORT": "0",
        "SYNAP_DATA_DIR": str(data),
        "SYNAP_WORKERS": "1",
        **(settings or {}),
    }
    command = [str(synap), "serve", "--init"]
    ready = partial(answers, f"{url}/readyz", 200)
    with serving(command, environment=environment, directory=workspace, ready=ready) as pid:
        token = (data / "control.token").read_text().strip()
        yield Contestant(name="ours", url=url, token=token, pid=pid, database=database)


def seed(server: Contestant, events: int, event: Callable[[int], dict[str, Any]] = lambda _: EVENT) -> list[str]:
    """Log `events` events by `events.logBatch`; `event` makes each from its number. Returns their ids."""
    client = Client(f"{server.url}/trpc", server.token)
    ids: list[str] = []
    with progress("seeding", events) as moved:
        while len(ids) < events:
            batch = [event(place) for place in range(len(ids), min(len(ids) + LARGEST_BATCH, events))]
            ids += [logged["id"] for logged in client.mutation("events.logBatch", {"events": batch})]
            moved(len(ids))
    client.close()
    return ids
