"""procedures.list."""

import asyncio
from functools import cache

import msgspec

from procedures.context import Context
from procedures.described import procedures_described
from procedures.procedure import query
from procedures.registry import registry
from schemas.contract import DescribedProcedure, ListProcedures
from schemas.written import Written


@query("procedures.list", scope=None)
async def list_(_wanted: ListProcedures, _context: Context) -> Written[list[DescribedProcedure]]:
    """Return every procedure by name: its purpose, scope, errors, and the JSON Schemas of its input and output.

    The schemas (draft 2020-12) describe plain JSON; each contains its own `$defs`.
    """
    return await asyncio.to_thread(_written)  # the first call takes a quarter of a second


@cache
def _written() -> Written[list[DescribedProcedure]]:
    """The answer, written once per process: extensions are loaded before the server accepts calls."""
    return Written(msgspec.json.encode(procedures_described(registry())))
