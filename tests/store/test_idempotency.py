"""The ids of events with an idempotency key, before and after the switch to secret ids."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4, uuid5

import psycopg
import pytest
from msgspec.structs import replace

from app.ledger.draft import Draft
from app.store.events.linker import LOCK_TIP
from app.store.install.idempotency import begin_secret_ids, has_secret_ids
from app.store.install.install import connect
from app.store.install.parts import is_distributed
from app.surfaces.shared.idempotency import FORMER, idempotent_ids
from schemas.errors import Conflict, InvalidInput
from tests.kit.checks import check_log
from tests.kit.databases import as_role
from tests.kit.servers import until
from tests.store.opened import START, Store, draft, opened

SECRET = bytes(range(32))

AS_VERSION_0_1 = "UPDATE install SET idempotency_since = NULL"
"""The state of a database of version 0.1 after the migration."""

OLD_SERVER = "synap"
"""The application name of a server of version 0.1."""


@pytest.fixture
def store(database_url: str, tmp_path: Path) -> Iterator[Store]:
    """A store in a database of version 0.1 of the test's own, because the switch affects the whole install."""
    with opened(database_url, tmp_path) as own:
        with psycopg.connect(own.url, autocommit=True) as connection:
            connection.execute(AS_VERSION_0_1)
        yield own


@contextmanager
def named(url: str, application: str) -> Iterator[psycopg.Connection]:
    """A connection of a process with this application name."""
    with psycopg.connect(url, autocommit=True, application_name=application) as connection:
        yield connection


def retried(data: object = None, *, id: UUID | None = None, former_id: UUID | None = None) -> Draft:
    """The draft of an event with an idempotency key, as this version makes it."""
    return replace(draft("a.b", data, id=id or uuid4()), former_id=former_id or uuid4())


def as_version_0_1(sent: Draft) -> Draft:
    """The draft as a server of version 0.1 makes it."""
    assert sent.former_id is not None
    return replace(sent, id=sent.former_id, former_id=None)


def switch(store: Store) -> None:
    """Switch to secret ids."""
    with connect(store.url) as connection:
        begin_secret_ids(connection)
        assert has_secret_ids(connection)


def stored(store: Store) -> list[str]:
    """The ids of the log, oldest first."""
    return [event["event_id"] for event in check_log(store.url, store.workspace)]


def test_the_id_is_a_uuid_of_version_8_from_the_secret() -> None:
    ids = idempotent_ids(SECRET, "default", "k1", "run 1")

    # OpenSSL's HMAC-SHA256 of the text begins with 396ee8de6693cf21f38751e9f9f99f01.
    assert ids.id == UUID("396ee8de-6693-8f21-b387-51e9f9f99f01")
    assert (ids.id.version, ids.id.variant) == (8, "specified in RFC 4122")
    assert ids.former == uuid5(FORMER, '["default","k1","run 1"]')


@pytest.mark.parametrize(
    "other",
    [
        (bytes(32), "default", "k1", "run 1"),
        (SECRET, "other", "k1", "run 1"),
        (SECRET, "default", "k2", "run 1"),
        (SECRET, "default", "k1", "run 2"),
        (SECRET, "default", "k1", 'run 1"'),
    ],
    ids=["secret", "workspace", "API key", "key", "a quote"],
)
def test_everything_that_makes_the_id_changes_it(other: tuple[bytes, str, str, str]) -> None:
    assert idempotent_ids(*other).id != idempotent_ids(SECRET, "default", "k1", "run 1").id


@pytest.mark.parametrize("key", ["", "x" * 256, "ä", "a\nb"], ids=["empty", "too long", "not ASCII", "a line break"])
def test_a_key_that_cannot_be_one_is_rejected(key: str) -> None:
    with pytest.raises(InvalidInput):
        idempotent_ids(SECRET, "default", "k1", key)


def test_former_ids_are_written_until_the_switch_and_secret_ones_after_it(store: Store) -> None:
    first, second = retried(), retried()

    store.append(first)
    switch(store)
    store.append(second)

    assert stored(store) == [str(first.former_id), str(second.id)]


def test_a_retry_after_the_switch_returns_the_event_from_before_it(store: Store) -> None:
    sent = retried({"n": 1})

    (before,) = store.append(sent)
    switch(store)
    (after,) = store.append(sent)

    assert after == before
    assert stored(store) == [str(sent.former_id)]
    with pytest.raises(Conflict):
        store.append(replace(retried({"n": 2}), id=sent.id, former_id=sent.former_id))


def test_a_retry_of_an_event_whose_clock_was_ahead_is_found(store: Store) -> None:
    sent = retried()
    store.clock.at = datetime.now(START.tzinfo) + timedelta(days=1)

    (before,) = store.append(sent)
    switch(store)

    assert store.append(sent) == [before]


