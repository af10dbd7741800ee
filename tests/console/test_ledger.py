"""The ledger: what the browser itself finds about checkpoints, proofs and exports."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tests.console.conftest import Console
from tests.kit import web


def answer(console: Console, name: str, value: object = None) -> dict[str, Any]:
    """What a query answers."""
    return dict(console.server.query(name, value).json()["result"]["data"])


@pytest.mark.parametrize(("change", "said"), [(0, "verified"), (1, "not verified")], ids=["kept", "altered"])
def test_a_kept_checkpoint_is_compared_with_the_log(console: Console, change: int, said: str) -> None:
    note = str(answer(console, "ledger.checkpoint")["note"])
    lines = note.split("\n")
    lines[2] = lines[2] if not change else "A" * 43 + "="
    console.server.mutate("events.log", {"type": "note.created", "data": {}})
    console.open("/default/ledger")
    console.whole.label("A checkpoint that you kept").fill("\n".join(lines))
    console.whole.role("button", "Compare").click()

    console.whole.text(f"A checkpoint that you kept: {said}").wait()


def test_an_event_is_proved_and_the_ledger_looks_fine(console: Console) -> None:
    newest = answer(console, "events.page", {"limit": 1})["events"][0]
    console.open("/default/ledger")
    console.whole.label("Id of the event").fill(newest["id"])
    console.whole.role("button", "Prove it").click()
    console.whole.text("Prove an event: verified").wait()

    console.looks_fine("ledger", height=1100)
    console.looks_fine("ledger-narrow", width=360)


@pytest.mark.parametrize("altered", [False, True], ids=["kept", "altered"])
def test_two_kept_checkpoints_are_compared(console: Console, *, altered: bool) -> None:
    first = str(answer(console, "ledger.checkpoint")["note"])
    console.server.mutate("events.log", {"type": "note.created", "data": {}})
    second = str(answer(console, "ledger.checkpoint")["note"])
    console.server.mutate("events.log", {"type": "note.created", "data": {}})
    lines = second.split("\n")
    lines[2] = "A" * 43 + "=" if altered else lines[2]
    console.open("/default/ledger")
    console.whole.label("A checkpoint that you kept").fill(first)
    console.whole.label("Another one").fill("\n".join(lines))
    console.whole.role("button", "Compare").click()

    console.whole.text("A checkpoint that you kept: verified").wait()
    console.whole.text(f"Another one: {'not ' * altered}verified").wait()


def test_the_keys_that_signed_are_shown_newest_first(console: Console) -> None:
    node = answer(console, "ledger.node")
    console.open("/default/ledger")
    rows = console.whole.role("table", "Signing keys").role("row")
    rows.nth(1).wait()

    assert len(node["keys"]) == 2
    assert node["kid"][-16:] in rows.nth(1).content()
    assert "the key before it, and itself" in rows.nth(1).content()
    assert "the beginning" in rows.nth(2).content()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [("", "", "verified"), ('"number":1111,', '"number":1112,', "not verified")],
    ids=["fine", "one digit"],
)
def test_an_export_of_the_whole_log_is_verified_in_the_browser(
    console: Console, tmp_path: Path, old: str, new: str, said: str
) -> None:
    exported = web.get(
        f"{console.server.url}/ledger/v1/events/export", headers=console.server.headers, timeout=300
    ).text
    file = tmp_path / "export.json.gz"
    assert exported.count(old or '"number":1111,') >= 1
    file.write_bytes(gzip.compress(exported.replace(old, new).encode()))
    console.open("/default/ledger")
    console.whole.label("File").choose(file)

    verdict = console.whole.text(f"export.json.gz: {said}")
    verdict.wait(timeout=300_000)
    notice = console.whole.role("region", "Verify a file").role("alert" if old else "status").content()
    assert ("body is not the one that was hashed" in notice) if old else ("Every hash, link and signature of" in notice)


@pytest.mark.parametrize(("altered", "said"), [(False, "verified"), (True, "not verified")], ids=["fine", "altered"])
def test_a_file_is_verified_in_the_browser(console: Console, tmp_path: Path, *, altered: bool, said: str) -> None:
    newest = answer(console, "events.page", {"limit": 1})["events"][0]
    proof = answer(console, "ledger.proof", {"eventId": newest["id"]})
    if altered:
        proof["event"]["payload"] = {"other": 1}
    file = tmp_path / "proof.json"
    file.write_text(json.dumps(proof))
    console.open("/default/ledger")
    console.whole.label("File").choose(file)

    console.whole.text(f"proof.json: {said}").wait()
    console.looks_fine(f"ledger-{altered}")
