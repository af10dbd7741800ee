"""The audit: administrative acts, as anyone can verify them (the document "Event Log", section GET /v1/audit).

Names are the document's own, in snake case. The format is in `docs/reference/evlog1.md`, The audit chain.
"""

from typing import Annotated

from msgspec import Meta

from schemas.base import Input, Instant, Output, RawRecord
from schemas.ledger import MaxThousand

DEFAULT_ACTS = 100
"""Entries in an answer to who does not say how many."""

Action = Annotated[
    str,
    Meta(
        max_length=64,
        pattern=r"\A[a-z]+([._][a-z]+)*\Z",
        extra={"message": "must be an action such as key.created"},
    ),
]
"""Nothing else is taken: what is asked for is entered in the audit, and must be no secret sent by mistake."""


class ListAudit(Input, frozen=True, kw_only=True):
    """Entries made after `since`, of an action: the oldest first. The last one's `timestamp` is the next `since`."""

    since: Instant | None = None
    action: Action | None = None
    limit: MaxThousand | None = DEFAULT_ACTS


class AuditEntry(Output, frozen=True, kw_only=True, rename=None):
    """An administrative act: the key (by its id) or the node that did it, and its place and link in the chain of `log`.

    An act that concerns several workspaces has one `id` and an entry in the log of each.
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
    """Entries, oldest first. `total` counts every match, before the limit."""

    entries: list[AuditEntry]
    total: int
