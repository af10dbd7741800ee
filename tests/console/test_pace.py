"""The console while the log grows fast. `CONSOLE_TAIL_SECONDS` says for how long; `make soak` takes a minute."""

import os
import threading
import time

from tests.console.conftest import Console
from tests.kit.servers import until

SECONDS = float(os.environ.get("CONSOLE_TAIL_SECONDS", "3"))
RATE = 500
PIECE = 50

FAST = {"x-workspace-id": "fast"}
"""The workspace of this test, because others look at the newest events."""

WATCH = """
window.waits = [];
document.addEventListener('keydown', () => {
  const pressed = performance.now();
  requestAnimationFrame(() => setTimeout(() => window.waits.push(performance.now() - pressed)));
}, true);
"""
"""How long the browser takes from a key to the frame that shows what it did."""


def test_keys_are_answered_while_the_tail_runs(console: Console) -> None:
    console.open("/fast/events?live=1", width=1280, height=800)
    console.whole.role("status").text("following").wait("attached")
    console.page.evaluate(WATCH)

    writer = threading.Thread(target=write, args=(console,))
    writer.start()
    pressed = 0
    while writer.is_alive():
        console.page.press("j" if pressed % 2 else "k")
        pressed += 1
        time.sleep(0.1)
    writer.join()
    rows = console.whole.role("table", "Events").role("row")
    until(lambda: "pace.kept" in rows.nth(1).content())
    until(lambda: console.page.evaluate("window.waits.length") == pressed)

    waits = sorted(console.page.evaluate("window.waits"))
    heap = console.page.evaluate("performance.memory.usedJSHeapSize") / 1_000_000
    median, slowest = waits[len(waits) // 2], waits[int(len(waits) * 0.95)]
    print(f"{pressed} keys: median {median:.0f} ms, 95 % {slowest:.0f} ms, {heap:.0f} MB")  # noqa: T201 - for who takes the time
    assert rows.count() <= 1001


def write(console: Console) -> None:
    """Log events at a rate, in batches as agents do."""
    start = time.monotonic()
    for piece in range(int(SECONDS * RATE / PIECE)):
        events = [{"type": "pace.kept", "data": {"place": piece * PIECE + place}} for place in range(PIECE)]
        assert console.server.mutate("events.logBatch", {"events": events}, **FAST).status_code == 200
        time.sleep(max(0.0, start + (piece + 1) * PIECE / RATE - time.monotonic()))
