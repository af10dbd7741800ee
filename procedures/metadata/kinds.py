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
    """Every kind of typed metadata, the built-in ones first: what it is for, and its JSON Schema.

    Kinds of a developer's own are those that the modules named in `SYNAP_EXTENSIONS` register.
    """
    return _written()


@cache
def _written() -> Written[list[MetadataKind]]:
    """Once a process: extensions are loaded before it serves."""
    return Written(msgspec.json.encode(kinds_described()))
