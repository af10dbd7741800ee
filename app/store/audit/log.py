"""The audit: a chain of all administrative acts, one for each workspace and one for the install.

The format is in `docs/reference/evlog1.md`, The audit chain.

One transaction does an act and writes its entry, so neither exists without the other. The entry locks the
tip of its chain; that is the last lock that such a transaction takes.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec
import psycopg
from msgspec import Struct

from app.capacity.answers import keep
from app.ledger.canonical import canonical
from app.ledger.chain import AUDIT_TIP_TYPE, NODE_LOG
from app.ledger.draft import new_id
from app.store.postgres import nodes
from app.store.postgres.database import Database
from app.store.postgres.instants import INSTANT
from app.store.postgres.nodes import limited, spanning
from app.store.postgres.pipe import Call, PipedConnection
from app.store.postgres.walk import one_sql
from schemas.audit import AuditPage
from schemas.base import Way
from schemas.principal import EVERY
from schemas.written import Written

AUDITED = "audit_append(%(audit_logs)s::text[], %(audit_id)s, %(audit_action)s, %(audit_actor)s, %(audit_detail)s)"
"""Enters an act, with its `parameters`."""

ENTRY_JSON = f"""concat(
    '{{"id":"', id, '","action":', to_json(action), ',"actor":', to_json(actor),
    ',"timestamp":"', {INSTANT.format("recorded_at")}, '","detail":', detail, ',"log":"', workspace_id,
    '","seq":', seq, ',"prev_hash":"sha256:', encode(prev_hash, 'hex'), '","hash":"sha256:', encode(hash, 'hex'),
    '"}}')"""
"""A row as the JSON of `AuditEntry`."""

_BOUNDS = f"""bounds AS (
    SELECT coalesce((
        SELECT seq FROM audit_entry WHERE workspace_id = %(workspace)s AND recorded_at <= %(since)s::timestamptz
        ORDER BY recorded_at DESC LIMIT 1), -1) AS first, least((
        SELECT seq FROM audit_entry WHERE workspace_id = %(workspace)s AND recorded_at >= %(until)s::timestamptz
        ORDER BY recorded_at LIMIT 1), coalesce(
        ({one_sql("id", "%(audit_id)s", columns="seq", table="audit_entry")}),
        (SELECT seq + 1 FROM audit_tip WHERE workspace_id = %(workspace)s), 0)) AS last
)"""
"""The seqs between which the entries of an answer lie, neither included: after `since`, before `until`, and before the
entry of the read itself. That entry exists already if the connection was lost and the read runs a second time. Times
rise with seq."""

_ENTRIES_BETWEEN = """workspace_id = %(workspace)s
    AND seq > (SELECT first FROM bounds) AND seq < (SELECT last FROM bounds)"""
"""The entries of a workspace between the bounds."""


def _page_sql(conditions: str, order: tuple[str, ...], total: str, way: Way) -> str:
    direction = "" if way == "forward" else " DESC"
    terms = ", ".join(f"{column}{direction}" for column in order)
    return f"""
        WITH {_BOUNDS}
        SELECT ({total}), convert_to(coalesce(string_agg({ENTRY_JSON}, ',' ORDER BY seq), ''), 'UTF8')
        FROM (SELECT * FROM audit_entry WHERE {conditions} ORDER BY {terms} LIMIT %(limit)s) AS page"""


WAYS: tuple[Way, ...] = ("forward", "backward")

LIST_ENTRIES = {
    way: _page_sql(_ENTRIES_BETWEEN, ("seq",), "SELECT greatest(last - first - 1, 0) FROM bounds", way) for way in WAYS
}
"""A page of the oldest or the newest entries, and how many there are: seqs have no gaps, so nothing is counted."""

_OF_ACTION_BETWEEN = """workspace_id = %(workspace)s AND (action, seq) > (%(action)s, (SELECT first FROM bounds))
    AND (action, seq) < (%(action)s, (SELECT last FROM bounds))"""
"""The entries of one action between the bounds, in the order of their index."""

_COUNT_OF_ACTION = (
    f"SELECT count(*) FROM (SELECT FROM audit_entry WHERE {_OF_ACTION_BETWEEN} ORDER BY action, seq) AS counted"
)
"""The number of entries of one action between the bounds."""

LIST_ENTRIES_OF_ACTION = {way: _page_sql(_OF_ACTION_BETWEEN, ("action", "seq"), _COUNT_OF_ACTION, way) for way in WAYS}
"""A page of the oldest or the newest entries of one action, and how many there are."""

WITNESS_INTERVAL = "1 hour"
"""How old the newest report of audits in the log `_node` may be while a server runs."""

_WITNESS_IS_DUE = f"witnessed_at < now() - interval '{WITNESS_INTERVAL}'"
"""True if the newest report of audits in the log `_node` is older than the interval."""

IS_WITNESS_DUE = f"SELECT FROM install WHERE {_WITNESS_IS_DUE}"
"""Returns a row if the log `_node` has to report the ends of audits."""

LEASE_WITNESS = (
    f"UPDATE install SET witnessed_at = now() WHERE {_WITNESS_IS_DUE} OR NOT %(only_if_due)s::boolean RETURNING id"
)
"""Records that this transaction reports the ends of audits. Returns a row only if a report is due, or if it was asked
for in any case."""

MAX_TIPS = 1000
"""How many ends of audits one event reports."""

LIST_UNWITNESSED_ENDS = f"""
SELECT workspace_id, seq, hash FROM audit_tip WHERE seq > witnessed ORDER BY workspace_id LIMIT {MAX_TIPS}
"""
"""The ends of the audits that have grown since the log `_node` reported them."""

_UNTOLD_ENDS = f"""
SELECT tip.workspace_id, tip.seq, tip.hash FROM audit_tip AS tip JOIN event_tip AS log USING (workspace_id)
LEFT JOIN LATERAL (
    SELECT (data::jsonb #>> '{{tips,0,seq}}')::bigint AS told FROM event
    WHERE workspace_id = tip.workspace_id AND type = '{AUDIT_TIP_TYPE}' AND {{part}} ORDER BY event.seq DESC LIMIT 1
) AS said ON true
WHERE tip.workspace_id <> '{NODE_LOG}' AND log.lost_size IS NULL
    AND {{part:tip}} AND {{part:log}} AND EXISTS (
        SELECT 1 FROM audit_entry WHERE workspace_id = tip.workspace_id AND {{part}}
            AND seq = coalesce(said.told, -1) + 1
            AND recorded_at <= now() - make_interval(secs => %(seconds)s::float8))
ORDER BY tip.workspace_id
"""
"""The ends of some audits with an entry of an age which their own log has not reported."""

LIST_UNTOLD_ENDS = spanning(_UNTOLD_ENDS)
"""Those of all audits."""

GET_UNTOLD_END = limited(_UNTOLD_ENDS, "= %(workspace)s")
"""That of the audit of one workspace."""

RECORD_WITNESSED = """
UPDATE audit_tip SET witnessed = greatest(witnessed, %(seq)s::bigint) WHERE workspace_id = %(log)s
"""
"""Records up to where the log `_node` has reported an audit."""

GET_AUDITING_NODE = "SELECT node FROM install"
"""The node of the install, which acts for administrators at the machine itself."""


class Act(Struct, frozen=True):
    """An administrative act, with one entry in the audit of each of `logs`. Entering it twice makes no second entry."""

    id: UUID
    action: str
    actor: str
    detail: str
    logs: list[str]

    @classmethod
    def of(cls, action: str, actor: str, detail: Mapping[str, object], workspaces: Iterable[str]) -> "Act":
        """An act such as `key.created` by `actor` (a key id or the node), for the audits of `workspaces`.

        `*` in `workspaces` stands for the install. `detail` must not contain personal data or secrets, because an entry
        is never changed.
        """
        return cls(
            id=new_id(),
            action=action,
            actor=actor,
            detail=canonical(msgspec.json.encode(detail), "detail").decode(),
            logs=sorted({NODE_LOG if workspace == EVERY else workspace for workspace in workspaces}),
        )

    @property
    def parameters(self) -> dict[str, object]:
        """The parameters of `AUDITED`."""
        return {
            "audit_id": self.id,
            "audit_action": self.action,
            "audit_actor": self.actor,
            "audit_detail": self.detail,
            "audit_logs": self.logs,
        }

    @property
    def call(self) -> Call:
        """A separate statement that enters the act, for acts that consist of no statement, or of several."""
        return f"SELECT {AUDITED}", self.parameters


def enter(connection: psycopg.Connection, action: str, detail: Mapping[str, object], workspaces: Iterable[str]) -> None:
    """Enter an act that an administrator does at the machine, in the act's transaction. The actor is the node."""
    [(node,)] = connection.execute(GET_AUDITING_NODE)
    connection.execute(*Act.of(action, node, detail, workspaces).call)


class AuditEnd(Struct, frozen=True):
    """Where the audit chain of `log` ends: the seq and the hash of its last entry."""

    log: str
    seq: int
    hash: bytes


class AuditLog:
    """The audits of all workspaces, for one process. For any number of tasks. Every method may raise Unavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(self, act: Act) -> None:
        """Enter an act that changes nothing in the database, such as an export.

        It is entered before the act's result is returned.
        """
        await self._database.atomic([act.call])

    async def entries(
        self,
        workspace: str,
        *,
        since: datetime | None,
        until: datetime | None,
        action: str | None,
        way: Way,
        limit: int,
        read: Act,
    ) -> Written[AuditPage]:
        """The oldest entries with this action after `since` and before `until`, backward the newest, and their number.

        The `read` itself is entered too.
        """
        asked = {"workspace": workspace, "since": since, "until": until, "limit": limit}
        if action is None:
            call = LIST_ENTRIES[way], read.parameters | asked
        else:
            call = LIST_ENTRIES_OF_ACTION[way], read.parameters | asked | {"action": action}
        [(total, entries)], _ = await self._database.atomic([call, read.call])
        keep(workspace, len(entries))
        return Written(b'{"entries":[', entries, b'],"total":%d}' % total)

    async def is_witness_due(self) -> bool:
        """Whether the log `_node` has not reported the audit chains for an hour."""
        return bool(await self._database.rows(IS_WITNESS_DUE, {}))

    async def logs_to_tell(self, seconds: float) -> list[str]:
        """The workspaces with an audit entry older than `seconds` that their own log has not reported."""
        rows = await nodes.rows(self._database, LIST_UNTOLD_ENDS, {"seconds": seconds})
        return [workspace for workspace, *_ in rows]


async def claim_unwitnessed(connection: PipedConnection, *, only_if_due: bool) -> list[AuditEnd]:
    """The ends of the chains that have grown since the log `_node` reported them, at most `MAX_TIPS`.

    With `only_if_due` there are none if the last report is less than an hour old. Call it in a transaction that holds
    the lock on that log, appends the report and runs `witnessed`. So no other process reports the same.
    """
    leased, tips = await connection.trip([(LEASE_WITNESS, {"only_if_due": only_if_due}), (LIST_UNWITNESSED_ENDS, {})])
    return [AuditEnd(*row) for row in tips] if leased else []


async def claim_untold(connection: PipedConnection, workspace: str, seconds: float) -> list[AuditEnd]:
    """The end of a workspace's chain, unless its own log has reported all entries older than `seconds`.

    Call it in a transaction that holds the lock on that log and appends the report. The log itself shows what was
    reported.
    """
    [tips] = await connection.trip([(GET_UNTOLD_END, {"workspace": workspace, "seconds": seconds})])
    return [AuditEnd(*row) for row in tips]


def witnessed(tips: Sequence[AuditEnd]) -> list[Call]:
    """The statements that record that the log `_node` reports these ends.

    They lock the rows in the order in which an act of several workspaces does.
    """
    return [(RECORD_WITNESSED, {"log": tip.log, "seq": tip.seq}) for tip in sorted(tips, key=lambda tip: tip.log)]
