"""A log and its JSON alone both show every alteration and its place."""

import asyncio
import base64
import copy
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from app.ledger.chain import header_bytes, leaf_hash, signed_text
from app.ledger.signer import Signer
from tests.acceptance.logs import draft, event_log
from tests.kit import hostile, paths
from tests.kit.checks import check_log, node, verdicts_on
from tests.kit.databases import require_one_postgresql

VECTORS = json.loads((paths.VECTORS / "evlog1.json").read_text())

Log = list[dict[str, Any]]
Case = tuple[str, int, Log]
"""A change of a log, the seq at which it is found, and the changed log."""

needs_node = pytest.mark.skipif(node() is None, reason="node not found: the script cannot run")

HOSTILE: list[dict[str, Any]] = [
    {"10": 1, "9": 2, "": 3, "\ufb33": 4, "\U0001f600": 5, "__proto__": {"constructor": []}, "\x00": "\u2028\x7f"},
    {"numbers": [0.1, 1e-7, 1e21, 5e-324, 1.7976931348623157e308, 333333333.3333333, 2**53 - 1, -(2**53) + 1]},
    {"n": 2},
    {},
]
"""Data for which writers of canonical JSON easily produce different text."""

ALTERATIONS = [
    ("data = '{\"n\":7}'", "the body was changed"),
    ("data = '{\"n\": 2}'", "data is not JCS"),
    ("user_id = 'user-2'", "the body was changed"),
    ("salt = substr(hash, 1, 16)", "the body was changed"),
    ("body_hash = hash", "the body was changed"),
    ("type = 'note.deleted'", "the hash was changed"),
    ("recorded_at = recorded_at + interval '1 microsecond'", "the hash was changed"),
    ("kid = 'z6MkiaMbhXHNA4eJVCCj8dbzKzTgYDKf6crKgHVHid1F1WCT'", "the hash was changed"),
    ("hash = body_hash", "the hash was changed"),
    ("prev_hash = body_hash", "the link is broken"),
    ("signature = salt || salt || salt || salt", "the signature is wrong"),
    ("seq = 9", "seq 3 is at place 2"),
]


@needs_node
def test_golden_log_verifies() -> None:
    assert verdicts_on(_golden(), []) == ["4 events verify", "0 events verify"]


@needs_node
def test_every_alteration_of_the_json_is_found_at_its_place() -> None:
    cases = [*_changed(), *_moved(), *_forged()]

    verdicts = verdicts_on(*(log for _, _, log in cases))

    found = [(case[0], verdict.split(":")[0]) for case, verdict in zip(cases, verdicts, strict=True)]
    assert found == [(name, f"seq {seq}") for name, seq, _ in cases]


@needs_node
def test_a_log_of_a_key_of_small_order_is_rejected() -> None:
    keys = [*hostile.NEUTRALS, *map(hostile.written, hostile.SMALL.values())]

    verdicts = verdicts_on(*(hostile.log_of(hostile.Forger(key)).events for key in keys))

    reason = "seq 0: kid is a key of small order, or not in canonical form"
    assert verdicts == [reason] * len(keys)


def test_every_alteration_of_the_database_is_found_at_its_place(database_url: str, data_dir: Path) -> None:
    require_one_postgresql("switching off the triggers of a table at one place")
    asyncio.run(_append_four(database_url, data_dir))
    assert [event["payload"] for event in check_log(database_url)] == HOSTILE

    for change, found in ALTERATIONS:
        with _altered(database_url, change), pytest.raises(AssertionError, match=found):
            check_log(database_url)

    check_log(database_url)


def _golden() -> Log:
    """The golden log: the key is rotated at seq 2, and the new key signs seq 3."""
    events = []
    for entry in VECTORS["entries"]:
        header = json.loads(entry["header_canonical"])
        del header["v"]
        context = copy.deepcopy(entry["body"])
        payload = context.pop("data")
        events.append(
            header
            | {"id": entry["ledger_id"], "event_id": header["id"], "hash": f"sha256:{entry['hash']}"}
            | {"signature": entry["signature"], "payload": payload, "context": context}
        )
    return events


