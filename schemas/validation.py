"""The answer of `events.validate`: what `events.log` would do with an event."""

from msgspec import UNSET, UnsetType

from schemas.base import ErrorCode, Output, RawMetadata, RawRecord
from schemas.event import Source


class EventIssue(Output, frozen=True, kw_only=True):
    """One reason to reject an event: a dotted `path` (empty for the whole), a sentence, and the published code."""

    path: str
    message: str
    code: ErrorCode


class ToldSubscription(Output, frozen=True, kw_only=True):
    """A webhook that would receive an event."""

    subscription_id: str
    webhook_url: str


class Validation(Output, frozen=True, kw_only=True):
    """What `events.log` would do with an event. If the event is not `valid`, `issues` has every reason.

    `sentBytes` is the size of the event as it was sent, at most `maxBytes` if valid; it is absent if the body could not
    be read. The other members describe a valid event as the log would store it: canonical `data` and `metadata`, their
    sizes in bytes, the user and the source. `stored` is true if the same event is stored already: `events.log` would
    return that one and append nothing.

    `subscriptionCount` is how many webhooks would receive the event; it is absent if the key may only write.
    `subscriptions` are those that the key may manage; it is absent if the key lacks `subscriptions:manage`.
    """

    valid: bool
    issues: list[EventIssue]
    sent_bytes: int | None = None
    max_bytes: int
    data: RawRecord | UnsetType = UNSET
    metadata: RawMetadata | UnsetType = UNSET
    data_bytes: int | None = None
    metadata_bytes: int | None = None
    user_id: str | None = None
    source: Source | None = None
    stored: bool = False
    subscription_count: int | None = None
    subscriptions: list[ToldSubscription] | None = None
