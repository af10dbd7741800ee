"""The events of a receipt, as far as its chain and its sentences need them."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct

from app.ledger.chain import GENESIS, header_bytes, leaf_hash, signed_text
from app.ledger.verify.keys import Judge, is_signed
from app.ledger.verify.shapes import (
    Event,
    body_of,
    decoded,
    hash_text,
    is_hash,
    is_plain,
    is_timestamp,
    member_decoder,
)
from app.ledger.verify.verdict import (
    ANOTHER_LOG,
    CONTEXT,
    HASH,
    HEADER,
    ID,
    KEY,
    LINK,
    SIGNATURE,
    SYNAP,
    TIME,
    WITHHELD_BODY,
    Fault,
    check,
)
from app.ledger.verify.walk import Frame

NO_MEMBERS: Mapping[str, Any] = {}


class Content(Struct, frozen=True):
    """What the body of an event says. `data` is canonical JSON, `synap` the metadata of that kind.

    `author` is the did that signed the event as its author.
    """

    user: str
    by_node: bool
    cause: str | None
    data: str
    synap: Mapping[str, Any]
    author: str | None

    def said(self, name: str) -> Mapping[str, Any]:
        """The member of `synap` with this name. Raises Fault if there is none."""
        return as_record(self.synap.get(name))


class Entry(Struct, frozen=True):
    """An event whose hash and signature are right. `content` is None if it was erased or is withheld."""

    seq: int
    id: str
    type: str
    timestamp: str
    hash: str
    content: Content | None
    is_withheld: bool

    @classmethod
    def of(cls, event: Event, *, is_withheld: bool, author: str | None) -> "Entry":
        """The entry of an event that was checked. Raises Fault if its body is not as servers write bodies."""
        has_body = event.erased is UNSET and not is_withheld
        return cls(
            seq=int(event.seq),
            id=event.event_id,
            type=event.type,
            timestamp=event.timestamp,
            hash=event.hash,
            content=_content(event, author) if has_body else None,
            is_withheld=is_withheld,
        )


def _content(event: Event, author: str | None) -> Content:
    body = msgspec.json.decode(body_of(event), type=dict[str, Raw])
    metadata = as_record(_value(body, "metadata", {}))
    user, cause = _value(body, "userId", None), _value(body, "causationId", None)
    if cause is not None and not isinstance(cause, str):
        raise Fault(CONTEXT.format("its causationId is not a text"))
    return Content(
        user=user,
        by_node=user == event.node and _value(body, "source", None) == "system",
        cause=cause,
        data=bytes(body["data"]).decode(),
        synap=as_record(metadata.get("synap", NO_MEMBERS)),
        author=author,
    )


def _value(body: Mapping[str, Raw], name: str, default: object) -> Any:
    return msgspec.json.decode(body[name]) if name in body else default


def as_record(value: object) -> Mapping[str, Any]:
    """The value, if it is an object. Raises Fault."""
    if not isinstance(value, dict):
        raise Fault(SYNAP)
    return value


def check_withheld(event: Event, frame: Frame, judge: Judge) -> None:
    """Check an event of which only the header is there. Raises Fault."""
    check(event.node == frame.node and event.log == frame.log, ANOTHER_LOG)
    check(event.erased is UNSET, WITHHELD_BODY)
    for part in (event.payload, event.context):
        check(not decoded(part, member_decoder, WITHHELD_BODY), WITHHELD_BODY)
    check(is_timestamp(event.timestamp), TIME)
    check(is_hash(event.prev_hash), LINK)
    check(event.seq or event.prev_hash == hash_text(GENESIS), LINK)
    check(is_hash(event.body_hash), HASH)
    check(is_plain(event.event_id) and is_plain(event.type), HEADER)
    check(any(key.kid == event.kid for key in frame.keys), KEY)
    hash_ = leaf_hash(
        header_bytes(
            node=event.node,
            kid=event.kid,
            log=event.log,
            seq=int(event.seq),
            id=event.event_id,
            type=event.type,
            timestamp=event.timestamp,
            prev_hash=bytes.fromhex(event.prev_hash[7:]),
            body_hash=bytes.fromhex(event.body_hash[7:]),
        )
    )
    check(event.hash == hash_text(hash_), HASH)
    check(event.id == f"evt_{hash_.hex()}", ID)
    check(is_signed(event.kid, signed_text(hash_), event.signature, judge), SIGNATURE)