def test_an_event_with_a_predicted_id_blocks_nothing_after_the_switch(store: Store) -> None:
    switch(store)
    store.clock.at = datetime.now(START.tzinfo) + timedelta(minutes=1)
    sent = retried({"of": "the victim"})

    store.append(replace(draft("a.b", {"of": "the squatter"}), id=sent.former_id))
    (event,) = store.append(sent)

    assert event.id == sent.id
    assert store.append(sent) == [event]


def test_a_retry_of_an_erased_event_returns_it(store: Store) -> None:
    sent = retried({"n": 1})
    (before,) = store.append(sent)
    with psycopg.connect(store.url, autocommit=True) as connection:
        connection.execute(
            "UPDATE event SET erased = true, salt = '', user_id = '', data = '{}', metadata = NULL WHERE id = %s",
            (sent.former_id,),
        )
    switch(store)

    (after,) = store.append(sent)

    assert (after.id, after.seq, after.erased) == (before.id, before.seq, True)


def test_twins_of_one_group_share_the_event(store: Store) -> None:
    sent = retried()

    first, second = store.append_at_once([sent], [sent])

    assert first == second
    assert stored(store) == [str(sent.former_id)]


@pytest.mark.parametrize("application", [OLD_SERVER, "synap admin", "synap notices"])
def test_an_older_process_keeps_the_former_ids(store: Store, application: str) -> None:
    with named(store.url, application), connect(store.url) as connection:
        begin_secret_ids(connection)
        assert not has_secret_ids(connection)

    switch(store)


def test_an_older_process_of_another_database_or_a_newer_one_keeps_nothing(store: Store, postgres_url: str) -> None:
    with named(postgres_url, OLD_SERVER), named(store.url, "synap server"), named(store.url, "psql"):
        switch(store)


def test_the_switch_is_set_once(store: Store) -> None:
    switch(store)
    with connect(store.url) as connection:
        first = connection.execute("SELECT idempotency_since FROM install").fetchone()
        begin_secret_ids(connection)
        assert connection.execute("SELECT idempotency_since FROM install").fetchone() == first


def test_a_role_without_rights_sees_older_processes(store: Store) -> None:
    with psycopg.connect(store.url, autocommit=True) as connection:
        connection.execute("CREATE ROLE stranger LOGIN")
    try:
        with named(store.url, OLD_SERVER), named(as_role(store.url, "stranger"), "psql") as stranger:
            names = stranger.execute("SELECT application_name FROM pg_stat_activity").fetchall()
            assert (OLD_SERVER,) in names
    finally:
        with psycopg.connect(store.url, autocommit=True) as connection:
            connection.execute("DROP ROLE stranger")


@pytest.mark.parametrize("first", ["the append", "the switch"])
def test_a_retry_beside_the_switch_is_stored_once(store: Store, first: str) -> None:
    """Both wait for the lock on the tip in this order."""
    sent = retried()
    with ThreadPoolExecutor(2) as pool, psycopg.connect(store.url) as held:
        held.execute(LOCK_TIP, {"workspace": store.workspace})
        steps = {"the append": lambda: store.append(sent), "the switch": lambda: switch(store)}
        order = [first, *(name for name in steps if name != first)]
        waiting = []
        for place, name in enumerate(order, 1):
            waiting.append(pool.submit(steps[name]))
            until(partial(_are_blocked, store.url, place))
        held.rollback()
        for each in waiting:
            each.result(timeout=60)

    expected = sent.former_id if first == "the append" else sent.id
    assert stored(store) == [str(expected)]
    (again,) = store.append(sent)
    assert again.id == expected


def test_an_older_and_a_newer_process_store_concurrent_retries_once(store: Store) -> None:
    events = [retried({"n": n}) for n in range(50)]
    with named(store.url, OLD_SERVER), connect(store.url) as connection:
        begin_secret_ids(connection)

        answers = store.append_at_once(
            *([event] for pair in zip(events, map(as_version_0_1, events), strict=True) for event in pair)
        )

    assert [answer[0].id for answer in answers[::2]] == [answer[0].id for answer in answers[1::2]]
    assert len(stored(store)) == len(events)
    switch(store)
    again = store.append_at_once(*([event] for event in events))
    assert again == answers[::2]


def _are_blocked(url: str, expected: int) -> bool:
    """Whether `expected` connections wait for a lock."""
    with psycopg.connect(url) as connection:
        everywhere = "citus_stat_activity" if is_distributed(connection) else "pg_stat_activity"
        row = connection.execute(
            f"SELECT count(*) FROM {everywhere} WHERE datname = current_database() AND wait_event_type = 'Lock'"
        ).fetchone()
    return row == (expected,)
