"""What a server with given settings accepts and returns, without a server. Its extensions are loaded before."""

from importlib.metadata import version
from typing import Any

from app.contract.artefact import Contract, versioned
from app.contract.typescript import typescript
from app.settings import Settings
from app.surfaces.shared.statuses import TRPC_CODES
from procedures.registry import registry


def typescript_contract(settings: Settings) -> Contract:
    """The contract for TypeScript, with its version."""
    text = typescript(registry(), transformer=settings.transformer, error_codes=TRPC_CODES)
    return versioned(text, version("synap-events"))


def openapi_contract(settings: Settings) -> dict[str, Any]:
    """The API document of the main listener."""
    from app.surfaces.openapi.document import openapi  # noqa: PLC0415 - loads a framework that other commands spare
    from app.surfaces.openapi.routes import routes_alone  # noqa: PLC0415 - likewise

    return openapi(
        routes_alone(),
        registry(),
        version=version("synap-events"),
        transformer=settings.transformer,
        address=settings.url,
    )
