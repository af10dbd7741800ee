"""The shapes that a developer's own types had before: stored data must stay valid for the current shape of its type.

Stored data never changes, so a type may only accept more than before. If a type is no longer registered, its shapes
stay stored, and its events stay readable.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec
import psycopg
from msgspec import Struct

from app.contract.compatibility import incompatibility, schema_of
from app.filters.sql import has_kind, projection
from app.store.install.install import InstallError
from schemas.metadata import BUILT_IN

REGISTRATION_LOCK = 0x53594E5459
"""The advisory lock that lets one process at a time register types."""

LOCK_REGISTRATION = "SELECT pg_advisory_xact_lock(%s)"
"""Waits for the lock, and holds it until the transaction ends."""

METADATA = "metadata"
EVENT = "event"

LIST_SHAPES = "SELECT shape, registered_at FROM registered_type WHERE sort = %s AND name = %s ORDER BY number"
"""The shapes with which a type was registered, the oldest first."""

LIST_CLAIMED_NAMES = "SELECT DISTINCT name FROM registered_type WHERE sort = %s AND name = ANY(%s)"
"""The metadata kinds among these names that an extension has registered."""

DELETE_SHAPES = "DELETE FROM registered_type WHERE sort = %s AND name = %s"
"""Deletes the registered shapes of a type."""

INSERT_SHAPE = "INSERT INTO registered_type (sort, name, number, shape, registered_at) VALUES (%s, %s, %s, %s, %s)"
"""Stores a shape of a type."""


HAS_TYPE = """
SELECT EXISTS (SELECT 1 FROM event_tip AS t WHERE EXISTS (
    SELECT 1 FROM event
    WHERE workspace_id = t.workspace_id AND type = %(name)s AND NOT erased AND recorded_at >= %(since)s
))
"""
"""Whether an event of a type has been stored since a time, by the index of each workspace. Erased events do not count,
because they have no data."""


def register_types(
    connection: psycopg.Connection, kinds: Mapping[str, type[Struct]], types: Mapping[str, type[Struct]]
) -> None:
    """Store the current shapes of metadata kinds and of event types' data, one process at a time.

    Raises InstallError if a shape has changed so that stored data might not be valid any more, and if an extension ever
    registered a kind that is built in now. A shape that was registered before is accepted, because an older server may
    start beside a newer one that has widened it.
    """
    if claimed := connection.execute(LIST_CLAIMED_NAMES, (METADATA, list(BUILT_IN))).fetchone():
        raise InstallError(
            f"An extension of this install has registered the metadata kind {claimed[0]!r}, which the server now has "
            "itself: events may be stored with another meaning of it. This version cannot serve the install."
        )
    with connection.transaction():
        if kinds or types:
            connection.execute(LOCK_REGISTRATION, (REGISTRATION_LOCK,))
        for name, kind in kinds.items():
            _register(connection, METADATA, name, kind)
        for name, kind in types.items():
            _register(connection, EVENT, name, kind)


def _register(connection: psycopg.Connection, sort: str, name: str, kind: type[Struct]) -> None:
    schema = schema_of(kind)
    shape = msgspec.json.encode(schema, order="sorted").decode()
    before = connection.execute(LIST_SHAPES, (sort, name)).fetchall()
    if shape in {each for each, _ in before}:
        return
    if before:
        last, since = before[-1][0], before[0][1]
        change = incompatibility(msgspec.json.decode(last), schema)
        if change and _is_stored(connection, sort, name, since):
            what = f"metadata kind {name!r}" if sort == METADATA else f"data of the event type {name!r}"
            remedy = "under another name" if sort == METADATA else "for another type"
            raise InstallError(
                f"The {what} has changed, but events with its earlier form are stored: {change}; "
                f"register it {remedy}, or accept everything that was valid before."
            )
        if change:
            connection.execute(DELETE_SHAPES, (sort, name))
            before = []
    connection.execute(INSERT_SHAPE, (sort, name, len(before), shape, datetime.now(UTC)))


def _is_stored(connection: psycopg.Connection, sort: str, name: str, since: datetime) -> bool:
    """Whether an event with this type or kind has been stored since it was first registered."""
    query = HAS_TYPE if sort == EVENT else _has_kind(name)
    row = connection.execute(query, {"name": name, "since": since}).fetchone()
    return row is not None and bool(row[0])


def _has_kind(kind: str) -> str:
    # No index serves this. It reads all events with metadata, but only if a kind has changed incompatibly.
    return f"""
SELECT EXISTS (SELECT 1 FROM event WHERE metadata IS NOT NULL AND recorded_at >= %(since)s
    AND CASE WHEN {has_kind(kind)} THEN jsonb_exists({projection("metadata")}, %(name)s) ELSE false END)
"""
