"""The ledger API (docs/api/ledger.md) as its reader uses it: each command runs, and answers have the shown members.

`websocat` is replaced by a small program of our own.
"""

import base64
import fcntl
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import rfc8785
from msgspec import Struct
from nacl.signing import VerifyKey

from tests.acceptance.processes import synap
from tests.kit import web
from tests.kit.installs import copy
from tests.kit.paths import VECTORS
from tests.kit.servers import Server, serving, until

SECTIONS: dict[str, dict[str, Any]] = json.loads((VECTORS / "api" / "ledger.json").read_text())
"""The examples and the members of answers, by the title of the section."""

EVENTS, EXPORT, STREAM, AUDIT = (f"GET /v1/{name}" for name in ("events", "events/export", "stream", "audit"))

BASE = "http://127.0.0.1:7777"

TOKEN = "./data/control.token"

WEBSOCAT = f"""#!{sys.executable}
import sys
from websockets.sync.client import connect

flag, header, url = sys.argv[1:]
assert flag == "-H", flag
name, _, value = header.partition(": ")
with connect(url, additional_headers={{name: value}}, proxy=None) as stream:
    for text in stream:
        print(text, end="", flush=True)
"""
"""The part of `websocat` that the document uses."""

TYPES: dict[str, type] = {"string": str, "array": list, "object": dict, "integer": int}


class Reader(Struct, frozen=True):
    """A reader with a shell on the server's machine."""

    server: Server
    folder: Path
    """The folder in which the commands run; it contains `data/`."""

    @property
    def variables(self) -> dict[str, str]:
        """The shell's environment, in which `websocat` is found."""
        return os.environ | {"PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}"}

    def command(self, section: str) -> str:
        """The command of a section."""
        command: str = SECTIONS[section]["command"]
        assert TOKEN in command
        return command

    def ask(self, section: str, **parameters: str) -> dict[str, Any]:
        """Run the command of a section, with query parameters added to its URL. Returns what it prints."""
        query = str(httpx.QueryParams(parameters))
        command = self.command(section) + (f"'?{query}'" if query else "")
        ran = subprocess.run(
            ["bash", "-euc", command], cwd=self.folder, capture_output=True, text=True, timeout=30, check=False
        )
        assert ran.returncode == 0, ran.stderr
        answer: dict[str, Any] = json.loads(ran.stdout)
        return answer

    def log(self, type_: str, payload: dict[str, object]) -> str:
        """Log one event, and return its id."""
        answer = self.server.mutate("events.log", {"type": type_, "data": payload})
        assert answer.status_code == 200, answer.text
        id_: str = answer.json()["result"]["data"]["id"]
        return id_

    @contextmanager
    def following(self, command: str) -> Iterator[Queue[str]]:
        """Yield the lines that a command prints during the block."""
        process = subprocess.Popen(
            ["bash", "-euc", command],
            cwd=self.folder,
            env=self.variables,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        lines: Queue[str] = Queue()

        def take() -> None:
            for line in process.stdout or ():
                if line != "\n":
                    lines.put(line)

        taking = Thread(target=take)
        taking.start()
        try:
            yield lines
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=60)
            taking.join()


