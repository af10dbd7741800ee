"""The React example: events are listed, filtered, logged and followed, each once, while its keys expire."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from msgspec import Struct

from benchmarks.process import free_port
from tests.browser.page import Page
from tests.kit.packages import install_client, npm
from tests.kit.paths import ROOT
from tests.kit.servers import Server, cloned, serving, until

EXAMPLE = ROOT / "examples" / "react"
KEY_SECONDS = 1
PAGE = 30


class Site(Struct, frozen=True):
    """The page, and the server that it calls."""

    url: str
    server: Server


@pytest.fixture(scope="module")
def react(
    chromium: str,  # noqa: ARG001 # without a browser nothing is installed
    postgres_url: str,
    template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    """The built page, served by its own command, which hands out keys."""
    install_client(EXAMPLE)
    folder = tmp_path_factory.mktemp("react")
    origin = f"http://127.0.0.1:{free_port()}"
    with (
        cloned(postgres_url, template, "test_react") as database_url,
        serving(folder / "data", database_url=database_url, cors_origins=origin) as server,
        _previewing(server, origin, folder),
    ):
        yield Site(origin, server)


@contextmanager
def _previewing(server: Server, origin: str, folder: Path) -> Iterator[None]:
    """`vite preview` of what `vite build` wrote."""
    given = {"SYNAP_URL": server.url, "SYNAP_TOKEN": server.token, "SYNAP_KEY_SECONDS": str(KEY_SECONDS)}
    vite = ["node", "node_modules/vite/bin/vite.js"]
    built = ["--outDir", str(folder / "dist")]
    run = {"cwd": EXAMPLE, "env": os.environ | given}
    subprocess.run([*vite, "build", *built], check=True, capture_output=True, timeout=240, **run)  # type: ignore[call-overload]
    with (folder / "preview.log").open("wb") as log:
        port = origin.rpartition(":")[2]
        preview = subprocess.Popen([*vite, "preview", *built, "--port", port], stdout=log, stderr=log, **run)  # type: ignore[call-overload]
        try:
            until(lambda: "Local" in (folder / "preview.log").read_text())
            yield
        finally:
            preview.terminate()
            preview.wait(timeout=30)


def test_an_event_is_logged_with_errors_at_its_fields(page: Page, react: Site, pictures: Path) -> None:
    page.open(react.url)
    until(lambda: page.state == "Live")
    page.fill("Event type", "wrong")
    page.fill("Title", "Call John")
    page.fill("Confidence", "7")
    page.click("Log event")
    until(lambda: page.text(".error")[0].startswith("Event type must follow dot notation"))
    assert page.text(".error")[3:] == [
        "must have 1 to 256 characters, none of them U+0000",
        "must be a number from 0 to 1",
    ]
    assert page.notes == []
    page.screenshot(pictures / "react-errors.png", width=900, height=900)

    page.fill("Event type", "task.created")
    page.fill("Agent", "orchestrator")
    page.fill("Confidence", "0,92")
    page.click("Log event")

    until(lambda: page.notes == ["Call John"])
    until(lambda: page.value("Title") == "")
    assert page.text(".error") == [""] * 5
    page.screenshot(pictures / "react.png", width=900, height=900)
    [event] = react.server.query("events.list").json()["result"]["data"]
    assert event["metadata"] == {"ai": {"agent": "orchestrator", "confidence": {"score": 0.92}}}


def test_an_event_whose_answer_is_lost_is_shown_at_once_and_logged_once(page: Page, react: Site) -> None:
    page.open(react.url, unanswered_once=["**/events.log?*"])
    until(lambda: page.state == "Live")
    before = page.notes

    page.fill("Title", "said twice")
    page.click("Log event")

    until(lambda: page.notes == ["said twice", *before])
    until(lambda: page.value("Title") == "")
    assert page.notes == ["said twice", *before]
    assert page.text("li[data-pending]") == []
    events = react.server.query("events.list").json()["result"]["data"]
    assert [event["data"]["title"] for event in events].count("said twice") == 1


def test_a_list_is_filtered_and_goes_on_as_it_is_scrolled(page: Page, react: Site) -> None:
    titles = [f"order {number}" for number in range(3 * PAGE)]
    _log(react.server, "order.placed", *titles)
    _log(react.server, "other.placed", "not an order")
    page.open(react.url)
    until(lambda: page.notes[:1] == ["not an order"])

    page.fill("Show types", "order.*")

    until(lambda: page.notes[:PAGE] == titles[::-1][:PAGE])
    until(lambda: page.evaluate("scrollTo(0, document.body.scrollHeight)") or page.notes == titles[::-1])
    page.fill("Show subject", "nothing")
    until(lambda: page.notes == [])
    assert _problems(page) == []


def test_the_list_stays_live_while_its_keys_end(page: Page, react: Site) -> None:
    page.open(react.url)
    until(lambda: page.state == "Live")
    page.fill("Show types", "live.*")
    until(lambda: page.state == "Live" and page.notes == [])
    logged: list[str] = []

    def keys() -> int:
        return int(page.text(".keys")[0].split()[0])

    while keys() < 4:
        before = keys()
        logged.insert(0, f"under key {before}")
        _log(react.server, "live.logged", logged[0])
        until(lambda: page.notes == logged)
        until(lambda: keys() > before)  # noqa: B023

    assert page.notes == logged
    assert _problems(page) == []


@pytest.mark.usefixtures("react")
def test_the_page_compiles_against_the_contract() -> None:
    npm(EXAMPLE, "run", "check")


def _problems(page: Page) -> list[str]:
    """The page's problems, without the browser's message for each call with an expired key."""
    return [problem for problem in page.problems() if "401 (Unauthorized)" not in problem]


def _log(server: Server, kind: str, *titles: str) -> None:
    events = [{"type": kind, "data": {"title": title}} for title in titles]
    assert server.mutate("events.logBatch", {"events": events}).status_code == 200
