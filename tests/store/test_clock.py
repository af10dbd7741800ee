"""A process whose clock is far from the database's appends nothing, so it cannot give others a time in the future."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from app.store.events.event_log import EventLog
from app.store.events.linker import LOCK_TIP
from app.store.postgres.clock import GET_CLOCK, Clock, skew_seconds, utc_now
from schemas.errors import Unavailable
from tests.kit.databases import require_one_postgresql
from tests.kit.servers import serving, until
from tests.kit.web import get
from tests.store.opened import Store, draft, opened
from tests.store.watched import WAITING, asked

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)

KEY = {"workspace": "default"}


class Ticking:
    """A clock that goes on, with an error that a test sets."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        """The time, with the error."""
        return utc_now() + self.ahead


@pytest.fixture
def store(database_url: str, tmp_path: Path) -> Iterator[Store]:
    """A store of the test's own."""
    with opened(database_url, tmp_path) as store:
        yield store


def _end(store: Store) -> Any:
    with psycopg.connect(store.url) as connection:
        row = connection.execute("SELECT seq, recorded_at FROM event_tip WHERE workspace_id = 'default'").fetchone()
    assert row is not None
    return row


@pytest.mark.parametrize(
    ("hours", "side"), [(2, "ahead of"), (-2, "behind")], ids=["two hours ahead", "two hours behind"]
)
def test_a_process_whose_clock_is_off_appends_nothing(store: Store, hours: int, side: str) -> None:
    wrong = EventLog(store.database, store.keys, store.node, lambda: utc_now() + timedelta(hours=hours, seconds=0.4))
    right = EventLog(store.database, store.keys, store.node)
    before = _end(store)

    with pytest.raises(Unavailable) as refused:
        store.run(wrong.append("default", [draft()]))
    between = _end(store)
    [event] = store.run(right.append("default", [draft()]))

    assert re.fullmatch(
        rf"This server's clock is 7[12]\d\d s {side} the database's; set both by NTP; nothing was stored, retry",
        refused.value.message,
    )
    assert refused.value.retry_after_seconds == 60
    assert between == before
    assert abs(datetime.fromisoformat(event.timestamp) - utc_now()) < timedelta(minutes=1)


@pytest.mark.parametrize("hours", [2, -2], ids=["ahead", "behind"])
def test_a_clock_that_is_set_wrong_while_the_process_appends_is_found(store: Store, hours: int) -> None:
    now = Ticking()
    log = EventLog(store.database, store.keys, store.node, now)
    for _ in range(3):
        store.run(log.append("default", [draft()]))  # the last one in one statement, which reads no tip
    before = _end(store)

    now.ahead = timedelta(hours=hours)
    with pytest.raises(Unavailable, match="clock"):
        store.run(log.append("default", [draft()]))
    between = _end(store)
    now.ahead = timedelta()
    store.run(log.append("default", [draft()]))

    assert between == before
    assert _end(store)[0] == before[0] + 1


def test_an_error_of_seconds_is_borne(store: Store) -> None:
    log = EventLog(store.database, store.keys, store.node, lambda: utc_now() + timedelta(seconds=30))

    events = [store.run(log.append("default", [draft()]))[0] for _ in range(3)]

    assert [event.seq for event in events] == [0, 1, 2]


def test_the_wait_for_a_lock_does_not_make_the_database_s_clock_old(store: Store) -> None:
    with psycopg.connect(store.url) as holder, ThreadPoolExecutor() as pool:
        holder.execute(LOCK_TIP, KEY)
        waiting = pool.submit(_locked, store.url)
        until(lambda: asked(store, WAITING))
        holder.execute(
            "UPDATE event_tip SET recorded_at = %(now)s WHERE workspace_id = %(workspace)s", {**KEY, "now": NOON}
        )
        [released] = holder.execute(GET_CLOCK).fetchone() or ()
        holder.commit()
        *_, recorded_at, _, _, _, clock = waiting.result()

    assert recorded_at == NOON
    assert clock > released


def _locked(url: str) -> Any:
    with psycopg.connect(url) as connection:
        return connection.execute(LOCK_TIP, KEY).fetchone()


@pytest.mark.parametrize(
    ("before", "after", "skew"),
    [(-1, 1, 0), (0, 0, 0), (3, 4, 3), (-4, -3, -3)],
    ids=["around it", "at once", "ahead", "behind"],
)
def test_the_time_that_an_answer_takes_is_no_error(before: int, after: int, skew: int) -> None:
    assert skew_seconds(NOON + timedelta(seconds=before), NOON, NOON + timedelta(seconds=after)) == skew


def test_an_error_of_the_clock_is_logged_once(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock(lambda: NOON)

    for minutes in (2, 2, 0, 2):
        try:
            clock.agreed(NOON + timedelta(minutes=minutes))
        except Unavailable:
            continue

    assert capsys.readouterr().out.count("appends are refused") == 2


def test_a_server_says_that_its_clock_is_off(database_url: str, tmp_path: Path) -> None:
    """The database has a clock of its own here, which the test sets."""
    require_one_postgresql("a clock that a function of the test replaces")
    name = database_url.split("?", maxsplit=1)[0].rsplit("/", 1)[1]
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA skewed")
        connection.execute("CREATE TABLE skewed.error AS SELECT interval '0' AS by")
        connection.execute(
            "CREATE FUNCTION skewed.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE "
            "RETURN (SELECT pg_catalog.clock_timestamp() + by FROM skewed.error)"
        )
        connection.execute(f"ALTER DATABASE {name} SET search_path = public, skewed, pg_catalog")

        with serving(tmp_path, database_url=database_url) as server:
            event = {"type": "note.created", "data": {}}
            stored = [server.mutate("events.log", event).status_code for _ in range(3)]
            connection.execute("UPDATE skewed.error SET by = '-2 hours'")
            refused = server.mutate("events.log", event)
            unready = get(f"{server.url}/readyz")
            metrics = get(f"{server.url}/metrics").text
            connection.execute("UPDATE skewed.error SET by = '0'")
            again = server.mutate("events.log", event)
            ready = get(f"{server.url}/readyz")

    sentence = "This server's clock is 7200 s ahead of the database's; set both by NTP"
    assert stored == [200, 200, 200]
    assert refused.status_code == 503
    assert refused.json()["error"]["message"].startswith(sentence)
    assert unready.json() == {"status": "unready", "reason": sentence}
    assert "\nsynap_clock_skew_seconds 7" in metrics
    assert (again.status_code, ready.status_code) == (200, 200)
