"""The start of the command `synap`. From here on a signal ends it in order, however early the signal comes."""

import sys

from app.capacity.garbage import collecting_nothing
from app.signals import stop

ENDS_WELL = frozenset({"serve", "tail"})
"""The commands that run until they are told to stop: their exit code is 0 then."""


def main() -> None:
    """Entry point of `synap`."""
    stop.watch(exit_code=0 if ENDS_WELL.intersection(sys.argv[1:2]) else None)
    with collecting_nothing():
        from app.cli.main import main as run  # noqa: PLC0415 - takes a second, in which a signal may come

    try:
        run()
    finally:
        stop.hold()
