"""Signed notes and verifier keys: the examples of C2SP, and hostile texts."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.ledger import notes, vkeys
from app.ledger.notes import MalformedNoteError
from app.ledger.signer import Signer, verify
from app.ledger.vkeys import COSIGNATURE, ED25519, ML_DSA_44, MalformedKeyError, VerifierKey, of_kid
from tests.kit import paths
from tests.kit.examples import examples

EXAMPLE_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
EXAMPLE = (paths.VECTORS / "c2sp" / "signed-note.txt").read_text()
POEM = (paths.VECTORS / "c2sp" / "signed-note-empty-line.txt").read_text()
SIGNER = Signer(bytes(32))


def test_the_key_of_the_example_verifies_its_note() -> None:
    key = vkeys.parse(EXAMPLE_KEY)
    note = notes.parse(EXAMPLE)

    assert (key.name, key.kind, key.id.hex()) == ("example.com/foo", ED25519, "530d903a")
    (signature,) = note.claimed_by(key.name, key.id)
    assert verify(key.kid, note.text, signature)
    assert key.spelled() == EXAMPLE_KEY
    assert note.written() == EXAMPLE


def test_a_text_may_have_empty_lines() -> None:
    note = notes.parse(POEM)

    assert note.text.decode() == POEM.rpartition("\n\n")[0] + "\n"
    assert [(name, len(signature)) for name, signature in note.signatures] == [("quasimodo.example/salvatore", 68)]
    assert note.written() == POEM


def test_sixteen_signatures_of_the_longest_kind_are_read() -> None:
    text, _ = EXAMPLE.split("\n\n")
    lines = [notes.signature_line(f"witness.example/{number}", bytes(5_000)) for number in range(16)]

    note = notes.parse(f"{text}\n\n{''.join(lines)}")
    assert len(note.signatures) == 16


MALFORMED_NOTES = {
    "no text": "— a AAAAAAA=\n",
    "no empty line": EXAMPLE.replace("\n\n", "\n"),
    "no line feed at the end": EXAMPLE[:-1],
    "no signatures": EXAMPLE.split("—")[0],
    "a tab in the text": EXAMPLE.replace(" is ", "\tis\t"),
    "a lone surrogate": EXAMPLE.replace("is", "\udc80"),
    "text behind the signatures": EXAMPLE + "more\n",
    "a signature of an id only": EXAMPLE.split("—")[0] + "— a AAAAAA==\n",
    "128 KiB and more": "a" * 131_072 + EXAMPLE,
}


@pytest.mark.parametrize("text", MALFORMED_NOTES.values(), ids=list(MALFORMED_NOTES))
def test_a_text_that_is_no_note_is_rejected(text: str) -> None:
    with pytest.raises(MalformedNoteError):
        notes.parse(text)


def key_text(kind: int, key: bytes, name: str = "a") -> str:
    return VerifierKey(name, kind, key).spelled()


@pytest.mark.parametrize("kind", [ED25519, COSIGNATURE])
def test_a_kind_of_ed25519_is_read(kind: int) -> None:
    key = of_kid("log.example/a", SIGNER.kid, kind)

    assert vkeys.parse(key.spelled()) == key
    assert key.kid == SIGNER.kid


def test_a_key_of_ml_dsa_is_read() -> None:
    key = VerifierKey("witness.example", ML_DSA_44, bytes(1312))

    assert vkeys.parse(key.spelled()) == key


def test_the_kind_is_part_of_the_id() -> None:
    ids = {VerifierKey("a", kind, SIGNER.public).id for kind in (ED25519, COSIGNATURE)}

    assert len(ids) == 2


NAME, ID, KEY = EXAMPLE_KEY.split("+", 2)
MALFORMED_KEYS = {
    "nothing": "",
    "a name only": NAME,
    "no name": f"+{ID}+{KEY}",
    "a space in the name": f"a b+{ID}+{KEY}",
    "a lone surrogate in the name": f"\udc80+{ID}+{KEY}",
    "another name's id": f"{NAME}o+{ID}+{KEY}",
    "another id": f"{NAME}+530d903b+{KEY}",
    "an id in upper case": f"{NAME}+530D903A+{KEY}",
    "a short id": f"{NAME}+530d903+{KEY}",
    "a key that is not base64": f"{NAME}+{ID}+****",
    "a key in base64 for URLs": f"{NAME}+{ID}+{KEY.replace('/', '_')[:-1]}_",
    "no key": f"{NAME}+{ID}+=",
    "a short key": key_text(ED25519, SIGNER.public[:-1]),
    "a long key": key_text(ED25519, SIGNER.public + b"\0"),
    "a short key of ML-DSA": key_text(ML_DSA_44, bytes(1311)),
    "a kind that is not assigned": key_text(0x03, SIGNER.public),
    "ECDSA": key_text(0x02, SIGNER.public),
    "a point of small order": key_text(COSIGNATURE, bytes(32)),
    "a point that is not canonical": key_text(ED25519, b"\xff" * 31 + b"\x7f"),
    "a line feed": EXAMPLE_KEY + "\n",
    "a space": " " + EXAMPLE_KEY,
    "no end": "+" * 100_000,
}


@pytest.mark.parametrize("text", MALFORMED_KEYS.values(), ids=list(MALFORMED_KEYS))
def test_a_text_that_is_no_key_is_rejected(text: str) -> None:
    with pytest.raises(MalformedKeyError) as refused:
        vkeys.parse(text)

    assert "\n" not in str(refused.value)


@settings(max_examples=examples(100), deadline=None)
@given(st.one_of(st.text(), st.lists(st.sampled_from([NAME, ID, KEY, "+", "=", "\ud800"])).map("".join)))
def test_hostile_keys_raise_only_our_error(text: str) -> None:
    try:
        key = vkeys.parse(text)
    except MalformedKeyError:
        return
    assert key.spelled() == text


@settings(max_examples=examples(100), deadline=None)
@given(st.integers(0, len(EXAMPLE_KEY)), st.text(max_size=2))
def test_an_edited_key_is_rejected(place: int, instead: str) -> None:
    text = EXAMPLE_KEY[:place] + instead + EXAMPLE_KEY[place + 1 :]
    if text == EXAMPLE_KEY:
        return

    with pytest.raises(MalformedKeyError):
        vkeys.parse(text)


def test_base64_has_one_spelling() -> None:
    assert notes.from_base64("AAA=") == b"\0\0"
    assert [notes.from_base64(text) for text in ("AAA", "AAB=", "AA A=", "AAA=\n", "é", "AAA==")] == [None] * 6
    assert base64.b64encode(b"\xff" * 3).decode() == notes.to_base64(b"\xff" * 3)
