"""Webhook subscriptions: who is told of which events, what it was sent, and what it answered."""

from typing import Annotated, Literal
from uuid import UUID

from msgspec import UNSET, Meta, UnsetType

from schemas.base import NO_NUL, Count, Input, Instant, InstantText, Output, ShortText, Way
from schemas.event import LogStart, TypePattern
from schemas.filter import LiveFilterObject, ShownFilter
from schemas.reference import EventName

DEFAULT_GRACE_SECONDS = 86_400
"""How long a secret that was replaced still signs."""

DEFAULT_DELIVERIES = 50

MAX_LISTED = 200
"""Subscriptions that one list has."""

ListLimit = Annotated[int, Meta(ge=1, le=MAX_LISTED, extra={"message": "must be a whole number from 1 to 200"})]

EventTypes = Annotated[
    list[TypePattern], Meta(min_length=1, max_length=100, extra={"message": "must have 1 to 100 patterns"})
]

WebhookUrl = Annotated[
    str, Meta(min_length=1, max_length=2048, extra={"message": "must be a URL of at most 2,048 characters"})
]

Secret = ShortText
"""What signs the deliveries. Of `whsec_` and base64 the decoded bytes are the key of Standard Webhooks."""

Description = Annotated[
    str,
    Meta(
        max_length=1024,
        pattern=NO_NUL,
        extra={"message": "must have at most 1,024 characters, none of them U+0000"},
    ),
]

SubscriptionState = Literal["active", "paused", "disabled"]

DeliveryState = Literal["pending", "delivered", "failed"]


class CreateSubscription(Input, frozen=True, kw_only=True):
    """A webhook to register (the document "Events API", section Subscribe to Events).

    It is told of the events whose type one of the `eventTypes` fits, and that meet the `filter`, which looks at each
    event alone: `parent` and `children` are refused.
    Without a `secret` one is made, and answered this once. `ordered` holds each event back until the one before it is
    through. `startFrom` is `now` (the default), `beginning`, the id of an event or a cursor (behind it), or a time.
    """

    event_types: EventTypes
    filter: LiveFilterObject | None = None
    webhook_url: WebhookUrl
    secret: Secret | None = None
    description: Description | None = None
    ordered: bool | None = None
    start_from: LogStart | None = None


class ListSubscriptions(Input, frozen=True, kw_only=True):
    """Which of them: all, if `limit` is left out; else so many, behind the one whose `subscriptionId` is `after`."""

    limit: ListLimit | None = None
    after: str | None = None


class SubscriptionReference(Input, frozen=True, kw_only=True):
    """One subscription."""

    subscription_id: str


class RotateSecret(SubscriptionReference, frozen=True, kw_only=True):
    """A new secret for a subscription: the one given, else one that is made.

    For `graceSeconds` (a day, if not said) both sign: `webhook-signature` carries both, `X-Signature` is the old one's.
    """

    secret: Secret | None = None
    grace_seconds: (
        Annotated[int, Meta(ge=0, le=604_800, extra={"message": "must be a whole number from 0 to 604800"})] | None
    ) = None


class ReplayDeliveries(SubscriptionReference, frozen=True, kw_only=True):
    """What to deliver once more: one event, or the matching ones of a range of the log.

    Either `eventId`, or `fromSeq` and `toSeq` (both included), or `from` (included) and `to` (excluded).
    """

    event_id: EventName | None = None
    from_seq: Count | None = None
    to_seq: Count | None = None
    from_: Instant | None = None
    to: Instant | None = None


class ListDeliveries(SubscriptionReference, frozen=True, kw_only=True):
    """The deliveries of a subscription, newest first; with `status`, only those.

    The page begins behind `cursor`; with `direction: "backward"` it ends right before it.
    """

    status: DeliveryState | None = None
    limit: Annotated[int, Meta(ge=1, le=200, extra={"message": "must be a whole number from 1 to 200"})] | None = None
    cursor: str | None = None
    direction: Way | None = None


class Subscription(Output, frozen=True, kw_only=True):
    """A webhook. `status` is `disabled` where we stopped it: `reason` says why. A secret is never shown again.

    `filter` is there where one was given, as it was. `deliverySeq` is the number of the last delivery; `untried` of
    them wait for their first attempt. `failingSince` is there while every attempt fails. `weakSecret` says that its key
    has fewer than the 24 bytes that Standard Webhooks asks for. Until `previousSecretUntil` the secret before signs as
    well.
    """

    subscription_id: str
    event_types: list[str]
    filter: ShownFilter | UnsetType = UNSET
    webhook_url: str
    description: str | None = None
    ordered: bool
    status: SubscriptionState
    reason: str | None = None
    created_at: InstantText
    stopped_at: InstantText | None = None
    failing_since: InstantText | None = None
    delivery_seq: int
    untried: int
    weak_secret: bool
    previous_secret_until: InstantText | None = None


class CreatedSubscription(Subscription, frozen=True, kw_only=True):
    """A new webhook, and what verifies its deliveries: `secret` where it was made here, never shown again.

    `standardWebhooksSecret` is the form that the libraries of Standard Webhooks take.
    """

    secret: str | None = None
    standard_webhooks_secret: str


class RotatedSecret(Output, frozen=True, kw_only=True):
    """A new secret: `secret` where it was made here, never shown again. Until `previousSecretUntil` the old one signs.

    `standardWebhooksSecret` is the form that the libraries of Standard Webhooks take.
    """

    secret: str | None = None
    standard_webhooks_secret: str
    weak_secret: bool
    previous_secret_until: InstantText | None = None


class SubscriptionDeleted(Output, frozen=True, kw_only=True):
    """The subscription is gone, and all that it was owed. Nothing is sent to it any more but what is under way."""

    subscription_id: str
    deleted: Literal[True]


class TestedSubscription(Output, frozen=True, kw_only=True):
    """What came of one POST of an event of type `synap.webhook.test`. `error` says why it is no delivery."""

    delivered: bool
    status: int | None = None
    error: str | None = None
    elapsed_ms: int
    body: str


class Replayed(Output, frozen=True, kw_only=True):
    """How many deliveries were made, and the last one's `deliverySeq`."""

    deliveries: int
    delivery_seq: int


class Attempt(Output, frozen=True, kw_only=True):
    """One POST: `status` and `body` (20,000 bytes at most) as answered; `error` says why it was no delivery."""

    number: int
    at: InstantText
    elapsed_ms: int
    status: int | None = None
    error: str | None = None
    body: str


class Delivery(Output, frozen=True, kw_only=True):
    """One event owed to a subscription, with its last attempts. `failed` is what its whole schedule did not deliver."""

    delivery_seq: int
    seq: int
    event_id: UUID
    type: str
    status: DeliveryState
    replay: bool
    created_at: InstantText
    next_attempt_at: InstantText | None = None
    ended_at: InstantText | None = None
    attempts: list[Attempt]


class DeliveryPage(Output, frozen=True, kw_only=True):
    """One page, newest first. `nextCursor` is absent on the last one, `previousCursor` on the first."""

    deliveries: list[Delivery]
    next_cursor: str | None = None
    previous_cursor: str | None = None
