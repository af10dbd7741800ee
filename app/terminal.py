"""What the command `synap` shows in a terminal: text that steers nothing, and a bar for what takes its time."""

import sys
import time

BAR_WIDTH = 30

DRAW_SECONDS = 0.2
"""Between two drawings of the bar."""


EXIT_INTERRUPTED = 130
"""What a shell gives a command that Ctrl-C ended."""


def escaped(text: str) -> str:
    """A stranger's text, whatever does not print as JSON escapes it: nothing of it steers the terminal."""
    return text if text.isprintable() else "".join(map(_escaped, text))


def _escaped(character: str) -> str:
    if character.isprintable():
        return character
    units = character.encode("utf-16-be", errors="surrogatepass")
    return "".join(f"\\u{units[place : place + 2].hex()}" for place in range(0, len(units), 2))


class Bar:
    """How far something is, how fast and how long it takes still, on standard error; nothing where that is no terminal.

    It moves by `weight`, such as the bytes of a file, and counts `things`, such as lines.
    """

    def __init__(self, things: str, total: int | None) -> None:
        """`total` is the weight of all; None where nobody knows."""
        self._things = things
        self._total = total
        self._started = self._drawn = time.monotonic()
        self._is_watched = sys.stderr.isatty()

    def show(self, weight: int, count: int) -> None:
        """Show what is done by now, unless that was done just before."""
        now = time.monotonic()
        if self._is_watched and now - self._drawn >= DRAW_SECONDS:
            self._drawn = now
            sys.stderr.write(f"\r\x1b[K{self.line(weight, count, now - self._started)}")
            sys.stderr.flush()

    def line(self, weight: int, count: int, seconds: float) -> str:
        """What is shown after so many seconds."""
        said = f"{count:,} {self._things}, {count / seconds:,.0f}/s"
        if not self._total:
            return said
        share = min(weight / self._total, 1)
        left = f", {seconds * (1 / share - 1):,.0f} s left" if share else ""
        return f"[{'#' * int(BAR_WIDTH * share):.<{BAR_WIDTH}}] {share:4.0%} {said}{left}"

    def end(self) -> None:
        """Take it away."""
        if self._is_watched:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
