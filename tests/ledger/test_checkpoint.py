"""Checkpoints as signed notes: golden bytes, a published reader, and hostile notes for `parse`."""

import base64
import json
from hashlib import sha256

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sigstore._internal.rekor.checkpoint import SignedCheckpoint

from app.ledger.checkpoint import Checkpoint, Note, is_signed_by, parse, sign, vkey
from app.ledger.merkle import Frontier
from app.ledger.notes import MalformedNoteError
from app.ledger.signer import Signer, public_key
from tests.kit import paths
from tests.kit.examples import examples

VECTORS = json.loads((paths.VECTORS / "evlog1.json").read_text())
ORIGIN: str = VECTORS["checkpoint"]["origin"]
NOTE: str = VECTORS["checkpoint"]["note"]
TEXT, SIGNATURE = NOTE.split("\n\n")
LINES = NOTE.split("\n")
ROOT = LINES[2]

SIGNER = Signer(bytes.fromhex(VECTORS["ed25519"]["secret_hex"]))
OTHER = Signer(bytes(32))

origins = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="+"), min_size=1, max_size=60)
checkpoints = st.builds(
    Checkpoint, origin=origins, size=st.integers(0, 2**53 - 1), root=st.binary(min_size=32, max_size=32)
)
signers = st.builds(Signer, st.binary(min_size=32, max_size=32))


def golden() -> Checkpoint:
    """The checkpoint of the golden log's first two entries."""
    tree = Frontier()
    for entry in VECTORS["entries"][:2]:
        tree.push(bytes.fromhex(entry["hash"]))
    return Checkpoint(origin=ORIGIN, size=tree.size, root=tree.root())


def written(note: Note) -> str:
    """The only text from which `note` can have been parsed."""
    lines = [f"— {name} {base64.b64encode(signature).decode()}\n" for name, signature in note.signatures]
    return f"{note.text.decode()}\n{''.join(lines)}"


def line(name: str, signature: bytes) -> str:
    """A signature line."""
    return f"— {name} {base64.b64encode(signature).decode()}\n"


def padded(size: int) -> str:
    """The golden note with a witness whose name is so long that the note has `size` bytes."""
    return NOTE + line("w" * (size - len((NOTE + line("", bytes(6))).encode())), bytes(6))


def test_a_note_is_that_of_the_golden_vectors() -> None:
    assert sign(golden(), SIGNER) == NOTE
    assert vkey(ORIGIN, VECTORS["kid"]) == VECTORS["checkpoint"]["vkey"]


def test_a_golden_note_is_read_and_its_signature_holds() -> None:
    note = parse(NOTE)

    assert note.checkpoint == golden()
    assert note.text == f"{TEXT}\n".encode()
    assert [(name, len(signature)) for name, signature in note.signatures] == [(ORIGIN, 68)]
    assert is_signed_by(note, VECTORS["kid"])
    assert not is_signed_by(note, OTHER.kid)


@settings(max_examples=examples(100), deadline=None)
@given(checkpoints, signers)
def test_what_is_signed_is_read_as_it_was(checkpoint: Checkpoint, signer: Signer) -> None:
    text = sign(checkpoint, signer)

    note = parse(text)
    assert note.checkpoint == checkpoint
    assert written(note) == text
    assert is_signed_by(note, signer.kid)


@settings(max_examples=examples(50), deadline=None)
@given(checkpoints, signers)
def test_a_published_reader_reads_the_same(checkpoint: Checkpoint, signer: Signer) -> None:
    note = sign(checkpoint, signer)

    read = SignedCheckpoint.from_text(note)
    assert (read.checkpoint.origin, read.checkpoint.log_size) == (checkpoint.origin, checkpoint.size)
    assert (read.checkpoint.log_hash, read.checkpoint.other_content) == (checkpoint.root.hex(), [])
    (signature,) = read.signed_note.signatures
    ours = parse(note)
    assert read.signed_note.note.encode() == ours.text
    assert [(signature.name, signature.sig_hash + base64.b64decode(signature.signature))] == ours.signatures


@settings(max_examples=examples(50), deadline=None)
@given(origins, signers)
def test_a_verifier_key_names_the_key_that_signs(origin: str, signer: Signer) -> None:
    name, key_hash, key = vkey(origin, signer.kid).split("+", 2)

    raw = base64.b64decode(key)
    assert (name, raw) == (origin, b"\x01" + signer.public)
    assert bytes.fromhex(key_hash) == sha256(f"{origin}\n".encode() + raw).digest()[:4]
    ((_, signature),) = parse(sign(Checkpoint(origin, 0, bytes(32)), signer)).signatures
    assert signature[:4].hex() == key_hash


UNSIGNABLE = {
    "no origin": Checkpoint("", 2, bytes(32)),
    "an origin with a space": Checkpoint("a b", 2, bytes(32)),
    "an origin with a no-break space": Checkpoint("a\u00a0b", 2, bytes(32)),
    "an origin with a plus sign": Checkpoint("a+b", 2, bytes(32)),
    "an origin of two lines": Checkpoint("a\n1", 2, bytes(32)),
    "an origin with a lone surrogate": Checkpoint("\ud800", 2, bytes(32)),
    "an origin without end": Checkpoint("a" * 65_536, 2, bytes(32)),
    "a negative size": Checkpoint("a", -1, bytes(32)),
    "a size beyond a double": Checkpoint("a", 2**53, bytes(32)),
    "a short root": Checkpoint("a", 2, bytes(31)),
    "a long root": Checkpoint("a", 2, bytes(33)),
}


