"""`clients/verify` accepts every correct bundle, and finds every alteration of one."""

import base64
import json
import re
import subprocess
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random

import pytest

from app.ledger import checkpoint, signer
from app.ledger.checkpoint import Checkpoint
from app.ledger.merkle import EMPTY_ROOT, Frontier
from app.ledger.signer import Signer
from app.ledger.verify import verify_bundle
from app.ledger.verify.verdict import Broken
from tests.clients.verdicts import verdicts
from tests.kit import checks, paths
from tests.kit.bundles import (
    ORIGIN,
    Log,
    Record,
    build,
    proof_of,
    rewritings,
    sealed,
    signer_of,
    stripped,
    tamperings,
    value_of,
    write,
)
from tests.kit.examples import examples
from tests.kit.paths import ROOT

pytestmark = pytest.mark.usefixtures("node_command")


def proof(log: Log, seq: int) -> Record:
    """The ledger's proof of one event: the event, and its inclusion in the log's tree."""
    origin, size, root = (of := log.checkpoint()).origin, of.size, of.root
    return {
        "event": log.events[seq],
        "proof": proof_of([event["hash"] for event in log.events], seq),
        "checkpoint": {
            "note": checkpoint.sign(of, log.signers[-1]),
            "origin": origin,
            "size": size,
            "root": base64.b64encode(root).decode(),
            "vkey": checkpoint.vkey(origin, log.signers[-1].kid),
        },
        "keys": log.keys,
        "node_did": log.node,
    }


def proof_in(size: int, seq: int, *, erased: bool = False) -> Record:
    """The proof of one event in a log of `size` events, the last of which can erase it."""
    log = Log()
    log.write(size - erased)
    if erased:
        log.erase([seq])
    return proof(log, seq)


def kept() -> Record:
    """The bundle of a log of 7 events. The last one erases seqs 2 and 4, whose bodies are still in the bundle."""
    log = Log()
    log.write(6)
    log.append("synap.event.erased", {"erased": [log.name_of(seq) for seq in (4, 2)]})
    return log.bundle()


