"""Types that were registered before may accept more, but may accept less only while no data is stored with them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import msgspec
import psycopg
import pytest
from msgspec import Struct

from app.store.install.install import InstallError
from app.store.install.registered import register_types
from schemas.base import Section
from tests.kit.databases import require_one_postgresql

VERSIONS = "SELECT sort, name, number, shape::json #>> '{$ref}' FROM registered_type ORDER BY sort, name, number"

EVENT = """
INSERT INTO event (workspace_id, seq, id, type, kid, recorded_at, prev_hash, body_hash, hash, signature, salt, user_id,
    source, data, metadata)
SELECT 'w', (SELECT count(*) FROM event), gen_random_uuid(), %(type)s, '', coalesce(%(at)s, clock_timestamp()), '', '',
    sha256(gen_random_uuid()::text::bytea), '', '', 'u', 'api', '{}', %(metadata)s
"""


class Review(Section, frozen=True, kw_only=True):
    """The first shape of a kind."""

    stars: int


class Wider(Section, frozen=True, kw_only=True):
    stars: float
    comment: str | None = None


class Other(Section, frozen=True, kw_only=True):
    stars: Literal["one", "two"]


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection]:
    """A database with the workspace `w`, whose log is empty."""
    with psycopg.connect(database_url, autocommit=True) as opened:
        opened.execute("INSERT INTO workspace (id, created_at) VALUES ('w', now())")
        opened.execute("INSERT INTO event_tip VALUES ('w', -1, '', 'epoch', 'k')")
        yield opened


def _register(connection: psycopg.Connection, sort: str, kind: type[Struct]) -> None:
    if sort == "metadata":
        register_types(connection, {"review": kind}, {})
    else:
        register_types(connection, {}, {"order.reviewed": kind})


def _store(connection: psycopg.Connection, **members: Any) -> None:
    event = {"type": "order.reviewed", "at": None, "metadata": '{"review":{"stars":4}}', **members}
    connection.execute(EVENT, event)


def _versions(connection: psycopg.Connection) -> list[tuple[Any, ...]]:
    return connection.execute(VERSIONS).fetchall()


SORTS = pytest.mark.parametrize(("sort", "name"), [("metadata", "review"), ("event", "order.reviewed")])


@SORTS
def test_a_type_that_grows_is_kept_as_it_was_and_is(connection: psycopg.Connection, sort: str, name: str) -> None:
    _register(connection, sort, Review)
    _store(connection)

    _register(connection, sort, Wider)
    _register(connection, sort, Wider)

    assert _versions(connection) == [(sort, name, 0, "#/$defs/Review"), (sort, name, 1, "#/$defs/Wider")]


CHANGE = (
    "has changed, but events with its earlier form are stored: stars was integer and is one of "
    '"one", "two"; register it'
)

SENTENCES = {
    "metadata": f"The metadata kind 'review' {CHANGE} under another name",
    "event": f"The data of the event type 'order.reviewed' {CHANGE} for another type",
}


@SORTS
def test_what_is_stored_stays_valid(connection: psycopg.Connection, sort: str, name: str) -> None:
    _register(connection, sort, Review)
    _store(connection)

    with pytest.raises(InstallError) as refused:
        _register(connection, sort, Other)

    assert str(refused.value) == f"{SENTENCES[sort]}, or accept everything that was valid before."
    assert _versions(connection) == [(sort, name, 0, "#/$defs/Review")]


UNRELATED = {
    "nothing": [],
    "another type": [{"type": "order.made", "metadata": None}],
    "another kind": [{"type": "order.made", "metadata": '{"custom":{"review":{"stars":"none"},"x":"\\u0000"}}'}],
    "an event of before": [{"at": "2020-01-01T00:00:00Z"}],
}


@SORTS
@pytest.mark.parametrize("events", UNRELATED.values(), ids=list(UNRELATED))
def test_a_type_that_nothing_is_stored_with_may_change(
    connection: psycopg.Connection, sort: str, name: str, events: list[dict[str, Any]]
) -> None:
    _register(connection, sort, Review)
    for event in events:
        _store(connection, **event)

    _register(connection, sort, Other)

    assert _versions(connection) == [(sort, name, 0, "#/$defs/Other")]


@SORTS
def test_an_erased_event_has_nothing_that_could_be_invalid(
    connection: psycopg.Connection, sort: str, name: str
) -> None:
    require_one_postgresql("switching off the triggers of a table at one place")
    _register(connection, sort, Review)
    _store(connection)
    connection.execute("ALTER TABLE event DISABLE TRIGGER USER")  # test_immutable.py tests who may erase
    connection.execute("UPDATE event SET erased = true, metadata = NULL")

    _register(connection, sort, Other)

    assert _versions(connection) == [(sort, name, 0, "#/$defs/Other")]


@SORTS
def test_an_older_server_starts_beside_a_newer_one(connection: psycopg.Connection, sort: str, name: str) -> None:
    _register(connection, sort, Review)
    _register(connection, sort, Wider)
    _store(connection, metadata='{"review":{"stars":4.5}}')

    _register(connection, sort, Review)

    assert [row[3] for row in _versions(connection)] == ["#/$defs/Review", "#/$defs/Wider"]
    with pytest.raises(InstallError, match=f"{name}.* comment is gone; "):
        _register(connection, sort, Other)


def test_a_type_that_is_registered_no_more_is_remembered(connection: psycopg.Connection) -> None:
    _register(connection, "metadata", Review)
    _store(connection)

    register_types(connection, {}, {})

    with pytest.raises(InstallError, match="metadata kind 'review' has changed"):
        _register(connection, "metadata", Other)


def test_a_rejected_type_leaves_the_others_as_they_were(connection: psycopg.Connection) -> None:
    _register(connection, "metadata", Review)
    _store(connection)

    with pytest.raises(InstallError):
        register_types(connection, {"first": Review, "review": Other}, {"order.made": Review})

    assert [row[1] for row in _versions(connection)] == ["review"]


def test_servers_that_start_at_once_register_once(database_url: str) -> None:
    def register(_: int) -> None:
        with psycopg.connect(database_url, autocommit=True) as own:
            register_types(own, {"review": Wider}, {"order.reviewed": Review})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(register, range(8)))

    with psycopg.connect(database_url) as connection:
        assert [row[:3] for row in _versions(connection)] == [
            ("event", "order.reviewed", 0),
            ("metadata", "review", 0),
        ]


def test_stored_shapes_are_json_schema(connection: psycopg.Connection) -> None:
    _register(connection, "metadata", Review)

    [(shape,)] = connection.execute("SELECT shape FROM registered_type").fetchall()

    assert msgspec.json.decode(shape)["$defs"]["Review"] == {
        "type": "object",
        "properties": {"stars": {"type": "integer"}},
        "required": ["stars"],
        "additionalProperties": False,
    }
