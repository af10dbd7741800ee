"""An event as filters read it: its header, and its JSON only if a filter needs it."""

from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET, Struct
from msgspec.structs import force_setattr

from schemas.event import SynapEvent
from schemas.written import Tracked


class FoundEvent(Struct, frozen=True, kw_only=True, eq=False):
    """An event as it was read from a log: the columns that filters compare, and its JSON."""

    seq: int
    type: str
    source: str
    producer: str
    """The service that sent the event, or its source if it names no service."""
    has_metadata: bool
    subject_id: str | None
    correlation_id: str | None
    causation_id: str | None
    user_id: str
    recorded_at: datetime
    event: Tracked[SynapEvent]
    """The event as a door returns it. At the ledger door the JSON is a `LedgerEvent`."""
    occurred_at: datetime | None = None
    """Set only if the JSON does not have it, which is so for an erased event at the ledger door."""
    document: "Document | None" = None
    """The fields that `read` has already returned."""

    @classmethod
    def of(cls, event: SynapEvent) -> "FoundEvent":
        """From an event that was just logged."""
        return cls(
            seq=event.seq,
            type=event.type,
            source=event.source,
            producer=event.producer or event.source,
            has_metadata=event.metadata is not UNSET,
            subject_id=event.subject_id,
            correlation_id=event.correlation_id,
            causation_id=event.causation_id,
            user_id=event.user_id,
            recorded_at=datetime.fromisoformat(event.timestamp),
            event=Tracked(str(event.id), msgspec.json.encode(event)),
        )

    def read(self) -> "Document":
        """The fields that only the JSON has. It is decoded once, for all filters."""
        document = self.document
        if document is None:
            document = Document.of(self.event.json)
            force_setattr(self, "document", document)
        return document


class Document(Struct, frozen=True):
    """What filters read of an event's JSON. U+0000 becomes U+FFFD in it, as in the database's projection."""

    id: str
    hash: str
    occurred_at: datetime | None
    data: object
    metadata: object

    @classmethod
    def of(cls, json: bytes) -> "Document":
        """From the JSON of a `SynapEvent` or a `LedgerEvent`."""
        if rb"\u0000" in json:
            # An escaped backslash becomes a character that JSON always escapes, so that a match is a real escape.
            json = json.replace(rb"\\", b"\x01").replace(rb"\u0000", rb"\ufffd").replace(b"\x01", rb"\\")
        shown = _shown.decode(json)
        if shown.event_id is None:
            return cls(shown.id, shown.hash, shown.occurred_at, shown.data, shown.metadata)
        context = shown.context
        return cls(shown.event_id, shown.hash, context.occurred_at, shown.payload, context.metadata)


class _Context(Struct, frozen=True, rename="camel"):
    occurred_at: datetime | None = None
    metadata: Any = None


class _Shown(Struct):
    """The JSON of a `SynapEvent` or of a `LedgerEvent`."""

    id: str
    hash: str
    event_id: str | None = None
    occurred_at: datetime | None = msgspec.field(name="occurredAt", default=None)
    data: Any = None
    metadata: Any = None
    payload: Any = None
    context: _Context = _Context()


_shown = msgspec.json.Decoder(_Shown)
