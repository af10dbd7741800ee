"""The metadata kind `synap`: what the server itself reads of an event. Callers send `intent` and `author` only.

The server stores the members as they were sent. It stores no defaults: readers apply them.
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from msgspec import Meta

from schemas.base import NO_NUL, Instant, Section, ShortText

EventHash = Annotated[
    str,
    Meta(
        pattern=r"\Asha256:[0-9a-f]{64}\Z",
        extra={"message": "must be the hash of an event: 'sha256:' and 64 lower-case hex digits"},
    ),
]
"""The hash of an event, as `SynapEvent.hash` has it."""

LongText = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=1024,
        pattern=NO_NUL,
        extra={"message": "must have 1 to 1024 characters, none of them U+0000"},
    ),
]
"""A sentence or two for a person."""

MAX_USES = 1000

MAX_TIMEOUT_SECONDS = 604_800

Use = Annotated[int, Meta(ge=1, le=MAX_USES, extra={"message": "must be a whole number from 1 to 1000"})]

DecisionKind = Literal["approved", "rejected", "expired", "withdrawn"]

Risk = Literal["low", "medium", "high"]

OutcomeKind = Literal["executed", "failed", "unknown"]


class Intent(Section, frozen=True, kw_only=True):
    """What somebody asks to do, in an event whose type ends in `.requested`, and on which terms.

    `expiresAt` is at most 90 days after the event; default 24 hours. `timeoutSeconds` is the time from a start to its
    outcome, default 3600. `uses` is how many times it may start, default 1. Only `approvers`, if any, may decide. The
    other members are for the people who decide.
    """

    expires_at: Instant | None = None
    timeout_seconds: (
        Annotated[
            int,
            Meta(ge=1, le=MAX_TIMEOUT_SECONDS, extra={"message": "must be a whole number of seconds from 1 to 604800"}),
        ]
        | None
    ) = None
    uses: Use | None = None
    approvers: (
        Annotated[
            list[ShortText], Meta(min_length=1, max_length=50, extra={"message": "must have 1 to 50 ids of users"})
        ]
        | None
    ) = None
    risk: Risk | None = None
    reversible: bool | None = None
    summary: LongText | None = None


class IntentDecision(Section, frozen=True, kw_only=True):
    """What became of an intent. Only the server writes it. `intentHash` is the hash of what was decided on."""

    intent_id: UUID
    intent_hash: EventHash
    decision: DecisionKind
    reason: LongText | None = None


class IntentStart(Section, frozen=True, kw_only=True):
    """That one use of an intent has started. Only the server writes it. `use` counts from 1."""

    intent_id: UUID
    intent_hash: EventHash
    decision_id: UUID
    use: Use
    request_id: ShortText


class IntentOutcome(Section, frozen=True, kw_only=True):
    """How a start ended. Only the server writes it.

    `differs` is true if the parameters that were reported are not those that were approved. `late` is true if the
    outcome came after the server had written `unknown`.
    """

    start_id: UUID
    intent_id: UUID
    outcome: OutcomeKind
    differs: bool | None = None
    late: bool | None = None


class EventAuthor(Section, frozen=True, kw_only=True):
    """Who wrote the event: a `did:key` and its signature (evlog/1, Author signatures). The event needs an `id`."""

    did: ShortText
    signature: ShortText


class Synap(Section, frozen=True, kw_only=True):
    """What the server itself reads. Callers send `intent` and `author` only."""

    __server_only__: ClassVar[Mapping[str, str]] = {
        "decision": "is written by the server: call intents.decide or intents.withdraw",
        "start": "is written by the server: call intents.start",
        "outcome": "is written by the server: call intents.finish",
    }
    """The members that no caller may send, and the remedies. The contract leaves them out of inputs."""

    intent: Intent | None = None
    decision: IntentDecision | None = None
    start: IntentStart | None = None
    outcome: IntentOutcome | None = None
    author: EventAuthor | None = None
