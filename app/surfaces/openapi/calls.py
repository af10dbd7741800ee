"""The procedures as tRPC serves them, by GET and by POST."""

from collections.abc import Sequence
from typing import Any

from litestar.openapi import spec

from app.contract.operation import Kind
from app.contract.schema import Schema
from app.surfaces.openapi.examples import UUID
from app.surfaces.openapi.failures import Failures, failures_of
from app.surfaces.openapi.operations import security
from app.surfaces.openapi.parts import (
    JSON,
    Operation,
    Parameter,
    Parts,
    Verbatim,
    json_text,
    obj,
    parameter,
    reference,
    response,
    text,
)
from app.surfaces.openapi.texts import EVERY_CALLS_HEADERS, described, namespace
from procedures.procedure import Procedure
from schemas import errors

_STREAM = (
    "Server-sent events. The first is `connected`. Then each value is an event without a name: `contentSchema` "
    "describes its `data`, and its `id` is the place after which to resume. `ping` comes between them. `return` says "
    "that the stream is complete. `serialized-error` ends the stream, or rejects a call that cannot begin; its `data` "
    "has the shape of `error` in other calls."
)


class TrpcCalls:
    """Writes procedures."""

    def __init__(self, parts: Parts, failures: Failures, *, superjson: bool) -> None:
        self._parts = parts
        self._failures = failures
        self._superjson = superjson

    def of(self, procedure: Procedure, schemas: Sequence[Schema]) -> spec.PathItem:
        """A procedure with its methods, from the schemas of its `types_of`."""
        wanted, *answers = schemas
        return spec.PathItem(
            get=None if procedure.kind is Kind.MUTATION else self._get(procedure, wanted, answers),
            post=None if procedure.kind is Kind.SUBSCRIPTION else self._post(procedure, wanted, answers[0]),
        )

    def _get(self, procedure: Procedure, wanted: Schema, answers: Sequence[Schema]) -> Operation:
        stream = procedure.kind is Kind.SUBSCRIPTION
        operation = self._operation(procedure, procedure.name if stream else f"{procedure.name}_by_get")
        headers = (*(["Last-Event-ID"] if stream else []), *EVERY_CALLS_HEADERS)
        operation.parameters = [self._input(procedure, wanted), *(reference("parameters", name) for name in headers)]
        operation.responses = {
            "200": self._stream(answers) if stream else self._result(procedure.name, answers[0]),
            **self._failures.trpc(() if stream else failures_of(procedure), by_post=False),
        }
        return operation

    def _post(self, procedure: Procedure, wanted: Schema, answer: Schema) -> Operation:
        operation = self._operation(procedure, procedure.name)
        sent = self._enveloped(wanted, optional=procedure.optional)
        operation.parameters = [reference("parameters", name) for name in EVERY_CALLS_HEADERS]
        operation.request_body = spec.RequestBody(
            {JSON: spec.OpenAPIMediaType(Verbatim(json=sent), example=self._parts.example(wanted, self._wrapped))},
            required=not procedure.optional,
        )
        operation.responses = {
            "200": self._result(procedure.name, answer),
            **self._failures.trpc((*failures_of(procedure), errors.TimedOut), by_post=True),
        }
        return operation

    def _operation(self, procedure: Procedure, name: str) -> Operation:
        summary, description = described(procedure.description)
        return Operation(
            tags=[namespace(procedure.name)],
            summary=summary,
            description=description,
            operation_id=self._parts.identifier(name),
            security=security(procedure),
        )

    def _input(self, procedure: Procedure, wanted: Schema) -> Parameter:
        return parameter(
            "input",
            "query",
            "The input, as JSON.",
            json_text(self._enveloped(wanted, optional=procedure.optional)),
            self._parts.example(wanted, lambda value: text(self._wrapped(value))),
            required=not procedure.optional,
        )

    def _result(self, procedure: str, schema: Schema) -> spec.OpenAPIResponse:
        """The answer of a procedure, in tRPC's envelope."""
        envelope = obj(result=obj(data=self._enveloped(schema)))
        example = self._parts.example(
            schema, lambda value: {"result": {"data": self._wrapped(value)}}, member=procedure
        )
        content = {JSON: spec.OpenAPIMediaType(Verbatim(json=envelope), example=example)}
        return response(self._parts.title(schema), [], content)

    def _stream(self, answers: Sequence[Schema]) -> spec.OpenAPIResponse:
        """The answer of a subscription, which is a stream even if the call is refused."""
        values = [self._enveloped(each) for each in answers]
        schema = {
            "type": "string",
            "contentMediaType": "text/event-stream",
            "contentSchema": values[0] if len(values) == 1 else {"anyOf": values},
        }
        example = self._parts.example(
            answers[0],
            lambda value: f"event: connected\ndata: {{}}\n\ndata: {text(self._wrapped(value))}\nid: {UUID}\n\n",
        )
        return response(
            _STREAM, [], {"text/event-stream": spec.OpenAPIMediaType(Verbatim(json=schema), example=example)}
        )

    def _enveloped(self, schema: Schema, *, optional: bool = False) -> Schema:
        """The schema of a value as the transformer writes it."""
        if not self._superjson:
            return schema
        meta = {
            "anyOf": [{"type": "object", "additionalProperties": True}, {"type": "null"}],
            "description": "Which values of `json` are Dates, or undefined.",
        }
        envelope: Schema = {"type": "object", "properties": {"json": schema, "meta": meta}}
        return envelope if optional else {**envelope, "required": ["json"]}

    def _wrapped(self, example: Any) -> Any:
        return {"json": example} if self._superjson else example
