"""Verifiers read exports and checkpoints that ordinary tools have changed. Other files are not called broken."""

import gzip
import io
import json
import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.kit import web
from tests.kit.bundles import Record, build, whole, write
from tests.kit.command import SYNAP, synap
from tests.kit.paths import ROOT
from tests.kit.servers import Server

VERIFY = ROOT / "clients" / "verify" / "verify.mjs"

BOM = b"\xef\xbb\xbf"
BUNDLE = whole(60)
TEXT = write(BUNDLE)
NOTE: str = BUNDLE["checkpoint"]


def ran(*command: object, sent: bytes = b"") -> "subprocess.CompletedProcess[str]":
    """Run a command, which may print at most one sentence about what it cannot read."""
    variables = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    if command[0] == SYNAP:
        ended = synap(*command[1:], env=variables, sent=sent)
        assert "Traceback" not in ended.stderr
        return ended
    done = subprocess.run(
        [str(part) for part in command],
        input=sent,
        env=variables,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert b"Traceback" not in done.stderr
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def reordered(value: Any) -> Any:
    """JSON in which the members of each object have another order."""
    if isinstance(value, dict):
        return {name: reordered(value[name]) for name in sorted(value, reverse=True)}
    return [reordered(each) for each in value] if isinstance(value, list) else value


def by_jq(text: bytes) -> bytes:
    """JSON as a version of `jq` writes it that reads numbers as doubles and prints no exponent."""
    return re.sub(rb"(?<![\w.])1e\+?21(?![\w.])", b"1000000000000000000000", text)


def altered(change: Callable[[Record], object]) -> bytes:
    bundle = json.loads(TEXT)
    change(bundle)
    return json.dumps(bundle).encode()


def zipped(text: bytes) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("export.json", text)
    return content.getvalue()


def nested(depth: int) -> Any:
    value: Any = {}
    for _ in range(depth):
        value = [value]
    return value


FILES: dict[str, tuple[bytes, int]] = {
    "as it was fetched": (TEXT, 0),
    "indented": (json.dumps(BUNDLE, indent=2).encode(), 0),
    "indented, with CRLF": (json.dumps(BUNDLE, indent=2).replace("\n", "\r\n").encode(), 0),
    "in ASCII": (json.dumps(BUNDLE, ensure_ascii=True).encode(), 0),
    "without escapes": (json.dumps(BUNDLE, ensure_ascii=False).encode(), 0),
    "with a mark": (BOM + TEXT, 0),
    "with white space around it": (b"\r\n\t " + TEXT + b" \n\n", 0),
    "in gzip": (gzip.compress(TEXT), 0),
    "with a mark, in gzip": (gzip.compress(BOM + TEXT), 0),
    "members in another order": (json.dumps(reordered(BUNDLE)).encode(), 0),
    "numbers by jq": (by_jq(TEXT), 0),
    "numbers by jq, indented": (by_jq(json.dumps(BUNDLE, indent=4).encode()), 0),
    "a number that a tool rounded": (TEXT.replace(b"9007199254740991", b"9007199254740992", 1), 1),
    "a value that was changed": (altered(lambda log: log["events"][3]["payload"].update(x=1)), 1),
    "an event that was left out": (altered(lambda log: log["events"].pop(7)), 1),
    "a member that was left out": (altered(lambda log: log.pop("checkpoint")), 1),
    "a member that was added": (altered(lambda log: log.update(comment="mine")), 1),
    "a member of another type": (altered(lambda log: log.update(events={})), 1),
    "a member twice": (TEXT.replace(b'"log":', b'"log":"x","log":', 1), 1),
    "half of a surrogate pair": (altered(lambda log: log["events"][3]["payload"].update(x="\ud800")), 1),
    "a depth that nothing stores": (altered(lambda log: log["events"][3]["payload"].update(x=nested(500))), 1),
    "nothing": (b"", 2),
    "white space": (b" \n", 2),
    "cut off": (TEXT[:-200], 2),
    "cut off in an event": (TEXT[: len(TEXT) // 2], 2),
    "gzip that is cut off": (gzip.compress(TEXT)[:-20], 2),
    "gzip that is damaged": (gzip.compress(TEXT)[:-8] + bytes(8), 2),
    "UTF-16": (TEXT.decode().encode("utf-16"), 2),
    "UTF-16 without a mark": (TEXT.decode().encode("utf-16-le"), 2),
    "Latin-1": (
        json.dumps({**BUNDLE, "log": "é"}, ensure_ascii=False).encode("utf-8").replace("é".encode(), b"\xe9"),
        2,
    ),
    "zip": (zipped(TEXT), 2),
    "HTML": (b"<!doctype html><title>Sign in</title>", 2),
    "two in one file": (TEXT + b"\n" + TEXT, 2),
    "in an array": (b"[" + TEXT + b"]", 2),
    "its events alone": (write(BUNDLE["events"]), 2),
    "a page of a ledger": (write({"events": BUNDLE["events"]}), 2),
    "a checkpoint": (write({"note": NOTE, "origin": "x", "size": 60, "root": "", "vkey": ""}), 2),
    "an error": (b'{"error":{"code":"unauthorized","message":"No valid token was sent"}}', 2),
    "a whole answer of tRPC": (b'{"result":{"data":' + TEXT + b"}}", 2),
    "a whole answer of MCP": (b'{"jsonrpc":"2.0","id":1,"result":{"structuredContent":' + TEXT + b"}}", 2),
    "an empty object": (b"{}", 2),
    "single quotes": (b"{'export_id': 1}", 2),
    "a comment": (b"// mine\n" + TEXT, 2),
    "no number": (TEXT.replace(b'"count":60', b'"count":NaN'), 2),
    "a line end in a string": (TEXT.replace(b'"log":"', b'"log":"\n', 1), 2),
    "brackets": (b"[" * 100_000, 2),
}


@pytest.mark.parametrize(("content", "code"), FILES.values(), ids=list(FILES))
def test_both_verifiers_say_the_same_of_a_file(tmp_path: Path, node: Path, content: bytes, code: int) -> None:  # noqa: ARG001 # without node it is skipped
    file = tmp_path / "export.json"
    file.write_bytes(content)

    pinned = ("--node", BUNDLE["node_did"], file)
    ours, javascript = ran(SYNAP, "verify", *pinned), ran("node", VERIFY, *pinned)

    assert (ours.returncode, javascript.returncode) == (code, code), (ours, javascript)
    for said in (ours, javascript):
        told, silent = (said.stderr, said.stdout) if code == 2 else (said.stdout, said.stderr)
        _, *more = told.splitlines()
        assert more in ([], ["4 events are erased: if their authors had signed them, those signatures are gone"]), said
        assert silent == ""
        assert code == 1 or ("broken" not in told and "forged" not in told)


@pytest.mark.parametrize("content", [gzip.compress(TEXT), BOM + TEXT], ids=["gzip", "a mark"])
def test_standard_input_is_read_as_a_file_is(content: bytes) -> None:
    assert ran(SYNAP, "verify", "-", sent=content).returncode == 0


def test_an_answer_that_was_saved_whole_says_which_part_to_save() -> None:
    done = ran(SYNAP, "verify", "-", sent=b'{"result":{"data":{}}}')

    assert done.returncode == 2
    assert done.stderr.endswith("save only its result.data or result.structuredContent.\n")


def test_the_actual_type_of_standard_input_is_named() -> None:
    done = ran(SYNAP, "verify", "-", sent=zipped(TEXT))

    assert (done.returncode, done.stderr) == (
        2,
        "synap: standard input cannot be read: it is a zip archive; unpack it (unzip).\n",
    )


ANSWER = {"note": NOTE, "origin": "x", "size": 60, "root": "", "vkey": ""}

NOTES: dict[str, bytes] = {
    "as it was signed": NOTE.encode(),
    "by jq -r": f"{NOTE}\n".encode(),
    "by a shell": NOTE.strip().encode(),
    "with CRLF": NOTE.replace("\n", "\r\n").encode(),
    "with CR": NOTE.replace("\n", "\r").encode(),
    "with a mark": BOM + NOTE.encode(),
    "with white space": f"\n\n{NOTE}".replace("\n", "  \n").encode(),
    "by jq": json.dumps(NOTE).encode(),
    "the answer of the ledger": json.dumps(ANSWER).encode(),
    "the answer, indented by an editor": BOM + json.dumps(ANSWER, indent=2).replace("\n", "\r\n").encode(),
    "the answer of tRPC": json.dumps({"result": {"data": ANSWER}}).encode(),
    "the answer of tRPC by superjson": json.dumps({"result": {"data": {"json": ANSWER}}}).encode(),
    "an export": TEXT,
    "in gzip": gzip.compress(json.dumps(ANSWER).encode()),
}


@pytest.mark.parametrize("content", NOTES.values(), ids=list(NOTES))
def test_a_checkpoint_that_tools_touched_is_read(tmp_path: Path, content: bytes) -> None:
    export, note = tmp_path / "export.json", tmp_path / "note"
    export.write_bytes(TEXT)
    note.write_bytes(content)

    kept = ran(SYNAP, "verify", export, "--checkpoint", note, "--node", BUNDLE["node_did"])
    export.write_bytes(write(build(12)))
    other = ran(SYNAP, "verify", export, "--checkpoint", note)

    assert (kept.returncode, kept.stderr) == (0, "")
    assert (other.returncode, other.stderr) == (1, "")


NO_NOTES: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "A note is a text"),
    "UTF-16": (NOTE.encode("utf-16"), "is text in UTF-16; save it as UTF-8"),
    "another character set": (NOTE.encode().replace("—".encode(), b"\x97"), "cannot be read"),
    "JSON of something else": (b'{"size": 1}', "It is JSON without a checkpoint"),
    "half of its JSON": (b'{"note": "a', "It begins like JSON, but is not valid JSON"),
    "a hash": (b"sha256:00", "A note is a text"),
    "zip": (zipped(NOTE.encode()), "is a zip archive"),
}


@pytest.mark.parametrize(("content", "said"), NO_NOTES.values(), ids=list(NO_NOTES))
@pytest.mark.parametrize("command", ["verify", "doctor"])
def test_what_is_no_checkpoint_is_not_called_broken(tmp_path: Path, content: bytes, said: str, command: str) -> None:
    (tmp_path / "export.json").write_bytes(TEXT)
    note = tmp_path / "note"
    note.write_bytes(content)

    done = ran(SYNAP, command, *([tmp_path / "export.json"] if command == "verify" else []), "--checkpoint", note)

    assert (done.returncode, done.stdout) == (2, "")
    [sentence] = done.stderr.splitlines()
    assert said in sentence


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq not found")
def test_the_tools_themselves(server: Server, tmp_path: Path) -> None:
    assert server.mutate("events.log", {"type": "number.noted", "data": {"n": 0.1}}).status_code == 200
    large = b'{"type":"number.noted","data":{"large":1e21,"small":1e-7,"one":1.0}}'
    web.post(
        f"{server.url}/trpc/events.log", content=large, headers=server.headers | {"content-type": "application/json"}
    )
    ledger = f"{server.url}/ledger/v1"
    answers = {name: web.get(f"{ledger}/{name}", headers=server.headers) for name in ("checkpoint", "events/export")}

    note, export = tmp_path / "note", tmp_path / "export.json"
    note.write_text(ran("jq", "-r", ".note", sent=answers["checkpoint"].content).stdout)
    export.write_text(ran("jq", ".", sent=answers["events/export"].content).stdout)

    assert ran(SYNAP, "verify", export, "--checkpoint", note).returncode == 0
    assert ran("node", VERIFY, export).returncode == 0
