"""The only table that maps our failures to statuses. No other module has HTTP numbers for failures."""

from msgspec import Struct

from app.access.authenticator import INVALID, MALFORMED
from app.capacity.allowance import Allowance
from schemas import errors


class Status(Struct, frozen=True):
    """The status of a failure: tRPC's name and JSON-RPC number (`docs/api/wire.md`, section 4), and the HTTP status."""

    name: str
    number: int
    http: int


PARSE_ERROR = Status("PARSE_ERROR", -32700, 400)
BAD_REQUEST = Status(errors.InvalidInput.trpc_code, -32600, 400)
METHOD_NOT_SUPPORTED = Status("METHOD_NOT_SUPPORTED", -32005, 405)
UNSUPPORTED_MEDIA_TYPE = Status(errors.UnsupportedMedia.trpc_code, -32015, 415)
INTERNAL = Status(errors.Internal.trpc_code, -32603, 500)

_TABLE: dict[type[errors.ProcedureError], Status] = {
    errors.InvalidInput: BAD_REQUEST,
    errors.Unauthorized: Status(errors.Unauthorized.trpc_code, -32001, 401),
    errors.Forbidden: Status(errors.Forbidden.trpc_code, -32003, 403),
    errors.NotFound: Status(errors.NotFound.trpc_code, -32004, 404),
    errors.Conflict: Status(errors.Conflict.trpc_code, -32009, 409),
    errors.PayloadTooLarge: Status(errors.PayloadTooLarge.trpc_code, -32013, 413),
    errors.UnsupportedMedia: UNSUPPORTED_MEDIA_TYPE,
    errors.RateLimited: Status(errors.RateLimited.trpc_code, -32029, 429),
    errors.TimedOut: Status(errors.TimedOut.trpc_code, -32008, 408),
    errors.Unavailable: Status(errors.Unavailable.trpc_code, -32603, 503),
    errors.Internal: INTERNAL,
}

TRPC_CODES = sorted({status.name for status in (*_TABLE.values(), PARSE_ERROR, METHOD_NOT_SUPPORTED)})
"""Every `data.code` of the tRPC door."""


def status_of(error: errors.ProcedureError) -> Status:
    """The status of a failure. An unlisted class has the status of its nearest listed base."""
    return next((_TABLE[kind] for kind in type(error).__mro__ if kind in _TABLE), INTERNAL)


def headers_of(error: errors.ProcedureError) -> dict[str, str]:
    """The headers that tell a caller what to do about a failure (RFC 9110, 10.2.3, 11.6.1, 12.5.3; RFC 6750, 3)."""
    if isinstance(error, errors.Unavailable | errors.RateLimited):
        return {"retry-after": str(error.retry_after_seconds)}
    if isinstance(error, errors.Unauthorized):
        fault = ' error="invalid_token"' if error.message in {INVALID, MALFORMED} else ""
        return {"www-authenticate": f"Bearer{fault}"}
    if isinstance(error, errors.UnsupportedMedia) and error.accept_encoding is not None:
        return {"accept-encoding": error.accept_encoding}
    return {}


def limit_headers(state: Allowance | errors.RateLimited | None) -> dict[str, str]:
    """The headers that show what is left of a limit (`docs/api/publish.md`, Rate Limits)."""
    if state is None:
        return {}
    numbers = {"limit": state.limit, "remaining": state.remaining, "reset": state.reset}
    return {f"x-ratelimit-{name}": str(number) for name, number in numbers.items()}
