"""A bundle of an install verifies in any spelling. Every alteration is found, and its place is named."""

import base64
import json
import mmap
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.cli.cores import on_all_cores
from app.ledger import checkpoint, signer
from app.ledger.canonical import canonical
from app.ledger.chain import Body
from app.ledger.checkpoint import Checkpoint
from app.ledger.merkle import Frontier
from app.ledger.signer import Signer
from app.ledger.verify import Broken, kind_of, verify_bundle, verify_proof
from app.ledger.verify.verdict import KEPT_PART
from tests.kit import bundles, paths
from tests.kit.bundles import (
    ERASED,
    LONG,
    ROTATED,
    SMALL,
    Log,
    Record,
    Tampering,
    build,
    value_of,
    whole,
    write,
)
from tests.kit.examples import examples

VECTORS = json.loads((paths.VECTORS / "evlog1.json").read_text())
OLD_KEY = Signer(bytes.fromhex(VECTORS["ed25519"]["secret_hex"]))
NEW_KEY = Signer(bytes.fromhex(VECTORS["rotation"]["new_secret_hex"]))
ROTATION = {name: text for name, text in VECTORS["rotation"].items() if name not in ("new_secret_hex", "signed_text")}

verify = partial(verify_bundle, judge=lru_cache(maxsize=None)(signer.verify))
"""It verifies each signature only once, because thousands of bundles here differ in only one place."""

UNTOUCHED: dict[str, Record] = {
    "empty": {"events": 0},
    "of one": {"events": 1},
    "of two": {"events": 2},
    "of many": {"events": 300},
    "rotations": {"events": 60, "rotations": [10, 11, 59]},
    "a rotation first": {"events": 5, "rotations": [0]},
    "rotated behind its end": {"events": 5, "later": 2},
    "opened late": {"events": 20, "late": 3, "rotations": [9]},
    "empty, of an install with rotations": {"events": 0, "later": 2},
    "erasures": {"events": 30, "erased": [0, 5, 28], "rotations": [6]},
    "a part": {"events": 60, "first_seq": 20, "last_seq": 40},
    "a part of one": {"events": 60, "first_seq": 20, "last_seq": 20},
    "the beginning": {"events": 60, "last_seq": 40, "rotations": [30, 50]},
    "the end": {"events": 60, "first_seq": 20, "rotations": [10, 30]},
    "from behind a rotation on": {"events": 60, "first_seq": 31, "rotations": [10, 30, 40]},
    "from a rotation on": {"events": 60, "first_seq": 30, "rotations": [10, 30, 40]},
    "a rotation alone": {"events": 60, "first_seq": 30, "last_seq": 30, "rotations": [10, 30, 40]},
    "from an erased event on": {"events": 60, "first_seq": 20, "erased": [5, 20]},
    "from behind what is erased on": {"events": 60, "first_seq": 20, "erased": [5]},
}


def _members(entry: Record) -> Record:
    """The members of a vector's event, as the ledger shows them."""
    header = json.loads(entry["header_canonical"])
    body = json.loads(entry["body_canonical"])
    shown = {name: header[name] for name in header if name not in ("v", "id")}
    proof = {"id": entry["ledger_id"], "hash": f"sha256:{entry['hash']}", "signature": entry["signature"]}
    return {**shown, **proof, "event_id": header["id"], "payload": body.pop("data"), "context": body}


def _wrong(tamperings: Iterable[Tampering]) -> list[str]:
    """The tamperings that are not found, or are found at another place."""
    verdicts = ((tampering, verify(tampering.text).broken) for tampering in tamperings)
    return [
        f"{name}: {broken}, not {set(seqs)}"
        for (name, _, seqs), broken in verdicts
        if broken is None or broken.seq not in seqs or not broken.message
    ]


def _same(one: object, other: object) -> bool:
    return value_of(write(one)) == value_of(write(other))


