"""A receipt says in sentences what it proves, and every alteration of it is found."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from app.ledger.verify import kind_of, verify_receipt
from app.ledger.verify.verdict import Broken
from tests.kit.bundles import write
from tests.kit.receipts import FORGED, SOUND, VECTORS, digits, octets, refund

GOLDEN: dict[str, Any] = json.loads(VECTORS.read_text())


def test_the_golden_receipts_are_those_of_these_tests() -> None:
    assert {name: vector["receipt"] for name, vector in GOLDEN.items()} == {
        name: json.loads(write(make().receipt)) for name, make in SOUND.items()
    }


@pytest.mark.parametrize("name", GOLDEN)
def test_a_sound_receipt_is_explained(name: str) -> None:
    vector = GOLDEN[name]
    text = write(vector["receipt"])

    verdict = verify_receipt(text)

    assert (kind_of(text), verdict.broken, verdict.breaks) == ("receipt", None, [])
    assert verdict.sentences == vector["sentences"]
    assert (verdict.unconfirmed, verdict.withheld) == (vector["unconfirmed"], vector["withheld"])
    assert (verdict.log, verdict.node) == ("default", vector["receipt"]["node_did"])
    assert all(sentence.isascii() or sentence.isprintable() for sentence in verdict.sentences if "͸" not in sentence)


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_receipt_is_broken(name: str) -> None:
    forged = FORGED[name]()

    verdict = verify_receipt(forged.text)

    assert verdict.broken is not None
    assert verdict.broken.seq in forged.seqs, verdict.broken
    assert verdict.sentences == []


@pytest.mark.parametrize("changed", [digits, octets])
def test_a_receipt_with_any_other_digit_or_octet_is_broken(changed: Callable[[int], list[bytes]]) -> None:
    assert [text for text in changed(100) if verify_receipt(text).broken is None] == []


def test_tools_may_change_the_form_of_a_receipt() -> None:
    receipt = refund().receipt
    indented = json.dumps(receipt, indent=2, sort_keys=True).encode()

    assert kind_of(indented) == "receipt"
    assert verify_receipt(indented) == verify_receipt(write(receipt))


@pytest.mark.parametrize(
    "text", [b"", b"{}", b"[]", b"null", b'{"v":1,"chain":2}', b"\xff", b'{"v":"evlog/receipt/v1"']
)
def test_text_that_is_no_receipt_is_broken(text: bytes) -> None:
    broken = verify_receipt(text).broken

    assert isinstance(broken, Broken)
    assert broken.message.startswith("it is not a receipt: ")
