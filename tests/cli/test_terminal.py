"""The progress of a long command, as a terminal shows it."""

import io
import os
import pty
import re
import select
import subprocess
import sys

import pytest

from app.cli.terminal import Bar, without_secrets

SHOWING = """
import time
from app.signals import stop
from app.cli.terminal import Bar

stop.watch()
with Bar("lines", 10) as bar:
    bar.show(5, 5)
    print("shown", flush=True)
    time.sleep(60)
"""


SHELL = ': <"$(tty)"; trap : INT; "$@"; code=$?; read -r _; exit $code'
"""Runs a command as a person's shell does. A terminal loses what was just written when the leader of its session ends,
so the shell ends later than the command. By opening the terminal it makes Ctrl-C there its own."""

REMOVED = b"\r\x1b[2K\x1b[?25h"
"""The line is empty, and the cursor is there."""


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
        ["sh", "-c", SHELL, "sh", sys.executable, "-c", SHOWING],
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
        while not drawn.endswith(REMOVED) and select.select([ours], [], [], 60)[0]:
            drawn += os.read(ours, 1000)
        os.write(ours, b"\n")
    os.close(ours)

    assert process.returncode == 130
    assert b"\x1b[?25l" in drawn
    assert drawn.endswith(REMOVED)


def test_a_url_is_shown_without_what_may_be_secret() -> None:
    shown = without_secrets("https://u:s3cr3t@db.example:1/v1\x1b?token=s3cr3t#s3cr3t")

    assert shown == "https://db.example:1/v1\\u001b"


def test_nothing_is_shown_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.StringIO()
    monkeypatch.setattr(sys, "stderr", file)

    with Bar("lines", 10) as bar:
        bar.show(5, 5)

    assert file.getvalue() == ""