@pytest.mark.parametrize("made", UNTOUCHED.values(), ids=UNTOUCHED)
def test_what_was_exported_verifies(made: Record) -> None:
    bundle = build(**made)

    verdict = verify_bundle(write(bundle))

    assert (verdict.broken, verdict.breaks, verdict.unconfirmed) == (None, [], [])
    assert (verdict.log, verdict.node) == (bundle["log"], bundle["node_did"])
    places = (verdict.first_seq, verdict.last_seq, verdict.count)
    assert places == (bundle["first_seq"], bundle["last_seq"], len(bundle["events"]))
    assert verdict.checkpoint == checkpoint.parse(bundle["checkpoint"]).checkpoint


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in bundles.rewritings()])
def test_another_spelling_of_the_same_values_verifies(text: bytes) -> None:
    assert text != write(whole(60))
    assert verify(text).broken is None


def test_golden_events_verify() -> None:
    events = [_members(entry) for entry in VECTORS["entries"]]
    events[1] = bundles.stripped(events[1])
    frontier = Frontier()
    for entry in VECTORS["entries"]:
        frontier.push(bytes.fromhex(entry["hash"]))
    sealed_at = {"export_id": f"exp_{'0' * 32}", "generated_at": "2024-12-09T01:00:04.000000Z"}
    places = {"first_seq": 0, "last_seq": 3, "count": 4}
    places |= {"chain_root_hash": events[0]["hash"], "chain_tip_hash": events[-1]["hash"]}
    bundle = {
        **sealed_at,
        **places,
        "node_did": VECTORS["node"],
        "log": "default",
        "events": events,
        "keys": [{"kid": OLD_KEY.kid}, {"kid": NEW_KEY.kid, "rotation": ROTATION}],
        "kid": NEW_KEY.kid,
        "checkpoint": checkpoint.sign(Checkpoint("synap.example/default", 4, frontier.root()), NEW_KEY),
        "inclusion_proof": bundles.proof_of([event["hash"] for event in events], 3),
    }

    verdict = verify(write(bundles.sealed(bundle, NEW_KEY)))

    assert (verdict.broken, verdict.breaks, verdict.unconfirmed) == (None, [], [])


def test_the_golden_export_verifies() -> None:
    lines = VECTORS["export"]["signed_text"].split("\n")
    names = ("export_id", "first_seq", "last_seq", "count", "chain_root_hash", "chain_tip_hash", "generated_at")
    said: Record = dict(zip(names, lines[3:], strict=False))
    said |= {name: int(said[name]) for name in ("first_seq", "last_seq", "count")}
    bundle = {
        **said,
        "node_did": VECTORS["node"],
        "log": "default",
        "kid": OLD_KEY.kid,
        "keys": [{"kid": OLD_KEY.kid}],
        "events": [_members(entry) for entry in VECTORS["entries"][:2]],
        "bundle_signature": VECTORS["export"]["bundle_signature"],
        "checkpoint": VECTORS["checkpoint"]["note"],
        "inclusion_proof": bundles.proof_of([entry["hash"] for entry in VECTORS["entries"][:2]], 1),
    }

    verdict = verify(write(bundle))

    assert (verdict.broken, verdict.count) == (None, 2)


def test_changes_at_random_places_are_found_where_they_are() -> None:
    assert _wrong(bundles.random_changes(whole(LONG), examples(2000))) == []


@pytest.mark.parametrize("make", [bundles.moved, bundles.resigned, bundles.cut])
def test_events_out_of_their_place_are_found_in_a_long_log(make: Callable[[Record], Iterator[Tampering]]) -> None:
    assert _wrong(make(whole(LONG))) == []


@pytest.mark.parametrize(
    "make",
    [
        bundles.altered_events,
        bundles.respelt,
        bundles.altered_members,
        bundles.falsely_sealed,
        bundles.altered_keys,
        bundles.altered_checkpoints,
    ],
)
def test_what_is_done_to_one_member_is_found(make: Callable[[Record], Iterator[Tampering]]) -> None:
    assert _wrong(make(whole(SMALL))) == []


