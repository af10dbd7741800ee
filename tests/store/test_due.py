"""The repeated check for work costs only what is owed, however many workspaces and subscriptions there are."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from app.store.install.totals import Totals
from app.store.webhooks.backlog import Backlog, backlog_of, logs, owed
from app.store.webhooks.purge import PURGED, purge
from app.store.webhooks.subscriptions import Subscriptions
from tests.store.opened import Store, opened
from tests.store.plans import Recording

WORKSPACES = 100

FEW_BLOCKS = 16
"""The blocks of four statements with indexes that are nearly empty."""

SEED = """
INSERT INTO dispatch SELECT workspace_id, seq, 0 FROM event_tip WHERE workspace_id LIKE 'ws-%';
INSERT INTO subscription (workspace_id, id, event_types, url, ordered, state, secret, weak_secret, created_at)
SELECT workspace_id, 'sub_' || n, '{*}', 'https://receiver.example/', false, 'active', '', false, now()
FROM dispatch, generate_series(1, 10) AS n;
ANALYZE
"""

OWE = """
INSERT INTO delivery (workspace_id, subscription_id, delivery_seq, seq, ordered, created_at, due_at, ended_at, state)
SELECT %(workspace)s, %(id)s, n, n, false, now(),
    CASE WHEN NOT %(ended)s THEN now() + make_interval(secs => %(seconds)s) END,
    CASE WHEN %(ended)s THEN now() + make_interval(secs => %(seconds)s) END, 'pending'
FROM generate_series(1, %(count)s) AS n
"""

DAY = 86_400


class Many:
    """A store with many workspaces with ten active subscriptions each. The database counts the blocks that it reads."""

    def __init__(self, store: Store) -> None:
        self.store = store
        assert isinstance(store.database, Recording)
        self.database = store.database
        self.execute(SEED)

    def execute(self, statement: str, **values: object) -> list[Any]:
        """Change the database."""
        with psycopg.connect(self.store.url, autocommit=True) as connection:
            ran = connection.execute(statement, values or None)
            return ran.fetchall() if ran.description else []

    def owe(self, workspace: str, id: str, *, count: int = 1, seconds: int = -1, ended: bool = False) -> None:
        """Give a subscription deliveries that are due, or ended, so many seconds from now."""
        self.execute(OWE, workspace=workspace, id=id, count=count, seconds=seconds, ended=ended)

    def blocks(self) -> int:
        """The blocks that were read since the last call."""
        seen, self.database.seen[:] = list(self.database.seen), []
        return sum(each.cost.blocks for each in seen)

    def look(self) -> Any:
        """Check what is owed."""
        return self.store.run(owed(self.database))


@pytest.fixture
def many(database_url: str, tmp_path: Path) -> Iterator[Many]:
    """The store."""
    workspaces = [f"ws-{number}" for number in range(WORKSPACES)]
    with opened(database_url, tmp_path, workspaces=workspaces, connected=Recording) as store:
        yield Many(store)


def test_a_check_reads_no_subscription_that_is_owed_nothing(many: Many) -> None:
    found = many.look()
    unannounced = many.store.run(Subscriptions(many.database).unannounced())
    looked = many.blocks()
    more = many.store.run(purge(many.database))

    assert (found, unannounced, more) == (([], []), [], False)
    assert looked <= FEW_BLOCKS
    assert many.blocks() <= FEW_BLOCKS


def test_a_check_finds_what_is_due_and_reads_only_that(many: Many) -> None:
    many.owe("ws-3", "sub_1", count=500)
    many.owe("ws-7", "sub_2", seconds=60)
    many.owe("ws-8", "sub_3")
    many.owe("ws-9", "sub_4")
    many.execute("UPDATE subscription SET state = 'paused' WHERE workspace_id = 'ws-8'")
    many.execute("UPDATE subscription SET cursor = -1 WHERE workspace_id = 'ws-9' AND id = 'sub_5'")
    many.execute("UPDATE subscription SET cursor = -1, state = 'paused' WHERE workspace_id = 'ws-9' AND id = 'sub_6'")

    behind, due = many.look()

    assert due == [("ws-3", "sub_1"), ("ws-9", "sub_4")]
    assert behind == [("ws-9", "sub_5")]
    assert many.blocks() <= 5 * FEW_BLOCKS


def test_one_workspace_can_be_checked_by_itself(many: Many) -> None:
    many.owe("ws-9", "sub_4")
    many.execute("UPDATE subscription SET cursor = -1 WHERE workspace_id = 'ws-9' AND id = 'sub_5'")

    backlog = many.store.run(backlog_of(many.database, "ws-9"))

    assert backlog == Backlog(-1, ["sub_5"], ["sub_4"])
    assert many.blocks() <= 10 * FEW_BLOCKS
    many.execute("UPDATE subscription SET state = 'paused' WHERE workspace_id = 'ws-9'")
    assert many.store.run(backlog_of(many.database, "ws-9")) is None


def test_a_survey_finds_every_log_with_active_subscriptions(many: Many) -> None:
    many.execute("UPDATE subscription SET state = 'paused' WHERE workspace_id = 'ws-1'")
    many.execute("UPDATE subscription SET cursor = 0 WHERE workspace_id = 'ws-2'")
    many.execute("UPDATE event_tip SET seq = 5 WHERE workspace_id = 'ws-3'")

    ends = many.store.run(logs(many.database)).of

    assert len(ends) == WORKSPACES - 1
    assert "ws-1" not in ends
    assert (ends["ws-2"], ends["ws-3"], ends["ws-4"]) == (-1, 5, -1)
    assert many.blocks() <= 2 * WORKSPACES


def test_a_purge_deletes_the_oldest_first_and_what_was_deleted(many: Many) -> None:
    many.owe("ws-1", "sub_1", count=PURGED + 10, seconds=-31 * DAY, ended=True)
    many.owe("ws-2", "sub_1", count=10, seconds=-29 * DAY, ended=True)
    many.owe("ws-3", "sub_1", count=10)
    many.execute("UPDATE subscription SET state = 'deleted', stopped_at = now() WHERE workspace_id = 'ws-3'")

    pieces = [many.store.run(purge(many.database)) for _ in range(2)]

    left = many.execute("SELECT workspace_id, count(*) FROM delivery GROUP BY 1")
    assert (pieces, left) == ([True, False], [("ws-2", 10)])
    assert many.execute("SELECT id FROM subscription WHERE workspace_id = 'ws-3'") == []


def test_metrics_count_every_state_in_few_blocks(many: Many) -> None:
    many.owe("ws-3", "sub_1", count=20, seconds=-60)
    many.owe("ws-4", "sub_1", count=5, seconds=60)
    many.owe("ws-5", "sub_1", count=5)
    many.execute("UPDATE subscription SET state = 'paused' WHERE workspace_id = 'ws-5'")
    many.execute("UPDATE event_tip SET seq = 41 WHERE workspace_id = 'ws-6'")
    many.execute("UPDATE subscription SET cursor = -1 WHERE workspace_id = 'ws-7' AND id = 'sub_1'")

    standing = many.store.run(Totals(many.database).standing())

    assert standing.subscriptions == {"active": 10 * WORKSPACES - 10, "paused": 10}
    assert standing.workspaces == WORKSPACES + 1
    assert (standing.pending, standing.behind) == (25, 42)
    assert 60 <= standing.overdue_seconds < 120
    assert many.blocks() <= 3 * WORKSPACES
