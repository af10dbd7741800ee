"""The tables. Rows stay in this package; Structs come out.

Every table that holds a workspace's data has `workspace_id` first in its primary key, unique indexes and foreign keys,
so that the schema distributes by workspace. All text is `COLLATE "C"`: compared by bytes, the same on every machine.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Column, DateTime, ForeignKey, Index, LargeBinary, MetaData, Text, Uuid, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel

from app.filters.sql import has_kind, kinds

SQLModel.metadata = MetaData(
    naming_convention={
        "ix": "%(table_name)s_%(column_0_N_name)s_ix",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "pk": "%(table_name)s_pkey",
    }
)


def _text(*constraints: Any, **options: Any) -> Any:
    return Field(sa_column=Column(Text(collation="C"), *constraints, **{"nullable": False} | options))


def _texts() -> Any:
    return Field(sa_column=Column(ARRAY(Text(collation="C")), nullable=False))


def _bytes() -> Any:
    return Field(sa_column=Column(LargeBinary, nullable=False))


def _instant(**options: Any) -> Any:
    return Field(sa_column=Column(DateTime(timezone=True), **{"nullable": False} | options))


def _count(**options: Any) -> Any:
    return Field(sa_column=Column(BigInteger, **{"nullable": False} | options))


def _workspace(*constraints: Any) -> Any:
    return _text(*constraints, primary_key=True)


class Install(SQLModel, table=True):
    """The one row of the install: its node id (the first key it ever had), the kid in force, its checkpoints' origin.

    `witnessed_at` is when the audit's tips were last written into the log `_node`. `secret_fingerprint` tells the
    install secret from every other; an install of an earlier version has none until its next start. From
    `idempotency_since` on, events with an idempotency key get secret ids. While it is null they get those of version
    0.1.
    """

    __tablename__ = "install"
    id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    node: str = _text()
    kid: str = _text()
    created_at: datetime = _instant()
    origin: str = _text()
    witnessed_at: datetime = _instant(server_default=text("'epoch'"))
    secret_fingerprint: bytes | None = Field(sa_column=Column(LargeBinary, nullable=True))
    idempotency_since: datetime | None = _instant(nullable=True)


class KeyRotation(SQLModel, table=True):
    """How a signing key followed another, in the order of `number`. Without `signature_old` the old one was lost."""

    __tablename__ = "key_rotation"
    number: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    kid_old: str = _text()
    kid_new: str = _text()
    rotated_at: datetime = _instant()
    signature_old: bytes | None = Field(sa_column=Column(LargeBinary, nullable=True))
    signature_new: bytes = _bytes()


class Workspace(SQLModel, table=True):
    """The owner of a log. Of a deleted one this row stays: its slug never names another log."""

    __tablename__ = "workspace"
    id: str = _text(primary_key=True)
    created_at: datetime = _instant()
    deleted_at: datetime | None = _instant(nullable=True)


class ApiKey(SQLModel, table=True):
    """A key. Of its token only the SHA-256 is kept. `*` in `workspaces` or `scopes` stands for all.

    With `must_name` each of its calls must name a workspace: the one in which it acted otherwise was deleted.
    """

    __tablename__ = "api_key"
    id: str = _text(primary_key=True)
    token_sha256: bytes = Field(sa_column=Column(LargeBinary, nullable=False, unique=True))
    user_id: str = _text()
    scopes: list[str] = _texts()
    workspaces: list[str] = _texts()
    created_at: datetime = _instant()
    expires_at: datetime | None = _instant(nullable=True)
    revoked_at: datetime | None = _instant(nullable=True)
    must_name: bool = Field(sa_column_kwargs={"server_default": text("false")})


class EventTip(SQLModel, table=True):
    """The end of a workspace's log. Its row lock is what serialises appends; `seq` is -1 for an empty log.

    `counted` turns false when the log has more distinct types or producers than are counted: then totals come from the
    index. `lost_size` and `lost_root` are of a kept checkpoint that the log does not extend: nothing is appended then.
    """

    __tablename__ = "event_tip"
    __table_args__ = {"postgresql_with": {"fillfactor": 50}}  # room to update in place: it moves with every group
    workspace_id: str = _workspace(ForeignKey("workspace.id"))
    seq: int = _count()
    hash: bytes = _bytes()
    recorded_at: datetime = _instant()
    kid: str = _text()
    counted: bool = Field(sa_column_kwargs={"server_default": text("true")})
    lost_size: int | None = _count(nullable=True)
    lost_root: bytes | None = Field(sa_column=Column(LargeBinary, nullable=True))


AGENT = r"""((
CASE
    WHEN strpos(metadata, '\u0000') = 0 THEN metadata::jsonb
    ELSE replace(replace(replace(metadata, '\\', chr(1)), '\u0000', '\ufffd'), chr(1), '\\')::jsonb
END -> 'ai') -> 'agent')"""
"""`metadata.ai.agent` as `app/filters/sql.py` writes it, in the form in which PostgreSQL prints it."""


class EventRow(SQLModel, table=True):
    """One event: the header's columns, then the body's. `data` and `metadata` are canonical JSON text.

    No foreign key to the workspace: an append holds the lock on its tip, which has one, and a check for each row costs.
    """

    __tablename__ = "event"
    __table_args__ = (
        Index(None, "workspace_id", "id", unique=True),
        Index(None, "workspace_id", "hash", unique=True),
        Index(None, "workspace_id", "type", "seq"),
        Index(None, "workspace_id", "source", "seq"),
        Index(None, "workspace_id", "user_id", "seq"),
        Index(None, "workspace_id", "subject_id", "seq", postgresql_where=text("subject_id IS NOT NULL")),
        Index(None, "workspace_id", "correlation_id", "seq", postgresql_where=text("correlation_id IS NOT NULL")),
        Index(None, "workspace_id", "causation_id", "seq", postgresql_where=text("causation_id IS NOT NULL")),
        Index("event_producer_ix", "workspace_id", text("coalesce(producer, source)"), "seq"),
        # Which built-in kinds of metadata an event has: it looks for their names in the text. By reading JSON it would
        # cost an append ten times as much. See docs/decisions/0006 and 0015.
        Index("event_kinds_ix", "workspace_id", text(kinds()), "seq", postgresql_where=text("metadata IS NOT NULL")),
        Index(
            "event_agent_ix",
            "workspace_id",
            text(AGENT),
            "seq",
            postgresql_where=text(has_kind("ai")),
        ),
    )
    workspace_id: str = _workspace()
    seq: int = _count(primary_key=True, autoincrement=False)
    id: UUID = Field(sa_column=Column(Uuid, nullable=False))
    type: str = _text()
    kid: str = _text()
    recorded_at: datetime = _instant()
    prev_hash: bytes = _bytes()
    body_hash: bytes = _bytes()
    hash: bytes = _bytes()
    signature: bytes = _bytes()
    erased: bool = Field(sa_column_kwargs={"server_default": text("false")})
    salt: bytes = _bytes()
    user_id: str = _text()
    source: str = _text()
    data: str = _text()
    subject_id: str | None = _text(nullable=True)
    producer: str | None = _text(nullable=True)
    event_metadata: str | None = Field(sa_column=Column("metadata", Text(collation="C"), nullable=True))
    correlation_id: str | None = _text(nullable=True)
    causation_id: str | None = _text(nullable=True)
    occurred_at: datetime | None = _instant(nullable=True)


class MerkleNode(SQLModel, table=True):
    """The root of the complete subtree over `2 ** height` events from seq `place * 2 ** height` on (RFC 6962).

    Kept are those of every eighth height; they follow the log, and are never needed to append to it.
    """

    __tablename__ = "merkle_node"
    workspace_id: str = _workspace()
    height: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    place: int = _count(primary_key=True, autoincrement=False)
    hash: bytes = _bytes()


class EventCount(SQLModel, table=True):
    """How many events a workspace has of each type, source and with or without metadata. Moves with the append."""

    __tablename__ = "event_count"
    __table_args__ = {"postgresql_with": {"fillfactor": 50}}
    workspace_id: str = _workspace()
    type: str = _text(primary_key=True)
    source: str = _text(primary_key=True)
    has_metadata: bool = Field(primary_key=True)
    events: int = _count()


class ProducerCount(SQLModel, table=True):
    """How many events a workspace has of each originating service: the producer, else the source."""

    __tablename__ = "producer_count"
    __table_args__ = {"postgresql_with": {"fillfactor": 50}}
    workspace_id: str = _workspace()
    producer: str = _text(primary_key=True)
    events: int = _count()


class RateWindow(SQLModel, table=True):
    """The current window of a rate limit: how many calls of a kind the processes have leased, the last lease included.

    The next window takes its place, so there is one row for each kind that a workspace has ever called.
    """

    __tablename__ = "rate_window"
    __table_args__ = {"postgresql_with": {"fillfactor": 50}}
    workspace_id: str = _workspace()
    kind: str = _text(primary_key=True)
    start_seconds: int = _count()
    leased: int = _count()
    lease: int = _count()


class Dispatch(SQLModel, table=True):
    """How far a workspace's log has been looked through for its webhook subscriptions.

    Its row lock is what serialises that. `version` moves with every change of who takes part: the active subscriptions
    without a cursor of their own.
    """

    __tablename__ = "dispatch"
    __table_args__ = {"postgresql_with": {"fillfactor": 50}}
    workspace_id: str = _workspace(ForeignKey("workspace.id"))
    seq: int = _count()
    version: int = _count()


class Subscription(SQLModel, table=True):
    """A webhook. Without a `cursor` it goes along with its workspace's dispatch; with one it is behind, or stopped.

    `filter` is JSON text, as it was sent but for spaces; it is read anew by each process, which may know other kinds.
    `delivery_seq` counts the deliveries that it was given, `attempted` those of them that were tried at least once.
    """

    __tablename__ = "subscription"
    __table_args__ = (
        # What has work, so that no process goes through all of them to find it. Each has an order of its own.
        Index("subscription_behind_ix", "cursor", postgresql_where=text("state = 'active' AND cursor IS NOT NULL")),
        Index("subscription_unannounced_ix", "stopped_at", postgresql_where=text("NOT announced")),
        Index("subscription_deleted_ix", "stopped_at", postgresql_where=text("state = 'deleted'")),
        {"postgresql_with": {"fillfactor": 50}},
    )
    workspace_id: str = _workspace(ForeignKey("workspace.id"))
    id: str = _text(primary_key=True)
    event_types: list[str] = _texts()
    filter: str | None = _text(nullable=True)
    url: str = _text()
    description: str | None = _text(nullable=True)
    ordered: bool
    only_user: str | None = _text(nullable=True)
    state: str = _text()
    reason: str | None = _text(nullable=True)
    stopped_at: datetime | None = _instant(nullable=True)
    announced: bool = Field(sa_column_kwargs={"server_default": text("true")})
    secret: bytes = _bytes()
    weak_secret: bool
    previous_secret: bytes | None = Field(sa_column=Column(LargeBinary, nullable=True))
    previous_until: datetime | None = _instant(nullable=True)
    cursor: int | None = _count(nullable=True)
    delivery_seq: int = _count(server_default=text("0"))
    attempted: int = _count(server_default=text("0"))
    failing_since: datetime | None = _instant(nullable=True)
    created_at: datetime = _instant()


class Delivery(SQLModel, table=True):
    """One event owed to one subscription: due at `due_at`, or ended. While it is claimed, `due_at` is the claim's end.

    No foreign key to the subscription: what writes here holds the lock on its row, and a check for each row costs.
    """

    __tablename__ = "delivery"
    __table_args__ = (
        Index(
            "delivery_due_ix", "workspace_id", "subscription_id", "due_at", postgresql_where=text("due_at IS NOT NULL")
        ),
        Index(
            "delivery_ordered_ix",
            "workspace_id",
            "subscription_id",
            "delivery_seq",
            postgresql_where=text("ordered AND due_at IS NOT NULL"),
        ),
        Index(None, "workspace_id", "seq"),
        Index("delivery_ended_ix", "ended_at", postgresql_where=text("ended_at IS NOT NULL")),
    )
    workspace_id: str = _workspace()
    subscription_id: str = _text(primary_key=True)
    delivery_seq: int = _count(primary_key=True, autoincrement=False)
    seq: int = _count()
    ordered: bool
    replay: bool = Field(sa_column_kwargs={"server_default": text("false")})
    state: str = _text(server_default=text("'pending'"))
    attempts: int = Field(sa_column_kwargs={"server_default": text("0")})
    created_at: datetime = _instant()
    due_at: datetime | None = _instant(nullable=True)
    ended_at: datetime | None = _instant(nullable=True)


class Attempt(SQLModel, table=True):
    """One POST, and what was answered. It goes when its delivery goes."""

    __tablename__ = "attempt"
    workspace_id: str = _workspace()
    subscription_id: str = _text(primary_key=True)
    delivery_seq: int = _count(primary_key=True, autoincrement=False)
    number: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    at: datetime = _instant()
    elapsed_ms: int
    status: int | None
    error: str | None = _text(nullable=True)
    body: bytes = _bytes()


class AuditTip(SQLModel, table=True):
    """The end of a workspace's audit chain, and up to where it is witnessed in the log `_node`."""

    __tablename__ = "audit_tip"
    __table_args__ = {"postgresql_with": {"fillfactor": 50}}
    workspace_id: str = _workspace(ForeignKey("workspace.id"))
    seq: int = _count()
    hash: bytes = _bytes()
    recorded_at: datetime = _instant()
    witnessed: int = _count(server_default=text("-1"))


class AuditEntry(SQLModel, table=True):
    """One administrative act. `detail` is JCS without personal data. Written by the function `audit_append` alone."""

    __tablename__ = "audit_entry"
    __table_args__ = (
        Index(None, "workspace_id", "id", unique=True),
        Index(None, "workspace_id", "recorded_at", unique=True),
        Index(None, "workspace_id", "action", "seq"),
    )
    workspace_id: str = _workspace()
    seq: int = _count(primary_key=True, autoincrement=False)
    id: UUID = Field(sa_column=Column(Uuid, nullable=False))
    action: str = _text()
    actor: str = _text()
    recorded_at: datetime = _instant()
    detail: str = _text()
    prev_hash: bytes = _bytes()
    hash: bytes = _bytes()


class RegisteredType(SQLModel, table=True):
    """What a developer's own metadata kind (`sort` metadata) or event type's data (event) is, in the order of `number`.

    `shape` is its JSON Schema. Whatever was stored under a number fits all that follow. See `registered.py`.
    """

    __tablename__ = "registered_type"
    sort: str = _text(primary_key=True)
    name: str = _text(primary_key=True)
    number: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    shape: str = _text()
    registered_at: datetime = _instant()
