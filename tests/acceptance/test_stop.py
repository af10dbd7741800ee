"""A server that is told to stop finishes what it accepted."""

import signal
import time
from pathlib import Path

from app.store.embedded import postgres
from tests.acceptance.writers import writing
from tests.checks import check_log
from tests.servers import serving, until

STOP_SECONDS = 15


def test_stop_under_load_keeps_everything_that_was_answered(data_dir: Path) -> None:
    with serving(data_dir) as server, writing([server]) as writers:
        until(lambda: len(writers.acknowledged) > 300)
        assert _postmaster_file(data_dir).exists()
        started = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(timeout=STOP_SECONDS)
        writers.stop()

    assert server.process.returncode == 0
    assert time.monotonic() - started < STOP_SECONDS
    assert not _postmaster_file(data_dir).exists(), "the embedded PostgreSQL still runs"
    with postgres(data_dir, ours=True) as url:
        stored = {event["event_id"]: event["hash"] for event in check_log(url)}
    assert {id_: event["hash"] for id_, event in writers.acknowledged.items()}.items() <= stored.items()


def _postmaster_file(data_dir: Path) -> Path:
    """PostgreSQL removes it when it has shut down in order."""
    return data_dir / "postgres" / "postmaster.pid"
