"""Checks what a caller sent, and writes the canonical bytes that the log will hold, before the queue."""

import os
from collections.abc import Mapping
from datetime import UTC
from hashlib import sha256
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct
from uuid_utils.compat import uuid7

from app.ledger.author import author_faults, author_signature, binding_faults
from app.ledger.canonical import canonical
from app.ledger.chain import Body, body_bytes
from app.ledger.intents import Asked, Followed, faults_of, following_type
from schemas.errors import Forbidden, InvalidInput, Issue
from schemas.event import DEFAULT_SOURCE, LogEvent, Source
from schemas.event_data import event_types
from schemas.instants import FAR, holds_far
from schemas.issues import find_issues, fitted
from schemas.jsontext import UNREADABLE, join, read_json
from schemas.metadata import metadata_struct
from schemas.principal import Principal, Scope
from schemas.sentences import UNFIT
from schemas.synap import Synap


class Draft(Struct, frozen=True, kw_only=True):
    """An event that lacks only its place: everything that its caller decided, and the salt."""

    id: UUID
    type: str
    body: Body
    salt: bytes
    body_hash: bytes
    size: int
    sees_erased: bool
    """Whether its caller may read what remains of an erased event with this id."""
    is_id_new: bool = False
    """Whether this process has just made the id at random, so that no event can have it."""
    former_id: UUID | None = None
    """The id that an earlier version of the server gave this event, if it has an idempotency key."""
    asked: Asked | None = None
    """What its caller sent under `metadata.synap`, if that is not empty."""


class Drafting:
    """Makes drafts. It knows the metadata kinds and event data that are registered when it is made."""

    def __init__(self, node: str) -> None:
        """`node` is the install's id, which the authors of events sign."""
        self.node = node
        self.metadata = metadata_struct()
        self._metadata_decoder = msgspec.json.Decoder(self.metadata)
        self._data_decoders = {name: msgspec.json.Decoder(kind) for name, kind in event_types().items()}

    def draft(
        self, event: LogEvent, owner: Principal, log: str, path: str = "", *, default_id: UUID | None = None
    ) -> Draft:
        """One event as `owner` sends it, for this log. `path` is its place in the input.

        If it has no id, it gets `default_id`, else a new one. Raises InvalidInput with every invalid place, Forbidden
        (another's `userId` without `events:write-as`).
        """
        user_id = resolved_user(event.user_id, owner, path)
        try:
            metadata, synap = self._metadata(bytes(event.metadata), join(path, "metadata"))
            body = self._body(event, user_id, metadata, path)
        except (InvalidInput, *UNREADABLE) as error:
            raise self._explained(error, event, path) from None
        id_ = event.id or default_id
        return _draft(
            id_ or new_id(),
            event.type,
            body,
            sees_erased=owner.reads_only is None,
            is_id_new=id_ is None,
            asked=None
            if synap is None and not owner.author_required
            else self._asked(synap, event, body, owner, log, path),
        )

    def data(self, event_type: str, sent: bytes, path: str) -> bytes:
        """The canonical `data`, which is at `path` of the input, of an event of this type.

        Raises InvalidInput if it is no object, exceeds the limits of JSON, or does not fit what is registered.
        """
        if not sent.lstrip().startswith(b"{"):
            raise InvalidInput([Issue(path, "must be a JSON object")])
        written = canonical(sent, path)
        if (decoder := self._data_decoders.get(event_type)) is not None:
            _fit(_less_nulls(written, decoder, path), decoder, path)
        return written

    def _asked(
        self, synap: Synap | None, event: LogEvent, body: Body, owner: Principal, log: str, path: str
    ) -> Asked | None:
        """What the event asks for, and what is wrong with that. None if there is nothing to look at later."""
        author, intent = (None, None) if synap is None else (synap.author, synap.intent)
        faults = binding_faults(author, owner, path)
        if author is not None:
            faults += self._author_faults(event, body, log, path)
        if synap is not None:
            is_own_user = body.user_id == owner.user_id
            faults += faults_of(synap, event.type, path, is_own_user=is_own_user, decoders=self._data_decoders)
        return Asked(intent, faults, path) if intent or faults else None

    def _author_faults(self, event: LogEvent, body: Body, log: str, path: str) -> list[Issue]:
        """Why the author that an event names has not signed it."""
        if event.id is None:
            return [Issue(join(path, "id"), "is required, because the author signs it", "missing_required_field")]
        written = body_bytes(body, b"")  # whatever the salt will be: no author signs it
        found = author_signature(written, node=self.node, log=log, id=str(event.id), type=event.type)
        return [] if found is None else author_faults(found, path)

    def _explained(self, error: Exception, event: LogEvent, path: str) -> InvalidInput:
        """The failure with every place of the event that is wrong. Slow: it walks through the whole event."""
        issues = find_issues(read_json(msgspec.json.encode(event), path), LogEvent, self.metadata, path)
        refused = error.issues if isinstance(error, InvalidInput) else [Issue(path, UNFIT)]
        return InvalidInput(issues or refused)

    def _body(self, event: LogEvent, user_id: str, metadata: str | None, path: str) -> Body:
        return Body(
            user_id=user_id,
            source=event.source or DEFAULT_SOURCE,
            data=self.data(event.type, bytes(event.data), join(path, "data")).decode(),
            subject_id=event.subject_id,
            producer=event.producer,
            metadata=metadata,
            correlation_id=event.correlation_id,
            causation_id=event.causation_id,
            occurred_at=event.occurred_at and event.occurred_at.astimezone(UTC),
        )

    def _metadata(self, text: bytes, path: str) -> tuple[str | None, Synap | None]:
        """The canonical metadata, and what it has of the kind `synap`."""
        if text == b"null":
            return None, None
        written = canonical(text, path)
        if b"null" in written:
            written = canonical(_less_nulls(written, self._metadata_decoder, path), path)
        read = _fit(written, self._metadata_decoder, path)
        return None if written == b"{}" else written.decode(), read.synap


