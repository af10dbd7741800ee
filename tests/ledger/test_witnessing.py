"""What a witness checks: the example of C2SP, every answer of the protocol, and hostile requests."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.ledger import notes, witnessing
from app.ledger.checkpoint import Checkpoint, parse_foreign, sign
from app.ledger.merkle import EMPTY_ROOT
from app.ledger.notes import MalformedNoteError
from app.ledger.signer import Signer
from app.ledger.vkeys import ML_DSA_44, VerifierKey, of_kid
from app.ledger.witnessing import (
    InconsistentError,
    LastCosigned,
    MovedError,
    UnknownLogError,
    UnsignedError,
    check_extends,
    check_signed,
    kept_note,
)
from tests.kit import paths
from tests.kit.examples import examples
from tests.kit.witness import StrangeLog, asked

EXAMPLE = (paths.VECTORS / "c2sp" / "add-checkpoint.txt").read_bytes()
COSIGNATURES = (paths.VECTORS / "c2sp" / "cosignatures.txt").read_text()
LOG = StrangeLog("log.example/a", Signer(bytes(32)))
FORK = StrangeLog("log.example/a", Signer(bytes(32)), history="another ")
KEYS = [of_kid(LOG.origin, LOG.signer.kid)]


def test_the_request_of_the_example_is_read() -> None:
    added = witnessing.parse(EXAMPLE)

    assert (added.old, len(added.proof)) == (20_852_014, 4)
    assert (added.note.checkpoint.origin, added.note.checkpoint.size) == ("example.com/behind-the-sofa", 20_852_163)
    assert [(name, len(signature)) for name, signature in added.note.signatures] == [
        ("example.com/behind-the-sofa", 68),
        ("example.com/behind-the-sofa", 68),
    ]


def test_the_answer_of_the_example_completes_a_checkpoint() -> None:
    note = parse_foreign(LOG.note(3) + COSIGNATURES)

    assert [name for name, _ in note.signatures[1:]] == [
        "witness.example/w1",
        "witness.example/w1",
        "witness.example/w2",
    ]
    assert {len(signature) for _, signature in note.signatures[1:]} == {4 + 8 + 64}


def test_extension_lines_are_read() -> None:
    text, signatures = LOG.note(3).split("\n\n")

    added = witnessing.parse(asked(0, [], f"{text}\nan extension\n\n{signatures}"))

    assert added.note.text.endswith(b"\nan extension\n")


PROOF = LOG.proof(3, 7)
NOTE = LOG.note(7)
MALFORMED = {
    "nothing": b"",
    "no note": b"old 0\n\n",
    "no old size": asked(0, [], NOTE).partition(b"\n")[2],
    "two spaces": asked(" 0", [], NOTE),
    "a leading zero": asked("00", [], NOTE),
    "a negative size": asked(-1, [], NOTE),
    "a size in hex": asked("0x3", [], NOTE),
    "a size of 64 bits": asked(2**63, [], NOTE),
    "a size without end": asked("9" * 100_000, [], NOTE),
    "an old size above the checkpoint's": asked(8, [], NOTE),
    "64 hashes": asked(3, [bytes(32)] * 64, NOTE),
    "a short hash": asked(3, [bytes(31)], NOTE),
    "a hash that is not base64": f"old 3\n****\n\n{NOTE}".encode(),
    "carriage returns": asked(3, PROOF, NOTE).replace(b"\n", b"\r\n"),
    "no empty line": f"old 0\n{NOTE}".encode(),
    "two empty lines": f"old 0\n\n\n{NOTE}".encode(),
    "bytes that are not UTF-8": asked(0, [], NOTE) + b"\xff",
    "no line feed at the end": asked(0, [], NOTE)[:-1],
    "no signature": asked(0, [], NOTE.partition("—")[0]),
    "a size of 64 bits in the note": asked(0, [], NOTE.replace("\n7\n", f"\n{2**63}\n")),
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=list(MALFORMED))
def test_a_malformed_request_is_rejected(body: bytes) -> None:
    with pytest.raises(MalformedNoteError):
        witnessing.parse(body)


def test_63_hashes_are_read() -> None:
    assert len(witnessing.parse(asked(3, [bytes(32)] * 63, NOTE)).proof) == 63


class TestSignatures:
    """Whose signatures count."""

    def check(self, note: str, keys: list[VerifierKey] = KEYS) -> None:
        check_signed(parse_foreign(note), keys)

    def test_a_known_key_suffices(self) -> None:
        stranger = notes.signature_line("stranger.example", bytes(68))
        unknown_kind = notes.signature_line(
            LOG.origin, VerifierKey(LOG.origin, ML_DSA_44, bytes(1312)).id + bytes(2428)
        )

        self.check(NOTE)
        self.check(NOTE + stranger + unknown_kind)

    def test_each_of_two_known_keys_suffices(self) -> None:
        other = Signer(b"\x01" * 32)
        both = [*KEYS, of_kid(LOG.origin, other.kid)]

        for signer in (LOG.signer, other):
            self.check(sign(Checkpoint(LOG.origin, 7, LOG.root(7)), signer), both)

    def test_a_log_without_keys_is_unknown(self) -> None:
        with pytest.raises(UnknownLogError):
            self.check(NOTE, [])

    def test_a_signature_by_nobody_known_does_not_suffice(self) -> None:
        other = sign(Checkpoint(LOG.origin, 7, LOG.root(7)), Signer(b"\x01" * 32))
        other_name = sign(Checkpoint("log.example/b", 7, LOG.root(7)), LOG.signer)

        for note in (other, other_name):
            with pytest.raises(UnsignedError):
                self.check(note)

    def test_a_wrong_signature_of_a_known_key_spoils_the_note(self) -> None:
        wrong = notes.signature_line(LOG.origin, KEYS[0].id + bytes(64))

        for note in (NOTE + wrong, NOTE.partition("—")[0] + wrong):
            with pytest.raises(UnsignedError):
                self.check(note)


def check(body: bytes, size: int, log: StrangeLog = LOG) -> None:
    """Check a request against the cosigned size of a log."""
    check_extends(witnessing.parse(body), LastCosigned(size, log.root(size)))


@pytest.mark.parametrize(("old", "new"), [(0, 0), (0, 1), (0, 7), (1, 2), (3, 7), (4, 7), (7, 7), (7, 64), (64, 100)])
def test_a_checkpoint_that_extends_the_last_one_passes(old: int, new: int) -> None:
    check(LOG.request(old, new), old)


@pytest.mark.parametrize(("old", "cosigned"), [(0, 3), (3, 0), (3, 4), (7, 3)])
def test_another_old_size_is_answered_with_the_right_one(old: int, cosigned: int) -> None:
    with pytest.raises(MovedError) as moved:
        check(LOG.request(old, 7), cosigned)

    assert moved.value.size == cosigned


SHORT = sign(Checkpoint(LOG.origin, 0, LOG.root(1)), LOG.signer)
INCONSISTENT = {
    "another history": (FORK.request(3, 7), 3),
    "another history of the same size": (FORK.request(7, 7), 7),
    "another root with a proof": (asked(7, PROOF, FORK.note(7)), 7),
    "no proof": (asked(3, [], NOTE), 3),
    "a proof that is cut off": (asked(3, PROOF[:-1], NOTE), 3),
    "a proof that is too long": (asked(3, [*PROOF, bytes(32)], NOTE), 3),
    "the proof of another size": (asked(3, LOG.proof(4, 7), NOTE), 3),
    "a proof from nothing": (asked(0, PROOF, NOTE), 0),
    "a proof of the same size": (asked(7, PROOF, NOTE), 7),
    "a root without leaves": (asked(0, [], SHORT), 0),
}


@pytest.mark.parametrize(("body", "size"), INCONSISTENT.values(), ids=list(INCONSISTENT))
def test_a_checkpoint_that_does_not_extend_the_last_one_is_rejected(body: bytes, size: int) -> None:
    with pytest.raises(InconsistentError):
        check(body, size)


def test_a_new_log_begins_empty() -> None:
    assert LastCosigned() == LastCosigned(0, EMPTY_ROOT)


def test_the_kept_note_has_what_was_verified() -> None:
    stranger = notes.signature_line("stranger.example", bytes(68))

    kept = kept_note(parse_foreign(NOTE + stranger + NOTE.partition("\n\n")[2]), KEYS, COSIGNATURES)

    assert kept == NOTE + COSIGNATURES


parts = st.sampled_from(["old 0\n", "old 3\n", "\n", "\n\n", NOTE, LOG.note(0), "—", "AAAA\n", "\ud800", "\xff"])


@settings(max_examples=examples(200), deadline=None)
@given(st.one_of(st.binary(), st.lists(parts).map(lambda each: "".join(each).encode(errors="surrogatepass"))))
def test_hostile_requests_raise_only_our_errors(body: bytes) -> None:
    try:
        added = witnessing.parse(body)
        check_signed(added.note, KEYS)
        check_extends(added, LastCosigned())
    except (MalformedNoteError, UnknownLogError, UnsignedError, MovedError, InconsistentError):
        return
    assert added.old == 0
