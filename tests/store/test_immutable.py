"""The database lets nobody change an event: not even a superuser, or a session that replicates."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from psycopg.errors import FeatureNotSupported, RestrictViolation
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier

from app.ledger.draft import server_draft
from app.store.install.tables import EventRow
from tests.kit.checks import ERASED, check_log
from tests.store.opened import Store, draft

BODY = {"salt", "user_id", "data", "subject_id", "producer", "metadata", "correlation_id", "causation_id"}

COLUMNS = sorted(column.name for column in EventRow.__table__.columns)  # type: ignore[attr-defined]

HEADER = sorted(set(COLUMNS) - BODY - {"erased"})
"""The header's columns, and the columns of the body that stay: the source and the caller's time."""

OTHERS: dict[str, object] = {
    "workspace_id": "elsewhere",
    "seq": 1000,
    "id": "01938c1e-0000-7000-8000-0000000000ff",
    "type": "other.type",
    "kid": "z6Mk",
    "recorded_at": datetime(2020, 1, 1, tzinfo=UTC),
    "prev_hash": b"\1" * 32,
    "body_hash": b"\1" * 32,
    "hash": b"\1" * 32,
    "signature": b"\1" * 64,
    "salt": b"\1" * 16,
    "user_id": "u2",
    "source": "sync",
    "data": '{"n":2}',
    "subject_id": "s2",
    "producer": "p2",
    "metadata": '{"custom":{"n":2}}',
    "correlation_id": "c2",
    "causation_id": "d2",
    "occurred_at": datetime(2020, 1, 1, tzinfo=UTC),
    "erased": True,
}
"""Another value for each column."""

REFUSED = (RestrictViolation, FeatureNotSupported)
"""How a change is refused: by our trigger, or by a cluster, whose rows stay in their workspace."""

ROLES: dict[str, Callable[[psycopg.Connection[Any]], object]] = {
    "a superuser": lambda connection: connection.execute("SET session_replication_role = origin"),
    "one that replicates": lambda connection: connection.execute("SET session_replication_role = replica"),
}


class Table:
    """One event of a log, and the table that contains it."""

    def __init__(self, connection: psycopg.Connection[Any], workspace: str) -> None:
        self._connection = connection
        self._workspace = workspace

    def row(self, seq: int) -> dict[str, Any]:
        """The row of an event."""
        found: dict[str, Any] = (
            self._connection.cursor(row_factory=dict_row)
            .execute("SELECT * FROM event WHERE workspace_id = %s AND seq = %s", [self._workspace, seq])
            .fetchall()[0]
        )
        return found

    def update(self, seq: int, values: dict[str, Any]) -> None:
        """Change the row of an event."""
        assignments = SQL(", ").join(SQL("{} = {}").format(Identifier(name), value) for name, value in values.items())
        statement = SQL("UPDATE event SET {} WHERE workspace_id = {} AND seq = {}")
        changed = self._connection.execute(statement.format(assignments, self._workspace, seq))
        assert changed.rowcount == 1

    def execute(self, statement: str) -> None:
        """Run a statement without parameters."""
        self._connection.execute(statement)


@pytest.fixture(params=ROLES.values(), ids=list(ROLES))
def table(store: Store, request: pytest.FixtureRequest) -> Iterator[Table]:
    """A log with a full event, a minimal one, one of the server's own and an erased one, as this role sees it."""
    members: dict[str, Any] = {
        "subject_id": "s",
        "producer": "p",
        "metadata": {"custom": {"n": 1}},
        "correlation_id": "c",
        "causation_id": "d",
        "occurred_at": datetime(2024, 1, 1, tzinfo=UTC),
    }
    own = server_draft("synap.webhook.disabled", {}, id=draft().id, node=store.node)
    store.append(draft(data={"n": 1}, **members), draft(), own, draft())
    with psycopg.connect(store.url, autocommit=True) as connection:
        superuser = connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
        assert superuser == (True,)
        request.param(connection)
        made = Table(connection, store.workspace)
        made.update(3, ERASED | {"erased": True})
        yield made


@pytest.mark.parametrize("statement", ["DELETE FROM event", "TRUNCATE event", "TRUNCATE event CASCADE"])
def test_no_event_goes(table: Table, statement: str) -> None:
    with pytest.raises(RestrictViolation):
        table.execute(statement)


@pytest.mark.parametrize("column", COLUMNS)
def test_no_column_changes(table: Table, column: str) -> None:
    for seq in (0, 1, 2):
        before = table.row(seq)
        assert before[column] != OTHERS[column]

        with pytest.raises(REFUSED):
            table.update(seq, {column: OTHERS[column]})

        assert table.row(seq) == before


def test_no_row_is_written_again(table: Table) -> None:
    with pytest.raises(RestrictViolation):
        table.update(0, {"data": table.row(0)["data"]})


@pytest.mark.parametrize("column", sorted(BODY))
def test_no_body_is_half_erased(table: Table, column: str) -> None:
    whole = ERASED | {"erased": True}

    with pytest.raises(RestrictViolation):
        table.update(0, {name: value for name, value in whole.items() if name != column})
    with pytest.raises(RestrictViolation):
        table.update(0, whole | {column: OTHERS[column]})
    with pytest.raises(RestrictViolation):
        table.update(0, {name: value for name, value in whole.items() if name != "erased"})
    if ERASED[column] is not None:
        with pytest.raises(psycopg.errors.IntegrityError):
            table.update(0, whole | {column: None})


@pytest.mark.parametrize("column", HEADER)
def test_no_header_changes_with_its_body(table: Table, column: str) -> None:
    with pytest.raises(REFUSED):
        table.update(0, ERASED | {"erased": True, column: OTHERS[column]})


@pytest.mark.parametrize("column", COLUMNS)
def test_what_is_erased_stays_erased(table: Table, column: str) -> None:
    with pytest.raises(REFUSED):
        table.update(3, {column: False if column == "erased" else OTHERS[column]})


def test_no_event_of_the_servers_own_is_erased(table: Table) -> None:
    with pytest.raises(RestrictViolation):
        table.update(2, ERASED | {"erased": True})


def test_an_insert_changes_nothing_that_is_there(table: Table) -> None:
    row = "INSERT INTO event SELECT * FROM event ON CONFLICT (workspace_id, seq) DO UPDATE SET data = '{}'"
    merge = (
        "MERGE INTO event AS e USING event AS s ON e.workspace_id = s.workspace_id AND e.seq = s.seq "
        "WHEN MATCHED AND e.seq = 0 THEN UPDATE SET data = '{}'"
    )

    for statement in (row, merge, merge.replace("UPDATE SET data = '{}'", "DELETE")):
        with pytest.raises(RestrictViolation):
            table.execute(statement)


def test_a_body_goes_whole_and_the_header_stays(table: Table) -> None:
    for seq in (0, 1):
        before = table.row(seq)

        table.update(seq, ERASED | {"erased": True})

        assert table.row(seq) == before | ERASED | {"erased": True}


def test_the_checks_find_an_erasure_that_no_event_names(table: Table, store: Store) -> None:
    assert table.row(3)["erased"]

    with pytest.raises(AssertionError, match="without a body"):
        check_log(store.url, store.workspace)
