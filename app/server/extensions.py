"""Loads the modules that `SYNAP_EXTENSIONS` names, from the working directory or Python's path."""

import importlib
import sys
import traceback
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from app.contract.typescript import typescript
from app.ledger.draft import Drafting
from app.settings import SettingsError
from procedures.described import contract, kinds_described
from procedures.registry import add_extension, registry

OURS = ("app", "procedures", "schemas")

PLACES = frozenset(Path(__file__).parents[2] / name for name in OURS)
"""The folders of these packages."""


def load_extensions(names: Iterable[str]) -> None:
    """Import each module. The working directory comes last on the path, so that an `app/` there hides nothing of ours.

    What they register is valid in this process only afterwards, so use none of it before. Raises SettingsError, in one
    sentence, for a module that is missing, fails, is hidden by another, or registers a name twice or a type without a
    contract.
    """
    folder = Path.cwd()
    sys.path[:] = [entry for entry in sys.path if entry not in {"", str(folder)}] + [str(folder)]
    modules = list(names)
    for name in modules:
        try:
            _refuse_hidden(name.partition(".")[0], folder)
            add_extension(importlib.import_module(name))
        except SettingsError as error:
            raise SettingsError(f"SYNAP_EXTENSIONS: {name!r} cannot be loaded: {error}") from None
        except (Exception, SystemExit) as error:
            raise SettingsError(f"SYNAP_EXTENSIONS: {name!r} cannot be loaded: {_reason(error, folder)}.") from error
    if modules:
        _refuse_unspeakable()


def _refuse_hidden(package: str, folder: Path) -> None:
    """Raise SettingsError if another package hides a module of the working directory."""
    if package in OURS:
        raise SettingsError(f"the server has a package {package!r} of its own; rename yours.")
    meant = [path for path in (folder / f"{package}.py", folder / package / "__init__.py") if path.exists()]
    found = find_spec(package) if meant else None
    if found is not None and Path(found.origin or "").resolve() not in {path.resolve() for path in meant}:
        raise SettingsError(f"Python finds another module {package!r} first, {found.origin}; rename yours.")


def _refuse_unspeakable() -> None:
    """Raise SettingsError if a registered type cannot be decoded or has no contract."""
    try:
        Drafting(node="")  # of no install: it drafts nothing
        procedures = registry()
        typescript(procedures, transformer="none")
        contract(procedures)
        kinds_described()
    except (ValueError, TypeError) as error:
        raise SettingsError(f"SYNAP_EXTENSIONS: what is registered cannot be served: {_one_line(error)}.") from error


def _reason(error: BaseException, folder: Path) -> str:
    """The error, with the line if it is in the developer's file."""
    said = f"{type(error).__name__}: {_one_line(error)}".removesuffix(": ")
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_theirs(Path(frame.filename))]
    near = [frame for frame in frames if folder in Path(frame.filename).parents] or frames[:1]
    if not near or isinstance(error, SyntaxError):  # a SyntaxError names its line itself
        return said
    return f"{said} ({Path(near[-1].filename).name}, line {near[-1].lineno})"


def _is_theirs(file: Path) -> bool:
    return not (file.name.startswith("<") or PLACES.intersection(file.parents) or "importlib" in file.parts)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()).removesuffix(".")
