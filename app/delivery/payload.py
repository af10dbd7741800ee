"""The body of a delivery (`docs/api/publish.md`, Webhook Payload), and the headers that sign it."""

from datetime import UTC, datetime

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from app.delivery.signature import standard_headers, x_signature
from app.ledger.chain import instant

TEST_TYPE = "synap.webhook.test"
"""The type of the event that `subscriptions.test` sends. No log contains it."""


class SentEvent(Struct, frozen=True, kw_only=True, rename="camel"):
    """The event as the document shows it. `data` is JSON. An erased event has only these members."""

    event_id: str
    type: str
    source: str
    timestamp: str
    data: Raw
    erased: bool | UnsetType = UNSET


class Payload(Struct, frozen=True, kw_only=True, rename="camel"):
    """The body of a delivery.

    In addition to the document's members: the event's `seq` and `hash` in its log, and `deliverySeq`, which counts the
    subscription's deliveries without gaps, so that a receiver notices missing ones. A test has none of these.
    """

    subscription_id: str
    delivered_at: str
    event: SentEvent
    seq: int | UnsetType = UNSET
    hash: str | UnsetType = UNSET
    delivery_seq: int | UnsetType = UNSET


def signed(payload: Payload, webhook_id: str, secret: str, previous_secret: str | None) -> tuple[bytes, dict[str, str]]:
    """The bytes of a delivery, and its headers. While `previous_secret` is valid, both secrets sign.

    `X-Signature` has room for one signature: while the previous secret is valid, its signature, which the receiver
    knows.
    """
    body = msgspec.json.encode(payload)
    secrets = [secret] if previous_secret is None else [secret, previous_secret]
    timestamp = int(datetime.fromisoformat(payload.delivered_at).timestamp())
    return body, {
        "content-type": "application/json",
        "user-agent": "Synap-Events",
        "x-signature": x_signature(secrets[-1], body),
        **standard_headers(secrets, body, webhook_id=webhook_id, timestamp=timestamp),
    }


def now() -> str:
    """The current time as an instant's text."""
    return instant(datetime.now(UTC))
