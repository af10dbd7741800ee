"""The tables of what `_node` says about the other logs, and of its witnesses.

See `app/store/ledger/heads.py` and `app/store/ledger/node_witnesses.py`.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Index, LargeBinary, Text, text
from sqlmodel import Field, SQLModel

import app.store.install.tables  # noqa: F401 - says how constraints and indexes are named


def _text(**options: Any) -> Any:
    return Field(sa_column=Column(Text(collation="C"), **{"nullable": False} | options))


def _bytes(*, nullable: bool = False) -> Any:
    return Field(sa_column=Column(LargeBinary, nullable=nullable))


def _count(**options: Any) -> Any:
    return Field(sa_column=Column(BigInteger, **{"nullable": False} | options))


class TreeHead(SQLModel, table=True):
    """How far `_node` has anchored a log: its size then, its last hash, and its tree as `Frontier.peaks`."""

    __tablename__ = "tree_head"
    __table_args__ = {"postgresql_with": {"fillfactor": 50}}
    workspace_id: str = _text(primary_key=True)
    size: int = _count()
    hash: bytes = _bytes()
    peaks: bytes = _bytes()


class TreeLeaf(SQLModel, table=True):
    """A leaf of the event `synap.tree.heads` at `seq` of `_node`, which is its `workspace_id`.

    After the log was deleted, only the hash is left.
    """

    __tablename__ = "tree_leaf"
    __table_args__ = (
        Index("tree_leaf_log_ix", "workspace_id", "log", "size", postgresql_where=text("log IS NOT NULL")),
    )
    workspace_id: str = _text(primary_key=True)
    seq: int = _count(primary_key=True, autoincrement=False)
    place: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    hash: bytes = _bytes()
    log: str | None = _text(nullable=True)
    size: int | None = _count(nullable=True)
    root: bytes | None = _bytes(nullable=True)
    salt: bytes | None = _bytes(nullable=True)


class NodeWitness(SQLModel, table=True):
    """A witness of `_node`, which is its `workspace_id`, by its verifier key: the size that it cosigned, and when.

    It is asked again at `due_at`. `failures` counts those since it last cosigned, `problem` is the last of them. If it
    has an `alarm`, it does not vouch for the log.
    """

    __tablename__ = "node_witness"
    __table_args__ = {"postgresql_with": {"fillfactor": 50}}
    workspace_id: str = _text(primary_key=True)
    key: str = _text(primary_key=True)
    size: int | None = _count(nullable=True)
    cosigned_at: datetime | None = Field(sa_column=Column(DateTime(timezone=True), nullable=True))
    due_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    failures: int
    problem: str | None = _text(nullable=True)
    alarm: str | None = _text(nullable=True)


class Cosignature(SQLModel, table=True):
    """The line by which a witness cosigned a checkpoint of `_node`, which is its `workspace_id`.

    There are none below the newest size that a quorum cosigned (`install.cosigned_size`).
    """

    __tablename__ = "cosignature"
    workspace_id: str = _text(primary_key=True)
    size: int = _count(primary_key=True, autoincrement=False)
    key: str = _text(primary_key=True)
    root: bytes = _bytes()
    line: str = _text()
