"""How a log asks a witness to cosign a checkpoint, and what the answers say (C2SP tlog-witness, add-checkpoint)."""

from collections.abc import Sequence

from msgspec import Struct

from app.ledger.checkpoint import parse, size_of
from app.ledger.cosignature import FalseSignatureError, cosigned_at
from app.ledger.notes import MalformedNoteError, signature_line, to_base64
from app.ledger.vkeys import VerifierKey

ADD_CHECKPOINT = "/add-checkpoint"

OK, CONFLICT, UNPROCESSABLE = 200, 409, 422


class Cosigned(Struct, frozen=True):
    """The witness cosigned. `line` is its signature line."""

    line: str


class Moved(Struct, frozen=True):
    """The last checkpoint that the witness cosigned has another size than the request said."""

    size: int


class Contradicted(Struct, frozen=True):
    """The witness says that the checkpoint does not extend the last one that it cosigned."""


class Failed(Struct, frozen=True):
    """The witness did not cosign. `reason` is one sentence without a full stop."""

    reason: str


Answer = Cosigned | Moved | Contradicted | Failed


def request(old: int, proof: Sequence[bytes], note: str) -> bytes:
    """The body that submits a note. `proof` shows that it extends the checkpoint of `old` events."""
    hashes = "".join(f"{to_base64(each)}\n" for each in proof)
    return f"old {old}\n{hashes}\n{note}".encode()


def answered(status: int, body: bytes, note: str, key: VerifierKey) -> Answer:
    """What the answer of the witness with this key to a submission of `note` says."""
    if status == OK:
        return _cosigned(body, note, key)
    if status == CONFLICT:
        try:
            return Moved(size_of(body.decode().removesuffix("\n")))
        except ValueError:
            return Failed("It answered 409 without a size")
    if status == UNPROCESSABLE:
        return Contradicted()
    return Failed(f"It answered {status}")


def _cosigned(body: bytes, note: str, key: VerifierKey) -> Answer:
    """The cosignature in an answer. Signatures by other keys are ignored."""
    try:
        signed = parse(note + body.decode())
        is_cosigned = cosigned_at(signed, key) is not None
    except (MalformedNoteError, UnicodeDecodeError):
        return Failed("It answered 200 with a body that is not signature lines")
    except FalseSignatureError:
        return Failed("It answered 200 with a wrong cosignature")
    if not is_cosigned:
        return Failed("It answered 200 without a cosignature by the key in the policy")
    first = min(signed.claimed_by(key.name, key.id))  # a cosignature begins with its time
    return Cosigned(signature_line(key.name, key.id + first))
