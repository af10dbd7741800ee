"""The page of `clients/verify` in a real browser: it reads a file, and shows a verdict."""

import json
from pathlib import Path

import pytest
from msgspec import Struct

from tests.browser.page import Page
from tests.browser.site import serving_files
from tests.kit.bundles import build, write
from tests.kit.paths import ROOT
from tests.kit.receipts import VECTORS
from tests.kit.servers import until

CLIENT = ROOT / "clients" / "verify"

DROP = """
(text) => {
  const dataTransfer = new DataTransfer()
  dataTransfer.items.add(new File([text], 'export.json'))
  const drop = new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true, composed: true })
  document.querySelector('main').dispatchEvent(drop)
}
"""


class Seen(Struct, frozen=True):
    """What the page shows of a file: its verdict, the lists below it, and all of its text."""

    status: str
    notes: list[str]
    told: list[str]
    body: str
    problems: list[str]


@pytest.mark.parametrize("how", ["chosen", "dropped"])
def test_an_export_verifies(page: Page, tmp_path: Path, how: str) -> None:
    bundle = build(300, rotations=(5,))

    seen = look(page, tmp_path, write(bundle), how)

    assert seen.status == "Verified. 300 events of the log default: seq 0 to 299"
    assert bundle["node_did"] in seen.body
    assert (seen.notes, seen.problems) == ([], [])


def test_the_page_reports_what_is_broken(page: Page, tmp_path: Path) -> None:
    bundle = build(30)
    bundle["events"][17] |= {"payload": {"another": 1}}

    seen = look(page, tmp_path, write(bundle), "chosen")

    assert seen.status == "Broken. Seq 17: its body is not the one that was hashed"
    assert bundle["node_did"] not in seen.body
    assert seen.problems == []


def test_the_page_reports_breaks_and_unconfirmed_bodies(page: Page, tmp_path: Path) -> None:
    seen = look(page, tmp_path, write(build(30, rotations=(5,), lost=(0,), erased=(4,), last_seq=20)), "chosen")

    assert seen.status == (
        "Verified, except for what is listed below. 21 events of the log default: seq 0 to 20. "
        "Erased: 1 event, with any signatures of authors"
    )
    key, body = seen.notes
    assert "did not sign the rotation" in key
    assert body.startswith("The body of seq 4 is missing")


def test_the_page_explains_a_receipt_and_finds_another_amount(page: Page, tmp_path: Path) -> None:
    vector = json.loads(VECTORS.read_text())["a refund"]
    text = write(vector["receipt"])

    seen = look(page, tmp_path, text, "dropped")
    altered = look(page, tmp_path, text.replace(b'"amount":82000', b'"amount":820000'), "dropped")

    assert seen.status == "Verified. The receipt of 5 events of the log default"
    assert (seen.told, seen.notes, seen.problems) == (vector["sentences"], [], [])
    assert altered.status == "Broken. Seq 2: its body is not the one that was hashed"
    assert altered.told == []


def look(page: Page, folder: Path, export: bytes, how: str) -> Seen:
    """Open an export in the page, and return what it shows."""
    file = folder / "export.json"
    file.write_bytes(export)
    with serving_files(CLIENT) as site:
        page.open(f"{site.url}/index.html")
        if how == "chosen":
            page.whole.label("Choose an export, or drop it here").choose(file)
        else:
            page.evaluate(f"({DROP})({json.dumps(export.decode())})")
        until(lambda: page.state.startswith(("Verified", "Broken")))
    assert {line.split(" ")[1] for line in site.asked} == {"/index.html", "/verify.mjs"}
    return Seen(
        page.state,
        page.whole.role("list", "Exceptions").role("listitem").contents(),
        page.whole.role("list", "What it says").role("listitem").contents(),
        page.whole.css("main").content(),
        page.problems(),
    )
