"""Cosignatures of checkpoints: the example of C2SP, and lines that are wrong."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.ledger import notes
from app.ledger.checkpoint import Checkpoint, parse, parse_foreign, sign
from app.ledger.cosignature import FalseSignatureError, cosign, cosigned_at, key_of
from app.ledger.notes import MalformedNoteError
from app.ledger.signer import Signer, verify
from app.ledger.vkeys import ML_DSA_44, VerifierKey
from tests.kit import paths
from tests.kit.examples import examples

EXAMPLE = (paths.VECTORS / "c2sp" / "cosignature.txt").read_text()
EXAMPLE_MESSAGE = b"""\
cosignature/v1
time 1679315147
example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
"""
AT = 1_679_315_147
LOG = Signer(bytes(32))
WITNESS = Signer(b"\x01" * 32)
NAME = "witness.example.com/w1"
KEY = key_of(NAME, WITNESS)
NOTE = sign(Checkpoint("example.com/log", 7, bytes(32)), LOG)


def cosigned(at: int = AT) -> str:
    return NOTE + cosign(parse(NOTE).text, NAME, WITNESS, at)


def forged(content: bytes) -> str:
    """The note with a line that names the witness's key."""
    return NOTE + notes.signature_line(NAME, KEY.id + content)


def test_the_example_is_read() -> None:
    note = parse(EXAMPLE)

    assert note.checkpoint.size == 20_852_163
    name, signature = note.signatures[1]
    assert (name, len(signature)) == (NAME, 4 + 8 + 64)
    assert int.from_bytes(signature[4:12], "big") == AT


def test_the_message_is_that_of_the_example() -> None:
    note = parse(EXAMPLE)

    line = cosign(note.text, NAME, WITNESS, AT)
    signature = notes.parse(f"text\n\n{line}").signatures[0][1]
    assert verify(WITNESS.kid, EXAMPLE_MESSAGE, signature[12:])
    assert cosigned_at(parse(EXAMPLE + line), KEY) == AT


def test_extension_lines_are_cosigned() -> None:
    text, signatures = NOTE.split("\n\n")
    extended = f"{text}\nan extension\nanother one\n\n{signatures}"
    note = parse_foreign(extended)

    line = cosign(note.text, NAME, WITNESS, AT)

    assert cosigned_at(parse_foreign(extended + line), KEY) == AT
    with pytest.raises(FalseSignatureError):
        cosigned_at(parse(NOTE + line), KEY)


def test_foreign_checkpoints_have_any_origin_and_size() -> None:
    text = f"a log + more\n{2**63 - 1}\n{notes.to_base64(bytes(32))}\n\n— a AAAAAAA=\n"

    assert parse_foreign(text).checkpoint == Checkpoint("a log + more", 2**63 - 1, bytes(32))
    with pytest.raises(MalformedNoteError, match="size"):
        parse(text)
    with pytest.raises(MalformedNoteError, match="size"):
        parse_foreign(text.replace(str(2**63 - 1), str(2**63)))


def test_an_extension_line_is_not_empty() -> None:
    text, signatures = NOTE.split("\n\n")

    with pytest.raises(MalformedNoteError, match="A checkpoint is"):
        parse_foreign(f"{text}\n\nan extension\n\n{signatures}")


def test_signatures_of_others_are_ignored() -> None:
    other = Signer(b"\x02" * 32)
    of_other_name = cosign(parse(NOTE).text, "witness.example.com/w2", WITNESS, AT)
    of_other_key = cosign(parse(NOTE).text, NAME, other, AT)
    of_unknown_kind = notes.signature_line(NAME, VerifierKey(NAME, ML_DSA_44, bytes(1312)).id + bytes(2428))

    for line in (of_other_name, of_other_key, of_unknown_kind):
        assert cosigned_at(parse(NOTE + line), KEY) is None


def test_no_signature_of_ml_dsa_is_verified() -> None:
    key = VerifierKey(NAME, ML_DSA_44, bytes(1312))

    assert cosigned_at(parse(NOTE + notes.signature_line(NAME, key.id + bytes(2428))), key) is None


def test_the_first_of_two_times_counts() -> None:
    twice = cosigned(AT + 5) + cosign(parse(NOTE).text, NAME, WITNESS, AT)

    assert cosigned_at(parse(twice), KEY) == AT


MADE = parse(cosigned()).signatures[-1][1][4:]
FALSE = {
    "another time": (AT + 1).to_bytes(8, "big") + MADE[8:],
    "no time": bytes(8) + WITNESS.sign(b"cosignature/v1\ntime 0\n" + parse(NOTE).text),
    "a time beyond 63 bits": (2**63).to_bytes(8, "big")
    + WITNESS.sign(b"cosignature/v1\ntime %d\n" % 2**63 + parse(NOTE).text),
    "a signature without a time": WITNESS.sign(parse(NOTE).text),
    "a signature of the text only": AT.to_bytes(8, "big") + WITNESS.sign(parse(NOTE).text),
    "a byte too few": MADE[:-1],
    "a byte too many": MADE + b"\0",
    "one byte": b"\0",
    "another key's": AT.to_bytes(8, "big") + LOG.sign(b"cosignature/v1\ntime %d\n" % AT + parse(NOTE).text),
}


@pytest.mark.parametrize("content", FALSE.values(), ids=list(FALSE))
def test_a_false_line_of_a_known_key_spoils_the_note(content: bytes) -> None:
    with pytest.raises(FalseSignatureError, match=re.escape(NAME)):
        cosigned_at(parse(forged(content)), KEY)
    with pytest.raises(FalseSignatureError):
        cosigned_at(parse(forged(content) + cosigned()[len(NOTE) :]), KEY)


@settings(max_examples=examples(50), deadline=None)
@given(st.integers(1, 2**63 - 1), st.binary(min_size=32, max_size=32))
def test_every_time_is_read_as_it_was(at: int, seed: bytes) -> None:
    signer = Signer(seed)

    assert cosigned_at(parse(NOTE + cosign(parse(NOTE).text, NAME, signer, at)), key_of(NAME, signer)) == at
