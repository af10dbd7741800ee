"""Runs the real command `synap` in its own process, but without the second that its imports take.

Tests of its start, and of signals during the start, use `subprocess` and `SYNAP` directly.
"""

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from multiprocessing.connection import wait
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from tests.kit.paths import ROOT

SYNAP = Path(sys.executable).with_name("synap")

File = int | IO[bytes] | IO[str]

_one_at_a_time = threading.Lock()


class Process:
    """A process of the command, with the methods of `subprocess.Popen`. It is the child of another process."""

    def __init__(self, args: list[str], news: IO[str]) -> None:
        """The first line of `news` is the process id. The second line is the exit code, when the process has ended."""
        self.args = args
        self.returncode: int | None = None
        self._news = news
        self.pid = int(news.readline())

    def poll(self) -> int | None:
        """The exit code, or None if the process has not ended."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(timeout=0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait until the process has ended, and return its exit code."""
        if self.returncode is None:
            if not wait([self._news.fileno()], timeout):
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            self.returncode = int(self._news.readline())
            self._news.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


def start(
    *arguments: object,
    env: Mapping[str, str],
    files: tuple[File, File, File],
    cwd: Path | None = None,
    umask: int = -1,
    seconds: int = 0,
    new_session: bool = False,
) -> Process:
    """Start the process that `subprocess.Popen([SYNAP, *arguments])` starts, with `files` as input, output and errors.

    It is killed after `seconds`, unless they are 0.
    """
    command = [str(SYNAP), *map(str, arguments)]
    asked = {
        "arguments": command,
        "env": dict(env),
        "cwd": str(cwd or Path.cwd()),
        "umask": umask,
        "seconds": seconds,
        "new_session": new_session,
    }
    text = json.dumps(asked).encode()
    news, told = os.pipe()
    descriptors = [file if isinstance(file, int) else file.fileno() for file in files]
    with _one_at_a_time:
        socket.send_fds(_forking(), [len(text).to_bytes(4, "big")], [*descriptors, told])
        _forking().sendall(text)
    os.close(told)
    return Process(command, os.fdopen(news))


def synap(
    *arguments: object,
    env: Mapping[str, str],
    cwd: Path | None = None,
    sent: bytes = b"",
    umask: int = -1,
    seconds: int = 120,
) -> "subprocess.CompletedProcess[str]":
    """Return what `subprocess.run([SYNAP, *arguments])` returns. The command reads `sent` from a pipe."""
    source, pipe = os.pipe()
    with TemporaryFile("w+") as output, TemporaryFile("w+") as errors:
        process = start(*arguments, env=env, files=(source, output, errors), cwd=cwd, umask=umask, seconds=seconds)
        os.close(source)
        with suppress(BrokenPipeError), os.fdopen(pipe, "wb") as sending:  # the command need not read everything
            sending.write(sent)
        code = process.wait()
        output.seek(0)
        errors.seek(0)
        return subprocess.CompletedProcess(process.args, code, output.read(), errors.read())


@cache
def _forking() -> socket.socket:
    """The socket of the process that has imported the command. That process ends with this one."""
    ours, its = socket.socketpair()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.kit.forking", str(its.fileno())],
        env={name: os.environ[name] for name in ("PATH", "HOME", "CI") if name in os.environ},
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        pass_fds=[its.fileno()],
    )
    its.close()

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours
