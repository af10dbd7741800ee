"""Linking what comes next while the group before it is stored.

An import knows what it will append next. Hashes and signatures take as long as the database does, so both work at once.
What was linked ahead is worth something only behind the tip that was expected; else it is linked again.
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
    """Drafts that were linked, and the answer to their caller."""

    linker: Linker
    answer: list[SynapEvent] | ProcedureError


class _Foreseen(Struct, eq=False):
    """The drafts that a caller will append next, and how they are linked; None until the tip before them is known."""

    drafts: Sequence[Draft]
    linking: asyncio.Task[Linked] | None = None


class Ahead:
    """Links ahead, for one process."""

    def __init__(self, linker: Callable[[str, Tip, Sequence[Draft]], Linker | None]) -> None:
        """`linker` makes one behind a tip, or returns None if these drafts cannot be linked ahead."""
        self._linker = linker
        self._foreseen: dict[str, deque[_Foreseen]] = {}
        """What comes next, in its order: the one that is about to be sent, perhaps, and the one behind it."""
        self._expected: dict[str, Tip] = {}
        """The tips that the groups under way will leave."""

    def foresee(self, workspace: str, drafts: Sequence[Draft]) -> None:
        """Take note that these drafts are appended next, as one group."""
        self._foreseen.setdefault(workspace, deque(maxlen=2)).append(_Foreseen(drafts))
        self._start(workspace)

    def sent(self, workspace: str, tip: Tip) -> None:
        """Take note that a group is being stored that will leave this tip."""
        self._expected[workspace] = tip
        self._start(workspace)

    def ended(self, workspace: str) -> None:
        """Take note that no group is under way."""
        self._expected.pop(workspace, None)

    async def take(self, workspace: str, calls: Sequence[Sequence[Draft]]) -> Linked | None:
        """A group of exactly the drafts that were foreseen, linked; None if it was not."""
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
        """Link what comes next, if the tip before it is known."""
        foreseen, tip = self._foreseen.get(workspace), self._expected.get(workspace)
        if not foreseen or foreseen[0].linking is not None or tip is None:
            return
        linker = self._linker(workspace, tip, foreseen[0].drafts)
        if linker is not None:
            foreseen[0].linking = asyncio.create_task(_link(linker, foreseen[0].drafts))


async def _link(linker: Linker, drafts: Sequence[Draft]) -> Linked:
    return Linked(linker, await asyncio.to_thread(linker.link, drafts))
