"""Every long command ends on signals, however many arrive, and whatever it is doing.

Each state is tested `STOP_ROUNDS` times, each time with other signals.
"""

import itertools
import os
import random
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from msgspec import Struct

from app.store.postgres.data_directory import hold
from app.store.postgres.embedded import postgres
from benchmarks.process import free_port
from tests.acceptance.writers import writing
from tests.kit.checks import check_log
from tests.kit.command import SYNAP, Process
from tests.kit.installs import copy
from tests.kit.servers import Server, environment, serving, until

ROUNDS = int(os.environ.get("STOP_ROUNDS", "2"))
STOP_SECONDS = 20
AT_ONCE_SECONDS = 10
"""The limit for a process that must end at once. It is much more than that takes, because machines may be busy."""


class Signals(Struct, frozen=True):
    """Signals that arrive close together."""

    number: signal.Signals
    times: int
    gap_seconds: float
    to_group: bool
    within_seconds: float = 1
    """A signal that would be sent later is left out. After two seconds it would be another request."""

    def send(self, process: Process | subprocess.Popen[bytes]) -> None:
        """Send the signals to a process or to its group, until it has ended."""
        last_at = time.monotonic() + self.within_seconds
        for _ in range(self.times):
            if process.poll() is None and time.monotonic() < last_at:
                with suppress(ProcessLookupError):  # it has just ended
                    (os.killpg if self.to_group else os.kill)(process.pid, self.number)
                time.sleep(self.gap_seconds)


def _rounds(seed: str) -> list[Signals]:
    """The signals of each round: SIGINT and SIGTERM in turns, the rest at random, but the same in each run."""
    chosen = random.Random(seed)
    numbers = itertools.cycle(chosen.sample([signal.SIGINT, signal.SIGTERM], 2))
    return [
        Signals(
            next(numbers), chosen.choice([1, 2, 2, 5]), chosen.choice([0, 0.001, 0.01, 0.05]), chosen.random() < 0.5
        )
        for _ in range(ROUNDS)
    ]


