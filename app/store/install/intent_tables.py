"""The tables of intents, which follow from the log. See `tables.py`."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Column, DateTime, Index, Text, Uuid, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel

import app.store.install.tables  # noqa: F401 - says how constraints and indexes are named


def _text(**options: Any) -> Any:
    return Field(sa_column=Column(Text(collation="C"), **{"nullable": False} | options))


def _instant(*, nullable: bool) -> Any:
    return Field(sa_column=Column(DateTime(timezone=True), nullable=nullable))


class IntentState(SQLModel, table=True):
    """Where an intent stands: a projection of the log. `app/store/events/intents.py` says what each column is.

    `due_at` is when it expires; null if it cannot expire any more.
    """

    __tablename__ = "intent"
    __table_args__ = (
        Index(None, "workspace_id", "seq", unique=True),
        Index(None, "workspace_id", "state", "seq"),
        Index("intent_due_ix", "due_at", postgresql_where=text("due_at IS NOT NULL")),
        {"postgresql_with": {"fillfactor": 50}},
    )
    workspace_id: str = _text(primary_key=True)
    id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    seq: int = Field(sa_column=Column(BigInteger, nullable=False))
    user_id: str = _text()
    expires_at: datetime | None = _instant(nullable=True)
    timeout_seconds: int
    uses: int
    approvers: list[str] | None = Field(sa_column=Column(ARRAY(Text(collation="C")), nullable=True))
    decision: str | None = _text(nullable=True)
    ended: str | None = _text(nullable=True)
    started: int
    state: str = _text()
    due_at: datetime | None = _instant(nullable=True)


class IntentPartyState(SQLModel, table=True):
    """Whose an intent is: one row for the user who asked, and one for each user who is named to approve it.

    `state` is that of the intent, so that each list of one user's intents is in the order of an index. An erased intent
    has no rows.
    """

    __tablename__ = "intent_party"
    __table_args__ = (
        # It begins with the user, so that the parties of an intent are only ever looked for by the primary key.
        Index("intent_party_state_ix", "user_id", "workspace_id", "state", "seq"),
        {"postgresql_with": {"fillfactor": 50}},
    )
    workspace_id: str = _text(primary_key=True)
    intent_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    user_id: str = _text(primary_key=True)
    seq: int = Field(sa_column=Column(BigInteger, nullable=False))
    state: str = _text()


class IntentStartState(SQLModel, table=True):
    """Where one use of an intent stands: a projection of the log.

    `due_at` is when its outcome becomes `unknown`; null if it has one.
    """

    __tablename__ = "intent_start"
    __table_args__ = (
        Index(None, "workspace_id", "id", unique=True),
        Index("intent_start_request_ix", "workspace_id", "intent_id", "request_id", unique=True),
        Index("intent_start_due_ix", "due_at", postgresql_where=text("due_at IS NOT NULL")),
        {"postgresql_with": {"fillfactor": 50}},
    )
    workspace_id: str = _text(primary_key=True)
    intent_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    use: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    id: UUID = Field(sa_column=Column(Uuid, nullable=False))
    request_id: str | None = _text(nullable=True)
    started_at: datetime = _instant(nullable=False)
    due_at: datetime | None = _instant(nullable=True)
    outcome: str | None = _text(nullable=True)
    late: str | None = _text(nullable=True)
