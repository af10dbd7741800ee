"""How many examples a test tries: some in `make test`, all in `make soak`."""

import os

ALL = os.environ.get("EXAMPLES") == "all"


def examples(count: int) -> int:
    """`count` if all are requested; by default a tenth of it, but at least 10."""
    return count if ALL else min(count, max(10, count // 10))
