"""The command `synap` without the second that its imports take: real, in a process of its own.

Tests of how it starts, of signals and of what is not read use `subprocess` and `SYNAP` as they are.
"""

import atexit
import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.servers import SYNAP

_one_at_a_time = threading.Lock()


def synap(
    *arguments: object,
    env: Mapping[str, str],
    cwd: Path | None = None,
    sent: bytes = b"",
    umask: int = -1,
    seconds: int = 120,
) -> "subprocess.CompletedProcess[str]":
    """What `subprocess.run([SYNAP, *arguments])` returns; `sent` comes through a pipe.

    One that takes longer than `seconds` is killed.
    """
    command = [str(SYNAP), *map(str, arguments)]
    with TemporaryDirectory() as folder, _one_at_a_time:
        files = [Path(folder, name) for name in ("in", "out", "error")]
        os.mkfifo(files[0])
        for file in files[1:]:
            file.touch()
        asked = {
            "arguments": command,
            "env": dict(env),
            "cwd": str(cwd or Path.cwd()),
            "files": [str(file) for file in files],
            "umask": umask,
            "seconds": seconds,
        }
        forking = _forking()
        assert forking.stdin is not None
        assert forking.stdout is not None
        forking.stdin.write(f"{json.dumps(asked)}\n")
        forking.stdin.flush()
        with suppress(BrokenPipeError):  # it need not read to the end
            files[0].write_bytes(sent)
        code = int(forking.stdout.readline())
        return subprocess.CompletedProcess(command, code, files[1].read_text(), files[2].read_text())


@cache
def _forking() -> "subprocess.Popen[str]":
    """The process that has imported the command; it ends with this one."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.forking"],
        env={name: os.environ[name] for name in ("PATH", "HOME", "CI") if name in os.environ},
        cwd=Path(__file__).parent.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(process.communicate)
    return process
