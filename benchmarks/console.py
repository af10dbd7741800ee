"""How soon the console shows a large log: from the start of a page to rows and to the histogram, in Chromium.

`synap import` fills the log. Each opening is in a browser that knows nothing yet, or is a reload.
"""

import argparse
import json
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from urllib.parse import quote

from msgspec import Struct

from benchmarks import database, machine
from benchmarks.contestants import our_process
from benchmarks.errors import BenchmarkError
from benchmarks.filling import WORKSPACE, check_disk, fill
from tests.browser.page import Page, driving

AIM_SECONDS = 1.0
"""Within this time a person should see rows."""

VIEWS: dict[str, dict[str, object]] = {
    "newest": {},
    "a common type": {"type": "entity.created"},
    "a rare type": {"type": "entity.deleted"},
    "an agent": {"metadata.ai.agent": "reviewer"},
}
"""The filter of each view."""

SEEN = """
new Promise((done) => {{
  const look = () => {{
    if (document.querySelectorAll('{0}').length > 0) requestAnimationFrame(() => done(performance.now() / 1000))
    else if (performance.now() > 60000) done(-1)
    else setTimeout(look, 2)
  }}
  look()
}})
"""
"""Seconds from the start of the page to the frame that shows such parts; -1 if there are none after a minute."""

ROWS, BARS = ".events-table tbody tr", ".bar-count"


class Opening(Struct, frozen=True):
    """The seconds to the first rows and to the histogram."""

    rows: float
    bars: float

    @classmethod
    def of(cls, page: Page) -> "Opening":
        """Wait until the page that was opened shows both. Raises BenchmarkError if it does not."""
        rows, bars = (float(page.evaluate(SEEN.format(part))) for part in (ROWS, BARS))
        if min(rows, bars) < 0:
            raise BenchmarkError(f"The console showed no rows or no histogram within a minute: {page.problems()}")
        return cls(rows, bars)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `console`."""
    parser.add_argument("--events", type=int, default=1_000_000, help="of the log (%(default)s)")
    parser.add_argument("--rounds", type=int, default=7, help="openings of each view (%(default)s)")


def run(arguments: argparse.Namespace) -> None:
    """Measure and print a table. Raises BenchmarkError if a page does not show what it should."""
    chromium = machine.program("chromium")
    check_disk(arguments.events)
    with ExitStack() as stack:
        workspace = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        cluster = stack.enter_context(database.cluster())
        cluster.create_database("console")
        server = stack.enter_context(our_process(cluster, workspace, "console"))
        fill(cluster, "console", workspace / "synap-console", arguments.events)
        cluster.settle(["console"])
        page = stack.enter_context(driving(chromium))
        sign_in = f"{server.url}/console#token={server.token}"
        print(", ".join(f"{name} {value}" for name, value in {**machine.facts(), **cluster.facts()}.items()))
        print(f"{arguments.events:,} events; seconds to the first rows (aim {AIM_SECONDS:g}) and to the histogram:")
        print(_line("first visit", _measured(arguments.rounds, page, lambda: page.open(sign_in))))
        for name, wanted in VIEWS.items():
            place = f"#/{WORKSPACE}/events?filter={quote(json.dumps(wanted))}"
            page.goto(f"{server.url}/console{place}")
            print(_line(name, _measured(arguments.rounds, page, page.reload)))


def _measured(rounds: int, page: Page, begin: Callable[[], None]) -> list[Opening]:
    openings: list[Opening] = []
    for _ in range(rounds):
        begin()
        openings.append(Opening.of(page))
    return openings


def _line(name: str, openings: list[Opening]) -> str:
    rows, bars = [each.rows for each in openings], [each.bars for each in openings]
    within = "" if median(rows) < AIM_SECONDS else "  over the aim"
    return (
        f"{name:16} rows {median(rows):6.2f} (slowest {max(rows):5.2f})   "
        f"histogram {median(bars):6.2f} (slowest {max(bars):5.2f}){within}"
    )
