"""Secrets at rest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.sealing.webhook_secrets import Sealer, SealError

SECRET = bytes(range(32))
SEALER = Sealer(SECRET)


@given(st.text(max_size=200), st.text(max_size=20), st.text(max_size=20))
def test_what_is_sealed_opens(text: str, workspace: str, subscription: str) -> None:
    sealed = SEALER.seal(text, workspace, subscription)

    assert Sealer(SECRET).open(sealed, workspace, subscription) == text
    assert len(sealed) == len(text.encode()) + 41


def test_a_text_is_sealed_differently_each_time_and_shows_nothing() -> None:
    one, other = (SEALER.seal("whsec_0123456789", "default", "sub_1") for _ in range(2))

    assert one != other
    assert b"whsec" not in one
    assert one[0] == 1


PLACES = {
    "another workspace": ("other", "sub_1"),
    "another subscription": ("default", "sub_2"),
    "a name that runs into the next": ("defaults", "ub_1"),
    "swapped": ("sub_1", "default"),
    "nowhere": ("", ""),
}


@pytest.mark.parametrize(("workspace", "subscription"), PLACES.values(), ids=list(PLACES))
def test_a_sealed_secret_opens_only_in_its_own_row(workspace: str, subscription: str) -> None:
    sealed = SEALER.seal("secret", "default", "sub_1")

    with pytest.raises(SealError, match="does not open"):
        SEALER.open(sealed, workspace, subscription)


def test_another_install_secret_does_not_open_it() -> None:
    sealed = SEALER.seal("a secret text", "default", "sub_1")

    with pytest.raises(SealError, match=r"sub_1 does not open: .* \(SYNAP_SECRET_FILE\)") as refused:
        Sealer(SECRET[::-1]).open(sealed, "default", "sub_1")
    assert "a secret text" not in str(refused.value)


@given(st.integers(0), st.integers(1, 255))
def test_any_altered_byte_is_found(at: int, flip: int) -> None:
    sealed = bytearray(SEALER.seal("secret", "default", "sub_1"))
    sealed[at % len(sealed)] ^= flip

    with pytest.raises(SealError):
        SEALER.open(bytes(sealed), "default", "sub_1")


@pytest.mark.parametrize("length", range(47))
def test_a_sealed_text_cut_off_anywhere_does_not_open(length: int) -> None:
    with pytest.raises(SealError):
        SEALER.open(SEALER.seal("secret", "default", "sub_1")[:length], "default", "sub_1")


@given(st.binary(max_size=100))
def test_garbage_does_not_open(garbage: bytes) -> None:
    with pytest.raises(SealError):
        SEALER.open(garbage, "default", "sub_1")


def test_a_later_version_is_recognised() -> None:
    with pytest.raises(SealError, match="has a seal that this version does not know"):
        SEALER.open(b"\x02" + bytes(60), "default", "sub_1")
