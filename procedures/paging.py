"""Pages by cursor: the direction of a page, and whether it has neighbours."""

from schemas.base import Way


def way_from(cursor: str | None, direction: Way | None) -> Way:
    """The direction of a page from its cursor; always forward without a cursor."""
    return "forward" if cursor is None else direction or "forward"


def neighbours(way: Way, *, more: bool, is_first: bool) -> tuple[bool, bool]:
    """Whether there is a next page, and a previous one. `more` is true if more rows follow on the page's `way`.

    On the other side there is always a page, the one with the cursor's own row, so no query is needed.
    """
    return (more, not is_first) if way == "forward" else (True, more)
