"""Every procedure by name. Listing `procedures/` lists our API: a module's path is its procedure's name.

Extensions add the procedures among the attributes of the modules that `SYNAP_EXTENSIONS` names.
"""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from functools import cache
from types import ModuleType

import procedures
from app.contract.operation import Kind
from procedures.procedure import Procedure
from schemas.base import Input

RESERVED = ("then", "call", "apply")
"""Names that tRPC's client cannot call."""

_extensions: list[ModuleType] = []


def add_extension(module: ModuleType) -> None:
    """Serve the procedures among the attributes of a module. The next `registry()` includes them."""
    if module not in _extensions:
        _extensions.append(module)
        registry.cache_clear()


@cache
def registry() -> dict[str, Procedure]:
    """The procedures that tRPC serves, by name.

    Raises ValueError if a name is declared twice, differs from its module's path, or is not allowed for an extension.
    """
    found: dict[str, Procedure] = {}
    for module in _modules():
        for procedure in _declared(module):
            if procedure.kind is Kind.DOWNLOAD:
                continue
            if procedure.name in found:
                raise ValueError(f"two procedures are named {procedure.name}")
            if _snake(procedure.name) != module.__name__.removeprefix("procedures."):
                raise ValueError(f"procedure {procedure.name} does not belong in {module.__name__}")
            found[procedure.name] = procedure
    ours = frozenset(name.partition(".")[0] for name in found)
    for module in _extensions:
        for procedure in _declared(module):
            if _module(procedure).split(".")[0] == procedures.__name__:
                continue  # one of ours that the module uses
            taken = found.get(procedure.name, procedure)
            if taken is not procedure:
                raise ValueError(
                    f"procedure {procedure.name!r} of {_module(procedure)} is declared already, by {_module(taken)}"
                )
            _refuse_foreign(procedure, ours)
            found[procedure.name] = procedure
    return dict(sorted(found.items()))


def _refuse_foreign(procedure: Procedure, ours: frozenset[str]) -> None:
    """Raise ValueError if an extension's procedure cannot be served."""
    where = f"procedure {procedure.name!r} of {_module(procedure)}"
    space, *rest = procedure.name.split(".")
    if not rest or not all(re.fullmatch("[a-z][A-Za-z0-9]*", part) for part in (space, *rest)):
        raise ValueError(f"{where}: a name must be two or more camelCase words joined by dots, such as 'notes.count'")
    if space in ours:
        raise ValueError(f"{where}: the namespace {space!r} is the server's own; use another")
    if reserved := [part for part in (space, *rest) if part in RESERVED]:
        raise ValueError(f"{where}: clients cannot call a name that contains {reserved[0]!r}; use another")
    if procedure.kind is Kind.DOWNLOAD:
        raise ValueError(f"{where}: extensions cannot add downloads")
    if not (isinstance(procedure.input, type) and issubclass(procedure.input, Input)):
        raise ValueError(f"{where}: its input must be a subclass of schemas.base.Input")


def _declared(module: ModuleType) -> Iterator[Procedure]:
    return (each for each in vars(module).values() if isinstance(each, Procedure))


def _module(procedure: Procedure) -> str:
    return procedure.run.__module__


def _modules() -> list[ModuleType]:
    packages = [name for _, name, is_package in pkgutil.iter_modules(procedures.__path__, "procedures.") if is_package]
    return [
        importlib.import_module(name)
        for package in packages
        for _, name, _ in pkgutil.iter_modules(importlib.import_module(package).__path__, f"{package}.")
    ]


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
