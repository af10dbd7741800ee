"""The page of `clients/verify` in a real browser: it reads a file, and shows a verdict."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.browser.page import DRIVER
from tests.browser.site import serving_files
from tests.kit.bundles import build, write
from tests.kit.packages import install_packages
from tests.kit.paths import ROOT
from tests.kit.receipts import VECTORS

CLIENT = ROOT / "clients" / "verify"

LOOK = """
import { chromium } from 'playwright-core';
const [path, url, file, how] = process.argv.slice(1);
const browser = await chromium.launch({ executablePath: path, chromiumSandbox: false, args: ['--disable-gpu'] });
const page = await browser.newPage();
page.setDefaultTimeout(20_000);
const problems = [];
page.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
page.on('pageerror', (error) => problems.push(String(error)));
await page.goto(url);
if (how === 'chosen') {
  await page.getByLabel('Choose an export, or drop it here').setInputFiles(file);
} else {
  const { readFileSync } = await import('node:fs');
  const dropped = await page.evaluateHandle((text) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([text], 'export.json'));
    return transfer;
  }, readFileSync(file, 'utf8'));
  await page.dispatchEvent('main', 'drop', { dataTransfer: dropped });
}
await page.getByRole('status').filter({ hasText: /^(Verified|Broken)/ }).waitFor();
await page.screenshot({ path: `${file}.png` });
console.log(JSON.stringify({
  status: await page.getByRole('status').textContent(),
  notes: await page.getByRole('list', { name: 'Exceptions' }).getByRole('listitem').allTextContents(),
  told: await page.getByRole('list', { name: 'What it says' }).getByRole('listitem').allTextContents(),
  body: await page.locator('main').innerText(),
  problems,
}));
await browser.close();
"""


@pytest.mark.parametrize("how", ["chosen", "dropped"])
def test_an_export_verifies(chromium: str, tmp_path: Path, how: str) -> None:
    bundle = build(300, rotations=(5,))

    seen = look(chromium, tmp_path, write(bundle), how)

    assert seen["status"] == "Verified. 300 events of the log default: seq 0 to 299"
    assert bundle["node_did"] in seen["body"]
    assert (seen["notes"], seen["problems"]) == ([], [])


def test_the_page_reports_what_is_broken(chromium: str, tmp_path: Path) -> None:
    bundle = build(30)
    bundle["events"][17] |= {"payload": {"another": 1}}

    seen = look(chromium, tmp_path, write(bundle), "chosen")

    assert seen["status"] == "Broken. Seq 17: its body is not the one that was hashed"
    assert bundle["node_did"] not in seen["body"]
    assert seen["problems"] == []


def test_the_page_reports_breaks_and_unconfirmed_bodies(chromium: str, tmp_path: Path) -> None:
    seen = look(chromium, tmp_path, write(build(30, rotations=(5,), lost=(0,), erased=(4,), last_seq=20)), "chosen")

    assert seen["status"] == (
        "Verified, except for what is listed below. 21 events of the log default: seq 0 to 20. "
        "Erased: 1 event, with any signatures of authors"
    )
    key, body = seen["notes"]
    assert "did not sign the rotation" in key
    assert body.startswith("The body of seq 4 is missing")


def test_the_page_explains_a_receipt_and_finds_another_amount(chromium: str, tmp_path: Path) -> None:
    vector = json.loads(VECTORS.read_text())["a refund"]
    text = write(vector["receipt"])

    seen = look(chromium, tmp_path, text, "dropped")
    altered = look(chromium, tmp_path, text.replace(b'"amount":82000', b'"amount":820000'), "dropped")

    assert seen["status"] == "Verified. The receipt of 5 events of the log default"
    assert (seen["told"], seen["notes"], seen["problems"]) == (vector["sentences"], [], [])
    assert altered["status"] == "Broken. Seq 2: its body is not the one that was hashed"
    assert altered["told"] == []


def look(chromium: str, folder: Path, export: bytes, how: str) -> dict[str, Any]:
    """Open an export in the page, and return what it shows."""
    install_packages(DRIVER)
    file = folder / "export.json"
    file.write_bytes(export)
    with serving_files(CLIENT) as site:
        ran = subprocess.run(
            ["node", "--input-type=module", "-e", LOOK, chromium, f"{site.url}/index.html", str(file), how],
            cwd=DRIVER,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
    assert ran.returncode == 0, ran.stderr
    assert {line.split(" ")[1] for line in site.asked} == {"/index.html", "/verify.mjs"}
    seen: dict[str, Any] = json.loads(ran.stdout)
    return seen
