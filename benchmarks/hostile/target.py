"""The server under attack, and its callers."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from msgspec import Struct

from benchmarks.contestants import EVENT, Contestant
from benchmarks.database import Cluster
from benchmarks.trpc import Client

ATTACKED = "default"
NEIGHBOUR = "neighbour"

SETTINGS = {
    "SYNAP_WEBHOOK_ALLOW_HTTP": "true",
    "SYNAP_WEBHOOK_ALLOW_NETWORKS": "127.0.0.0/8",
}
"""The settings with which webhooks reach the attack's own receiver on loopback."""

SCOPES = ["events:read", "events:write", "subscriptions:manage", "ledger:read"]


class Target(Struct, frozen=True, kw_only=True):
    """A server, and the tokens of its callers."""

    url: str
    pid: int
    database_url: str
    attacker: str
    """It may do everything in its own workspace, except administer it."""
    reader: str
    """It may read events of the attacker's workspace."""
    neighbour: str
    event_id: str
    """The id of an event of the neighbour."""

    @property
    def client(self) -> Client:
        """A client of the attacker."""
        return Client(f"{self.url}/trpc", self.attacker)

    def connect(self) -> psycopg.Connection:
        """A connection to its database, as superuser."""
        return psycopg.connect(self.database_url, autocommit=True)


@contextmanager
def prepared(server: Contestant, cluster: Cluster, workspace: Path, name: str) -> Iterator[Target]:
    """Prepare a server with two workspaces and their keys."""
    environment = {"SYNAP_DATABASE_URL": cluster.url(name), "SYNAP_DATA_DIR": str(workspace / f"synap-{name}")}
    synap = Path(sys.executable).parent / "synap"
    subprocess.run([synap, "workspaces", "create", NEIGHBOUR], env=environment, check=True, capture_output=True)
    admin = Client(f"{server.url}/trpc", server.token)

    def key(scopes: list[str], slug: str) -> str:
        made: dict[str, Any] = admin.mutation("keys.create", {"userId": slug, "scopes": scopes, "workspaces": [slug]})
        token: str = made["token"]
        return token

    neighbour = key(["events:read", "events:write"], NEIGHBOUR)
    client = Client(f"{server.url}/trpc", neighbour)
    logged = client.mutation("events.log", EVENT)
    yield Target(
        url=server.url,
        pid=server.pid,
        database_url=cluster.url(name),
        attacker=key(SCOPES, ATTACKED),
        reader=key(["events:read"], ATTACKED),
        neighbour=neighbour,
        event_id=logged["id"],
    )
    for each in (admin, client):
        each.close()
