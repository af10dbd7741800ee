"""Finds the events of a batch that a failure is about."""

from collections.abc import Sequence
from contextlib import suppress

from synap_client.errors import Conflict, Forbidden, InvalidInput, Issue, PayloadTooLarge, SynapError
from synap_client.store import Line


def blamed(error: SynapError, lines: list[Line], *, may_log: bool) -> Sequence[int] | None:
    """The places of the events that a failure is about; None if the events are not at fault.

    It is empty if only sending halves can tell. `may_log` is true if the key may log events.
    """
    if isinstance(error, InvalidInput):
        named = {place for issue in error.issues if (place := _place(issue.path)) is not None and place < len(lines)}
        return sorted(named) or None
    if isinstance(error, Forbidden) and not may_log:
        return None
    if isinstance(error, Forbidden | Conflict | PayloadTooLarge):
        return [0] if len(lines) == 1 else []
    return None


def of_one(error: SynapError, place: int) -> SynapError:
    """The part of a failure of a batch that is about one event."""
    if not isinstance(error, InvalidInput):
        return error
    head = f"events.{place}"
    issues = [
        Issue(issue.path.removeprefix(head).removeprefix("."), issue.message)
        for issue in error.issues
        if issue.path == head or issue.path.startswith(f"{head}.")
    ]
    told = "; ".join(f"{issue.path}: {issue.message}" if issue.path else issue.message for issue in issues)
    return InvalidInput(told, issues=issues, reason=error.reason)


def _place(path: str) -> int | None:
    """The number in `events.3.type`."""
    head, _, rest = path.partition(".")
    number = rest.partition(".")[0]
    with suppress(ValueError):
        return int(number) if head == "events" else None
    return None
