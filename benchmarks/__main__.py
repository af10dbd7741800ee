"""`python -m benchmarks [suite]`: a suite is a module with `add_arguments` and `run`, listed in SUITES.

Without a suite, `calls` runs.

Exit codes: 0 measured, 1 a run failed (wrong answers, lost connections), 2 this machine lacks something.
"""

import argparse
import sys

from benchmarks import (
    browse,
    calls,
    console,
    heads,
    hostile,
    importing,
    ledger,
    live,
    publish,
    soak,
    tiles,
    verify,
    workers,
)
from benchmarks.errors import BenchmarkError

SUITES = {
    "calls": calls,
    "workers": workers,
    "live": live,
    "publish": publish,
    "ledger": ledger,
    "heads": heads,
    "tiles": tiles,
    "import": importing,
    "verify": verify,
    "browse": browse,
    "console": console,
    "hostile": hostile,
    "soak": soak,
}


def main() -> int:
    """Run the suite named on the command line; without one, `calls`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    suites = parser.add_subparsers(dest="suite", metavar="suite")
    for name, suite in SUITES.items():
        summary = (suite.__doc__ or "").partition("\n")[0]
        suite.add_arguments(suites.add_parser(name, help=summary, description=summary))
    arguments = sys.argv[1:]
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in {"-h", "--help"}):
        arguments = ["calls", *arguments]
    chosen = parser.parse_args(arguments)
    try:
        SUITES[chosen.suite].run(chosen)
    except BenchmarkError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
