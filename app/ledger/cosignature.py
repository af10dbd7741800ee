"""Cosignatures (C2SP tlog-cosignature, Ed25519): a witness states when it saw that a log only grew."""

from app.ledger.notes import SignedNote, signature_line
from app.ledger.signer import SIGNATURE_BYTES, Signer, verify
from app.ledger.vkeys import COSIGNATURE, VerifierKey

MAX_TIME = 2**63 - 1

_TIME_BYTES = 8


class FalseSignatureError(Exception):
    """A line names a known key that did not make its signature, so the note is malformed. It has the key's name."""


def key_of(name: str, signer: Signer) -> VerifierKey:
    """The verifier key of the witness called `name`."""
    return VerifierKey(name, COSIGNATURE, signer.public)


def cosign(text: bytes, name: str, signer: Signer, at: int) -> str:
    """The signature line of the witness `name` for a checkpoint's text, at a time in seconds since 1970."""
    signature = signer.sign(_message(text, at))
    return signature_line(name, key_of(name, signer).id + at.to_bytes(_TIME_BYTES, "big") + signature)


def cosigned_at(note: SignedNote, key: VerifierKey) -> int | None:
    """When `key` cosigned the note, in seconds since 1970; the first time if it did so more than once.

    None without such a line, and for a key of a kind that we cannot verify. Raises FalseSignatureError.
    """
    if key.kind != COSIGNATURE:
        return None
    times = [_verified(note.text, key, claimed) for claimed in note.claimed_by(key.name, key.id)]
    return min(times, default=None)


def _verified(text: bytes, key: VerifierKey, claimed: bytes) -> int:
    at = int.from_bytes(claimed[:_TIME_BYTES], "big")
    signature = claimed[_TIME_BYTES:]
    # A time of 0 means that the witness states no time, which this kind of signature cannot do.
    if not 0 < at <= MAX_TIME or len(signature) != SIGNATURE_BYTES:
        raise FalseSignatureError(key.name)
    if not verify(key.kid, _message(text, at), signature):
        raise FalseSignatureError(key.name)
    return at


def _message(text: bytes, at: int) -> bytes:
    return b"cosignature/v1\ntime %d\n%b" % (at, text)
