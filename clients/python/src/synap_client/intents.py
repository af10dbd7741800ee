"""Intents as the server returns them, and the terms on which a caller asks.

`docs/guides/intents.md` describes their life.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, TypedDict

import msgspec
from msgspec import Struct

from synap_client.errors import IntentEnded, IntentExpired, IntentRejected, IntentWithdrawn
from synap_client.events import Event

IntentState = Literal["open", "approved", "used_up", "rejected", "expired", "withdrawn"]

Risk = Literal["low", "medium", "high"]


class Terms(TypedDict, total=False):
    """The optional terms of an intent, and the subject of its event.

    expires_at: until when it may be approved and started; at most 90 days from now, default 24 hours. It needs a UTC
        offset, as a datetime or as text (RFC 3339).
    timeout_seconds: the time from a start to its outcome, 1 to 604,800, default 3,600.
    approvers: the ids of the users who may decide; default everybody whose key has `intents:decide`.
    risk, reversible, summary: for the people who decide.
    subject_id: default the agent's.
    """

    expires_at: datetime | str | None
    timeout_seconds: int | None
    approvers: Sequence[str] | None
    risk: Risk | None
    reversible: bool | None
    summary: str | None
    subject_id: str | None


class AskFields(Terms, total=False):
    """The optional arguments of `ask`.

    uses: how many times the intent may start, 1 to 1,000, default 1.
    key: a name for this question, unique in the workspace among those of the same type. After a crash, the same
        question with the same key continues with the intent that is there.
    wait_seconds: how long to wait for a decision. Default: until there is one, or the intent expires.
    """

    uses: int | None
    key: str | None
    wait_seconds: float | None


class IntentRun(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One use of an intent, and its outcome. `late_outcome` came after the server had written `unknown`."""

    use: int
    start_id: str
    started_at: datetime
    request_id: str | None = None
    outcome: str | None = None
    outcome_id: str | None = None
    late_outcome: str | None = None
    late_outcome_id: str | None = None


class Intent(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """An intent, and what followed it. `reason` is what the person wrote who decided or withdrew it, if anything."""

    event: Event
    state: IntentState
    expires_at: datetime | None = None
    uses: int
    used: int
    decision_id: str | None = None
    decided_by: str | None = None
    end_id: str | None = None
    reason: str | None = None
    runs: list[IntentRun] = msgspec.field(default_factory=list)

    def ended(self) -> IntentEnded | None:
        """Why nothing starts any more; None if it is open or approved, or all its uses are started."""
        id_, type_ = self.event.id, self.event.type
        if self.event.erased:
            return IntentWithdrawn(f"The intent {id_} was erased", intent_id=id_)
        match self.state:
            case "rejected":
                said = (
                    f"{self.decided_by or 'Somebody'} rejected the intent {id_} ({type_}); `why` is the reason, if any"
                )
                return IntentRejected(said, intent_id=id_, why=self.reason, by=self.decided_by)
            case "expired":
                return IntentExpired(f"The intent {id_} ({type_}) is expired; ask again", intent_id=id_)
            case "withdrawn":
                return IntentWithdrawn(f"The intent {id_} ({type_}) was withdrawn", intent_id=id_, why=self.reason)
            case _:
                return None


class Started(Struct, frozen=True, kw_only=True, rename="camel"):
    """A use of an intent that has started. `replayed` is true if the same request had started it before."""

    event: Event
    use: int
    replayed: bool

    @property
    def intent_id(self) -> str:
        """The id of the intent's event."""
        start: dict[str, Any] = (self.event.metadata or {})["synap"]["start"]
        return str(start["intentId"])
