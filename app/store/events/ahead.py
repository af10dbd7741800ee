"""Linking the next drafts while the database stores the groups before them.

An import knows what it will append next. Linking and signing a group takes about as long as storing it, so both happen
at the same time. The group behind it is linked next, so that neither waits when the other takes longer for once. If the
tip is not the expected one, the groups are linked again.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from msgspec import Struct

from app.ledger.draft import Draft
from app.store.events.linker import Linker, Tip
from schemas.errors import ProcedureError
from schemas.event import SynapEvent

GROUPS_AHEAD = 3
"""How many groups a caller announces at most: one more than is linked while one is stored."""


class Linked(Struct, frozen=True, eq=False):
    """Linked drafts, and the result for their caller."""

    linker: Linker
    answer: list[SynapEvent] | ProcedureError


class _Foreseen(Struct, eq=False):
    """Drafts that a caller will append, and the task that links them as soon as the tip before is known."""

    drafts: Sequence[Draft]
    linking: asyncio.Task[Linked] | None = None
    tip: Tip | None = None
    """The tip that they will leave, if they are linked."""


class Ahead:
    """Links ahead, for one process."""

    def __init__(self, linker: Callable[[str, Tip, Sequence[Draft]], Linker | None]) -> None:
        """`linker` returns a linker behind a tip, or None if these drafts cannot be linked ahead."""
        self._linker = linker
        self._foreseen: dict[str, deque[_Foreseen]] = {}
        """The next groups, in their order."""
        self._expected: dict[str, Tip] = {}
        """The tips that the running groups will leave."""

    def foresee(self, workspace: str, drafts: Sequence[Draft]) -> None:
        """Record that these drafts are appended as one group, behind what was foreseen before."""
        self._foreseen.setdefault(workspace, deque(maxlen=GROUPS_AHEAD)).append(_Foreseen(drafts))
        self._start(workspace)

    def sent(self, workspace: str, tip: Tip) -> None:
        """Record that a running group will leave this tip."""
        self._expected[workspace] = tip
        self._start(workspace)

    def ended(self, workspace: str) -> None:
        """Record that no group is running."""
        self._expected.pop(workspace, None)

    def unlink(self, workspace: str) -> None:
        """Record that the tip of a log will be another. What was linked behind it is linked again."""
        if foreseen := self._foreseen.get(workspace):
            fresh = [_Foreseen(each.drafts) for each in foreseen]  # a thread may still be linking the former ones
            foreseen.clear()
            foreseen.extend(fresh)

    async def take(self, workspace: str, calls: Sequence[Sequence[Draft]]) -> Linked | None:
        """Return the linked group if it consists of exactly the drafts that were foreseen, else None."""
        foreseen = self._foreseen.get(workspace)
        if not foreseen:
            return None
        if len(calls) == 1 and calls[0] is foreseen[0].drafts:
            linking = foreseen.popleft().linking
            return None if linking is None else await linking
        self.unlink(workspace)  # other drafts come before
        return None

    def _start(self, workspace: str) -> None:
        """Link the next drafts that are not linked, if the tip before them is known."""
        tip = self._expected.get(workspace)
        for each in self._foreseen.get(workspace, ()):
            if each.linking is None:
                linker = None if tip is None else self._linker(workspace, tip, each.drafts)
                if linker is not None:
                    each.linking = asyncio.create_task(self._link(each, linker))
                return
            tip = each.tip

    async def _link(self, foreseen: _Foreseen, linker: Linker) -> Linked:
        answer = await asyncio.to_thread(linker.link_whole, foreseen.drafts)
        foreseen.tip = linker.tip
        self._start(linker.workspace)
        return Linked(linker, answer)
