"""Kills and freezes real processes, and takes their database away."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import psycopg

from app.store.install.parts import is_distributed
from app.store.postgres.postmaster import Postmaster
from tests.kit import command
from tests.kit.servers import Server, environment, until

WAITING = """
SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()
AND starts_with(application_name, 'synap server')
"""

WAITING_ON_NODES = """
SELECT DISTINCT server.pid FROM citus_stat_activity AS waiting JOIN citus_stat_activity AS server USING (global_pid)
WHERE waiting.wait_event_type = 'Lock' AND waiting.datname = current_database()
AND NOT server.is_worker_query AND starts_with(server.application_name, 'synap server')
"""
"""The coordinator waits for a node, and only the node's backend waits for the lock. Both have one global pid."""


def synap(data_dir: Path, *arguments: str, code: int = 0, **settings: object) -> str:
    """Run the command `synap`, which must end with this exit code. Returns what it prints."""
    ran = command.synap(*arguments, env=environment(data_dir, **settings), cwd=data_dir, seconds=60)
    assert ran.returncode == code, ran.stdout + ran.stderr
    return ran.stdout.strip()


def workers(server: Server) -> list[int]:
    """The process ids of a server's workers."""
    children = psutil.Process(server.process.pid).children()
    return [child.pid for child in children if child.name() != "postgres"]


def kill(server: Server) -> None:
    """Kill every process of a server, whatever it is doing."""
    os.killpg(server.process.pid, signal.SIGKILL)
    server.process.wait()


def kill_tree(pid: int) -> None:
    """Kill a process and its children, and wait until they are gone."""
    processes = _tree(pid)
    for process in processes:
        with suppress(psutil.NoSuchProcess):  # a child may end by itself after its parent
            process.kill()
    psutil.wait_procs(processes)


@contextmanager
def frozen(server: Server) -> Iterator[None]:
    """Freeze all processes of a server during the block."""
    processes = [psutil.Process(pid) for pid in (server.process.pid, *workers(server))]
    os.killpg(server.process.pid, signal.SIGSTOP)
    try:
        until(lambda: all(process.status() == psutil.STATUS_STOPPED for process in processes))
        yield
    finally:
        os.killpg(server.process.pid, signal.SIGCONT)


class Cluster:
    """A PostgreSQL that can be stopped, crashed and started again, at one URL."""

    def __init__(self, data_dir: Path) -> None:
        """Start the PostgreSQL in `data_dir`."""
        self.data_dir = data_dir
        self.start()
        self.url = self._server.url

    def stop(self) -> None:
        """Shut it down in an orderly way, which disconnects its clients."""
        self._server.stop()

    def crash(self) -> None:
        """Kill all of its processes, so that its clients are told nothing."""
        kill_tree(self._server.pid)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Freeze all of its processes during the block. Its connections stay open."""
        processes = _tree(self._server.pid)
        for process in processes:
            process.suspend()
        try:
            yield
        finally:
            for process in processes:
                with suppress(psutil.NoSuchProcess):
                    process.resume()

    def start(self) -> None:
        """Start it again, and wait until it is ready."""
        self._server = Postmaster(self.data_dir, {})  # one that was stopped does not wait until it is ready
        self._server.start()


def waiting_for_the_tip(connection: psycopg.Connection) -> list[int]:
    """The pids of the servers' backends that wait for the lock on a tip, on whatever node of a cluster it is."""
    connection.execute("SELECT pg_stat_clear_snapshot()")  # a transaction would see no backend that came later
    rows = connection.execute(WAITING_ON_NODES if is_distributed(connection) else WAITING)
    return [pid for (pid,) in rows]


def _tree(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children()]
