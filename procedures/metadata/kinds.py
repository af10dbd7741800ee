"""metadata.kinds."""

from functools import cache

import msgspec

from procedures.context import Context
from procedures.described import kinds_described
from procedures.procedure import query
from schemas.contract import ListMetadataKinds, MetadataKind
from schemas.written import Written


@query("metadata.kinds", scope=None)
async def kinds(_wanted: ListMetadataKinds, _context: Context) -> Written[list[MetadataKind]]:
    """Return every kind of typed metadata, the built-in ones first, with its purpose and JSON Schema.

    The modules named in `SYNAP_EXTENSIONS` register the other kinds.
    """
    return _written()


@cache
def _written() -> Written[list[MetadataKind]]:
    """The answer, written once per process: extensions are loaded before the server accepts calls."""
    return Written(msgspec.json.encode(kinds_described()))