@pytest.fixture(scope="module")
def data_dir(first_started: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One data directory for all servers of this module: each start proves that the previous server released it.

    It has an install, which commands need.
    """
    return copy(first_started, tmp_path_factory.mktemp("stop") / "data")


@pytest.mark.parametrize("state", ["idle", "under load", "database frozen"])
def test_a_server_stops_and_keeps_what_it_acknowledged(data_dir: Path, state: str) -> None:
    acknowledged: dict[str, dict[str, Any]] = {}
    for signals in _rounds(state):
        with serving(data_dir) as server, writing([server], clients=1 if state == "idle" else 64) as writers:
            until(lambda: len(writers.acknowledged) > (0 if state == "idle" else 100), seconds=60)
            if state == "idle":
                writers.stop()
            if state == "database frozen":
                _freeze(data_dir)
            _assert_stops(server, signals, data_dir, STOP_SECONDS)
            writers.stop()
        acknowledged |= writers.acknowledged

    with postgres(data_dir, ours=True) as url:
        stored = {event["event_id"]: event["hash"] for event in check_log(url)}
    assert {id_: event["hash"] for id_, event in acknowledged.items()}.items() <= stored.items()


def test_a_second_signal_stops_a_server_at_once(data_dir: Path) -> None:
    with serving(data_dir) as server:
        _freeze(data_dir)  # the server waits for the frozen database
        server.process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            server.process.wait(timeout=2.1)
        # One that follows the first too soon is the same request, so it is sent again while the process is slow.
        _assert_stops(
            server, Signals(signal.SIGINT, 50, 0.1, to_group=False, within_seconds=5), data_dir, AT_ONCE_SECONDS
        )


def test_a_server_kills_a_database_that_never_ends(data_dir: Path) -> None:
    with serving(data_dir) as server, _frozen_again(data_dir):
        _assert_stops(server, Signals(signal.SIGTERM, 1, 0, to_group=False), data_dir, 2 * STOP_SECONDS)


def test_a_server_that_starts_stops(tmp_path: Path) -> None:
    """Every other start also creates the database."""
    moments = random.Random(0)
    for number, signals in enumerate(_rounds("starting")):
        data_dir = tmp_path / str(number // 2)
        seconds = moments.uniform(0, 3 if number % 2 == 0 else 1.5)
        with _started(data_dir, "serve", port=free_port()) as (process, said):
            _meet(process, seconds)
            code = _ended(process, signals, STOP_SECONDS)
        assert code == 0, (seconds, signals, said.read_text())
        _assert_no_traceback(said)
        assert not _postmaster_file(data_dir).exists(), "the embedded PostgreSQL still runs"

    with serving(tmp_path / "0") as server:
        assert server.mutate("events.log", {"type": "note.created", "data": {}}).status_code == 200


COMMANDS = {
    "import": ("import", "-"),
    "export": ("export",),
    "verify": ("verify", "-"),
    "tail": ("tail",),
}
"""None of them ends by itself: nobody closes its input, reads its output or stops its server."""


def test_long_commands_end(data_dir: Path) -> None:
    with serving(data_dir) as server:
        more_than_a_pipe_holds = {"type": "note.created", "data": {"text": "x" * 300_000}}
        assert server.mutate("events.log", more_than_a_pipe_holds).status_code == 200
        for name, command in COMMANDS.items():
            for number, signals in enumerate(_rounds(name)):
                with _started(data_dir, *command, port=server.url.rpartition(":")[2]) as (process, said):
                    _meet(process, 3 * number / ROUNDS)
                    code = _ended(process, signals, AT_ONCE_SECONDS)
                assert code == (0 if name == "tail" else 128 + signals.number), (name, signals, said.read_text())
                _assert_no_traceback(said)
        assert server.ready()  # the server is not in the commands' process groups


def test_a_command_that_is_stopped_stops_the_database_that_it_started(data_dir: Path) -> None:
    for number, signals in enumerate(_rounds("alone")):
        with _started(data_dir, "import", "-") as (process, said):
            _meet(process, 4 * number / ROUNDS)
            code = _ended(process, signals, STOP_SECONDS)
        assert code == 128 + signals.number, said.read_text()
        _assert_no_traceback(said)
        assert not _postmaster_file(data_dir).exists(), "the embedded PostgreSQL still runs"


def test_an_export_that_is_stopped_leaves_no_file(data_dir: Path, tmp_path: Path) -> None:
    # It has begun its file when it waits for the database of who holds the data directory.
    with hold(data_dir), _started(data_dir, "export", "-o", str(tmp_path / "bundle.json")) as (process, said):
        until(lambda: any(tmp_path.iterdir()))
        code = _ended(process, Signals(signal.SIGTERM, 2, 0.01, to_group=True), STOP_SECONDS)

    assert code == 143, said.read_text()
    assert not any(tmp_path.iterdir())


def _assert_stops(server: Server, signals: Signals, data_dir: Path, seconds: float) -> None:
    assert _ended(server.process, signals, seconds) == 0, (signals, server.log.read_text())
    _assert_no_traceback(server.log)
    assert not _postmaster_file(data_dir).exists(), "the embedded PostgreSQL still runs"


def _ended(process: Process | subprocess.Popen[bytes], signals: Signals, seconds: float) -> int:
    """Send the signals to a process, and return its exit code."""
    started = time.monotonic()
    signals.send(process)
    try:
        return process.wait(timeout=seconds - (time.monotonic() - started))
    except subprocess.TimeoutExpired:
        pytest.fail(f"{process.args!r} did not end within {seconds} s of {signals}")


def _assert_no_traceback(said: Path) -> None:
    text = said.read_text()
    assert "Traceback" not in text, text


@contextmanager
def _started(data_dir: Path, *command: str, **settings: object) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """Start a command in a process group of its own. Its input stays open, and nobody reads its output.

    Yields the process and its errors.
    """
    data_dir.mkdir(exist_ok=True, parents=True)
    said = data_dir / "said.log"
    with (
        said.open("wb") as errors,
        subprocess.Popen(
            [SYNAP, *command],
            env=environment(data_dir, **settings),
            cwd=data_dir,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        ) as process,
    ):
        try:
            yield process, said
        finally:
            process.kill()


def _meet(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Wait until `seconds` after the first line of a process.

    An earlier signal would reach Python before our code runs.
    """
    status = Path(f"/proc/{process.pid}/status")

    def begun() -> bool:
        blocked = re.search(r"^SigBlk:\s*(\w+)$", status.read_text(), re.MULTILINE)
        return blocked is not None and bool(int(blocked[1], 16) >> (signal.SIGTERM - 1) & 1)

    if status.exists():  # only Linux reports this
        until(begun)
    time.sleep(seconds)


def _freeze(data_dir: Path) -> None:
    """Freeze all processes of the database."""
    postmaster = psutil.Process(int(_postmaster_file(data_dir).read_text().split()[0]))
    for process in (postmaster, *postmaster.children(recursive=True)):
        process.suspend()


@contextmanager
def _frozen_again(data_dir: Path) -> Iterator[None]:
    """Freeze the database's first process again soon after it is resumed, during the block."""
    _freeze(data_dir)
    pid = int(_postmaster_file(data_dir).read_text().split()[0])
    over = threading.Event()

    def freeze() -> None:
        with suppress(ProcessLookupError):  # it has ended
            while not over.wait(0.001):
                os.kill(pid, signal.SIGSTOP)

    thread = threading.Thread(target=freeze)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _postmaster_file(data_dir: Path) -> Path:
    """The file that PostgreSQL removes after an orderly shutdown."""
    return data_dir / "postgres" / "postmaster.pid"
