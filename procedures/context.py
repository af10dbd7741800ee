"""What an operation works with: who calls, in which workspace, and the parts of the server that it may use."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from msgspec import Struct

from app.access.refusals import Refusals
from app.capacity.bodies import Bodies
from app.capacity.rates import Rates
from app.delivery.webhooks import Webhooks
from app.feed import Feed
from app.ledger.draft import Drafting
from app.store.audit.log import Act, AuditLog
from app.store.events.browser import Browser
from app.store.events.erasure import Erasure
from app.store.events.event_log import EventLog
from app.store.events.reader import EventReader
from app.store.events.trace import Tracer
from app.store.install.keys import Keys
from app.store.ledger.export import Exports
from app.store.ledger.ledger import Ledger
from schemas.principal import Principal


class Services(Struct, frozen=True, kw_only=True):
    """The parts that every call of a process shares."""

    log: EventLog
    reader: EventReader
    browser: Browser
    tracer: Tracer
    feed: Feed
    keys: Keys
    ledger: Ledger
    ledger_feed: Feed
    """Of events as the ledger shows them."""
    exports: Exports
    audit: AuditLog
    rates: Rates
    bodies: Bodies
    refusals: Refusals
    webhooks: Webhooks
    erasure: Erasure
    drafting: Drafting
    max_event_bytes: int
    log_calls: bool = False


class Context(Struct, frozen=True):
    """One call's: its principal, and the one workspace that it acts in."""

    services: Services
    principal: Principal
    workspace: str
    request_id: str
    traceparent: str | None = None
    """The trace that the call is a part of (W3C Trace Context), where it said so validly."""
    former_id: UUID | None = None
    """The id that an earlier version gave the event of this call, if it has an idempotency key."""

    def act(self, action: str, detail: Mapping[str, object], workspaces: Iterable[str] | None = None) -> Act:
        """What this call does, for the audit of `workspaces`, or of the one that it acts in."""
        return Act.of(action, self.principal.key_id, detail, workspaces or [self.workspace])