@pytest.mark.parametrize("checkpoint", UNSIGNABLE.values(), ids=list(UNSIGNABLE))
def test_a_checkpoint_that_no_note_can_have_is_not_signed(checkpoint: Checkpoint) -> None:
    with pytest.raises(MalformedNoteError):
        sign(checkpoint, SIGNER)


class TestSignatures:
    """Notes with several signatures."""

    OURS = parse(NOTE).signatures[0][1]

    def test_signatures_of_witnesses_are_skipped(self) -> None:
        witness = line("witness.example/w1", b"\x00\x01\x02\x03" + bytes(72))
        unknown = line(ORIGIN, b"\xff\xff\xff\xff\x00")

        for note in (NOTE + witness + unknown, f"{TEXT}\n\n{witness}{unknown}{SIGNATURE}"):
            assert len(parse(note).signatures) == 3
            assert is_signed_by(parse(note), SIGNER.kid)

    def test_only_a_signature_of_another_name_does_not_suffice(self) -> None:
        assert not is_signed_by(parse(f"{TEXT}\n\n{line('witness.example', self.OURS)}"), SIGNER.kid)

    def test_a_signature_of_another_key_hash_does_not_suffice(self) -> None:
        assert not is_signed_by(parse(f"{TEXT}\n\n{line(ORIGIN, bytes(4) + self.OURS[4:])}"), SIGNER.kid)

    def test_a_false_signature_of_the_key_spoils_the_note(self) -> None:
        false = line(ORIGIN, self.OURS[:4] + bytes(64))

        assert not is_signed_by(parse(f"{TEXT}\n\n{false}"), SIGNER.kid)
        assert not is_signed_by(parse(NOTE + false), SIGNER.kid)
        assert not is_signed_by(parse(f"{TEXT}\n\n{false}{SIGNATURE}"), SIGNER.kid)

    @pytest.mark.parametrize("length", [5, 67, 69])
    def test_a_signature_of_another_length_does_not_suffice(self, length: int) -> None:
        assert not is_signed_by(parse(f"{TEXT}\n\n{line(ORIGIN, (self.OURS * 2)[:length])}"), SIGNER.kid)

    def test_a_signature_of_another_text_does_not_suffice(self) -> None:
        three = NOTE.replace("\n2\n", "\n3\n")
        elsewhere = NOTE.replace(ORIGIN, "synap.example/other")

        assert not is_signed_by(parse(three), SIGNER.kid)
        assert not is_signed_by(parse(elsewhere), SIGNER.kid)

    @settings(max_examples=examples(30), deadline=None)
    @given(checkpoints, signers, signers)
    def test_a_key_that_did_not_sign_is_distinguished(
        self, checkpoint: Checkpoint, signer: Signer, other: Signer
    ) -> None:
        assume(signer.kid != other.kid)

        assert not is_signed_by(parse(sign(checkpoint, signer)), other.kid)


