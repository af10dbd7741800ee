"""Webhook subscriptions: which events each receives, what was sent, and what the receiver answered.

The structure of a subscription is in `docs/api/publish.md`, Subscribe to Events.
"""

from typing import Annotated, ClassVar, Literal
from uuid import UUID

from msgspec import UNSET, Meta, UnsetType

from schemas.base import NO_NUL, Count, EventTypeName, Input, Instant, InstantText, Output, ShortText, Way
from schemas.event import LogStart, TypePattern
from schemas.filter import LiveFilterObject, ShownFilter
from schemas.reference import EventName

DEFAULT_GRACE_SECONDS = 86_400
"""The default time for which a replaced secret still signs: a day."""

DEFAULT_DELIVERIES = 50

MAX_LISTED = 200
"""The maximum of subscriptions in one list."""

ListLimit = Annotated[int, Meta(ge=1, le=MAX_LISTED, extra={"message": "must be a whole number from 1 to 200"})]

EventTypes = Annotated[
    list[TypePattern], Meta(min_length=1, max_length=100, extra={"message": "must have 1 to 100 patterns"})
]

WebhookUrl = Annotated[
    str, Meta(min_length=1, max_length=2048, extra={"message": "must be a URL of at most 2,048 characters"})
]

Secret = ShortText
"""The secret that signs deliveries. If it is `whsec_` followed by base64, the key is the decoded bytes."""

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
    """A webhook to register.

    It receives the events whose type matches one of the `eventTypes` and that match the `filter`. The server rejects a
    `filter` with `parent` or `children`. Without a `secret` the server makes one and returns it only in this answer.
    With `ordered` the server sends an event only after the delivery before it has ended. `startFrom` is `now` (the
    default), `beginning`, a time, or the id of an event or a cursor after which to begin.
    """

    event_types: EventTypes
    filter: LiveFilterObject | None = None
    webhook_url: WebhookUrl
    secret: Secret | None = None
    description: Description | None = None
    ordered: bool | None = None
    start_from: LogStart | None = None


class ListSubscriptions(Input, frozen=True, kw_only=True):
    """Which subscriptions to list: at most `limit` after the one whose `subscriptionId` is `after`; by default all."""

    limit: ListLimit | None = None
    after: str | None = None


class SubscriptionReference(Input, frozen=True, kw_only=True):
    """One subscription, by its `subscriptionId`."""

    subscription_id: str


class RotateSecret(SubscriptionReference, frozen=True, kw_only=True):
    """A new secret for a subscription. Without `secret` the server makes one.

    For `graceSeconds` (default 86,400, a day) both secrets sign: `webhook-signature` carries both signatures,
    `X-Signature` only the old one's.
    """

    secret: Secret | None = None
    grace_seconds: (
        Annotated[int, Meta(ge=0, le=604_800, extra={"message": "must be a whole number from 0 to 604800"})] | None
    ) = None


class ReplayDeliveries(SubscriptionReference, frozen=True, kw_only=True):
    """What to deliver once more: one event, or the matching events of a range of the log.

    Send either `eventId`, or `fromSeq` and `toSeq` (both included), or `from` (included) and `to` (excluded).
    """

    event_id: EventName | None = None
    from_seq: Count | None = None
    to_seq: Count | None = None
    from_: Instant | None = None
    to: Instant | None = None

    __one_of__: ClassVar[tuple[tuple[str, ...], ...]] = (("event_id",), ("from_seq", "to_seq"), ("from_", "to"))


class ListDeliveries(SubscriptionReference, frozen=True, kw_only=True):
    """The deliveries of a subscription, newest first; with `status`, only the deliveries in that state.

    The page begins after `cursor`; with `direction: "backward"` it ends right before it.
    """

    status: DeliveryState | None = None
    limit: Annotated[int, Meta(ge=1, le=200, extra={"message": "must be a whole number from 1 to 200"})] | None = None
    cursor: str | None = None
    direction: Way | None = None


class Subscription(Output, frozen=True, kw_only=True):
    """A webhook, without its secret. If the server stopped it, `status` is `disabled` and `reason` says why.

    `filter` is the filter as it was sent. `deliverySeq` is the number of the last delivery; `untried` deliveries wait
    for their first attempt. `failingSince` is present while every attempt fails. `weakSecret` is true if the secret's
    key has fewer than the 24 bytes that Standard Webhooks requires. Until `previousSecretUntil` the previous secret
    signs too.
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
    """A new webhook. `secret` is present only if the server made it; no other answer shows it.

    `standardWebhooksSecret` is the secret in the form that the libraries of Standard Webhooks accept.
    """

    secret: str | None = None
    standard_webhooks_secret: str


class RotatedSecret(Output, frozen=True, kw_only=True):
    """A new secret. `secret` is present only if the server made it; no other answer shows it.

    `standardWebhooksSecret` is the secret in the form that the libraries of Standard Webhooks accept. Until
    `previousSecretUntil` the old secret signs too.
    """

    secret: str | None = None
    standard_webhooks_secret: str
    weak_secret: bool
    previous_secret_until: InstantText | None = None


class SubscriptionDeleted(Output, frozen=True, kw_only=True):
    """The subscription and its pending deliveries are deleted. Only an attempt that has already begun is still sent."""

    subscription_id: str
    deleted: Literal[True]


class TestedSubscription(Output, frozen=True, kw_only=True):
    """The result of one POST of an event of type `synap.webhook.test`. If it failed, `error` says why."""

    delivered: bool
    status: int | None = None
    error: str | None = None
    elapsed_ms: int
    body: str


class Replayed(Output, frozen=True, kw_only=True):
    """The number of new deliveries, and the `deliverySeq` of the last one."""

    deliveries: int
    delivery_seq: int


class Attempt(Output, frozen=True, kw_only=True):
    """One POST. `status` and `body` are the receiver's, `body` at most 20,000 bytes. If it failed, `error` says why."""

    number: int
    at: InstantText
    elapsed_ms: int
    status: int | None = None
    error: str | None = None
    body: str


class Delivery(Output, frozen=True, kw_only=True):
    """One event to deliver to a subscription, with its last attempts. It is `failed` if all its attempts failed."""

    delivery_seq: int
    seq: int
    event_id: UUID
    type: EventTypeName
    status: DeliveryState
    replay: bool
    created_at: InstantText
    next_attempt_at: InstantText | None = None
    ended_at: InstantText | None = None
    attempts: list[Attempt]


class DeliveryPage(Output, frozen=True, kw_only=True):
    """One page, newest first. `nextCursor` is absent on the last page, `previousCursor` on the first."""

    deliveries: list[Delivery]
    next_cursor: str | None = None
    previous_cursor: str | None = None
