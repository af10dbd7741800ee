"""Checks the keys of a bundle or a proof, and signatures by them."""

from collections.abc import Callable, Mapping, Sequence

from msgspec import UNSET

from app.ledger import signer
from app.ledger.chain import export_text, rotation_text
from app.ledger.notes import from_base64
from app.ledger.verify.shapes import Bundle, Key, Rotation, is_timestamp
from app.ledger.verify.verdict import KEY_CHAIN, KEY_POINT, NODE_KEY, SEAL, SEALING_KEY, Break, Fault, check

Judge = Callable[[str, bytes, bytes], bool]
"""Whether the key of this kid made this signature (the last argument) over the text, as `signer.verify` says."""


def check_keys(keys: Sequence[Key], node: str, judge: Judge) -> None:
    """Check the node's key, and that both keys signed each rotation; at a break only the new key did."""
    first, *others = keys
    for number, key in enumerate(keys, 1):
        check(signer.public_key(key.kid), KEY_POINT.format(number))
    check(node == f"did:key:{first.kid}" and first.rotation is UNSET, NODE_KEY)
    before = first.kid
    for number, key in enumerate(others, 2):
        rotation = key.rotation
        if rotation is UNSET or (rotation.kid_old, rotation.kid_new) != (before, key.kid):
            raise Fault(KEY_CHAIN.format(number, "its rotation is of other keys"))
        if not is_rotation_signed(rotation, node, judge):
            raise Fault(KEY_CHAIN.format(number, "its rotation is not signed by both"))
        before = key.kid


def breaks_of(keys: Sequence[Key], rotated: Mapping[int, int] | None = None) -> list[Break]:
    """The keys that were lost. `rotated` has the seqs of the events that show it, by place in the keys."""
    rotations = ((place, key.rotation) for place, key in enumerate(keys))
    return [
        Break(rotation.kid_old, rotation.kid_new, rotation.rotated_at, (rotated or {}).get(place))
        for place, rotation in rotations
        if rotation is not UNSET and rotation.signature_old is None
    ]


def is_rotation_signed(rotation: Rotation, node: str, judge: Judge) -> bool:
    """Whether both keys signed the rotation; at a break, whether the new one did."""
    if not is_timestamp(rotation.rotated_at):
        return False
    old, new = rotation.kid_old, rotation.kid_new
    text = rotation_text(node, old, new, rotation.rotated_at)
    by_old = rotation.signature_old is None or is_signed(old, text, rotation.signature_old, judge)
    return by_old and is_signed(new, text, rotation.signature_new, judge)


def check_seal(bundle: Bundle, judge: Judge) -> None:
    """Check the bundle's signature, which covers everything that the events do not prove themselves."""
    check(any(key.kid == bundle.kid for key in bundle.keys), SEALING_KEY)
    text = export_text(
        node=bundle.node_did,
        log=bundle.log,
        export_id=bundle.export_id,
        first_seq=int(bundle.first_seq),
        last_seq=int(bundle.last_seq),
        count=int(bundle.count),
        root=bundle.chain_root_hash,
        tip=bundle.chain_tip_hash,
        generated_at=bundle.generated_at,
    )
    check(is_signed(bundle.kid, text, bundle.bundle_signature, judge), SEAL)


def is_signed(kid: str, text: bytes, signature: str, judge: Judge = signer.verify) -> bool:
    """Whether the signature, in base64, over the text is by the key of this kid."""
    raw = from_base64(signature)
    return raw is not None and judge(kid, text, raw)
