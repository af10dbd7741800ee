"""The audit: administrative acts that anyone can verify (`docs/api/ledger.md`, GET /v1/audit).

Names are in snake case, as that page has them. `docs/reference/evlog1.md`, The audit chain, has the format.
"""

from typing import Annotated

from msgspec import Meta

from schemas.base import Input, Instant, Output, RawRecord, Way
from schemas.ledger import MaxThousand

DEFAULT_ACTS = 100
"""The default number of entries in an answer."""

Action = Annotated[
    str,
    Meta(
        max_length=64,
        pattern=r"\A[a-z]+([._][a-z]+)*\Z",
        extra={"message": "must be an action such as key.created"},
    ),
]
"""The name of an action. The audit records it, so the pattern keeps out a secret that was sent by mistake."""


class ListAudit(Input, frozen=True, kw_only=True):
    """Which entries to list, oldest first: those after `since` and before `until`.

    `direction: "backward"` selects the newest of them instead of the oldest. For the next page send the last entry's
    `timestamp` as `since`; backward send the first entry's as `until`.
    """

    since: Instant | None = None
    until: Instant | None = None
    action: Action | None = None
    limit: MaxThousand | None = DEFAULT_ACTS
    direction: Way | None = None


class AuditEntry(Output, frozen=True, kw_only=True, rename=None):
    """An administrative act. `actor` is a key's id or the node; `seq` and `hash` are its place and link in `log`.

    An act that concerns several workspaces has one `id` and one entry in the log of each.
    """

    id: str
    action: str
    actor: str
    timestamp: str
    detail: RawRecord
    log: str
    seq: int
    prev_hash: str
    hash: str


class AuditPage(Output, frozen=True, kw_only=True, rename=None):
    """Entries, oldest first. `total` counts every match, whatever `limit` is."""

    entries: list[AuditEntry]
    total: int
