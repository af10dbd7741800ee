"""Which events of a batch a failure is about."""

from collections.abc import Sequence
from contextlib import suppress

from synap_client.errors import Conflict, Forbidden, InvalidInput, Issue, PayloadTooLarge, SynapError
from synap_client.store import Line


def blamed(error: SynapError, lines: list[Line], *, may_log: bool) -> Sequence[int] | None:
    """The places of the events that a failure is about; none where only halves can tell; None: it is not the events.

    `may_log`: the key may log events of its own.
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
    """What a failure says of one event of a batch."""
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
