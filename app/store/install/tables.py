"""The tables of the database. Rows do not leave this package; its functions return Structs.

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


def _texts(default: str | None = None) -> Any:
    server_default = default and text(default)
    return Field(sa_column=Column(ARRAY(Text(collation="C")), nullable=False, server_default=server_default))


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

    `witnessed_at` is when the audit's tips were last written into the log `_node`. `secret_fingerprint` identifies the
    install secret; an install of an earlier version has none until its next start. From `idempotency_since` on, events
    with an idempotency key get secret ids. While it is null they get those of version 0.1. `headed_at` is when a
    process last began to anchor the logs in `_node`, `cosigned_size` the last size of it that a quorum cosigned.
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
    headed_at: datetime = _instant(server_default=text("'epoch'"))
    cosigned_size: int | None = _count(nullable=True)


class KeyRotation(SQLModel, table=True):
    """A change of the signing key, in the order of `number`. If it has no `signature_old`, the old key was lost."""

    __tablename__ = "key_rotation"
    number: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    kid_old: str = _text()
    kid_new: str = _text()
    rotated_at: datetime = _instant()
    signature_old: bytes | None = Field(sa_column=Column(LargeBinary, nullable=True))
    signature_new: bytes = _bytes()


class Workspace(SQLModel, table=True):
    """The owner of a log. The row of a deleted workspace stays, so that its slug never names another log."""

    __tablename__ = "workspace"
    id: str = _text(primary_key=True)
    created_at: datetime = _instant()
    deleted_at: datetime | None = _instant(nullable=True)


class ApiKey(SQLModel, table=True):
    """An API key. Only the SHA-256 of its token is stored. `*` in `workspaces` or `scopes` stands for all.

    If `must_name` is set, each of its calls must name a workspace, because its default workspace was deleted. The dids
    in `authors`, if there are any, are the only ones that may sign its events; `author_required` means that one must.
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
    authors: list[str] = _texts("'{}'")
    author_required: bool = Field(sa_column_kwargs={"server_default": text("false")})


class EventTip(SQLModel, table=True):
    """The end of a workspace's log. Its row lock serialises appends. `seq` is -1 if the log is empty.

    `counted` becomes false when the log has more distinct types or producers than are counted; totals then come from
    the index. `lost_size` and `lost_root` are those of a stored checkpoint that the log does not extend; if they are
    set, nothing is appended.
    """

    __tablename__ = "event_tip"
    __table_args__ = {"postgresql_with": {"fillfactor": 50}}  # room to update in place: every group changes the row
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

    It has no foreign key to the workspace, because checking one for each row takes time. An append locks the tip, which
    has the foreign key.
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
        # Which built-in kinds of metadata an event has. It searches the text for their names, because parsing the JSON
        # would take an append ten times as long. See docs/decisions/0006 and 0015.
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

    Only the nodes of every eighth height are stored. They are written after the events, and an append never needs them.
    """

    __tablename__ = "merkle_node"
    workspace_id: str = _workspace()
    height: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    place: int = _count(primary_key=True, autoincrement=False)
    hash: bytes = _bytes()


class EventCount(SQLModel, table=True):
    """How many events a workspace has by type, source and whether they have metadata. Appends change it."""

    __tablename__ = "event_count"
    __table_args__ = {"postgresql_with": {"fillfactor": 50}}
    workspace_id: str = _workspace()
    type: str = _text(primary_key=True)
    source: str = _text(primary_key=True)
    has_metadata: bool = Field(primary_key=True)
    events: int = _count()


class ProducerCount(SQLModel, table=True):
    """How many events a workspace has of each producer. An event without a producer counts for its source."""

    __tablename__ = "producer_count"
    __table_args__ = {"postgresql_with": {"fillfactor": 50}}
    workspace_id: str = _workspace()
    producer: str = _text(primary_key=True)
    events: int = _count()


class RateWindow(SQLModel, table=True):
    """The current window of a rate limit: how many calls of a kind the processes have leased, and the last lease.

    The next window replaces the row, so there is one row for each kind that a workspace has ever called.
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

    Its row lock serialises that. `version` increases when other subscriptions take part than before; those that take
    part are active and have no cursor of their own.
    """

    __tablename__ = "dispatch"
    __table_args__ = {"postgresql_with": {"fillfactor": 50}}
    workspace_id: str = _workspace(ForeignKey("workspace.id"))
    seq: int = _count()
    version: int = _count()


class Subscription(SQLModel, table=True):
    """A webhook. Without a `cursor` it takes part in its workspace's dispatch; with one it is behind or stopped.

    `filter` is the JSON text that was sent, without spaces. Each process parses it anew, because processes may know
    different metadata kinds. `delivery_seq` counts the deliveries of the subscription, `attempted` those that were
    attempted at least once.
    """

    __tablename__ = "subscription"
    __table_args__ = (
        # They find subscriptions that need work, so that no process reads all rows. Each has its own order.
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

    It has no foreign key to the subscription, because checking one for each row takes time. Whatever writes here holds
    the lock on the subscription's row.
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
    """One POST of a delivery, and its answer. It is deleted with its delivery."""

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
    """The end of a workspace's audit chain, and the seq up to which the log `_node` has reported it."""

    __tablename__ = "audit_tip"
    __table_args__ = {"postgresql_with": {"fillfactor": 50}}
    workspace_id: str = _workspace(ForeignKey("workspace.id"))
    seq: int = _count()
    hash: bytes = _bytes()
    recorded_at: datetime = _instant()
    witnessed: int = _count(server_default=text("-1"))


class AuditEntry(SQLModel, table=True):
    """One administrative act. `detail` is JCS without personal data. Only the function `audit_append` writes here."""

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
    """A shape of a developer's metadata kind (`sort` is `metadata`) or event type (`event`), in the order of `number`.

    `shape` is a JSON Schema. Data that was stored under one number is valid for all later ones. See `registered.py`.
    """

    __tablename__ = "registered_type"
    sort: str = _text(primary_key=True)
    name: str = _text(primary_key=True)
    number: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    shape: str = _text()
    registered_at: datetime = _instant()
