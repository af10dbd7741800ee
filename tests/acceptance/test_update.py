"""A database of the last release is migrated while two servers serve: no call is rejected."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from app.store.install.install import head
from tests.acceptance.processes import synap
from tests.acceptance.writers import writing
from tests.kit.checks import check_log
from tests.kit.last_release import indexes, put_back
from tests.kit.servers import Server, serving, until

QUERIES: list[dict[str, Any]] = [
    {"limit": 20},
    {"limit": 20, "from": "2024-01-01T00:00:00Z", "to": "2124-01-01T00:00:00Z"},
    {"limit": 20, "hasMetadata": True},
    {"limit": 20, "filter": {"metadata.ai": {"isNull": False}}},
]


class _Readers:
    """One reader for each server, which reads until it is stopped."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.stopped = threading.Event()

    def read(self, server: Server) -> None:
        while not self.stopped.is_set():
            self.answers += [server.query("events.list", query).status_code for query in QUERIES]


def test_a_migration_under_load_rejects_nobody(database_url: str, data_dir: Path) -> None:
    readers = _Readers()
    with ExitStack() as stack:
        servers = [stack.enter_context(serving(data_dir, database_url=database_url)) for _ in range(2)]
        put_back(database_url)
        pool = stack.enter_context(ThreadPoolExecutor(2))
        stack.callback(readers.stopped.set)
        reading = [pool.submit(readers.read, server) for server in servers]
        with writing(servers, clients=8) as writers:
            until(lambda: len(writers.acknowledged) > 100)
            said = synap(data_dir, "migrate", database_url=database_url)
            migrated_at = len(writers.acknowledged)
            until(lambda: len(writers.acknowledged) > migrated_at + 100)
            writers.stop()
        readers.stopped.set()
        for one in reading:
            one.result()
        assert all(server.ready() for server in servers)

    assert said == "The schema is at its newest version."
    assert writers.refused == 0
    assert set(readers.answers) == {200}
    assert "event_kinds_ix" in indexes(database_url)
    assert "event_with_ai_ix" not in indexes(database_url)
    assert writers.acknowledged.keys() <= {event["event_id"] for event in check_log(database_url)}
    assert head() in synap(data_dir, "doctor", code=1, database_url=database_url)
