"""A progress bar on standard error, for work that takes minutes."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

WIDTH = 30

SECONDS = 0.5
"""The seconds between two drawings. If standard error is no terminal, there are ten times as many, and each drawing is
a line."""


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show how much of `total` is done, and how fast.

    The block calls the yielded function with the amount done so far.
    """
    started, watched = time.perf_counter(), sys.stderr.isatty()
    drawn = started

    def show(done: int) -> None:
        nonlocal drawn
        now = time.perf_counter()
        if done < total and now - drawn < SECONDS * (1 if watched else 10):
            return
        drawn = now
        bar = "#" * (WIDTH * done // total)
        line = f"{what} [{bar:.<{WIDTH}}] {done:,} of {total:,}, {done / (now - started):,.0f}/s"
        print(
            f"\r{line}" if watched else line, end="" if watched and done < total else "\n", file=sys.stderr, flush=True
        )

    yield show
