"""From what a caller sent to what the log will hold: checks and canonical bytes, all before the queue."""

import os
from datetime import UTC, datetime
from hashlib import sha256
from uuid import UUID

import msgspec
import uuid_utils
from msgspec import Raw, Struct

from app.ledger.canonical import canonical, decode
from app.ledger.chain import Body, body_bytes
from schemas.errors import Forbidden, InvalidInput, Issue, PayloadTooLarge
from schemas.event import DEFAULT_SOURCE, RESERVED_PREFIX, LogEvent
from schemas.issues import find_issues, join, without_nulls
from schemas.metadata import metadata_struct
from schemas.principal import Principal, Scope


class Draft(Struct, frozen=True, kw_only=True):
    """An event that only lacks its place: everything a caller decided, and the salt that goes with it."""

    id: UUID
    type: str
    body: Body
    salt: bytes
    body_hash: bytes
    size: int


class Drafting:
    """Makes drafts, by the metadata kinds that are registered when it is made and the largest event allowed."""

    def __init__(self, *, max_event_bytes: int) -> None:
        self.metadata = metadata_struct()
        self._check_metadata = msgspec.json.Decoder(self.metadata)
        self._max_event_bytes = max_event_bytes

    def draft(self, event: LogEvent, owner: Principal, path: str = "") -> Draft:
        """One event as `owner` sends it; `path` is where it stands in the input.

        Raises InvalidInput with every invalid place of `data` and `metadata`, PayloadTooLarge, Forbidden (another's
        `userId` without `events:write-as`).
        """
        if event.type.startswith(RESERVED_PREFIX):
            raise InvalidInput(
                [
                    Issue(
                        join(path, "type"),
                        f"must not begin with '{RESERVED_PREFIX}': the server writes those",
                        "invalid_event_type",
                    )
                ]
            )
        user_id = event.user_id or owner.user_id
        if user_id != owner.user_id and not owner.allows(Scope.EVENTS_WRITE_AS):
            raise Forbidden(
                "To log for another userId the key needs the scope events:write-as", field=join(path, "userId")
            )
        body = Body(
            user_id=user_id,
            source=event.source or DEFAULT_SOURCE,
            data=self._data(event.data, join(path, "data")),
            subject_id=event.subject_id,
            producer=event.producer,
            metadata=self._metadata(event.metadata, join(path, "metadata")),
            correlation_id=event.correlation_id,
            causation_id=event.causation_id,
            occurred_at=event.occurred_at and self._utc(event.occurred_at, join(path, "occurredAt")),
        )
        salt = os.urandom(16)
        written = body_bytes(body, salt)
        if len(written) > self._max_event_bytes:
            raise PayloadTooLarge(
                f"Event payload exceeds {self._max_event_bytes} bytes; split it or keep large content elsewhere",
                field=path or None,
            )
        return Draft(
            id=event.id or UUID(bytes=uuid_utils.uuid7().bytes),
            type=event.type,
            body=body,
            salt=salt,
            body_hash=sha256(written).digest(),
            size=len(written),
        )

    def _data(self, raw: Raw, path: str) -> str:
        text = bytes(raw)
        if not text.lstrip().startswith(b"{"):
            raise InvalidInput([Issue(path, "must be a JSON object")])
        return canonical(text, path).decode()

    def _metadata(self, raw: Raw, path: str) -> str | None:
        text = bytes(raw)
        if text == b"null":
            return None
        if b"null" in text:
            text = msgspec.json.encode(without_nulls(decode(text, path), self.metadata))
        try:
            self._check_metadata.decode(text)
        except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError):
            issues = find_issues(decode(text, path), self.metadata, path=path)
            raise InvalidInput(issues or [Issue(path, "does not fit its type")]) from None
        written = canonical(text, path)
        return None if written == b"{}" else written.decode()

    def _utc(self, at: datetime, path: str) -> datetime:
        try:
            return at.astimezone(UTC)
        except OverflowError:
            raise InvalidInput([Issue(path, "must be a time from year 1 to 9999 in UTC")]) from None
