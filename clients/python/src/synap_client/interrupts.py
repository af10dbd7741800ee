"""Exceptions that a signal handler raises, on their way out of `threading`."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def unmasked() -> Iterator[None]:
    """Let the exception of a signal handler out of this block as it was raised.

    If a handler raises inside `Thread.start` or `Condition.wait`, CPython's own cleanup may fail: a KeyError or
    RuntimeError comes out, and the exception of the handler is its context.
    """
    handled = sys.exception()
    try:
        yield
    except (KeyError, RuntimeError) as error:
        if error.__context__ is None or error.__context__ is handled:
            raise
        raise error.__context__ from error.__context__.__cause__
