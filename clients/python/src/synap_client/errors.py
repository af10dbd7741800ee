"""One class per failure that a caller can tell apart. None contains the token."""

from collections.abc import Sequence

from msgspec import Struct


class Issue(Struct, frozen=True):
    """One invalid place of an input: its dotted path (`metadata.ai.agent`; empty for the whole), and what is wrong."""

    path: str
    message: str


class SynapError(Exception):
    """The base of all errors. `reason` is the published code, if there is one (such as `invalid_event_type`)."""

    def __init__(self, message: str, *, reason: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason


class InvalidInput(SynapError):
    """The input is invalid. `issues` names every invalid place."""

    def __init__(self, message: str, *, issues: Sequence[Issue] = (), reason: str | None = None) -> None:
        super().__init__(message, reason=reason)
        self.issues = list(issues)


class Unauthorized(SynapError):
    """The token is not valid, or no longer valid."""


class Forbidden(SynapError):
    """The key is valid but may not do this."""


class NotFound(SynapError):
    """The event, workspace or procedure does not exist."""


class Conflict(SynapError):
    """It contradicts what is stored: an event with the same id but other content, or the state of an intent.

    `hash` is the hash (`sha256:<hex>`) of the event that stands, if there is one.
    """

    def __init__(self, message: str, *, hash: str, reason: str | None = None) -> None:
        super().__init__(message, reason=reason)
        self.hash = hash


class PayloadTooLarge(SynapError):
    """An event, a request or an answer exceeds its size limit."""


class RateLimited(SynapError):
    """Too many calls; nothing was done. Retry after `retry_after_seconds`."""

    def __init__(self, message: str, *, retry_after_seconds: float = 1, reason: str | None = None) -> None:
        super().__init__(message, reason=reason)
        self.retry_after_seconds = retry_after_seconds


class Unavailable(SynapError):
    """The server cannot do it now; retry after `retry_after_seconds`.

    If it is unknown whether events were stored, `ids` are theirs: log them again with these ids, and each is stored
    once.
    """

    def __init__(
        self, message: str, *, retry_after_seconds: float = 1, ids: Sequence[str] = (), reason: str | None = None
    ) -> None:
        super().__init__(message, reason=reason)
        self.retry_after_seconds = retry_after_seconds
        self.ids = list(ids)


class ConnectionLost(SynapError):
    """No answer came: the connection was refused, cut or too slow. `sent` is false if the server got nothing."""

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class ServerFault(SynapError):
    """The server has a defect. Its log names the cause under `request_id`."""

    def __init__(self, message: str, *, request_id: str | None = None, reason: str | None = None) -> None:
        super().__init__(message, reason=reason)
        self.request_id = request_id


class UnexpectedAnswer(SynapError):
    """The answer is not from a Synap server: the URL is wrong, or a proxy answered. `status` is the HTTP status."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class SpoolError(SynapError):
    """The spool directory cannot be used or written.

    `id` is the event's id. Log the event again with it: it is stored once, whatever happened to it.
    """

    id: str | None = None


class SpoolFull(SpoolError):
    """The waiting events have reached their limit. The event was not accepted: log it again later with the same id."""


class IntentError(SynapError):
    """An intent does not run, or not any more. `intent_id` is the id of its event."""

    def __init__(self, message: str, *, intent_id: str) -> None:
        super().__init__(message)
        self.intent_id = intent_id


class NotDecided(IntentError):
    """Nobody decided in the time that the caller wanted to wait. The intent stays open."""


class IntentEnded(IntentError):
    """The base of what ends an intent. `why` is the reason that a person gave, if any; `by` is that user's id."""

    def __init__(self, message: str, *, intent_id: str, why: str | None = None, by: str | None = None) -> None:
        super().__init__(message, intent_id=intent_id)
        self.why = why
        self.by = by


class IntentRejected(IntentEnded):
    """Somebody rejected the intent."""


class IntentExpired(IntentEnded):
    """The intent expired before it was decided, or before all its uses were started."""


class IntentWithdrawn(IntentEnded):
    """The user who asked withdrew the intent, or it was erased."""


class AlreadyStarted(IntentError):
    """A call with the same key started the intent before, so it does not run again.

    `outcome` is how that ended: `executed`, `failed` or `unknown`; None if nothing is reported yet, so that it may
    still run. `start_id` and `outcome_id` are the events.
    """

    def __init__(
        self, message: str, *, intent_id: str, start_id: str, outcome: str | None, outcome_id: str | None
    ) -> None:
        super().__init__(message, intent_id=intent_id)
        self.start_id = start_id
        self.outcome = outcome
        self.outcome_id = outcome_id


class NotReported(IntentError):
    """The function ran and returned `result`, but the log could not be told. `start_id` is the start's event.

    Report it with `intents.finish`. Otherwise the log says `unknown` after the intent's `timeoutSeconds`.
    """

    def __init__(self, message: str, *, intent_id: str, start_id: str, result: object) -> None:
        super().__init__(message, intent_id=intent_id)
        self.start_id = start_id
        self.result = result
