"""Checks that a bundle is what its install signed: each member, hash, link, key and signature.

The format is in `docs/reference/evlog1.md`, Exports.

Pure, and made for text from strangers: for any text the answer is a verdict. The text is read as any JSON reader reads
it. Numbers are doubles, and no name appears twice in an object (I-JSON), so that all readers agree about each value.
"""

from app.ledger.verify.anchored import verify_anchored
from app.ledger.verify.bundle import verify_bundle
from app.ledger.verify.consistency import verify_consistency
from app.ledger.verify.keys import is_signed
from app.ledger.verify.proof import kind_of, verify_proof
from app.ledger.verify.receipt import verify_receipt
from app.ledger.verify.verdict import Break, Broken, Verdict

__all__ = [
    "Break",
    "Broken",
    "Verdict",
    "is_signed",
    "kind_of",
    "verify_anchored",
    "verify_bundle",
    "verify_consistency",
    "verify_proof",
    "verify_receipt",
]
