"""Ends a process when it gets a signal.

A process of ours that called `watch` is never interrupted. The signals are blocked in every thread, so no handler runs:
neither ours nor a library's (granian's takes a lock that the main thread may hold). One thread waits for them. Its
action depends on the state of the process:

- Outside of every block below, it ends the process at once.
- Inside `finishing` it tells the block to end, which has `FINISH_SECONDS`.
- A signal that comes `AGAIN_SECONDS` or more after the first one ends the process at once.

If it ends the process at once, it first calls what `before_end` was given, newest first.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

SIGNALS = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})

FINISH_SECONDS = 12.0
"""The time in which a process must finish. What `before_end` was given may take 6 seconds more: less than 20 in all."""

AGAIN_SECONDS = 2.0
"""Signals that come sooner after the first one are the same request: `make` passes on what its group gets too."""


class Stop:
    """What this process does on a signal. It does nothing before `watch`."""

    def __init__(self, *, finish_seconds: float = FINISH_SECONDS, again_seconds: float = AGAIN_SECONDS) -> None:
        self._finish_seconds = finish_seconds
        self._again_seconds = again_seconds
        self.signal: int | None = None
        """The first signal that came."""
        self._exit_code: int | None = None
        self._watcher: threading.Thread | None = None
        self._lock = threading.RLock()  # the thread that ends the process keeps it
        self._tells: list[Callable[[], object]] = []
        self._undoes: list[Callable[[], object]] = []

    @property
    def exit_code(self) -> int:
        """The exit code of a process that was told to stop: by default 128 + the signal, as in shells."""
        return 128 + (self.signal or 0) if self._exit_code is None else self._exit_code

    def watch(self, exit_code: int | None = None) -> None:
        """Wait for signals from now on. Call it once, in the main thread, before other threads start."""
        self._exit_code = exit_code
        # With nohup the process must outlive its terminal.
        signals = {each for each in SIGNALS if each != signal.SIGHUP or signal.getsignal(each) != signal.SIG_IGN}
        self._watcher = threading.Thread(target=self._wait, args=(signals,), daemon=True)
        for each in signals:
            signal.signal(each, self._pass_on)
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)
        self._watcher.start()

    @contextmanager
    def finishing(self, tell: Callable[[], object] = lambda: None) -> Iterator[None]:
        """A block that may finish first. `tell` asks it to end; it runs in another thread, or at the start.

        After the block, call `check`, or go on to the end of the process.
        """
        with self._lock:
            self._tells.append(tell)
            if self.signal is not None:
                tell()
        try:
            yield
        finally:
            with self._lock:
                self._tells.remove(tell)

    @contextmanager
    def before_end(self, undo: Callable[[], object]) -> Iterator[None]:
        """A block during which `undo` runs before the process is ended at once. Otherwise it does not run.

        `undo` runs in another thread, perhaps while the block does the same, and may take a few seconds.
        """
        with self._lock:
            self._undoes.append(undo)
        try:
            yield
        finally:
            with self._lock:
                self._undoes.remove(undo)

    def check(self) -> None:
        """Raise SystemExit if this process was told to stop."""
        if self.signal is not None:
            raise SystemExit(self.exit_code)

    def hold(self) -> None:
        """Return, unless the process is being ended: then only the ending thread decides on the exit code."""
        with self._lock:
            pass

    def _pass_on(self, number: int, _: object) -> None:
        """Handle a signal. Runs only if a library has unblocked signals in the main thread (see `held_back`)."""
        if self._watcher is not None and self._watcher.ident is not None:
            signal.pthread_kill(self._watcher.ident, number)

    def _wait(self, signals: set[signal.Signals]) -> None:
        first = signal.sigwait(signals)
        told_at = time.monotonic()
        with self._lock:
            self.signal = first
            if not self._tells:
                self._end()
            for tell in self._tells:
                with suppress(Exception):  # the block could not be told, but the time limit still applies
                    tell()
        threading.Thread(target=self._limit, daemon=True).start()
        while True:
            signal.sigwait(signals)
            if time.monotonic() - told_at >= self._again_seconds:
                self._end()

    def _limit(self) -> None:
        time.sleep(self._finish_seconds)
        self._end()

    def _end(self) -> NoReturn:
        with self._lock:
            # The main thread goes on meanwhile. Its output is discarded, because it fails by what is undone here.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 1)
            os.dup2(nowhere, 2)
            for undo in reversed(self._undoes):
                with suppress(Exception):  # the others must be undone too
                    undo()
            os._exit(self.exit_code)


stop = Stop()
"""The instance of this process, which all modules share."""


@contextmanager
def held_back() -> Iterator[None]:
    """A block that starts processes by "spawn". They do not get the signals that end us; we end them."""
    from multiprocessing import resource_tracker  # noqa: PLC0415 - few commands need it, and all wait for this module

    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        # The tracker unblocks SIGINT and SIGTERM when it starts. Otherwise that happens just before the first process
        # does.
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