MALFORMED = {
    "nothing": "",
    "text alone": f"{TEXT}\n",
    "no signature": f"{TEXT}\n\n",
    "no line feed at the end": NOTE[:-1],
    "a line feed more": f"{NOTE}\n",
    "two empty lines": f"{TEXT}\n\n\n{SIGNATURE}",
    "no empty line": f"{TEXT}\n{SIGNATURE}",
    "no origin": NOTE.replace(ORIGIN, "", 1),
    "a space in the origin": NOTE.replace(ORIGIN, "a b", 1),
    "a plus sign in the origin": NOTE.replace(ORIGIN, "a+b", 1),
    "an extension line": f"{TEXT}\nextension\n\n{SIGNATURE}",
    "carriage returns": NOTE.replace("\n", "\r\n"),
    "a tab": NOTE.replace("\n2\n", "\n2\t\n"),
    "U+0000": f"\x00{NOTE}",
    "U+007F": f"\x7f{NOTE}",
    "a byte order mark and no origin": NOTE.replace(ORIGIN, "\ufeff ", 1),
    "a lone surrogate": f"\ud800{NOTE}",
    "a line separator": NOTE.replace(ORIGIN, "a\u2028b", 1),
    "no size": NOTE.replace("\n2\n", "\n\n"),
    "a leading zero": NOTE.replace("\n2\n", "\n02\n"),
    "a sign": NOTE.replace("\n2\n", "\n+2\n"),
    "a negative size": NOTE.replace("\n2\n", "\n-2\n"),
    "a space before the size": NOTE.replace("\n2\n", "\n 2\n"),
    "an underscore": NOTE.replace("\n2\n", "\n1_0\n"),
    "another script's digit": NOTE.replace("\n2\n", "\n\u0662\n"),
    "2**53": NOTE.replace("\n2\n", f"\n{2**53}\n"),
    "a size without end": NOTE.replace("\n2\n", f"\n{'9' * 10_000}\n"),
    "no root": NOTE.replace(ROOT, ""),
    "31 bytes": NOTE.replace(ROOT, base64.b64encode(bytes(31)).decode()),
    "33 bytes": NOTE.replace(ROOT, base64.b64encode(bytes(33)).decode()),
    "a root in hex": NOTE.replace(ROOT, bytes(32).hex()),
    "no padding": NOTE.replace(ROOT, ROOT.rstrip("=")),
    "bits behind the root": NOTE.replace(ROOT, "yvNgvSgJeSm3YGSVttjHljS14wCo83o+6U8l+B0wNyZ="),
    "base64 for URLs": NOTE.replace(ROOT, ROOT.replace("+", "-")),
    "a space behind the root": NOTE.replace(ROOT, f"{ROOT} "),
    "a hyphen for the dash": NOTE.replace("—", "-"),
    "an en dash": NOTE.replace("—", "\u2013"),
    "no dash": NOTE.replace("— ", ""),
    "two spaces": NOTE.replace("— ", "—  "),
    "no key name": NOTE.replace(f"— {ORIGIN}", "— "),
    "a plus sign in a key name": NOTE.replace(f"— {ORIGIN}", "— a+b"),
    "a no-break space in a key name": NOTE.replace(f"— {ORIGIN}", "— a\u00a0b"),
    "no signature bytes": f"{TEXT}\n\n— {ORIGIN} \n",
    "a key hash alone": f"{TEXT}\n\n{line(ORIGIN, bytes(4))}",
    "a signature that is not base64": f"{TEXT}\n\n— {ORIGIN} ****\n",
    "a word more": NOTE[:-1] + " x\n",
    "text behind the signatures": f"{NOTE}x\n",
    "a second note": NOTE + NOTE,
    "64 KiB and a byte": padded(65_537),
    "64 KiB of letters beyond ASCII": NOTE.replace(ORIGIN, "\u00e9" * 32_768, 1),
}


@pytest.mark.parametrize("note", MALFORMED.values(), ids=list(MALFORMED))
def test_a_malformed_note_is_rejected(note: str) -> None:
    with pytest.raises(MalformedNoteError) as refused:
        parse(note)

    assert str(refused.value).startswith("A")
    assert "\n" not in str(refused.value)


def test_a_note_of_64_kib_is_read() -> None:
    note = parse(padded(65_536))

    assert is_signed_by(note, SIGNER.kid)


parts = st.one_of(
    st.text(max_size=20),
    st.sampled_from([*LINES, "\n", "— ", ORIGIN, " ", "2", "=", "+", "\r", "\x00", "\ud800", "9007199254740991"]),
)


@settings(max_examples=examples(300), deadline=None)
@given(st.one_of(st.text(), st.lists(parts, max_size=20).map("\n".join), st.lists(parts, max_size=20).map("".join)))
def test_hostile_notes_raise_only_our_error(text: str) -> None:
    try:
        note = parse(text)
    except MalformedNoteError:
        return
    assert written(note) == text


@settings(max_examples=examples(500), deadline=None)
@given(st.integers(0, len(NOTE)), st.integers(0, 3), parts)
def test_an_edited_note_is_malformed_or_not_signed(place: int, dropped: int, instead: str) -> None:
    text = NOTE[:place] + instead + NOTE[place + dropped :]
    assume(text != NOTE)

    try:
        note = parse(text)
    except MalformedNoteError:
        return
    assert written(note) == text
    assert not is_signed_by(note, SIGNER.kid)


class TestKids:
    """A key has only one kid."""

    WRONG = (
        "",
        "z",
        SIGNER.did,
        SIGNER.kid[1:],
        "Z" + SIGNER.kid[1:],
        "z1" + SIGNER.kid[1:],
        SIGNER.kid + "1",
        SIGNER.kid + " ",
        SIGNER.kid[:-1] + "0",
        SIGNER.kid[:-1] + "\U0001f600",
        "z" + "1" * 47,
        "z" + "z" * 47,
        "z" * 100_000,
    )

    @settings(max_examples=examples(50), deadline=None)
    @given(signers)
    def test_a_kid_names_its_key(self, signer: Signer) -> None:
        assert public_key(signer.kid) == signer.public
        assert len(signer.kid) == 48

    @pytest.mark.parametrize("kid", WRONG, ids=range(len(WRONG)))
    def test_another_spelling_names_no_key(self, kid: str) -> None:
        assert public_key(kid) is None
        assert not is_signed_by(parse(NOTE), kid)
        with pytest.raises(ValueError, match="does not name an Ed25519 key"):
            vkey(ORIGIN, kid)

    @settings(max_examples=examples(200), deadline=None)
    @given(signers, st.integers(0, 47), st.characters())
    def test_a_kid_of_one_other_letter_names_another_key_or_none(self, signer: Signer, place: int, letter: str) -> None:
        kid = signer.kid[:place] + letter + signer.kid[place + 1 :]
        assume(kid != signer.kid)

        assert public_key(kid) != signer.public
