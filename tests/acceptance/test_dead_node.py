"""A cluster loses a node under a running server, and gets it back. `make cluster` runs this."""

import re
from collections.abc import Iterator
from pathlib import Path
from random import Random

import psycopg
import pytest
from msgspec import Struct

from app.store.install.workspaces import create_workspace
from app.store.postgres.nodes import LIST_NODES_OF_WORKSPACES
from tests.acceptance.proxy import Network, Proxy, networking
from tests.delivery.receiver import Receiver, receiving
from tests.kit import web
from tests.kit.checks import check_log
from tests.kit.command import synap
from tests.kit.databases import require_cluster
from tests.kit.servers import Server, cloned, environment, serving, until

WORKSPACES = [f"w{number}" for number in range(12)]
"""So many that each node has some."""

FIND_OTHER_NODE = "SELECT nodeid, nodename, nodeport FROM pg_dist_node WHERE groupid > 0 ORDER BY groupid LIMIT 1"
"""A node that is not the coordinator."""

MOVE_NODE = "SELECT citus_update_node(%s, '127.0.0.1', %s)"
"""Says that a node has another address now."""


class Lame(Struct, frozen=True):
    """A server on a cluster, of which one node is reached through a proxy."""

    server: Server
    url: str
    data_dir: Path
    network: Network
    proxy: Proxy
    receiver: Receiver
    there: list[str]
    """The workspaces on that node."""
    elsewhere: list[str]

    @property
    def node(self) -> str:
        """The name of the node."""
        return f"127.0.0.1:{self.proxy.port}"

    def log(self, workspace: str) -> int:
        """Log an event. Returns the status."""
        headers = {"x-workspace-id": workspace}
        return self.server.mutate("events.log", {"type": "note.created", "data": {}}, **headers).status_code

    def doctor(self, *options: str) -> tuple[int, str]:
        """The exit code of the doctor and what it prints."""
        done = synap("doctor", *options, env=environment(self.data_dir, database_url=self.url), cwd=self.data_dir)
        return done.returncode, done.stdout + done.stderr

    def up(self) -> dict[str, str]:
        """Whether each node is up, as the metrics say."""
        metrics = web.get(f"{self.server.url}/metrics", timeout=60).text
        return dict(re.findall(r'^synap_node_up\{node="(.*)"\} (\d)', metrics, re.MULTILINE))

    def delivered(self, workspace: str) -> int:
        """How many deliveries the webhook of a workspace has got."""
        return sum(request.path == f"/{workspace}" for request in self.receiver.answered)


@pytest.fixture(scope="module")
def lame(postgres_url: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lame]:
    """A server with workspaces on every node, each with an event and a webhook."""
    require_cluster()
    data_dir = tmp_path_factory.mktemp("lame")
    settings = {"webhook_allow_http": "true", "webhook_allow_networks": "127.0.0.0/8"}
    with (
        cloned(postgres_url, template, "lame") as url,
        networking(Random(7)) as network,
        receiving() as receiver,
    ):
        proxy = _behind_proxy(network, url)
        with serving(data_dir, database_url=url, **settings) as server:
            with psycopg.connect(url, autocommit=True) as connection:
                for workspace in WORKSPACES:
                    assert create_workspace(connection, workspace)
                nodes: dict[str, list[str]] = dict(
                    connection.execute(LIST_NODES_OF_WORKSPACES, {"workspaces": WORKSPACES}).fetchall()
                )
            there = nodes[f"127.0.0.1:{proxy.port}"]
            elsewhere = [workspace for workspace in WORKSPACES if workspace not in there]
            made = Lame(server, url, data_dir, network, proxy, receiver, there, elsewhere)
            for workspace in WORKSPACES:
                hook = {"webhookUrl": receiver.url(f"/{workspace}"), "eventTypes": ["*"]}
                created = server.mutate("subscriptions.create", hook, **{"x-workspace-id": workspace})
                assert created.status_code == 200, created.text
                assert made.log(workspace) == 200
            yield made


def _behind_proxy(network: Network, url: str) -> Proxy:
    """Let the cluster of a database reach one of its nodes through a proxy."""
    with psycopg.connect(url, autocommit=True) as connection:
        [(node, host, port)] = connection.execute(FIND_OTHER_NODE)
        assert host in {"127.0.0.1", "localhost"}, "the nodes must be on this machine"
        proxy = network.proxy([port])
        connection.execute(MOVE_NODE, (node, proxy.port))
    return proxy


def test_a_dead_node_costs_only_its_workspaces_and_is_named(lame: Lame) -> None:
    until(lambda: all(lame.delivered(workspace) == 1 for workspace in WORKSPACES))
    assert set(lame.up().values()) == {"1"}

    with lame.network.dead(lame.proxy):
        assert [lame.log(workspace) for workspace in lame.there] == [503] * len(lame.there)
        assert [lame.log(workspace) for workspace in lame.elsewhere] == [200] * len(lame.elsewhere)
        until(lambda: all(lame.delivered(workspace) == 2 for workspace in lame.elsewhere))
        up, (code, findings), sizes = lame.up(), lame.doctor(), lame.doctor("--sizes")
        refused = lame.server.mutate("keys.create", {"userId": "u", "scopes": ["events:read"]})

    assert {node for node, value in up.items() if value == "0"} == {lame.node}
    assert code == 1
    [missing] = re.findall(r"^wrong: The node (\S+) of the database does not answer, .*: (.*);", findings, re.MULTILINE)
    assert missing[0] == lame.node
    assert set(missing[1].split(", ")) >= set(lame.there)
    assert "ok: Every audit is complete" in findings
    assert f"\nThe node {lame.node} of the database does not answer: its bytes and its events are not" in sizes[1]
    assert refused.status_code == 503


def test_a_node_that_is_back_is_served_and_gets_what_is_owed(lame: Lame) -> None:
    before = {workspace: lame.delivered(workspace) for workspace in WORKSPACES}
    with lame.network.dead(lame.proxy):
        assert lame.log(lame.there[0]) == 503

    until(lambda: [lame.log(workspace) for workspace in WORKSPACES] == [200] * len(WORKSPACES))

    until(lambda: all(lame.delivered(workspace) > before[workspace] for workspace in WORKSPACES))
    assert set(lame.up().values()) == {"1"}
    assert "does not answer" not in lame.doctor()[1] + lame.doctor("--sizes")[1]
    for workspace in WORKSPACES:
        check_log(lame.url, workspace)
