"""The services behind the doors of one server process: made from the settings, opened and closed in order."""

import asyncio
import shutil
from contextlib import suppress

from app.access.authenticator import Authenticator
from app.access.refusals import Refusals
from app.capacity.bodies import Bodies
from app.capacity.garbage import collect_rarely
from app.capacity.openings import Openings, max_connections
from app.capacity.rates import Rates
from app.capacity.waits import Waits
from app.delivery.webhooks import Webhooks
from app.delivery.witnesses import Served, Witnessing
from app.feed import Feed
from app.ledger.draft import Drafting
from app.ledger.kept import KeptNotes
from app.ledger.keyring import Keyring
from app.sealing.cursors import Cursors
from app.sealing.intent_ids import IntentIds
from app.server.install import ReadyInstall
from app.server.keeper import Keeper
from app.server.parent import exit_with_parent
from app.settings import Settings
from app.store.audit.log import AuditLog
from app.store.events.browser import Browser
from app.store.events.erasure import Erasure
from app.store.events.event_log import EventLog
from app.store.events.follower import EventFollower
from app.store.events.histogram import Histograms
from app.store.events.reader import EventReader
from app.store.events.rows import LEDGER_JSON
from app.store.events.trace import CausalTree
from app.store.events.type_counts import TypeCounts
from app.store.install.keys import Keys
from app.store.install.rollback import Comparison
from app.store.install.totals import Totals
from app.store.intents.acts import Intents
from app.store.intents.deadlines import Deadlines
from app.store.intents.reader import IntentReader
from app.store.ledger.anchor import Anchor
from app.store.ledger.export import Exports
from app.store.ledger.heads import Heads
from app.store.ledger.ledger import Ledger
from app.store.ledger.node_notes import NodeNotes
from app.store.ledger.node_witnesses import NodeWitnesses
from app.store.ledger.receipts import Receipts
from app.store.ledger.tiles import Tiles
from app.store.ledger.travelling import Travelling
from app.store.ledger.trees import Trees
from app.store.ledger.witness import Witness
from app.store.postgres.connection_limit import NOTICE_CONNECTIONS
from app.store.postgres.database import Database
from app.store.postgres.notices import Notices
from app.surfaces.shared.connections import Live
from app.telemetry import metrics, tracing
from procedures.context import Services


