"""Runs a function on all cores, as `map` does, with one process for each core."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from app.signals import held_back

T = TypeVar("T")
R = TypeVar("R")


class CoreError(Exception):
    """A process ended before it returned its result. The message is one sentence for the operator."""


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def on_all_cores(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """The results in the order of the items, as `map` returns them. Each process has one item at a time.

    The function, the items and the results are pickled. The processes end with the last result, or with this process,
    however it ends. CoreError if one of them ends earlier.
    """
    with ExitStack() as stack:
        idle = [stack.enter_context(_process(function)) for _ in range(cores())]
        busy = deque[Connection]()
        try:
            for item in items:
                results: list[R] = []
                if not idle:
                    idle.append(busy.popleft())
                    results.append(idle[0].recv())
                busy.append(idle.pop())
                busy[-1].send(item)
                yield from results
            while busy:
                yield busy.popleft().recv()
        except (EOFError, OSError):
            raise CoreError("A process that did a part of the work has ended early; run the command again.") from None


def answer(function: Callable[[Any], Any], items: Connection) -> None:
    """Send the function's result for each item that arrives on a connection."""
    with suppress(EOFError, OSError):  # nobody waits any longer
        while True:
            items.send(function(items.recv()))


@contextmanager
def _process(function: Callable[[T], R]) -> Iterator[Connection]:
    """A connection to a process that returns the result for each item."""
    context = get_context("spawn")  # it inherits no open file, so it notices when this process is gone
    ours, its = context.Pipe()
    process = context.Process(target=answer, args=(function, its), daemon=True)
    with held_back():
        process.start()
    its.close()
    try:
        yield ours
    finally:
        process.kill()  # it has no state to lose
        process.join()
        ours.close()
