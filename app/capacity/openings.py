"""The maximum of open event streams, sockets and subscriptions of a server process: per key, and in all."""

import resource
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from schemas.errors import RateLimited, Unavailable

RETRY_SECONDS = 10
"""The `retry-after` of a caller that has too many open: another may have ended by then."""

MAX_FILES = 65_536
RESERVED_FILES = 768
"""Open files of a server process that are not connections of its clients; most are the posts of webhooks."""


def max_files() -> int:
    """How many files a server process may open: the system's limit, up to a bound."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_FILES)


def max_connections() -> int:
    """How many client connections a server process may open."""
    return max(max_files() - RESERVED_FILES, 128)


class Openings:
    """Counts what is open. For one event loop."""

    def __init__(self, *, of_a_key: int, in_all: int, what: str = "streams and sockets") -> None:
        """`of_a_key` is 0 if only `in_all` applies. `what` is said to a key that has too many."""
        self._of_a_key = of_a_key or in_all
        self._in_all = in_all
        self._what = what
        self._open: Counter[str] = Counter()

    @contextmanager
    def opened(self, key_id: str) -> Iterator[None]:
        """Count one more during the block. Raises RateLimited if the key has too many, Unavailable if all have."""
        if self._open[key_id] >= self._of_a_key:
            raise RateLimited(
                f"The key has {self._of_a_key} {self._what} open at this server process, which is the maximum; "
                "close some",
                limit=self._of_a_key,
                reset=int(time.time()) + RETRY_SECONDS,
                retry_after_seconds=RETRY_SECONDS,
            )
        if self._open.total() >= self._in_all:
            raise Unavailable(f"The server process has too many {self._what} open", retry_after_seconds=RETRY_SECONDS)
        self._open[key_id] += 1
        try:
            yield
        finally:
            self._open[key_id] -= 1
            if not self._open[key_id]:
                del self._open[key_id]
