"""The API document, OpenAPI 3.1: what every door accepts and returns, for clients in any language and for `/docs`.

`operations.py` writes the routes of the REST doors, `calls.py` the procedures as tRPC serves them, `failures.py` how
both fail. Their schemas are those of `app/contract/json_schema.py`, in Litestar's typed classes of OpenAPI.

Pure: the same routes and procedures give the same document.
"""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, Literal

from litestar.openapi import spec

from app.contract.json_schema import json_schemas
from app.contract.model import Way
from app.contract.schema import Schema
from app.surfaces.openapi.calls import TrpcCalls
from app.surfaces.openapi.failures import Failures
from app.surfaces.openapi.operations import RestOperations, route_types
from app.surfaces.openapi.parts import Parts, Verbatim, ref
from app.surfaces.openapi.plainer import plainer
from app.surfaces.openapi.texts import ANSWER_HEADERS, DESCRIPTION, DOORS, REQUEST_HEADERS, TRPC, namespaces
from app.surfaces.shared.operation import Route
from app.surfaces.shared.rest import Refusal
from app.surfaces.trpc.door import MOUNT
from app.surfaces.trpc.transformer import TRANSFORMERS
from procedures.described import types_of
from procedures.procedure import Procedure


def openapi(
    routes: Iterable[Route],
    procedures: Mapping[str, Procedure],
    *,
    version: str,
    transformer: Literal["none", "superjson"] = "none",
    address: str = "/",
) -> dict[str, Any]:
    """The document of a server at an address that serves these routes, and these procedures over tRPC.

    Raises ValueError, in one sentence, if a type has no JSON Schema or two would share a name.
    """
    served = sorted(routes, key=lambda route: (list(DOORS).index(route.door), route.path, route.method))
    groups = [[(Refusal, Way.OUTPUT)], *map(route_types, served), *map(types_of, procedures.values())]
    [[refusal], *schemas], components = _schemas(groups)
    parts = Parts(components)
    failures = Failures(parts, refusal, TRANSFORMERS[transformer])
    operations = RestOperations(parts, failures)
    calls = TrpcCalls(parts, failures, superjson=transformer == "superjson")
    paths: dict[str, spec.PathItem] = {}
    for route, own in zip(served, schemas, strict=False):
        setattr(paths.setdefault(route.path, spec.PathItem()), route.method, operations.of(route, own))
    for procedure, own in zip(procedures.values(), schemas[len(served) :], strict=True):
        paths[f"{MOUNT}/{procedure.name}"] = calls.of(procedure, own)
    return spec.OpenAPI(
        info=spec.Info(
            title="Synap Events",
            version=version,
            description=DESCRIPTION + (TRPC if procedures else ""),
            license=spec.License("Apache-2.0", identifier="Apache-2.0"),
        ),
        servers=[spec.Server(address)],
        security=[{"key": []}],
        tags=_tags(served, procedures),
        paths=paths,
        components=_components({**components, **parts.schemas}, parts),
    ).to_schema()


def _schemas(groups: list[list[tuple[Any, Way]]]) -> tuple[list[list[Schema]], dict[str, Schema]]:
    """The schemas of types in groups, and the components that they refer to."""
    found, components = json_schemas(
        [pair for group in groups for pair in group],
        ref_template=ref("schemas", "{name}"),
        reserved=["TrpcError"],
        nulls_in_filters=False,
    )
    left = iter(plainer(found))
    return [list(islice(left, len(group))) for group in groups], plainer(components)


def _tags(served: list[Route], procedures: Mapping[str, Procedure]) -> list[spec.Tag]:
    lists = (route.path for route in served if route.door == "ledger" and route.path.endswith("/events"))
    ledger = next(lists, "").removesuffix("/events")
    doors = {route.door for route in served}
    return [
        *(spec.Tag(door, text.replace("{ledger}", ledger)) for door, text in DOORS.items() if door in doors),
        *(spec.Tag(name, text) for name, text in namespaces(procedures).items()),
    ]


def _components(schemas: dict[str, Schema], parts: Parts) -> spec.Components:
    return spec.Components(
        schemas={name: Verbatim(json=schema) for name, schema in schemas.items()},
        responses=dict(sorted(parts.responses.items())),
        parameters=dict(REQUEST_HEADERS),
        headers=dict(ANSWER_HEADERS),
        security_schemes={
            "key": spec.SecurityScheme("http", description="The token of a key.", scheme="bearer"),
        },
    )
