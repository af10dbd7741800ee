"""Consistency proofs for `tests/vectors/consistency.json`, on which all verifiers must agree.

`python -m tests.kit.consistency` prints the file.
"""

import base64
import json
import sys
from collections.abc import Iterator
from random import Random
from typing import Any

from app.ledger import checkpoint
from app.ledger.checkpoint import Checkpoint
from app.ledger.merkle import consistency_proof
from app.ledger.signer import Signer
from tests.kit.bundles import ORIGIN, Log, Record, node_of, root_of, signer_of

ABOUT = (
    "Consistency proofs (docs/reference/ledger.md), and what a verifier says of them. Made by "
    "`python -m tests.kit.consistency`. "
    "`checkpoint` is the note of the earlier checkpoint, which was kept; `proof` is what a ledger answers, the first "
    "one if it is null, with other values at the members in `changes` (null: the member is left out). With `export` "
    "(docs/reference/evlog1.md), a part of the log, the proof leads to the checkpoint in that. `broken` is null if "
    "all verifies, and otherwise how the reason begins; it is empty if each verifier has its own words."
)

OLD, NEW = 6, 11
"""The sizes of the proof that is altered. It has at least three hashes."""

WRONG = "the consistency proof does not show that the log extends the checkpoint that was kept"
SIZES = "the consistency proof is for trees of "
KEPT_KEY = "the checkpoint that was kept is signed by none of its keys"
KEPT_LOG = "the checkpoint that was kept belongs to another log"


def log_of(size: int, *, seed: int = 0, name: str = "default", past: int = 0) -> Log:
    """A log whose key changes at seq 4. With another `past`, the same install has written other events."""
    log = Log(seed=seed, name=name)
    if past:
        log.random = Random(past)
    while len(log.events) < size:
        if len(log.events) == 4:
            log.rotate()
        else:
            log.write(1)
    return log


def leaves_of(log: Log) -> list[bytes]:
    """The leaves of the log's tree."""
    return [bytes.fromhex(event["hash"].removeprefix("sha256:")) for event in log.events]


def note_of(log: Log, size: int, *, root: bytes | None = None, signer: Signer | None = None, origin: str = "") -> str:
    """The checkpoint that the log had at this size, signed by the key in force then."""
    kid = log.kids[size - 1] if size else log.signers[0].kid
    by = signer or next(each for each in log.signers if each.kid == kid)
    root = root_of(leaves_of(log)[:size]) if root is None else root
    return checkpoint.sign(Checkpoint(origin or f"{ORIGIN}/{log.name}", size, root), by)


def shown(note: str, kid: str) -> Record:
    """A checkpoint as the ledger returns it."""
    said = checkpoint.parse(note).checkpoint
    vkey = checkpoint.vkey(said.origin, kid)
    return {"note": note, "origin": said.origin, "size": said.size, "root": base64_of(said.root), "vkey": vkey}


def hashes(log: Log, old: int, new: int) -> list[str]:
    """The hashes of the proof that the tree extends the one of size `old`."""
    return [base64_of(hash_) for hash_ in consistency_proof(old, new, node_of(leaves_of(log)[:new]))]


def proof_of(log: Log, old: int) -> Record:
    """What the ledger returns to prove that the log extends its tree of size `old`."""
    new, kid = len(log.events), log.signers[-1].kid
    return {
        "from_size": old,
        "to_size": new,
        "proof": hashes(log, old, new),
        "checkpoint": shown(note_of(log, new), kid),
        "keys": log.keys,
        "node_did": log.node,
    }


def base64_of(raw: bytes) -> str:
    """The base64 of bytes, as in proofs."""
    return base64.b64encode(raw).decode()


def flipped(hash_: str, bit: int = 0) -> str:
    """A hash that differs from this one in one bit."""
    return base64_of((int.from_bytes(base64.b64decode(hash_)) ^ 1 << bit).to_bytes(32))


def cases() -> Iterator[Record]:
    """All cases."""
    yield from _sound()
    log = log_of(NEW)
    kept = note_of(log, OLD)
    for name, changes, broken in (*_proofs(log), *_members(log), *_checkpoints(log)):
        yield {"name": name, "checkpoint": kept, "proof": None, "changes": changes, "broken": broken}
    for name, note, changes, broken in (*_kept(log), *_sizes(log)):
        yield {"name": name, "checkpoint": note, "proof": None, "changes": changes, "broken": broken}
    yield from _others(log, kept)
    yield from _exports(log)


def case_of(case: Record, first: Record) -> Record:
    """The proof of a case as a verifier gets it, made from the `first` case."""
    changed = (case["proof"] or first["proof"]) | case["changes"]
    return {name: value for name, value in changed.items() if value is not None}


