"""How many examples a test tries: some by `make test`, all of them by `make soak`."""

import os

ALL = os.environ.get("EXAMPLES") == "all"


def examples(count: int) -> int:
    """`count` if all are wanted; by default a tenth, but not below 25."""
    return count if ALL else min(count, max(25, count // 10))
