"""Shows the deliveries of a subscription, and replays events to it."""

from collections.abc import Mapping, Sequence

import msgspec

from app.filters.sql import condition
from app.store.audit.acting import acted
from app.store.audit.log import Act
from app.store.postgres.database import Database
from app.store.postgres.instants import INSTANT
from app.store.postgres.pipe import Once, Row
from app.store.postgres.walk import one_sql
from app.store.webhooks.dispatch import MAX_UNTRIED, write_deliveries
from app.store.webhooks.subscribers import Subscriber
from app.store.webhooks.subscriptions import IS_VISIBLE, not_found, subscription_key
from schemas.base import Way
from schemas.subscription import Attempt, Delivery, DeliveryState

MAX_REPLAYED = 10_000
"""The maximum of seqs that one replay spans."""

SHOWN_ATTEMPTS = 20
"""How many attempts of a delivery are shown, the last ones."""

MAX_PAGE_BYTES = 2**22
"""The maximum size of receivers' answers on one page, unless its first delivery has more. As JSON they can be six times
as large."""

GET_SUBSCRIBER = f"SELECT event_types, only_user, filter FROM subscription WHERE {IS_VISIBLE}"
"""Which events a subscription wants."""

REPLAY_EVENTS = f"""
WITH matched AS (
    SELECT coalesce(array_agg(seq ORDER BY seq), '{{{{}}}}') AS seqs FROM event
    WHERE workspace_id = %(workspace)s AND seq BETWEEN %(first)s AND %(last)s AND type ~ %(types)s
        AND (%(only_user)s::text IS NULL OR user_id = %(only_user)s) AND ({{meets}})
)
UPDATE subscription SET delivery_seq = delivery_seq + cardinality(matched.seqs) FROM matched
WHERE workspace_id = %(workspace)s AND id = %(id)s AND state <> 'deleted' AND delivery_seq - attempted <= {MAX_UNTRIED}
RETURNING id, delivery_seq - cardinality(matched.seqs), ordered, matched.seqs, delivery_seq
"""
"""Numbers the matching events of a part of the log on from the subscription's last delivery. Does nothing if too many
deliveries wait for their first attempt."""

_SHOWN_ATTEMPTS = f"""
FROM attempt AS a WHERE a.workspace_id = %(workspace)s AND a.subscription_id = %(id)s
    AND a.delivery_seq = d.delivery_seq AND a.number > d.attempts - {SHOWN_ATTEMPTS}
"""
"""The last attempts of a delivery."""

_LIST_DELIVERIES = f"""
SELECT d.found, d.delivery_seq, d.seq, e.id, e.type, d.state, d.replay, {INSTANT.format("d.created_at")},
    {INSTANT.format("d.due_at")}, {INSTANT.format("d.ended_at")}, coalesce((
        SELECT json_agg(json_build_array(a.number, {INSTANT.format("a.at")}, a.elapsed_ms, a.status, a.error,
            translate(encode(a.body, 'base64'), E'\\n', '')) ORDER BY a.number) {_SHOWN_ATTEMPTS}), '[]')::text
FROM (
    SELECT d.*, sum(answers.bytes) OVER page AS bytes, row_number() OVER page AS place, count(*) OVER () AS found
    FROM (
        SELECT * FROM delivery WHERE workspace_id = %(workspace)s AND subscription_id = %(id)s
            AND delivery_seq {{0}} coalesce(%(place)s::bigint, {{2}})
            AND (%(state)s::text IS NULL OR state = %(state)s)
        ORDER BY delivery_seq {{1}} LIMIT %(limit)s
    ) AS d CROSS JOIN LATERAL (
        SELECT coalesce(sum(octet_length(a.body)), 0) AS bytes {_SHOWN_ATTEMPTS}
    ) AS answers WINDOW page AS (ORDER BY d.delivery_seq {{1}})
) AS d CROSS JOIN LATERAL ({one_sql("seq", "d.seq")}) AS e
WHERE d.bytes <= {MAX_PAGE_BYTES} OR d.place = 1
ORDER BY d.delivery_seq {{1}}
"""
"""A page of the deliveries of a subscription with their last attempts, up to a size."""

LIST_DELIVERIES: Mapping[Way, str] = {
    "forward": _LIST_DELIVERIES.format("<", "DESC", 2**63 - 1),
    "backward": _LIST_DELIVERIES.format(">", "ASC", 0),
}
"""A page of the deliveries of a subscription after a place, or before it. The newest is the first."""

_attempts = msgspec.json.Decoder(list[tuple[int, str, int, int | None, str | None, bytes]])


class Deliveries:
    """The deliveries of all subscriptions. Every method may raise Unavailable.

    `reads_only` is the only user whose events the caller may see, or None. If it is set, the caller sees only
    subscriptions that are limited to that user.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def subscriber(self, workspace: str, id: str, reads_only: str | None) -> Subscriber:
        """Which events a subscription gets. Raises NotFound."""
        rows = await self._database.rows(GET_SUBSCRIBER, subscription_key(workspace, id, reads_only))
        if not rows:
            raise not_found()
        return Subscriber(id, *rows[0])

    async def replay(
        self, workspace: str, subscriber: Subscriber, first: int, last: int, act: Act
    ) -> tuple[int, int] | None:
        """Write new deliveries of the matching events from `first` to `last`.

        Returns how many, and the last one's number.

        Returns None if more than `MAX_UNTRIED` deliveries of the subscription wait for their first attempt. Raises
        InvalidInput if the subscriber's filter is no longer valid.
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
        sql = Once(REPLAY_EVENTS.format(meets="true" if node is None else condition(node, parameters)))
        async with self._database.searching(workspace):
            rows, _ = await acted(
                self._database,
                act,
                (sql, parameters),
                is_done=_has_matches,
                done=lambda advanced: [write_deliveries(parameters, advanced, 0, replay=True)],
            )
        return (len(rows[0][3]), rows[0][4]) if rows else None

    async def page(
        self, workspace: str, id: str, *, state: DeliveryState | None, place: int | None, way: Way, limit: int
    ) -> tuple[list[Delivery], bool]:
        """A page of a subscription's deliveries, newest first, and whether there are more in that direction.

        Their numbers are below `place` or, backward, right above it. A page with large answers is shorter than `limit`.
        """
        parameters = {"workspace": workspace, "id": id, "state": state, "place": place, "limit": limit + 1}
        rows = await self._database.rows_alone(LIST_DELIVERIES[way], parameters)
        page = [_delivery(row[1:]) for row in rows[:limit]]
        more = bool(rows) and rows[0][0] > len(page)
        return page if way == "forward" else page[::-1], more


def _has_matches(rows: Sequence[Row]) -> bool:
    """Whether a replay has found events."""
    return any(seqs for _, _, _, seqs, _ in rows)


def _delivery(row: Row) -> Delivery:
    *values, attempts = row
    shown = [
        Attempt(
            number=number, at=at, elapsed_ms=elapsed, status=status, error=error, body=body.decode(errors="replace")
        )
        for number, at, elapsed, status, error, body in _attempts.decode(attempts)
    ]
    return Delivery(**dict(zip(Delivery.__struct_fields__, [*values, shown], strict=True)))
