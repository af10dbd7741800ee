"""One class per failure that a caller can tell apart. The doors map them to HTTP statuses; this module knows none."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal
from uuid import UUID

from msgspec import Struct

IssueCode = Literal[
    "invalid_cursor",
    "invalid_event_type",
    "invalid_signature",
    "malformed_json",
    "missing_required_field",
    "too_deep",
    "unsafe_number",
    "wrong_transformer",
]
"""The published codes of invalid places, finer than `invalid_input`."""


class Issue(Struct, frozen=True):
    """One invalid place of an input: its dotted path (`metadata.ai.agent`; empty for the whole), and what is wrong.

    `code` is the published error code, if the documents define one for this place.
    """

    path: str
    message: str
    code: IssueCode | None = None


class ProcedureError(Exception):
    """A failure that the caller learns. `code` is the published error code, if a document defines one.

    `trpc_code` is tRPC's name for this kind of failure.
    """

    code: ClassVar[str] = "internal"
    trpc_code: ClassVar[str] = "INTERNAL_SERVER_ERROR"
    logged = False
    """Whether the server's log already has a line about this error."""

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field

    def rename(self, names: Mapping[str, str]) -> None:
        """Rename the field, and the paths below it, by `names`: old path to new path."""
        self.field = self.field and renamed(self.field, names)


class InvalidInput(ProcedureError):
    """The input is invalid. `issues` names every invalid place; it has at least one."""

    code = "invalid_input"
    trpc_code = "BAD_REQUEST"

    def __init__(self, issues: list[Issue]) -> None:
        first = issues[0]
        super().__init__(_sentence(issues), field=first.path or None)
        self.issues = issues

    def rename(self, names: Mapping[str, str]) -> None:
        """Rename the paths of all issues, and the first path in the message."""
        self.issues = [Issue(renamed(issue.path, names), issue.message, issue.code) for issue in self.issues]
        self.field = self.issues[0].path or None
        self.message = _sentence(self.issues)

    @property
    def reason(self) -> str:
        """The published code of the first issue; `invalid_input` if it has none."""
        return self.issues[0].code or self.code


class PayloadTooLarge(ProcedureError):
    """An event, a request or an answer exceeds its size limit."""

    code = "payload_too_large"
    trpc_code = "PAYLOAD_TOO_LARGE"


class UnsupportedMedia(ProcedureError):
    """The server does not read the body's encoding. `accept_encoding` lists the accepted `Content-Encoding`s."""

    code = "unsupported_media_type"
    trpc_code = "UNSUPPORTED_MEDIA_TYPE"

    def __init__(self, message: str, *, field: str, accept_encoding: str | None = None) -> None:
        super().__init__(message, field=field)
        self.accept_encoding = accept_encoding


class Unauthorized(ProcedureError):
    """The token is missing or not valid."""

    code = "unauthorized"
    trpc_code = "UNAUTHORIZED"


class Forbidden(ProcedureError):
    """The key is valid but may not do this."""

    code = "forbidden"
    trpc_code = "FORBIDDEN"


class NotFound(ProcedureError):
    """The workspace does not exist, or does not contain what the caller named."""

    code = "not_found"
    trpc_code = "NOT_FOUND"


class Conflict(ProcedureError):
    """An event with the same `id` but other content is stored. `hash` is that event's hash (`sha256:<hex>`).

    `hash` is None if the stored event was erased and the caller may not read it.
    """

    code = "conflict"
    trpc_code = "CONFLICT"

    def __init__(
        self, message: str, *, hash: str | None = None, id: UUID | None = None, field: str | None = None
    ) -> None:
        super().__init__(message, field=field)
        self.hash = hash
        self.id = id


class NotApproved(Conflict):
    """An intent is not approved yet, so it cannot start."""

    code = "not_approved"


class UsedUp(Conflict):
    """Every use of an intent is started."""

    code = "used_up"


class IntentEnded(Conflict):
    """An intent was rejected or withdrawn, is expired, or was erased."""

    code = "intent_ended"


class ParametersDiffer(Conflict):
    """What would start is not what was approved."""

    code = "parameters_differ"


class RateLimited(ProcedureError):
    """The workspace or the key has reached a limit; retry after `retry_after_seconds`.

    `limit` is the number allowed (calls per window for a rate limit). `reset` is when to retry, in seconds since 1970.
    """

    code = "rate_limit_exceeded"
    trpc_code = "TOO_MANY_REQUESTS"
    remaining = 0

    def __init__(self, message: str, *, limit: int, reset: int, retry_after_seconds: int) -> None:
        super().__init__(message)
        self.limit = limit
        self.reset = reset
        self.retry_after_seconds = retry_after_seconds


class TimedOut(ProcedureError):
    """The request did not arrive in time; nothing was done."""

    code = "request_timeout"
    trpc_code = "TIMEOUT"


class Unavailable(ProcedureError):
    """The server cannot do it now; retry after `retry_after_seconds`.

    Nothing was stored, unless the message says that the outcome is unknown. In that case, retry with these `ids`.
    """

    code = "unavailable"
    trpc_code = "SERVICE_UNAVAILABLE"

    def __init__(self, message: str, *, retry_after_seconds: int = 1, ids: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds
        self.ids = ids


class Internal(ProcedureError):
    """The server has a defect. The server's log names the cause under the request id; the answer does not."""

    code = "internal"

    def __init__(self) -> None:
        super().__init__("Internal error; the server's log has the cause under this request's id")


def renamed(path: str, names: Mapping[str, str]) -> str:
    """A dotted path with its beginning replaced as `names` says; unchanged if no name fits."""
    for name, other in names.items():
        if path == name or path.startswith(f"{name}."):
            return (other + path[len(name) :]).removeprefix(".")
    return path


def _sentence(issues: list[Issue]) -> str:
    first = issues[0]
    where = f"{first.path}: " if first.path else ""
    more = f" (and {len(issues) - 1} more)" if len(issues) > 1 else ""
    return f"{where}{first.message}{more}"
