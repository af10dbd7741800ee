"""What callers send to the procedures of `intents`, and what they get back."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Raw

from schemas.base import EventTypeName, Input, InstantText, Output, RawRecord, ShortText, Way
from schemas.event import SynapEvent
from schemas.reference import EventName
from schemas.synap import EventHash, LongText, OutcomeKind, Risk

IntentState = Literal["open", "approved", "used_up", "rejected", "expired", "withdrawn"]

DEFAULT_INTENTS = 50
"""The default number of intents in a page."""

MAX_WAIT_SECONDS = 60


class DecideIntent(Input, frozen=True, kw_only=True):
    """A decision on an intent. `hash` is the hash of the event that was looked at."""

    event_id: EventName
    hash: EventHash
    decision: Literal["approved", "rejected"]
    reason: LongText | None = None


class WithdrawIntent(Input, frozen=True, kw_only=True):
    """An intent to withdraw."""

    event_id: EventName
    reason: LongText | None = None


class StartIntent(Input, frozen=True, kw_only=True):
    """A use of an approved intent, right before the act.

    `parameters` is what the act will run with: any JSON, equal to the intent's `data.parameters`, or to all of its
    `data` if it has no such member. `requestId` is the caller's name for this use.
    """

    event_id: EventName
    hash: EventHash
    parameters: Raw
    request_id: ShortText

    @classmethod
    def oversized(cls, sent: bytes, max_event_bytes: int) -> str | None:
        """The path of the whole input if it exceeds the limit of one event."""
        return "" if len(sent) > max_event_bytes else None


class FinishIntent(Input, frozen=True, kw_only=True):
    """How a use of an intent ended. `startId` is the id of the event that `intents.start` returned.

    `data` becomes the event's `data`. If it has a member `parameters`, these are compared with what was approved.
    """

    start_id: EventName
    outcome: Literal["executed", "failed"]
    data: RawRecord = Raw(b"null")  # msgspec knows no optional Raw; null is absent

    @classmethod
    def oversized(cls, sent: bytes, max_event_bytes: int) -> str | None:
        """The path of the whole input if it exceeds the limit of one event."""
        return "" if len(sent) > max_event_bytes else None


class GetIntent(Input, frozen=True, kw_only=True):
    """An intent."""

    event_id: EventName


class WaitForIntent(Input, frozen=True, kw_only=True):
    """An intent to wait for, and the longest time to wait, default 60."""

    event_id: EventName
    timeout_seconds: (
        Annotated[
            int, Meta(ge=0, le=MAX_WAIT_SECONDS, extra={"message": "must be a whole number of seconds from 0 to 60"})
        ]
        | None
    ) = MAX_WAIT_SECONDS


class ListIntents(Input, frozen=True, kw_only=True):
    """Which intents to list, newest first: all, those in a `state`, or with `waiting` those that the caller may decide.

    The page begins after `cursor`; with `direction: "backward"` it ends right before it.
    """

    state: IntentState | None = None
    waiting: bool | None = None
    limit: Annotated[int, Meta(ge=1, le=200, extra={"message": "must be a whole number from 1 to 200"})] | None = (
        DEFAULT_INTENTS
    )
    cursor: str | None = None
    direction: Way | None = None


class StartedIntent(Output, frozen=True, kw_only=True, omit_defaults=False):
    """A use that has started. If `replayed` is true, this request had started it before: do not run it again."""

    event: SynapEvent
    use: int
    replayed: bool


class IntentRun(Output, frozen=True, kw_only=True):
    """One use of an intent, and its outcome. `lateOutcome` came after the server had written `unknown`."""

    use: int
    start_id: str
    started_at: InstantText
    request_id: str | None = None
    outcome: OutcomeKind | None = None
    outcome_id: str | None = None
    late_outcome: Literal["executed", "failed"] | None = None
    late_outcome_id: str | None = None


class IntentChain(Output, frozen=True, kw_only=True):
    """An intent, and what followed it. `events.get` returns the events that are named by id.

    `expiresAt` is absent if the intent is erased. `decisionId` is the event that approved, rejected or withdrew it, or
    that says that it expired; `endId` is the event that ended an approved one. `reason` is what a person wrote with the
    last of these two.
    """

    event: SynapEvent
    state: IntentState
    expires_at: InstantText | None = None
    uses: int
    used: int
    decision_id: str | None = None
    decided_by: str | None = None
    end_id: str | None = None
    reason: str | None = None
    runs: list[IntentRun] = msgspec.field(default_factory=list)


class ListedIntent(Output, frozen=True, kw_only=True):
    """An intent in a list, with what its event says for those who decide. All of that is absent if it is erased."""

    event_id: str
    hash: str
    seq: int
    type: EventTypeName
    timestamp: InstantText
    user_id: str
    subject_id: str | None = None
    state: IntentState
    summary: str | None = None
    risk: Risk | None = None
    reversible: bool | None = None
    approvers: list[str] | None = None
    expires_at: InstantText | None = None
    timeout_seconds: int
    uses: int
    used: int


class IntentPage(Output, frozen=True, kw_only=True):
    """One page, newest first. `nextCursor` is absent on the last page, `previousCursor` on the first."""

    intents: list[ListedIntent]
    next_cursor: str | None = None
    previous_cursor: str | None = None
