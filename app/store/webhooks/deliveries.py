"""The deliveries of a subscription, as they are shown, and made once more."""

from collections.abc import Mapping

import msgspec

from app.filter import Subscriber
from app.store.audit import AUDITED, Act
from app.store.database import Database
from app.store.filter_sql import condition
from app.store.pipe import Row
from app.store.rows import INSTANT
from app.store.walk import one_sql
from app.store.webhooks.subscriptions import MINE, not_found, subscription_key
from schemas.base import Way
from schemas.subscription import Attempt, Delivery, DeliveryState

MAX_REPLAYED = 10_000
"""Places of the log that one replay spans at most."""

SHOWN_ATTEMPTS = 20
"""Attempts that are shown of a delivery, the last ones."""

SUBSCRIBER = f"SELECT event_types, only_user, filter FROM subscription WHERE {MINE}"

REPLAY = f"""
WITH matched AS (
    SELECT seq, row_number() OVER (ORDER BY seq) AS place FROM event
    WHERE workspace_id = %(workspace)s AND seq BETWEEN %(first)s AND %(last)s AND type ~ %(types)s
        AND (%(only_user)s::text IS NULL OR user_id = %(only_user)s) AND ({{meets}})
), advanced AS (
    UPDATE subscription SET delivery_seq = delivery_seq + (SELECT count(*) FROM matched)
    WHERE workspace_id = %(workspace)s AND id = %(id)s
    RETURNING delivery_seq - (SELECT count(*) FROM matched) AS before, delivery_seq, ordered
), written AS (
    INSERT INTO delivery (workspace_id, subscription_id, delivery_seq, seq, ordered, replay, created_at, due_at)
    SELECT %(workspace)s, %(id)s, before + place, seq, ordered, true, now(), now() FROM matched, advanced
)
SELECT delivery_seq - before, delivery_seq, CASE WHEN delivery_seq > before THEN {AUDITED} END FROM advanced
"""

_DELIVERIES = f"""
SELECT d.delivery_seq, d.seq, e.id, e.type, d.state, d.replay, {INSTANT.format("d.created_at")},
    {INSTANT.format("d.due_at")}, {INSTANT.format("d.ended_at")}, coalesce((
        SELECT json_agg(json_build_array(a.number, {INSTANT.format("a.at")}, a.elapsed_ms, a.status, a.error,
            translate(encode(a.body, 'base64'), E'\\n', '')) ORDER BY a.number)
        FROM attempt AS a WHERE a.workspace_id = d.workspace_id AND a.subscription_id = d.subscription_id
            AND a.delivery_seq = d.delivery_seq AND a.number > d.attempts - {SHOWN_ATTEMPTS}), '[]')::text
FROM delivery AS d CROSS JOIN LATERAL ({one_sql("seq", "d.seq")}) AS e
WHERE d.workspace_id = %(workspace)s AND d.subscription_id = %(id)s
    AND d.delivery_seq {{0}} coalesce(%(place)s::bigint, {{2}})
    AND (%(state)s::text IS NULL OR d.state = %(state)s)
ORDER BY d.delivery_seq {{1}} LIMIT %(limit)s
"""

DELIVERIES: Mapping[Way, str] = {
    "forward": _DELIVERIES.format("<", "DESC", 2**63 - 1),
    "backward": _DELIVERIES.format(">", "ASC", 0),
}
"""The deliveries of a subscription behind a place, or before it: the newest is the first."""

_attempts = msgspec.json.Decoder(list[tuple[int, str, int, int | None, str | None, bytes]])


class Deliveries:
    """The deliveries of all subscriptions. Everything may raise Unavailable.

    `reads_only` is the user whose events the caller may see, or None: such a caller sees what is confined likewise.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def subscriber(self, workspace: str, id: str, reads_only: str | None) -> Subscriber:
        """Which events one is told of. Raises NotFound."""
        rows = await self._database.rows(SUBSCRIBER, subscription_key(workspace, id, reads_only))
        if not rows:
            raise not_found()
        return Subscriber(id, *rows[0])

    async def replay(self, workspace: str, subscriber: Subscriber, first: int, last: int, act: Act) -> tuple[int, int]:
        """Owe the matching events from `first` to `last` once more. Answers how many, and the last one's number.

        Raises InvalidInput where the subscriber's filter is none any more.
        """
        parameters: dict[str, object] = {
            "workspace": workspace,
            "id": subscriber.id,
            "first": first,
            "last": last,
            "types": subscriber.types,
            "only_user": subscriber.only_user,
        }
        node = subscriber.node
        sql = REPLAY.format(meets="true" if node is None else condition(node, parameters))
        rows = await self._database.rows_alone(sql, parameters | act.parameters)
        if not rows:
            raise not_found()
        made, number, _ = rows[0]
        return made, number

    async def page(
        self, workspace: str, id: str, *, state: DeliveryState | None, place: int | None, way: Way, limit: int
    ) -> tuple[list[Delivery], bool]:
        """The deliveries of one, newest first, with numbers below `place` or, backward, right above it.

        And whether there are more on that way.
        """
        parameters = {"workspace": workspace, "id": id, "state": state, "place": place, "limit": limit + 1}
        found = [_delivery(row) for row in await self._database.rows_alone(DELIVERIES[way], parameters)]
        page = found[:limit]
        return page if way == "forward" else page[::-1], len(found) > limit


def _delivery(row: Row) -> Delivery:
    *values, attempts = row
    shown = [
        Attempt(
            number=number, at=at, elapsed_ms=elapsed, status=status, error=error, body=body.decode(errors="replace")
        )
        for number, at, elapsed, status, error, body in _attempts.decode(attempts)
    ]
    return Delivery(**dict(zip(Delivery.__struct_fields__, [*values, shown], strict=True)))
