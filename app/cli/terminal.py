"""Terminal output of `synap`: text that cannot control the terminal, and a progress bar."""

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
    """Text with unprintable characters escaped as in JSON, so that a stranger's text cannot control the terminal."""
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
    """Remove a bar and show the cursor, if the bar itself can no longer do it."""
    with suppress(OSError), Path("/dev/tty").open("wb", buffering=0) as terminal:
        terminal.write(b"\r\x1b[2K\x1b[?25h")


class Bar:
    """A progress bar on standard error, with speed and remaining time. Without a terminal it shows nothing.

    It advances by `weight`, such as the bytes of a file, and counts `things`, such as lines. Its block shows it.
    """

    def __init__(self, things: str, total: float | None = None) -> None:
        """`total` is the weight of everything; None if it is unknown."""
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
        """Show the bar."""
        if not self._progress.disable:
            self._shown.enter_context(stop.before_end(_clear))
        self._progress.start()
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        """Remove the bar."""
        self._progress.stop()
        self._shown.close()

    def show(self, weight: float, count: int, total: float | None = None) -> None:
        """Show the progress. `total` is given if it becomes known only now."""
        speed = count / max(time.monotonic() - self._started, 1e-6)
        said = f"{count:,} {self._things}, {speed:,.0f}/s"
        self._progress.update(self._task, completed=weight, total=total, description=said)
