"""`synap doctor --sizes`, and the same sizes in the metrics."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from app.cli.doctor.sizes import outlook, readable
from app.store.install.install import connect
from app.store.install.sizes import Growth, growth, relation_sizes
from app.store.postgres.clock import utc_now
from tests.kit import web
from tests.kit.command import synap
from tests.kit.servers import environment, serving
from tests.store.opened import draft, opened

GIB = 2**30


def test_the_events_of_the_last_day_are_counted_in_every_log(database_url: str, tmp_path: Path) -> None:
    with opened(database_url, tmp_path, workspaces=["acme", "empty"]) as store:
        for days, number in ((3, 5), (2, 300), (0, 7)):
            store.clock.at = utc_now() - timedelta(days=days, hours=-1)
            store.append(*[draft() for _ in range(number)])
        store.append(draft(), draft(), workspace="acme")

    with connect(database_url) as connection:
        grown = growth(connection)
        sizes = relation_sizes(connection)

    assert grown == Growth(events=314, last_day=9)
    tables = {each.table: each.bytes for each in sizes if not each.index}
    assert {"event", "event_tip", "audit_entry"} <= tables.keys()
    assert tables["event"] > 100_000, "on a cluster the rows are on other nodes"
    assert not [each for each in sizes if re.search(r"_\d+$", f"{each.table} {each.index}")]
    assert "event_agent_ix" in {each.index for each in sizes if each.table == "event"}
    assert [each.bytes for each in sizes] == sorted((each.bytes for each in sizes), reverse=True)


@pytest.mark.parametrize(
    ("free", "last_day", "end"),
    [
        (100 * GIB, 1000, "100.0 GiB are free on the disk: full in about 100 days at this pace."),
        (100 * GIB, 0, "100.0 GiB are free on the disk, which does not fill at this pace."),
        (None, 1000, "Divide its free space."),
    ],
    ids=["embedded", "nothing comes", "another PostgreSQL"],
)
def test_the_days_that_are_left_follow_from_the_growth(free: int | None, last_day: int, end: str) -> None:
    first, *_, last = outlook(10 * GIB, Growth(10_000, last_day), free)

    assert first == "10000 events take 10.0 GiB: 1073741 bytes an event."
    assert last.endswith(end)


@pytest.mark.parametrize(("size", "text"), [(0, "0 bytes"), (1536, "1.5 KiB"), (2**20, "1.0 MiB"), (GIB, "1.0 GiB")])
def test_sizes_are_readable(size: int, text: str) -> None:
    assert readable(size) == text


@pytest.mark.usefixtures("started_before")
def test_the_command_and_the_metrics_tell_the_sizes(data_dir: Path) -> None:
    with serving(data_dir) as server:
        assert server.mutate("events.log", {"type": "note.created", "data": {}}).status_code == 200
        done = synap("doctor", "--sizes", env=environment(data_dir))
        metrics = web.get(f"{server.url}/metrics").text

    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"^event +\d+\.\d KiB +\d+$", done.stdout, re.MULTILINE)
    assert re.search(r"^  event_agent_ix +", done.stdout, re.MULTILINE)
    assert re.search(r"GiB are free on the disk: full in about \d+ days at this pace\.$", done.stdout)
    assert re.search(r'^synap_table_size_bytes\{table="event"\} \d', metrics, re.MULTILINE)
    assert re.search(r'^synap_index_size_bytes\{index="event_agent_ix",table="event"\} \d', metrics, re.MULTILINE)
    assert re.search(r'^synap_disk_free_bytes\{disk="data",process="\d+"\} \d', metrics, re.MULTILINE)