@pytest.mark.parametrize(
    "make",
    [
        bundles.forged_rotations,
        bundles.forged_times,
        bundles.forged_contents,
        bundles.altered_parts,
        bundles.false_erasures,
    ],
)
def test_what_a_writer_forged_is_found(make: Callable[[], Iterator[Tampering]]) -> None:
    assert _wrong(make()) == []


def test_missing_bodies_of_a_part_are_unconfirmed() -> None:
    bundle = build(60, erased=[3, 20, 50], first_seq=10, last_seq=55)

    verdict = verify(write(bundle))

    assert (verdict.broken, verdict.unconfirmed) == (None, [20, 50])


def test_missing_bodies_of_a_part_are_missed_where_the_log_ends() -> None:
    log = Log()
    log.write(20)
    log.strip(15)

    verdict = verify(write(log.bundle(first_seq=10)))

    assert verdict.broken is not None
    assert verdict.broken.seq == 15


def test_lost_keys_are_reported_with_the_event_that_shows_them() -> None:
    verdict = verify(write(build(30, rotations=[10, 20], later=1, lost=[1, 2])))

    assert verdict.broken is None
    assert [broken.seq for broken in verdict.breaks] == [20, None]


@pytest.mark.parametrize("made", [{"late": 2}, {"later": 2}], ids=["before the log", "behind the log"])
def test_lost_keys_are_reported_of_any_time(made: Record) -> None:
    bundle = build(5, lost=[1], **made)

    verdict = verify(write(bundle))

    kids = [key["kid"] for key in bundle["keys"]]
    assert verdict.broken is None
    assert [(lost.kid_old, lost.kid_new) for lost in verdict.breaks] == [(kids[1], kids[2])]
    assert verdict.breaks[0].seq == (0 if "late" in made else None)


def test_lost_keys_are_reported_beside_what_is_broken() -> None:
    bundle = build(30, rotations=[10], lost=[0])
    bundle["events"][20]["payload"] = {}

    verdict = verify(write(bundle))

    assert verdict.broken == Broken(20, "its body is not the one that was hashed")
    assert [lost.seq for lost in verdict.breaks] == [10]


def test_a_rotation_may_be_repeated() -> None:
    log = Log(late=2)
    log.write(2)
    log.append(ROTATED, {"rotations": log.rotations[:]})
    log.write(2)

    assert verify(write(log.bundle())).broken is None


@pytest.mark.parametrize("erased", ["x", [{"seq": 1}], None], ids=["text", "without an id", "null"])
def test_an_erasure_says_what_was_erased(erased: object) -> None:
    log = Log()
    log.write(3)
    log.append(ERASED, {"erased": erased})

    verdict = verify(write(log.bundle()))

    assert verdict.broken is not None
    assert verdict.broken.seq == 3


def test_a_body_is_as_deep_as_a_server_stores_it() -> None:
    log = Log()
    deep = '{"a":' * 64 + "1" + "}" * 64
    log.append("a.b", body=Body(user_id="u", source="api", data=deep, metadata='{"custom":{"z":1}}'))

    assert verify(write(log.bundle())).broken is None


@pytest.mark.parametrize("digits", [17, 4300, 4301, 100_000])
def test_a_seq_of_many_digits_is_broken(digits: int) -> None:
    text = write(build(3)).replace(b'"seq":1,', b'"seq":%b,' % (b"9" * digits))

    broken = verify(text).broken

    assert broken is not None
    assert broken.seq == 1


