"""What `clients/verify` says of bundles: it accepts every sound one and finds everything that was done to one."""

import base64
import json
import subprocess
import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryFile

import pytest

from app.ledger import checkpoint
from app.ledger.checkpoint import Checkpoint
from app.ledger.merkle import Frontier
from app.ledger.signer import Signer
from app.ledger.verify import verify_bundle
from tests import checks
from tests.bundles import ORIGIN, Log, Record, build, rewritings, sealed, stripped, tamperings, whole, write

VERIFY = Path(__file__).parents[2] / "clients" / "verify" / "verify.mjs"
VERDICTS = Path(__file__).with_name("verdicts.mjs")
VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "evlog1.json").read_text())
TOKEN = "sk_of_the_ledger"
NODE = f"node {build(1)['node_did']}"

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


@pytest.fixture(scope="module", autouse=True)
def node() -> str:
    """Without node the tests are skipped; in CI they fail."""
    found = checks.node()
    if found is None:
        pytest.skip("node not found: no stranger's verifier can run")
    return found


@pytest.mark.parametrize("name", SOUND)
def test_sound_bundles_verify(name: str) -> None:
    bundle = SOUND[name]

    (verdict,) = verdicts([write(bundle)])

    assert verdict == {
        "log": "default",
        "node": bundle["node_did"],
        "count": bundle["count"],
        "firstSeq": bundle["first_seq"],
        "lastSeq": bundle["last_seq"],
        "broken": None,
        "breaks": [],
        "unconfirmed": [],
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


def test_a_rotation_that_was_applied_may_be_told_again() -> None:
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


def test_every_tampering_is_found_at_its_place() -> None:
    right: list[tuple[str, Collection[int | None]]] = []

    def texts() -> Iterator[bytes]:  # one at a time: together they are gigabytes
        for tampering in tamperings():
            right.append((tampering.name, tampering.seqs))
            yield tampering.text

    found = verdicts(texts())

    assert len(found) > 3000
    missed = {
        name: verdict["broken"]
        for (name, seqs), verdict in zip(right, found, strict=True)
        if verdict["broken"] is None or verdict["broken"]["seq"] not in seqs
    }
    assert missed == {}


def test_both_verifiers_say_the_same_seq() -> None:
    tampered = list(tamperings(events=60, changes=200))

    found = verdicts([tampering.text for tampering in tampered])

    differ = {}
    for tampering, verdict in zip(tampered, found, strict=True):
        ours, theirs = verify_bundle(tampering.text).broken, verdict["broken"]
        assert ours is not None
        # What is no JSON may be laid to the event that it stands in, or to the bundle.
        if ours.seq != theirs["seq"] and _is_json(tampering.text):
            differ[tampering.name] = (ours, theirs)
    assert differ == {}


@pytest.mark.parametrize(
    ("wrong", "first"),
    [((10, 5), 5), ((10, 150), 10), ((299,), 299), ((0, 1, 2), 0), ((120, 119, 290), 119)],
    ids=str,
)
def test_the_first_of_several_wrong_signatures_is_told(wrong: Sequence[int], first: int) -> None:
    bundle = build(300)
    for seq in wrong:
        bundle["events"][seq] |= {"signature": bundle["events"][seq - 1]["signature"]}

    (verdict,) = verdicts([write(bundle)])

    assert verdict["broken"] == {"seq": first, "message": "its signature is wrong"}


def test_a_wrong_signature_is_told_before_a_wrong_body_behind_it() -> None:
    bundle = build(300)
    bundle["events"][40] |= {"signature": bundle["events"][41]["signature"]}
    for seq in (42, 50):
        bundle["events"][seq] |= {"payload": {"another": 1}}

    (verdict,) = verdicts([write(bundle)])

    assert verdict["broken"] == {"seq": 40, "message": "its signature is wrong"}


def test_what_the_bundle_says_of_its_events_is_held_to_them() -> None:
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
    """A log whose writer says that it is of another node, where `claims` is one."""

    claims: str | None = None

    @property
    def node(self) -> str:
        return self.claims or super().node


def test_whoever_has_a_key_cannot_write_for_another_node() -> None:
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
        {"seq": 3, "message": "it is of another node"},
        {"seq": 3, "message": "it is of another log"},
        {"seq": 3, "message": "it does not link to the event before it"},
    ]


def test_rotations_are_told_in_order_and_nothing_beside_them() -> None:
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


