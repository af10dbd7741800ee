"""The signing key: its file, its kid, and `verify` with hostile arguments."""

import base64
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.ledger.signer import Signer, verify, write_secret
from tests.kit.examples import examples

SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
"""The key of RFC 8032, section 7.1, test 1."""

SIGNATURE_OF_NOTHING = bytes.fromhex(
    "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
)


@pytest.fixture
def no_umask() -> Iterator[None]:
    """Set an umask that masks nothing, so that files get the requested mode."""
    before = os.umask(0)
    yield
    os.umask(before)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_signatures_are_those_of_rfc_8032() -> None:
    signer = Signer(SEED)

    assert signer.sign(b"") == SIGNATURE_OF_NOTHING
    assert verify(signer.kid, b"", SIGNATURE_OF_NOTHING)


@pytest.mark.usefixtures("no_umask")
def test_a_new_key_is_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    path = tmp_path / "node.key"

    made = Signer.create(path)

    assert _mode(path) == 0o600
    loaded = Signer.load(path)
    assert loaded is not None
    assert (loaded.kid, loaded.sign(b"x")) == (made.kid, made.sign(b"x"))


def test_two_new_keys_differ(tmp_path: Path) -> None:
    assert Signer.create(tmp_path / "one").kid != Signer.create(tmp_path / "two").kid


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "node.key"
    Signer.create(path)
    before = path.read_bytes()

    with pytest.raises(FileExistsError):
        Signer.create(path)

    assert path.read_bytes() == before


@pytest.mark.usefixtures("no_umask")
def test_a_secret_is_never_overwritten_nor_written_through_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    link.symlink_to(target)

    with pytest.raises(FileExistsError):
        write_secret(link, "secret")
    write_secret(target, "secret")
    with pytest.raises(FileExistsError):
        write_secret(target, "other")

    assert target.read_text() == "secret\n"
    assert _mode(target) == 0o600


def test_no_file_is_no_key(tmp_path: Path) -> None:
    assert Signer.load(tmp_path / "node.key") is None


def test_white_space_around_a_key_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "node.key"
    path.write_bytes(b"\n " + base64.b64encode(SEED) + b"\r\n\n")

    loaded = Signer.load(path)

    assert loaded is not None
    assert loaded.kid == Signer(SEED).kid


GARBAGE = {
    "nothing": b"",
    "white space": b"\n",
    "text": b"not a key\n",
    "31 bytes": base64.b64encode(SEED[:31]),
    "33 bytes": base64.b64encode(SEED + b"x"),
    "hex": SEED.hex().encode(),
    "raw bytes": SEED,
    "two keys": base64.b64encode(SEED) + b"\n" + base64.b64encode(SEED),
    "no padding": base64.b64encode(SEED).rstrip(b"="),
    "a PEM header": b"-----BEGIN PRIVATE KEY-----\n",
    "U+0000": b"\x00" * 44,
    "invalid UTF-8": b"\xff\xfe",
}


@pytest.mark.parametrize("content", GARBAGE.values(), ids=list(GARBAGE))
def test_garbage_is_no_key(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "node.key"
    path.write_bytes(content)

    with pytest.raises(ValueError, match="does not hold an Ed25519 key") as refused:
        Signer.load(path)
    assert content.strip().decode("latin-1")[:16] not in str(refused.value) or not content.strip()


KIDS = {
    "nothing": "",
    "z alone": "z",
    "no z": Signer(SEED).kid[1:],
    "a did": Signer(SEED).did,
    "another letter": "Z" + Signer(SEED).kid[1:],
    "cut off": Signer(SEED).kid[:-1],
    "a letter that base58 lacks": Signer(SEED).kid[:-1] + "0",
    "longer than a key": Signer(SEED).kid + "1" * 100,
    "very long": "z" + "z" * 100_000,
    "beyond ASCII": "z\U0001f600",
}


@pytest.mark.parametrize("kid", KIDS.values(), ids=list(KIDS))
def test_a_malformed_kid_verifies_nothing(kid: str) -> None:
    assert not verify(kid, b"", SIGNATURE_OF_NOTHING)


@pytest.mark.parametrize("length", [0, 1, 63, 65, 128])
def test_a_signature_of_another_length_verifies_nothing(length: int) -> None:
    assert not verify(Signer(SEED).kid, b"", (SIGNATURE_OF_NOTHING * 2)[:length])


@settings(max_examples=examples(100), deadline=None)
@given(st.text(max_size=60).map(lambda text: f"z{text}"), st.binary(max_size=20), st.binary(min_size=60, max_size=68))
def test_hostile_arguments_are_false_and_raise_nothing(kid: str, text: bytes, signature: bytes) -> None:
    assert verify(kid, text, signature) is False


@settings(max_examples=examples(50), deadline=None)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=100), st.binary(min_size=1, max_size=100))
def test_a_signature_holds_only_for_its_text(seed: bytes, text: bytes, more: bytes) -> None:
    signer = Signer(seed)
    signature = signer.sign(text)

    assert len(signature) == 64
    assert verify(signer.kid, text, signature)
    assert not verify(signer.kid, text + more, signature)