class Process:
    """The services of one server process. It owns its connection pool from `open` to `close`. For one event loop."""

    def __init__(self, settings: Settings, *, install: ReadyInstall, keys: Keyring, secret: bytes) -> None:
        """`secret` is the install secret."""
        self._data_dir = settings.data_dir if settings.database_url is None else None
        self.board = metrics.Board(settings.data_dir / "metrics", self._measure)
        self.database = Database(
            install.database_url,
            max_connections=settings.database_connections - NOTICE_CONNECTIONS,
            search_seconds=settings.search_seconds,
        )
        self.authenticator = Authenticator(self.database)
        self.live = Live(self.authenticator, Openings(of_a_key=settings.max_streams, in_all=max_connections() // 2))
        cursors = Cursors(secret)
        self._notices = Notices(install.database_url)
        self._feed = Feed(EventFollower(self.database), cursors, self._listen_as_needed)
        self._ledger_feed = Feed(EventFollower(self.database, LEDGER_JSON), cursors, self._listen_as_needed)
        self._trees = Trees(self.database)
        ledger = self._ledger(settings, install, keys)
        self.tiles = Tiles(self.database, self._trees)
        self._log = EventLog(self.database, keys, install.node, committed=self._committed)
        self._webhooks = self._made_webhooks(settings, cursors, node=install.node, secret=secret)
        intent_ids, drafting = IntentIds(secret), Drafting(install.node)
        self._deadlines = Deadlines(self.database, self._log, intent_ids, node=install.node)
        audit = AuditLog(self.database)
        self._refusals = Refusals(audit)
        self._witness = Witness(audit, self._log, node=install.node)
        heads = Heads(self.database, self._trees)
        self._witnessing = self._witnessed(settings, install, ledger, heads)
        self._keeper = self._keeping(KeptNotes(settings.data_dir, install.node), ledger)
        self._watcher: asyncio.Task[None] | None = None
        self._delivers = False
        self.services = Services(
            log=self._log,
            reader=EventReader(self.database, cursors),
            browser=Browser(self.database, cursors),
            causal_tree=CausalTree(self.database),
            type_counts=TypeCounts(self.database),
            histograms=Histograms(self.database),
            board=self.board,
            totals=Totals(self.database),
            feed=self._feed,
            keys=Keys(self.database),
            ledger=ledger,
            ledger_feed=self._ledger_feed,
            travelling=Travelling(self._trees, ledger, heads),
            exports=Exports(self.database, ledger, self._trees),
            receipts=Receipts(self.database, ledger, self._trees, intent_ids),
            audit=audit,
            bodies=Bodies(),
            rates=Rates({"read": settings.rate_read, "write": settings.rate_write}),
            refusals=self._refusals,
            webhooks=self._webhooks,
            erasure=Erasure(self._log, install.node, intent_ids),
            intents=Intents(self.database, self._log, intent_ids, drafting),
            intent_reader=IntentReader(self.database, cursors, intent_ids),
            waits=Waits(Openings(of_a_key=settings.max_streams, in_all=max_connections() // 4, what="waiting calls")),
            drafting=drafting,
            max_event_bytes=settings.max_event_bytes,
            log_calls=settings.log_calls,
        )

    def _keeping(self, notes: KeptNotes, ledger: Ledger) -> Keeper:
        return Keeper(Comparison(self.database, self._trees, ledger, notes), notes)

    def _made_webhooks(self, settings: Settings, cursors: Cursors, *, node: str, secret: bytes) -> Webhooks:
        return Webhooks(
            settings,
            self.database,
            self._log,
            cursors,
            node=node,
            secret=secret,
            tell_changed=self._notices.tell_changed,
        )

    async def open(self, *, deliver: bool) -> None:
        """Start. With `deliver` it also does the install's background work: webhooks, intents, the audit's events."""
        tracing.start()
        await self.database.open()
        collect_rarely()  # new objects belong to calls and die with them
        self._notices.open()
        self._delivers = deliver
        self._listen_as_needed()
        self.board.open()
        self._refusals.open()
        if deliver:
            self._webhooks.open()
            self._witness.open()
            self._keeper.open()
            self._deadlines.open()
            if self._witnessing is not None:
                await self._witnessing.open()
        self._watcher = exit_with_parent()

    async def say_goodbye(self) -> None:
        """End what waits and what is streamed, because the server stops. Returns when the sockets have ended."""
        self.services.waits.end()
        self.database.is_stopping = True
        await self.live.stop()

    async def close(self) -> None:
        """Stop. Everything accepted is committed."""
        if self._watcher is not None:
            self._watcher.cancel()
        await self.board.close()
        await self._refusals.close()  # before the witness logs the end of the audit
        if self._delivers:
            if self._witnessing is not None:
                await self._witnessing.close()
            await self._deadlines.close()
            await self._webhooks.close()
            await self._witness.close()
        await self._log.drain()
        if self._delivers:
            await self._keeper.close()
        await self._notices.close()
        await self._feed.close()
        await self._ledger_feed.close()
        await self._trees.close()
        await self.database.close()
        await asyncio.to_thread(tracing.stop)

    def _ledger(self, settings: Settings, install: ReadyInstall, keys: Keyring) -> Ledger:
        # Without a policy `_node` is not witnessed any more, so what was once cosigned would hide all later events.
        is_witnessed = install.policy is not None
        notes = NodeNotes(self.database, keys, grace_days=settings.witness_grace_days) if is_witnessed else None
        return Ledger(self.database, self._trees, keys, install.origin, node_notes=notes)

    def _witnessed(self, settings: Settings, install: ReadyInstall, ledger: Ledger, heads: Heads) -> Witnessing | None:
        if install.policy is None:
            return None
        served = Served(
            ledger=ledger,
            log=self._log,
            heads=heads,
            anchor=Anchor(heads, self._log, node=install.node),
            witnesses=NodeWitnesses(self.database),
            node=install.node,
        )
        return Witnessing(install.policy, served, fails_closed=settings.witness_fail == "closed")

    def _measure(self) -> None:
        """Set the gauges of all services."""
        events, bytes_ = self._log.queued
        metrics.QUEUED_EVENTS.set(events)
        metrics.QUEUED_BYTES.set(bytes_)
        metrics.STREAMS.set(self._feed.readers + self._ledger_feed.readers)
        metrics.FEED_EVENTS.set(max(self._feed.behind, self._ledger_feed.behind))
        metrics.CONNECTIONS.set(self.live.connections)
        metrics.POSTS.set(self._webhooks.posts)
        if self._data_dir is not None:
            with suppress(OSError):
                metrics.DISK_FREE.set(shutil.disk_usage(self._data_dir).free, "data")
        usage = self.database.usage
        metrics.POOL.set(usage.used, "used")
        metrics.POOL.set(usage.idle, "idle")
        metrics.POOL_WAITING.set(usage.waiting)
        metrics.POOL_WAITED.set(usage.waited_seconds)
        metrics.POOL_REFUSED.set(usage.refused)

    def _committed(self, workspace: str, seq: int) -> None:
        """Tell the services that this process has committed up to `seq`."""
        self._feed.reached(workspace, seq)
        self._ledger_feed.reached(workspace, seq)
        self._notices.tell(workspace, seq)
        self._webhooks.committed(workspace, seq)
        self._trees.committed(workspace, seq)

    def _listen_as_needed(self) -> None:
        """Listen for other processes' commits while this one has a stream or webhooks to wake."""
        if self._delivers or self._has_readers():
            self._notices.listen(
                self._heard,
                self._webhooks.heard_changed,
                self._missed,
                is_hurried=lambda: self._has_readers() or self._webhooks.are_subscribed,
            )
        else:
            self._notices.stop_listening()

    def _has_readers(self) -> bool:
        return bool(self._feed.readers or self._ledger_feed.readers)

    def _heard(self, workspace: str, seq: int) -> None:
        """Tell the services that another process has committed up to `seq`."""
        self._feed.reached(workspace, seq)
        self._ledger_feed.reached(workspace, seq)
        self._webhooks.heard(workspace, seq)

    def _missed(self) -> None:
        """Tell the services that notices may have been lost."""
        self._feed.missed()
        self._ledger_feed.missed()
        self._webhooks.missed()
