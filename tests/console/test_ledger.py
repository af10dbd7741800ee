"""The ledger: what the browser itself finds about checkpoints, proofs and exports."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.console.conftest import Console


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
