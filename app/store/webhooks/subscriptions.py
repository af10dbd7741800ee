"""Webhook subscriptions: this module creates, lists, stops and deletes them.

A change of which subscriptions take part in a workspace's dispatch happens under the lock on its row in `dispatch`.
Locks have one order: that row, a subscription's row, its deliveries, the audit's tip. Every method here may run twice
with the same result.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec import UNSET, Raw, Struct

from app.store.audit.acting import acted
from app.store.audit.log import Act
from app.store.postgres import nodes
from app.store.postgres.database import Database
from app.store.postgres.instants import INSTANT
from app.store.postgres.nodes import spanning
from app.store.postgres.pipe import Call, PipedConnection, Row
from app.store.postgres.walk import one_sql
from schemas.errors import NotFound
from schemas.subscription import Subscription

RESUME_SECONDS = 60
"""A delivery that becomes due later than this is not claimed by any process now."""

LOCK_SUBSCRIPTIONS = f"""
SELECT FROM (SELECT unnest(%(ids)s::text[]) ORDER BY 1) AS asked (value) CROSS JOIN LATERAL (
    {one_sql("id", "asked.value", table="subscription")} FOR NO KEY UPDATE
) AS locked
"""
"""Locks subscriptions in the order of their ids."""

OPEN_DISPATCH = """
INSERT INTO dispatch (workspace_id, seq, version)
SELECT workspace_id, seq, 0 FROM event_tip WHERE workspace_id = %(workspace)s ON CONFLICT DO NOTHING
"""
"""Begins the dispatch of a workspace, with its first subscription."""

LOCK_DISPATCH = "SELECT FROM dispatch WHERE workspace_id = %(workspace)s FOR UPDATE"
"""Locks the dispatch of a workspace, and waits for a process that is looking through the log."""

NOTE_CHANGE = """
UPDATE dispatch SET version = version + 1, seq = CASE
    WHEN EXISTS (SELECT FROM subscription
        WHERE workspace_id = %(workspace)s AND state = 'active' AND cursor IS NULL) THEN seq
    ELSE greatest(seq, (SELECT seq FROM event_tip WHERE workspace_id = %(workspace)s)) END
WHERE workspace_id = %(workspace)s
"""
"""Records that the subscriptions which take part have changed. If none does, the log is looked through up to now."""

MAX_FOR_EACH_ACTIVE = 10
"""Subscriptions that a workspace may have in all, for each that may be active. Stopped ones are stored too."""

_ACTIVE_COUNT = "(SELECT count(*) FROM subscription WHERE workspace_id = %(workspace)s AND state = 'active')"
"""The number of active subscriptions."""

_KNOWN_COUNT = "(SELECT count(*) FROM subscription WHERE workspace_id = %(workspace)s AND state <> 'deleted')"
"""The number of subscriptions that are not deleted."""

_HAS_ROOM = f"(%(max_active)s::bigint = 0 OR {_ACTIVE_COUNT} < %(max_active)s::bigint)"
"""True if the workspace may have another active subscription."""

COUNT_ACTIVE = f"SELECT {_ACTIVE_COUNT}"
"""How many active subscriptions a workspace has."""

CREATE_SUBSCRIPTION = f"""
INSERT INTO subscription (workspace_id, id, event_types, filter, url, description, ordered, only_user, state, secret,
    weak_secret, cursor, created_at)
SELECT %(workspace)s, %(id)s, %(event_types)s, %(filter)s, %(url)s, %(description)s, %(ordered)s, %(only_user)s,
    'active', %(secret)b, %(weak_secret)s, coalesce(%(cursor)s::bigint,
    (SELECT seq FROM event_tip WHERE workspace_id = %(workspace)s)), now()
