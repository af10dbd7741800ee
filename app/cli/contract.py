"""`synap contract`."""

import msgspec

from app.cli.arguments import Flag, UsageError
from app.contract.typescript import typescript as typescript_contract
from app.server.extensions import load_extensions
from app.settings import Settings
from app.surfaces.shared.statuses import TRPC_CODES
from procedures.described import contract as json_schema_contract
from procedures.registry import registry


def contract(*, typescript: Flag = False, json_schema: Flag = False) -> None:
    """Write the contract of the tRPC door to standard output.

    Parameters
    ----------
    typescript
        As a TypeScript declaration of `AppRouter`, for `@trpc/client` 11.
    json_schema
        As JSON: every procedure, its input and its output as JSON Schema.
    """
    if typescript == json_schema:
        raise UsageError("Say which contract: synap contract --typescript or --json-schema.")
    settings = Settings.from_environment()
    load_extensions(settings.extensions)
    if json_schema:
        print(msgspec.json.format(msgspec.json.encode(json_schema_contract(registry()))).decode())
    else:
        print(typescript_contract(registry(), transformer=settings.transformer, error_codes=TRPC_CODES), end="")
