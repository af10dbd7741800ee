"""Proofs that travel (C2SP tlog-proof): the inclusion of a leaf, and the checkpoint that covers it, in one text."""

import re

from msgspec import Struct

from app.ledger.checkpoint import MAX_NOTE_BYTES, proof_hashes, size_of
from app.ledger.notes import MalformedNoteError, from_base64, to_base64

FIRST_LINE = "c2sp.org/tlog-proof@v1"

MAX_TEXT_BYTES = 8 * 2**20
"""The maximum of a proof. It contains at most two events, in base64."""

_HEAD = re.compile(r"(?:extra (?P<extra>[A-Za-z0-9+/]+=*)\n)?index (?P<index>[0-9]+)\n(?P<hashes>(?:[^\n]+\n)*)\n")


class MalformedProofError(ValueError):
    """A text is not a proof in this form. The message says why in one sentence."""


class TlogProof(Struct, frozen=True):
    """The leaf at `index` is in the tree of the checkpoint `note`. Nothing authenticates `extra` itself."""

    index: int
    hashes: list[bytes]
    note: str
    extra: bytes | None = None

    def written(self) -> str:
        """The proof as text."""
        extra = "" if self.extra is None else f"extra {to_base64(self.extra)}\n"
        hashes = "".join(f"{to_base64(each)}\n" for each in self.hashes)
        return f"{FIRST_LINE}\n{extra}index {self.index}\n{hashes}\n{self.note}"


def parse(text: str) -> TlogProof:
    """The parts of a proof. It verifies nothing, and does not read the note. Raises MalformedProofError."""
    if len(text) > MAX_TEXT_BYTES:
        raise MalformedProofError(f"A proof has at most {MAX_TEXT_BYTES} bytes")
    if not text.startswith(f"{FIRST_LINE}\n"):
        raise MalformedProofError(f"The first line is not {FIRST_LINE}")
    head = _HEAD.match(text, len(FIRST_LINE) + 1)
    if head is None or len(text) - head.end() > MAX_NOTE_BYTES:
        raise MalformedProofError(
            "After the first line come `extra` (if there is one), `index`, hashes, an empty line, a note"
        )
    try:
        index = size_of(head["index"])
        hashes = proof_hashes(head["hashes"].split("\n")[:-1])
    except MalformedNoteError as error:
        raise MalformedProofError(str(error)) from None
    extra = None if head["extra"] is None else from_base64(head["extra"])
    if head["extra"] is not None and extra is None:
        raise MalformedProofError("What follows `extra` is not base64")
    return TlogProof(index=index, hashes=hashes, note=text[head.end() :], extra=extra)
