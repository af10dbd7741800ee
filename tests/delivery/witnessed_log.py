"""Grows the log `_node`, and has each checkpoint cosigned: `python -m … URL FOLDER POLICY LAST`.

It prints each size that a quorum cosigned, up to LAST. Tests kill it and start it again.
"""

import sys
from pathlib import Path

from tests.delivery.test_witnesses import Witnessed
from tests.store.opened import opened


def main(url: str, folder: str, policy: str, last: int) -> None:
    """Go on where the log is."""
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
                if served.size >= last:
                    return


if __name__ == "__main__":
    url, folder, policy, last = sys.argv[1:]
    main(url, folder, policy, int(last))
