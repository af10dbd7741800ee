"""Pages by cursor: which way one lies, and what is beside it."""

from schemas.base import Way


def way_from(cursor: str | None, direction: Way | None) -> Way:
    """The way in which a page lies from its cursor. Without a cursor there is only one."""
    return "forward" if cursor is None else direction or "forward"


def neighbours(way: Way, *, more: bool, is_first: bool) -> tuple[bool, bool]:
    """Whether there is a next page, and a previous one. `more` says that the page was not the last on its `way`.

    What the cursor stands for is on the other side, so that nobody has to look there.
    """
    return (more, not is_first) if way == "forward" else (True, more)
