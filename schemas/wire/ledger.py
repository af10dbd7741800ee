"""The ledger door's parameters (`docs/api/ledger.md`). Its answers are the procedures' outputs."""

from typing import Annotated, Any

from msgspec import Meta

from schemas.audit import DEFAULT_ACTS, Action, ListAudit
from schemas.base import Count, Input, Instant, ShortText
from schemas.event import TypePattern
from schemas.jsontext import read_parameter
from schemas.ledger import (
    DEFAULT_ENTRIES,
    DescribeLedger,
    ExportLog,
    FollowLedger,
    MaxThousand,
    ProveConsistency,
    ReadLedger,
)


class LedgerQuery(Input, frozen=True, kw_only=True, rename=None):
    """The parameter of every call: `log` names the workspace."""

    log: ShortText | None = None


class LedgerEventsQuery(LedgerQuery, frozen=True, kw_only=True, rename=None):
    """Section GET /v1/events, Query Parameters."""

    since: Instant | None = None
    limit: MaxThousand = DEFAULT_ENTRIES
    type: TypePattern | None = None
    filter: str | None = None
    """JSON."""

    def to_read(self) -> ReadLedger:
        """The input of `ledger.entries`. Raises InvalidInput for a filter that is not JSON."""
        return ReadLedger(since=self.since, limit=self.limit, type=self.type, filter=_json(self.filter))


class QueryExport(LedgerQuery, frozen=True, kw_only=True, rename=None):
    """Section GET /v1/events/export: the part of the log to export."""

    from_seq: Count | None = None
    to_seq: Count | None = None

    def to_export(self) -> ExportLog:
        """The input of `ledger.export`."""
        return ExportLog(from_seq=self.from_seq, to_seq=self.to_seq)


class QueryStream(LedgerQuery, frozen=True, kw_only=True, rename=None):
    """Section GET /v1/stream: where the stream begins, and which events it has."""

    token: str | None = None
    after: Annotated[int, Meta(ge=-1, le=2**53 - 1, extra={"message": "must be a seq, or -1"})] | None = None
    type: TypePattern | None = None
    filter: str | None = None
    """JSON."""

    def to_follow(self) -> FollowLedger:
        """The input of `ledger.stream`. Raises InvalidInput for a filter that is not JSON."""
        return FollowLedger(after=self.after, type=self.type, filter=_json(self.filter))


class QueryConsistency(LedgerQuery, frozen=True, kw_only=True, rename={"from_": "from"}):
    """The sizes of the two trees to compare."""

    from_: Count
    to: Count | None = None

    def to_prove(self) -> ProveConsistency:
        """The input of `ledger.consistency`."""
        return ProveConsistency(from_size=self.from_, to_size=self.to)


class QueryNothing(LedgerQuery, frozen=True, kw_only=True, rename=None):
    """The parameters of calls that have only `log`."""

    def to_describe(self) -> DescribeLedger:
        """The input of `ledger.node` and `ledger.checkpoint`."""
        return DescribeLedger()


class QueryAudit(LedgerQuery, frozen=True, kw_only=True, rename=None):
    """Section GET /v1/audit, Query Parameters."""

    since: Instant | None = None
    action: Action | None = None
    limit: MaxThousand = DEFAULT_ACTS

    def to_list(self) -> ListAudit:
        """The input of `audit.list`."""
        return ListAudit(since=self.since, action=self.action, limit=self.limit)


def _json(text: str | None) -> Any:
    return None if text is None else read_parameter(text, "filter")
