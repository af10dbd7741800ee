"""Measures how long an event takes to its readers, and checks that each reader gets every event once and in order."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from benchmarks.contestants import EVENT, Contestant
from benchmarks.errors import BenchmarkError
from benchmarks.readers import DRAIN_SECONDS, Receipts
from benchmarks.trpc import Client


class Sent(msgspec.Struct, frozen=True):
    """When an event was sent, and when its answer arrived, by the machine's monotonic clock. It is stored then."""

    asked_ns: int
    answered_ns: int


class Lag(msgspec.Struct, frozen=True):
    """Percentiles of the time to the readers, in milliseconds.

    A time from the answer is negative if a reader has the event before its writer has the answer.
    """

    p50_ms: float
    p90_ms: float
    p99_ms: float
    max_ms: float

    @classmethod
    def of(cls, lags_ns: Sequence[int]) -> "Lag":
        """The percentiles of all readers' lags."""
        ordered = sorted(lags_ns)
        p50, p90, p99, most = (ordered[round((len(ordered) - 1) * part)] / 1e6 for part in (0.5, 0.9, 0.99, 1.0))
        return cls(p50, p90, p99, most)


def write(
    server: Contestant, *, events: int, rate: float, writers: int = 1, place: Callable[[Any, int], int]
) -> dict[int, Sent]:
    """Log `events` events at a steady rate, shared out among `writers` with a connection each.

    The keys of the result are what `place` makes of the logged event and of the event's number in `data`.
    """
    sent: dict[int, Sent] = {}
    begin = time.monotonic() + 0.1
    stopped = threading.Event()

    def work(first: int) -> None:
        client = Client(f"{server.url}/trpc", server.token)
        try:
            for number in range(first, events, writers):
                if stopped.wait(max(0.0, begin + number / rate - time.monotonic())):
                    break
                event = {**EVENT, "data": {**EVENT["data"], "number": number}}
                asked_ns = time.monotonic_ns()
                logged = client.mutation("events.log", event)
                sent[place(logged, number)] = Sent(asked_ns, time.monotonic_ns())
        except BaseException:
            stopped.set()
            raise
        finally:
            client.close()

    with ThreadPoolExecutor(writers) as pool:
        for writing in [pool.submit(work, first) for first in range(writers)]:
            writing.result()
    return sent


def check(received: Sequence[Receipts], sent: Mapping[int, Sent]) -> None:
    """Raise BenchmarkError unless every reader received exactly what was sent, in the order of the numbers."""
    expected = sorted(sent)
    for reader, receipts in enumerate(received):
        numbers = list(receipts.numbers)
        if numbers == expected:
            continue
        times: dict[int, int] = {}
        for number in numbers:
            times[number] = times.get(number, 0) + 1
        faults = {
            "lost": [number for number in expected if number not in times],
            "got more than once": [number for number, count in times.items() if count > 1],
            "got unasked": [number for number in times if number not in sent],
        }
        what = "; ".join(f"{fault}: {_some(places)}" for fault, places in faults.items() if places)
        raise BenchmarkError(
            f"Reader {reader} of {len(received)} lacks or repeats events, {DRAIN_SECONDS:.0f} s after the last was "
            f"logged: {what or 'they came out of order'}"
        )


def lags(received: Sequence[Receipts], since_ns: Mapping[int, int]) -> Lag:
    """The time from each event's instant in `since_ns` to each reader. Other events do not count."""
    return Lag.of(
        [
            at_ns - since_ns[number]
            for receipts in received
            for number, at_ns in zip(receipts.numbers, receipts.at_ns, strict=True)
            if number in since_ns
        ]
    )


def _some(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers[:10])) + (f" and {len(numbers) - 10} more" if len(numbers) > 10 else "")
