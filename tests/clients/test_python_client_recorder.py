"""The Python client in the background: it loses and doubles nothing, and a bad event does not delay the others."""

import asyncio
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from synap_client import (
    AsyncSynap,
    InvalidInput,
    Recorder,
    Rejected,
    SpoolError,
    SpoolFull,
    Synap,
    Unauthorized,
)
from synap_client.recorder import RecorderFields

from benchmarks.process import free_port
from tests.clients.scripts import script, stored_numbers
from tests.kit.servers import Server, until


@pytest.fixture
def away() -> Iterator[Synap]:
    """A client of a server that does not listen."""
    with Synap(f"http://127.0.0.1:{free_port()}", "sk_x") as made:
        yield made


def _journals(spool: Path) -> list[str]:
    return [path.name for path in spool.glob("j-*")]


@pytest.mark.parametrize("fsync", ["always", "second", "never", None])
def test_events_arrive_in_order_and_leave_nothing_behind(client: Synap, spool: Path, run: str, fsync: Any) -> None:
    where: dict[str, Any] = {} if fsync is None else {"spool": spool, "fsync": fsync}
    with client.recorder(batch_events=70, **where) as recorder:
        ids = [recorder.log("recorded.made", {"n": n}, correlation_id=run) for n in range(300)]
        assert recorder.flush(30)
        assert recorder.pending == 0

    stored = list(client.events(correlation_id=run, limit=1000))[::-1]
    assert [(event.id, event.data["n"]) for event in stored] == list(zip(ids, range(300), strict=True))
    assert all(event.occurred_at is not None and event.occurred_at <= event.timestamp for event in stored)
    assert _journals(spool) == []


def test_batches_go_by_count_by_bytes_and_by_time(client: Synap, run: str) -> None:
    text = "x" * 1000
    by: list[RecorderFields] = [
        {"batch_seconds": 60.0, "batch_events": 2},
        {"batch_seconds": 60.0, "batch_bytes": 2600},
        {"batch_seconds": 0.1},
    ]
    for settings in by:
        is_by_bytes = "batch_bytes" in settings
        with client.recorder(**settings) as recorder:
            for n in range(2 + is_by_bytes):
                recorder.log("recorded.made", {"n": n, "text": text}, correlation_id=run)
            # The last of three events no longer fits, and begins the next batch.
            until(lambda: recorder.pending == is_by_bytes)  # noqa: B023
    with client.recorder(batch_seconds=60.0) as recorder:
        recorder.log("recorded.made", {"n": 2}, correlation_id=run)
        time.sleep(0.3)
        assert recorder.pending == 1

    assert stored_numbers(client, run) == [0, 1, 0, 1, 2, 0, 1, 2]


