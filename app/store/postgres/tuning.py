"""The settings of PostgreSQL. We set the embedded one for its machine; for any other we advise its operator."""

from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg

from app.store.postgres.connection_limit import ADMIN_CONNECTIONS

MIB = 2**20
GIB = 2**30

MAX_SHARED_BUFFERS_BYTES = 2 * GIB
MAX_WAL_BYTES = 2 * GIB

SETTINGS = """
SELECT name, setting, CASE unit WHEN '8kB' THEN setting::bigint * 8192 END FROM pg_settings WHERE name IN (
    'autovacuum', 'idle_session_timeout', 'jit', 'random_page_cost', 'shared_buffers')
"""
"""The settings that the advice is about, and the size in bytes of the settings that are in pages."""


def memory_bytes(cgroups: Path = Path("/proc/self/cgroup"), mount: Path = Path("/sys/fs/cgroup")) -> int:
    """The memory that this process may use: the machine's, or less if a control group (a container) says so."""
    return min([int(psutil.virtual_memory().total), *_cgroup_limits(cgroups, mount)])


def embedded_settings(memory: int, free: int, connections: int) -> dict[str, str]:
    """The settings for `memory` bytes in total, `free` bytes on the disk, and so many connections of our own.

    The settings that durability depends on (`fsync`, `synchronous_commit`, `full_page_writes`) keep their default, on.
    """
    return {
        # An eighth, since our processes and the system's own cache live on the same machine.
        "shared_buffers": _mib(memory // 8, 32 * MIB, MAX_SHARED_BUFFERS_BYTES),
        # The memory that the planner may count on, the system's cache included.
        "effective_cache_size": _mib(memory // 2, 64 * MIB, 64 * GIB),
        # For each sort of each search. Several searches run at once.
        "work_mem": _mib(memory // 1024, 4 * MIB, 32 * MIB),
        # For vacuum and the making of indexes.
        "maintenance_work_mem": _mib(memory // 32, 32 * MIB, 512 * MIB),
        # After a checkpoint, the next write of each page is larger. With enough WAL for a burst, checkpoints start by
        # time only.
        "max_wal_size": _mib(min(MAX_WAL_BYTES, free // 8), 128 * MIB, MAX_WAL_BYTES),
        "min_wal_size": _mib(min(MAX_WAL_BYTES, free // 8) // 8, 32 * MIB, 256 * MIB),
        "checkpoint_timeout": "15min",
        "max_connections": str(max(100, connections + ADMIN_CONNECTIONS)),
        # Current disks read a random page about as fast as the next one. The default is for rotating disks.
        "random_page_cost": "1.1",
        # Our statements are short: compiling one takes longer than running it.
        "jit": "off",
    }


def advice(connection: psycopg.Connection) -> Iterator[str]:
    """Yield one sentence, with the remedy, for each setting that the operator of another PostgreSQL could improve."""
    rows = {name: (setting, size) for name, setting, size in connection.execute(SETTINGS)}
    text = {name: setting for name, (setting, _) in rows.items()}
    if float(text["random_page_cost"]) > 2:
        yield f"random_page_cost={text['random_page_cost']} is for spinning disks; set it to 1.1 for any other disk."
    if text["jit"] == "on":
        yield "jit=on compiles statements that are too short to gain from it; set it to off."
    if (size := rows["shared_buffers"][1]) <= 128 * MIB:
        yield (
            f"shared_buffers={size // MIB}MB is the default; on a machine that serves only PostgreSQL, set it to a "
            "quarter of the memory."
        )
    if text["autovacuum"] == "off":
        yield "autovacuum=off makes reads slower and tables larger; set it to on."
    if text["idle_session_timeout"] != "0":
        yield (
            "idle_session_timeout ends the connections that the server keeps; set it to 0 for its role (ALTER ROLE ... "
            "SET idle_session_timeout = 0)."
        )


def _mib(bytes_: int, least: int, most: int) -> str:
    return f"{min(max(bytes_, least), most) // MIB}MB"


def _cgroup_limits(cgroups: Path, mount: Path) -> Iterator[int]:
    """Yield the memory limits of this process's control groups and of all groups above them (versions 1 and 2)."""
    try:
        lines = cgroups.read_text().splitlines()
    except OSError:  # not Linux
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers not in {"", "memory"}:
            continue
        root = mount / controllers
        group = root / path.lstrip("/")
        for folder in (group, *group.parents):
            if not folder.is_relative_to(root):
                break
            name = "memory.limit_in_bytes" if controllers else "memory.max"
            try:
                yield int((folder / name).read_text())
            except (OSError, ValueError):  # not there, or "max"
                continue
