"""Runs the command `synap` for each request, in a process forked from this one, which has imported the command.

It reads requests from a socket, and writes the process id and the exit code of each run to the pipe that came with the
request. When the tests are gone, however they ended, the runs get SIGTERM. See `tests/kit/command.py`.
"""

import atexit
import gc
import json
import os
import signal
import socket
import sys
import threading
from contextlib import suppress
from typing import Any


def _asked(requests: socket.socket) -> dict[str, Any]:
    """Return the next request, in the process that is forked for it. This process ends when its socket is closed."""
    signal.signal(signal.SIGCHLD, lambda *_: _reap())
    alive, held = os.pipe()  # only this process holds the end that is never written to
    while True:
        size, files, _, _ = socket.recv_fds(requests, 4, 4)
        if not size:
            sys.exit()
        text = requests.recv(int.from_bytes(size, "big"), socket.MSG_WAITALL)
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            requests.close()
            os.close(held)
            return _run(json.loads(text), files, alive)
        for file in files:
            os.close(file)


def _reap() -> None:
    """Reap the processes that have ended."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass


def _run(asked: dict[str, Any], files: list[int], alive: int) -> dict[str, Any]:
    """Fork the run, and report how it ends, because only its parent learns that. The run reports its process id."""
    *own, told = files
    pid = os.fork()
    if pid == 0:
        os.close(alive)
        return asked | {"files": own, "news": told}
    for file in own:
        os.close(file)
    threading.Thread(target=_end_when_alone, args=(pid, alive), daemon=True).start()
    with suppress(BrokenPipeError), os.fdopen(told, "w") as news:  # the tests may be gone
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), file=news)
    os._exit(0)


def _end_when_alone(pid: int, alive: int) -> None:
    """Ask a run to end as soon as the process that forked for it has ended, because then nobody else will."""
    os.read(alive, 1)
    os.kill(pid, signal.SIGTERM)


def _become(asked: dict[str, Any]) -> None:
    """Make this process like one that was started only for this command."""
    signal.alarm(asked["seconds"])  # ends a run that hangs
    if asked["new_session"]:
        os.setsid()
    for number, file in enumerate(asked["files"]):
        os.dup2(file, number)
        os.close(file)
    if asked["umask"] >= 0:
        os.umask(asked["umask"])
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    sys.argv = asked["arguments"]
    sys.path[0] = os.path.dirname(sys.argv[0])  # noqa: PTH120 - a string, as Python sets it
    with os.fdopen(asked["news"], "w") as news:
        print(os.getpid(), file=news)


def _end(ended: SystemExit) -> None:
    """End as a process does, but without Python's clean-up of modules, which takes longer than most commands."""
    if not isinstance(ended.code, int | None):
        raise ended
    threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001 - what Python itself calls at its end
    atexit._run_exitfuncs()  # noqa: SLF001 - as above
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(ended.code or 0)


if __name__ == "__main__":  # false in processes that the command itself starts
    import alembic.command  # what a first start migrates with, as `alembic.config` and the tables
    import alembic.config  # noqa: F401 - as above

    import app.cli.main
    import app.server.workers  # what `synap serve` imports
    import app.store.install.tables  # noqa: F401 - as above
    from app.cli.entry import main

    gc.freeze()  # a collection would first copy the pages of its objects
    _become(_asked(socket.socket(fileno=int(sys.argv[1]))))
    try:
        main()
    except SystemExit as ended:
        _end(ended)
