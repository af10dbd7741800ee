"""The failures of operations. Their statuses and examples are made by the code that answers them."""

from collections.abc import Iterable, Mapping
from inspect import cleandoc
from typing import Any

import msgspec
from litestar.openapi import spec

from app.contract.schema import Schema
from app.surfaces.openapi.parts import JSON, Parts, Responses, Verbatim, obj, ref, response
from app.surfaces.openapi.texts import LIMITS
from app.surfaces.shared.rest import Refusal
from app.surfaces.shared.statuses import BAD_REQUEST, TRPC_CODES, UNSUPPORTED_MEDIA_TYPE, status_of
from app.surfaces.trpc.envelope import error_object, failure
from app.surfaces.trpc.transformer import Transformer
from procedures.described import EVERY_CALLS
from procedures.procedure import Procedure
from schemas import errors
from schemas.event import TYPE_MESSAGE

Failure = type[errors.ProcedureError]

_HASH = f"sha256:{'5e' * 32}"

_SAMPLES: list[errors.ProcedureError] = [
    errors.InvalidInput(
        [errors.Issue("limit", "must be a whole number from 1 to 100"), errors.Issue("level", "is not a known field")]
    ),
    errors.PayloadTooLarge("Event payload exceeds 1048576 bytes; split it, or keep large content elsewhere"),
    errors.UnsupportedMedia("Content-Encoding must be gzip, or absent", field="Content-Encoding"),
    errors.Unauthorized("No valid token was sent"),
    errors.Forbidden("The key lacks the scope events:write"),
    errors.NotFound("Event not found", field="eventId"),
    errors.Conflict("The id is taken by an event with other content", hash=_HASH, field="id"),
    errors.NotApproved("The intent is not approved yet; intents.wait returns when it is decided", hash=_HASH),
    errors.UsedUp("All uses of the intent (1) are started", hash=_HASH),
    errors.IntentEnded("The intent is expired", hash=_HASH),
    errors.ParametersDiffer(
        "These are not the parameters that were approved: send `data.parameters` of the intent", field="parameters"
    ),
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
"""Failures of bodies, with the finer codes that are published."""

_TEXT: Schema = {"type": "string"}

TRPC_ERROR: Schema = {
    "type": "object",
    "description": "Why a call failed. `data.reason` is the published error code, finer than `data.code`.",
    "properties": {
        "message": {"type": "string", "description": "A sentence for a person."},
        "code": {"type": "integer", "description": "The number that JSON-RPC has for the code."},
        "data": {
            "type": "object",
            "properties": {
                "code": {"type": "string", "enum": TRPC_CODES},
                "httpStatus": {"type": "integer"},
                "path": {"type": "string", "description": "The procedure. Absent if a whole request failed."},
                "reason": _TEXT,
                "issues": {
                    "type": "array",
                    "description": "Every invalid place of the input, its path as dotted text.",
                    "items": obj(path=_TEXT, message=_TEXT),
                },
                "hash": {"type": "string", "description": "The hash of the event that is stored under the id."},
                "retryAfterSeconds": {
                    "type": "integer",
                    "description": "How many seconds to wait before a retry, if a retry can help.",
                },
                "ids": {
                    "type": "array",
                    "description": "If it is unknown whether the events are stored: the ids to send in a retry.",
                    "items": _TEXT,
                },
            },
            "required": ["code", "httpStatus"],
        },
    },
    "required": ["message", "code", "data"],
}


def failures_of(procedure: Procedure) -> list[Failure]:
    """Every failure of a call."""
    return list(dict.fromkeys((*procedure.errors, *EVERY_CALLS)))


class Failures:
    """Writes failures in the form of each door, by status."""

    def __init__(self, parts: Parts, refusal: Schema, transformer: Transformer) -> None:
        self._parts = parts
        self._refusal = refusal
        self._transformer = transformer

    def rest(self, kinds: Iterable[Failure], *, with_body: bool = False, counted: bool = False) -> Responses:
        """Failures in the form of the REST doors; `counted` ones have the headers of a limit."""
        return {
            status: self._refused(some, with_body=with_body, counted=counted)
            for status, some in _by_status(kinds).items()
        }

    def trpc(self, kinds: Iterable[Failure], *, by_post: bool) -> Responses:
        """Failures of a tRPC call, and of a whole request."""
        grouped = _by_status(kinds)
        of_requests = [error_object(BAD_REQUEST, "The path has a malformed percent-encoding")]
        if by_post:
            of_requests.append(error_object(UNSUPPORTED_MEDIA_TYPE, "The content-type must be application/json"))
        refused = {str(msgspec.json.decode(each)["data"]["httpStatus"]): each for each in of_requests}
        self._parts.schemas["TrpcError"] = TRPC_ERROR
        return {
            status: self._failed(status, grouped.get(status, []), refused.get(status))
            for status in sorted(grouped.keys() | refused.keys())
        }

    def _refused(self, kinds: list[Failure], *, with_body: bool, counted: bool) -> spec.Reference:
        samples = [sample for kind in kinds for sample in _samples(kind, with_body=with_body)]
        ending = "OfBody" if len(samples) > len(kinds) else ""
        name = "".join(["Limited" if counted else "", *(kind.__name__ for kind in kinds), ending])
        examples = {refused.error.code: msgspec.to_builtins(refused) for refused in map(Refusal.of, samples)}
        headers = [*_retry(kinds), *(LIMITS if counted else [])]
        return self._parts.shared(name, response(_said(kinds), headers, _content(self._refusal, examples)))

    def _failed(self, status: str, kinds: list[Failure], of_request: bytes | None) -> spec.Reference:
        samples = [sample for kind in kinds for sample in _samples(kind, with_body=True)]
        answered = {_reason(sample): failure(sample, "events.log").error or b"" for sample in samples}
        answered |= {"request": of_request} if of_request else {}
        examples = {reason: {"error": self._written(each)} for reason, each in answered.items()}
        error: Schema = {"$ref": ref("schemas", "TrpcError")}
        enveloped = obj(json=error) if self._transformer.needs_input else error
        name = "Trpc" + ("".join(kind.__name__ for kind in kinds) or f"Request{status}")
        said = _said(kinds) if kinds else "The request is not one that tRPC knows."
        content = _content(obj(error=enveloped), examples)
        return self._parts.shared(name, response(said, _retry(kinds), content))

    def _written(self, error: bytes) -> Any:
        return msgspec.json.decode(self._transformer.error(error))


def _content(schema: Schema, examples: Mapping[str, Any]) -> dict[str, spec.OpenAPIMediaType]:
    shown: dict[str, spec.Example | spec.Reference] = {
        name: spec.Example(value=Verbatim(json=value)) for name, value in examples.items()
    }
    return {JSON: spec.OpenAPIMediaType(Verbatim(json=schema), examples=shown)}


def _samples(kind: Failure, *, with_body: bool) -> list[errors.ProcedureError]:
    """Failures of a class. An unlisted class looks like the nearest one that it derives from, under its own code."""
    nearest = next((each for base in kind.__mro__ for each in _SAMPLES if type(each) is base), _SAMPLES[-1])
    sample = kind.__new__(kind)
    sample.__dict__.update(nearest.__dict__)
    return [sample, *_INVALID_BODIES] if kind is errors.InvalidInput and with_body else [sample]


def _reason(sample: errors.ProcedureError) -> str:
    return sample.reason if isinstance(sample, errors.InvalidInput) else sample.code


def _by_status(kinds: Iterable[Failure]) -> dict[str, list[Failure]]:
    grouped: dict[str, list[Failure]] = {}
    for kind in dict.fromkeys(kinds):
        [sample] = _samples(kind, with_body=False)
        grouped.setdefault(str(status_of(sample).http), []).append(kind)
    return {status: sorted(grouped[status], key=lambda kind: kind.__name__) for status in sorted(grouped)}


def _said(kinds: Iterable[Failure]) -> str:
    """The first clause of each failure's docstring: the rest is for the code that raises it."""
    clauses = (cleandoc(kind.__doc__ or kind.code).partition("\n")[0].partition(";")[0] for kind in kinds)
    return " Or: ".join(clause.removesuffix(".") + "." for clause in clauses)


def _retry(kinds: Iterable[Failure]) -> list[str]:
    return ["retry-after"] if any(issubclass(kind, errors.Unavailable | errors.RateLimited) for kind in kinds) else []
