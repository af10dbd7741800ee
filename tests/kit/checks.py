"""Checks a whole log, as the ledger shows it, by our functions, and by an independent script if node is installed."""

import base64
import json
import os
import shutil
import subprocess
from collections import Counter
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
from psycopg.rows import dict_row

from app.ledger.canonical import canonical
from app.ledger.chain import (
    GENESIS,
    ROTATED_TYPE,
    Body,
    body_bytes,
    header_bytes,
    instant,
    leaf_hash,
    rotation_text,
    signed_text,
)
from app.ledger.signer import verify

SCRIPT = Path(__file__).with_name("verify_log.mjs")

ROWS = "SELECT event.*, node FROM event, install WHERE workspace_id = %s ORDER BY seq"

TIP = "SELECT seq, hash, recorded_at, event_tip.kid, node FROM event_tip, install WHERE workspace_id = %s"

COUNTS = "SELECT type, source, has_metadata, events FROM event_count WHERE workspace_id = %s"

PRODUCERS = "SELECT producer, events FROM producer_count WHERE workspace_id = %s"

ERASED = {
    "salt": b"",
    "user_id": "",
    "data": "{}",
    **dict.fromkeys(("subject_id", "producer", "metadata", "correlation_id", "causation_id")),
}
"""The body's columns after erasure."""

CONTEXT = ("subject_id", "producer", "correlation_id", "causation_id", "user_id", "source")


def check_log(database_url: str, workspace: str = "default") -> list[dict[str, Any]]:
    """Verify a whole log, and return its events as `ledger_events` does.

    It fails unless seqs run from 0 without gaps, times strictly increase, every hash, link and signature is correct and
    by the key in force, and the tip and the counters match the events. Every stored body is checked byte for byte.
    Nothing may be left of an erased body, and a later event must name it.
    """
    with psycopg.connect(database_url, row_factory=dict_row) as connection:
        # One snapshot, because servers may append meanwhile.
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        rows = connection.execute(ROWS, [workspace]).fetchall()
        tip = connection.execute(TIP, [workspace]).fetchone()
        counts = connection.execute(COUNTS, [workspace]).fetchall()
        producers = connection.execute(PRODUCERS, [workspace]).fetchall()
    previous, before = GENESIS, None
    for place, row in enumerate(rows):
        _check_row(row, place, previous)
        assert before is None or row["recorded_at"] > before, f"seq {place}: its time is not later than the one before"
        previous, before = row["hash"], row["recorded_at"]
    assert tip is not None, f"there is no workspace {workspace}"
    assert (tip["seq"], tip["hash"]) == (len(rows) - 1, previous), "the tip is not the last event"
    assert before is None or tip["recorded_at"] == before
    counted = Counter((row["type"], row["source"], row["metadata"] is not None) for row in rows)
    assert {(row["type"], row["source"], row["has_metadata"]): row["events"] for row in counts} == counted
    produced = Counter(row["producer"] or row["source"] for row in rows)
    assert {row["producer"]: row["events"] for row in producers} == produced
    _check_erasures(rows)
    has_break = _check_keys(rows, tip["node"], tip["kid"])
    events = [_shown(row) for row in rows]
    if node() is not None and not has_break:  # the script reports a lost key as a broken log
        assert verdicts_on(events) == [f"{len(events)} events verify"]
    return events


def ledger_events(database_url: str, workspace: str = "default") -> list[dict[str, Any]]:
    """The events of a log, oldest first, as the ledger shows them."""
    with psycopg.connect(database_url, row_factory=dict_row) as connection:
        return [_shown(row) for row in connection.execute(ROWS, [workspace])]


def node() -> str | None:
    """The command `node`; None if this machine has none, which fails in CI."""
    found = shutil.which("node")
    assert found or os.environ.get("CI") != "true", "node not found: the log cannot be verified by a stranger"
    return found


def verdicts_on(*logs: object) -> list[str]:
    """The verdict of `verify_log.mjs` on each log: `<n> events verify`, or the first bad seq and its fault."""
    command = [node() or "node", str(SCRIPT)]
    with TemporaryDirectory() as folder:
        for place, log in enumerate(logs):
            file = Path(folder, f"{place}.json")
            file.write_text(json.dumps(log))
            command.append(str(file))
        ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    verdicts = ran.stdout.splitlines()
    assert len(verdicts) == len(logs), ran.stderr
    assert (ran.returncode == 0) == all(verdict.endswith(" events verify") for verdict in verdicts)
    return verdicts


