"""Lets exceptions of signal handlers out of `threading` as they were raised."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def unmasked() -> Iterator[None]:
    """Let the exception of a signal handler out of this block as it was raised.

    If a handler raises inside `Thread.start` or `Condition.wait`, CPython's cleanup may fail. Then a KeyError or
    RuntimeError comes out, with the handler's exception as its context.
    """
    handled = sys.exception()
    try:
        yield
    except (KeyError, RuntimeError) as error:
        if error.__context__ is None or error.__context__ is handled:
            raise
        raise error.__context__ from error.__context__.__cause__
