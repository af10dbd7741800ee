"""The ledger door compared with its document, section by section, and the proofs of its answers."""

import json
import socket
import subprocess
import threading
from base64 import b64decode
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import pytest

from app.ledger import checkpoint
from app.ledger.merkle import EMPTY_ROOT, Frontier, verify_consistency, verify_inclusion
from app.ledger.signer import public_key
from app.ledger.verify import Verdict, verify_bundle
from benchmarks.process import free_port
from tests.kit import checks, web
from tests.kit.checks import check_log, ledger_events
from tests.kit.examples import ALL
from tests.kit.paths import ROOT
from tests.kit.servers import Server, serving, until
from tests.procedures.conftest import Keyed
from tests.surfaces.conftest import ORIGINS, Observed

VERIFY = ROOT / "clients" / "verify" / "verify.mjs"

LATE, EARLY = "9999-12-31T23:59:59.999999Z", "0001-01-01T00:00:00Z"


@pytest.fixture
def keyed(observed: Observed) -> Keyed:
    """The shared server, with helpers that create keys."""
    return Keyed(observed.server, observed.database_url)


@pytest.fixture
def org(keyed: Keyed) -> str:
    """A workspace of the test's own."""
    return keyed.workspace()


def read(server: Server, path: str, headers: dict[str, str] | None = None, /, **parameters: object) -> httpx.Response:
    """Make a `GET /ledger/v1/<path>`."""
    named = {name.rstrip("_"): str(value) for name, value in parameters.items()}
    return web.get(f"{server.url}/ledger/v1/{path}", params=named, headers=server.headers | (headers or {}), timeout=30)


def shown(server: Server, path: str, **parameters: object) -> dict[str, Any]:
    """Make such a call, which must succeed, and return the answer's JSON."""
    answer = read(server, path, **parameters)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    body: dict[str, Any] = answer.json()
    return body


def listed(server: Server, org: str, **parameters: object) -> list[int]:
    """The seqs of the events of a list."""
    return [event["seq"] for event in shown(server, "events", log=org, **parameters)["events"]]