WHERE {_HAS_ROOM} AND (%(max_active)s::bigint = 0 OR {_KNOWN_COUNT} < {MAX_FOR_EACH_ACTIVE} * %(max_active)s::bigint)
ON CONFLICT DO NOTHING RETURNING id
"""
"""Creates a subscription, unless the workspace has too many. It begins with a place of its own, and joins the others
when it has caught up."""

_VISIBLE = """workspace_id = %(workspace)s AND state <> 'deleted'
    AND (%(reads_only)s::text IS NULL OR only_user = %(reads_only)s)"""
"""True of subscriptions that the key may see. A key limited to its own user sees those that are limited to that
user."""

IS_VISIBLE = f"{_VISIBLE} AND id = %(id)s"
"""True of the subscription, if the key may see it."""

_COLUMNS = f"""id, event_types, filter, url, description, ordered, state, reason, {INSTANT.format("created_at")},
    {INSTANT.format("stopped_at")}, {INSTANT.format("failing_since")}, delivery_seq, delivery_seq - attempted,
    weak_secret, {INSTANT.format("CASE WHEN previous_until > now() THEN previous_until END")}"""
"""The columns of a `Subscription`, in its order."""

GET_SUBSCRIPTION = f"SELECT {_COLUMNS} FROM subscription WHERE {IS_VISIBLE}"
"""One subscription."""

LIST_SUBSCRIPTIONS = f"""
SELECT {_COLUMNS} FROM subscription
WHERE {_VISIBLE} AND (%(after)s::text IS NULL OR (created_at, id) > (
    SELECT created_at, id FROM subscription WHERE workspace_id = %(workspace)s AND id = %(after)s))
ORDER BY created_at, id LIMIT %(limit)s
"""
"""A page of subscriptions, the oldest first."""

LIST_URLS = f"SELECT id, url FROM subscription WHERE {_VISIBLE} AND id = ANY(%(ids)s) ORDER BY created_at, id"
"""The URLs of the given subscriptions."""

DELETE_SUBSCRIPTION = f"""
UPDATE subscription SET state = 'deleted', secret = '', previous_secret = NULL, stopped_at = now(), cursor = -1
WHERE {IS_VISIBLE} RETURNING id
"""
"""Marks a subscription as deleted. The row itself goes when its deliveries are purged, which can be many."""

PAUSE_SUBSCRIPTION = f"""
UPDATE subscription SET state = 'paused', stopped_at = now(), reason = NULL,
    cursor = coalesce(cursor, (SELECT seq FROM dispatch WHERE workspace_id = %(workspace)s))
WHERE {IS_VISIBLE} AND state = 'active' RETURNING id
"""
"""Pauses a subscription. To keep its place in the log, it gets a cursor of its own at the dispatch's seq."""

RESUME_SUBSCRIPTION = f"""
UPDATE subscription SET state = 'active', stopped_at = NULL, reason = NULL, failing_since = NULL
WHERE {IS_VISIBLE} AND state <> 'active' AND {_HAS_ROOM} RETURNING id
"""
"""Resumes a subscription, if the workspace may have another active one."""

HASTEN_DELIVERIES = f"""
UPDATE delivery SET due_at = now() FROM (
    SELECT ctid FROM delivery WHERE workspace_id = %(workspace)s AND subscription_id = %(id)s
        AND due_at > now() + interval '{RESUME_SECONDS} seconds' ORDER BY due_at
) AS waiting
WHERE workspace_id = %(workspace)s AND delivery.ctid = waiting.ctid
"""
"""Makes deliveries that wait for a later attempt due now, without those that are claimed."""

DISABLE_SUBSCRIPTION = """
UPDATE subscription SET state = 'disabled', stopped_at = now(), reason = %(reason)s, announced = false,
    cursor = coalesce(cursor, (SELECT seq FROM dispatch WHERE workspace_id = %(workspace)s))
WHERE workspace_id = %(workspace)s AND id = %(id)s AND state = 'active'
    AND (%(failing_seconds)s::float8 IS NULL OR failing_since <= now() - make_interval(secs => %(failing_seconds)s))
RETURNING id
"""
"""Disables an active subscription, if it has seen only failures for a time, or for another reason."""

LIST_UNANNOUNCED = spanning("""
SELECT workspace_id, id, reason, stopped_at FROM subscription WHERE NOT announced AND state = 'disabled' AND {part}
ORDER BY stopped_at LIMIT 100
""")
"""Disabled subscriptions of which the log has no event yet."""

RECORD_ANNOUNCED = """
UPDATE subscription SET announced = true
WHERE workspace_id = %(workspace)s AND id = %(id)s AND stopped_at = %(stopped_at)s AND NOT announced
RETURNING id
"""
"""Records that the log has an event of a disabled subscription."""

