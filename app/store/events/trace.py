"""The causal tree of an event, from the log itself.

An event's `causationId` is free text. It names the event's cause if it is the UUID, in lower case, of an event in the
same workspace; the filter fields `parent` and `children` read it in the same way. So each event has at most one cause:
its ancestors are a line, and its descendants a tree. An id may be named before it is logged, so there can be a cycle.
It can only close at the event where a walk began, or among its ancestors.

A trace is one statement, so it shows one moment. Each step is an index lookup, and the number of steps depends only on
how many events are returned.
"""

from uuid import UUID

import msgspec

from app.capacity.answers import keep
from app.filters.sql import USUAL_UUID, has_kind, projection
from app.store.postgres.database import Database
from app.store.postgres.instants import INSTANT
from app.store.postgres.walk import Entry, Walk, one_sql
from schemas.trace import Bound, Trace, TraceEnds
from schemas.written import Written

TRACED_JSON = f"""concat(
    '{{"id":"', id, '","seq":', seq, ',"type":"', type, '","timestamp":"', {INSTANT.format("recorded_at")},
    '","userId":', to_json(user_id), ',"subjectId":' || to_json(subject_id),
    ',"causationId":' || to_json(causation_id), ',"correlationId":' || to_json(correlation_id),
    ',"agent":' || (ai -> 'agent')::text, ',"confidence":' || (ai -> 'confidence' -> 'score')::text,
    CASE WHEN erased THEN ',"erased":true' END, ',"depth":' || depth, '}}')"""
"""A row, with its `ai` and its `depth`, as the JSON of `TracedEvent`."""

_VISIBLE = "(%(only_user)s::text IS NULL OR user_id = %(only_user)s::text)"
"""SQL that is true of the events that the caller may see."""

_CAUSE = f"CASE WHEN ancestor.causation_id ~ '{USUAL_UUID}' THEN ancestor.causation_id::uuid END"
"""The id of an event's cause, if it is one."""


def _part(name: str) -> str:
    return (
        f"convert_to(coalesce(string_agg({TRACED_JSON}, ',' ORDER BY line) FILTER (WHERE part = '{name}'), ''), 'UTF8')"
    )


def _named_by(column: str, value: str, condition: str) -> Walk:
    """A walk over the visible events that have this value in the column, and meet the condition."""
    return Walk(entry=Entry(column=column, value=value, where=f"{column} IS NOT NULL"), rest=[_VISIBLE, condition])


