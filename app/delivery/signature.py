"""Two signatures over the same bytes, with which a receiver checks that a delivery comes from us.

`X-Signature` is in `docs/api/publish.md`, X-Signature. `webhook-id`, `webhook-timestamp` and `webhook-signature` are
those of Standard Webhooks 1.0, so that its libraries verify our deliveries unchanged.
"""

import base64
import hmac
import os
import re
from collections.abc import Sequence

WEAK_BYTES = 24
"""The shortest key that Standard Webhooks allows; it requires 24 to 64 bytes."""

_PREFIX = "whsec_"
_BASE64 = re.compile(r"([A-Za-z0-9+/]+)={0,2}")


def x_signature(secret: str, body: bytes) -> str:
    """`sha256=` and the hex HMAC-SHA256 of the raw `body`. The key is the whole `secret` in UTF-8."""
    return f"sha256={hmac.digest(secret.encode(), body, 'sha256').hex()}"


def standard_headers(secrets: Sequence[str], body: bytes, *, webhook_id: str, timestamp: int) -> dict[str, str]:
    """The three headers of Standard Webhooks for `body`, sent at `timestamp` (seconds since 1970).

    `webhook_id` is the same in every attempt of a delivery, so that receivers can drop repeats. It must not contain a
    dot, which separates the parts of the signed text. `secrets` are all that are valid now, at least one. During a
    rotation there is one signature for each, and a receiver accepts any of them.
    """
    if not secrets or "." in webhook_id:
        raise ValueError("a delivery needs at least one secret, and its id must have no dot")
    text = f"{webhook_id}.{timestamp}.".encode() + body
    signatures = [base64.b64encode(hmac.digest(_key(secret), text, "sha256")).decode() for secret in secrets]
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


def standard_secret(secret: str) -> str:
    """`secret` in the form that the libraries of Standard Webhooks accept: `whsec_` and its key in base64.

    It is `secret` itself if that already has this form.
    """
    return _PREFIX + base64.b64encode(_key(secret)).decode()


def new_secret() -> str:
    """A secret of 32 random bytes: `whsec_` and their base64."""
    return _PREFIX + base64.b64encode(os.urandom(32)).decode()


def is_weak(secret: str) -> bool:
    """Whether the key of `secret` has fewer than 24 bytes. If so, answers say `weakSecret`."""
    return len(_key(secret)) < WEAK_BYTES


def _key(secret: str) -> bytes:
    """The signing key. If the secret is `whsec_` followed by base64, the key is the decoded bytes.

    Otherwise it is the whole text in UTF-8. Padding may be missing, as in the published libraries. `whsec_` with
    nothing after it would be an empty key, with which anyone could sign, so its key is the whole text.
    """
    encoded = _BASE64.fullmatch(secret.removeprefix(_PREFIX)) if secret.startswith(_PREFIX) else None
    if encoded is None or len(encoded[1]) % 4 == 1:
        return secret.encode()
    return base64.b64decode(encoded[1] + "=" * (-len(encoded[1]) % 4), validate=True)
