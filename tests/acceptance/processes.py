"""What befalls real processes: they are killed, they freeze, they lose their database."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import psycopg

from app.store.postgres.postmaster import Postmaster
from tests.kit import command
from tests.kit.servers import Server, environment, until


def synap(data_dir: Path, *arguments: str, code: int = 0, **settings: object) -> str:
    """What the command `synap` answers, in a process of its own, which ends with this exit code."""
    ran = command.synap(*arguments, env=environment(data_dir, **settings), cwd=data_dir, seconds=60)
    assert ran.returncode == code, ran.stderr
    return ran.stdout.strip()


def workers(server: Server) -> list[int]:
    """The process ids of a server's workers."""
    children = psutil.Process(server.process.pid).children()
    return [child.pid for child in children if child.name() != "postgres"]


def kill(server: Server) -> None:
    """End every process of a server in the middle of whatever it does."""
    os.killpg(server.process.pid, signal.SIGKILL)
    server.process.wait()


def kill_tree(pid: int) -> None:
    """End a process and its children at once, and see them gone."""
    processes = _tree(pid)
    for process in processes:
        with suppress(psutil.NoSuchProcess):  # a child that ends by itself, since its parent did
            process.kill()
    psutil.wait_procs(processes)


@contextmanager
def frozen(server: Server) -> Iterator[None]:
    """A server none of whose processes runs until the end of the block."""
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
        """Starts it."""
        self._data_dir = data_dir
        self.start()
        self.url = self._server.url

    def stop(self) -> None:
        """Shut it down in order: its clients are disconnected."""
        self._server.stop()

    def crash(self) -> None:
        """End every process of it at once, without a word to anybody."""
        kill_tree(self._server.pid)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """No process of it runs until the end of the block; its connections stay."""
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
        """Start it again, and wait until it answers."""
        self._server = Postmaster(self._data_dir, {})  # one that was stopped waits for nothing
        self._server.start()


def waiting_for_the_tip(connection: psycopg.Connection) -> list[int]:
    """The backends of servers that wait for the lock on a tip."""
    rows = connection.execute(
        "SELECT pid FROM pg_stat_activity "
        "WHERE wait_event_type = 'Lock' AND datname = current_database() "
        "AND starts_with(application_name, 'synap server')"
    )
    return [pid for (pid,) in rows]


def _tree(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children()]
