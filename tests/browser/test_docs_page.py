"""The page that shows the API document: it loads only from its server, and can call what it shows."""

from pathlib import Path
from urllib.parse import urlsplit

from tests.browser.page import Page
from tests.browser.spot import Spot
from tests.kit.servers import Server, until

MILLISECONDS = 60_000
"""How long the page may take to show its sixty operations."""


def test_the_page_shows_the_document_and_calls_the_server(page: Page, server: Server, pictures: Path) -> None:
    event = {"type": "docs.looked", "source": "api", "data": {"title": "Seen in the page"}}
    assert server.mutate("events.log", event).status_code == 200

    page.open(f"{server.url}/docs", width=1100, height=1400)
    operation = page.whole.css("#operations-publish-publishQuery")
    operation.wait(timeout=MILLISECONDS)
    page.screenshot(pictures / "docs.png", width=1100, height=1400)
    operations = page.whole.css(".opblock").count()
    _authorise(page.whole, server.token)
    operation.role("button").nth(0).click()
    operation.role("button", "Try it out").click()
    operation.role("button", "Execute").click()
    answer = operation.css(".live-responses-table .response").nth(0)
    until(lambda: answer.css(".response-col_status").content().strip().startswith("200"))
    page.screenshot(pictures / "docs-call.png", width=1100, height=1400)

    assert "Seen in the page" in answer.css(".response-col_description").content()
    assert operations > 60
    assert (page.problems(), page.warnings()) == ([], [])
    asked = {urlsplit(address)._replace(query="").geturl() for address in page.asked if not address.startswith("data:")}
    assert asked == {
        f"{server.url}{path}"
        for path in (
            "/docs",
            "/docs/start.js",
            "/docs/swagger_bundle.js",
            "/docs/swagger_style.css",
            "/openapi.json",
            "/v1/events",
        )
    }


def _authorise(whole: Spot, token: str) -> None:
    """Tell the page the token that it calls with."""
    whole.css(".auth-wrapper .authorize").click()
    dialog = whole.css(".dialog-ux")
    dialog.css("input").fill(token)
    dialog.css("button.authorize").click()
    dialog.css("button.btn-done").click()
