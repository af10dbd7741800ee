"""Submissions: what callers want to append. A group of them shares a transaction."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from msgspec import Struct
from opentelemetry.trace import SpanContext

from app.ledger.draft import Draft
from schemas.event import SynapEvent

MAX_GROUP_EVENTS = 1000
"""The maximum of events in one transaction: enough to amortise the commit, few enough to hold the lock only for
milliseconds."""

MAX_GROUP_BYTES = 8 * 2**20


class Submission(Struct, frozen=True, eq=False):
    """What one caller wants to append, all or nothing, and the future that it awaits."""

    drafts: Sequence[Draft]
    size: int
    done: asyncio.Future[list[SynapEvent]]
    span: SpanContext | None
    """The span of the call, if tracing is on."""


class Group:
    """Submissions that share a transaction: at least one, bounded by events and bytes."""

    def __init__(self, waiting: deque[Submission]) -> None:
        """Take the first submissions of a queue, which is not empty."""
        self._waiting = waiting
        self.submissions = [waiting.popleft()]
        self.events, self._bytes = len(self.submissions[0].drafts), self.submissions[0].size
        self.join(lambda _: True)

    @property
    def calls(self) -> list[Sequence[Draft]]:
        """Each caller's drafts."""
        return [submission.drafts for submission in self.submissions]

    def join(self, fits: Callable[[Sequence[Draft]], bool], *, most: int = MAX_GROUP_EVENTS) -> None:
        """Take the submissions that are in the queue now, in its order, up to the first that does not fit."""
        while self._waiting and fits(self._waiting[0].drafts):
            events, size = self.events + len(self._waiting[0].drafts), self._bytes + self._waiting[0].size
            if events > most or size > MAX_GROUP_BYTES:
                return
            self.submissions.append(self._waiting.popleft())
            self.events, self._bytes = events, size

    def join_rest(self) -> None:
        """Take all submissions that wait, so that they get the same answer."""
        self.submissions += self._waiting
        self._waiting.clear()
