r"""The log format `evlog/1`: body, header, hash, link and signature, byte for byte (see `docs/reference/evlog1.md`).

    body      = JCS of {salt, userId, source, data} and, where present, the other parts that a caller sent
    header    = JCS of {v, node, kid, log, seq, id, type, timestamp, prev_hash, body_hash}
    hash      = SHA-256(0x00 ‖ header): the link of the chain and an RFC 6962 leaf in one
    signature = Ed25519 over "evlog/event/v1\n<hash hex>\n"

The functions below join the parts in JCS order by hand: header values are ASCII that JSON does not escape, and body
members are already canonical. The golden vectors check the format.
"""

from datetime import UTC, datetime
from hashlib import sha256

import msgspec
from msgspec import Struct

from schemas.event import Source

NODE_LOG = "_node"
"""The log of the install itself. No workspace can have this name, because no slug begins with an underscore."""

GENESIS = bytes(32)
"""`prev_hash` of seq 0."""

ROTATED_TYPE = "synap.key.rotated"
"""The type of the event that changes the key with which a log is signed."""

AUDIT_TIP_TYPE = "synap.audit.tip"
"""The type of the event that records the ends of audit chains."""

ROLLED_BACK_TYPE = "synap.log.rolledback"
"""The type of the event that records that the log lost events, and an administrator accepted it."""

ERASED_TYPE = "synap.event.erased"
"""The type of the event that names the events whose bodies were erased."""


TREE_HEADS_TYPE = "synap.tree.heads"
"""The type of the event of `_node` that anchors the other logs: a root over the heads of those that grew."""


class Body(Struct, frozen=True, kw_only=True):
    """The body of an event with defaults filled in. `data` and `metadata` are canonical JSON text."""

    user_id: str
    source: Source
    data: str
    subject_id: str | None = None
    producer: str | None = None
    metadata: str | None = None
    correlation_id: str | None = None
    causation_id: str | None = None
    occurred_at: datetime | None = None


def body_bytes(body: Body, salt: bytes) -> bytes:
    """The canonical body. `salt` is 16 random bytes: without it, a short body could be guessed from its hash."""
    parts = []
    if body.causation_id is not None:
        parts.append(f'"causationId":{_text(body.causation_id)}')
    if body.correlation_id is not None:
        parts.append(f'"correlationId":{_text(body.correlation_id)}')
    parts.append(f'"data":{body.data}')
    if body.metadata is not None:
        parts.append(f'"metadata":{body.metadata}')
    if body.occurred_at is not None:
        parts.append(f'"occurredAt":"{instant(body.occurred_at)}"')
    if body.producer is not None:
        parts.append(f'"producer":{_text(body.producer)}')
    parts.append(f'"salt":"{salt.hex()}","source":"{body.source}"')
    if body.subject_id is not None:
        parts.append(f'"subjectId":{_text(body.subject_id)}')
    parts.append(f'"userId":{_text(body.user_id)}')
    return f"{{{','.join(parts)}}}".encode()


def header_bytes(
    *,
    node: str,
    kid: str,
    log: str,
    seq: int,
    id: str,
    type: str,
    timestamp: str,
    prev_hash: bytes,
    body_hash: bytes,
) -> bytes:
    """The canonical header. `id` is a UUID's lower-case text, `timestamp` an `instant`; the hashes are 32 bytes."""
    return (
        f'{{"body_hash":"sha256:{body_hash.hex()}","id":"{id}","kid":"{kid}","log":"{log}","node":"{node}",'
        f'"prev_hash":"sha256:{prev_hash.hex()}","seq":{seq},"timestamp":"{timestamp}","type":"{type}",'
        f'"v":"evlog/1"}}'
    ).encode()


def leaf_hash(header: bytes) -> bytes:
    """The 32 bytes that the next header links to (RFC 6962, section 2.1: the hash of a leaf)."""
    return sha256(b"\x00" + header).digest()


def signed_text(hash: bytes) -> bytes:
    """The text that an event's signature signs."""
    return f"evlog/event/v1\n{hash.hex()}\n".encode()


def rotation_text(node: str, kid_old: str, kid_new: str, rotated_at: str) -> bytes:
    """The text that both signatures of a rotation sign. `rotated_at` is an `instant`."""
    return f"evlog/rotate/v1\n{node}\n{kid_old}\n{kid_new}\n{rotated_at}\n".encode()


def export_text(
    *,
    node: str,
    log: str,
    export_id: str,
    first_seq: int,
    last_seq: int,
    count: int,
    root: str,
    tip: str,
    generated_at: str,
) -> bytes:
    """The text that a bundle's signature signs. `root` and `tip` have the form `sha256:<hex>`."""
    lines = ("evlog/export/v1", node, log, export_id, first_seq, last_seq, count, root, tip, generated_at)
    return "".join(f"{line}\n" for line in lines).encode()


def instant(at: datetime) -> str:
    """An aware datetime as UTC with six digits and `Z`."""
    utc = at if at.tzinfo is UTC else at.astimezone(UTC)
    if utc.microsecond:
        return str(msgspec.to_builtins(utc))  # takes an eighth of the time, but writes no digits for zero
    return utc.isoformat(timespec="microseconds")[:-6] + "Z"


def _text(value: str) -> str:
    return msgspec.json.encode(value).decode()
