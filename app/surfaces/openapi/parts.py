"""The pieces of the API document: Litestar's typed classes of OpenAPI 3.1, and what all operations share."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from litestar.openapi import spec

from app.contract.schema import Schema
from app.surfaces.openapi.examples import Examples

JSON = "application/json"


@dataclass
class Verbatim(spec.Schema):
    """JSON that the document contains unchanged: a schema, or an example. The other classes would drop its nulls."""

    json: Any = None

    def to_schema(self) -> Any:
        """The JSON itself."""
        return self.json


class _Sparse(spec.BaseSchemaObject):
    """Leaves out flags that are false, which is their default."""

    def to_schema(self) -> dict[str, Any]:
        """The object as JSON."""
        return {name: value for name, value in super().to_schema().items() if value is not False}


class Operation(_Sparse, spec.Operation):
    """One method of a path."""


class Parameter(_Sparse, spec.Parameter):
    """A value that a caller sends beside the body."""


class Header(_Sparse, spec.OpenAPIHeader):
    """A header of an answer."""


Responses = dict[str, spec.OpenAPIResponse | spec.Reference]


class Parts:
    """Writes the pieces of operations, and collects the responses that operations share."""

    def __init__(self, components: dict[str, Schema]) -> None:
        self._examples = Examples(components)
        self._identifiers: set[str] = set()
        self.schemas: dict[str, Schema] = {}
        self.responses: dict[str, spec.OpenAPIResponse] = {}

    def shared(self, name: str, response: spec.OpenAPIResponse) -> spec.Reference:
        """A reference to a response of this name, or of `name_` if an extension's error has the name of one of ours."""
        while self.responses.setdefault(name, response) != response:
            name += "_"
        return reference("responses", name)

    def identifier(self, name: str) -> str:
        """The name of an operation: `eventsLogBatch` of `events.logBatch`, or with `_` behind it if it is taken."""
        first, *words = name.replace(".", "_").split("_")
        called = first + "".join(word[:1].upper() + word[1:] for word in words)
        while called in self._identifiers:
            called += "_"
        self._identifiers.add(called)
        return called

    def media(self, schema: Schema) -> spec.OpenAPIMediaType:
        """A body, with its example."""
        return spec.OpenAPIMediaType(Verbatim(json=schema), example=self.example(schema))

    def example(
        self, schema: Schema, as_sent: Callable[[Any], Any] | None = None, *, member: str = ""
    ) -> Verbatim | None:
        """The example of a value, in the form in which it is sent; None if there is none."""
        try:
            value = self._examples.of(schema, member)
        except LookupError:
            return None
        return Verbatim(json=value if as_sent is None else as_sent(value))

    def title(self, schema: Schema) -> str:
        """The description of an answer, in a line."""
        return self._examples.title(schema)


def parameter(
    name: str,
    place: Literal["path", "query", "header"],
    description: str,
    schema: Schema,
    example: Verbatim | None,
    *,
    required: bool,
) -> Parameter:
    """A parameter. An optional one has its example in its schema: pages for trying out would fill in any other."""
    if example and not required:
        schema, example = {**schema, "examples": [example.json]}, None
    return Parameter(
        name, place, Verbatim(json=schema), description=description or None, required=required, example=example
    )


def response(
    description: str, headers: Iterable[str], content: dict[str, spec.OpenAPIMediaType] | None = None
) -> spec.OpenAPIResponse:
    """An answer with a request id, and these headers too."""
    return spec.OpenAPIResponse(description, header_references(["x-request-id", *headers]), content)


def header_references(names: Iterable[str]) -> dict[str, spec.OpenAPIHeader | spec.Reference]:
    """References to the headers of these names."""
    return {name: reference("headers", name) for name in names}


def reference(kind: str, name: str) -> spec.Reference:
    """A reference to a component."""
    return spec.Reference(ref(kind, name))


def ref(kind: str, name: str) -> str:
    """Where a component is."""
    return f"#/components/{kind}/{name}"


def json_text(schema: Schema) -> Schema:
    """The schema of a text that is JSON."""
    return {"type": "string", "contentMediaType": JSON, "contentSchema": schema}


def text(value: Any) -> str:
    """A value as JSON text."""
    return msgspec.json.encode(value).decode()


def obj(**members: Schema) -> Schema:
    """The schema of an object with these members."""
    return {"type": "object", "properties": members, "required": list(members)}
