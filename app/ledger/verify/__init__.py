"""Whether a bundle is what its install signed: each member, hash, link, key and signature.

The format is in `docs/reference/evlog1.md`, Exports.

Pure, and made for text from strangers: whatever it is, the answer is a verdict. It is read as every JSON reader reads
it: numbers are doubles, and no name stands twice in an object (I-JSON), so that no two disagree about a value.
"""

from app.ledger.verify.bundle import verify_bundle
from app.ledger.verify.consistency import verify_consistency
from app.ledger.verify.keys import is_signed
from app.ledger.verify.proof import kind_of, verify_proof
from app.ledger.verify.verdict import Break, Broken, Verdict

__all__ = [
    "Break",
    "Broken",
    "Verdict",
    "is_signed",
    "kind_of",
    "verify_bundle",
    "verify_consistency",
    "verify_proof",
]
