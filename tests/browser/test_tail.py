"""The npm package in a browser: its tail gets each event once and in order, while servers are killed and keys expire.

TAIL_EVENTS sets the number of events; with 10,000 or more, the server is killed five times and keys are renewed twenty
times (`make soak`).
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlencode

import pytest

from benchmarks.process import free_port
from tests.acceptance.processes import kill
from tests.browser.bundle import bundle
from tests.browser.page import Page
from tests.browser.site import serving_files
from tests.kit.servers import Server, cloned, serving, until

EVENTS = int(os.environ.get("TAIL_EVENTS", "1000"))
KILLS, RENEWALS = (5, 20) if EVENTS >= 10_000 else (2, 3)

BATCH = 20
KEY = {"scopes": ["events:read"], "expiresInSeconds": 1}
"""A short-lived key. A stream outlives its key by the seconds between two checks of the keys of open streams."""


@pytest.mark.timeout(900)
@pytest.mark.parametrize("transport", ["sse", "ws"])
def test_a_tail_gets_each_event_once_and_in_order_whatever_ends(
    page: Page, postgres_url: str, template: str, tmp_path: Path, transport: str
) -> None:
    port, keys = free_port(), _Keys()
    bundle("tail", tmp_path / "site")
    with ExitStack() as stack:
        site = stack.enter_context(serving_files(tmp_path / "site", {"/key": keys.issue}))
        url = stack.enter_context(cloned(postgres_url, template, f"test_tail_{transport}"))
        settings = {"database_url": url, "cors_origins": site.url}
        writer = keys.server = stack.enter_context(serving(tmp_path / "data", **settings))
        dying = stack.enter_context(serving(tmp_path / "data", port=port, **settings))
        page.open(f"{site.url}/#{urlencode({'url': dying.url, 'transport': transport})}")
        written = stack.enter_context(_writing(writer, lambda: keys.issued > RENEWALS))
        for killed in range(1, KILLS + 1):
            until(lambda: len(_seen(page)) >= EVENTS * killed // (KILLS + 2), seconds=240)  # noqa: B023
            kill(dying)
            dying = stack.enter_context(serving(tmp_path / "data", port=port, **settings))
        written.wait(timeout=400)
        until(lambda: len(_seen(page)) >= _logged(writer), seconds=120)

        assert _seen(page) == list(range(_logged(writer)))
        assert len(_seen(page)) >= EVENTS
        assert keys.issued > RENEWALS
        states = page.evaluate("states")
        assert states[0] == "connecting"
        assert states[-1] == "live"
        assert not [state for state in states if state.startswith("refused")]
        assert page.asked
        assert not [address for address in page.asked if "sk_" in address]


class _Keys:
    """Hands out keys that expire soon."""

    def __init__(self) -> None:
        self.server: Server | None = None
        self.issued = 0

    def issue(self) -> str:
        """Issue a new key."""
        assert self.server is not None
        answer = self.server.mutate("keys.create", KEY).json()
        self.issued += 1
        return str(answer["result"]["data"]["token"])


@contextmanager
def _writing(server: Server, enough: Callable[[], bool]) -> Iterator[threading.Event]:
    """Log numbered events until there are EVENTS of them and `enough` is true. Yields an Event that is set then."""
    done, left = threading.Event(), threading.Event()

    def work() -> None:
        number = 0
        while not left.is_set() and (number < EVENTS or not enough()):
            events = [{"type": "tail.logged", "data": {"number": number + each}} for each in range(BATCH)]
            assert server.mutate("events.logBatch", {"events": events}).status_code == 200
            number += BATCH
            left.wait(0.1)
        done.set()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield done
    finally:
        left.set()
        thread.join()


def _logged(server: Server) -> int:
    return int(server.query("events.page", {"type": "tail.*", "limit": 1}).json()["result"]["data"]["total"])


def _seen(page: Page) -> list[int]:
    return list(page.evaluate("seen"))
