"""Many clients write to one log through several servers, some of which die: every acknowledged event is stored."""

import os
import signal
from pathlib import Path

import pytest

from app.store.postgres.embedded import postgres
from benchmarks.process import free_port
from tests.acceptance.conftest import Pair
from tests.acceptance.processes import kill, kill_tree, workers
from tests.acceptance.writers import Writers, writing
from tests.kit.checks import check_log
from tests.kit.examples import ALL
from tests.kit.servers import serving, until

EVENTS = 5000 if ALL else 500


def test_two_servers_write_one_log(pair: Pair, workspace: str) -> None:
    with writing(pair.servers, events=EVENTS, workspace=workspace) as writers:
        pass

    _check(pair.database_url, writers, EVENTS, workspace)


def test_two_workers_write_one_log_though_one_is_killed_and_replaced(database_url: str, data_dir: Path) -> None:
    with serving(data_dir, database_url=database_url, workers=2) as server:
        first, second = workers(server)
        with writing([server], events=EVENTS) as writers:
            until(lambda: len(writers.acknowledged) > EVENTS // 2, seconds=60)
            os.kill(first, signal.SIGKILL)
        until(lambda: len(workers(server)) == 2 and first not in workers(server), seconds=60)
        assert second in workers(server)

    _check(database_url, writers, EVENTS)


def test_killed_server_loses_nothing(database_url: str, data_dir: Path) -> None:
    port = free_port()
    with (
        serving(data_dir, database_url=database_url, port=port) as dying,
        serving(data_dir, database_url=database_url) as other,
        writing([dying, other], events=EVENTS) as writers,
    ):
        until(lambda: len(writers.acknowledged) > EVENTS // 4, seconds=60)
        kill(dying)
        with serving(data_dir, database_url=database_url, port=port):
            until(lambda: len(writers.acknowledged) == EVENTS, seconds=120)

    _check(database_url, writers, EVENTS)


@pytest.mark.usefixtures("started_before")
def test_server_killed_with_its_embedded_database_loses_nothing(data_dir: Path) -> None:
    port, events = free_port(), 400
    with serving(data_dir, port=port) as first, writing([first], events=events) as writers:
        until(lambda: len(writers.acknowledged) > events // 4, seconds=60)
        kill(first)
        with serving(data_dir, port=port) as second:
            until(lambda: len(writers.acknowledged) > events // 2, seconds=60)
            kill(second)
            kill_tree(_postmaster(data_dir))
            with serving(data_dir, port=port):
                until(lambda: len(writers.acknowledged) == events, seconds=120)

    with postgres(data_dir, ours=True) as url:
        _check(url, writers, events)


def _postmaster(data_dir: Path) -> int:
    return int((data_dir / "postgres" / "postmaster.pid").read_text().splitlines()[0])


def _check(database_url: str, writers: Writers, events: int, workspace: str = "default") -> None:
    """Check that the log verifies, and contains exactly the acknowledged events with the acknowledged seqs."""
    log = check_log(database_url, workspace)
    assert [event["seq"] for event in log] == list(range(events))
    assert sorted(event["payload"]["number"] for event in log) == list(range(events))
    stored = {event["event_id"]: (event["seq"], event["hash"], event["timestamp"]) for event in log}
    assert stored == {
        id_: (event["seq"], event["hash"], event["timestamp"]) for id_, event in writers.acknowledged.items()
    }
