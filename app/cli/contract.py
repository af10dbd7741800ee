"""`synap contract`."""

import sys
from collections.abc import Callable
from difflib import unified_diff
from pathlib import Path
from typing import Any

import msgspec

from app.cli.arguments import Flag, UsageError
from app.server.contracts import openapi_contract, typescript_contract
from app.server.extensions import load_extensions
from app.settings import Settings
from procedures.described import contract as json_schema_contract
from procedures.registry import registry

EXIT_DIFFERS = 1


def contract(
    *, typescript: Flag = False, json_schema: Flag = False, openapi: Flag = False, check: Path | None = None
) -> None:
    """Write a contract of the server to standard output. It needs no running server.

    Parameters
    ----------
    typescript
        The `AppRouter` for `@trpc/client` 11. Save it as `contract.ts`.
    json_schema
        Every procedure, its input and its output as JSON Schema.
    openapi
        Every REST route and every procedure as OpenAPI 3.1, like `/openapi.json`.
    check
        Compare this file with the contract instead. If they differ, print the difference and exit with 1.
    """
    flags = zip(_WRITERS, (typescript, json_schema, openapi), strict=True)
    chosen = [option for option, is_chosen in flags if is_chosen]
    if check is not None and not chosen:
        chosen = [_kind(_read(check))]
    if len(chosen) != 1:
        raise UsageError("Name one contract: synap contract --typescript, --json-schema or --openapi.")
    settings = Settings.from_environment()
    load_extensions(settings.extensions)
    write = _WRITERS[chosen[0]]
    if check is None:
        print(write(settings, None), end="")
    else:
        found = _read(check)
        _compare(check, found, write(settings, found), chosen[0])


def _typescript(settings: Settings, copy: str | None) -> str:
    contract = typescript_contract(settings)
    return contract.module if copy is None else contract.like(copy)


def _json_schema(_: Settings, __: str | None) -> str:
    return _formatted(json_schema_contract(registry()))


def _openapi(settings: Settings, copy: str | None) -> str:
    document = openapi_contract(settings)
    if copy is not None:  # the address of a server is not part of its contract
        document["servers"] = msgspec.json.decode(copy).get("servers", [])
    return _formatted(document)


_WRITERS: dict[str, Callable[[Settings, str | None], str]] = {
    "--typescript": _typescript,
    "--json-schema": _json_schema,
    "--openapi": _openapi,
}
"""The function that writes each contract. With a copy, it returns the contract to compare with that copy."""


def _compare(path: Path, found: str, written: str, option: str) -> None:
    """Print whether a file is this contract. If it is not, print the difference and exit."""
    difference = list(unified_diff(found.splitlines(), written.splitlines(), str(path), "this server", lineterm=""))
    if not difference:
        print(f"{path} is the contract of this server.")
        return
    print(f"{path} is not the contract of this server. To renew it: synap contract {option} > {path}\n")
    print("\n".join(difference))
    sys.exit(EXIT_DIFFERS)


def _read(path: Path) -> str:
    """The text of a file, formatted as we do if it is JSON."""
    try:
        text = path.read_text()
        return _formatted(msgspec.json.decode(text)) if path.suffix == ".json" else text
    except OSError as error:
        raise UsageError(f"The file {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise UsageError(f"The file {path} cannot be read: it is not text in UTF-8.") from None
    except msgspec.DecodeError:
        raise UsageError(f"The file {path} is not JSON.") from None


def _kind(copy: str) -> str:
    """The option whose contract a file is a copy of."""
    if not copy.startswith("{"):
        return "--typescript"
    return "--openapi" if '"openapi": "' in copy else "--json-schema"


def _formatted(document: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(document)).decode() + "\n"
