"""The rest of a limit, for the headers of an answer."""

from msgspec import Struct


class Allowance(Struct, frozen=True):
    """A limit and its rest, for the headers of an answer."""

    limit: int
    """The maximum of calls in a window."""
    remaining: int
    """The calls that are left; 0 only if none is. It is the rest of this process's lease, and its share of the others.

    It is exact if only one process accepts calls. With several it is rather too low, unless the others have become
    faster since this process last asked.
    """
    reset: int
    """The end of the window, in seconds since 1970, by the database's clock."""
    retry_after_seconds: int
    """The seconds until `reset`, at least 1. A rejected caller may retry after them."""
