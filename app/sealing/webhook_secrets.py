"""Webhook secrets at rest: whoever reads the database alone learns none, and can move none to another row."""

import os
from hashlib import sha256

from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_ABYTES,
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
    crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
)
from nacl.exceptions import CryptoError

_VERSION = b"\x01"
_NONCE_BYTES: int = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
_TAG_BYTES: int = crypto_aead_xchacha20poly1305_ietf_ABYTES


class SealError(Exception):
    """A sealed text does not open; the message is one sentence for the operator."""


class Sealer:
    """Seals and opens texts with a key drawn from the install secret, which all machines of one database share.

    XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03): its nonces of 24 bytes may be random for any number of texts.
    Immutable, safe to share.
    """

    def __init__(self, secret: bytes) -> None:
        """`secret` is the install secret: 32 random bytes."""
        self._key = sha256(b"synap/webhook-secret/v1\n" + secret).digest()

    def seal(self, text: str, workspace: str, subscription: str) -> bytes:
        """`text` sealed for one subscription of one workspace: 41 bytes more than its UTF-8, never the same twice."""
        nonce = os.urandom(_NONCE_BYTES)
        place = _place(workspace, subscription)
        return _VERSION + nonce + crypto_aead_xchacha20poly1305_ietf_encrypt(text.encode(), place, nonce, self._key)

    def open(self, sealed: bytes, workspace: str, subscription: str) -> str:
        """The text in `sealed`.

        Raises SealError where it was sealed with another install secret, for another subscription or workspace, by a
        later version, or was altered.
        """
        if sealed[:1] != _VERSION:
            raise SealError(
                f"The secret of webhook subscription {subscription} is sealed in a way that this version does not know."
            )
        nonce, content = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        try:
            if len(content) < _TAG_BYTES:
                raise CryptoError
            opened: bytes = crypto_aead_xchacha20poly1305_ietf_decrypt(
                content, _place(workspace, subscription), nonce, self._key
            )
        except CryptoError:
            raise SealError(
                f"The secret of webhook subscription {subscription} does not open: it was sealed with another install "
                "secret (SYNAP_SECRET_FILE), or its row was altered."
            ) from None
        return opened.decode()


def _place(workspace: str, subscription: str) -> bytes:
    """Where a text belongs, bound to it as associated data. The length keeps two names from running into each other."""
    name = workspace.encode()
    return _VERSION + len(name).to_bytes(4) + name + subscription.encode()
