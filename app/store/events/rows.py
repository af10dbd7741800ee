"""Rows of the table `event` as JSON and as Structs."""

from collections.abc import Iterable

from app.filters.event import FoundEvent
from app.ledger.chain import Body
from app.store.postgres.instants import INSTANT
from app.store.postgres.pipe import Row
from schemas.written import Tracked

EVENT_JSON = f"""concat(
    '{{"id":"', id, '","version":"v1","type":"', type, '"', ',"subjectId":' || to_json(subject_id),
    ',"data":', data, ',"metadata":' || metadata, ',"userId":', to_json(user_id), ',"source":"', source, '"',
    ',"producer":' || to_json(producer), ',"correlationId":' || to_json(correlation_id),
    ',"causationId":' || to_json(causation_id), ',"occurredAt":"' || {INSTANT.format("occurred_at")} || '"',
    ',"timestamp":"', {INSTANT.format("recorded_at")}, '","seq":', seq, ',"hash":"sha256:', encode(hash, 'hex'), '"',
    CASE WHEN erased THEN ',"erased":true' END, '}}')"""
"""A row as the JSON of `SynapEvent`, in one value: `concat` leaves out nulls, and `data` and `metadata` are inserted as
the text that is stored. The database writes the JSON because that takes a fifth of the time that Python takes, and
because a page then crosses the socket as one value instead of fifteen for each row."""

LEDGER_JSON = f"""concat(
    '{{"id":"evt_', encode(hash, 'hex'), '","event_id":"', id, '","type":"', type,
    '","timestamp":"', {INSTANT.format("recorded_at")}, '","log":"', workspace_id,
    '","node":"', (SELECT node FROM install), '","kid":"', kid, '","seq":', seq,
    ',"prev_hash":"sha256:', encode(prev_hash, 'hex'), '","body_hash":"sha256:', encode(body_hash, 'hex'),
    '","hash":"sha256:', encode(hash, 'hex'), '","signature":"', translate(encode(signature, 'base64'), E'\\n', ''),
    '","payload":', data, ',"context":', CASE WHEN erased THEN '{{}},"erased":true' ELSE concat(
        '{{', '"causationId":' || to_json(causation_id) || ',', '"correlationId":' || to_json(correlation_id) || ',',
        '"metadata":' || metadata || ',', '"occurredAt":"' || {INSTANT.format("occurred_at")} || '",',
        '"producer":' || to_json(producer) || ',', '"salt":"', encode(salt, 'hex'), '","source":"', source, '"',
        ',"subjectId":' || to_json(subject_id), ',"userId":', to_json(user_id), '}}') END, '}}')"""
"""A row as the JSON of `LedgerEvent`."""

BROWSE_JSON = f"""concat(
    '{{"id":"', id, '","type":"', type, '","subjectId":', coalesce(to_json(subject_id)::text, 'null'),
    ',"userId":', to_json(user_id), ',"workspaceId":"', workspace_id,
    '","parentId":', coalesce(to_json(causation_id)::text, 'null'), ',"data":', data,
    ',"createdAt":"', {INSTANT.format("recorded_at")}, '"}}')"""
"""A row as the JSON of `BrowsedEvent`."""

EVENT_BYTES = "octet_length(data) + coalesce(octet_length(metadata), 0)"
"""The size of a row's data and metadata. PostgreSQL knows it without reading the values."""

FOUND = (
    "seq, type, source, coalesce(producer, source), metadata IS NOT NULL, subject_id, correlation_id, causation_id, "
    "user_id, recorded_at, occurred_at, id"
)
"""The columns that `to_found` reads, in its order. The event's JSON follows them."""

BODY = (
    "id, type, erased, hash, user_id, source, data, subject_id, producer, metadata, correlation_id, causation_id, "
    "occurred_at"
)
"""The columns that `to_body` reads, in its order, after those that identify the event."""


def to_found(row: Row) -> FoundEvent:
    """The event of a row that begins with `FOUND` and the event's JSON, as filters read it."""
    return FoundEvent(
        seq=row[0],
        type=row[1],
        source=row[2],
        producer=row[3],
        has_metadata=row[4],
        subject_id=row[5],
        correlation_id=row[6],
        causation_id=row[7],
        user_id=row[8],
        recorded_at=row[9],
        occurred_at=row[10],
        event=Tracked(str(row[11]), row[12]),
    )


def to_body(row: Row) -> Body:
    """The body of a row of `BODY`."""
    return Body(
        user_id=row[4],
        source=row[5],
        data=row[6],
        subject_id=row[7],
        producer=row[8],
        metadata=row[9],
        correlation_id=row[10],
        causation_id=row[11],
        occurred_at=row[12],
    )


def array(values: Iterable[str | int]) -> str:
    """An array literal of our own ids or of numbers. psycopg would adapt a list element by element, which is slow."""
    return f"{{{','.join(map(str, values))}}}"