def test_a_verdict_is_a_sentence() -> None:
    bundle = build(20)
    bundle["events"][17]["payload"]["more"] = 1

    assert str(verify(write(bundle)).broken) == "seq 17: its body is not the one that was hashed"
    assert str(verify(b"").broken).startswith("bundle: it is not a bundle: ")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("seq 6 is a rotation of a foreign pair", "it replaces a key that is not the current one"),
        ("seq 6 is a rotation not signed by the old key", "its rotation is not signed by both keys"),
        ("seq 6 is a rotation of another node", "its rotation is not signed by both keys"),
        (
            "seq 6 is a rotation that the keys do not tell of",
            "its rotation is not among the bundle's keys",
        ),
        (
            "the rotation at seq 6 is erased, and named",
            "it has no body, but an event of its type is never erased",
        ),
    ],
)
def test_a_forged_rotation_is_distinguished_from_others(name: str, message: str) -> None:
    texts = {tampering.name: tampering.text for tampering in bundles.forged_rotations()}

    assert verify(texts[name]).broken == Broken(6, message)


def test_progress_is_reported_meanwhile_and_at_the_end() -> None:
    told: list[tuple[int, int]] = []

    verify(write(build(2500, first_seq=100)), lambda done, of: told.append((done, of)))

    assert told == [(1000, 2400), (2000, 2400), (2400, 2400)]


def test_a_memory_mapped_file_verifies() -> None:
    with tempfile.TemporaryFile() as file:
        file.write(write(build(20)))
        file.flush()
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            assert verify(mapped).broken is None


def _kept() -> bytes:
    """The bundle of a log whose last event reports erasures.

    Some erased events are in the previous run, and one still has its body.
    """
    log = Log()
    log.write(600)
    log.append(ERASED, {"erased": [log.name_of(seq) for seq in (3, 555)]})
    log.strip(3)
    return write(log.bundle())


def _broken_at(seq: int, **members: object) -> bytes:
    bundle = build(700)
    bundle["events"][seq] |= members
    return write(bundle)


RUNS: dict[str, Callable[[], bytes]] = {
    "whole": lambda: write(whole(1200)),
    "a part": lambda: write(build(1200, first_seq=30, last_seq=1100, rotations=[10, 499, 500, 1000])),
    "a key that was lost": lambda: write(build(700, rotations=[400, 650], lost=[1])),
    "kept": _kept,
    "a wrong link between runs": lambda: _broken_at(500, prev_hash=f"sha256:{'0' * 64}"),
    "a wrong time between runs": lambda: _broken_at(500, timestamp="2026-01-01T00:00:00.000000Z"),
    "a wrong body in the second run": lambda: _broken_at(600, payload={"another": 1}),
    "no event": lambda: write(build(0)),
}


@pytest.mark.parametrize("make", RUNS.values(), ids=RUNS)
def test_runs_that_are_judged_apart_give_the_same_verdict(make: Callable[[], bytes]) -> None:
    text = make()

    assert verify_bundle(text, spread=on_all_cores) == verify_bundle(text)


@pytest.mark.parametrize(("first", "second"), [(0, 500), (499, 500), (620, 621)])
def test_the_first_of_two_faults_in_runs_is_reported(first: int, second: int) -> None:
    bundle = build(700)
    for seq in (first, second):
        bundle["events"][seq] |= {"payload": {"another": 1}}

    verdict = verify_bundle(write(bundle), spread=on_all_cores)

    assert verdict.broken == Broken(first, "its body is not the one that was hashed")


