"""What the command `synap` shows in a terminal: text that steers nothing, and a bar for what takes its time."""

import time
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from app.signals import stop

EXIT_UNREAD = 130
"""The exit code of a command whose reader has gone."""


def escaped(text: str) -> str:
    """A stranger's text, whatever does not print as JSON escapes it: nothing of it steers the terminal."""
    return text if text.isprintable() else "".join(map(_escaped, text))


def without_secrets(url: str) -> str:
    """A URL for a person, without the parts that may hold a token or a password."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "The URL"
    host = parts.netloc.rpartition("@")[2]
    return escaped(parts._replace(netloc=host, query="", fragment="").geturl())


def _escaped(character: str) -> str:
    if character.isprintable():
        return character
    units = character.encode("utf-16-be", errors="surrogatepass")
    return "".join(f"\\u{units[place : place + 2].hex()}" for place in range(0, len(units), 2))


def _clear() -> None:
    """Take a bar away and show the cursor, where the bar itself cannot do it any more."""
    with suppress(OSError), Path("/dev/tty").open("wb", buffering=0) as terminal:
        terminal.write(b"\r\x1b[2K\x1b[?25h")


class Bar:
    """How far something is, how fast and how long it takes still, on standard error; nothing where that is no terminal.

    It moves by `weight`, such as the bytes of a file, and counts `things`, such as lines. It is there inside its block.
    """

    def __init__(self, things: str, total: float | None = None) -> None:
        """`total` is the weight of all; None where nobody knows."""
        self._things = things
        self._shown = ExitStack()
        self._started = time.monotonic()
        console = Console(stderr=True)
        self._progress = Progress(
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.description}"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._progress.add_task("", total=total)

    def __enter__(self) -> Self:
        """Draw it, from now on."""
        if not self._progress.disable:
            self._shown.enter_context(stop.before_end(_clear))
        self._progress.start()
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        """Take it away."""
        self._progress.stop()
        self._shown.close()

    def show(self, weight: float, count: int, total: float | None = None) -> None:
        """So much is done by now; `total` where it is known only now."""
        speed = count / max(time.monotonic() - self._started, 1e-6)
        said = f"{count:,} {self._things}, {speed:,.0f}/s"
        self._progress.update(self._task, completed=weight, total=total, description=said)
