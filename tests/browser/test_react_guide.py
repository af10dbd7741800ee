"""The guide to React, followed from an empty folder, leads to a live list on the screen.

`make soak` runs its commands unchanged, which install the newest packages. Otherwise the test uses the packages of the
example.
"""

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from benchmarks.process import free_port
from tests.browser.page import Page
from tests.kit import web
from tests.kit.examples import ALL
from tests.kit.packages import install_client
from tests.kit.packages import run as _run
from tests.kit.paths import ROOT
from tests.kit.servers import cloned, serving, until

GUIDE = (ROOT / "docs" / "guides" / "react.md").read_text()
FILES = re.compile(r"^```tsx?\n// (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INSTALL, START = re.findall(r"^```sh\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
EXAMPLE = ROOT / "examples" / "react"
HTML = '<!doctype html><title>Notes</title><div id="root"></div><script type="module" src="/src/main.tsx"></script>'


@pytest.mark.timeout(900)
def test_the_guide_leads_to_a_live_list(page: Page, postgres_url: str, template: str, tmp_path: Path) -> None:
    port = free_port()
    origin = f"http://localhost:{port}"
    with (
        cloned(postgres_url, template, "test_react_guide") as database_url,
        serving(tmp_path / "data", database_url=database_url, cors_origins=origin) as server,
    ):
        project = _made(tmp_path, server.url)
        log = tmp_path / "vite.log"
        # The command of `npm run dev`, without npm, so that the signal that ends it reaches it.
        command = ["node", "node_modules/vite/bin/vite.js", "--port", str(port), "--strictPort"]
        assert START == "npm run dev\n"
        with log.open("wb") as output:
            environment = {**os.environ, "NO_COLOR": "1"}  # colours would split the text that the test looks for
            vite = subprocess.Popen(command, cwd=project, env=environment, stdout=output, stderr=output)
        try:
            until(lambda: vite.poll() is not None or "Local:" in log.read_text())
            page.open(origin)
            until(lambda: page.state == "live")
            page.fill("Note", "Buy oranges")
            page.click("Log note")
            until(lambda: page.alert.startswith("must have 1 to 256 characters"))
            page.fill("About", "shopping")
            page.click("Log note")
            until(lambda: page.text("li") == ["Buy oranges"])
            event = {"type": "note.created", "data": {"text": "Call John"}}
            assert server.mutate("events.log", event).status_code == 200

            until(lambda: page.text("li") == ["Call John", "Buy oranges"])
        finally:
            vite.send_signal(signal.SIGINT)
            vite.wait(timeout=30)


def _made(folder: Path, url: str) -> Path:
    """The project of a reader who has followed the guide, in a folder like that of the checkout."""
    project = folder / "notes"
    if ALL:
        (folder / "clients").symlink_to(ROOT / "clients")
        _run(folder, "bash", "-c", "set -euo pipefail\n" + INSTALL.replace("http://127.0.0.1:8000", url))
    else:
        install_client(EXAMPLE)
        (project / "src").mkdir(parents=True)
        (project / "index.html").write_text(HTML)
        (project / "package.json").write_text('{"type": "module"}')
        (project / "tsconfig.json").write_text((EXAMPLE / "tsconfig.json").read_text())
        (project / "node_modules").symlink_to(EXAMPLE / "node_modules")
        (project / "src" / "contract.ts").write_text(web.get(f"{url}/trpc/contract.ts").text)
    for name, text in FILES.findall(GUIDE):
        (project / name).write_text(text.replace("http://127.0.0.1:8000", url))
    _run(project, "node", "node_modules/typescript/bin/tsc", *(["-b"] if ALL else []))
    return project
