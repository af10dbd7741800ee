"""One caller cannot stop the others: a short form of every attack of the benchmark, on one server.

The benchmark measures times (`python -m benchmarks hostile`). These tests check the answers, that a neighbour is served
meanwhile, and the server's memory.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.store.postgres.embedded import postgres
from benchmarks.database import Cluster
from benchmarks.hostile import target
from benchmarks.hostile.attacks import ATTACKS
from benchmarks.hostile.target import Target
from benchmarks.hostile.watch import idle_bytes, watching
from tests.kit.installs import copy

MIB = 2**20
SCALE = 0.04
MAX_MEMORY = 400 * MIB
PAUSE_SECONDS = 0.05
"""The neighbour's pause between two calls. No time is measured here."""

ANSWERED = {
    "frames-without-token": ("closed 1009",),
    "large-lists": ("200", "207", "413", "open after"),
    "unknown-tokens": ("401",),
    "compressed-bodies": ("400", "401", "413"),
    "streams-with-filters": ("200",),
    "nested-searches": ("neighbour 200", "attacker"),
    "many-filters": ("200", *(f"{number} MiB more" for number in range(20))),
    "webhook-tests": ("200", "207", "429", *(f"posts at once at most: {number}" for number in range(5))),
}
"""The first words of the answers that an attack may get."""


@pytest.fixture(scope="module")
def attacked(first_started: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A server with an attacker and a neighbour."""
    folder: Path = tmp_path_factory.mktemp("hostile")
    with (
        postgres(copy(first_started, folder / "database"), ours=True) as url,
        target(Cluster(url), folder, "ours") as made,
    ):
        yield made


@pytest.fixture(scope="module")
def idle(attacked: Target) -> int:
    """The server's memory before the first attack."""
    return idle_bytes(attacked.pid)


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_stops_nobody_else(attacked: Target, idle: int, name: str) -> None:
    strike = ATTACKS[name](attacked, SCALE)

    with watching(attacked, pause=PAUSE_SECONDS) as watch:
        answers = strike()
        watched = watch.result()

    assert watched.refused == 0, answers
    assert watched.writes > 0
    assert watched.reads > 0
    assert not any(answer.startswith("500") for answer in answers), answers
    assert all(answer.startswith(ANSWERED.get(name, "")) for answer in answers), answers
    assert watched.most_bytes - idle < MAX_MEMORY
