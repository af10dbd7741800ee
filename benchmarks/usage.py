"""Measures what a server and its database have used: processor time, WAL, disk, and transactions of appended events."""

import urllib.request

import msgspec
import psutil

from benchmarks.contestants import Contestant
from benchmarks.database import Cluster


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Sums since the processes started.

    `commits` are the transactions that stored `events`, as the server counts them.
    """

    server_seconds: float
    database_seconds: float = 0.0
    wal_bytes: int = 0
    disk_bytes: int = 0
    events: float = 0.0
    commits: float = 0.0

    def since(self, before: "Usage") -> "Usage":
        """What was used since `before`."""
        fields = self.__struct_fields__
        return Usage(**{name: getattr(self, name) - getattr(before, name) for name in fields})


def used(server: Contestant, cluster: Cluster | None) -> Usage:
    """Read the sums of a server and, if it has a cluster of its own, of its database."""
    events, commits = _commits(server)
    if cluster is None:
        return Usage(server_seconds=processor_seconds(server.pid))
    # The processes first, so that the cost of the queries below is not measured.
    server_seconds, database_seconds = processor_seconds(server.pid), processor_seconds(cluster.pid)
    wal_bytes, disk_bytes = cluster.written(server.database)
    return Usage(
        server_seconds=server_seconds,
        database_seconds=database_seconds,
        wal_bytes=wal_bytes,
        disk_bytes=disk_bytes,
        events=events,
        commits=commits,
    )


def processor_seconds(pid: int) -> float:
    """The processor seconds of a process and of all its children, including those that have ended."""
    process = psutil.Process(pid)
    seconds = 0.0
    for each in (process, *process.children(recursive=True)):
        try:
            times = each.cpu_times()
        except psutil.NoSuchProcess:
            continue  # its parent has its time as soon as it reaps it
        seconds += times.user + times.system + times.children_user + times.children_system
    return seconds


def _commits(server: Contestant) -> tuple[float, float]:
    """How many events the server has appended, and in how many transactions. A peer does not count them."""
    if server.name != "ours":
        return 0.0, 0.0
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=60) as answer:  # noqa: S310 - our own URL
        lines = answer.read().decode().splitlines()
    names = ("synap_commit_events_sum", "synap_commit_events_count")
    events, commits = (sum(float(line.split()[-1]) for line in lines if line.startswith(name)) for name in names)
    return events, commits
