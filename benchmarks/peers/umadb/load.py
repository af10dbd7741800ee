# ruff: noqa: INP001 - another environment's Python runs it
"""Appends to a UmaDB server from many threads for some seconds, and prints a line of JSON that `load.py` reads.

It runs with UmaDB's packages on its path, and imports nothing of this project. Its arguments are the server's URL,
connections, seconds, events in each append, and the event as JSON.
"""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import umadb


def main() -> None:
    """Load the server, and print the result."""
    url, text = sys.argv[1], sys.argv[5]
    connections, seconds, events = map(int, sys.argv[2:5])
    event, data = json.loads(text), text.encode()
    type_, tags = event["type"], [event["subjectId"]]
    began = time.perf_counter()

    def append(_: int) -> list[float]:
        client = umadb.Client(url)
        took = []
        while (asked := time.perf_counter()) < began + seconds:
            client.append([umadb.Event(type_, data, tags, uuid4()) for _ in range(events)])
            took.append(time.perf_counter() - asked)
        return took

    with ThreadPoolExecutor(connections) as pool:
        times = sorted(one for took in pool.map(append, range(connections)) for one in took)
    elapsed = time.perf_counter() - began
    p50, p99 = (times[round((len(times) - 1) * part)] * 1000 for part in (0.5, 0.99))
    print(
        json.dumps(
            {"requests_per_second": len(times) / elapsed, "p50_ms": p50, "p99_ms": p99, "requests": len(times)},
        )
    )


if __name__ == "__main__":
    main()
