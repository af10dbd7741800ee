"""The context of a call: its principal, its workspace, and the parts of the server that it may use."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from msgspec import Struct

from app.access.refusals import Refusals
from app.capacity.bodies import Bodies
from app.capacity.rates import Rates
from app.capacity.waits import Waits
from app.delivery.webhooks import Webhooks
from app.feed import Feed
from app.ledger.draft import Drafting
from app.store.audit.log import Act, AuditLog
from app.store.events.browser import Browser
from app.store.events.erasure import Erasure
from app.store.events.event_log import EventLog
from app.store.events.histogram import Histograms
from app.store.events.reader import EventReader
from app.store.events.trace import CausalTree
from app.store.events.type_counts import TypeCounts
from app.store.install.keys import Keys
from app.store.install.totals import Totals
from app.store.intents.acts import Intents
from app.store.intents.reader import IntentReader
from app.store.ledger.export import Exports
from app.store.ledger.ledger import Ledger
from app.store.ledger.receipts import Receipts
from app.store.ledger.travelling import Travelling
from app.telemetry.metrics import Board
from schemas.principal import Principal


class Services(Struct, frozen=True, kw_only=True):
    """The parts of the server that all calls of a process share."""

    log: EventLog
    reader: EventReader
    browser: Browser
    causal_tree: CausalTree
    type_counts: TypeCounts
    histograms: Histograms
    board: Board
    totals: Totals
    feed: Feed
    keys: Keys
    ledger: Ledger
    ledger_feed: Feed
    """The feed of events in the ledger's form."""
    travelling: Travelling
    exports: Exports
    receipts: Receipts
    audit: AuditLog
    rates: Rates
    bodies: Bodies
    refusals: Refusals
    webhooks: Webhooks
    erasure: Erasure
    intents: Intents
    intent_reader: IntentReader
    waits: Waits
    drafting: Drafting
    max_event_bytes: int
    log_calls: bool = False


class Context(Struct, frozen=True):
    """The context of one call: its principal, and the one workspace in which it acts."""

    services: Services
    principal: Principal
    workspace: str
    request_id: str
    traceparent: str | None = None
    """The call's `traceparent` (W3C Trace Context), if it sent a valid one."""
    former_id: UUID | None = None
    """The id that an earlier version of the server gave the event, if the call has an idempotency key."""

    def act(self, action: str, detail: Mapping[str, object], workspaces: Iterable[str] | None = None) -> Act:
        """The audit entry of this call, for the audit of `workspaces` (default: the call's workspace)."""
        return Act.of(action, self.principal.key_id, detail, workspaces or [self.workspace])
