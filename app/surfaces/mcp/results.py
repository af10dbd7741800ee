"""What a call came to, as a model reads it: text, and the same as an object. Free of the protocol's library."""

from typing import Any

import msgspec
from msgspec import Struct

from app.surfaces.mcp.tools import CAUTION, ToolSpec
from schemas.errors import Conflict, InvalidInput, PayloadTooLarge, ProcedureError, RateLimited, Unavailable
from schemas.written import Written

MAX_ANSWER_BYTES = 262_144
"""What a query may answer: a model's context holds no more, and can ask for less."""

MAX_READ_BYTES = 2**20
"""What a query may read for an answer: it is refused before it is read whole."""


class Result(Struct, frozen=True):
    """The texts of a result, and its object."""

    texts: list[str]
    structured: dict[str, Any]
    is_error: bool = False


def answered(spec: ToolSpec, output: Any) -> Result:
    """The result of a call that succeeded; what is no object stands in one, as `result`.

    Raises PayloadTooLarge where a query found more than a model can take. What a mutation answers is never withheld.
    """
    json = output.json if isinstance(output, Written) else msgspec.json.encode(output)
    if spec.reads_only and len(json) > MAX_ANSWER_BYTES:
        less = "ask for fewer with `limit`, or narrow the filters" if spec.default_limit else "read it over HTTP"
        raise PayloadTooLarge(f"The answer has {len(json)} bytes, more than the {MAX_ANSWER_BYTES} of a tool's; {less}")
    if not json.startswith(b"{"):
        json = b'{"result":%b}' % json
    # Behind the answer: clients take the first text for the JSON of the object.
    return Result([json.decode(), *([CAUTION] if spec.quotes else ())], msgspec.json.decode(json))


def failed(error: ProcedureError) -> Result:
    """The result of a call that failed: which reason, what is wrong where, and when to try again."""
    reason = error.reason if isinstance(error, InvalidInput) else error.code
    told: dict[str, Any] = {"reason": reason, "message": error.message}
    lines = [f"{reason}: {error.message}"]
    if isinstance(error, InvalidInput):
        told["issues"] = [{"path": issue.path, "message": issue.message} for issue in error.issues]
        lines = [f"{reason}: nothing was done, because the arguments do not fit."]
        lines += [f"- {issue.path or '(the arguments)'}: {issue.message}" for issue in error.issues]
    elif isinstance(error, Conflict) and error.hash is not None:
        told["hash"] = error.hash
    elif isinstance(error, Unavailable | RateLimited):
        told["retryAfterSeconds"] = error.retry_after_seconds
        lines.append(f"Try again after {error.retry_after_seconds} s.")
    if isinstance(error, Unavailable) and error.ids:
        told["ids"] = list(error.ids)
        lines.append(f"Then with these ids: {', '.join(error.ids)}")
    return Result(["\n".join(lines)], {"error": told}, is_error=True)
