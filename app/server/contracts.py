"""What a server with given settings accepts and returns, without a server. Its extensions are loaded before."""

from importlib.metadata import version

from app.contract.artefact import Contract, versioned
from app.contract.typescript import typescript
from app.settings import Settings
from app.surfaces.shared.statuses import TRPC_CODES
from procedures.registry import registry


def typescript_contract(settings: Settings) -> Contract:
    """The contract for TypeScript, with its version."""
    text = typescript(registry(), transformer=settings.transformer, error_codes=TRPC_CODES)
    return versioned(text, version("synap-events"))