def _less_nulls(text: bytes, decoder: msgspec.json.Decoder[Any], path: str) -> bytes:
    """JSON without the null members of types that the decoder knows."""
    return msgspec.json.encode(fitted(read_json(text, path), decoder.type)) if b"null" in text else text


def _fit(text: bytes, decoder: msgspec.json.Decoder[Any], path: str) -> Any:
    """The value of JSON that fits the decoder's type. Raises InvalidInput."""
    try:
        value = decoder.decode(text)
    except UNREADABLE:
        raise InvalidInput([Issue(path, UNFIT)]) from None
    if holds_far(text, value):
        raise InvalidInput([Issue(path, FAR)])
    return value


def resolved_user(user_id: str | None, owner: Principal, path: str = "") -> str:
    """The user of an event that `owner` sends with this `userId`. Raises Forbidden."""
    resolved = user_id or owner.user_id
    if resolved != owner.user_id and not owner.allows(Scope.EVENTS_WRITE_AS):
        raise Forbidden("To log for another userId the key needs the scope events:write-as", field=join(path, "userId"))
    return resolved


def new_id() -> UUID:
    """A UUIDv7. Later ids sort later, which keeps their index dense."""
    return uuid7()


def server_draft(type: str, data: Mapping[str, object], *, id: UUID, node: str) -> Draft:
    """An event of the server's own. Its type begins with `synap.`, and its user is `node`."""
    body = Body(user_id=node, source="system", data=canonical(msgspec.json.encode(data), "data").decode())
    return _draft(id, type, body)


def follower_draft(
    intent: Followed,
    word: str,
    synap: Mapping[str, object],
    *,
    id: UUID,
    user_id: str,
    source: Source,
    data: str = "{}",
) -> Draft:
    """The event that follows an intent, whose type ends in `word`, with `synap` as its metadata of that kind."""
    body = Body(
        user_id=user_id,
        source=source,
        data=data,
        subject_id=intent.subject_id,
        metadata=canonical(msgspec.json.encode({"synap": synap}), "metadata").decode(),
        correlation_id=intent.correlation_id,
        causation_id=str(intent.id),
    )
    return _draft(id, following_type(intent.type, word), body)


def _draft(
    id: UUID,
    type: str,
    body: Body,
    *,
    sees_erased: bool = True,
    is_id_new: bool = False,
    asked: Asked | None = None,
) -> Draft:
    salt = os.urandom(16)
    written = body_bytes(body, salt)
    return Draft(
        id=id,
        type=type,
        body=body,
        salt=salt,
        body_hash=sha256(written).digest(),
        size=len(written),
        sees_erased=sees_erased,
        is_id_new=is_id_new,
        asked=asked,
    )