def printed() -> str:
    """The text of the file, one case a line."""
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases())
    return f'{{\n"about": {json.dumps(ABOUT)},\n"cases": [\n{lines}\n]\n}}\n'


def _case(name: str, note: str, proof: Record, broken: str | None) -> Record:
    return {"name": name, "checkpoint": note, "proof": proof, "changes": {}, "broken": broken}


def _sound() -> Iterator[Record]:
    for old, new in ((OLD, NEW), (0, 0), (0, 11), (1, 11), (8, 11), (10, 11), (11, 11), (4, 8), (1, 2)):
        log = log_of(new)
        yield _case(f"from {old} to {new}", note_of(log, old), proof_of(log, old), None)


def _proofs(log: Log) -> Iterator[tuple[str, Record, str]]:
    """Cases that alter the hashes."""
    right = hashes(log, OLD, NEW)
    other = base64_of(bytes(32))
    for place, hash_ in enumerate(right):
        for bit in (0, 131, 255):
            changed = [*right[:place], flipped(hash_, bit), *right[place + 1 :]]
            yield f"bit {bit} of hash {place} is flipped", {"proof": changed}, WRONG
        yield f"hash {place} is missing", {"proof": [*right[:place], *right[place + 1 :]]}, WRONG
    for place in range(len(right) + 1):
        yield f"a hash too many at {place}", {"proof": [*right[:place], other, *right[place:]]}, WRONG
    yield "two hashes are swapped", {"proof": [right[1], right[0], *right[2:]]}, WRONG
    yield "in reverse", {"proof": right[::-1]}, WRONG
    yield "no hash", {"proof": []}, WRONG
    yield "longer than that of any tree", {"proof": right + [other] * 100}, WRONG
    yield "of the tree before", {"proof": hashes(log, OLD - 1, NEW)}, WRONG
    yield "to the tree before", {"proof": hashes(log, OLD, NEW - 1)}, WRONG
    for name, spelt in {
        "without padding": right[0].rstrip("="),
        "with a space": right[0] + " ",
        "a byte shorter": base64_of(base64.b64decode(right[0])[:-1]),
        "a byte longer": base64_of(base64.b64decode(right[0]) + b"\0"),
        "empty": "",
    }.items():
        yield f"a hash {name}", {"proof": [spelt, *right[1:]]}, ""


def _members(log: Log) -> Iterator[tuple[str, Record, str]]:
    """Cases that alter the members beside the hashes."""
    sizes: list[tuple[str, Any]] = [("from_size", OLD + 1), ("from_size", 0), ("to_size", NEW + 1), ("to_size", OLD)]
    for name, value in sizes:
        yield f"{name} is {value}", {name: value}, SIZES
    for value in (-OLD, OLD + 0.5, str(OLD), True, [OLD], 2**70):
        yield f"from_size is {json.dumps(value)}", {"from_size": value}, ""
    yield "its sizes are swapped", {"from_size": NEW, "to_size": OLD}, SIZES
    yield "the keys are fewer", {"keys": log.keys[:1]}, "its checkpoint is not signed by the last of its keys"
    yield "no keys", {"keys": []}, ""
    yield "another node", {"node_did": signer_of(1).did}, ""
    yield "a member more", {"log": "default"}, ""
    yield "no node", {"node_did": None}, ""
    rotation = log.keys[1]["rotation"]
    lie = rotation | {"signature_old": rotation["signature_new"]}
    yield "a forged rotation", {"keys": [log.keys[0], log.keys[1] | {"rotation": lie}]}, ""


def _checkpoints(log: Log) -> Iterator[tuple[str, Record, str]]:
    """Cases that alter the later checkpoint."""
    kid, last = log.signers[-1].kid, "its checkpoint is not signed by the last of its keys"
    right = proof_of(log, OLD)["checkpoint"]
    for member, value in {"size": NEW + 1, "root": base64_of(bytes(32)), "origin": "x/default", "vkey": "x"}.items():
        yield f"the {member} beside the note is another", {"checkpoint": right | {member: value}}, ""
    by_thief = note_of(log, NEW, signer=signer_of("thief"))
    yield "signed by a thief", {"checkpoint": shown(by_thief, kid)}, last
    by_first = note_of(log, NEW, signer=log.signers[0])
    yield "signed by the key before", {"checkpoint": shown(by_first, kid)}, last
    text, signature = right["note"].rsplit(" ", 1)
    raw = bytearray(base64.b64decode(signature))
    raw[-33] ^= 1
    forged = shown(f"{text} {base64_of(bytes(raw))}\n", kid)
    yield "signed, but for a bit", {"checkpoint": forged}, ""
    yield "of another root", {"checkpoint": shown(note_of(log, NEW, root=bytes(32)), kid)}, WRONG
    yield "of no log", {"checkpoint": shown(note_of(log, NEW, origin=ORIGIN), kid)}, "the origin of its checkpoint"
    yield "no note", {"checkpoint": right | {"note": "no note"}}, ""


