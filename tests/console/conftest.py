"""A server with a log in it, and the console of that server in a browser."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from msgspec import Struct

from tests.browser.conftest import chromium, page
from tests.browser.page import Page
from tests.browser.spot import Spot
from tests.console import seed
from tests.kit.command import synap
from tests.kit.paths import ROOT
from tests.kit.servers import Server, cloned, environment, serving

EVENTS = int(os.environ.get("CONSOLE_EVENTS", "1200"))
"""How many events the log has: more than a table keeps. `make soak` takes 200,000."""

WEBHOOKS = {
    "webhook_allow_http": "true",
    "webhook_allow_networks": "127.0.0.0/8",
    "webhook_schedule": "0,3600",
}
"""Webhooks may call receivers of tests. What fails is tried again in an hour."""

EXTENSIONS = (ROOT / "examples" / "review.py", Path(__file__).parent / "typed.py")
"""A developer's own kind of metadata, and data of an event type."""

__all__ = ["chromium", "page"]


RENDERED = "new Promise((done) => requestAnimationFrame(() => setTimeout(done)))"
"""Waits until the page has drawn what it was told before."""


class Console(Struct, frozen=True):
    """The console of a server, and the page that shows it."""

    server: Server
    page: Page
    pictures: Path | None

    @property
    def whole(self) -> Spot:
        """Where to look for parts of the page."""
        return self.page.whole

    def open(self, place: str = "", *, token: str | None = None, base: str | None = None, **options: Any) -> None:
        """Show a place such as `/default/events` to a person who is signed in, in a browser that knows nothing else.

        Without a place, the person signs in with a link, and sees the first screen. `base` is the address of the
        server, if it is another one behind a proxy.
        """
        base, token = base or self.server.url, token or self.server.token
        if place:
            kept = json.dumps({"token": token, "temporary": False})
            session = {f"synap:{urlsplit(base).path}/console": kept}
            self.page.open(f"{base}/console#{place}", session=session, **options)
        else:
            self.page.open(f"{base}/console#token={token}", **options)
        self.whole.role("banner").wait()
        self.page.evaluate(RENDERED)

    def go(self, place: str) -> None:
        """Go to a place by its address."""
        self.page.goto(f"{self.server.url}/console#{place}")

    def looks_fine(self, name: str, *, width: int = 1280, height: int = 800) -> None:
        """Nothing is wrong with the page in either theme; pictures of it go where `SYNAP_SCREENSHOTS` says.

        The themes are the same document in other colours, so the second one is checked only for these.
        """
        found = {}
        for scheme in ("light", "dark"):
            self.page.show(width=width, height=height, scheme=scheme)
            if self.pictures is not None:
                self.page.picture(self.pictures / f"{name}-{scheme}.png")
            found[scheme] = self.page.violations(of_colours=scheme == "dark")
        assert found == {"light": [], "dark": []}
        assert self.page.problems() == []


@pytest.fixture(scope="package")
def console_server(
    chromium: str,  # noqa: ARG001 # without a browser nothing is started
    postgres_url: str,
    template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Server]:
    """A server whose log has `EVENTS` events, the first of which records a new signing key. Tests only add to it.

    It knows what a developer registered. The workspace `fast` is for a test that logs thousands of events.
    """
    folder = tmp_path_factory.mktemp("console")
    for extension in EXTENSIONS:
        shutil.copy(extension, folder)
    extensions = ",".join(extension.stem for extension in EXTENSIONS)
    settings = {**WEBHOOKS, "extensions": extensions}
    with cloned(postgres_url, template, "test_console") as url, serving(folder, database_url=url, **settings) as server:
        file = seed.write(folder / "events.ndjson", EVENTS)
        for command in (["node", "rotate-key"], ["import", str(file)], ["workspaces", "create", "fast"]):
            variables = environment(folder, database_url=url, extensions=extensions)
            ran = synap(*command, env=variables, cwd=folder)
            assert ran.returncode == 0, ran.stderr
        yield server


@pytest.fixture
def console(console_server: Server, page: Page) -> Iterator[Console]:
    """The console. At its end nothing may stand on the browser's console, reports of the policy included."""
    pictures = os.environ.get("SYNAP_SCREENSHOTS")
    yield Console(console_server, page, Path(pictures) if pictures else None)
    assert page.problems() == []