def _trace_sql(named: str) -> str:
    """SQL of the trace of the event that a SELECT returns, as one row.

    The row has the event (empty if there is none), three lists, how many events were found, and how deep. In each
    direction it looks for one event more than it shows, to know whether there are more. LATERAL and LIMIT make every
    step use the index. The walk down goes level by level, and stops when it has enough.
    """
    effects = _named_by("causation_id", "descendant.id::text", "seq <> (SELECT seq FROM root)").rows(
        descending=False, limit="%(limit)s::int + 1"
    )
    others = _named_by(
        "correlation_id", "(SELECT correlation_id FROM root)", "seq NOT IN (SELECT seq FROM causal)"
    ).rows(descending=False, limit="%(limit)s::int + 2 - (SELECT count(*) FROM causal)")
    return f"""
        WITH RECURSIVE root AS MATERIALIZED (
            SELECT seq, id, causation_id, correlation_id FROM ({named}) AS event WHERE {_VISIBLE}
        ), ancestor AS (
            SELECT seq, causation_id, 0 AS depth, ARRAY[seq] AS path FROM root
            UNION ALL
            SELECT cause.seq, cause.causation_id, depth + 1, path || cause.seq
            FROM ancestor CROSS JOIN LATERAL (
                SELECT seq, causation_id FROM ({one_sql("id", _CAUSE)}) AS event
                WHERE {_VISIBLE} AND seq <> ALL(ancestor.path)
            ) AS cause
            WHERE depth <= least(%(depth)s::int, %(limit)s::int)
        ), above AS MATERIALIZED (
            SELECT seq, depth FROM ancestor WHERE depth BETWEEN 1 AND least(%(depth)s::int, %(limit)s::int)
        ), descendant AS (
            SELECT seq, id, 0 AS depth FROM root
            UNION ALL
            SELECT effect.seq, effect.id, depth + 1
            FROM descendant CROSS JOIN LATERAL (
                SELECT seq, id FROM ({effects}) AS event
            ) AS effect
            WHERE depth <= %(depth)s::int
        ), below AS MATERIALIZED (
            SELECT seq, depth, row_number() OVER () AS line
            FROM (
                SELECT seq, depth FROM descendant WHERE depth > 0 AND seq NOT IN (SELECT seq FROM above)
                LIMIT %(limit)s::int + 1 - (SELECT count(*) FROM above)
            ) AS yielded
        ), causal AS MATERIALIZED (
            SELECT 'event' AS part, seq, 0 AS depth, 0 AS line FROM root
            UNION ALL SELECT 'ancestors', seq, -depth, depth FROM above
            UNION ALL SELECT 'descendants', seq, depth, line FROM below
            WHERE depth <= %(depth)s::int AND line <= %(limit)s::int - (SELECT count(*) FROM above)
        ), beside AS MATERIALIZED (
            SELECT seq, row_number() OVER () AS line
            FROM (
                SELECT seq FROM ({others}) AS event
            ) AS oldest
        ), shown AS (
            SELECT part, seq AS place, depth, line FROM causal
            UNION ALL SELECT 'correlated', seq, NULL, line FROM beside
            WHERE line <= %(limit)s::int + 1 - (SELECT count(*) FROM causal)
        )
        SELECT {_part("event")}, {_part("ancestors")}, {_part("descendants")}, {_part("correlated")},
            (SELECT max(depth) FROM ancestor), (SELECT count(*) FROM above),
            (SELECT count(*) FROM below WHERE depth <= %(depth)s::int),
            (SELECT count(*) FROM below), (SELECT count(*) FROM causal), (SELECT count(*) FROM beside)
        FROM shown CROSS JOIN LATERAL (
            SELECT event.*, CASE WHEN {has_kind("ai")} THEN ({projection("metadata")}) -> 'ai' END AS ai
            FROM ({one_sql("seq", "shown.place")}) AS event
        ) AS event"""


TRACE_BY_ID = _trace_sql(one_sql("id", "%(named)s::uuid"))
"""The trace of the event with this id."""

TRACE_BY_HASH = _trace_sql(one_sql("hash", "%(named)b::bytea"))
"""The trace of the event with this hash."""


class CausalTree:
    """Walks from an event to its ancestors and descendants. Any number of tasks may use it at once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def trace(
        self, workspace: str, reference: UUID | bytes, only_user: str | None, *, limit: int, depth: int
    ) -> Written[Trace] | None:
        """The trace of the event with this id, or with this hash (32 bytes); None if there is no such event.

        With `only_user` it contains only that user's events, and a walk ends at an event of another user. It contains
        at most `limit` events besides the event itself, each at most `depth` steps away: first ancestors, then
        descendants, then events with the same correlation id. Raises Unavailable.
        """
        parameters = {
            "workspace": workspace,
            "named": reference,
            "only_user": only_user,
            "limit": limit,
            "depth": depth,
        }
        sql = TRACE_BY_ID if isinstance(reference, UUID) else TRACE_BY_HASH
        [(event, ancestors, descendants, correlated, *numbers)] = await self._database.search(
            sql, parameters, is_planned=False, is_metered=False
        )
        if not event:
            return None
        parts = [
            b'"event":%b,"ancestors":[%b],"descendants":[%b],"correlated":[%b]'
            % (event, ancestors, descendants, correlated)
        ]
        keep(workspace, len(parts[0]))
        ends = _ends(*numbers, limit=limit, depth=depth)
        if ends != TraceEnds():
            parts.append(b'"truncated":%b' % msgspec.json.encode(ends))
        return Written(b"{%b}" % b",".join(parts))


def _ends(
    highest: int, above: int, within: int, below: int, causal: int, beside: int, *, limit: int, depth: int
) -> TraceEnds:
    """Which lists were cut, and by which bound.

    Of the descendants found, `below` in all, `within` are within the depth.
    """
    ancestors: Bound | None = None
    descendants: Bound | None = None
    if highest > above:
        ancestors = "limit" if limit < depth else "depth"
    if within > limit - above:
        descendants = "limit"
    elif below > within:
        descendants = "depth"
    correlated: Bound | None = "limit" if beside > limit + 1 - causal else None
    return TraceEnds(ancestors=ancestors, descendants=descendants, correlated=correlated)