def error_of(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The error of a rejected call, which must have exactly the fields that the REST doors share."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    [(name, error)] = answer.json().items()
    assert name == "error"
    assert set(error) <= {"code", "message", "field"}
    assert error["message"]
    body: dict[str, Any] = error
    return body


def log(server: Server, org: str, *types: str, **members: object) -> list[dict[str, Any]]:
    """Log one event of each type in one batch, and return them."""
    events = [{"type": type_, "data": {"place": place}, **members} for place, type_ in enumerate(types)]
    answer = server.mutate("events.logBatch", {"events": events}, **{"x-workspace-id": org})
    assert answer.status_code == 200, answer.text
    came: list[dict[str, Any]] = answer.json()["result"]["data"]
    return came


def erase(server: Server, org: str, *ids: str) -> None:
    """Erase these events."""
    answer = server.mutate("events.erase", {"ids": ids}, **{"x-workspace-id": org})
    assert answer.status_code == 200, answer.text
    assert answer.json()["result"]["data"]["erased"] == len(ids)


def exported(server: Server, org: str, **parameters: object) -> bytes:
    """The text of an export."""
    answer = read(server, "events/export", log=org, **parameters)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    return answer.content


def verified(text: bytes, folder: Path, *, unconfirmed: list[int] | None = None) -> Verdict:
    """The verdict on an export, which both verifiers must accept."""
    verdict = verify_bundle(text)
    assert verdict.broken is None
    assert verdict.unconfirmed == (unconfirmed or [])
    if checks.node() is not None:
        file = folder / f"{json.loads(text)['export_id']}.json"
        file.write_bytes(text)
        ran = subprocess.run(
            [checks.node() or "", VERIFY, file], capture_output=True, text=True, timeout=60, check=False
        )
        assert ran.returncode == (3 if unconfirmed else 0), ran.stdout + ran.stderr
        assert ran.stdout.startswith(f"{verdict.count} event")
    return verdict


def noted(signed: dict[str, Any], node: dict[str, Any]) -> tuple[int, bytes]:
    """The size and the root of a signed checkpoint, whose note must contain them and be signed by the key in force."""
    note = checkpoint.parse(signed["note"])
    assert checkpoint.is_signed_by(note, node["kid"])
    assert signed["vkey"] == checkpoint.vkey(signed["origin"], node["kid"])
    said = note.checkpoint
    assert (said.origin, said.size, said.root) == (signed["origin"], signed["size"], b64decode(signed["root"]))
    return said.size, said.root


def tree_root(observed: Observed, org: str, size: int | None = None) -> bytes:
    """The Merkle root of the hashes in the database."""
    frontier = Frontier()
    for event in ledger_events(observed.database_url, org)[:size]:
        frontier.push(leaf(event))
    return frontier.root()


def leaf(event: dict[str, Any]) -> bytes:
    """The leaf of an event in the tree."""
    return bytes.fromhex(event["hash"].removeprefix("sha256:"))


def audited(server: Server, org: str, action: str) -> list[dict[str, Any]]:
    """The audit's entries with an action."""
    entries: list[dict[str, Any]] = shown(server, "audit", log=org, action=action, limit=1000)["entries"]
    return entries


def test_get_events_shows_the_whole_log_oldest_first(observed: Observed, org: str) -> None:
    log(observed.server, org, "mission.accepted", "payment.settled", "peer.connected")

    page = shown(observed.server, "events", log=org)

    assert page == {"events": check_log(observed.database_url, org), "total": 3}
    assert [event["type"] for event in page["events"]] == ["mission.accepted", "payment.settled", "peer.connected"]


def test_get_events_of_a_log_without_events(observed: Observed, org: str) -> None:
    assert shown(observed.server, "events", log=org) == {"events": [], "total": 0}


def test_get_events_shows_everything_that_an_event_may_have(observed: Observed, org: str) -> None:
    log(
        observed.server,
        org,
        "note.created",
        subjectId='s "1"\\\n\u2028\U0001f600',
        producer="p",
        source="sync",
        userId="ann",
        correlationId="c",
        causationId="d",
        occurredAt="2024-01-01T01:00:00+01:00",
        metadata={"custom": {"x": [1.0, None]}},
    )

    [event] = shown(observed.server, "events", log=org)["events"]

    assert [event] == check_log(observed.database_url, org)
    assert event["context"]["occurredAt"] == "2024-01-01T00:00:00.000000Z"
    assert event["context"]["metadata"] == {"custom": {"x": [1, None]}}


def test_get_events_since_is_strictly_after_to_the_microsecond(observed: Observed, org: str) -> None:
    came = log(observed.server, org, *["a.b"] * 5)
    at = datetime.fromisoformat(came[2]["timestamp"])

    assert listed(observed.server, org, since=came[2]["timestamp"]) == [3, 4]
    assert listed(observed.server, org, since=(at - timedelta(microseconds=1)).isoformat()) == [2, 3, 4]
    assert listed(observed.server, org, since=came[4]["timestamp"]) == []
    assert listed(observed.server, org, since="2024-11-01T00:00:00Z") == [0, 1, 2, 3, 4]
    assert listed(observed.server, org, since=EARLY) == [0, 1, 2, 3, 4]
    assert listed(observed.server, org, since=LATE) == []
    assert shown(observed.server, "events", log=org, since=came[2]["timestamp"])["total"] == 2


def test_get_events_limit_is_100_unless_said_and_total_counts_what_it_leaves_out(observed: Observed, org: str) -> None:
    log(observed.server, org, *["a.b", "a.c"] * 60)

    assert listed(observed.server, org) == list(range(100))
    assert listed(observed.server, org, limit=1000) == list(range(120))
    page = shown(observed.server, "events", log=org, type="a.c", limit=2)
    assert ([event["seq"] for event in page["events"]], page["total"]) == ([1, 3], 60)


@pytest.mark.parametrize(
    ("pattern", "seqs"),
    [
        ("a.b", [0]),
        ("a.*", [0, 1, 3]),
        ("a.*.*", [3]),
        ("a.*.d", [3]),
        ("*.b", [0, 2]),
        ("*", [0, 1, 2, 3]),
        ("a", []),
    ],
)
def test_get_events_type_may_be_a_pattern(observed: Observed, org: str, pattern: str, seqs: list[int]) -> None:
    log(observed.server, org, "a.b", "a.c", "b.b", "a.c.d")

    page = shown(observed.server, "events", log=org, type=pattern)

    assert ([event["seq"] for event in page["events"]], page["total"]) == (seqs, len(seqs))


@pytest.mark.parametrize("limit", [1, 7, 50])
def test_get_events_paging_by_since_shows_each_event_once(observed: Observed, org: str, limit: int) -> None:
    for _ in range(5):
        log(observed.server, org, *["a.b", "c.d"] * 5)

    seqs: list[int] = []
    since = EARLY
    while page := shown(observed.server, "events", log=org, since=since, limit=limit)["events"]:
        seqs += [event["seq"] for event in page]
        since = page[-1]["timestamp"]

    assert seqs == list(range(50))


def test_get_events_a_page_ends_before_it_grows_too_large(observed: Observed, org: str) -> None:
    for _ in range(5):
        log(observed.server, org, *["a.b"] * 7, metadata={"custom": {"text": "x" * 1_000_000}})

    page = shown(observed.server, "events", log=org, limit=1000)

    seqs = [event["seq"] for event in page["events"]]
    assert seqs == list(range(33))
    assert page["total"] == 35
    assert listed(observed.server, org, since=page["events"][-1]["timestamp"]) == [33, 34]


def test_get_events_total_is_never_less_than_what_is_shown(observed: Observed, org: str) -> None:
    """It reads 20 pages of a growing log, and 60 in `make soak`."""
    stop = threading.Event()

    def append() -> None:
        while not stop.is_set():
            log(observed.server, org, *["a.b"] * 20)

    appending = threading.Thread(target=append)
    appending.start()
    try:
        pages = [shown(observed.server, "events", log=org, limit=1000) for _ in range(60 if ALL else 20)]
    finally:
        stop.set()
        appending.join()

    assert all(len(page["events"]) <= page["total"] for page in pages)
    assert pages[0]["total"] < pages[-1]["total"]


REFUSED = {
    "limit of none": ("events", {"limit": "0"}, "limit"),
    "limit of too many": ("events", {"limit": "1001"}, "limit"),
    "limit in words": ("events", {"limit": "many"}, "limit"),
    "limit of nothing": ("events", {"limit": ""}, "limit"),
    "limit with a fraction": ("events", {"limit": "1.5"}, "limit"),
    "since without an offset": ("events", {"since": "2024-11-01T00:00:00"}, "since"),
    "since in words": ("events", {"since": "yesterday"}, "since"),
    "since beyond all years": ("events", {"since": "9999-12-31T23:59:59-14:00"}, "since"),
    "type with a space": ("events", {"type": "a b"}, "type"),
    "type with half a star": ("events", {"type": "a.b*"}, "type"),
    "a name that is not known": ("events", {"offset": "1"}, "offset"),
    "a camel's name": ("events/export", {"fromSeq": "1"}, "fromSeq"),
    "a part that begins below": ("events/export", {"from_seq": "-1"}, "from_seq"),
    "a part that begins behind the log": ("events/export", {"from_seq": "3"}, "from_seq"),
    "a part that ends behind the log": ("events/export", {"to_seq": "3"}, "to_seq"),
    "a part that ends before it begins": ("events/export", {"from_seq": "2", "to_seq": "1"}, "to_seq"),
    "a part in words": ("events/export", {"to_seq": "last"}, "to_seq"),
    "a tree of no size": ("consistency", {}, "from"),
    "a tree larger than the log": ("consistency", {"from": "4"}, "from"),
    "a later tree larger than the log": ("consistency", {"from": "1", "to": "4"}, "to"),
    "trees in the wrong order": ("consistency", {"from": "3", "to": "2"}, "from"),
    "a tree below": ("consistency", {"from": "-1"}, "from"),
    "the node of something": ("node", {"limit": "1"}, "limit"),
    "the checkpoint of something": ("checkpoint", {"size": "1"}, "size"),
}


@pytest.mark.parametrize(("path", "parameters", "field"), REFUSED.values(), ids=list(REFUSED))
def test_what_does_not_fit_is_rejected_by_its_name(
    observed: Observed, org: str, path: str, parameters: dict[str, str], field: str
) -> None:
    log(observed.server, org, "a.b", "a.b", "a.b")

    error = error_of(read(observed.server, path, log=org, **parameters), 400)

    assert error["field"] == field
    assert error["message"].startswith(f"{field}: ") or error["code"] == "missing_required_field"


def test_the_log_is_named_by_parameter_or_header_and_is_the_keys_first_otherwise(keyed: Keyed) -> None:
    first, second = keyed.workspace(), keyed.workspace()
    _, holder = keyed.key("ledger:read", "events:write", workspaces=(first, second))
    log(holder, first, "is.first")
    log(holder, second, "is.second")

    def types(headers: dict[str, str] | None = None, **parameters: str) -> list[str]:
        answer = read(holder, "events", headers, **parameters)
        return [event["type"] for event in answer.json()["events"]]

    assert types() == ["is.first"]
    assert types(log=second) == types({"x-workspace-id": second}) == ["is.second"]
    assert types({"x-workspace-id": second}, log=first) == ["is.first"]


PATHS = ("events", "events/export", "node", "checkpoint", "consistency?from=0", "events/x/proof", "events/x/receipt")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("named", ["another", "nosuch", "_node", ""])
def test_another_log_than_the_keys_own_is_rejected(keyed: Keyed, org: str, path: str, named: str) -> None:
    _, holder = keyed.key("ledger:read", "events:read", workspaces=(org,))
    named = keyed.workspace() if named == "another" else named

    error = error_of(read(holder, path, log=named) if "?" not in path else _with(holder, path, named), 403)

    assert (error["code"], error["field"]) == ("forbidden", "log")


def _with(server: Server, path: str, named: str) -> httpx.Response:
    return web.get(f"{server.url}/ledger/v1/{path}&log={named}", headers=server.headers, timeout=30)


def test_the_servers_own_log_is_read_by_a_key_for_everything(observed: Observed, keyed: Keyed, tmp_path: Path) -> None:
    _, all_scopes = keyed.key("*")
    _, all_workspaces = keyed.key("ledger:read", workspaces=("*",))

    page = shown(observed.server, "events", log="_node")

    assert page["total"] == len(page["events"])
    assert {event["log"] for event in page["events"]} <= {"_node"}
    verified(exported(observed.server, "_node"), tmp_path)
    for holder in (all_scopes, all_workspaces):
        assert error_of(read(holder, "events", log="_node"), 403)["field"] == "log"


@pytest.mark.parametrize("path", PATHS)
def test_a_key_without_the_scope_is_rejected(keyed: Keyed, path: str) -> None:
    _, holder = keyed.key("events:read", "events:write", "audit:read")

    error = error_of(read(holder, path) if "?" not in path else _with(holder, path, "default"), 403)

    assert error["code"] == "forbidden"
    assert "ledger:read" in error["message"]


@pytest.mark.parametrize("path", [*PATHS, "audit"])
@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer nosuch"}, {"authorization": "Basic eA=="}])
def test_without_a_token_nothing_is_shown(observed: Observed, path: str, headers: dict[str, str]) -> None:
    answer = web.get(f"{observed.server.url}/ledger/v1/{path}", headers=headers)

    assert error_of(answer, 401)["code"] == "unauthorized"


def test_a_token_in_the_url_is_only_for_the_stream(observed: Observed) -> None:
    answer = web.get(f"{observed.server.url}/ledger/v1/events", params={"token": observed.server.token})

    assert error_of(answer, 401)["code"] == "unauthorized"


def test_a_key_that_reads_its_own_sees_its_own_and_gets_no_export(keyed: Keyed, org: str) -> None:
    _, holder = keyed.key("ledger:read", "events:read-own", "events:write", user="ann", workspaces=(org,))
    log(keyed.server, org, "a.others")
    own, _ = log(holder, org, "a.own", "b.own")
    [other] = log(keyed.server, org, "a.others", userId="bob")

    page = shown(holder, "events")

    assert ([event["seq"] for event in page["events"]], page["total"]) == ([1, 2], 2)
    assert {event["context"]["userId"] for event in page["events"]} == {"ann"}
    page = shown(holder, "events", type="a.*", limit=1)
    assert ([event["seq"] for event in page["events"]], page["total"]) == ([1], 1)
    assert shown(holder, f"events/{own['id']}/proof")["event"]["seq"] == 1
    for reference in (other["id"], other["hash"].replace("sha256:", "evt_")):
        assert error_of(read(holder, f"events/{reference}/proof"), 404)["code"] == "not_found"
    assert error_of(read(holder, "events/export"), 403)["code"] == "forbidden"
    assert shown(holder, "checkpoint")["size"] == 4
    assert audited(keyed.server, org, "log.exported") == []


def test_erased_events_are_shown_without_what_was_erased(observed: Observed, org: str, tmp_path: Path) -> None:
    came = log(observed.server, org, "a.b", "a.c", "a.d", subjectId="a secret subject")
    erase(observed.server, org, came[1]["id"])

    page = shown(observed.server, "events", log=org)

    assert page["events"] == check_log(observed.database_url, org)
    event, named = page["events"][1], page["events"][3]
    assert (event["payload"], event["context"], event["erased"]) == ({}, {}, True)
    assert named["type"] == "synap.event.erased"
    assert named["payload"] == {"erased": [{"seq": 1, "id": event["event_id"], "hash": event["hash"]}]}
    assert all("erased" not in each for each in page["events"] if each["seq"] != 1)
    verified(exported(observed.server, org), tmp_path)
    verified(exported(observed.server, org, to_seq=2), tmp_path, unconfirmed=[1])
    assert shown(observed.server, f"events/{came[1]['id']}/proof", log=org)["event"] == event


def test_get_events_export_is_the_whole_log(observed: Observed, org: str, tmp_path: Path) -> None:
    log(observed.server, org, *["a.b"] * 30)

    answer = read(observed.server, "events/export", log=org)

    bundle = answer.json()
    verdict = verified(answer.content, tmp_path)
    node = shown(observed.server, "node")
    assert bundle["events"] == check_log(observed.database_url, org)
    assert (verdict.log, verdict.node, verdict.count) == (org, node["node_did"], 30)
    assert verdict.checkpoint is not None
    assert (verdict.checkpoint.size, verdict.checkpoint.root) == (30, tree_root(observed, org))
    assert (bundle["keys"], bundle["kid"]) == (node["keys"], node["kid"])
    assert answer.headers["content-disposition"] == f'attachment; filename="{org}-{bundle["export_id"]}.json"'
    assert answer.headers["cache-control"] == "no-store"
    assert json.loads(exported(observed.server, org))["export_id"] != bundle["export_id"]


@pytest.mark.parametrize("events", [999, 1000, 1001, 2000])
def test_get_events_export_at_the_edges_of_its_pieces(
    observed: Observed, org: str, events: int, tmp_path: Path
) -> None:
    for count in [1000] * (events // 1000) + [events % 1000] * (events % 1000 > 0):
        log(observed.server, org, *["a.b"] * count)

    assert verified(exported(observed.server, org), tmp_path).count == events


def test_get_events_export_of_events_larger_than_its_pieces(observed: Observed, org: str, tmp_path: Path) -> None:
    for size in (1_000_000, 10, 1_000_000, 1_000_000, 10, 1_000_000):
        log(observed.server, org, "a.b", subjectId="s", metadata={"custom": {"text": "x" * size}})

    assert verified(exported(observed.server, org), tmp_path).count == 6


PARTS = {
    "all by name": (0, 9),
    "its beginning": (None, 3),
    "its end": (7, None),
    "its middle": (3, 6),
    "one": (4, 4),
    "the first": (None, 0),
    "the last": (9, None),
}


@pytest.mark.parametrize(("first", "last"), PARTS.values(), ids=list(PARTS))
def test_get_events_export_in_parts(
    observed: Observed, org: str, first: int | None, last: int | None, tmp_path: Path
) -> None:
    log(observed.server, org, *["a.b"] * 10)
    named = {name: seq for name, seq in (("from_seq", first), ("to_seq", last)) if seq is not None}

    text = exported(observed.server, org, **named)

    verdict = verified(text, tmp_path)
    assert (verdict.first_seq, verdict.last_seq) == (first or 0, 9 if last is None else last)
    expected = ledger_events(observed.database_url, org)[verdict.first_seq : verdict.last_seq + 1]
    assert json.loads(text)["events"] == expected
    assert verdict.checkpoint is not None
    assert (verdict.checkpoint.size, verdict.checkpoint.root) == (10, tree_root(observed, org))


def test_get_events_export_of_a_log_without_events(observed: Observed, org: str, tmp_path: Path) -> None:
    verdict = verified(exported(observed.server, org), tmp_path)

    assert (verdict.count, verdict.first_seq, verdict.last_seq) == (0, 0, -1)
    assert verdict.checkpoint is not None
    assert (verdict.checkpoint.size, verdict.checkpoint.root) == (0, EMPTY_ROOT)
    assert verified(exported(observed.server, org, from_seq=0), tmp_path).count == 0
    assert error_of(read(observed.server, "events/export", log=org, from_seq=1), 400)["field"] == "from_seq"
    assert error_of(read(observed.server, "events/export", log=org, to_seq=0), 400)["field"] == "to_seq"


def test_get_events_export_while_events_are_appended_and_erased(observed: Observed, org: str, tmp_path: Path) -> None:
    """Events are erased before and after the export reads them.

    No bundle contains an erased body and the event about its erasure.
    """
    server, count = observed.server, 2000
    metadata = {"custom": {"text": "x" * 8000}}
    ids = [event["id"] for _ in range(4) for event in log(server, org, *["a.b"] * 500, metadata=metadata)]
    stop = threading.Event()
    erased: list[str] = []

    def change() -> None:
        for place in range(count):
            if stop.is_set():
                break
            id_ = ids[place // 2 if place % 2 else -1 - place // 2]
            log(server, org, "a.c")
            erase(server, org, id_)
            erased.append(id_)

    def export(**part: int) -> bytes:
        text, since = b"", len(erased)
        parameters = {"log": org} | part
        url = f"{server.url}/ledger/v1/events/export"
        transport = httpx.HTTPTransport(socket_options=[(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)])
        with (
            httpx.Client(transport=transport, headers=server.headers, timeout=30) as client,
            client.stream("GET", url, params=parameters) as answer,
        ):
            for piece in answer.iter_raw():
                if not text:  # the rest does not fit the buffers between the server and here, so it waits
                    until(lambda: len(erased) > since + 5)
                text += piece
        return text

    changing = threading.Thread(target=change)
    changing.start()
    try:
        until(lambda: len(erased) > 5)  # so each export misses bodies, however much the buffers hold
        wholes = [export() for _ in range(2)]
        part = export(from_seq=500, to_seq=1400)
    finally:
        stop.set()
        changing.join()

    for text in wholes:
        verdict = verify_bundle(text)
        events = json.loads(text)["events"]
        named = {name["seq"] for event in events[count:] for name in event["payload"].get("erased", [])}
        missing = {event["seq"] for event in events if event.get("erased")}
        assert (verdict.broken, verdict.kept) == (None, [])
        assert missing
        assert missing == named | set(verdict.unconfirmed)
    assert verified(exported(server, org), tmp_path).count > count
    verdict = verify_bundle(part)
    assert (verdict.broken, verdict.first_seq, verdict.last_seq) == (None, 500, 1400)
    check_log(observed.database_url, org)


def test_get_events_export_may_be_read_by_a_page_that_is_welcome(observed: Observed, org: str) -> None:
    answer = read(observed.server, "events/export", {"origin": ORIGINS[0]}, log=org)

    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == ORIGINS[0]
    assert "Origin" in answer.headers["vary"]


def test_each_export_is_in_the_audit(keyed: Keyed, org: str) -> None:
    key_id, holder = keyed.key("ledger:read", workspaces=(org,))
    log(keyed.server, org, "a.b", "a.b", "a.b")

    bundles = [json.loads(exported(holder, org)), json.loads(exported(holder, org, from_seq=1, to_seq=1))]
    read(holder, "events/export", log=org, from_seq=9)

    entries = audited(keyed.server, org, "log.exported")
    assert [entry["detail"] for entry in entries] == [
        {"exportId": bundle["export_id"], "fromSeq": bundle["first_seq"], "toSeq": bundle["last_seq"]}
        for bundle in bundles
    ]
    assert {(entry["actor"], entry["log"]) for entry in entries} == {(key_id, org)}


@pytest.mark.parametrize("path", [*PATHS[:4], "audit", "consistency"])
def test_answers_carry_the_request_id(observed: Observed, org: str, path: str) -> None:
    given = read(observed.server, path, {"x-request-id": "mine-7"}, log=org)
    made = read(observed.server, path, log=org)

    assert given.headers["x-request-id"] == "mine-7"
    assert UUID(made.headers["x-request-id"])


def test_the_log_has_the_id_of_the_answer(observed: Observed) -> None:
    answer = read(observed.server, "events", limit=1)

    made = answer.headers["x-request-id"]
    lines = until(lambda: [line for line in observed.server.log.read_text().splitlines() if made in line])
    assert '"procedure": "ledger.entries"' in lines[0]


@pytest.mark.parametrize("path", ["", "nosuch", "events/nosuch", "events/export/nosuch"])
def test_what_is_not_there_is_not_found(observed: Observed, path: str) -> None:
    assert error_of(read(observed.server, path), 404)["code"] == "not_found"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_nothing_is_written_at_this_door(observed: Observed, method: str) -> None:
    answer = web.request(method, f"{observed.server.url}/ledger/v1/events", headers=observed.server.headers)

    assert error_of(answer, 405)["code"] == "method_not_allowed"


@pytest.mark.parametrize("size", [1, 2, 3, 255, 256, 257, 300])
def test_a_proof_shows_one_event_to_be_in_the_tree(observed: Observed, org: str, size: int) -> None:
    server = observed.server
    came = log(server, org, *["a.b"] * size)
    node = shown(server, "node")
    root = tree_root(observed, org)

    for seq in {0, size // 2, size - 1}:
        by_uuid = shown(server, f"events/{came[seq]['id']}/proof", log=org)
        by_hash = shown(server, f"events/{came[seq]['hash'].replace('sha256:', 'evt_')}/proof", log=org)

        assert noted(by_uuid["checkpoint"], node) == (size, root)
        proof = [b64decode(each) for each in by_uuid["proof"]]
        assert verify_inclusion(leaf(by_uuid["event"]), seq, size, proof, root)
        assert not verify_inclusion(leaf(by_uuid["event"]), seq, size, proof[:-1], root) or size == 1
        assert by_uuid["event"] == ledger_events(observed.database_url, org)[seq]
        assert (by_hash["event"], by_hash["proof"]) == (by_uuid["event"], by_uuid["proof"])


@pytest.mark.parametrize(
    "reference",
    ["x", "evt_00", f"evt_{'0' * 64}", "01938c1e-0000-7000-8000-000000000001", f"sha256:{'0' * 64}", "evt_" + "g" * 64],
)
def test_a_proof_of_what_is_not_there_is_not_found(observed: Observed, org: str, reference: str) -> None:
    log(observed.server, org, "a.b")

    error = error_of(read(observed.server, f"events/{reference}/proof", log=org), 404)

    assert (error["code"], error["field"]) == ("not_found", "event_id")


def test_an_event_of_another_log_has_no_proof_in_this_one(observed: Observed, keyed: Keyed, org: str) -> None:
    [event] = log(observed.server, keyed.workspace(), "a.b")

    for reference in (event["id"], event["hash"].replace("sha256:", "evt_")):
        assert error_of(read(observed.server, f"events/{reference}/proof", log=org), 404)["code"] == "not_found"


@pytest.mark.parametrize("sizes", [(0, 1), (1, 2), (3, 300), (256, 257), (255, 513)])
def test_a_checkpoint_that_was_kept_is_proved_to_be_the_beginning(
    observed: Observed, org: str, sizes: tuple[int, int]
) -> None:
    server, (old, new) = observed.server, sizes
    node = shown(server, "node")
    if old:
        log(server, org, *["a.b"] * old)
    old_size, old_root = noted(shown(server, "checkpoint", log=org), node)
    log(server, org, *["a.b"] * (new - old))

    answer = shown(server, "consistency", log=org, from_=old)

    new_size, new_root = noted(answer["checkpoint"], node)
    proof = [b64decode(each) for each in answer["proof"]]
    assert (answer["from_size"], answer["to_size"], old_size, new_size) == (old, new, old, new)
    assert (answer["keys"], answer["node_did"]) == (node["keys"], node["node_did"])
    assert new_root == tree_root(observed, org)
    assert verify_consistency(old, new, old_root, new_root, proof)
    assert old == 0 or not verify_consistency(old, new, bytes(32), new_root, proof)


def test_consistency_of_two_trees_of_the_past(observed: Observed, org: str) -> None:
    log(observed.server, org, *["a.b"] * 40)

    answer = shown(observed.server, "consistency", log=org, from_=7, to=23)

    assert set(answer) == {"from_size", "to_size", "proof", "keys", "node_did"}
    proof = [b64decode(each) for each in answer["proof"]]
    assert verify_consistency(7, 23, tree_root(observed, org, 7), tree_root(observed, org, 23), proof)
    assert shown(observed.server, "consistency", log=org, from_=23, to=23)["proof"] == []
    assert shown(observed.server, "consistency", log=org, from_=0, to=23)["proof"] == []


def test_the_checkpoint_of_a_log_without_events(observed: Observed, org: str) -> None:
    signed = shown(observed.server, "checkpoint", log=org)

    assert noted(signed, shown(observed.server, "node")) == (0, EMPTY_ROOT)


def test_node_shows_the_signing_keys(observed: Observed, org: str) -> None:
    log(observed.server, org, "a.b")

    node = shown(observed.server, "node", log=org)

    [event] = shown(observed.server, "events", log=org)["events"]
    assert set(node) == {"node_did", "kid", "public_identity", "origin", "keys"}
    assert (node["node_did"], node["kid"]) == (event["node"], event["kid"])
    assert node["keys"] == [{"kid": node["node_did"].removeprefix("did:key:")}]
    assert b64decode(node["public_identity"]) == public_key(node["kid"])
    assert shown(observed.server, "checkpoint", log=org)["origin"] == f"{node['origin']}/{org}"


@pytest.fixture(scope="module")
def alone(observed: Observed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    """A server of the same log with the ledger's own port, and the URL of that port."""
    data_dir = tmp_path_factory.mktemp("alone")
    for name in ("node.key", "install.secret", "control.token"):
        (data_dir / name).write_bytes((observed.server.log.parent / name).read_bytes())
        (data_dir / name).chmod(0o600)
    port = free_port()
    with serving(data_dir, database_url=observed.database_url, ledger_port=port) as server:
        url = f"http://127.0.0.1:{port}"
        until(lambda: _answers(f"{url}/readyz"))
        yield server, url


def _answers(url: str) -> bool:
    try:
        return web.get(url, timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def test_the_ledgers_own_port_serves_it_and_nothing_else(
    observed: Observed, alone: tuple[Server, str], org: str, tmp_path: Path
) -> None:
    server, url = alone
    log(observed.server, org, "a.b", "a.b")

    def get(path: str) -> httpx.Response:
        return web.get(f"{url}{path}", headers=server.headers, timeout=30)

    assert get(f"/v1/events?log={org}").json() == shown(server, "events", log=org)
    verified(get(f"/v1/events/export?log={org}").content, tmp_path)
    assert get("/readyz").status_code == 200
    for path in ("/trpc/events.list", "/ledger/v1/events", "/v1/events/subscriptions"):
        assert get(path).status_code == 404
    assert web.post(f"{url}/v1/events", headers=server.headers, json={}).status_code == 405
    assert urlsplit(url).port != urlsplit(server.url).port


def test_events_and_the_stream_take_the_one_filter(observed: Observed, org: str) -> None:
    log(observed.server, org, "a.b", "a.c", "a.d")
    asked = json.dumps({"type": {"in": ["a.b", "a.d"]}})

    found = read(observed.server, "events", log=org, filter=asked).json()

    assert ([event["seq"] for event in found["events"]], found["total"]) == ([0, 2], 2)
    for wrong, field in (('{"nosuch": 1}', "filter.nosuch"), ("{", "filter"), ("[]", "filter")):
        assert error_of(read(observed.server, "events", log=org, filter=wrong), 400)["field"] == field
