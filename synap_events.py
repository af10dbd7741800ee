"""Where the command `synap` begins, also as `python -m synap_events`.

Its own packages have common names. They are imported here, from beside this file, before anything else is: a folder
`app` that comes earlier on the path, as with PYTHONPATH=., then hides none of them. This also holds for processes that
the command spawns, because they import this module first.
"""

import sys
from importlib import import_module
from pathlib import Path

PACKAGES = ("app", "procedures", "schemas")


def _import_ours() -> None:
    """Import the packages from this folder, and leave the path as it was."""
    path = sys.path[:]
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    try:
        for name in PACKAGES:
            import_module(name)
    finally:
        sys.path[:] = path


_import_ours()


def main() -> None:
    """Entry point of `synap`."""
    from app.cli.entry import main as run  # noqa: PLC0415 - the packages are ours only now

    run()


if __name__ == "__main__":
    main()
