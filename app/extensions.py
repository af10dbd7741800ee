"""Loads the modules that a developer named, from the working directory or wherever Python finds them."""

import importlib
import sys
from collections.abc import Iterable
from pathlib import Path

from app.settings import SettingsError

OURS = ("app", "procedures", "schemas")


def load_extensions(names: Iterable[str]) -> None:
    """Import each module. The working directory comes last on the path: a developer's `app/` beside us shadows nothing.

    Raises SettingsError with one sentence for a module that is missing, fails, or registers what is taken.
    """
    here = str(Path.cwd())
    sys.path[:] = [entry for entry in sys.path if entry not in {"", here}] + [here]
    for name in names:
        try:
            importlib.import_module(name)
        except (Exception, SystemExit) as error:
            hint = f" The server has a package {name.partition('.')[0]!r} of its own; name yours differently."
            clash = hint if name.partition(".")[0] in OURS else ""
            reason = " ".join(str(error).split())
            raise SettingsError(
                f"SYNAP_EXTENSIONS: {name!r} cannot be loaded: {type(error).__name__}: {reason}.{clash}"
            ) from error
