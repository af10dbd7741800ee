"""One class per failure that a caller can tell apart. No token is in any of them."""

from collections.abc import Sequence

from msgspec import Struct


class Issue(Struct, frozen=True):
    """One invalid place of what was sent: its dotted path (`metadata.ai.agent`; empty for the whole), and why."""

    path: str
    message: str


class SynapError(Exception):
    """The base of all. `reason` is the published code where there is one (`invalid_event_type`, `conflict`, ...)."""

    def __init__(self, message: str, *, reason: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason


class InvalidInput(SynapError):
    """What was sent does not fit; `issues` names every invalid place at once."""

    def __init__(self, message: str, *, issues: Sequence[Issue] = (), reason: str | None = None) -> None:
        super().__init__(message, reason=reason)
        self.issues = list(issues)


class Unauthorized(SynapError):
    """The token is not, or no longer, valid."""


class Forbidden(SynapError):
    """The key is valid but may not do this."""


class NotFound(SynapError):
    """There is no such event, workspace or procedure."""


class Conflict(SynapError):
    """The id is taken by an event with other content; `hash` is the stored one's (`sha256:<hex>`)."""

    def __init__(self, message: str, *, hash: str, reason: str | None = None) -> None:
        super().__init__(message, reason=reason)
        self.hash = hash


class PayloadTooLarge(SynapError):
    """An event, a request or an answer is larger than it may be."""


class RateLimited(SynapError):
    """Too many calls; nothing was done. Retry after `retry_after_seconds`."""

    def __init__(self, message: str, *, retry_after_seconds: float = 1, reason: str | None = None) -> None:
        super().__init__(message, reason=reason)
        self.retry_after_seconds = retry_after_seconds


class Unavailable(SynapError):
    """The server cannot do it now; retry after `retry_after_seconds`.

    Where it is unknown whether events were stored, `ids` are theirs: logging them again under those settles it.
    """

    def __init__(
        self, message: str, *, retry_after_seconds: float = 1, ids: Sequence[str] = (), reason: str | None = None
    ) -> None:
        super().__init__(message, reason=reason)
        self.retry_after_seconds = retry_after_seconds
        self.ids = list(ids)


class ConnectionLost(SynapError):
    """No answer came: refused, cut, or too slow. `sent` is false where the server cannot have seen the request."""

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class ServerFault(SynapError):
    """A defect of the server; its log has the cause under `request_id`."""

    def __init__(self, message: str, *, request_id: str | None = None, reason: str | None = None) -> None:
        super().__init__(message, reason=reason)
        self.request_id = request_id


class UnexpectedAnswer(SynapError):
    """Something answered that does not speak as the server does: a wrong URL, or a proxy. `status` is HTTP's."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class SpoolError(SynapError):
    """The spool directory cannot be used, or could not be written.

    `id` is that of the event that was logged: logging it again under that id stores it once, whatever became of it.
    """

    id: str | None = None


class SpoolFull(SpoolError):
    """What waits to be sent has reached its bound. The event was not taken: log it again later, with the same id."""
