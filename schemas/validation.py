"""The answer of a dry run: what `events.log` would do with an event."""

from msgspec import UNSET, UnsetType

from schemas.base import Output, RawMetadata, RawRecord
from schemas.event import Source


class EventIssue(Output, frozen=True, kw_only=True):
    """Why an event would be refused: its dotted path (empty for the whole), a sentence, and the published code."""

    path: str
    message: str
    code: str


class ToldSubscription(Output, frozen=True, kw_only=True):
    """A webhook that would be told of an event."""

    subscription_id: str
    webhook_url: str


class Validation(Output, frozen=True, kw_only=True):
    """What `events.log` would do with an event. Of one that is not `valid`, `issues` are all the reasons.

    `sentBytes` is the size of the event as it was sent, which may be `maxBytes`; it is absent where it was not read.
    Of a valid one there is what the log would hold: `data` and `metadata`, canonical, their sizes in bytes of UTF-8,
    whose it would be, and its source. `stored` says that the same event is stored under its id already: it would be
    answered, and nothing appended.

    `subscriptionCount` webhooks would be told of it; it is absent if the key may only write. `subscriptions` are those
    that the key may manage, and are absent where it may manage none.
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
