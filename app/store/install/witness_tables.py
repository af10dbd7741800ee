"""The tables of a witness of other logs. They belong to no workspace. See `tables.py`."""

from typing import Any

from sqlalchemy import BigInteger, Column, LargeBinary, Text
from sqlmodel import Field, SQLModel

import app.store.install.tables  # noqa: F401 - says how constraints and indexes are named


def _text(**options: Any) -> Any:
    return Field(sa_column=Column(Text(collation="C"), **{"nullable": False} | options))


def _bytes(**options: Any) -> Any:
    return Field(sa_column=Column(LargeBinary, **{"nullable": False} | options))


class WitnessIdentity(SQLModel, table=True):
    """The one row of the witness that keeps its state here: its name, and the kid of its key. Neither ever changes."""

    __tablename__ = "witness"
    id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    name: str = _text()
    kid: str = _text()


class WitnessedLog(SQLModel, table=True):
    """The last checkpoint of a log that the witness cosigned. `note` has the log's signatures and the cosignature.

    `origin_hash` is the SHA-256 of the log's origin, by which the protocol names the log.
    """

    __tablename__ = "witnessed_log"
    __table_args__ = {"postgresql_with": {"fillfactor": 50}}
    origin_hash: bytes = _bytes(primary_key=True)
    origin: str = _text()
    size: int = Field(sa_column=Column(BigInteger, nullable=False))
    root: bytes = _bytes()
    note: str = _text()
