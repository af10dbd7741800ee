"""Webhook secrets at rest. A reader of the database learns none of them, and cannot move one to another row."""

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
    """A sealed text does not open. The message is one sentence for the operator."""


class Sealer:
    """Seals and opens texts with a key derived from the install secret, which all machines of one database share.

    XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) has nonces of 24 bytes, which may be random for any number of texts.
    Immutable, safe to share.
    """

    def __init__(self, secret: bytes) -> None:
        """`secret` is the install secret: 32 random bytes."""
        self._key = sha256(b"synap/webhook-secret/v1\n" + secret).digest()

    def seal(self, text: str, workspace: str, subscription: str) -> bytes:
        """`text` sealed for one subscription of one workspace: 41 bytes longer than its UTF-8, different each time."""
        nonce = os.urandom(_NONCE_BYTES)
        place = _place(workspace, subscription)
        return _VERSION + nonce + crypto_aead_xchacha20poly1305_ietf_encrypt(text.encode(), place, nonce, self._key)

    def open(self, sealed: bytes, workspace: str, subscription: str) -> str:
        """The text in `sealed`.

        Raises SealError if it was sealed with another install secret, for another subscription or workspace, or by a
        later version, or if it was altered.
        """
        if sealed[:1] != _VERSION:
            raise SealError(
                f"The secret of webhook subscription {subscription} has a seal that this version does not know."
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
    """The place of a text, bound to it as associated data. The length keeps the two names apart."""
    name = workspace.encode()
    return _VERSION + len(name).to_bytes(4) + name + subscription.encode()
