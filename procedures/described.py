"""Describes procedures and metadata kinds to client developers, in words and in JSON Schema."""

from collections.abc import Collection, Mapping
from inspect import getdoc
from itertools import islice
from typing import Any, cast

import msgspec

from app.contract.json_schema import json_schemas, self_contained
from app.contract.model import Way
from app.contract.operation import published
from app.contract.schema import DIALECT, Schema
from procedures.procedure import Procedure
from schemas import errors
from schemas.contract import DescribedProcedure, MetadataKind, PossibleError, ProcedureKind
from schemas.issues import is_struct, unwrap
from schemas.metadata import BUILT_IN, metadata_struct

EVERY_CALLS: tuple[type[errors.ProcedureError], ...] = (errors.Unauthorized, errors.Forbidden, errors.NotFound)
"""The errors that any call may raise before it runs: the key is not valid or lacks the scope or the workspace, or there
is no such workspace."""


def procedures_described(procedures: Mapping[str, Procedure]) -> list[DescribedProcedure]:
    """Each procedure, in the order of `procedures`, with self-contained schemas."""
    described, components = _described(procedures.values())
    return [
        msgspec.structs.replace(
            each,
            input=self_contained(each.input, components),
            output=self_contained(each.output, components),
            marker=None if each.marker is None else self_contained(each.marker, components),
        )
        for each in described
    ]


def kinds_described() -> list[MetadataKind]:
    """Each kind of metadata that is registered now, with a self-contained schema."""
    metadata = metadata_struct()
    # The stored way is included so that the Structs have the same names as in the contract.
    [whole, _], components = json_schemas([(metadata, Way.INPUT), (metadata, Way.STORED)])
    members = self_contained(whole, components)["properties"]
    kinds: list[MetadataKind] = []
    for field in msgspec.structs.fields(metadata):
        schema = next(each for each in members[field.encode_name]["anyOf"] if each != {"type": "null"})
        kind, _ = unwrap(field.type)
        kinds.append(
            MetadataKind(
                name=field.encode_name,
                built_in=field.encode_name in BUILT_IN,
                description=(is_struct(kind) and getdoc(kind)) or "A free JSON object.",
                schema=self_contained(schema, components),
            )
        )
    return kinds


def contract(procedures: Mapping[str, Procedure]) -> dict[str, Any]:
    """All procedures in one document. Their schemas share its `$defs`."""
    described, components = _described(procedures.values())
    listed = {each.name: msgspec.to_builtins(each) for each in described}
    for each in listed.values():
        del each["name"]
    return {"$schema": DIALECT, "procedures": listed, "$defs": components}


def _described(procedures: Collection[Procedure]) -> tuple[list[DescribedProcedure], dict[str, Schema]]:
    """Each procedure with schemas that refer to the shared components, and those components."""
    types = [(each, types_of(each)) for each in procedures]
    schemas, components = json_schemas(pair for _, pairs in types for pair in pairs)
    left = iter(schemas)
    return [
        DescribedProcedure(
            name=each.name,
            kind=cast(ProcedureKind, each.kind.value),
            scope=each.scope,
            summary=published(each.summary),
            description=published(each.description),
            errors=[
                PossibleError(code=error.trpc_code, reason=error.code)
                for error in dict.fromkeys((*each.errors, *EVERY_CALLS))
            ],
            **dict(zip(("input", "output", "marker"), islice(left, len(pairs)), strict=False)),
        )
        for each, pairs in types
    ], components


def types_of(procedure: Procedure) -> list[tuple[Any, Way]]:
    """The types of the input, the output and, if there is one, the marker."""
    answers = [procedure.output] if procedure.marker is None else [procedure.output, procedure.marker]
    return [(procedure.input, Way.INPUT), *((each, Way.OUTPUT) for each in answers)]