def parts_of(size: int) -> list[Record]:
    """For a log of `size` events, one partial bundle for each event at which it can end."""
    log = Log()
    log.write(size)
    return [log.bundle(last // 2, last) for last in range(size)]


VERIFY = ROOT / "clients" / "verify" / "verify.mjs"
VECTORS = json.loads((paths.VECTORS / "evlog1.json").read_text())
TOKEN = "sk_of_the_ledger"
NOT_PINNED = "not pinned: it is consistent, but nothing shows whose log it is; name its node with --node did:key:z…\n"
NODE = f"node {build(1)['node_did']}"
ZERO_HASH = base64.b64encode(bytes(32)).decode()

SOUND = {
    "no event": build(0),
    "no event, after rotations": build(0, later=2),
    "one event": build(1),
    "300 events": build(300),
    "rotations": build(30, rotations=(1, 10, 11, 29)),
    "opened after rotations": build(12, late=2, rotations=(5,)),
    "opened after rotations, and no more": build(1, late=3),
    "a rotation that the log has not yet": build(7, later=1),
    "erasures": build(30, erased=(0, 7, 28)),
    "a part that ends early": build(30, rotations=(20,), last_seq=9),
    "a part that begins late": build(30, rotations=(5, 25), first_seq=10),
    "a part that begins with a rotation": build(30, rotations=(5, 10, 25), first_seq=10),
    "a part of one event": build(30, rotations=(5,), first_seq=7, last_seq=7),
    "a part with its erasures": build(30, erased=(4, 20), first_seq=10),
}


@pytest.mark.parametrize("name", SOUND)
def test_sound_bundles_verify(name: str) -> None:
    bundle = SOUND[name]

    (verdict,) = verdicts([write(bundle)])

    assert verdict == {
        "kind": "bundle",
        "log": "default",
        "node": bundle["node_did"],
        "count": bundle["count"],
        "firstSeq": bundle["first_seq"],
        "lastSeq": bundle["last_seq"],
        "size": checkpoint.parse(bundle["checkpoint"]).checkpoint.size,
        "broken": None,
        "breaks": [],
        "lost": [],
        "tips": [],
        "unconfirmed": [],
        "kept": [],
        "authors": [],
        "erased": sum("erased" in event for event in bundle["events"]),
    }


def test_the_golden_entries_verify() -> None:
    (verdict,) = verdicts([write(golden())])

    assert (verdict["broken"], verdict["count"], verdict["breaks"]) == (None, 4, [])


def test_breaks_are_listed_whether_the_bundle_has_their_event_or_not() -> None:
    there, before, behind = (
        build(20, rotations=(5, 9), lost=(1,)),
        build(20, rotations=(5, 9), lost=(0,), first_seq=7),
        build(20, rotations=(5, 9), lost=(1,), last_seq=7),
    )

    found = verdicts([write(bundle) for bundle in (there, before, behind)])

    rotations = [there["keys"][2]["rotation"], before["keys"][1]["rotation"], behind["keys"][2]["rotation"]]
    assert [verdict["broken"] for verdict in found] == [None] * 3
    assert [verdict["breaks"] for verdict in found] == [
        [{"seq": seq, **{name: rotation[name] for name in ("kid_old", "kid_new", "rotated_at")}}]
        for seq, rotation in zip((9, None, None), rotations, strict=True)
    ]


def test_missing_bodies_are_unconfirmed_where_the_log_goes_on() -> None:
    (verdict,) = verdicts([write(build(30, erased=(4, 20), last_seq=27))])

    assert (verdict["broken"], verdict["unconfirmed"]) == (None, [4, 20])


def test_a_body_that_an_event_says_was_erased_is_kept() -> None:
    log = Log()
    log.write(6)
    bodies = list(log.events)
    log.erase([1, 2, 4])
    for seq in (4, 2):
        log.events[seq] = bodies[seq]

    log.append("synap.event.erased", {"erased": [log.name_of(4), log.name_of(5) | {"id": log.name_of(0)["id"]}]})

    found = verdicts([write(log.bundle(*part)) for part in [(0, 7), (3, 7), (5, 7), (0, 5)]])

    assert [(verdict["broken"], verdict["kept"], verdict["unconfirmed"]) for verdict in found] == [
        (None, [2, 4], []),
        (None, [4], []),
        (None, [], []),
        (None, [], [1]),
    ]


def test_the_last_event_is_proved_in_trees_of_every_shape() -> None:
    bundles = [bundle for size in range(1, 19) for bundle in parts_of(size)]
    flipped = [
        bundle | {"inclusion_proof": [*proof[:at], ZERO_HASH, *proof[at + 1 :]]}
        for bundle in bundles
        for proof in [bundle["inclusion_proof"]]
        for at in range(len(proof))
    ]
    longer = [bundle | {"inclusion_proof": [*bundle["inclusion_proof"], ZERO_HASH]} for bundle in bundles]
    shorter = [
        bundle | {"inclusion_proof": bundle["inclusion_proof"][:-1]} for bundle in bundles if bundle["inclusion_proof"]
    ]

    sound, unproved = verdicts(map(write, bundles)), verdicts(map(write, [*flipped, *longer, *shorter]))

    assert [verdict["broken"] for verdict in sound] == [None] * (18 * 19 // 2)
    assert len(unproved) > 900
    wrong = {"seq": None, "message": "its last event is not in the tree of its checkpoint"}
    assert [verdict["broken"] for verdict in unproved if verdict["broken"] != wrong] == []


def test_a_checkpoint_of_another_history_is_not_that_of_a_part() -> None:
    part, other = build(30, first_seq=5, last_seq=20), build(30, seed=1)
    size_and_root = checkpoint.parse(other["checkpoint"]).checkpoint
    swapped = part | {"checkpoint": checkpoint.sign(size_and_root, signer_of(0))}

    found = verdicts([write(swapped), write(swapped | {"inclusion_proof": other["inclusion_proof"]})])

    wrong = {"seq": None, "message": "its last event is not in the tree of its checkpoint"}
    assert [verdict["broken"] for verdict in found] == [wrong, wrong]


def test_an_empty_bundle_is_of_an_empty_tree() -> None:
    empty = build(0)
    notes = {size: Checkpoint(f"{ORIGIN}/default", size, root) for size, root in [(0, bytes(32)), (1, EMPTY_ROOT)]}
    other_root, other_size = (checkpoint.sign(note, signer_of(0)) for note in notes.values())

    found = verdicts(
        [
            write(empty | {"checkpoint": other_root}),
            write(empty | {"checkpoint": other_size}),
            write(empty | {"inclusion_proof": [ZERO_HASH]}),
        ]
    )

    of_neither = "it is empty, and its checkpoint or inclusion_proof is not"
    assert [verdict["broken"] for verdict in found] == [
        {"seq": None, "message": message} for message in ("its checkpoint has another root", of_neither, of_neither)
    ]


@pytest.mark.parametrize(
    ("seq", "old", "new"),
    [
        (3, '"payload":{', '"payload":{"again":1,"again":1,'),
        (3, '"payload":{', '"payload":{"in":[[{"again":{"x":1},"again":{}}]],'),
        (3, '"payload":{', '"payload":{"a:b":1,"a\\u003ab":1,'),
        (3, '"payload":{', '"payload":{"\\\\":1,"\\u005c":1,'),
        (3, '"payload":{', '"payload":{"__proto__":1,"__proto__":1,'),
        (3, '"payload":{', '"payload":{"deep":' + "[" * 5000 + '{"x":1,"x":1}' + "]" * 5000 + ","),
        (3, '"context":{', '"context":{"salt":"",'),
        (3, '"seq":', '"seq":99,"seq":'),
        (0, '"seq":', '"seq":99,"seq":'),
        (11, '"seq":', '"se\\u0071":99,"seq":'),
        (None, '"export_id":', '"export_id":"exp_1","export_id":'),
        (None, '"kid_old":', '"kid_old":"z","kid_old":'),
        (None, '"events":[', '"events":[],"events":['),
        (None, '"events":[', '"\\u0065vents":[{"x":1},{"x":1}],"events":['),
        (None, '"events":[', '"events":{"x":1},"events":['),
    ],
    ids=range(15),
)
def test_a_repeated_name_is_found_at_its_place(seq: int | None, old: str, new: str) -> None:
    text = write(build(12, rotations=(5,)))
    events = text.index(b'"events":') if seq is None else _events_of(text)[seq]
    start = 0 if old in {'"export_id":', '"kid_old":'} else events
    at = text.rindex(old.encode()) if old == '"kid_old":' else text.index(old.encode(), start)

    (verdict,) = verdicts([text[:at] + new.encode() + text[at + len(old) :]])

    assert verdict["broken"] == {"seq": seq, "message": "it has a member name twice"}


def test_similar_names_that_are_not_repeated_verify() -> None:
    log = Log()
    named = {'"a":1,"a":1': 1, "a": {"a": [{"a": 1}, {"a": ':"a":'}]}, "\\": "\\", '\\"': ':\\":', "[{": "]}"}
    log.append("synap.test", {**named, "events": [{"events": []}]})
    text = write(log.bundle())

    found = verdicts([text, text.replace(b'"events":', b'"\\u0065v\\u0065nts" :\n'), b" " + text + b"\n"])

    assert [verdict["broken"] for verdict in found] == [None] * 3


def test_repeated_names_are_reported_in_the_order_of_events() -> None:
    bundle = build(12)
    bundle["events"][4] |= {"signature": bundle["events"][3]["signature"]}
    text = write(bundle)
    places = _events_of(text)

    found = verdicts([text[: at + 1] + b'"seq":1,' + text[at + 1 :] for at in (places[2], places[7])])

    assert [verdict["broken"] for verdict in found] == [
        {"seq": 2, "message": "it has a member name twice"},
        {"seq": 4, "message": "its signature is wrong"},
    ]


def test_repeated_names_are_found_in_texts_as_in_bytes() -> None:
    script = """
        const twice = text.replace('"seq":3', '"seq":3,"seq":3');
        const found = [];
        for (const one of [text, twice, new TextEncoder().encode(twice)]) found.push((await verifyBundle(one)).broken);
        console.log(JSON.stringify(found));
    """

    twice = {"seq": 3, "message": "it has a member name twice"}
    assert json.loads(run_script(script, build(8))) == [None, twice, twice]


@pytest.mark.parametrize("size", [1, 2, 3, 8, 21])
def test_the_proof_of_each_event_verifies(size: int) -> None:
    log = Log()
    log.write(size)

    found = verdicts([write(proof(log, seq)) for seq in range(size)])

    assert found == [
        {
            "kind": "proof",
            "log": "default",
            "node": log.node,
            "count": 1,
            "firstSeq": seq,
            "lastSeq": seq,
            "size": size,
            "broken": None,
            "breaks": [],
            "lost": [],
            "tips": [],
            "unconfirmed": [],
            "kept": [],
            "authors": [],
            "erased": 0,
        }
        for seq in range(size)
    ]


def test_proofs_after_changes_of_the_key_verify() -> None:
    log = Log(late=1, lost=(2,))
    log.write(3)
    log.rotate()
    log.rotate()
    log.write(2)

    found = verdicts([write(proof(log, seq)) for seq in range(len(log.events))])

    assert [verdict["broken"] for verdict in found] == [None] * len(log.events)
    assert [[one["seq"] for one in verdict["breaks"]] for verdict in found] == [
        [5] if seq == 5 else [None] for seq in range(len(log.events))
    ]


def test_the_proof_of_an_erased_event_is_unconfirmed() -> None:
    log = Log()
    log.write(5)
    log.erase([2])
    behind, at_the_end = Log(), Log()
    for other in (behind, at_the_end):
        other.write(3)
    behind.write(1)
    for other in (behind, at_the_end):
        other.strip(2)

    found = verdicts([write(proof(one, 2)) for one in (log, behind, at_the_end)])

    assert [(verdict["broken"], verdict["unconfirmed"]) for verdict in found] == [
        (None, [2]),
        (None, [2]),
        ({"seq": 2, "message": "its body is missing, and no later event names it"}, []),
    ]


def test_every_false_member_of_a_proof_is_found() -> None:
    log, other = Log(), Log(seed=1)
    log.write(7)
    log.rotate()
    log.write(3)
    other.write(10)
    right, foreign = proof(log, 4), proof(other, 4)
    event, noted, path = right["event"], right["checkpoint"], right["proof"]
    by_old = checkpoint.sign(log.checkpoint(), log.signers[0])
    not_here = checkpoint.sign(Checkpoint(f"{ORIGIN}/default", 11, bytes(32)), log.signers[-1])
    of_another = checkpoint.sign(Checkpoint(f"{ORIGIN}/other", 11, log.checkpoint().root), log.signers[-1])
    before = checkpoint.sign(Checkpoint(f"{ORIGIN}/default", 4, bytes(32)), log.signers[-1])
    shape = "its members are not event, proof, checkpoint, keys, node_did"
    keyed = "its checkpoint is not signed by the last of its keys"
    outside = "its event is not in the tree of its checkpoint"
    differs = "the {} of its checkpoint is not that of the note"
    members = "the members of its checkpoint are not note, origin, size, root, vkey"
    cases: list[tuple[Record, int | None, str]] = [
        ({"extra": 1}, None, shape),
        ({"event": 5}, None, "its event is not an object with a seq"),
        ({"event": event | {"seq": -1}}, None, "its event is not an object with a seq"),
        ({"event": event | {"extra": 1}}, 4, "its members are not id, event_id, type, timestamp, log, node, kid, "),
        ({"event": event | {"payload": {"a": 1}}}, 4, "its body is not the one that was hashed"),
        ({"event": event | {"seq": 5}}, 5, "its header is not the one that was hashed"),
        ({"event": event | {"id": log.events[3]["id"]}}, 4, "its id is not its hash"),
        ({"event": event | {"signature": log.events[3]["signature"]}}, 4, "its signature is wrong"),
        ({"event": foreign["event"]}, 4, "it belongs to another node"),
        ({"event": log.events[3]}, None, outside),
        ({"event": event | {"log": "a b"}}, None, "its log is not a name"),
        ({"keys": []}, None, "it has no keys"),
        ({"keys": {}}, None, "its keys is not a list"),
        ({"keys": foreign["keys"]}, None, "its first key does not name the node"),
        ({"keys": right["keys"][:1]}, None, keyed),
        ({"node_did": None}, None, "its node_did is not a text"),
        ({"node_did": other.node}, None, "its first key does not name the node"),
        ({"proof": None}, None, "its proof is not a list of hashes in base64"),
        ({"proof": [path[0].rstrip("="), *path[1:]]}, None, "its proof is not a list of hashes in base64"),
        ({"proof": []}, None, outside),
        ({"proof": path[::-1]}, None, outside),
        ({"proof": [*path, path[0]]}, None, outside),
        ({"checkpoint": noted["note"]}, None, members),
        ({"checkpoint": noted | {"extra": 1}}, None, members),
        ({"checkpoint": noted | {"note": "x"}}, None, "its checkpoint is not a signed note"),
        ({"checkpoint": noted | {"note": by_old}}, None, keyed),
        ({"checkpoint": noted | {"note": of_another}}, None, "its checkpoint belongs to another log"),
        ({"checkpoint": noted | {"note": before}}, None, "its checkpoint is of a shorter log"),
        ({"checkpoint": noted | {"note": not_here, "root": ZERO_HASH}}, None, outside),
        ({"checkpoint": noted | {"note": not_here}}, None, differs.format("root")),
        ({"checkpoint": noted | {"origin": "x/default"}}, None, differs.format("origin")),
        ({"checkpoint": noted | {"size": 12}}, None, differs.format("size")),
        ({"checkpoint": noted | {"size": "11"}}, None, differs.format("size")),
        ({"checkpoint": noted | {"vkey": foreign["checkpoint"]["vkey"]}}, None, differs.format("vkey")),
    ]

    found = verdicts([write(right | change) for change, _, _ in cases])

    assert [(verdict["kind"], verdict["broken"]["seq"]) for verdict in found] == [("proof", seq) for _, seq, _ in cases]
    for verdict, (_, _, message) in zip(found, cases, strict=True):
        assert verdict["broken"]["message"].startswith(message)


def test_every_change_of_a_proofs_text_is_found() -> None:
    log = Log()
    log.write(20)
    log.rotate()
    log.write(9)
    text, random = write(proof(log, 11)), Random(0)
    changed = [
        text[:at] + bytes([random.choice(b'0aZ "\\{}[]:,.-+/=\xff')]) + text[at + random.choice([0, 1, 1]) :]
        for at in sorted(random.sample(range(len(text)), 700))
    ]
    tampered = [one for one in changed if value_of(one) != value_of(text)]

    found = verdicts(tampered)

    assert len(found) > 600
    assert [one for one, verdict in zip(tampered, found, strict=True) if verdict["broken"] is None] == []


def test_a_repeated_name_breaks_a_proof() -> None:
    log = Log()
    log.write(3)
    text = write(proof(log, 1))

    found = verdicts(
        [text.replace(name, b"%b1,%b" % (name, name), 1) for name in (b'"event":', b'"seq":', b'"size":', b'"salt":')]
    )

    assert [verdict["broken"] for verdict in found] == [{"seq": None, "message": "it has a member name twice"}] * 4


def test_an_export_is_no_proof_and_a_proof_no_export() -> None:
    script = """
        const proof = JSON.stringify({ event: {}, proof: [], checkpoint: {}, keys: [], node_did: '' });
        const found = await Promise.all([verifyBundle(proof), verifyProof(text), verify(proof), verify(text)]);
        console.log(JSON.stringify(found.map(({ kind, broken }) => [kind, broken && broken.message.slice(0, 22)])));
    """

    assert json.loads(run_script(script, build(2))) == [
        ["bundle", "its members are not ex"],
        ["proof", "its members are not ev"],
        ["proof", "its event is not an ob"],
        ["bundle", None],
    ]


def test_an_applied_rotation_may_be_repeated() -> None:
    repeated, unknown = Log(), Log()
    for log in (repeated, unknown):
        log.write(3)
        log.rotate()
        log.rotate()
    repeated.append("synap.key.rotated", {"rotations": repeated.rotations})
    unknown.append("synap.key.rotated", {"rotations": [unknown.rotations[0] | {"rotated_at": "2026-01-01"}]})

    found = verdicts([write(log.bundle(first)) for log in (repeated, unknown) for first in (0, 4)])

    assert [verdict["broken"] and verdict["broken"]["seq"] for verdict in found] == [None, None, 5, 5]


def test_the_same_in_other_json_verifies() -> None:
    names, texts = zip(*rewritings(), strict=True)

    found = verdicts(texts)

    assert {name: verdict["broken"] for name, verdict in zip(names, found, strict=True)} == dict.fromkeys(names)


def test_both_verifiers_find_every_tampering_at_its_place() -> None:
    changes = examples(2000)
    right: list[tuple[str, Collection[int | None], Broken | None, bool]] = []
    judge = lru_cache(maxsize=None)(signer.verify)

    def texts() -> Iterator[bytes]:  # one at a time, because together they take gigabytes
        for tampering in tamperings(changes):
            yield tampering.text
            ours = verify_bundle(tampering.text, judge=judge).broken
            right.append((tampering.name, tampering.seqs, ours, _is_json(tampering.text)))

    found = verdicts(texts())

    assert len(found) > changes + 1000
    missed, differ = {}, {}
    for (name, seqs, ours, is_json), verdict in zip(right, found, strict=True):
        theirs = verdict["broken"]
        if theirs is None or theirs["seq"] not in seqs:
            missed[name] = theirs
        # For text that is no JSON, a verifier may name the event that contains it, or the bundle.
        if ours is None or (is_json and (theirs is None or ours.seq != theirs["seq"])):
            differ[name] = (ours, theirs)
    assert missed == {}
    assert differ == {}


@pytest.mark.parametrize(
    ("wrong", "first"),
    [((10, 5), 5), ((10, 150), 10), ((299,), 299), ((0, 1, 2), 0), ((120, 119, 290), 119)],
    ids=str,
)
def test_the_first_of_several_wrong_signatures_is_reported(wrong: Sequence[int], first: int) -> None:
    bundle = build(300)
    for seq in wrong:
        bundle["events"][seq] |= {"signature": bundle["events"][seq - 1]["signature"]}

    (verdict,) = verdicts([write(bundle)])

    assert verdict["broken"] == {"seq": first, "message": "its signature is wrong"}


def test_a_wrong_signature_is_reported_before_a_later_wrong_body() -> None:
    bundle = build(300)
    bundle["events"][40] |= {"signature": bundle["events"][41]["signature"]}
    for seq in (42, 50):
        bundle["events"][seq] |= {"payload": {"another": 1}}

    (verdict,) = verdicts([write(bundle)])

    assert verdict["broken"] == {"seq": 40, "message": "its signature is wrong"}


def test_the_bundles_members_are_checked_against_its_events() -> None:
    log = Log()
    log.write(3)
    log.rotate()
    log.write(1)
    first, second = log.signers
    bundle = log.bundle()
    other = bundle["events"][1]["hash"]
    witness = f"— witness.example {base64.b64encode(bytes(80)).decode()}\n"

    found = verdicts(
        [
            write(sealed(bundle | {"kid": first.kid}, first)),
            write(sealed(bundle | {"chain_root_hash": other}, second)),
            write(sealed(bundle | {"chain_tip_hash": other}, second)),
            write(bundle | {"checkpoint": bundle["checkpoint"] + witness}),
            write(bundle | {"checkpoint": bundle["checkpoint"] + "— witness.example AAAA\n"}),
            write(bundle | {"checkpoint": bundle["checkpoint"] + bundle["checkpoint"].split("\n\n")[1]}),
        ]
    )

    assert [verdict["broken"] and verdict["broken"]["message"] for verdict in found] == [
        "its kid is not the key in force behind its last event",
        "its chain_root_hash is not the hash of its first event",
        "its chain_tip_hash is not the hash of its last event",
        None,
        "its checkpoint is not a signed note",
        None,
    ]


class Claimed(Log):
    """A log whose writer claims that it belongs to the node `claims`, if that is set."""

    claims: str | None = None

    @property
    def node(self) -> str:
        return self.claims or super().node


def test_the_owner_of_a_key_cannot_write_for_another_node() -> None:
    log = Claimed(seed=99)
    log.claims = build(0)["node_did"]
    log.write(5)

    (verdict,) = verdicts([write(log.bundle())])

    assert verdict["broken"] == {"seq": None, "message": "its first key does not name the node"}


def test_what_the_key_in_force_signed_must_fit_its_log_all_the_same() -> None:
    of_another_node, of_another_log, unlinked = logs = [Claimed(), Claimed(), Claimed()]
    for log in logs:
        log.write(3)
    of_another_node.claims = build(0, seed=1)["node_did"]
    of_another_log.name = "other"
    true, unlinked.events[2] = unlinked.events[2], unlinked.events[1]
    for log in logs:
        log.write(1)
    of_another_node.claims = None
    of_another_log.name = "default"
    unlinked.events[2] = true
    for log in logs:
        log.write(2)

    found = verdicts([write(log.bundle()) for log in logs])

    assert [verdict["broken"] for verdict in found] == [
        {"seq": 3, "message": "it belongs to another node"},
        {"seq": 3, "message": "it belongs to another log"},
        {"seq": 3, "message": "it does not link to the event before it"},
    ]


def test_a_rotation_event_has_rotations_in_order_and_nothing_else() -> None:
    logs = [Log() for _ in range(3)]
    for log in logs:
        log.write(3)
        log.replace_key()
        log.replace_key()
    first, second = logs[0].rotations
    told: list[Record] = [
        {"rotations": [first, second]},
        {"rotations": [second]},
        {"rotations": [first, second], "extra": 1},
    ]
    for log, data in zip(logs, told, strict=True):
        log.append("synap.key.rotated", data)

    found = verdicts([write(log.bundle()) for log in logs])

    assert [verdict["broken"] for verdict in found] == [
        None,
        {"seq": 3, "message": "it has a rotation of a key that was not in force"},
        {"seq": 3, "message": "its payload is not of rotations alone"},
    ]


def test_objects_that_are_no_json_are_broken() -> None:
    script = """
        const sound = JSON.parse(text);
        const at3 = (change) => { const copy = structuredClone(sound); change(copy.events[3]); return copy; };
        const hostile = [
          at3((event) => { event.payload.self = event.payload; }),
          at3((event) => Object.defineProperty(event, 'kid', { enumerable: true, get() { throw new Error('no'); } })),
          at3((event) => { event.payload.big = 1n; }),
          at3((event) => { event.payload.not = undefined; }),
          at3((event) => { event.payload.not = NaN; }),
          at3((event) => { event.payload.call = () => {}; }),
          undefined, 5, 5n, Symbol('x'), () => {}, [], new Proxy({}, { ownKeys() { throw new Error('no'); } }),
        ];
        const places = [];
        for (const one of [sound, ...hostile]) {
          const { broken } = await verifyBundle(one);
          places.push(broken && [broken.seq]);
        }
        console.log(JSON.stringify(places));
    """

    assert json.loads(run_script(script, build(8))) == [None, *[[3]] * 6, *[[None]] * 7]


def test_progress_is_reported_up_to_the_end() -> None:
    script = """
        const told = [];
        await verifyBundle(text, { progress: (done, total) => told.push([done, total]) });
        console.log(JSON.stringify(told));
    """

    assert json.loads(run_script(script, build(600))) == [[0, 600], [250, 600], [500, 600], [600, 600]]


def test_a_platform_without_ed25519_is_no_verdict() -> None:
    script = """
        crypto.subtle.importKey = async () => { throw new DOMException('no such algorithm', 'NotSupportedError'); };
        await verifyBundle(text).catch((error) => console.log(error.message));
    """

    assert run_script(script, build(1)).startswith("Ed25519 is missing here")


@pytest.mark.parametrize(
    ("bundle", "code", "lines"),
    [
        (build(0), 0, [f"0 events of the log default verify, {NODE}"]),
        (build(1), 0, [f"1 event of the log default verifies: seq 0, {NODE}"]),
        (build(20, first_seq=5), 0, [f"15 events of the log default verify: seq 5 to 19, {NODE}"]),
        (
            build(9, erased=(4,), last_seq=7),
            3,
            [
                f"8 events of the log default verify: seq 0 to 7, {NODE}",
                "1 event is erased: if its author had signed it, that signature is gone",
                "seq 4: its body is missing; its erasure may be recorded after this part",
            ],
        ),
        (
            kept(),
            3,
            [
                f"7 events of the log default verify: seq 0 to 6, {NODE}",
                "seq 2: it was erased, but its body is here",
                "seq 4: it was erased, but its body is here",
            ],
        ),
        (proof_in(3, 1), 0, [f"1 event of the log default is in its tree of 3 events: seq 1, {NODE}"]),
        (proof_in(1, 0), 0, [f"1 event of the log default is in its tree of 1 event: seq 0, {NODE}"]),
        (
            proof_in(3, 1, erased=True),
            3,
            [
                f"1 event of the log default is in its tree of 3 events: seq 1, {NODE}",
                "1 event is erased: if its author had signed it, that signature is gone",
                "seq 1: its body is missing; its erasure may be recorded after it",
            ],
        ),
        (proof_in(3, 1) | {"proof": []}, 1, ["proof: its event is not in the tree of its checkpoint"]),
        (build(9) | {"log": "other"}, 1, ["bundle: its bundle_signature is wrong"]),
    ],
    ids=[
        "no event",
        "one event",
        "a part",
        "an unconfirmed body",
        "kept bodies",
        "a proof",
        "a proof in a tree of one",
        "a proof of an erased event",
        "a false proof",
        "another log",
    ],
)
def test_the_command_prints_a_verdict(tmp_path: Path, bundle: object, code: int, lines: list[str]) -> None:
    file = tmp_path / "export.json"
    file.write_bytes(write(bundle))

    ran = command(str(file))

    assert (ran.returncode, ran.stdout.splitlines()) == (code, lines)
    assert ran.stderr == ("" if code == 1 else NOT_PINNED)


def test_the_command_rejects_the_log_of_another_node(tmp_path: Path) -> None:
    file = tmp_path / "export.json"
    file.write_bytes(write(build(2)))

    same, another = (
        command("--node", NODE.removeprefix("node "), str(file)),
        command("--node", "did:key:z6Mk", str(file)),
    )

    assert (same.returncode, another.returncode) == (0, 1)
    assert (same.stderr, another.stderr) == ("", "")
    assert another.stdout == f"bundle: it is of the {NODE}\n"


def test_the_command_prints_what_is_broken_and_where(tmp_path: Path) -> None:
    bundle = build(30)
    bundle["events"][17] |= {"payload": {"another": 1}}
    file = tmp_path / "export.json"
    file.write_bytes(write(bundle))

    ran = command(str(file))

    assert (ran.returncode, ran.stdout) == (1, "seq 17: its body is not the one that was hashed\n")


def test_the_command_prints_each_break(tmp_path: Path) -> None:
    bundle = build(9, rotations=(3,), lost=(0,))
    file = tmp_path / "export.json"
    file.write_bytes(write(bundle))

    ran = command(str(file))

    old, new = (key["kid"] for key in bundle["keys"])
    verdict, broken = ran.stdout.splitlines()
    assert (ran.returncode, verdict) == (3, f"9 events of the log default verify: seq 0 to 8, {NODE}")
    assert broken.startswith(f"break: the key {old} did not sign the rotation to {new} at 2026-")


USAGE = (
    "usage: verify.mjs [--node DID] [--checkpoint FILE [--consistency FILE]] [--audit FILE] [--policy FILE] FILE|URL\n"
)


@pytest.mark.parametrize("arguments", [[], ["a", "b"], ["--nosuch"], ["a", "--node"]], ids=str)
def test_the_command_prints_its_usage(arguments: list[str]) -> None:
    ran = command(*arguments)

    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith(USAGE)


def test_the_command_helps() -> None:
    ran = command("--help")

    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith(USAGE)


def test_an_option_may_follow_the_file(tmp_path: Path) -> None:
    file = tmp_path / "export.json"
    file.write_bytes(write(build(3)))

    ran = command(str(file), "--node", "did:key:z6MkOther")

    assert (ran.returncode, ran.stdout) == (1, f"bundle: it is of the {NODE}\n")


def test_the_command_names_what_it_cannot_read(tmp_path: Path) -> None:
    ran = command(str(tmp_path / "none.json"))

    assert (ran.returncode, ran.stdout) == (2, "")
    assert "none.json cannot be read" in ran.stderr


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/v1/events/export", "/v1/events/export?from=0"])
def test_the_command_fetches_an_export_with_the_token(path: str) -> None:
    with ledger(build(20)) as (url, asked):
        ran = command(url + path, token=TOKEN)

    assert (ran.returncode, ran.stdout) == (0, f"20 events of the log default verify: seq 0 to 19, {NODE}\n"), (
        ran.stderr
    )
    assert [line.partition("?")[0] for line in asked] == ["/v1/events/export"]


def test_the_command_fetches_a_proof() -> None:
    with ledger(proof_in(3, 1)) as (url, asked):
        ran = command(f"{url}/ledger/v1/events/evt_1/proof", token=TOKEN)

    assert (ran.returncode, ran.stdout) == (
        0,
        f"1 event of the log default is in its tree of 3 events: seq 1, {NODE}\n",
    ), ran.stderr
    assert asked == ["/ledger/v1/events/evt_1/proof"]


def test_the_command_never_prints_the_token() -> None:
    with ledger(build(1)) as (url, _):
        refused = command(f"{url}/v1", token="sk_wrong")
        anonymous = command(f"{url}/v1")
    gone = command(f"{url}/v1", token="sk_wrong")
    malformed = command("http://", token="sk_wrong")
    unusable = command(f"{url}/v1", token="sk_wrong\nx")

    for ran in (refused, anonymous, gone, malformed, unusable):
        assert (ran.returncode, ran.stdout) == (2, "")
        assert "cannot be read" in ran.stderr
        assert "sk_wrong" not in ran.stderr
    assert "it answered 401" in refused.stderr


def _is_json(text: bytes) -> bool:
    try:
        json.dumps(json.loads(text), ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return False
    return True


def _events_of(text: bytes) -> list[int]:
    """The position at which each event begins in a bundle's text."""
    return [found.start() - 1 for found in re.finditer(b'"event_id":', text)]


def golden() -> Record:
    """The bundle of the golden entries."""
    old, new = (Signer(bytes.fromhex(secret)) for secret in _secrets())
    events, tree = [], Frontier()
    for entry in VECTORS["entries"]:
        header = json.loads(entry["header_canonical"])
        del header["v"]
        context = dict(entry["body"])
        events.append(
            header
            | {"event_id": header["id"], "id": entry["ledger_id"], "hash": f"sha256:{entry['hash']}"}
            | {"signature": entry["signature"], "payload": context.pop("data"), "context": context}
        )
        tree.push(bytes.fromhex(entry["hash"]))
    events[1] = stripped(events[1])
    rotation = {name: value for name, value in VECTORS["rotation"].items() if not name.endswith(("_hex", "_text"))}
    bundle = {
        "export_id": "exp_01938c1e000070008000000000000003",
        "node_did": VECTORS["node"],
        "log": "default",
        "events": events,
        "first_seq": 0,
        "last_seq": 3,
        "count": 4,
        "chain_root_hash": events[0]["hash"],
        "chain_tip_hash": events[3]["hash"],
        "generated_at": "2024-12-09T01:00:04.000000Z",
        "keys": [{"kid": old.kid}, {"kid": new.kid, "rotation": rotation}],
        "kid": new.kid,
        "checkpoint": checkpoint.sign(Checkpoint(f"{ORIGIN}/default", 4, tree.root()), new),
        "inclusion_proof": proof_of([event["hash"] for event in events], 3),
    }
    return sealed(bundle, new)


def _secrets() -> tuple[str, str]:
    return VECTORS["ed25519"]["secret_hex"], VECTORS["rotation"]["new_secret_hex"]


def run_script(script: str, bundle: Record) -> str:
    """Run a script that has the verifier's functions and the bundle's `text`, and return what it prints."""
    head = f"""
        import {{ text as read }} from 'node:stream/consumers';
        import {{ verify, verifyBundle, verifyProof }} from {json.dumps(VERIFY.as_uri())};
        const text = await read(process.stdin);
    """
    ran = subprocess.run(
        [checks.node() or "node", "--input-type=module", "-e", head + script],
        input=write(bundle).decode(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout


def command(*arguments: str, token: str | None = None) -> "subprocess.CompletedProcess[str]":
    """Run the command in a folder that contains only its one file."""
    return subprocess.run(
        [checks.node() or "node", str(VERIFY), *arguments],
        env={} if token is None else {"SYNAP_TOKEN": token},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@contextmanager
def ledger(bundle: Record) -> Iterator[tuple[str, list[str]]]:
    """An HTTP server that returns the export to callers with the token. Yields its address, and the requested paths."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            known = self.headers["Authorization"] == f"Bearer {TOKEN}"
            self.send_response(200 if known else 401)
            self.end_headers()
            self.wfile.write(write(bundle) if known else b"{}")

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()