@pytest.fixture(scope="module")
def alone() -> Iterator[None]:
    """Other runs of these tests on this machine wait: two servers on one port would share its connections."""
    with Path("/tmp/synap-tests-ledger-port.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="module")
def reader(
    alone: None,  # noqa: ARG001
    first_started: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Reader]:
    """A server that serves the ledger at the address of the examples."""
    folder = tmp_path_factory.mktemp("document")
    url = urlsplit(BASE)
    with socket.socket() as taken:
        if taken.connect_ex((url.hostname, url.port)) == 0:
            pytest.fail(f"{BASE} is taken: the document's commands cannot run as printed")
    (folder / "bin").mkdir()
    (folder / "bin" / "websocat").write_text(WEBSOCAT)
    (folder / "bin" / "websocat").chmod(0o755)
    copy(first_started, folder / "data")
    with serving(folder / "data", ledger_port=url.port) as server:
        started = Reader(server, folder)
        until(lambda: _answers(f"{BASE}/readyz"))
        for mission in range(3):
            started.log("mission.accepted", {"mission_id": f"msn_{mission}", "reward_watt": 40 + mission})
        started.log("payment.settled", {"amount": 0.5, "to": "did:watt:xyz987"})
        yield started


def test_every_command_of_the_document_is_run_here() -> None:
    assert list(SECTIONS) == [EVENTS, EXPORT, STREAM, AUDIT]
    commands = [section["command"] for section in SECTIONS.values()]
    assert [command.split(" ")[0] for command in commands] == ["curl", "curl", "websocat", "curl"]
    assert shutil.which("curl"), "curl not found"


def test_get_events_the_command_answers_what_is_documented(reader: Reader) -> None:
    page = reader.ask(EVENTS)

    _assert_documented(page, EVENTS)
    printed = SECTIONS[EVENTS]["answer"]
    assert set(page) == set(printed)
    for event in page["events"]:
        assert set(printed["events"][0]) <= set(event)
        assert re.fullmatch(r"evt_[0-9a-f]{64}", event["id"])
        assert re.fullmatch(r"sha256:[0-9a-f]{64}", event["prev_hash"])
        assert datetime.fromisoformat(event["timestamp"]).utcoffset() is not None
    seqs = [event["seq"] for event in page["events"]]
    assert seqs == sorted(seqs)
    assert page["total"] == len(page["events"]) >= 4
    assert page["events"][0]["payload"] == {"mission_id": "msn_0", "reward_watt": 40}


def test_get_events_takes_the_documented_parameters(reader: Reader) -> None:
    parameters = SECTIONS[EVENTS]["parameters"]
    events = reader.ask(EVENTS)["events"]

    assert parameters == {"since": "string", "limit": "integer", "type": "string"}
    since = SECTIONS[EVENTS]["since"]
    assert reader.ask(EVENTS, since=since)["total"] == len(events)
    assert reader.ask(EVENTS, since=events[1]["timestamp"])["events"] == events[2:]
    assert reader.ask(EVENTS, limit="2") == {"events": events[:2], "total": len(events)}
    found = reader.ask(EVENTS, type="payment.settled")["events"]
    assert found == [event for event in events if event["type"] == "payment.settled"] != []
    assert reader.ask(EVENTS, type="peer.connected") == {"events": [], "total": 0}


def test_get_events_export_the_command_answers_what_is_documented(reader: Reader) -> None:
    bundle = reader.ask(EXPORT)

    _assert_documented(bundle, EXPORT)
    assert bundle["events"] == reader.ask(EVENTS)["events"]
    assert bundle["node_did"] == bundle["events"][0]["node"]
    assert bundle["chain_root_hash"] == bundle["events"][0]["hash"]
    assert bundle["chain_tip_hash"] == bundle["events"][-1]["hash"]
    assert datetime.fromisoformat(bundle["generated_at"]) > datetime.fromisoformat(bundle["events"][-1]["timestamp"])
    assert reader.ask(EXPORT)["export_id"] != bundle["export_id"]


def test_get_events_export_can_be_verified_as_the_document_says(reader: Reader) -> None:
    """First the `bundle_signature`, then the `prev_hash` chain from tip to root, then each event's signature."""
    bundle = reader.ask(EXPORT)
    key = VerifyKey(_public_key(bundle["node_did"]))
    names = ("node_did", "log", "export_id", "first_seq", "last_seq", "count", "chain_root_hash", "chain_tip_hash")
    lines = ["evlog/export/v1", *(str(bundle[name]) for name in (*names, "generated_at"))]

    key.verify("".join(f"{line}\n" for line in lines).encode(), base64.b64decode(bundle["bundle_signature"]))

    expected = bundle["chain_tip_hash"]
    for event in reversed(bundle["events"]):
        assert event["hash"] == f"sha256:{_hash_of(event)}" == expected
        assert event["id"] == f"evt_{_hash_of(event)}"
        key.verify(f"evlog/event/v1\n{_hash_of(event)}\n".encode(), base64.b64decode(event["signature"]))
        root, expected = expected, event["prev_hash"]
    assert root == bundle["chain_root_hash"]
    assert expected == f"sha256:{'0' * 64}"


def test_get_stream_the_command_prints_events_as_they_are_appended(reader: Reader) -> None:
    with reader.following(reader.command(STREAM)) as lines:
        found = _begun(reader, lines)
        id_ = reader.log("mission.accepted", {"mission_id": "msn_live"})
        while found["event_id"] != id_:
            found = json.loads(lines.get(timeout=60))

    assert found == reader.ask(EVENTS)["events"][-1]
    assert found["payload"] == {"mission_id": "msn_live"}


def test_get_stream_the_token_may_be_a_query_parameter(reader: Reader) -> None:
    url = SECTIONS[STREAM]["url"].replace("<your_token>", f"$(cat {TOKEN})")

    with reader.following(f'websocat -H "X-Nothing: of importance" "{url}"') as lines:
        assert _begun(reader, lines)["type"] == "stream.asked"


def test_get_audit_the_command_answers_what_is_documented(reader: Reader) -> None:
    reader.ask(EXPORT)
    key = synap(reader.folder / "data", "keys", "create", "--user", "ci", "--scope", "ledger:read")

    answer = reader.ask(AUDIT)

    _assert_documented(answer, AUDIT)
    entries = answer["entries"]
    assert [entry["timestamp"] for entry in entries] == sorted(entry["timestamp"] for entry in entries)
    assert {"log.exported", "key.created"} <= {entry["action"] for entry in entries}
    assert len({entry["id"] for entry in entries}) == len(entries)
    text = json.dumps(answer)
    assert key not in text
    assert reader.server.token not in text


def test_get_audit_takes_the_documented_parameters(reader: Reader) -> None:
    reader.ask(EXPORT)
    entries = reader.ask(AUDIT)["entries"]

    assert SECTIONS[AUDIT]["parameters"] == {"since": "string", "action": "string"}
    assert reader.ask(AUDIT, since=entries[0]["timestamp"])["entries"][: len(entries) - 1] == entries[1:]
    exports = reader.ask(AUDIT, action="log.exported")["entries"]
    assert exports == [entry for entry in entries if entry["action"] == "log.exported"] != []


def _assert_documented(answer: dict[str, Any], section: str) -> None:
    """Check that each documented member exists and has the documented type."""
    fields = SECTIONS[section]["fields"]
    assert fields
    for name, kind in fields.items():
        list_name, of_each, member = name.partition("[].")
        holders = answer[list_name] if of_each else [answer]
        assert holders, f"nothing in {list_name} shows {name}"
        for holder in holders:
            assert type(holder[member or name]) is TYPES[kind], name


def _begun(reader: Reader, lines: Queue[str]) -> dict[str, Any]:
    """Return the first event of a stream.

    A stream begins some time after its command, and lacks what was logged before.
    """
    for _ in range(40):
        reader.log("stream.asked", {})
        try:
            event: dict[str, Any] = json.loads(lines.get(timeout=0.5))
        except Empty:
            continue
        return event
    pytest.fail("nothing came")


def _hash_of(event: dict[str, Any]) -> str:
    """The hash in hex of an event's header, computed from the event as it is shown."""
    body = {"data": event["payload"]} | event["context"]
    header = {name: event[name] for name in ("node", "kid", "log", "seq", "type", "timestamp", "prev_hash")}
    header |= {"v": "evlog/1", "id": event["event_id"]}
    header["body_hash"] = f"sha256:{sha256(rfc8785.dumps(body)).hexdigest()}"
    return sha256(b"\x00" + rfc8785.dumps(header)).hexdigest()


def _public_key(did: str) -> bytes:
    """The Ed25519 key of a did:key: behind `z` it is base58btc, and begins with the bytes ed 01."""
    number = 0
    for letter in did.removeprefix("did:key:z"):
        number = number * 58 + "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz".index(letter)
    raw = number.to_bytes(34, "big")
    assert raw.startswith(b"\xed\x01")
    return raw[2:]


def _answers(url: str) -> bool:
    try:
        return web.get(url, timeout=2).status_code == 200
    except httpx.HTTPError:
        return False
