"""The API document, OpenAPI 3.1: what every door takes and answers, for clients in any language and for `/docs`.

A REST route is told by its `Operation`, a procedure by itself, both by the JSON Schemas of
`app/contract/json_schema.py`. The statuses and the examples of failures are made by the code that answers them. A
parameter that is JSON is a string with a `contentSchema`: the generators of clients leave out what has a `content`
instead.

Pure: the same routes and procedures give the same document.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from inspect import cleandoc
from itertools import islice
from typing import Annotated, Any, Literal, get_origin

import msgspec
from msgspec import Struct

from app.contract.json_schema import json_schemas
from app.contract.model import Way
from app.contract.operation import Kind
from app.contract.schema import Schema
from app.surfaces.openapi.examples import UUID, Examples
from app.surfaces.shared.operation import Operation, Probe, Route
from app.surfaces.shared.rest import Refusal
from app.surfaces.shared.statuses import BAD_REQUEST, TRPC_CODES, UNSUPPORTED_MEDIA_TYPE, status_of
from app.surfaces.trpc.door import MOUNT
from app.surfaces.trpc.envelope import error_object, failure
from app.surfaces.trpc.transformer import TRANSFORMERS
from procedures.described import EVERY_CALLS, published, types_of
from procedures.procedure import Procedure
from schemas import errors
from schemas.event import TYPE_MESSAGE
from schemas.issues import unwrap

Object = dict[str, Any]

JSON = "application/json"

DOORS = {
    "publish": "Events in and out, and webhooks, for whatever speaks HTTP. Calls are limited in their rate.",
    "browse": "A workspace's events, by pages in any order.",
    "ledger": "Events in the shape that anyone can verify; exports, proofs, the audit. `GET {ledger}/stream` is a "
    "WebSocket: each message is one event, as `GET {ledger}/events` shows it, as JSON and a newline. It takes `after` "
    "(the last seq that the reader has), `type`, `filter` and `log`, and `token` where no header can be set.",
    "trpc": "Every procedure, as the client of tRPC calls it; its TypeScript contract is at `/trpc/contract.d.ts`. A "
    "query may be sent by GET, its input as JSON in `input`, or by POST. Several calls may go in one request "
    "(`?batch=1`, names separated by commas), and all of them over one WebSocket at `/trpc`. Any other method is "
    "refused with 405, and `Allow` names those that are taken.",
    "service": "Is the process alive, can it serve, what does it count. `/metrics` alone needs a key, unless it is "
    "asked from the server's own machine.",
}
"""The tags, in the order in which they are shown."""

DESCRIPTION = """
An append-only event log that can prove that nothing in it was altered.

