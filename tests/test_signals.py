"""How a process reacts to signals that stop it, and behaviour of libraries that it must avoid."""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context, resource_tracker
from pathlib import Path

import pytest
from granian.server import MPServer

from app.signals import SIGNALS, held_back
from tests.kit.servers import until

WATCHING = """
import sys, time
from app.signals import Stop

def say(word):
    print(word, flush=True)

stop = Stop(finish_seconds={finish}, again_seconds=0.3)
stop.watch({code})
"""

ANYWHERE = "say('here')\ntime.sleep(60)"
IN_A_BLOCK = """
ended = []
with stop.finishing(lambda: ended.append(1)):
    say('here')
    while not ended:
        time.sleep(0.01)
say('finished')
stop.check()
say('never')
"""
IN_A_BLOCK_WITHOUT_END = """
undone = open(sys.argv[1], 'ab', buffering=0)
with stop.before_end(lambda: undone.write(b'first ')), stop.before_end(lambda: 1 / 0):
    with stop.before_end(lambda: undone.write(b'last ')), stop.finishing():
        say('here')
        time.sleep(60)
"""
WHILE_IT_FAILS = """
import threading
undone = threading.Event()
try:
    with stop.before_end(lambda: (undone.set(), time.sleep(0.5))):
        say('here')
        undone.wait()
        raise RuntimeError('what was undone is missed')
finally:
    stop.hold()
"""


@pytest.fixture(autouse=True)
def hang_ups() -> Iterator[None]:
    """Set SIGHUP as in a terminal, even if the tests were started by nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@contextmanager
def _process(
    program: str, *arguments: str, finish: float = 60, code: int | None = None
) -> Iterator[subprocess.Popen[str]]:
    """A process that has reached `say('here')`."""
    text = WATCHING.format(finish=finish, code=code) + program
    started = subprocess.Popen(
        [sys.executable, "-c", text, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert started.stdout is not None
    with started:
        try:
            assert started.stdout.readline() == "here\n"
            yield started
        finally:
            started.kill()


@pytest.mark.parametrize(
    ("number", "code", "ended"),
    [
        pytest.param(signal.SIGINT, None, 130, id="SIGINT"),
        pytest.param(signal.SIGTERM, None, 143, id="SIGTERM"),
        pytest.param(signal.SIGHUP, None, 129, id="SIGHUP"),
        pytest.param(signal.SIGINT, 0, 0, id="a command that ends so"),
    ],
)
def test_a_signal_ends_a_process_at_once(number: signal.Signals, code: int | None, ended: int) -> None:
    with _process(ANYWHERE, code=code) as process:
        process.send_signal(number)
        said = process.communicate(timeout=60)

    assert (process.returncode, *said) == (ended, "", "")


def test_a_block_is_finished_first() -> None:
    with _process(IN_A_BLOCK) as process:
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=60)

    assert (process.returncode, *said) == (143, "finished\n", "")


@pytest.mark.parametrize("reason", ["again", "limit"])
def test_a_block_that_does_not_end_is_ended(reason: str, tmp_path: Path) -> None:
    undone = tmp_path / "undone"
    with _process(IN_A_BLOCK_WITHOUT_END, str(undone), finish=0.5 if reason == "limit" else 60) as process:
        process.send_signal(signal.SIGINT)
        if reason == "again":
            until(partial(_ends_when_asked_again, process))
        said = process.communicate(timeout=60)

    assert (process.returncode, *said) == (130, "", "")
    assert undone.read_text() == "last first "


def _ends_when_asked_again(process: "subprocess.Popen[str]") -> bool:
    """Ask a process again. A signal that follows the first one too soon counts as the same request."""
    process.send_signal(signal.SIGTERM)
    return process.poll() is not None


def test_what_fails_because_the_process_ends_is_not_shown() -> None:
    with _process(WHILE_IT_FAILS) as process:
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=60)

    assert (process.returncode, *said) == (143, "", "")


def test_a_process_that_outlives_its_terminal_ignores_that_it_closes() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup sets it
    try:
        with _process(IN_A_BLOCK) as process:
            process.send_signal(signal.SIGHUP)
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)
    finally:
        signal.signal(signal.SIGHUP, before)

    assert process.returncode == 130


def test_a_spawned_process_gets_no_signal_that_ends_us() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with held_back():
        process = get_context("spawn").Process(target=_end_with_what_is_blocked)
        process.start()
    process.join(60)

    assert process.exitcode == 0
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


def test_granians_handler_waits_for_a_lock_that_its_thread_may_hold() -> None:
    """If this fails, granian has fixed it: reconsider the workaround in `app.server.workers.Processes`."""
    server = MPServer("app")
    handler = threading.Thread(target=server.signal_handler_interrupt, daemon=True)
    with server.main_loop_interrupt._cond:  # type: ignore[attr-defined] # noqa: SLF001 - what `Event.wait` holds
        handler.start()
        handler.join(0.5)
        assert handler.is_alive()
    handler.join(60)

    assert not handler.is_alive()


def test_the_resource_tracker_unblocks_signals_when_it_starts() -> None:
    """If this fails, Python has fixed it, and `held_back` need not start the tracker first any more."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        resource_tracker.ResourceTracker().ensure_running()
        assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with_what_is_blocked() -> None:
    sys.exit(0 if signal.pthread_sigmask(signal.SIG_BLOCK, ()) >= SIGNALS else 1)
