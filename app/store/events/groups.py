"""What callers want appended, and which of it shares a transaction."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from msgspec import Struct
from opentelemetry.trace import SpanContext

from app.ledger.draft import Draft
from schemas.event import SynapEvent

MAX_GROUP_EVENTS = 1000
"""Events in one transaction: enough to amortise the commit, few enough to hold the lock for milliseconds."""

MAX_GROUP_BYTES = 8 * 2**20


class Submission(Struct, frozen=True, eq=False):
    """What one caller wants appended, all or nothing, and the promise that it waits for."""

    drafts: Sequence[Draft]
    size: int
    done: asyncio.Future[list[SynapEvent]]
    span: SpanContext | None
    """What it is a part of, where that is traced."""


class Group:
    """Submissions that share a transaction: at least one, bounded by events and bytes."""

    def __init__(self, waiting: deque[Submission]) -> None:
        """Take the first ones of a queue that is not empty."""
        self._waiting = waiting
        self.submissions = [waiting.popleft()]
        self.events, self._bytes = len(self.submissions[0].drafts), self.submissions[0].size
        self.join(lambda _: True)

    @property
    def calls(self) -> list[Sequence[Draft]]:
        """Each caller's drafts."""
        return [submission.drafts for submission in self.submissions]

    def join(self, fits: Callable[[Sequence[Draft]], bool], *, most: int = MAX_GROUP_EVENTS) -> None:
        """Take what has gathered in the queue meanwhile, in its order, up to the first that does not fit."""
        while self._waiting and fits(self._waiting[0].drafts):
            events, size = self.events + len(self._waiting[0].drafts), self._bytes + self._waiting[0].size
            if events > most or size > MAX_GROUP_BYTES:
                return
            self.submissions.append(self._waiting.popleft())
            self.events, self._bytes = events, size

    def join_rest(self) -> None:
        """Take all that waits, which gets the same answer."""
        self.submissions += self._waiting
        self._waiting.clear()
