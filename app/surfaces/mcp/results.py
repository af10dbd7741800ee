"""The result of a call in the form that a model reads: text, and an object. Does not use the protocol's library."""

from typing import Any

import msgspec
from msgspec import Struct

from app.surfaces.mcp.tools import CAUTION, ToolSpec
from schemas.errors import Conflict, InvalidInput, PayloadTooLarge, ProcedureError, RateLimited, Unavailable
from schemas.written import Written

MAX_ANSWER_BYTES = 262_144
"""The maximum answer of a query. A model's context has no room for more, and the model can ask for less."""

MAX_READ_BYTES = 2**20
"""The maximum that a query may read for an answer. A longer one is rejected before it is read whole."""


class Result(Struct, frozen=True):
    """The texts of a result, and its object."""

    texts: list[str]
    structured: dict[str, Any]
    is_error: bool = False


def answered(spec: ToolSpec, output: Any) -> Result:
    """The result of a call that succeeded. A value that is not an object becomes the member `result` of one.

    Raises PayloadTooLarge if a query found more than a model can read. A mutation's answer is always returned.
    """
    json = output.json if isinstance(output, Written) else msgspec.json.encode(output)
    if spec.reads_only and len(json) > MAX_ANSWER_BYTES:
        less = "ask for fewer with `limit`, or narrow the filters" if spec.default_limit else "read it over HTTP"
        raise PayloadTooLarge(
            f"The answer has {len(json)} bytes, but a tool returns at most {MAX_ANSWER_BYTES}; {less}"
        )
    if not json.startswith(b"{"):
        json = b'{"result":%b}' % json
    # The caution comes last: clients parse the first text as the JSON of the object.
    return Result([json.decode(), *([CAUTION] if spec.quotes else ())], msgspec.json.decode(json))


def failed(error: ProcedureError) -> Result:
    """The result of a call that failed: the reason, each invalid place, and when to retry."""
    reason = error.reason if isinstance(error, InvalidInput) else error.code
    told: dict[str, Any] = {"reason": reason, "message": error.message}
    lines = [f"{reason}: {error.message}"]
    if isinstance(error, InvalidInput):
        told["issues"] = [{"path": issue.path, "message": issue.message} for issue in error.issues]
        lines = [f"{reason}: nothing was done, because the arguments are invalid."]
        lines += [f"- {issue.path or '(the arguments)'}: {issue.message}" for issue in error.issues]
    elif isinstance(error, Conflict) and error.hash is not None:
        told["hash"] = error.hash
    elif isinstance(error, Unavailable | RateLimited):
        told["retryAfterSeconds"] = error.retry_after_seconds
        lines.append(f"Retry after {error.retry_after_seconds} s.")
    if isinstance(error, Unavailable) and error.ids:
        told["ids"] = list(error.ids)
        lines.append(f"Retry with these ids: {', '.join(error.ids)}")
    return Result(["\n".join(lines)], {"error": told}, is_error=True)
