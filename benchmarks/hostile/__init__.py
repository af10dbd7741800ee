"""Hostile callers, and their cost for all others: the longest freeze, the memory, and the pace of a neighbour.

Every attack runs against its own server on loopback, bounded in count and time. A freeze is the longest wait for `GET
/healthz` meanwhile.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks import database, machine
from benchmarks.contestants import our_process
from benchmarks.database import Cluster
from benchmarks.errors import BenchmarkError
from benchmarks.hostile.attacks import ATTACKS, Attack
from benchmarks.hostile.target import SETTINGS, Target, prepared
from benchmarks.hostile.watch import Watched, idle_bytes, watching

MIB = 2**20

IDLE_SECONDS = 3.0
"""How long the neighbour works without an attack, to measure its normal pace."""

MAX_FREEZE_MS = 250
MAX_MEMORY_MIB = 400
MIN_PACE = 0.5
"""The minimum pace of the neighbour that `--check` accepts."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `hostile`."""
    parser.add_argument("attack", nargs="*", choices=[*ATTACKS, []], help="which attacks; all by default")
    parser.add_argument("--scale", type=float, default=1.0, help="how many of everything (%(default)s)")
    parser.add_argument("--check", action="store_true", help="exit code 1 if an attack exceeds its bounds")


def run(arguments: argparse.Namespace) -> None:
    """Run the attacks, one after the other, and print a line for each."""
    failed = []
    with ExitStack() as stack:
        workspace = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hostile-")))
        cluster = stack.enter_context(database.cluster())
        print(f"{'attack':24}{'freeze ms':>10}{'MiB more':>10}{'writes':>8}{'reads':>8}  answers", flush=True)
        for number, name in enumerate(arguments.attack or ATTACKS):
            with target(cluster, workspace, f"ours{number}") as attacked:
                found = measure(ATTACKS[name], attacked, arguments.scale)
            print(_line(name, found), flush=True)
            if not found.is_bounded:
                failed.append(name)
        facts = {**machine.facts(), **cluster.facts()}
    print()
    print("Writes and reads of another workspace as parts of what they are without the attack.")
    print("Attacker, neighbour, server and database share this machine.")
    print(", ".join(f"{name} {value}" for name, value in facts.items()))
    if arguments.check and failed:
        raise BenchmarkError(f"Out of bounds: {', '.join(failed)}.")


class Found(Watched, frozen=True, kw_only=True):
    """The effects of one attack."""

    memory_bytes: int
    """The maximum memory of the server's processes above their memory before the attack."""
    write_pace: float
    read_pace: float
    answers: str

    @property
    def is_bounded(self) -> bool:
        """Whether the attack hardly affected the others."""
        pace = min(self.write_pace, self.read_pace)
        return self.freeze_ms <= MAX_FREEZE_MS and self.memory_bytes <= MAX_MEMORY_MIB * MIB and pace >= MIN_PACE


@contextmanager
def target(cluster: Cluster, workspace: Path, name: str) -> Iterator[Target]:
    """Run a server with the keys of an attacker and a neighbour."""
    cluster.create_database(name)
    with our_process(cluster, workspace, name, SETTINGS) as server, prepared(server, cluster, workspace, name) as made:
        yield made


def measure(attack: Attack, attacked: Target, scale: float) -> Found:
    """Run one attack while the server is watched."""
    strike = attack(attacked, scale)
    idle = idle_bytes(attacked.pid)
    with watching(attacked) as watch:
        time.sleep(IDLE_SECONDS)
        calm = watch.result()
    with watching(attacked) as watch:
        answers = strike()
        watched = watch.result()
    return Found(
        **watched.as_dict(),
        memory_bytes=watched.most_bytes - idle,
        write_pace=watched.writes_per_second / calm.writes_per_second,
        read_pace=watched.reads_per_second / calm.reads_per_second,
        answers=", ".join(f"{count}x {what}" for what, count in answers.most_common(5)),
    )


def _line(name: str, found: Found) -> str:
    return (
        f"{name:24}{found.freeze_ms:10.0f}{found.memory_bytes / MIB:10.0f}"
        f"{found.write_pace:8.2f}{found.read_pace:8.2f}  {found.answers}"
    )