def test_progress_is_told_up_to_the_end() -> None:
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
                "seq 4: its body is missing; what says so may stand behind this part",
            ],
        ),
        (build(9) | {"log": "other"}, 1, ["bundle: its bundle_signature is wrong"]),
        ("evlog/1", 1, ["bundle: it is not a JSON object"]),
    ],
    ids=["no event", "one event", "a part", "an unconfirmed body", "another log", "no bundle"],
)
def test_the_command_tells_a_verdict(tmp_path: Path, bundle: object, code: int, lines: list[str]) -> None:
    file = tmp_path / "export.json"
    file.write_bytes(write(bundle))

    ran = command(str(file))

    assert (ran.returncode, ran.stdout.splitlines(), ran.stderr) == (code, lines, "")


def test_the_command_refuses_the_log_of_another_node(tmp_path: Path) -> None:
    file = tmp_path / "export.json"
    file.write_bytes(write(build(2)))

    same, another = (
        command("--node", NODE.removeprefix("node "), str(file)),
        command("--node", "did:key:z6Mk", str(file)),
    )

    assert (same.returncode, another.returncode) == (0, 1)
    assert another.stdout == f"bundle: it is of the {NODE}\n"


def test_the_command_tells_what_is_broken_and_where(tmp_path: Path) -> None:
    bundle = build(30)
    bundle["events"][17] |= {"payload": {"another": 1}}
    file = tmp_path / "export.json"
    file.write_bytes(write(bundle))

    ran = command(str(file))

    assert (ran.returncode, ran.stdout) == (1, "seq 17: its body is not the one that was hashed\n")


def test_the_command_tells_each_break(tmp_path: Path) -> None:
    bundle = build(9, rotations=(3,), lost=(0,))
    file = tmp_path / "export.json"
    file.write_bytes(write(bundle))

    ran = command(str(file))

    old, new = (key["kid"] for key in bundle["keys"])
    verdict, broken = ran.stdout.splitlines()
    assert (ran.returncode, verdict) == (3, f"9 events of the log default verify: seq 0 to 8, {NODE}")
    assert broken.startswith(f"break: the key {old} did not sign the rotation to {new} at 2026-")


@pytest.mark.parametrize("arguments", [[], ["a", "b"], ["--help"]], ids=str)
def test_the_command_tells_how_it_is_used(arguments: list[str]) -> None:
    ran = command(*arguments)

    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("usage: verify.mjs [--node DID] FILE|URL\n")


def test_the_command_tells_what_it_cannot_read(tmp_path: Path) -> None:
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
    assert "it answers 401" in refused.stderr


def verdicts(texts: Iterable[bytes]) -> list[Record]:
    """The verdict on each text, in one process."""
    wholes = [write(whole()), write(whole(60))]
    with TemporaryFile("w+") as lines:
        lines.writelines(f"{json.dumps({'whole': _base64(text)})}\n" for text in wholes)
        lines.writelines(f"{json.dumps(_edit(wholes, text))}\n" for text in texts)
        lines.seek(0)
        ran = subprocess.run(
            [checks.node() or "node", str(VERDICTS)],
            stdin=lines,
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
    assert (ran.returncode, ran.stderr) == (0, "")
    return [json.loads(line) for line in ran.stdout.splitlines()][len(wholes) :]


def _is_json(text: bytes) -> bool:
    try:
        json.dumps(json.loads(text), ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return False
    return True


def _edit(wholes: Sequence[bytes], text: bytes) -> Record:
    """The text by what it has instead of one of the wholes'; the shortest way of saying so."""
    edits = []
    for number, known in enumerate(wholes):
        start = _common(known, text)
        behind = _common(known[start:][::-1], text[start:][::-1])
        new = text[start : len(text) - behind]
        edits.append((len(new), {"of": number, "start": start, "end": len(known) - behind, "new": _base64(new)}))
    return min(edits, key=lambda edit: edit[0])[1]


def _common(one: bytes, other: bytes) -> int:
    """How many bytes both begin with."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[low:middle] == other[low:middle] else (low, middle - 1)
    return low


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


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
    }
    return sealed(bundle, new)


def _secrets() -> tuple[str, str]:
    return VECTORS["ed25519"]["secret_hex"], VECTORS["rotation"]["new_secret_hex"]


def run_script(script: str, bundle: Record) -> str:
    """What a script prints that has `verifyBundle`, and the bundle's `text`."""
    head = f"""
        import {{ text as read }} from 'node:stream/consumers';
        import {{ verifyBundle }} from {json.dumps(VERIFY.as_uri())};
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
    """The command's run, beside which there is nothing: it is one file."""
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
    """An HTTP server that has the export for whoever has the token: its address, and the paths that it is asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            known = self.headers["Authorization"] == f"Bearer {TOKEN}"
            self.send_response(200 if known else 401)
            self.end_headers()
            self.wfile.write(write(bundle) if known else b"{}")

        def log_message(self, *_: object) -> None:
            """Nothing is printed."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()