RESIDENT = """
import mmap, sys
from pathlib import Path
from app.ledger.verify import verify_bundle

def most():
    status = Path('/proc/self/status').read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith('VmHWM'))

with open(sys.argv[1], 'rb') as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
    before = most()
    assert verify_bundle(mapped).broken is None
    print(most() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems count memory otherwise")
def test_a_file_of_any_size_takes_little_memory(tmp_path: Path) -> None:
    log, body = Log(), Body(user_id="u1", source="api", data=f'{{"text":"{"x" * 1_000_000}"}}')
    for _ in range(80):
        log.append("note.created", body=body)
    file = tmp_path / "large.json"
    file.write_bytes(write(log.bundle()))

    done = subprocess.run([sys.executable, "-c", RESIDENT, file], capture_output=True, text=True, check=True)

    assert int(done.stdout) < 40_000  # KiB; the file has 80,000


@settings(max_examples=examples(300), deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_rejected(text: bytes) -> None:
    broken = verify(text).broken

    assert broken is not None
    assert broken.seq is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=examples(300), deadline=None)
@given(st.sampled_from(sorted(build(1))), JSON)
def test_any_other_value_of_a_bundles_member_is_rejected(name: str, value: Any) -> None:
    bundle = build(1)
    text = write(bundle | {name: value})

    assert (verify(text).broken is None) == _same(value, bundle[name])


@settings(max_examples=examples(300), deadline=None)
@given(st.sampled_from(sorted(build(1)["events"][0])), JSON)
def test_any_other_value_of_an_events_member_is_rejected(name: str, value: Any) -> None:
    bundle = build(1)
    text = write(bundle | {"events": [bundle["events"][0] | {name: value}]})

    assert (verify(text).broken is None) == _same(value, bundle["events"][0][name])


@pytest.mark.parametrize("data", ["[1]", '"text"', "1", "null"])
def test_a_payload_that_is_no_object_is_broken(data: str) -> None:
    log = Log()
    log.append("note.created")
    log.append("note.created", body=Body(user_id="u1", source="api", data=data))

    assert verify(write(log.bundle())).broken == Broken(1, "its payload is not an object")


def test_an_erased_body_that_is_still_here_is_reported() -> None:
    log = Log()
    log.write(6)
    bodies = [dict(event) for event in log.events]
    log.erase([2, 4])
    log.events[4] = bodies[4]

    verdict = verify(write(log.bundle()))

    assert (verdict.broken, verdict.kept, verdict.unconfirmed) == (None, [4], [])


def test_a_repeated_name_is_found_at_its_place() -> None:
    bundle = build(9)
    text = write(bundle)
    salt = b'"salt":"%b"' % bundle["events"][3]["context"]["salt"].encode()

    within = text.replace(salt, b'"salt":"",' + salt)
    before = text.replace(b'"events":', b'"events":[],"events":')

    assert verify(within).broken == Broken(3, "it has a member name twice")
    assert verify(before).broken == Broken(None, "it has a member name twice")


COLONS = st.text(st.sampled_from(':"\\\\{}[],a é\n'), max_size=6)
PAYLOADS = st.dictionaries(
    COLONS, st.recursive(COLONS, lambda inner: st.lists(inner) | st.dictionaries(COLONS, inner)), min_size=1
)


@settings(max_examples=examples(300), deadline=None)
@given(PAYLOADS, st.data())
def test_a_repeated_name_is_found_whatever_the_texts_are(payload: Record, data: st.DataObject) -> None:
    log = Log()
    body = Body(user_id="u:1", source="api", data=canonical(write(payload), "data").decode())
    log.append("note.created", body=body)
    text = json.dumps(log.bundle(), ensure_ascii=False).encode()
    name, value = data.draw(st.sampled_from(sorted(payload))), data.draw(COLONS)
    first = b'"payload": {%b: %b, ' % (write(name), write(value))

    assert verify(text).broken is None
    assert verify(text.replace(b'"payload": {', first, 1)).broken == Broken(0, "it has a member name twice")


def _proof(seq: int, **of: Any) -> Record:
    """The output of `ledger.proof` for one event."""
    bundle = build(60, **of)
    checkpointed = checkpoint.parse(bundle["checkpoint"]).checkpoint
    return {
        "event": bundle["events"][seq],
        "proof": bundles.proof_of([event["hash"] for event in bundle["events"]], seq),
        "checkpoint": {
            "note": bundle["checkpoint"],
            "origin": checkpointed.origin,
            "size": checkpointed.size,
            "root": base64.b64encode(checkpointed.root).decode(),
            "vkey": checkpoint.vkey(checkpointed.origin, bundle["keys"][-1]["kid"]),
        },
        "keys": bundle["keys"],
        "node_did": bundle["node_did"],
    }


@pytest.mark.parametrize("seq", [0, 1, 29, 30, 31, 59])
def test_the_proof_of_one_event_verifies(seq: int) -> None:
    text = write(_proof(seq, rotations=[30, 40]))

    verdict = verify_proof(text)

    assert kind_of(text) == "proof"
    assert (verdict.broken, verdict.first_seq, verdict.checkpoint and verdict.checkpoint.size) == (None, seq, 60)


def test_the_proof_of_an_erased_event_is_unconfirmed() -> None:
    verdict = verify_proof(write(_proof(5, erased=[5])))

    assert (verdict.broken, verdict.unconfirmed) == (None, [5])


def test_a_proof_is_of_its_event_and_its_checkpoint() -> None:
    right, other = _proof(7, rotations=[30]), _proof(8, rotations=[30])
    noted = right["checkpoint"]
    wrong: dict[str, Record] = {
        "another event": right | {"event": other["event"]},
        "another proof": right | {"proof": other["proof"]},
        "no proof": right | {"proof": []},
        "another body": right | {"event": right["event"] | {"payload": {"a": 1}}},
        "another signature": right | {"event": right["event"] | {"signature": other["event"]["signature"]}},
        "another size beside the note": right | {"checkpoint": noted | {"size": 61}},
        "another root beside the note": right | {"checkpoint": noted | {"root": "AA=="}},
        "another vkey": right | {"checkpoint": noted | {"vkey": noted["vkey"][:-1] + "A"}},
        "another origin": right | {"checkpoint": noted | {"origin": "x/default"}},
        "fewer keys": right | {"keys": right["keys"][:1]},
        "another node": right | {"node_did": "did:key:z6MkiaMbhXHNA4eJVCCj8dbzKzTgYDKf6crKgHVHid1F1WCT"},
        "a member more": right | {"more": 1},
        "a proof that is no list": right | {"proof": None},
    }
    found = {name: verify_proof(write(proof)).broken for name, proof in wrong.items()}
    twice = verify_proof(write(right).replace(b'"size":60', b'"size":59,"size":60'))

    assert [name for name, broken in found.items() if broken is None] == []
    assert twice.broken == Broken(None, "it has a member name twice")


def test_a_log_extends_the_checkpoint_that_was_kept() -> None:
    log = Log()
    log.write(5)
    kept = checkpoint.parse(log.bundle()["checkpoint"])
    empty = checkpoint.parse(Log().bundle()["checkpoint"])
    log.write(3)
    log.rotate()
    log.write(3)

    for note in (kept, empty, checkpoint.parse(log.bundle()["checkpoint"])):
        assert verify(write(log.bundle()), extends=note).broken is None


def test_another_history_than_the_stored_one_is_reported() -> None:
    log, other, longer = Log(), Log(seed=1), Log()
    for each, events in ((log, 8), (other, 8), (longer, 9)):
        each.write(events)
    own, foreign = (checkpoint.parse(each.bundle()["checkpoint"]) for each in (longer, other))
    forked = Checkpoint(own.checkpoint.origin, 6, bytes(32))
    fork = checkpoint.parse(checkpoint.sign(forked, log.signers[0]))
    elsewhere = checkpoint.parse(checkpoint.sign(Checkpoint(f"{bundles.ORIGIN}/other", 6, bytes(32)), log.signers[0]))

    found = [
        verify(write(log.bundle(first)), extends=note).broken
        for first, note in ((0, own), (0, foreign), (0, fork), (0, elsewhere), (3, own))
    ]

    assert found == [
        Broken(None, "it ends before the checkpoint that was kept, which covers 9 events"),
        Broken(None, "the checkpoint that was kept is signed by none of its keys"),
        Broken(None, "its first 6 events are not those of the checkpoint that was kept"),
        Broken(None, "the checkpoint that was kept belongs to another log"),
        Broken(None, KEPT_PART),
    ]
