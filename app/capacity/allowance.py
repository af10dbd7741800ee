"""What is left of a limit, as answers tell it."""

from msgspec import Struct


class Allowance(Struct, frozen=True):
    """What the headers of an answer say of the limit."""

    limit: int
    """Calls in a window."""
    remaining: int
    """What of it is left, with 0 only where nothing is: the rest of this process's lease, and its share of the rest.

    Exact where one process alone takes calls. Where several do it errs to the low side, unless the others have gone
    faster than before since this process last asked.
    """
    reset: int
    """The window's end, in seconds since 1970, by the database's clock."""
    retry_after_seconds: int
    """The seconds until `reset`, at least 1. A refused caller may try again after them."""