Every call needs a key: `Authorization: Bearer <token>`; the scopes that it needs stand with each operation. A call acts
in the workspace that it names, else in the key's first. Every answer carries `X-Request-Id`: the caller's own, where
one was sent, else a new one; the server's log has it too.
"""

_TEXT: Schema = {"type": "string"}
_COUNT: Schema = {"type": "integer", "minimum": 0}

_ANSWER_HEADERS: dict[str, Object] = {
    "x-request-id": {
        "description": "The call's id, which the server's log has too.",
        "required": True,
        "schema": _TEXT,
        "example": "019ab2c0-5b7e-7c1a-9d57-3f6b1c2d4e5f",
    },
    "retry-after": {"description": "When to retry, in seconds.", "schema": _COUNT, "required": True, "example": 1},
    "x-ratelimit-limit": {
        "description": "Calls in a minute, or webhooks, that the workspace may have.",
        "schema": _COUNT,
        "example": 1000,
    },
    "x-ratelimit-remaining": {"description": "How many of them are left.", "schema": _COUNT, "example": 742},
    "x-ratelimit-reset": {
        "description": "When they are counted anew, in seconds since 1970.",
        "schema": _COUNT,
        "example": 1705316400,
    },
    "content-disposition": {
        "description": "Under which name to keep it.",
        "required": True,
        "schema": _TEXT,
        "example": 'attachment; filename="default-exp_019ab2c05b7e7c1a9d573f6b1c2d4e5f.json"',
    },
}

_LIMITS = [name for name in _ANSWER_HEADERS if name.startswith("x-ratelimit-")]

_REQUEST_HEADERS: dict[str, tuple[str, Schema, Object]] = {
    "X-Workspace-Id": (
        "The workspace that the call acts in, where it does not name one otherwise; else the key's first.",
        _TEXT,
        {"example": "default"},
    ),
    "X-Request-Id": (
        "An id for the call of your own: up to 128 of letters, digits and `._:/+=-`; another is replaced.",
        _TEXT,
        {"example": "req-42"},
    ),
    "Idempotency-Key": (
        "Makes a retry safe: under the same key of the same API key there is one event.",
        {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]*$"},
        {"example": "run-gh-001"},
    ),
    "Last-Event-ID": (
        "The id of the last event that was received: the stream goes on behind it.",
        _TEXT,
        {"example": UUID},
    ),
}
"""What each says, its schema and its example."""

_EVERY_CALLS_HEADERS = ("X-Workspace-Id", "X-Request-Id")

_INVALID = errors.InvalidInput(
    [errors.Issue("limit", "must be a whole number from 1 to 100"), errors.Issue("level", "is not a known field")]
)
_SAMPLES: list[errors.ProcedureError] = [
    _INVALID,
    errors.PayloadTooLarge("Event payload exceeds 1048576 bytes; split it, or keep large content elsewhere"),
    errors.UnsupportedMedia("Content-Encoding must be gzip, or absent", field="Content-Encoding"),
    errors.Unauthorized("No valid token was sent"),
    errors.Forbidden("The key lacks the scope events:write"),
    errors.NotFound("Event not found", field="eventId"),
    errors.Conflict("The id is taken by an event with other content", hash=f"sha256:{'5e' * 32}", field="id"),
    errors.RateLimited("Too many calls in this minute", limit=1000, reset=1705316400, retry_after_seconds=12),
    errors.TimedOut("The body did not arrive within 30 s; send the request again"),
    errors.Unavailable("The database is not reachable; nothing was stored"),
    errors.Internal(),
]
"""A failure of each class."""

_INVALID_BODIES: list[errors.ProcedureError] = [
    errors.InvalidInput([errors.Issue("type", TYPE_MESSAGE, "invalid_event_type")]),
    errors.InvalidInput([errors.Issue("data", "is required", "missing_required_field")]),
    errors.InvalidInput([errors.Issue("", "is not JSON", "malformed_json")]),
]
"""Of bodies, in the finer codes that are published."""

_TRPC_ERROR: Schema = {
    "type": "object",
    "description": "Why a call failed. `data.reason` is the published error code, finer than `data.code`.",
    "properties": {
        "message": {"type": "string", "description": "A sentence for a person."},
        "code": {"type": "integer", "description": "JSON-RPC's number."},
        "data": {
            "type": "object",
            "properties": {
                "code": {"type": "string", "enum": TRPC_CODES},
                "httpStatus": {"type": "integer"},
                "path": {"type": "string", "description": "The procedure; absent where a whole request failed."},
                "reason": _TEXT,
                "issues": {
                    "type": "array",
                    "description": "Every invalid place of the input, its path as dotted text.",
                    "items": {
                        "type": "object",
                        "properties": {"path": _TEXT, "message": _TEXT},
                        "required": ["path", "message"],
                    },
                },
                "hash": {"type": "string", "description": "Of the event that is stored under the id."},
                "retryAfterSeconds": {"type": "integer"},
                "ids": {"type": "array", "items": _TEXT},
            },
            "required": ["code", "httpStatus"],
        },
    },
    "required": ["message", "code", "data"],
}


def openapi(
    routes: Iterable[Route],
    procedures: Mapping[str, Procedure],
    *,
    version: str,
    transformer: Literal["none", "superjson"] = "none",
) -> Object:
    """The document of a server that serves these routes, and these procedures over tRPC.

    Raises ValueError, in one sentence, where a type has no JSON Schema or two would share a name.
    """
    served = sorted(routes, key=lambda route: (list(DOORS).index(route.door), route.path, route.method))
    groups = [[(Refusal, Way.OUTPUT)], *map(_route_types, served), *map(types_of, procedures.values())]
    found, components = json_schemas(
        [pair for group in groups for pair in group],
        ref_template=_ref("schemas", "{name}"),
        reserved=["TrpcError"],
        nulls_in_filters=False,
    )
    found, components = _plainer(found), _plainer(components)
    left = iter(found)
    [refusal], *schemas = [list(islice(left, len(group))) for group in groups]
    writer = _Writer(components, refusal, superjson=transformer == "superjson")
    paths: dict[str, Object] = {}
    for route, own in zip(served, schemas, strict=False):
        paths.setdefault(route.path, {})[route.method] = writer.route(route, own)
    for procedure, own in zip(procedures.values(), schemas[len(served) :], strict=True):
        paths[f"{MOUNT}/{procedure.name}"] = dict(writer.procedure(procedure, own))
    ledger = next((route.path.removesuffix("/events") for route in served if route.door == "ledger"), "")
    doors = {route.door for route in served} | ({"trpc"} if procedures else set())
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Synap Events",
            "version": version,
            "description": DESCRIPTION.strip(),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"key": []}],
        "tags": [
            {"name": door, "description": text.replace("{ledger}", ledger)}
            for door, text in DOORS.items()
            if door in doors
        ],
        "paths": paths,
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "The token of a key."}},
            "schemas": {**components, **writer.schemas},
            "responses": dict(sorted(writer.responses.items())),
            "parameters": {
                name: _sent(name, "header", *told, required=False) for name, told in _REQUEST_HEADERS.items()
            },
            "headers": _ANSWER_HEADERS,
        },
    }


def _plainer(node: Any) -> Any:
    """The same schemas in the words that generators of clients know.

    A free object says so; a sole choice is a `const`, and so is null if it stands by itself; several types are choices.
    Generators do not know `patternProperties`: an object that has them is open, or no client could send such a member.
    """
    if isinstance(node, list):
        return [_plainer(each) for each in node]
    if not isinstance(node, dict):
        return node
    if node.get("type") == "object" and not node.keys() & {"properties", "patternProperties", "additionalProperties"}:
        return {**node, "additionalProperties": True}
    if "patternProperties" in node:
        left_out = {"patternProperties", "propertyNames"}
        node = {name: each for name, each in node.items() if name not in left_out} | {"additionalProperties": True}
    choices = node.get("enum")
    if isinstance(choices, list) and len(choices) == 1:
        return {**{name: each for name, each in node.items() if name != "enum"}, "const": choices[0]}
    if isinstance(node.get("type"), list):
        return {"anyOf": [_of_one_type(node, each) for each in node["type"]]}
    return {name: _plainer_part(name, each) for name, each in node.items()}


def _plainer_part(keyword: str, value: Any) -> Any:
    if keyword == "properties":
        return {name: {"const": None} if each == {"type": "null"} else _plainer(each) for name, each in value.items()}
    if keyword == "anyOf":
        members = [_plainer(each) for each in value]
        return [one for each in members for one in (each["anyOf"] if each.keys() == {"anyOf"} else [each])]
    return _plainer(value)


def _of_one_type(node: Object, kind: str) -> Object:
    """One of the types that a schema allows, without what limits texts alone."""
    of_texts = {"minLength", "maxLength", "pattern", "format"}
    return {name: each for name, each in node.items() if kind == "string" or name not in of_texts} | {"type": kind}


def _route_types(route: Route) -> list[tuple[Any, Way]]:
    """Of the body, if there is one, of the answers, and of the parameters in the path and in the query."""
    operation = route.operation
    if isinstance(operation, Probe):
        return [(each, Way.OUTPUT) for each in operation.answers.values()]
    return [
        *([] if operation.body is None else [(operation.body, Way.INPUT)]),
        *((each, Way.INPUT) for each in operation.other_bodies.values()),
        *([] if operation.status == 204 else [(operation.answer or operation.procedure.output, Way.OUTPUT)]),
        *((each, Way.OUTPUT) for each in operation.other_answers.values()),
        *((_sent_type(operation, parameter), Way.INPUT) for parameter in _parameters(route.path, operation)),
    ]


class _Parameter(Struct, frozen=True):
    """A parameter of a route: its field of the query's Struct, or where it stands in the path, of the input's."""

    field: msgspec.structs.FieldInfo
    name: str
    place: Literal["path", "query"]


def _parameters(path: str, operation: Operation[Any]) -> list[_Parameter]:
    inputs = _fields(operation.procedure.input)
    in_path = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    return [
        *(_Parameter(inputs[name], name, "path") for name in in_path),
        *(_Parameter(field, field.encode_name, "query") for field in _fields(operation.query).values()),
    ]


def _fields(struct: type[Struct]) -> dict[str, msgspec.structs.FieldInfo]:
    return {field.name: field for field in msgspec.structs.fields(struct)}


def _sent_type(operation: Operation[Any], parameter: _Parameter) -> Any:
    """The type of a parameter, which is never null; of one that is JSON or a list in a text, what the text says."""
    field = parameter.field
    wanted = _fields(operation.procedure.input).get(field.name)
    bare, meta = unwrap(field.type if wanted is None or not _is_text_for(field, wanted) else wanted.type)
    return Annotated[bare, meta] if meta else bare


def _is_text_for(field: msgspec.structs.FieldInfo, wanted: msgspec.structs.FieldInfo) -> bool:
    """Whether the text of a parameter stands for an object or a list of the input."""
    return unwrap(field.type)[0] is str and (get_origin(unwrap(wanted.type)[0]) in {list, dict})


def _itself(value: Any) -> Any:
    return value


class _Writer:
    """Writes operations, and notes what they share."""

    def __init__(self, components: dict[str, Schema], refusal: Schema, *, superjson: bool) -> None:
        self._refusal = refusal
        self._superjson = superjson
        self._transformer = TRANSFORMERS["superjson" if superjson else "none"]
        self._examples = Examples(components)
        self.schemas: dict[str, Schema] = {}
        self.responses: dict[str, Object] = {}

    def route(self, route: Route, schemas: Sequence[Schema]) -> Object:
        """A REST route, from its schemas as `_route_types` has them."""
        operation, left = route.operation, iter(schemas)
        written: Object = {
            "tags": [route.door],
            "operationId": _identifier(route.door, route.name),
            **_described(route.description),
        }
        if isinstance(operation, Probe):
            answers = {
                str(status): self._answer(schema, media_types=operation.media_types)
                for status, schema in zip(operation.answers, left, strict=True)
            }
            if operation.scope is None:
                return {**written, "security": [], "responses": answers}
            refused = self._refusals([errors.Unauthorized, errors.Forbidden, errors.Unavailable])
            return {**written, "security": [{"key": [operation.scope]}, {}], "responses": {**answers, **dict(refused)}}
        taken = [*([] if operation.body is None else [JSON]), *operation.other_bodies]
        bodies = {media_type: self._media(next(left)) for media_type in taken}
        headers = [*(_LIMITS if operation.allowance else []), *operation.answer_headers]
        if operation.status == 204:
            answer = _response("There is nothing more to say.", headers)
        else:
            answer = self._answer(next(left), headers)
            answer["content"] |= {media_type: self._media(next(left)) for media_type in operation.other_answers}
        parameters = _parameters(route.path, operation)
        return {
            **written,
            "security": _security(operation.procedure),
            "parameters": [
                *(_refer_header(name) for name in (*operation.request_headers, *_EVERY_CALLS_HEADERS)),
                *(self._parameter(operation, each, schema) for each, schema in zip(parameters, left, strict=True)),
            ],
            **({"requestBody": {"required": True, "content": bodies}} if bodies else {}),
            "responses": {
                str(operation.status): answer,
                **dict(self._rest_failures(operation)),
                **(self._too_long() if parameters else {}),
            },
        }

    def procedure(self, procedure: Procedure, schemas: Sequence[Schema]) -> Iterator[tuple[str, Object]]:
        """A procedure over tRPC, by its methods, from its schemas as `types_of` has them."""
        wanted, *answers = schemas
        written: Object = {"tags": ["trpc"], **_described(procedure.description), "security": _security(procedure)}
        headers = [_refer_header(name) for name in _EVERY_CALLS_HEADERS]
        sent = self._enveloped(wanted, optional=procedure.optional)
        if procedure.kind is not Kind.MUTATION:
            stream = procedure.kind is Kind.SUBSCRIPTION
            yield (
                "get",
                {
                    **written,
                    "operationId": _identifier("trpc", procedure.name),
                    "parameters": [
                        _sent(
                            "input",
                            "query",
                            "The input, as JSON.",
                            _json_text(sent),
                            self._example(wanted, lambda value: _text(self._wrapped(value))),
                            required=not procedure.optional,
                        ),
                        *([_refer_header("Last-Event-ID")] if stream else []),
                        *headers,
                    ],
                    "responses": {
                        "200": self._stream(answers) if stream else self._result(answers[0]),
                        **dict(self._trpc_failures(() if stream else _failures(procedure), by_post=False)),
                        **self._too_long(),
                    },
                },
            )
        if procedure.kind is not Kind.SUBSCRIPTION:
            by_post = "" if procedure.kind is Kind.MUTATION else "ByPost"
            yield (
                "post",
                {
                    **written,
                    "operationId": _identifier("trpc", procedure.name) + by_post,
                    "parameters": headers,
                    "requestBody": {
                        "required": not procedure.optional,
                        "content": {JSON: {"schema": sent, **self._example(wanted, self._wrapped)}},
                    },
                    "responses": {
                        "200": self._result(answers[0]),
                        **dict(self._trpc_failures((*_failures(procedure), errors.TimedOut), by_post=True)),
                    },
                },
            )

    def _parameter(self, operation: Operation[Any], parameter: _Parameter, schema: Schema) -> Object:
        field, description = parameter.field, schema.get("description", "")
        wanted = _fields(operation.procedure.input).get(field.name)
        as_sent: Callable[[Any], Any] = _itself
        if wanted is None or not _is_text_for(field, wanted):
            sent = {name: each for name, each in schema.items() if name != "description"}
            sent |= {} if field.required or field.default is None else {"default": field.default}
        elif get_origin(unwrap(wanted.type)[0]) is list and "$ref" not in schema["items"]:
            sent, description, as_sent = _TEXT, "Separated by commas.", ",".join
        else:
            sent, description, as_sent = _json_text(schema), "JSON.", _text
        return _sent(
            parameter.name,
            parameter.place,
            description,
            sent,
            self._example(schema, as_sent, member=parameter.name),
            required=parameter.place == "path" or field.required,
        )

    def _media(self, schema: Schema) -> Object:
        return {"schema": schema, **self._example(schema)}

    def _example(self, schema: Schema, as_sent: Callable[[Any], Any] = _itself, *, member: str = "") -> Object:
        """The example of a value, where there is one."""
        try:
            return {"example": as_sent(self._examples.of(schema, member))}
        except LookupError:
            return {}

    def _answer(
        self, schema: Schema, headers: Iterable[str] | None = None, media_types: Iterable[str] = (JSON,)
    ) -> Object:
        """An answer; without `headers` one that has no request id either."""
        named = [] if headers is None else ["x-request-id", *headers]
        return {
            "description": self._examples.title(schema),
            **({"headers": _refer_headers(named)} if named else {}),
            "content": {media_type: self._media(schema) for media_type in media_types},
        }

    def _result(self, schema: Schema) -> Object:
        """The answer of a procedure, in tRPC's envelope."""
        envelope = _object(result=_object(data=self._enveloped(schema)))
        example = self._example(schema, lambda value: {"result": {"data": self._wrapped(value)}})
        return _response(self._examples.title(schema), [], {JSON: {"schema": envelope, **example}})

    def _stream(self, answers: Sequence[Schema]) -> Object:
        """The answer of a subscription: a stream, whatever becomes of it."""
        values = [self._enveloped(each) for each in answers]
        schema = {
            "type": "string",
            "contentMediaType": "text/event-stream",
            "contentSchema": values[0] if len(values) == 1 else {"anyOf": values},
        }
        example = self._example(
            answers[0],
            lambda value: f"event: connected\ndata: {{}}\n\ndata: {_text(self._wrapped(value))}\nid: {UUID}\n\n",
        )
        return _response(
            "Server-sent events. First `connected`; then one without a name for each value, its `data` as in "
            "`contentSchema`, its `id` the place to resume behind; `ping` between them. `serialized-error` ends the "
            "stream, and so is a call refused that cannot begin: its `data` is as `error` of other calls. `return` "
            "says that there is no more.",
            [],
            {"text/event-stream": {"schema": schema, **example}},
        )

    def _rest_failures(self, operation: Operation[Any]) -> Iterator[tuple[str, Object]]:
        """What a REST route may answer else, by status."""
        limited = {"publish", "query"} & {operation.allowance}
        with_body = operation.body is not None
        more = [
            *([errors.RateLimited] if limited else []),
            *([errors.UnsupportedMedia, errors.TimedOut] if with_body else []),
        ]
        kinds = dict.fromkeys((*_failures(operation.procedure), *more))
        return self._refusals(kinds, with_body=with_body, counted=operation.allowance is not None)

    def _refusals(
        self, kinds: Iterable[type[errors.ProcedureError]], *, with_body: bool = False, counted: bool = False
    ) -> Iterator[tuple[str, Object]]:
        """These failures in the shape of the REST doors, by status; `counted`: with the headers of a limit."""
        for status, some in _by_status(kinds):
            samples = [sample for kind in some for sample in _samples(kind, with_body=with_body)]
            name = "".join(
                [
                    "Limited" if counted else "",
                    *(kind.__name__ for kind in some),
                    "OfBody" if len(samples) > len(some) else "",
                ]
            )
            examples = {
                refused.error.code: {"value": msgspec.to_builtins(refused)} for refused in map(Refusal.of, samples)
            }
            headers = [*_retry(some), *(_LIMITS if counted else [])]
            content = {JSON: {"schema": self._refusal, "examples": examples}}
            yield status, self._shared(name, _response(_said(some), headers, content))

    def _trpc_failures(
        self, kinds: Iterable[type[errors.ProcedureError]], *, by_post: bool
    ) -> Iterator[tuple[str, Object]]:
        """What tRPC may answer else, by status: for a call, and where a whole request is refused."""
        of_requests = [error_object(BAD_REQUEST, "The path has a malformed percent-encoding")]
        if by_post:
            of_requests.append(error_object(UNSUPPORTED_MEDIA_TYPE, "The content-type must be application/json"))
        grouped = dict(_by_status(dict.fromkeys(kinds)))
        refused = {str(msgspec.json.decode(each)["data"]["httpStatus"]): each for each in of_requests}
        for status in sorted(grouped.keys() | refused.keys()):
            some = grouped.get(status, [])
            samples = [sample for kind in some for sample in _samples(kind, with_body=True)]
            examples = {
                sample.reason if isinstance(sample, errors.InvalidInput) else sample.code: failure(
                    sample, "events.log"
                ).error
                or b""
                for sample in samples
            } | ({"request": refused[status]} if status in refused else {})
            name = "Trpc" + ("".join(kind.__name__ for kind in some) or f"Request{status}")
            self.schemas["TrpcError"] = _TRPC_ERROR
            error = {"$ref": _ref("schemas", "TrpcError")}
            content = {
                "schema": _object(error=_object(json=error) if self._superjson else error),
                "examples": {
                    reason: {"value": {"error": msgspec.json.decode(self._transformer.error(each))}}
                    for reason, each in examples.items()
                },
            }
            said = _said(some) if some else "The request is none of tRPC's."
            yield status, self._shared(name, _response(said, _retry(some), {JSON: content}))

    def _too_long(self) -> Object:
        response = {"description": "The URL has more than 64 KiB. There is nothing in the answer."}
        return {"414": self._shared("UriTooLong", response)}

    def _shared(self, name: str, response: Object) -> Object:
        """Refer to a response by this name, unless another has it: a developer's error may be called as one of ours."""
        while self.responses.setdefault(name, response) != response:
            name += "_"
        return {"$ref": _ref("responses", name)}

    def _enveloped(self, schema: Schema, *, optional: bool = False) -> Schema:
        """A value as the transformer puts it."""
        if not self._superjson:
            return schema
        meta = {
            "anyOf": [{"type": "object", "additionalProperties": True}, {"type": "null"}],
            "description": "Which values of `json` are Dates, or undefined.",
        }
        return {
            "type": "object",
            "properties": {"json": schema, "meta": meta},
            **({} if optional else {"required": ["json"]}),
        }

    def _wrapped(self, example: Any) -> Any:
        return {"json": example} if self._superjson else example


