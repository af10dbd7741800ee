"""One class per failure that a caller can tell apart. The doors turn them into statuses; no HTTP number stands here."""

from collections.abc import Mapping, Sequence
from typing import ClassVar
from uuid import UUID

from msgspec import Struct


class Issue(Struct, frozen=True):
    """One invalid place of an input: its dotted path (`metadata.ai.agent`; empty for the whole), and what is wrong.

    `code` is the published error code where the documents name one for this place.
    """

    path: str
    message: str
    code: str | None = None


class ProcedureError(Exception):
    """A failure that the caller is told about. `code` is the published one where a document names it.

    `trpc_code` is tRPC's name for what it is.
    """

    code: ClassVar[str] = "internal"
    trpc_code: ClassVar[str] = "INTERNAL_SERVER_ERROR"
    logged = False
    """Whether the log has a line about it."""

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field

    def rename(self, names: Mapping[str, str]) -> None:
        """Call each field by its name in `names`, and what is below it likewise."""
        self.field = self.field and renamed(self.field, names)


class InvalidInput(ProcedureError):
    """The input does not fit; `issues` names every invalid place at once, never none."""

    code = "invalid_input"
    trpc_code = "BAD_REQUEST"

    def __init__(self, issues: list[Issue]) -> None:
        first = issues[0]
        super().__init__(_sentence(issues), field=first.path or None)
        self.issues = issues

    def rename(self, names: Mapping[str, str]) -> None:
        """The same of every place, and of the sentence that begins with the first."""
        self.issues = [Issue(renamed(issue.path, names), issue.message, issue.code) for issue in self.issues]
        self.field = self.issues[0].path or None
        self.message = _sentence(self.issues)

    @property
    def reason(self) -> str:
        """The published code of the first place that has one, else `invalid_input`."""
        return self.issues[0].code or self.code


class PayloadTooLarge(ProcedureError):
    """An event, a request or an answer is larger than it may be."""

    code = "payload_too_large"
    trpc_code = "PAYLOAD_TOO_LARGE"


class UnsupportedMedia(ProcedureError):
    """The body is encoded in a way that is not read here; `accept_encoding` is what `Content-Encoding` may name."""

    code = "unsupported_media_type"
    trpc_code = "UNSUPPORTED_MEDIA_TYPE"

    def __init__(self, message: str, *, field: str, accept_encoding: str | None = None) -> None:
        super().__init__(message, field=field)
        self.accept_encoding = accept_encoding


class Unauthorized(ProcedureError):
    """No token, or none that is valid."""

    code = "unauthorized"
    trpc_code = "UNAUTHORIZED"


class Forbidden(ProcedureError):
    """The key is valid but may not do this."""

    code = "forbidden"
    trpc_code = "FORBIDDEN"


class NotFound(ProcedureError):
    """There is no such thing in this workspace."""

    code = "not_found"
    trpc_code = "NOT_FOUND"


class Conflict(ProcedureError):
    """The `id` is taken by an event with other content; `hash` is the stored one's (`sha256:<hex>`).

    None if the event was erased and the caller may not read it.
    """

    code = "conflict"
    trpc_code = "CONFLICT"

    def __init__(
        self, message: str, *, hash: str | None = None, id: UUID | None = None, field: str | None = None
    ) -> None:
        super().__init__(message, field=field)
        self.hash = hash
        self.id = id


class RateLimited(ProcedureError):
    """The workspace has used up its calls, or its searches; retry after `retry_after_seconds`.

    `limit` is what it may use, in calls a window at doors with a rate limit. `reset` is when that ends, in seconds
    since 1970.
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

    Nothing was stored, unless the message says that the outcome is unknown: then `ids` are those to retry with.
    """

    code = "unavailable"
    trpc_code = "SERVICE_UNAVAILABLE"

    def __init__(self, message: str, *, retry_after_seconds: int = 1, ids: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds
        self.ids = ids


class Internal(ProcedureError):
    """A defect of ours. The cause is in the server's log under the request id, never in the answer."""

    code = "internal"

    def __init__(self) -> None:
        super().__init__("Internal error; the server's log has the cause under this request's id")


def renamed(path: str, names: Mapping[str, str]) -> str:
    """A dotted path whose beginning, if it is one of `names`, is called as that says."""
    for name, other in names.items():
        if path == name or path.startswith(f"{name}."):
            return (other + path[len(name) :]).removeprefix(".")
    return path


def _sentence(issues: list[Issue]) -> str:
    first = issues[0]
    where = f"{first.path}: " if first.path else ""
    more = f" (and {len(issues) - 1} more)" if len(issues) > 1 else ""
    return f"{where}{first.message}{more}"
