"""The routes of the REST doors, each written from its `Operation` or its `Probe`.

A parameter that is JSON is a string with a `contentSchema`: generators of clients leave out a parameter that has a
`content` instead.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, get_origin

import msgspec
from litestar.openapi import spec
from msgspec import Struct

from app.contract.model import Way
from app.contract.schema import Schema
from app.surfaces.openapi.failures import Failures, failures_of
from app.surfaces.openapi.parts import (
    JSON,
    Operation,
    Parameter,
    Parts,
    Responses,
    header_references,
    json_text,
    parameter,
    reference,
    response,
    text,
)
from app.surfaces.openapi.texts import EVERY_CALLS_HEADERS, LIMITS, described
from app.surfaces.shared.operation import Operation as RouteOperation
from app.surfaces.shared.operation import Probe, Route
from procedures.procedure import Procedure
from schemas import errors
from schemas.issues import unwrap


class _Sent(Struct, frozen=True):
    """A parameter of a route. In the path it is a field of the procedure's input, in the query one of the query's."""

    field: msgspec.structs.FieldInfo
    name: str
    place: Literal["path", "query"]


class _Types(Struct, frozen=True):
    """The types of a route: of its bodies and answers by media type, and of its parameters."""

    bodies: Mapping[str, Any]
    answers: Mapping[str, Any]
    parameters: Sequence[_Sent]


def route_types(route: Route) -> list[tuple[Any, Way]]:
    """Every type of a route, in the order in which `RestOperations.of` takes their schemas."""
    if isinstance(route.operation, Probe):
        return [(each, Way.OUTPUT) for each in route.operation.answers.values()]
    types = _types(route.path, route.operation)
    return [
        *((each, Way.INPUT) for each in types.bodies.values()),
        *((each, Way.OUTPUT) for each in types.answers.values()),
        *((_sent_type(route.operation, each), Way.INPUT) for each in types.parameters),
    ]


class RestOperations:
    """Writes routes."""

    def __init__(self, parts: Parts, failures: Failures) -> None:
        self._parts = parts
        self._failures = failures

    def of(self, route: Route, schemas: Sequence[Schema]) -> Operation:
        """A route, from the schemas of its `route_types`."""
        summary, description = described(route.description)
        operation = Operation(
            tags=[route.door],
            summary=summary,
            description=description,
            operation_id=self._parts.identifier(f"{route.door}.{route.name}"),
        )
        if isinstance(route.operation, Probe):
            self._fill_probe(operation, route.operation, schemas)
        else:
            self._fill(operation, route.path, route.operation, iter(schemas))
        return operation

    def _fill_probe(self, written: Operation, probe: Probe, schemas: Sequence[Schema]) -> None:
        written.security = []
        written.responses = {
            str(status): self._answer(schema, probe.media_types)
            for status, schema in zip(probe.answers, schemas, strict=True)
        }
        if probe.scope is not None:
            written.security = [{"key": [probe.scope]}, {}]
            written.responses |= self._failures.rest([errors.Unauthorized, errors.Forbidden, errors.Unavailable])

    def _fill(self, written: Operation, path: str, operation: RouteOperation[Any], left: Iterator[Schema]) -> None:
        types = _types(path, operation)
        bodies = {media_type: self._parts.media(next(left)) for media_type in types.bodies}
        answers = {media_type: next(left) for media_type in types.answers}
        sent = [self._parameter(operation, each, next(left)) for each in types.parameters]
        names = (*operation.request_headers, *EVERY_CALLS_HEADERS)
        written.security = security(operation.procedure)
        written.parameters = [*(reference("parameters", name) for name in names), *sent]
        written.request_body = spec.RequestBody(bodies, required=True) if bodies else None
        written.responses = {
            str(operation.status): self._success(operation, answers),
            **self._refusals(operation),
        }

    def _success(self, operation: RouteOperation[Any], answers: Mapping[str, Schema]) -> spec.OpenAPIResponse:
        headers = [*(LIMITS if operation.allowance else []), *operation.answer_headers]
        if not answers:
            return response("Done. The answer has no content.", headers)
        (media_type, schema), *others = answers.items()
        said = [self._parts.title(schema), *(f"`Accept: {other}` returns {_shown(each)}." for other, each in others)]
        return response(" ".join(said), headers, {media_type: self._parts.media(schema)})

    def _refusals(self, operation: RouteOperation[Any]) -> Responses:
        with_body = operation.body is not None
        kinds = [
            *failures_of(operation.procedure),
            *([errors.RateLimited] if operation.allowance in {"publish", "query"} else []),
            *([errors.UnsupportedMedia, errors.TimedOut] if with_body else []),
        ]
        return self._failures.rest(kinds, with_body=with_body, counted=operation.allowance is not None)

    def _answer(self, schema: Schema, media_types: Iterable[str]) -> spec.OpenAPIResponse:
        """An answer of a probe, which has no request id."""
        content = {media_type: self._parts.media(schema) for media_type in media_types}
        return spec.OpenAPIResponse(self._parts.title(schema), header_references([]) or None, content)

    def _parameter(self, operation: RouteOperation[Any], sent: _Sent, schema: Schema) -> Parameter:
        field, description = sent.field, schema.get("description", "")
        wanted = _fields(operation.procedure.input).get(field.name)
        as_sent: Callable[[Any], Any] | None = None
        if wanted is None or not _is_text_for(field, wanted):
            written = {name: each for name, each in schema.items() if name != "description"}
            written |= {} if field.required or field.default is None else {"default": field.default}
        elif get_origin(unwrap(wanted.type)[0]) is list and "$ref" not in schema["items"]:
            written, description, as_sent = {"type": "string"}, "Separated by commas.", ",".join
        else:
            written, description, as_sent = json_text(schema), "JSON.", text
        return parameter(
            sent.name,
            sent.place,
            description,
            written,
            self._parts.example(schema, as_sent, member=sent.name),
            required=sent.place == "path" or field.required,
        )


def _shown(schema: Schema) -> str:
    """A type in words: a client whose answer may have several types would have to tell them apart at each call."""
    if schema.get("type") == "array":
        return f"a list of {_shown(schema['items'])}"
    if schema.get("type") == "string":
        return "text"
    return f"`{schema['$ref'].rpartition('/')[2]}`"


def security(procedure: Procedure) -> list[spec.SecurityRequirement]:
    """The scope that a call needs."""
    return [{"key": [procedure.scope] if procedure.scope else []}]


def _types(path: str, operation: RouteOperation[Any]) -> _Types:
    answer = operation.answer or operation.procedure.output
    return _Types(
        bodies={**({} if operation.body is None else {JSON: operation.body}), **operation.other_bodies},
        answers={**({} if operation.status == 204 else {JSON: answer}), **operation.other_answers},
        parameters=_parameters(path, operation),
    )


def _parameters(path: str, operation: RouteOperation[Any]) -> list[_Sent]:
    inputs = _fields(operation.procedure.input)
    in_path = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    return [
        *(_Sent(inputs[name], name, "path") for name in in_path),
        *(_Sent(field, field.encode_name, "query") for field in _fields(operation.query).values()),
    ]


def _fields(struct: type[Struct]) -> dict[str, msgspec.structs.FieldInfo]:
    return {field.name: field for field in msgspec.structs.fields(struct)}


def _sent_type(operation: RouteOperation[Any], sent: _Sent) -> Any:
    """The type of a parameter, which is never null. If its text is JSON or a list, the type of what the text says."""
    field = sent.field
    wanted = _fields(operation.procedure.input).get(field.name)
    bare, meta = unwrap(field.type if wanted is None or not _is_text_for(field, wanted) else wanted.type)
    return Annotated[bare, meta] if meta else bare


def _is_text_for(field: msgspec.structs.FieldInfo, wanted: msgspec.structs.FieldInfo) -> bool:
    """Whether the text of a parameter represents an object or a list of the input."""
    return unwrap(field.type)[0] is str and (get_origin(unwrap(wanted.type)[0]) in {list, dict})
