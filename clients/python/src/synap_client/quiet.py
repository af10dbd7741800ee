"""Marks log records of this client's own work, so that the log handlers ignore them: logging them would never end."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

logger = logging.getLogger("synap_client")
"""The logger for work in the background."""

_ours: ContextVar[bool] = ContextVar("synap_client_at_work", default=False)


def is_ours() -> bool:
    """Whether this thread or task does the client's own work."""
    return _ours.get()


@contextmanager
def at_work() -> Iterator[None]:
    """Mark everything that is logged in this block as the client's own work."""
    token = _ours.set(True)
    try:
        yield
    finally:
        _ours.reset(token)
