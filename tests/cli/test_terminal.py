"""The progress of a long command, as a terminal shows it."""

import io
import os
import pty
import re
import subprocess
import sys
from contextlib import suppress

import pytest

from app.cli.terminal import Bar, without_secrets

SHOWING = """
import os, time
from app.signals import stop
from app.cli.terminal import Bar

os.open(os.ttyname(0), os.O_RDWR)  # its Ctrl-C is for us
stop.watch()
with Bar("lines", 10) as bar:
    bar.show(5, 5)
    print("shown", flush=True)
    time.sleep(60)
"""


class Terminal(io.StringIO):
    """A standard error that is a terminal."""

    def isatty(self) -> bool:
        """It is a terminal."""
        return True


def _terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal of 80 columns. It is no fixture, because pytest replaces standard error in each phase of a test."""
    for name, value in {"TERM": "xterm-256color", "COLUMNS": "80", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    found = Terminal()
    monkeypatch.setattr(sys, "stderr", found)
    return found


def _drawn(terminal: Terminal) -> list[str]:
    """The bars that were drawn, without control sequences."""
    return [line for text in terminal.getvalue().split("\r") if (line := re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text))]


def test_a_terminal_shows_the_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _terminal(monkeypatch)

    with Bar("lines", 1000) as bar:
        bar.show(250, 50)

    assert re.search(r"25% 50 lines, [0-9,]+/s", _drawn(terminal)[-1])
    assert terminal.getvalue().endswith("\x1b[2K")  # the bar is gone


def test_the_total_may_be_known_later(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _terminal(monkeypatch)

    with Bar("events") as bar:
        bar.show(1000, 1000)
        bar.show(2000, 2000, 4000)

    assert re.search(r"50% 2,000 events, [0-9,]+/s", _drawn(terminal)[-1])


def test_ctrl_c_removes_the_bar() -> None:
    ours, its = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", SHOWING],
        stdin=its,
        stdout=its,
        stderr=its,
        env={"TERM": "xterm"},
        start_new_session=True,
    ) as process:
        os.close(its)
        drawn = b""
        while b"shown" not in drawn:
            drawn += os.read(ours, 1000)
        os.write(ours, b"\x03")
        with suppress(OSError):  # the other end is closed
            while more := os.read(ours, 1000):
                drawn += more
    os.close(ours)

    assert process.returncode == 130
    assert b"\x1b[?25l" in drawn
    assert drawn.endswith(b"\r\x1b[2K\x1b[?25h")  # the line is empty, the cursor is there


def test_a_url_is_shown_without_what_may_be_secret() -> None:
    shown = without_secrets("https://u:s3cr3t@db.example:1/v1\x1b?token=s3cr3t#s3cr3t")

    assert shown == "https://db.example:1/v1\\u001b"


def test_nothing_is_shown_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.StringIO()
    monkeypatch.setattr(sys, "stderr", file)

    with Bar("lines", 10) as bar:
        bar.show(5, 5)

    assert file.getvalue() == ""
