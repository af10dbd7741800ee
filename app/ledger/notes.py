"""Signed notes (C2SP signed-note): a text, and lines of signatures by named keys."""

import binascii
import re
from collections.abc import Iterable

from msgspec import Struct

MAX_NOTE_BYTES = 131_072
"""Enough for 16 signatures of the longest kind, nearly 5 kB, which every reader must accept."""

KEY_ID_BYTES = 4

_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")


class MalformedNoteError(ValueError):
    """A text is not a signed note, or not one of a checkpoint. The message says why in one sentence."""


class SignedNote(Struct, frozen=True):
    """A parsed note. `text` is what is signed. A signature is a key's name, first the key's id (4 bytes)."""

    text: bytes
    signatures: list[tuple[str, bytes]]

    def claimed_by(self, name: str, key_id: bytes) -> list[bytes]:
        """The signatures of the lines that name this key. They are not verified."""
        return [
            signature[KEY_ID_BYTES:]
            for signer, signature in self.signatures
            if (signer, signature[:KEY_ID_BYTES]) == (name, key_id)
        ]

    def written(self) -> str:
        """The note as text, the same as the one that was parsed."""
        lines = "".join(signature_line(name, signature) for name, signature in self.signatures)
        return f"{self.text.decode()}\n{lines}"


def parse(note: str, max_bytes: int = MAX_NOTE_BYTES) -> SignedNote:
    """The parts of a note. It does not verify signatures, and accepts those of any kind. Raises MalformedNoteError."""
    if len(note) > max_bytes or len(utf8(note)) > max_bytes:
        raise MalformedNoteError(f"A note has at most {max_bytes} bytes")
    if _CONTROL.search(note):
        raise MalformedNoteError("A note has no control characters other than line feeds")
    text, empty_line, lines = note.rpartition("\n\n")
    if not empty_line or not lines.endswith("\n"):
        raise MalformedNoteError("A note is a text, an empty line and signatures, each line followed by a line feed")
    return SignedNote(text=utf8(f"{text}\n"), signatures=[_signature(line) for line in lines[:-1].split("\n")])


def signature_line(name: str, signature: bytes) -> str:
    """The line of a signature, which begins with the key's id."""
    return f"— {name} {to_base64(signature)}\n"


def is_key_name(text: str) -> bool:
    """Whether a key may have this name: not empty, UTF-8, without white space and plus signs."""
    return bool(text) and not any(each == "+" or each.isspace() or "\ud800" <= each <= "\udfff" for each in text)


def utf8(text: str) -> bytes:
    """The bytes of a text. Raises MalformedNoteError for a lone surrogate."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise MalformedNoteError("A note is UTF-8, which has no lone surrogates") from None


def to_base64(raw: bytes) -> str:
    """The bytes in base64, with padding."""
    return binascii.b2a_base64(raw, newline=False).decode()


def to_texts(hashes: Iterable[bytes]) -> list[str]:
    """Each hash in base64, as proofs in JSON have them."""
    return [to_base64(each) for each in hashes]


def from_base64(text: str) -> bytes | None:
    """The bytes, or None if their base64 is spelled differently."""
    try:
        raw = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        return None
    return raw if to_base64(raw) == text else None


def _signature(line: str) -> tuple[str, bytes]:
    match line.split(" "):
        case ["—", name, text]:
            signature = from_base64(text)
            if signature is None or len(signature) <= KEY_ID_BYTES:
                raise MalformedNoteError("A signature is base64 of a key id and at least one byte")
            if not is_key_name(name):
                raise MalformedNoteError("A key name is empty, or has white space or a plus sign")
            return name, signature
        case _:
            raise MalformedNoteError("A signature line is an em dash, a name and base64, separated by spaces")
