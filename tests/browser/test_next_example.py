"""The Next example: the server lists notes, and the browser continues from that list without a gap."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.process import free_port
from tests.browser.page import Page
from tests.kit import web
from tests.kit.packages import install_client, npm
from tests.kit.paths import ROOT
from tests.kit.servers import Server, cloned, serving, until

EXAMPLE = ROOT / "examples" / "next"
KEY_SECONDS = 1


@pytest.mark.timeout(900)
def test_a_list_of_the_server_continues_live_in_the_browser(
    page: Page, postgres_url: str, template: str, tmp_path: Path, pictures: Path
) -> None:
    install_client(EXAMPLE)
    npm(EXAMPLE, "run", "check")
    origin = f"http://127.0.0.1:{free_port()}"
    with (
        cloned(postgres_url, template, "test_next") as database_url,
        serving(tmp_path / "data", database_url=database_url, cors_origins=origin) as server,
        _started(server, origin, tmp_path),
    ):
        texts = [f"note {number}" for number in range(30)]
        _log(server, *texts)
        answer = web.get(origin, timeout=60).text
        assert ">note 29</span>" in answer
        assert ">note 9</span>" not in answer, "a page has 20"
        assert server.token not in answer

        page.open(origin)
        until(lambda: page.state == "Live")
        assert page.notes == texts[:9:-1]
        page.click("Show older notes")
        until(lambda: page.notes == texts[::-1])
        page.fill("New note", "from the page")
        page.click("Log note")
        until(lambda: page.notes[0] == "from the page")
        until(lambda: sum(address.endswith("/key") for address in page.asked) > 2)
        _log(server, "after two keys")

        until(lambda: page.notes == ["after two keys", "from the page", *texts[::-1]])
        page.evaluate("scrollTo(0, 0)")
        page.screenshot(pictures / "next.png")
        assert [problem for problem in page.problems() if "401 (Unauthorized)" not in problem] == []
        assert not [address for address in page.asked if "sk_" in address]


@contextmanager
def _started(server: Server, origin: str, folder: Path) -> Iterator[None]:
    """Build and serve the page with Next."""
    given = {
        "NEXT_PUBLIC_SYNAP_URL": server.url,
        "NEXT_TELEMETRY_DISABLED": "1",
        "SYNAP_KEY_SECONDS": str(KEY_SECONDS),
        "SYNAP_TOKEN": server.token,
    }
    environment = os.environ | given
    command = ["node", "node_modules/next/dist/bin/next"]
    built = subprocess.run(
        [*command, "build"], cwd=EXAMPLE, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert built.returncode == 0, built.stdout + built.stderr
    log = folder / "next.log"
    port = origin.rpartition(":")[2]
    with log.open("wb") as output:
        start = [*command, "start", "--hostname", "127.0.0.1", "--port", port]
        process = subprocess.Popen(start, cwd=EXAMPLE, env=environment, stdout=output, stderr=output)
        try:
            until(lambda: process.poll() is not None or "Ready" in log.read_text())
            assert process.poll() is None, log.read_text()
            yield
        finally:
            process.terminate()
            process.wait(timeout=30)


def _log(server: Server, *texts: str) -> None:
    events = [{"type": "note.created", "data": {"text": text}} for text in texts]
    assert server.mutate("events.logBatch", {"events": events}).status_code == 200
