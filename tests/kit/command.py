"""The command `synap` without the second that its imports take: real, in a process of its own.

Tests of how it starts, and of signals while it does, use `subprocess` and `SYNAP` as they are.
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
    """A process of the command, with the methods of `subprocess.Popen`. It is the child of another one."""

    def __init__(self, args: list[str], news: IO[str]) -> None:
        """Of `news`, whose first line is the process id, and whose second is the exit code, once it has ended."""
        self.args = args
        self.returncode: int | None = None
        self._news = news
        self.pid = int(news.readline())

    def poll(self) -> int | None:
        """The exit code, if it has ended."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(timeout=0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, once it has ended."""
        if self.returncode is None:
            if not wait([self._news.fileno()], timeout):
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            self.returncode = int(self._news.readline())
            self._news.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Tell it to stop."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
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
    """Begin what `subprocess.Popen([SYNAP, *arguments])` begins; `files` are its input, output and errors.

    One that takes longer than `seconds` is killed, unless they are 0.
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
    """What `subprocess.run([SYNAP, *arguments])` returns; `sent` comes through a pipe."""
    source, pipe = os.pipe()
    with TemporaryFile("w+") as output, TemporaryFile("w+") as errors:
        process = start(*arguments, env=env, files=(source, output, errors), cwd=cwd, umask=umask, seconds=seconds)
        os.close(source)
        with suppress(BrokenPipeError), os.fdopen(pipe, "wb") as sending:  # it need not read to the end
            sending.write(sent)
        code = process.wait()
        output.seek(0)
        errors.seek(0)
        return subprocess.CompletedProcess(process.args, code, output.read(), errors.read())


@cache
def _forking() -> socket.socket:
    """The way to the process that has imported the command; it ends with this one."""
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
