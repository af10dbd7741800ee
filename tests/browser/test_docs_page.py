"""The page that shows the API document: it loads only from its server, and can call what it shows."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.browser.page import DRIVER
from tests.kit.packages import install_packages
from tests.kit.servers import Server

LOOK = """
import { chromium } from 'playwright-core';
const [path, url, token, folder] = process.argv.slice(1);
const browser = await chromium.launch({ executablePath: path, chromiumSandbox: false, args: ['--disable-gpu'] });
const page = await browser.newPage({ viewport: { width: 1100, height: 1400 } });
page.setDefaultTimeout(20_000);
const problems = [], elsewhere = [], asked = [];
page.on('console', (message) => ['error', 'warning'].includes(message.type()) && problems.push(message.text()));
page.on('pageerror', (error) => problems.push(String(error)));
await page.route('**/*', (route) => {
  const { origin, pathname, protocol } = new URL(route.request().url());
  if (protocol === 'data:') return route.continue();
  if (origin !== new URL(url).origin) { elsewhere.push(route.request().url()); return route.abort(); }
  asked.push(pathname);
  return route.continue();
});
await page.goto(`${url}/docs`);
const operation = page.locator('#operations-publish-publishQuery');
await operation.waitFor();
await page.screenshot({ path: `${folder}/docs.png` });
const operations = await page.locator('.opblock').count();
await page.locator('.auth-wrapper .authorize').click();
const dialog = page.locator('.dialog-ux');
await dialog.locator('input').fill(token);
await dialog.locator('button.authorize').click();
await dialog.locator('button.btn-done').click();
await operation.getByRole('button').first().click();
await operation.getByRole('button', { name: 'Try it out' }).click();
await operation.getByRole('button', { name: 'Execute' }).click();
const live = operation.locator('.live-responses-table .response').first();
await live.waitFor();
await operation.screenshot({ path: `${folder}/docs-call.png` });
console.log(JSON.stringify({
  operations, problems, elsewhere, asked: [...new Set(asked)].sort(),
  status: (await live.locator('.response-col_status').innerText()).trim(),
  body: await live.locator('.response-col_description').innerText(),
}));
await browser.close();
"""


def test_the_page_shows_the_document_and_calls_the_server(chromium: str, server: Server, tmp_path: Path) -> None:
    event = {"type": "docs.looked", "source": "docs", "data": {"title": "Seen in the page"}}
    assert server.mutate("events.log", event | {"source": "api"}).status_code == 200

    seen = look(chromium, server, tmp_path)

    assert (seen["problems"], seen["elsewhere"]) == ([], [])
    assert seen["asked"] == [
        "/docs",
        "/docs/start.js",
        "/docs/swagger_bundle.js",
        "/docs/swagger_style.css",
        "/openapi.json",
        "/v1/events",
    ]
    assert seen["operations"] > 60
    assert seen["status"].startswith("200")
    assert "Seen in the page" in seen["body"]


def look(chromium: str, server: Server, folder: Path) -> dict[str, Any]:
    """Open the page, and return what it shows and what it requested."""
    install_packages(DRIVER)
    ran = subprocess.run(
        ["node", "--input-type=module", "-e", LOOK, chromium, server.url, server.token, str(folder)],
        cwd=DRIVER,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    if wanted := os.environ.get("SYNAP_SCREENSHOTS"):
        Path(wanted).mkdir(parents=True, exist_ok=True)
        for picture in folder.glob("*.png"):
            shutil.copy(picture, wanted)
    seen: dict[str, Any] = json.loads(ran.stdout)
    return seen
