"""Runs the command `synap` again and again, each time in a process that is forked from this one, which has imported it.

Reads a JSON line for each run, and writes the run's exit code. See `tests/command.py`.
"""

import gc
import json
import os
import signal
import sys
from typing import Any


def _asked() -> dict[str, Any]:
    """In the process that is forked for a run: what is asked of it. This process ends with its input."""
    requests, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    for line in requests:
        pid = os.fork()
        if pid == 0:
            asked: dict[str, Any] = json.loads(line)
            return asked
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), file=answers, flush=True)
    sys.exit()


def _become(asked: dict[str, Any]) -> None:
    """Be as a process is that was started for this command alone."""
    signal.alarm(asked["seconds"])  # it ends what hangs
    for number, (name, flags) in enumerate(zip(asked["files"], (os.O_RDONLY, os.O_WRONLY, os.O_WRONLY), strict=True)):
        file = os.open(name, flags)
        os.dup2(file, number)
        os.close(file)
    if asked["umask"] >= 0:
        os.umask(asked["umask"])
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    sys.argv = asked["arguments"]
    sys.path[0] = os.path.dirname(sys.argv[0])  # noqa: PTH120 - a text, as Python has it


if __name__ == "__main__":  # not in the processes that the command itself starts
    import app.cli
    import app.server  # noqa: F401 - what `synap serve` imports
    from app.entry import main

    gc.freeze()  # what is collected was copied before
    _become(_asked())
    main()