def _changed() -> Iterator[Case]:
    """Each value of the golden log changed, each member renamed, members added."""
    for seq, event in enumerate(_golden()):
        for path in _paths(event):
            for kind in ("value", "name"):
                log = _golden()
                *way, last = path
                holder: Any = log[seq]
                for step in way:
                    holder = holder[step]
                if kind == "value":
                    holder[last] = _other(holder[last])
                elif isinstance(last, str):
                    holder[last + "x"] = holder.pop(last)
                else:
                    continue
                yield f"{kind} of {seq} {path}", seq, log
        for place in ("context", "payload"):
            log = _golden()
            log[seq][place]["more"] = None
            yield f"{place} of {seq} added to", seq, log
        log = _golden()
        log[seq]["context"]["data"] = {}
        yield f"context of {seq} has data", seq, log


def _moved() -> Iterator[Case]:
    """Events swapped, dropped and repeated. (Only a checkpoint shows that the last event is missing.)"""
    for seq in range(3):
        log = _golden()
        log[seq], log[seq + 1] = log[seq + 1], log[seq]
        yield f"{seq} swapped", seq, log
        log = _golden()
        del log[seq]
        yield f"{seq} dropped", seq, log
        log = _golden()
        log.insert(seq, copy.deepcopy(log[seq]))
        yield f"{seq} repeated", seq + 1, log


def _forged() -> Iterator[Case]:
    """Whole events that are replaced, and signed by keys that may not sign them."""
    old = Signer(bytes.fromhex(VECTORS["ed25519"]["secret_hex"]))
    new = Signer(bytes.fromhex(VECTORS["rotation"]["new_secret_hex"]))
    yield "3 signed by the old key", 3, _signed_anew(3, old)
    yield "1 signed by the new key", 1, _signed_anew(1, new)
    yield "3 signed by a stranger", 3, _signed_anew(3, Signer(bytes(32)))
    yield "0 signed by a stranger", 0, _signed_anew(0, Signer(bytes(32)))


def _signed_anew(seq: int, signer: Signer) -> Log:
    log = _golden()
    event = log[seq]
    event["kid"] = signer.kid
    hash_ = leaf_hash(
        header_bytes(
            node=event["node"],
            kid=signer.kid,
            log=event["log"],
            seq=seq,
            id=event["event_id"],
            type=event["type"],
            timestamp=event["timestamp"],
            prev_hash=bytes.fromhex(event["prev_hash"].removeprefix("sha256:")),
            body_hash=bytes.fromhex(event["body_hash"].removeprefix("sha256:")),
        )
    )
    event |= {"hash": f"sha256:{hash_.hex()}", "id": f"evt_{hash_.hex()}"}
    event["signature"] = base64.b64encode(signer.sign(signed_text(hash_))).decode()
    return log


def _paths(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The paths of all JSON values that contain no other values."""
    if isinstance(value, dict | list):
        for name, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _paths(item, (*path, name))
    else:
        yield path


def _other(value: Any) -> Any:
    if isinstance(value, str):
        return value[:-1] + ("b" if value.endswith("a") else "a")
    return 0 if value else 1


async def _append_four(database_url: str, data_dir: Path) -> None:
    async with event_log(database_url, data_dir) as log:
        for data in HOSTILE:
            await log.append("default", [draft(data)])


@contextmanager
def _altered(database_url: str, change: str) -> Iterator[None]:
    """Apply a `change` to event 2 during the block, with the triggers off."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("ALTER TABLE event DISABLE TRIGGER ALL")
        connection.execute("CREATE TEMPORARY TABLE kept AS SELECT * FROM event WHERE seq = 2")
        connection.execute(f"UPDATE event SET {change} WHERE seq = 2")
        try:
            yield
        finally:
            connection.execute("DELETE FROM event WHERE id = (SELECT id FROM kept)")
            connection.execute("INSERT INTO event SELECT * FROM kept")