def _failures(procedure: Procedure) -> list[type[errors.ProcedureError]]:
    return list(dict.fromkeys((*procedure.errors, *EVERY_CALLS)))


def _samples(kind: type[errors.ProcedureError], *, with_body: bool) -> list[errors.ProcedureError]:
    """Failures of a class; of an unlisted one, as that of the nearest one it derives from, under its own code."""
    nearest = next((each for base in kind.__mro__ for each in _SAMPLES if type(each) is base), _SAMPLES[-1])
    sample = kind.__new__(kind)
    sample.__dict__.update(nearest.__dict__)
    return [sample, *_INVALID_BODIES] if kind is errors.InvalidInput and with_body else [sample]


def _by_status(kinds: Iterable[type[errors.ProcedureError]]) -> Iterator[tuple[str, list[type[errors.ProcedureError]]]]:
    grouped: dict[str, list[type[errors.ProcedureError]]] = {}
    for kind in kinds:
        [sample] = _samples(kind, with_body=False)
        grouped.setdefault(str(status_of(sample).http), []).append(kind)
    for status in sorted(grouped):
        yield status, sorted(grouped[status], key=lambda kind: kind.__name__)


def _said(kinds: Iterable[type[errors.ProcedureError]]) -> str:
    """The first clause of each failure's docstring: the rest is for those who raise it."""
    clauses = (cleandoc(kind.__doc__ or kind.code).partition("\n")[0].partition(";")[0] for kind in kinds)
    return " Or: ".join(clause.removesuffix(".") + "." for clause in clauses)