def test_events_wait_on_disk_while_the_server_is_away(
    client: Synap, server: Server, spool: Path, run: str, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    recorder = Synap(f"http://127.0.0.1:{port}", server.token).recorder(spool=spool, max_backoff_seconds=0.3)
    for n in range(5):
        recorder.log("recorded.away", {"n": n}, correlation_id=run)
    assert not recorder.flush(0.5)
    until(lambda: "ConnectionLost" in repr(recorder.last_error))
    assert "events wait" in caplog.text

    with _forward(port, server):
        assert recorder.flush(20)
        assert repr(recorder.last_error) == "None"
        assert recorder.close()

    assert stored_numbers(client, run) == list(range(5))


@contextmanager
def _forward(port: int, server: Server) -> Iterator[None]:
    """Forward a port to the server during the block."""
    with subprocess.Popen([sys.executable, "-c", FORWARD, str(port), server.url.rpartition(":")[2]]) as process:
        try:
            yield
        finally:
            process.kill()


FORWARD = """
import asyncio, sys

async def copy(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()

async def carry(reader, writer):
    reader_behind, writer_behind = await asyncio.open_connection("127.0.0.1", int(sys.argv[2]))
    await asyncio.gather(copy(reader, writer_behind), copy(reader_behind, writer), return_exceptions=True)

async def main():
    await (await asyncio.start_server(carry, "127.0.0.1", int(sys.argv[1]))).serve_forever()

asyncio.run(main())
"""

KILLED = """
import os, signal
recorder = client.recorder(spool=spool, batch_seconds=60.0)
for n in range(count):
    recorder.log("recorded.killed", {"n": n}, correlation_id=run)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_only_the_user_of_the_process_reads_a_spool(client: Synap, spool: Path, run: str) -> None:
    umask = os.umask(0)
    try:
        with client.recorder(spool=spool, batch_seconds=60.0) as recorder:
            (spool / "rejected.ndjson").touch(mode=0o666)
            recorder.log("bad", {"n": 0}, correlation_id=run)
            [journal] = spool.glob("j-*")
            modes = {path.stat().st_mode & 0o777 for path in (spool, journal)}
            assert recorder.flush(30)
            paths = [path for path in spool.rglob("*") if path.is_file()]
            files = {path.name: path.stat().st_mode & 0o777 for path in paths}
    finally:
        os.umask(umask)

    assert modes == {0o700}
    assert {"rejected.ndjson", "spool.json", "lock"} <= files.keys()
    assert set(files.values()) == {0o600}


def test_what_a_killed_process_logged_is_sent_by_the_next(client: Synap, server: Server, spool: Path, run: str) -> None:
    assert script(server, KILLED, spool=str(spool), run=run, count=20).returncode == -signal.SIGKILL
    assert stored_numbers(client, run) == []
    [journal] = spool.glob("j-*")
    with (journal / "00000001.events").open("ab") as segment:
        segment.write(b'0badc0de {"torn":')

    with client.recorder(spool=spool) as recorder:
        recorder.log("recorded.next", {"n": 20}, correlation_id=run)
        assert recorder.flush(20)

    assert sorted(stored_numbers(client, run)) == list(range(21))
    assert (spool / "damaged").read_bytes() == b'0badc0de {"torn":\n'
    assert _journals(spool) == []


def test_a_journal_is_read_whole_however_it_was_cut(client: Synap, server: Server, spool: Path, run: str) -> None:
    """It is cut at each byte of the last line; also, a byte in the middle is inverted."""
    assert script(server, KILLED, spool=str(spool), run=run, count=3).returncode == -signal.SIGKILL
    [journal] = spool.glob("j-*")
    content = (journal / "00000001.events").read_bytes()
    lines = content.splitlines(keepends=True)
    kept = spool.parent / "kept"
    spool.rename(kept)
    cuts = range(len(content) - len(lines[-1]), len(content), 29)
    spoiled = [(content[:cut], [0, 1]) for cut in cuts]
    spoiled.append((lines[0] + lines[1].replace(b"recorded", b"recordeD") + lines[2], [0, 2]))
    spoiled.append((lines[0] + bytes(100) + b"\n" + lines[1] + lines[2], [0, 1, 2]))

    for place, (left, numbers) in enumerate(spoiled):
        again = spool.with_name(f"spool{place}")
        shutil.copytree(kept, again)
        (again / journal.name / "00000001.events").write_bytes(left)
        taken: list[Rejected] = []
        recorder = client.recorder(spool=again, on_rejected=taken.append)
        assert recorder.flush(20)
        recorder.close()
        assert _journals(again) == []
        assert {event.data["n"] for event in client.list(correlation_id=run)} >= set(numbers)
        whole = b"".join(lines[number] for number in numbers)
        assert (again / "damaged").exists() == (left != whole)
        assert taken == []

    assert sorted(stored_numbers(client, run)) == [0, 1, 2]


def test_a_journal_whose_owner_lives_is_left_alone(client: Synap, spool: Path, run: str) -> None:
    waiting = client.recorder(spool=spool, batch_seconds=60.0)
    waiting.log("recorded.waiting", {"n": 0}, correlation_id=run)

    with client.recorder(spool=spool) as other:
        other.log("recorded.other", {"n": 1}, correlation_id=run)
        assert other.flush(20)
        assert stored_numbers(client, run) == [1]

    assert len(_journals(spool)) == 1
    assert waiting.close()
    assert stored_numbers(client, run) == [1, 0]


def test_permanently_rejected_events_are_set_aside(
    client: Synap, spool: Path, run: str, caplog: pytest.LogCaptureFixture
) -> None:
    taken = client.log("recorded.taken", {"n": -1})
    told: list[Rejected] = []

    with client.recorder(spool=spool, batch_seconds=60.0, on_rejected=told.append) as recorder:
        for n in range(50):
            recorder.log("recorded.good", {"n": n}, correlation_id=run)
            if n % 10 == 0:
                recorder.log("bad", {"n": n}, correlation_id=run)
            if n == 15:
                recorder.log("recorded.conflict", {"n": n}, id=taken.id, correlation_id=run)
            if n == 25:
                recorder.log("recorded.large", {"n": n, "text": "x" * 2**20}, correlation_id=run)
        assert recorder.flush(30)
        assert (recorder.pending, recorder.rejected) == (0, 7)

    assert stored_numbers(client, run) == list(range(50))
    reasons = [(each.error, each.event["type"]) for each in told]
    assert sorted(reasons) == [
        ("Conflict", "recorded.conflict"),
        *[("InvalidInput", "bad")] * 5,
        ("PayloadTooLarge", "recorded.large"),
    ]
    assert {issue.path for each in told for issue in each.issues} == {"type"}
    assert [each.hash for each in told if each.error == "Conflict"] == [taken.hash]
    lines = [json.loads(line) for line in (spool / "rejected.ndjson").read_text().splitlines()]
    assert [line["event"]["id"] for line in lines] == [each.event["id"] for each in told]
    assert caplog.text.count("was rejected") == 7


def test_another_users_events_are_set_aside_though_the_key_may_write(client: Synap, run: str) -> None:
    key = client.call("keys.create", {"userId": "ann", "scopes": ["events:write"], "workspaces": ["default"]})
    told: list[Rejected] = []

    with Synap(client.url, key["token"]).recorder(on_rejected=told.append) as recorder:
        recorder.log("recorded.mine", {"n": 0}, correlation_id=run)
        recorder.log("recorded.others", {"n": 1}, correlation_id=run, user_id="bob")
        recorder.log("recorded.mine", {"n": 2}, correlation_id=run)
        assert recorder.flush(20)

    assert stored_numbers(client, run) == [0, 2]
    assert [(each.error, each.event["data"]) for each in told] == [("Forbidden", {"n": 1})]


@pytest.mark.parametrize("scopes", [None, ["events:read"]], ids=["revoked", "no scope"])
def test_a_key_that_may_not_write_is_no_fault_of_the_events(client: Synap, run: str, scopes: list[str] | None) -> None:
    if scopes is None:
        token = "sk_unknown"
    else:
        made = client.call("keys.create", {"userId": "ann", "scopes": scopes, "workspaces": ["default"]})
        token = made["token"]
    tokens = [token]
    with Synap(client.url, lambda: tokens[0]).recorder(max_backoff_seconds=0.2) as recorder:
        recorder.log("recorded.waits", {"n": 0}, correlation_id=run)
        assert not recorder.flush(0.7)
        assert (recorder.pending, recorder.rejected) == (1, 0)

        new = client.call("keys.create", {"userId": "ann", "scopes": ["events:write"], "workspaces": ["default"]})
        tokens[0] = new["token"]
        assert recorder.flush(10)

    assert stored_numbers(client, run) == [0]


def test_a_key_that_is_renewed_while_it_is_rejected_costs_no_event(client: Synap, run: str) -> None:
    reading, writing = (
        client.call("keys.create", {"userId": "ann", "scopes": [scope], "workspaces": ["default"]})["token"]
        for scope in ("events:read", "events:write")
    )
    tokens = iter([reading])
    with Synap(client.url, lambda: next(tokens, writing)).recorder() as recorder:
        recorder.log("recorded.renewed", {"n": 0}, correlation_id=run)
        assert recorder.flush(10)
        assert recorder.rejected == 0

    assert stored_numbers(client, run) == [0]


@pytest.mark.parametrize("on_disk", [True, False])
def test_a_full_spool_is_an_error_and_takes_more_when_there_is_room(
    client: Synap,
    server: Server,
    spool: Path,
    run: str,
    on_disk: bool,  # noqa: FBT001
) -> None:
    port = free_port()
    recorder = Synap(f"http://127.0.0.1:{port}", server.token).recorder(
        spool=spool if on_disk else None, max_bytes=8000, max_backoff_seconds=0.2
    )
    logged: list[int] = []
    with pytest.raises(SpoolFull, match=r"bytes wait.*the maximum is 8000"):
        _fill(recorder, run, logged)
    assert 10 < len(logged) < 100
    assert sum(path.stat().st_size for path in spool.rglob("*") if path.is_file()) <= 8000

    with _forward(port, server):
        assert recorder.flush(20)
        until(lambda: _takes(recorder, run))
        assert recorder.close()

    assert stored_numbers(client, run) == [*logged, -1]


def _fill(recorder: Recorder, run: str, logged: list[int]) -> None:
    for n in range(1000):
        recorder.log("recorded.full", {"n": n}, correlation_id=run)
        logged.append(n)


def _takes(recorder: Recorder, run: str) -> bool:
    try:
        recorder.log("recorded.full", {"n": -1}, correlation_id=run)
    except SpoolFull:
        return False
    return True


LIMITED = """
import resource
recorder = client.recorder(spool=spool, fsync="never", batch_seconds=60.0)
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
kept, lost = [], []
for n in range(40):
    try:
        recorder.log("recorded.limited", {"n": n}, correlation_id=run)
        kept.append(n)
    except SpoolError as error:
        assert type(error) is SpoolError and error.id
        lost.append(n)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(kept, lost)
assert recorder.flush(20)
"""


def test_a_disk_that_is_full_in_the_middle_of_a_line_spoils_no_other(
    client: Synap, server: Server, spool: Path, run: str
) -> None:
    ran = script(server, LIMITED, spool=str(spool), run=run, limit=3001)

    assert (ran.returncode, ran.stderr) == (0, "")
    [lost] = set(range(40)) - set(stored_numbers(client, run))
    assert ran.stdout.endswith(f"[{lost}]\n")
    assert stored_numbers(client, run) == [n for n in range(40) if n != lost]
    assert not (spool / "damaged").exists()


FULL = """
import resource
recorder = client.recorder(spool=spool, fsync="never", batch_seconds=60.0, max_backoff_seconds=0.1)
for n in range(10):
    recorder.log(type, {"n": n}, correlation_id=run)
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
assert not recorder.flush(0.5)
assert "spool cannot be written" in str(recorder.last_error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert recorder.flush(10)
print(recorder.pending, recorder.rejected)
"""


def test_a_place_that_cannot_be_written_is_written_later(client: Synap, server: Server, spool: Path, run: str) -> None:
    ran = script(server, FULL, spool=str(spool), run=run, type="recorded.full", limit=0)

    assert (ran.returncode, ran.stdout) == (0, "0 0\n"), ran.stderr
    assert stored_numbers(client, run) == list(range(10))


def test_a_rejected_event_is_written_down_whole_and_once(server: Server, spool: Path, run: str) -> None:
    ran = script(server, FULL, spool=str(spool), run=run, type="bad", limit=1000)

    assert (ran.returncode, ran.stdout) == (0, "0 10\n"), ran.stderr
    lines = (spool / "rejected.ndjson").read_text().splitlines()
    assert [json.loads(line)["event"]["data"]["n"] for line in lines] == list(range(10))


def test_no_handler_is_called_while_logging_threads_wait(client: Synap, server: Server, spool: Path, run: str) -> None:
    """A log handler may wait for a thread that logs an event. So logging an event must never wait for a handler."""
    port = free_port()
    recorder = Synap(f"http://127.0.0.1:{port}", server.token).recorder(spool=spool, max_backoff_seconds=0.2)
    told: list[tuple[str, bool]] = []

    class Waiting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            thread = threading.Thread(target=recorder.log, args=("recorded.told", {"n": 1}))
            thread.start()
            thread.join(5)
            told.append((str(record.msg), thread.is_alive()))

    logger, handler = logging.getLogger("synap_client"), Waiting()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        recorder.log("recorded.told", {"n": 0}, correlation_id=run)
        until(lambda: recorder.last_error)
        with _forward(port, server):
            assert recorder.close(20)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)

    assert told == [("events wait: %s: %s", False), ("events are sent again", False)]
    assert stored_numbers(client, run) == [0]


def test_events_wait_for_a_token_that_cannot_be_had(client: Synap, server: Server, run: str) -> None:
    given = threading.Event()

    def token() -> str:
        if not given.is_set():
            raise LookupError("no token yet")
        return server.token

    recorder = Synap(server.url, token).recorder()
    recorder.log("recorded.early", {"n": 0}, correlation_id=run)
    until(lambda: recorder.last_error)
    assert "LookupError: no token yet" in str(recorder.last_error)
    given.set()

    assert recorder.close(20)
    assert recorder.last_error is None
    assert stored_numbers(client, run) == [0]


def test_a_flush_that_ends_lets_another_one_go_on(client: Synap, server: Server, run: str) -> None:
    port = free_port()
    recorder = Synap(f"http://127.0.0.1:{port}", server.token).recorder(batch_seconds=60.0, max_backoff_seconds=0.2)
    recorder.log("recorded.flushed", {"n": 0}, correlation_id=run)
    assert not recorder.flush(0.2)
    recorder.log("recorded.flushed", {"n": 1}, correlation_id=run)

    flushed: list[bool] = []
    waiting = threading.Thread(target=lambda: flushed.append(recorder.flush(60)))
    waiting.start()
    assert not recorder.flush(0.2)
    with _forward(port, server):
        waiting.join()
        assert flushed == [True]
        assert recorder.close()

    assert stored_numbers(client, run) == [0, 1]


def test_two_events_of_one_id_are_one_or_a_conflict(client: Synap, spool: Path, run: str) -> None:
    told: list[Rejected] = []
    with client.recorder(spool=spool, batch_seconds=60.0, on_rejected=told.append) as recorder:
        at = datetime(2026, 1, 1, tzinfo=UTC)
        for n in (1, 1, 2):
            recorder.log("recorded.twice", {"n": n}, id=run, correlation_id=run, occurred_at=at)
        recorder.log("recorded.twice", {"n": 3}, correlation_id=run)
        assert recorder.flush(20)

    assert stored_numbers(client, run) == [1, 3]
    assert [each.event["data"] for each in told] == [{"n": 2}]


def test_a_logger_that_may_wait_is_held_back_and_loses_nothing(client: Synap, spool: Path, run: str) -> None:
    with client.recorder(spool=spool, max_bytes=6000, full_wait_seconds=20.0, fsync="never") as recorder:
        for n in range(200):
            recorder.log("recorded.held", {"n": n}, correlation_id=run)

    assert stored_numbers(client, run) == list(range(200))


def test_events_left_in_memory_at_the_end_are_reported(away: Synap) -> None:
    told: list[Rejected] = []
    recorder = away.recorder(on_rejected=told.append, exit_seconds=0.1)
    ids = [recorder.log("recorded.lost", {"n": n}) for n in range(3)]

    assert not recorder.close()

    assert [each.event["id"] for each in told] == ids
    with pytest.raises(SpoolError, match="closed"):
        recorder.log("recorded.lost", {})


def test_the_end_of_a_program_sends_what_waits(client: Synap, server: Server, spool: Path, run: str) -> None:
    text = 'client.recorder(spool=spool, batch_seconds=60.0).log("recorded.end", {"n": n}, correlation_id=run)\n'

    for n, where in enumerate((None, str(spool))):
        ran = script(server, text, spool=where, run=run, n=n)
        assert (ran.returncode, ran.stderr) == (0, "")

    assert stored_numbers(client, run) == [0, 1]


BROKEN = """
import httpx
class Broken(httpx.Client):
    def close(self):
        super().close()
        raise RuntimeError("broken")
clients = [Synap(url, token, http=Broken) for _ in range(3)]
for n, each in enumerate(clients):
    each.recorder(batch_seconds=60.0).log("recorded.end", {"n": n}, correlation_id=run)
"""


def test_a_recorder_that_cannot_be_closed_keeps_no_other_from_its_end(client: Synap, server: Server, run: str) -> None:
    ran = script(server, BROKEN, url=server.url, token=server.token, run=run)

    assert ran.stderr.count("could not be closed") == 3
    assert sorted(stored_numbers(client, run)) == [0, 1, 2]


FORKED = """
import multiprocessing, os
recorder = client.recorder(spool=spool, batch_seconds=60.0)
def log(n):
    recorder.log("recorded.forked", {"n": n}, correlation_id=run)
log(0)
child = os.fork()
if child == 0:
    log(1)
    recorder.close()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
process = multiprocessing.get_context("fork").Process(target=log, args=(2,))
process.start()
process.join()
assert recorder.pending == 1
log(3)
assert recorder.flush(20)
"""


@pytest.mark.parametrize("on_disk", [True, False])
def test_a_forked_child_logs_its_own_and_not_its_parents(
    client: Synap,
    server: Server,
    spool: Path,
    run: str,
    on_disk: bool,  # noqa: FBT001
) -> None:
    ran = script(server, FORKED, spool=str(spool) if on_disk else None, run=run)

    assert (ran.returncode, ran.stderr) == (0, "")
    assert sorted(stored_numbers(client, run)) == [0, 1, 2, 3]
    assert _journals(spool) == []


def test_threads_log_at_once(client: Synap, spool: Path, run: str) -> None:
    with client.recorder(spool=spool) as recorder:

        def log(start: int) -> None:
            for n in range(start, start + 50):
                recorder.log("recorded.thread", {"n": n}, correlation_id=run)

        threads = [threading.Thread(target=log, args=(start,)) for start in range(0, 400, 50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert recorder.flush(20)

    assert sorted(stored_numbers(client, run)) == list(range(400))


def test_a_spool_is_for_one_server_and_workspace(client: Synap, away: Synap, spool: Path) -> None:
    client.recorder(spool=spool).close()

    with pytest.raises(SpoolError, match="another server or workspace"):
        away.recorder(spool=spool)
    with pytest.raises(SpoolError):
        client.recorder(spool="/dev/null/spool")


def test_events_that_are_no_json_are_rejected_where_they_are_logged(client: Synap) -> None:
    with client.recorder() as recorder, pytest.raises(InvalidInput):
        recorder.log("recorded.bad", {"n": float("nan")})


def test_a_callback_that_fails_stops_nothing(client: Synap, run: str) -> None:
    def fail(_: Rejected) -> None:
        raise RuntimeError("mine")

    with client.recorder(on_rejected=fail) as recorder:
        recorder.log("bad", {})
        recorder.log("recorded.good", {"n": 0}, correlation_id=run)
        assert recorder.flush(20)

    assert stored_numbers(client, run) == [0]


@pytest.mark.parametrize("on_disk", [True, False])
def test_the_async_recorder_does_the_same(
    client: Synap,
    server: Server,
    spool: Path,
    run: str,
    on_disk: bool,  # noqa: FBT001
) -> None:
    told: list[Rejected] = []
    where = spool if on_disk else None

    async def main() -> None:
        async with AsyncSynap(server.url, server.token) as loop_client:
            async with loop_client.recorder(spool=where, on_rejected=told.append, batch_events=30) as recorder:
                for n in range(100):
                    await recorder.log("recorded.async", {"n": n}, correlation_id=run)
                await recorder.log("bad", {})
                assert await recorder.flush(20)
                assert (recorder.pending, recorder.rejected) == (0, 1)
                await recorder.log("recorded.async", {"n": 100}, correlation_id=run)
            full = AsyncSynap(f"http://127.0.0.1:{free_port()}", "sk_x").recorder(max_bytes=500, exit_seconds=0.1)
            await full.log("recorded.full", {})
            with pytest.raises(SpoolFull):
                await full.log("recorded.full", {"text": "x" * 500})
            assert not await full.close()

    asyncio.run(main())

    assert stored_numbers(client, run) == list(range(101))
    assert [each.event["type"] for each in told] == ["bad"]
    assert _journals(spool) == []


def test_what_the_async_recorder_left_in_its_spool_is_sent_by_the_next(
    client: Synap, server: Server, spool: Path, run: str
) -> None:
    port = free_port()

    async def main(url: str, n: int) -> bool:
        async with AsyncSynap(url, server.token) as loop_client:
            recorder = loop_client.recorder(spool=spool, exit_seconds=10.0 if n else 0.1)
            await recorder.log("recorded.async", {"n": n}, correlation_id=run)
            return await recorder.close()

    url = f"http://127.0.0.1:{port}"
    assert not asyncio.run(main(url, 0))
    with _forward(port, server):
        until(lambda: _listens(url))
        assert asyncio.run(main(url, 1))

    assert sorted(stored_numbers(client, run)) == [0, 1]


def _listens(url: str) -> bool:
    try:
        Synap(url, "sk_x", retry_seconds=0).list()
    except Unauthorized:
        return True
    except Exception:  # noqa: BLE001 - not ready yet
        return False
    return True
