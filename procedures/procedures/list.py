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
    """Every procedure: what it does, who may call it, how it may fail, its input and output as JSON Schema.

    In alphabetical order. The schemas (draft 2020-12) are of plain JSON, each with its own `$defs`.
    """
    return await asyncio.to_thread(_written)  # a quarter of a second, the first time


@cache
def _written() -> Written[list[DescribedProcedure]]:
    """Once a process: extensions are loaded before it serves."""
    return Written(msgspec.json.encode(procedures_described(registry())))