def _retry(kinds: Iterable[type[errors.ProcedureError]]) -> list[str]:
    return ["retry-after"] if any(issubclass(kind, errors.Unavailable | errors.RateLimited) for kind in kinds) else []


def _security(procedure: Procedure) -> list[Object]:
    return [{"key": [procedure.scope] if procedure.scope else []}]


def _described(text: str) -> Object:
    """The first line of a docstring, without its full stop, and all of it; failures by their codes, not our classes."""
    text = _SECTION.sub("", published(text))
    summary, _, rest = text.partition("\n")
    return {"summary": summary.removesuffix("."), **({"description": text} if rest.strip() else {})}


_SECTION = re.compile(r" \(section [^)]*\)")


def _response(description: str, headers: Iterable[str], content: Object | None = None) -> Object:
    return {
        "description": description,
        "headers": _refer_headers(["x-request-id", *headers]),
        **({} if content is None else {"content": content}),
    }


def _sent(name: str, place: str, description: str, schema: Schema, example: Object, *, required: bool) -> Object:
    """A parameter. The example of an optional one is in its schema: the others a page for trying it out fills in."""
    if example and not required:
        schema, example = {**schema, "examples": [example["example"]]}, {}
    return {
        "name": name,
        "in": place,
        **({"required": True} if required else {}),
        **({"description": description} if description else {}),
        "schema": schema,
        **example,
    }


def _refer_header(name: str) -> Object:
    return {"$ref": _ref("parameters", name)}


def _refer_headers(names: Iterable[str]) -> Object:
    return {name: {"$ref": _ref("headers", name)} for name in names}


def _ref(kind: str, name: str) -> str:
    return f"#/components/{kind}/{name}"


def _json_text(schema: Schema) -> Schema:
    """JSON in a text."""
    return {"type": "string", "contentMediaType": JSON, "contentSchema": schema}


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _object(**members: Schema) -> Schema:
    return {"type": "object", "properties": members, "required": list(members)}


def _identifier(door: str, name: str) -> str:
    """`trpc` and `events.logBatch` make `trpcEventsLogBatch`."""
    words = name.replace(".", "_").split("_")
    return door + "".join(word[:1].upper() + word[1:] for word in words)
