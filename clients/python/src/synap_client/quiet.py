"""Tells the log handlers which records come from this client's own work: logging those would never end."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

logger = logging.getLogger("synap_client")
"""What happens in the background is told here."""

_ours: ContextVar[bool] = ContextVar("synap_client_at_work", default=False)


def is_ours() -> bool:
    """Whether this thread or task does the client's own work."""
    return _ours.get()


@contextmanager
def at_work() -> Iterator[None]:
    """Whatever is logged in this block is the client's own."""
    token = _ours.set(True)
    try:
        yield
    finally:
        _ours.reset(token)
