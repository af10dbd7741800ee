"""Every procedure by name. Listing `procedures/` lists the API: a module's path is its procedure's name."""

import importlib
import pkgutil
from functools import cache
from types import ModuleType

import procedures
from procedures.procedure import Kind, Procedure


@cache
def registry() -> dict[str, Procedure]:
    """What tRPC serves, by name. Raises ValueError where a name is taken or differs from its module's path."""
    found: dict[str, Procedure] = {}
    for module in _modules():
        for procedure in vars(module).values():
            if not isinstance(procedure, Procedure) or procedure.kind is Kind.DOWNLOAD:
                continue
            if procedure.name in found:
                raise ValueError(f"two procedures are named {procedure.name}")
            if _snake(procedure.name) != module.__name__.removeprefix("procedures."):
                raise ValueError(f"procedure {procedure.name} does not belong into {module.__name__}")
            found[procedure.name] = procedure
    return dict(sorted(found.items()))


def _modules() -> list[ModuleType]:
    packages = [name for _, name, is_package in pkgutil.iter_modules(procedures.__path__, "procedures.") if is_package]
    return [
        importlib.import_module(name)
        for package in packages
        for _, name, _ in pkgutil.iter_modules(importlib.import_module(package).__path__, f"{package}.")
    ]


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
