"""Grows the log `_node`, and has each checkpoint cosigned: `python -m … URL FOLDER POLICY`.

It prints each size that a quorum cosigned. After SIGTERM it ends with the next one. Tests kill it and start it again.
"""

import signal
import sys
from pathlib import Path
from threading import Event

from tests.delivery.test_witnesses import Witnessed
from tests.store.opened import opened


def main(url: str, folder: str, policy: str) -> None:
    """Go on where the log is."""
    stopping = Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    with opened(url, Path(folder)) as store:
        witnessed = Witnessed.of(store, Path(policy).read_text())
        is_cosigned = True
        while True:
            witnessed.turn(grow=is_cosigned)
            served = witnessed.served()
            is_cosigned = served.size == witnessed.size() and bool(witnessed.cosigners())
            if is_cosigned:
                sys.stdout.write(f"{served.size}\n")
                sys.stdout.flush()
                if stopping.is_set():
                    return


if __name__ == "__main__":
    main(*sys.argv[1:])
