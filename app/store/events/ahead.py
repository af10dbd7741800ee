"""Linking the next drafts while the database stores the group before them.

An import knows what it will append next. Linking and signing a group takes about as long as storing it, so both happen
at the same time. If the tip is not the expected one, the group is linked again.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from msgspec import Struct

from app.ledger.draft import Draft
from app.store.events.linker import Linker, Tip
from schemas.errors import ProcedureError
from schemas.event import SynapEvent


class Linked(Struct, frozen=True, eq=False):
    """Linked drafts, and the result for their caller."""

    linker: Linker
    answer: list[SynapEvent] | ProcedureError


class _Foreseen(Struct, eq=False):
    """The drafts that a caller will append next, and the task that links them as soon as the tip before is known."""

    drafts: Sequence[Draft]
    linking: asyncio.Task[Linked] | None = None


class Ahead:
    """Links ahead, for one process."""

    def __init__(self, linker: Callable[[str, Tip, Sequence[Draft]], Linker | None]) -> None:
        """`linker` returns a linker behind a tip, or None if these drafts cannot be linked ahead."""
        self._linker = linker
        self._foreseen: dict[str, deque[_Foreseen]] = {}
        """The next groups, in their order: perhaps the one that is about to be sent, and the one behind it."""
        self._expected: dict[str, Tip] = {}
        """The tips that the running groups will leave."""

    def foresee(self, workspace: str, drafts: Sequence[Draft]) -> None:
        """Record that these drafts are appended next, as one group."""
        self._foreseen.setdefault(workspace, deque(maxlen=2)).append(_Foreseen(drafts))
        self._start(workspace)

    def sent(self, workspace: str, tip: Tip) -> None:
        """Record that a running group will leave this tip."""
        self._expected[workspace] = tip
        self._start(workspace)

    def ended(self, workspace: str) -> None:
        """Record that no group is running."""
        self._expected.pop(workspace, None)

    async def take(self, workspace: str, calls: Sequence[Sequence[Draft]]) -> Linked | None:
        """Return the linked group if it consists of exactly the drafts that were foreseen, else None."""
        foreseen = self._foreseen.get(workspace)
        if not foreseen:
            return None
        if len(calls) == 1 and calls[0] is foreseen[0].drafts:
            linking = foreseen.popleft().linking
            return None if linking is None else await linking
        if foreseen[0].linking is not None:
            foreseen.clear()  # other drafts have come; else this is the group before it
        return None

    def _start(self, workspace: str) -> None:
        """Link the next drafts, if the tip before them is known."""
        foreseen, tip = self._foreseen.get(workspace), self._expected.get(workspace)
        if not foreseen or foreseen[0].linking is not None or tip is None:
            return
        linker = self._linker(workspace, tip, foreseen[0].drafts)
        if linker is not None:
            foreseen[0].linking = asyncio.create_task(_link(linker, foreseen[0].drafts))


async def _link(linker: Linker, drafts: Sequence[Draft]) -> Linked:
    return Linked(linker, await asyncio.to_thread(linker.link, drafts))
