"""Every operation that reads or writes a log, as callers use it, so that tests also examine new statements."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from itertools import product
from typing import Any, cast
from uuid import UUID, uuid4

import msgspec

from app.ledger.draft import Drafting
from app.ledger.signer import Signer
from app.ledger.tiles import Tile
from app.ledger.vkeys import of_kid
from app.sealing.cursors import Cursors
from app.store.audit.log import WAYS, Act, AuditLog
from app.store.events.browser import Browser
from app.store.events.erasure import By, ErasureRequest
from app.store.events.event_log import EventLog
from app.store.events.follower import EventFollower
from app.store.events.histogram import Histograms
from app.store.events.query import EventConditions
from app.store.events.reader import EventReader
from app.store.events.trace import CausalTree
from app.store.events.type_counts import TypeCounts
from app.store.install.keys import Keys, find_principal, valid_keys
from app.store.install.rate_windows import lease
from app.store.intents.acts import Finish, Intents
from app.store.intents.deadlines import Deadlines
from app.store.intents.reader import IntentReader, Viewer
from app.store.intents.standing import Caller, Decision, Start
from app.store.ledger.anchor import Anchor
from app.store.ledger.cosigner import Cosigner
from app.store.ledger.export import Exports
from app.store.ledger.heads import Heads
from app.store.ledger.receipts import Receipts
from app.store.ledger.tiles import Tiles
from app.store.ledger.trees import Trees
from app.store.webhooks.backlog import backlog_of, logs, owed
from app.store.webhooks.claims import AttemptRecord, Claims
from app.store.webhooks.deliveries import Deliveries
from app.store.webhooks.dispatch import Dispatch
from app.store.webhooks.purge import purge
from app.store.webhooks.subscriptions import Subscriptions
from schemas.base import Way
from schemas.browse import BrowseEvents
from schemas.errors import NotFound
from schemas.event import EventQuery, ListEvents
from schemas.histogram import CountEvents, Grouping
from schemas.intents import IntentState
from tests.kit.examples import ALL
from tests.kit.witness import StrangeLog
from tests.store.asking import REFUND, synap
from tests.store.opened import ANY_SKEW_SECONDS, INTENT_IDS, SECRET, Store, draft
from tests.store.plans import Recording

LIMIT = 20

GROUPS: tuple[Grouping | None, ...] = (None, "type", "source")
"""What histograms count by, besides time."""

EARLY, LATE = "2024-01-01T00:30:00Z", "2024-01-01T01:10:00Z"

FILTERS: dict[str, dict[str, Any]] = {
    "a type": {"type": "rare.done"},
    "types": {"type": {"in": ["rare.done", "common.type1", "no.such"]}},
    "users": {"userId": {"in": ["rare", "no such"]}},
    "subjects": {"subjectId": {"in": ["rare", "common"]}},
    "producers": {"producer": {"in": ["rare", "common"]}},
    "a source": {"source": "sync"},
    "a subject": {"subjectId": "rare"},
    "a user": {"userId": "rare"},
    "a correlation": {"correlationId": "rare"},
    "a cause": {"causationId": "rare"},
    "a producer": {"producer": "rare"},
    "no longer": {"createdAt": {"lt": EARLY}},
    "since": {"timestamp": {"gte": LATE}},
    "between": {"createdAt": {"gte": EARLY, "lt": LATE}, "type": "common.type1"},
    **{f"metadata.{kind}": {f"metadata.{kind}": {"isNull": False}} for kind in ("ai", "custom", "import", "sync")},
    "an agent": {"metadata.ai.agent": "rare"},
    "a common agent": {"metadata.ai.agent": "common"},
}

QUERIES: dict[str, dict[str, Any]] = {
    "everything": {},
    "a type": {"type": "rare.done"},
    "a common type": {"type": "common.type1"},
    "rare types": {"type": "rare.*"},
    "common types": {"type": "common.*"},
    "types with a star in the middle": {"type": "rare.*.done"},
    "types by their end": {"type": "*.done"},
    "a source": {"source": "sync"},
    "a producer": {"producer": "rare"},
    "a subject": {"subjectId": "rare"},
    "a correlation": {"correlationId": "rare"},
    "a cause": {"causationId": "rare"},
    "a user": {"userId": "rare"},
    "a common user": {"userId": "common"},
    "metadata": {"hasMetadata": True},
    "no metadata": {"hasMetadata": False},
    "to": {"to": EARLY},
    "from": {"from": LATE},
    "from and to": {"from": EARLY, "to": LATE},
    "a type and to": {"type": "common.type1", "to": EARLY},
    "a type and from": {"type": "common.type1", "from": LATE},
    "types and from": {"type": "common.*", "from": LATE},
    **{f"filter by {name}": {"filter": asked} for name, asked in FILTERS.items()},
}

BROWSED: dict[str, dict[str, Any]] = {
    "everything": {},
    "types": {"type": "rare.*"},
    "a subject": {"subjectId": "rare"},
    "a parent": {"parentId": "rare"},
    "a user": {"userId": "rare"},
    "a common user": {"userId": "common"},
    "after": {"createdAtAfter": LATE},
    "before": {"createdAtBefore": EARLY},
    "a type and before": {"type": "common.type1", "createdAtBefore": EARLY},
    "in the order of time": {"orderBy": [{"createdAt": "asc"}]},
    "a type in the order of time": {"type": "common.type1", "orderBy": [{"createdAt": "asc"}]},
    "in the order of types": {"orderBy": [{"type": "asc"}]},
    "in the order of users": {"orderBy": [{"userId": "desc"}]},
    "in the order of sources": {"orderBy": [{"source": "asc"}]},
    "in the order of ids": {"orderBy": [{"id": "asc"}]},
    **{f"filter by {name}": {"filter": asked} for name, asked in FILTERS.items()},
}

Operation = Callable[[], Awaitable[int]]
"""An operation. It returns how many events it showed, wrote or changed."""


class Operations:
    """The operations on one log of a store, through a database that records statements.

    Each can run only once, because some write.
    """

    def __init__(self, store: Store, workspace: str, ids: Sequence[UUID], hash: bytes, place: int, turn: int) -> None:
        """`ids` are those of some events, `hash` is one of their hashes, and `place` a seq within the log.

        `turn` chooses the groups of each histogram, unless all examples are requested: a histogram of a whole log
        costs more than all other operations. In three turns each histogram has each kind of groups.
        """
        self.store = store
        assert isinstance(store.database, Recording)
        self.database = store.database
        self.workspace = workspace
        self.ids = ids
        self.hash = hash
        self.place = place
        self.cursors = Cursors(SECRET)
        self.reader = EventReader(self.database, self.cursors)
        self.events = EventLog(self.database, store.keys, store.node, store.clock, max_skew_seconds=ANY_SKEW_SECONDS)
        self.dispatching = Dispatch(self.database, first_seconds=0)
        self.claims = Claims(self.database, claim_seconds=30)
        self.turn = turn

    def __iter__(self) -> Iterator[tuple[str, Operation]]:
        """Yield the name of each operation, and the operation."""
        for number, (name, query) in enumerate(QUERIES.items(), self.turn):
            yield f"page {name}", partial(self.page, query)
            yield f"ledger entries of {name}", partial(self.entries, query)
            yield f"stream {name}", partial(self.stream, query)
            yield f"histogram of {name}", partial(self.histogram, query, self._groups(number))
        yield "list with an offset", partial(self.list, {"offset": 30})
        for name, query in BROWSED.items():
            yield f"browse {name}", partial(self.browse, query)
        ids = {"ids": [str(id_) for id_ in self.ids]}
        yield "browse ids", partial(self.browse, ids)
        yield "browse ids in the order of users", partial(self.browse, ids | {"orderBy": [{"userId": "asc"}]})
        for number, user in enumerate((None, "common", "rare"), self.turn):
            yield f"list as {user}", partial(self.list, {}, user)
            yield f"stream as {user}", partial(self.stream, {}, user)
            yield f"trace as {user}", partial(self.trace, self.ids[0], user)
            yield f"types as {user}", partial(self.types, user)
            yield f"histogram as {user}", partial(self.histogram, {}, self._groups(number), user)
        for operation in (
            *(self.get, self.log, self.follow, self.trace_by_hash, self.export, self.ledger, self.keys, self.limits),
            self.heads,
            self.cosigner,
            *(self.audit, self.dispatch, self.catch_up, self.deliver, self.subscriptions, self.purge),
            *(self.intents, self.list_intents, self.receipts, self.erase),
        ):
            yield operation.__name__, operation

    async def list(self, query: dict[str, Any], only_user: str | None = None) -> int:
        wanted = msgspec.convert({"limit": LIMIT} | query, ListEvents)
        events = json.loads((await self.reader.events(self.workspace, wanted, only_user)).json)
        return len(events) + int(query.get("offset", 0))

    async def page(self, query: dict[str, Any]) -> int:
        async def page(**cursor: str) -> dict[str, Any]:
            wanted = msgspec.convert({"limit": LIMIT} | query | cursor, ListEvents)
            found: dict[str, Any] = json.loads((await self.reader.page(self.workspace, wanted, None)).json)
            return found

        first = await page()
        if "nextCursor" in first:
            second = await page(cursor=first["nextCursor"])
            await page(cursor=second["previousCursor"], direction="backward")
        return len(first["events"])

    async def entries(self, query: dict[str, Any]) -> int:
        ledger = self.store.ledger()
        wanted = msgspec.convert(query, EventQuery)
        return len(json.loads((await ledger.entries(self.workspace, wanted, LIMIT, None)).json)["events"])

    async def stream(self, query: dict[str, Any], only_user: str | None = None) -> int:
        follower = EventFollower(self.database)
        matching = EventConditions(msgspec.convert(query, EventQuery), self.workspace, only_user)
        tip = await follower.tip(self.workspace)
        first = await follower.matching(matching, -1, tip)
        second = await follower.matching(matching, first.seq, tip) if first.seq < tip else first
        return max(len(first.events), len(second.events))

    async def browse(self, query: dict[str, Any]) -> int:
        async def page(**cursor: str) -> dict[str, Any]:
            browser = Browser(self.database, self.cursors)
            wanted = msgspec.convert({"limit": LIMIT} | query | cursor, BrowseEvents)
            found: dict[str, Any] = json.loads((await browser.page(self.workspace, wanted, None)).json)
            return found

        first = await page()
        if first["data"]:
            second = await page(after=first["pageInfo"]["endCursor"])
            await page(before=(second if second["data"] else first)["pageInfo"]["startCursor"] or "")
        return len(first["data"]) if "ids" not in query else len(self.ids)

    async def get(self) -> int:
        references: list[UUID | bytes] = [*self.ids, self.hash]
        found = await asyncio.gather(*(self.reader.get(self.workspace, each) for each in references))
        return sum(each is not None for each in found)

    async def log(self, count: int = 100) -> int:
        drafts = [draft("common.type1", user_id="common") for _ in range(count)]
        await self.events.append(self.workspace, drafts)
        await self.events.append(self.workspace, drafts)  # they are stored already
        await self.events.preview(self.workspace, drafts[0])
        for _ in range(3):  # in one statement, from the second on
            await self.events.append(self.workspace, [draft("common.type1", user_id="common"), draft(id=uuid4())])
        return count

    @staticmethod
    def _groups(number: int) -> Sequence[Grouping | None]:
        """What a histogram counts by: everything, or one kind of groups."""
        return GROUPS if ALL else [GROUPS[number % len(GROUPS)]]

    async def histogram(
        self, query: dict[str, Any], groups: Sequence[Grouping | None], only_user: str | None = None
    ) -> int:
        total = 0
        for by in groups:
            wanted = msgspec.convert(query | {"buckets": 2, "by": by}, CountEvents)
            total = (await Histograms(self.database).count(self.workspace, wanted, only_user)).total
        return total

    async def types(self, only_user: str | None = None) -> int:
        found = await TypeCounts(self.database).page(self.workspace, "", "", LIMIT, only_user)
        return sum(each.count for each in found.types)

    async def follow(self) -> int:
        follower = EventFollower(self.database)
        await follower.place(self.workspace, self.ids[0])
        await follower.before(self.workspace, self.store.clock.at)
        await follower.tips([self.workspace])
        tip = await follower.tip(self.workspace)
        return len((await follower.next(self.workspace, tip - 300, tip)).events)

    async def trace(self, reference: UUID | bytes, only_user: str | None = None) -> int:
        found = await CausalTree(self.database).trace(self.workspace, reference, only_user, limit=LIMIT, depth=5)
        trace = json.loads(found.json) if found else {}
        return 1 + sum(len(trace.get(name, [])) for name in ("ancestors", "descendants", "correlated"))

    async def trace_by_hash(self) -> int:
        return await self.trace(self.hash)

    async def export(self) -> int:
        exports = Exports(self.database, self.store.ledger(), Trees(self.database))
        export = await exports.open(self.workspace, self.place, self.place + LIMIT)
        async for _ in export:
            pass
        return LIMIT

    async def ledger(self) -> int:
        ledger = self.store.ledger()
        entry = await ledger.find(self.workspace, self.hash)
        assert entry is not None
        await ledger.find(self.workspace, self.ids[0])
        await ledger.inclusion(self.workspace, entry)
        await ledger.consistency(self.workspace, self.place, self.place + 100, await ledger.tip(self.workspace))
        await ledger.checkpoint(self.workspace)
        tiles = Tiles(self.database, Trees(self.database))
        await tiles.read(self.workspace, Tile(None, 0))
        await tiles.read(self.workspace, Tile(0, 0))
        await tiles.read(self.workspace, Tile(1, 0, 1))
        return 1

    async def cosigner(self) -> int:
        signer = Signer(bytes(32))
        log = StrangeLog(f"log.example/{uuid4()}", signer)
        cosigner = Cosigner(self.database, "witness.example", signer, lambda origin: [of_kid(origin, signer.kid)])
        await cosigner.add(log.request(0, 1))
        await cosigner.add(log.request(1, 2))
        assert (await cosigner.note(sha256(log.origin.encode()).digest())).startswith(log.note(2))
        return 1

    async def heads(self) -> int:
        """Anchor one event more. It looks at every log, so it shows as many."""
        heads = Heads(self.database, Trees(self.database))
        anchor = Anchor(heads, self.events, node=self.store.node)
        logs = await anchor.anchor(await self._turn(heads))
        self.database.seen.clear()  # the whole logs, the first time
        await self.events.append(self.workspace, [draft("common.type1", user_id="common")])
        await anchor.anchor(await self._turn(heads))
        assert await heads.anchored(self.workspace, self.place) is not None
        return logs

    @staticmethod
    async def _turn(heads: Heads) -> datetime:
        leased_at = await heads.lease(0)
        assert leased_at is not None
        return leased_at

    async def keys(self) -> int:
        keys = Keys(self.database)
        await find_principal(self.database, b"no such")
        await valid_keys(self.database, ["control", "no such"])
        await keys.principal("control")
        await keys.find("control")
        await keys.page(["*"], with_ended=True, place=None, way="forward", limit=LIMIT)
        await keys.known_workspaces([self.workspace])
        await keys.first_workspaces(LIMIT)
        return 1

    async def limits(self) -> int:
        await lease(self.database, self.workspace, "publish", limit=100, length=60, wanted=10, own=0)
        return 1

    async def audit(self) -> int:
        audit = AuditLog(self.database)
        for action in (None, "key.created"):
            read = Act.of("audit.read", "k", {}, [self.workspace])
            for way in WAYS:
                await audit.entries(
                    self.workspace, since=None, until=None, action=action, way=way, limit=LIMIT, read=read
                )
        return 1

    async def dispatch(self) -> int:
        logged = await self.log(30)
        while (step := await self.dispatching.step(self.workspace)) is not None and step.owed:
            logged += 30
        await logs(self.database)
        await owed(self.database)
        await backlog_of(self.database, self.workspace)
        await self.dispatching.subscribers(self.workspace)
        return logged

    async def catch_up(self) -> int:
        for subscription in ("sub_behind", "sub_behind_of_user"):
            while await self.dispatching.catch_up(self.workspace, subscription):
                pass
        subscriptions = Subscriptions(self.database)
        return (await subscriptions.get(self.workspace, "sub_behind", None)).delivery_seq

    async def deliver(self) -> int:
        _, claims = await self.claims.exchange(
            self.workspace, [], {"sub_plain": LIMIT, "sub_ordered": LIMIT}, max_bytes=2**20
        )
        assert {claim.subscription for claim in claims} == {"sub_plain", "sub_ordered"}
        now = self.store.clock.at
        made = [
            AttemptRecord(claim.subscription, claim.delivery_seq, claim.attempts, now, 1, 200, None, "", None)
            for claim in claims[:-2]
        ]
        await self.claims.exchange(self.workspace, made, {"sub_ordered": 1}, max_bytes=2**20)
        await self.claims.release(self.workspace, claims[-2:])
        return len(claims)

    async def subscriptions(self) -> int:
        subscriptions = Subscriptions(self.database)
        await subscriptions.get(self.workspace, "sub_plain", None)
        await subscriptions.page(self.workspace, None, after=None, limit=LIMIT)
        await subscriptions.page(self.workspace, None, after="sub_plain", limit=LIMIT)
        await subscriptions.urls(self.workspace, None, ["sub_plain", "sub_ordered"])
        ways: list[tuple[Way, int | None]] = [("forward", None), ("forward", 3000), ("backward", 3000)]
        for way, place in ways:
            await Deliveries(self.database).page(
                self.workspace, "sub_plain", state=None, place=place, way=way, limit=LIMIT
            )
        return LIMIT

    async def purge(self) -> int:
        await purge(self.database)
        return 0

    async def intents(self) -> int:
        """Ask, decide, start, finish and withdraw; then one expires, and nobody says how another ended."""
        intents = Intents(self.database, self.events, INTENT_IDS, Drafting(self.store.node))
        asker, decider = Caller("u1"), Caller("boss")
        asked = [draft(REFUND, {"a": 1}, metadata=synap()) for _ in range(4)]
        for event in (events := await self.events.append(self.workspace, asked))[:3]:
            await intents.decide(self.workspace, event.id, Decision(event.hash, "approved"), decider)
        for event in events[:2]:
            start = Start(event.hash, b'{"a":1}', "r")
            begun = await intents.start(self.workspace, event.id, start, asker)
            await intents.start(self.workspace, event.id, start, asker)
        await intents.withdraw(self.workspace, events[2].id, None, asker)
        await intents.finish(self.workspace, begun.event.id, Finish("executed", b"{}"), asker)
        reader = IntentReader(self.database, self.cursors, INTENT_IDS)
        await reader.state(self.workspace, events[0].id, Viewer("u1", only_own=True))
        await reader.chain(self.workspace, events[0].id, Viewer("u1", only_own=True))
        self.store.clock.at = datetime.fromisoformat(begun.event.timestamp) + timedelta(days=2)
        await self._deadlines().write_due()
        return 4 * len(events)

    def _deadlines(self) -> Deadlines:
        clock = self.store.clock
        return Deadlines(self.database, self.events, INTENT_IDS, node=self.store.node, now=clock)

    async def list_intents(self) -> int:
        reader = IntentReader(self.database, self.cursors, INTENT_IDS)
        states: list[tuple[IntentState | None, bool]] = [(None, False), ("rejected", False), (None, True)]
        asked = [*product([Viewer("boss", only_own=False), Viewer("rare", only_own=True)], states)]
        asked += product([Viewer("common", only_own=True)], states[:2])  # they asked for all that waits
        ways, shown = cast(Sequence[Way], ("forward", "backward")), 0
        for (viewer, (state, waiting)), way in product(asked, ways):
            place = reader.cursor(self.workspace, 1500)
            found, _ = await reader.page(
                self.workspace, viewer, state=state, waiting=waiting, cursor=place, way=way, limit=LIMIT
            )
            shown = max(shown, len(found))
        return shown

    async def receipts(self) -> int:
        [intent] = await self.events.append(self.workspace, [draft(REFUND, {"a": 1}, metadata=synap())])
        cause = intent.id
        for _ in range(5):
            [event] = await self.events.append(self.workspace, [draft(causation_id=str(cause))])
            cause = event.id
        receipts = Receipts(self.database, self.store.ledger(), Trees(self.database), INTENT_IDS)
        asked: list[UUID | bytes] = [intent.id, self.hash, cause]
        for reference in asked:
            for only_user in (None, "u1"):
                with suppress(NotFound):
                    await receipts.make(self.workspace, reference, only_user)
        return 7 * 256  # each proof needs the hashes of a block of the tree

    async def erase(self) -> int:
        erasure = self.store.erasure(self.events)

        def act(_events: int, _seq: int) -> Act:
            return Act.of("events.erased", "k", {}, [self.workspace])

        erased = 0
        wanted: list[tuple[By, Any]] = [("ids", self.ids), ("userId", "gone"), ("subjectId", "gone")]
        for by, value in wanted:
            asked = ErasureRequest(by, ids=value) if by == "ids" else ErasureRequest(by, value=value)
            erased = max(erased, (await erasure.erase(self.workspace, asked, act)).erased)
        return erased