def _kept(log: Log) -> Iterator[tuple[str, str, Record, str]]:
    """Cases with another stored checkpoint."""
    yield "kept: another root", note_of(log, OLD, root=bytes(32)), {}, WRONG
    yield "kept: signed by a thief", note_of(log, OLD, signer=signer_of("thief")), {}, KEPT_KEY
    yield "kept: another log", note_of(log, OLD, origin=f"{ORIGIN}/other"), {}, KEPT_LOG
    yield "kept: another node", note_of(log_of(NEW, seed=1), OLD), {}, KEPT_KEY
    yield "kept: another size", note_of(log, OLD + 1), {}, SIZES


def _sizes(log: Log) -> Iterator[tuple[str, str, Record, str]]:
    """Trees that are equal, empty, or in the wrong order."""
    same = {"from_size": NEW, "proof": []}
    empty = {"from_size": 0, "proof": []}
    none, other = note_of(log, 0), base64_of(bytes(32))
    yield "equal sizes with other roots", note_of(log, NEW, root=bytes(32)), same, WRONG
    yield "equal trees with a hash", note_of(log, NEW), same | {"proof": [other]}, WRONG
    yield "the empty tree with a hash", none, empty | {"proof": [other]}, WRONG
    yield "the empty tree with another root", note_of(log, 0, root=bytes(32)), empty, WRONG
    later = {"checkpoint": shown(note_of(log, OLD, signer=log.signers[-1]), log.signers[-1].kid)}
    for name, proof in {"that proof": hashes(log, OLD, NEW), "no hash": []}.items():
        swapped = {"from_size": NEW, "to_size": OLD, "proof": proof} | later
        yield f"the older tree is the larger, {name}", note_of(log, NEW), swapped, WRONG
    to_none = {"checkpoint": shown(note_of(log, 0, signer=log.signers[-1]), log.signers[-1].kid)}
    emptied = {"from_size": OLD, "to_size": 0, "proof": []} | to_none
    yield "the later tree is empty", note_of(log, OLD), emptied, WRONG


def _others(log: Log, kept: str) -> Iterator[Record]:
    """Correct proofs of something else."""
    yield _case("of another log", kept, proof_of(log_of(NEW, name="other"), OLD), KEPT_LOG)
    yield _case("of another node", kept, proof_of(log_of(NEW, seed=1), OLD), KEPT_KEY)
    yield _case("of another past", kept, proof_of(log_of(NEW, past=1), OLD), WRONG)
    mixed = proof_of(log_of(NEW, past=1), OLD) | {"proof": hashes(log, OLD, NEW)}
    yield _case("of another past, with the hashes of this one", kept, mixed, WRONG)


def _exports(log: Log) -> Iterator[Record]:
    """Parts of the log, which a proof connects to a stored checkpoint."""
    kept, part = note_of(log, OLD), log.bundle(8, 9)
    past = {"checkpoint": None}
    flip = {"proof": [flipped(hash_) for hash_ in hashes(log, OLD, NEW)]}
    other, forked = log_of(NEW, seed=1), log_of(NEW, past=1)
    for name, export, note, changes, broken in (
        ("behind the checkpoint", part, kept, {}, None),
        ("across the checkpoint", log.bundle(2, 9), kept, {}, None),
        ("before the checkpoint", log.bundle(1, 3), kept, {}, None),
        ("from the beginning, and too short", log.bundle(0, 3), kept, {}, None),
        ("whole", log.bundle(), kept, {}, None),
        ("proved without a checkpoint", part, kept, past, None),
        ("the hashes are flipped", part, kept, flip, WRONG),
        ("of another size", part, note_of(log, OLD + 1), {}, SIZES),
        ("of an earlier log", log_of(NEW - 1).bundle(8, 9), kept, {}, SIZES),
        ("of another past", forked.bundle(8, 9), kept, {}, WRONG),
        ("of another node", other.bundle(8, 9), kept, {}, KEPT_KEY),
        ("kept: signed by a thief", part, note_of(log, OLD, signer=signer_of("thief")), {}, KEPT_KEY),
        ("kept: another log", part, note_of(log, OLD, origin=f"{ORIGIN}/other"), {}, KEPT_LOG),
        (
            "whole, of another past",
            forked.bundle(),
            kept,
            {},
            f"its first {OLD} events are not those of the checkpoint",
        ),
    ):
        yield {
            "name": f"export: {name}",
            "checkpoint": note,
            "proof": None,
            "changes": changes,
            "broken": broken,
            "export": export,
        }


if __name__ == "__main__":
    sys.stdout.write(printed())
