"""The React packages of tRPC in a browser: queries, lists by pages, mutations, and streams with their states."""

from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.browser.bundle import bundle_script
from tests.browser.page import Page
from tests.browser.site import Site
from tests.kit.servers import Server, until
from tests.kit.trpc import Trpc, typed_project

COMBINATIONS = {
    # What a page is written with, and how it streams: each package of each version, and each way with each package.
    ("newest", "tanstack"): "sse",
    ("newest", "hooks"): "ws",
    ("oldest", "tanstack"): "ws",
    ("oldest", "hooks"): "sse",
}
TITLES = [f"note {number}" for number in range(6)]


@pytest.mark.parametrize("script", ["tanstack", "hooks"])
def test_a_page_queries_walks_logs_and_follows(
    page: Page, trpc: Trpc, site: Site, web_server: Server, tmp_path: Path, script: str
) -> None:
    version = "oldest" if trpc.is_oldest else "newest"
    kind = f"adapters.{version}-{script}"
    bundle_script(typed_project(trpc, web_server.url, tmp_path), f"{script}.tsx", site.folder / kind)
    cursor = _middle(web_server, kind)
    transport = COMBINATIONS[version, script]
    given = {"url": web_server.url, "token": web_server.token, "type": kind, "cursor": cursor, "transport": transport}

    page.open(f"{site.url}/{kind}/#{urlencode(given)}")
    until(lambda: page.notes == ["note 3", "note 2"])
    page.click("Older")
    until(lambda: page.notes == ["note 3", "note 2", "note 1", "note 0"])
    page.click("Newer")
    until(lambda: page.notes == TITLES[::-1])
    assert (page.enabled("Older"), page.enabled("Newer")) == (False, False)
    until(lambda: page.text(".total") == ["6"])

    page.click("Log")
    until(lambda: page.alert == "invalid_event_type")
    assert page.text(".paths") == ["type"]
    page.fill("Title", "from the page")
    page.click("Log")
    until(lambda: page.text(".total") == ["7"])
    until(lambda: page.text("ol li") == [*TITLES, "from the page"])
    until(lambda: page.evaluate("states").count("pending") > 1)
    _log(web_server, kind, "under the next key")
    streamed = [*TITLES, "from the page", "under the next key"]
    until(lambda: page.text("ol li") == streamed)

    page.click("Follow from nowhere")
    until(lambda: page.state == "error")
    assert page.alert == "invalid_cursor"
    assert page.text("ol li") == streamed
    states = page.evaluate("states")
    assert states == [*["connecting", "pending"] * (len(states) // 2 - 1), "connecting", "error"]
    assert [problem for problem in page.problems() if "400 (Bad Request)" not in problem] == []


def _middle(server: Server, kind: str) -> str:
    """Log six events. Returns the place behind the newest two."""
    _log(server, kind, *TITLES)
    newest = server.query("events.page", {"type": kind, "limit": 2}).json()["result"]["data"]
    return str(newest["nextCursor"])


def _log(server: Server, kind: str, *titles: str) -> None:
    events = [{"type": kind, "data": {"title": title}} for title in titles]
    assert server.mutate("events.logBatch", {"events": events}).status_code == 200
