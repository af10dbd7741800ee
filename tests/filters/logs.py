"""Logs for testing filters, both by SQL and in memory."""

import itertools
from datetime import datetime
from typing import Annotated, Any

import msgspec
import psycopg
from msgspec import Meta, Struct, defstruct

from app.filters.event import FoundEvent
from app.filters.fields import Fields
from app.filters.matches import matches
from app.filters.parse import parse_filter
from app.filters.sql import condition
from app.ledger.draft import Draft
from app.store.events.follower import EventFollower
from app.store.events.rows import EVENT_JSON, LEDGER_JSON
from app.store.install.workspaces import create_workspace
from schemas.base import Section, Text
from schemas.metadata import BUILT_IN
from tests.store.opened import Store, draft


class Review(Section, frozen=True, kw_only=True):
    """A developer's own metadata kind."""

    stars: Annotated[int, Meta(ge=1, le=5)]
    verdict: str | None = None
    would_recommend: bool = False


class Odd(Section, frozen=True, kw_only=True):
    """A type for members that are stored as free data, which often does not fit it."""

    number: float | None = None
    text: Text | None = None
    flag: bool | None = None
    at: Annotated[datetime, Meta(tz=True)] | None = None
    inner: dict[str, Any] | None = None
    many: list[str] | None = None


def fields(**kinds: type[Struct]) -> Fields:
    """The fields of filters: those of the built-in kinds and of these."""
    named = {**BUILT_IN, **kinds}
    metadata = defstruct(
        "Metadata",
        [(name, kind | None, None) for name, kind in named.items()],
        kw_only=True,
        forbid_unknown_fields=True,
    )
    return Fields(metadata)


FIELDS = fields(review=Review)
ODD_FIELDS = fields(custom=Odd)


class Logs:
    """A store, in which each test begins an empty log."""

    def __init__(self, store: Store, connection: psycopg.Connection) -> None:
        self.store = store
        self.workspace = "default"
        self._followers = [EventFollower(store.database, shape) for shape in (EVENT_JSON, LEDGER_JSON)]
        self._connection = connection
        self._numbers = itertools.count()

    def begin(self) -> None:
        """Switch to an empty log."""
        self.workspace = f"f{next(self._numbers)}"
        create_workspace(self._connection, self.workspace)

    def append(self, *drafts: Draft) -> None:
        """Append to the log."""
        self.store.append(*drafts, workspace=self.workspace)

    def seed(self, workspace: str, count: int) -> None:
        """Switch to a log of many different events, which the database has analyzed."""
        self.workspace = workspace
        create_workspace(self._connection, workspace)
        for start in range(0, count, 500):
            self.append(
                *(
                    draft(
                        f"note.t{place}",
                        source="sync" if place % 100 == 0 else "api",
                        metadata={"ai": {"agent": f"a{place}"}} if place % 50 == 0 else None,
                        producer=f"p{place}",
                        user_id=f"u{place}",
                        subject_id=f"s{place}",
                        correlation_id=f"c{place}",
                        causation_id=f"c{place}",
                    )
                    for place in range(start, start + 500)
                )
            )
        with self._connection.transaction():
            self._connection.execute("ANALYZE event")

    def found(self, door: int = 0) -> list[FoundEvent]:
        """All events as streams read them: those of the procedures (0) or of the ledger (1)."""
        follower = self._followers[door]
        tip = self.store.run(follower.tip(self.workspace))
        events: list[FoundEvent] = self.store.run(follower.next(self.workspace, -1, tip)).events
        return events

    def shown(self) -> list[dict[str, Any]]:
        """All events as a caller reads them."""
        return [msgspec.json.decode(event.event.json) for event in self.found()]

    def by_sql(self, raw: object, known: Fields = FIELDS, only_user: str | None = None) -> list[int]:
        """The seqs of the events that match, found by the database."""
        parameters: dict[str, object] = {"workspace": self.workspace}
        matches = condition(parse_filter(raw, "filter", known), parameters, only_user=only_user)
        sql = f"SELECT seq FROM event WHERE workspace_id = %(workspace)s AND ({matches}) ORDER BY seq"
        return [row[0] for row in self.store.run(self.store.database.rows_alone(sql, parameters))]

    def by_matches(self, raw: object, known: Fields = FIELDS) -> list[int]:
        """The seqs of the events that match, found in memory. The events of both doors must give the same result."""
        meets = matches(parse_filter(raw, "filter", known), self.workspace)
        [one, other] = [[event.seq for event in self.found(door) if meets(event)] for door in (0, 1)]
        assert one == other
        return one

    def matching(self, raw: object, known: Fields = FIELDS) -> list[int]:
        """The seqs of the events that match, found by both, which must agree."""
        by_sql = self.by_sql(raw, known)
        assert by_sql == self.by_matches(raw, known)
        return by_sql
