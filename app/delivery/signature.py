"""What lets a receiver check that a delivery is ours: two signatures over the same bytes.

`X-Signature` is in `docs/api/publish.md`, X-Signature. `webhook-id`, `webhook-timestamp` and `webhook-signature` are
those of Standard Webhooks 1.0, so that its published libraries verify our deliveries as they are.
"""

import base64
import hmac
import os
import re
from collections.abc import Sequence

WEAK_BYTES = 24
"""Standard Webhooks asks for keys of 24 to 64 bytes."""

_PREFIX = "whsec_"
_BASE64 = re.compile(r"([A-Za-z0-9+/]+)={0,2}")


def x_signature(secret: str, body: bytes) -> str:
    """`sha256=` and the hex HMAC-SHA256 of the raw `body`, the key being the whole `secret` in UTF-8."""
    return f"sha256={hmac.digest(secret.encode(), body, 'sha256').hex()}"


def standard_headers(secrets: Sequence[str], body: bytes, *, webhook_id: str, timestamp: int) -> dict[str, str]:
    """The three headers of Standard Webhooks for `body`, sent at `timestamp` (seconds since 1970).

    `webhook_id` stays the same in every attempt of a delivery: receivers drop what they have seen by it. It holds no
    dot, which is what separates the parts of the signed text. `secrets`, never none, are all that are valid now: during
    a rotation there is one signature for each, and a receiver takes any.
    """
    if not secrets or "." in webhook_id:
        raise ValueError("a delivery is signed with at least one secret, and its id has no dot")
    text = f"{webhook_id}.{timestamp}.".encode() + body
    signatures = [base64.b64encode(hmac.digest(_key(secret), text, "sha256")).decode() for secret in secrets]
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


def standard_secret(secret: str) -> str:
    """`secret` as the libraries of Standard Webhooks take it: `whsec_` and its key in base64.

    The same as `secret` where that has this form already.
    """
    return _PREFIX + base64.b64encode(_key(secret)).decode()


def new_secret() -> str:
    """A secret of 32 random bytes: `whsec_` and their base64."""
    return _PREFIX + base64.b64encode(os.urandom(32)).decode()


def is_weak(secret: str) -> bool:
    """Whether the key of `secret` has fewer than 24 bytes: short enough to be told to whoever sets it."""
    return len(_key(secret)) < WEAK_BYTES


def _key(secret: str) -> bytes:
    """What signs: the bytes that follow `whsec_` in base64, else the whole secret in UTF-8.

    Padding may be left out, as the published libraries allow. Nothing after `whsec_` would be an empty key, with which
    anyone could sign: then the whole text is the key.
    """
    encoded = _BASE64.fullmatch(secret.removeprefix(_PREFIX)) if secret.startswith(_PREFIX) else None
    if encoded is None or len(encoded[1]) % 4 == 1:
        return secret.encode()
    return base64.b64decode(encoded[1] + "=" * (-len(encoded[1]) % 4), validate=True)
