"""When a call is retried, and after what wait: with jitter, with a limit, and only if a retry can help."""

import random
import time

from synap_client.errors import ConnectionLost, RateLimited, SynapError, Unavailable

FIRST_SECONDS = 0.1


def backoff_seconds(attempt: int, most_seconds: float, error: SynapError | None = None) -> float:
    """The wait after the attempt of this number (from 0): twice as long each time, up to `most_seconds`.

    Half of it is random, so that clients that lost one server together do not return together. It is never shorter than
    the server asked for.
    """
    seconds: float = min(most_seconds, FIRST_SECONDS * 2 ** min(attempt, 30)) * random.uniform(0.5, 1)  # noqa: S311 - no secret
    asked = error.retry_after_seconds if isinstance(error, RateLimited | Unavailable) else 0
    return seconds if seconds >= asked else asked + seconds * 0.5


def may_help(error: SynapError, *, safe: bool) -> bool:
    """Whether a retry can help. A call that is not `safe` is only retried if nothing was done yet."""
    if isinstance(error, RateLimited):
        return True
    if isinstance(error, ConnectionLost):
        return safe or not error.sent
    return safe and isinstance(error, Unavailable)


class Patience:
    """The attempts of one call, for `retry_seconds` in all; None means without end."""

    def __init__(self, retry_seconds: float | None, most_seconds: float = 5.0) -> None:
        """The first attempt begins now. No wait is longer than `most_seconds`, unless the server asks for it."""
        self._retry_seconds = retry_seconds
        self._most_seconds = most_seconds
        self.renew()

    def renew(self) -> None:
        """Note a success: the next failure counts as the first."""
        self._attempt = 0
        self._deadline = None if self._retry_seconds is None else time.monotonic() + self._retry_seconds

    def wait_seconds(self, error: SynapError, *, safe: bool) -> float:
        """The wait before the next attempt. Raises `error` if there should be none."""
        if not may_help(error, safe=safe):
            raise error
        seconds = backoff_seconds(self._attempt, self._most_seconds, error)
        self._attempt += 1
        if self._deadline is not None and time.monotonic() + seconds > self._deadline:
            raise error
        return seconds
