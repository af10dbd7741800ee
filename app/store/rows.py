"""Rows of the table `event` as Structs."""

from msgspec import Raw

from app.ledger.chain import Body, instant
from app.store.database import Row
from schemas.event import SynapEvent

COLUMNS = (
    "id, type, recorded_at, seq, hash, erased, user_id, source, data, subject_id, producer, metadata, correlation_id, "
    "causation_id, occurred_at"
)
"""What `to_event` reads, in its order."""


def to_event(row: Row) -> SynapEvent:
    """A row of `COLUMNS` as what callers get: `data` and `metadata` are spliced in as the text they are."""
    metadata, occurred_at = row[11], row[14]
    return SynapEvent(
        id=row[0],
        version="v1",
        type=row[1],
        timestamp=instant(row[2]),
        seq=row[3],
        hash=f"sha256:{row[4].hex()}",
        erased=row[5],
        user_id=row[6],
        source=row[7],
        data=Raw(row[8].encode()),
        subject_id=row[9],
        producer=row[10],
        metadata=None if metadata is None else Raw(metadata.encode()),
        correlation_id=row[12],
        causation_id=row[13],
        occurred_at=None if occurred_at is None else instant(occurred_at),
    )


def to_body(row: Row) -> Body:
    """The same row as what its caller sent."""
    return Body(
        user_id=row[6],
        source=row[7],
        data=row[8],
        subject_id=row[9],
        producer=row[10],
        metadata=row[11],
        correlation_id=row[12],
        causation_id=row[13],
        occurred_at=row[14],
    )