ROTATE_SECRET = f"""
UPDATE subscription SET secret = %(secret)b, weak_secret = %(weak_secret)s,
    previous_secret = CASE WHEN %(grace_seconds)s::int IS NOT NULL THEN secret END,
    previous_until = now() + make_interval(secs => %(grace_seconds)s::int)
WHERE {IS_VISIBLE} AND secret <> %(secret)b RETURNING id
"""
"""Replaces the secret of a subscription. The old one stays valid for the grace time, if there is one."""

GET_SECRETS = f"SELECT url, secret, previous_secret, previous_until > now() FROM subscription WHERE {IS_VISIBLE}"
"""The URL and the sealed secrets of a subscription."""


class Secrets(Struct, frozen=True):
    """The sealed secrets that sign a subscription's deliveries: the current one, and the previous one while valid."""

    url: str
    secret: bytes
    previous: bytes | None


class Disabled(Struct, frozen=True):
    """A subscription that the server disabled, and that the log does not report yet."""

    workspace: str
    id: str
    reason: str
    stopped_at: datetime


_ID = re.compile(r"sub_[A-Za-z0-9]{1,64}")


class Subscriptions:
    """The subscriptions of all workspaces. Every method may raise Unavailable.

    `reads_only` is the only user whose events the caller may see, or None. If it is set, the caller sees only
    subscriptions that are limited to that user. An `act` is entered in the audit if, and only if, it is done.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self,
        workspace: str,
        id: str,
        *,
        event_types: Sequence[str],
        filter: str | None = None,
        url: str,
        description: str | None,
        ordered: bool,
        only_user: str | None,
        secret: bytes,
        weak_secret: bool,
        cursor: int | None,
        max_active: int,
        act: Act,
    ) -> Subscription | None:
        """Create a subscription that begins after the seq `cursor` (None: now).

        Returns None if `max_active` are active, or ten times as many exist (0: no limit). `filter` is what
        `kept_filter` returned.
        """
        key = subscription_key(workspace, id, None)
        values = {
            "event_types": list(event_types),
            "filter": filter,
            "url": url,
            "description": description,
            "ordered": ordered,
            "only_user": only_user,
            "secret": secret,
            "weak_secret": weak_secret,
            "cursor": cursor,
            "max_active": max_active,
        }
        _, (_noted, found) = await acted(
            self._database,
            act,
            (CREATE_SUBSCRIPTION, key | values),
            first=[(OPEN_DISPATCH, key), (LOCK_DISPATCH, key)],
            then=[(NOTE_CHANGE, key), (GET_SUBSCRIPTION, key)],
        )
        return _subscription(found[0]) if found else None

    async def get(self, workspace: str, id: str, reads_only: str | None) -> Subscription:
        """One subscription. Raises NotFound."""
        return _one(await self._database.rows(GET_SUBSCRIPTION, subscription_key(workspace, id, reads_only)))

    async def page(
        self, workspace: str, reads_only: str | None, *, after: str | None, limit: int
    ) -> list[Subscription]:
        """The first `limit` subscriptions of a workspace, oldest first, after the one with the id `after`."""
        parameters = {"workspace": workspace, "reads_only": reads_only, "after": after, "limit": limit}
        return [_subscription(row) for row in await self._database.rows_alone(LIST_SUBSCRIPTIONS, parameters)]

    async def urls(self, workspace: str, reads_only: str | None, ids: Sequence[str]) -> list[tuple[str, str]]:
        """The id and the URL of each of these subscriptions, oldest first."""
        parameters = {"workspace": workspace, "reads_only": reads_only, "ids": list(ids)}
        return [(id_, url) for id_, url in await self._database.rows_alone(LIST_URLS, parameters)]

    async def active(self, workspace: str) -> int:
        """How many subscriptions of a workspace are active."""
        count: int = (await self._database.rows(COUNT_ACTIVE, {"workspace": workspace}))[0][0]
        return count

    async def delete(self, workspace: str, id: str, reads_only: str | None, act: Act) -> None:
        """Delete a subscription. None of its deliveries is claimed any more. Raises NotFound."""
        key = subscription_key(workspace, id, reads_only)
        deleted, _ = await self._changed(key, DELETE_SUBSCRIPTION, act)
        if not deleted:
            raise not_found()

    async def pause(self, workspace: str, id: str, reads_only: str | None, act: Act) -> Subscription:
        """Pause a subscription. It keeps its place in the log. Raises NotFound."""
        key = subscription_key(workspace, id, reads_only)
        _, found = await self._changed(key, PAUSE_SUBSCRIPTION, act)
        return _one(found)

    async def resume(self, workspace: str, id: str, reads_only: str | None, max_active: int, act: Act) -> Subscription:
        """Resume a subscription at its place. It stays stopped if `max_active` (0: no limit) are active.

        Raises NotFound.
        """
        key = subscription_key(workspace, id, reads_only) | {"max_active": max_active}
        _, found = await self._changed(key, RESUME_SUBSCRIPTION, act, done=[(HASTEN_DELIVERIES, key)])
        return _one(found)

    async def disable(self, workspace: str, id: str, reason: str, failing_seconds: float | None, act: Act) -> None:
        """Disable a subscription for `reason`; with `failing_seconds`, only if it has failed for that time."""
        key = subscription_key(workspace, id, None)
        await self._changed(key | {"reason": reason, "failing_seconds": failing_seconds}, DISABLE_SUBSCRIPTION, act)

    async def unannounced(self) -> list[Disabled]:
        """The disabled subscriptions that the log does not report yet."""
        return [Disabled(*row) for row in await nodes.rows(self._database, LIST_UNANNOUNCED)]

    async def rotate(
        self,
        workspace: str,
        id: str,
        reads_only: str | None,
        *,
        secret: bytes,
        weak_secret: bool,
        grace_seconds: int,
        act: Act,
    ) -> Subscription:
        """Replace the secret of a subscription. The old one stays valid for `grace_seconds`. Raises NotFound."""
        key = subscription_key(workspace, id, reads_only)
        values = {"secret": secret, "weak_secret": weak_secret, "grace_seconds": grace_seconds or None}
        _, [found] = await acted(self._database, act, (ROTATE_SECRET, key | values), then=[(GET_SUBSCRIPTION, key)])
        return _one(found)

    async def secrets(self, workspace: str, id: str, reads_only: str | None, act: Act) -> Secrets:
        """The URL and the secrets of a subscription, for the `act` of sending a delivery. Raises NotFound."""
        rows, _ = await acted(self._database, act, (GET_SECRETS, subscription_key(workspace, id, reads_only)))
        if not rows:
            raise not_found()
        url, secret, previous, is_valid = rows[0]
        return Secrets(url, secret, previous if is_valid else None)

    async def _changed(
        self, key: Mapping[str, object], change: str, act: Act, *, done: Sequence[Call] = ()
    ) -> tuple[list[Row], list[Row]]:
        """Change which subscriptions take part. Returns what the change returned, and the subscription."""
        changed, (_noted, found) = await acted(
            self._database,
            act,
            (change, key),
            first=[(LOCK_DISPATCH, key)],
            done=lambda _changed: done,
            then=[(NOTE_CHANGE, key), (GET_SUBSCRIPTION, key)],
        )
        return changed, found


async def claim_announcement(connection: PipedConnection, disabled: Disabled) -> bool:
    """Record that the log reports that a subscription was disabled. Returns False if that was recorded before.

    Call it in the transaction that appends the event, so that the event is appended exactly once.
    """
    key = {"workspace": disabled.workspace, "id": disabled.id, "stopped_at": disabled.stopped_at}
    [marked] = await connection.trip([(RECORD_ANNOUNCED, key)])
    return bool(marked)


def subscription_key(workspace: str, id: str, reads_only: str | None) -> dict[str, object]:
    """The parameters that name a subscription.

    Raises NotFound for an invalid id, because PostgreSQL does not accept every text.
    """
    if not _ID.fullmatch(id):
        raise not_found()
    return {"workspace": workspace, "id": id, "reads_only": reads_only}


def not_found() -> NotFound:
    """The error for a subscription that does not exist, or that the caller may not see."""
    return NotFound("There is no such subscription", field="subscriptionId")


def _one(rows: Sequence[Row]) -> Subscription:
    if not rows:
        raise not_found()
    return _subscription(rows[0])


def _subscription(row: Row) -> Subscription:
    shown = dict(zip(Subscription.__struct_fields__, row, strict=True))
    shown["filter"] = UNSET if shown["filter"] is None else Raw(shown["filter"].encode())
    return Subscription(**shown)