def _check_row(row: dict[str, Any], place: int, previous: bytes) -> None:
    assert row["seq"] == place, f"seq {row['seq']} is at place {place}"
    assert row["prev_hash"] == previous, f"seq {place}: the link is broken"
    for column in ("data", "metadata"):
        if row[column] is not None:
            assert canonical(row[column].encode(), column).decode() == row[column], f"seq {place}: {column} is not JCS"
    if row["erased"]:
        assert row | ERASED == row, f"seq {place}: something is left of what was erased"
        assert not row["type"].startswith("synap."), f"seq {place}: an event of the server's own was erased"
    else:
        body = body_bytes(Body(**{name: row[name] for name in Body.__struct_fields__}), row["salt"])
        assert sha256(body).digest() == row["body_hash"], f"seq {place}: the body was changed"
    header = header_bytes(
        node=row["node"],
        kid=row["kid"],
        log=row["workspace_id"],
        seq=place,
        id=str(row["id"]),
        type=row["type"],
        timestamp=instant(row["recorded_at"]),
        prev_hash=previous,
        body_hash=row["body_hash"],
    )
    assert leaf_hash(header) == row["hash"], f"seq {place}: the hash was changed"
    assert verify(row["kid"], signed_text(row["hash"]), row["signature"]), f"seq {place}: the signature is wrong"


def _check_keys(rows: list[dict[str, Any]], node: str, in_force_last: str) -> bool:
    """Check that the key in force signed each event, and both keys each rotation. Returns whether a key was lost."""
    in_force, has_break = node.removeprefix("did:key:"), False
    for row in rows:
        may_sign = {in_force}
        for rotation in json.loads(row["data"])["rotations"] if row["type"] == ROTATED_TYPE else ():
            kids = rotation["kid_old"], rotation["kid_new"]
            assert kids[0] == in_force, f"seq {row['seq']}: the replaced key was not in force"
            text = rotation_text(node, *kids, rotation["rotated_at"])
            for kid, name in zip(kids, ("signature_old", "signature_new"), strict=True):
                if name == "signature_old" and rotation[name] is None:
                    has_break = True
                else:
                    assert verify(kid, text, base64.b64decode(rotation[name])), f"seq {row['seq']}: {name} is wrong"
            in_force = kids[1]
        assert row["kid"] in may_sign | {in_force}, f"seq {row['seq']}: its key was not in force"
    assert in_force == in_force_last, "the tip does not have the key in force"
    return has_break


def _check_erasures(rows: list[dict[str, Any]]) -> None:
    """Check that each event without a body is named once, by a later event, and that no other event is named."""
    named = {
        (name["seq"], name["id"], name["hash"]): row["seq"]
        for row in rows
        if row["type"] == "synap.event.erased"
        for name in json.loads(row["data"])["erased"]
    }
    missing = {(row["seq"], str(row["id"]), _hash(row["hash"])) for row in rows if row["erased"]}
    assert named.keys() == missing, "the events without a body are not those that are named"
    assert all(seq < by for (seq, _, _), by in named.items()), "an event is named by an earlier one"


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """A row as the ledger shows it."""
    context = {_camel(name): row[name] for name in CONTEXT if row[name] is not None}
    context["salt"] = row["salt"].hex()
    if row["metadata"] is not None:
        context["metadata"] = json.loads(row["metadata"])
    if row["occurred_at"] is not None:
        context["occurredAt"] = instant(row["occurred_at"])
    return {
        "id": f"evt_{row['hash'].hex()}",
        "event_id": str(row["id"]),
        "type": row["type"],
        "timestamp": instant(row["recorded_at"]),
        "log": row["workspace_id"],
        "node": row["node"],
        "kid": row["kid"],
        "seq": row["seq"],
        "prev_hash": _hash(row["prev_hash"]),
        "body_hash": _hash(row["body_hash"]),
        "hash": _hash(row["hash"]),
        "signature": base64.b64encode(row["signature"]).decode(),
        "payload": json.loads(row["data"]),
        "context": {} if row["erased"] else context,
        **({"erased": True} if row["erased"] else {}),
    }


def _hash(raw: bytes) -> str:
    return f"sha256:{raw.hex()}"


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)
