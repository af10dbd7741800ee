"""No statement of the store has a form that a distributed database refuses."""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest

import app.store
from app.store.postgres.nodes import Spanning
from app.store.postgres.pipe import Call, CallResult, PipedConnection
from app.store.postgres.roles import OWNER, SERVER, grant_serving, make_server_role
from tests.kit.servers import cloned
from tests.store.distributable import DISTRIBUTED, FORMS, plain, refused, spans_workspaces
from tests.store.opened import opened
from tests.store.operations import Operations
from tests.store.plans import Cost, Recording, Seen
from tests.store.states import fill, subscribe
from tests.store.test_named_statements import STATEMENT

REFUSED = {
    "columns after the name of a WITH clause": "WITH a (b) AS (SELECT seq FROM intent WHERE {one}) SELECT b FROM a",
    "an audit entry within another statement": "SELECT audit_append(%(logs)s) FROM api_key WHERE id = %(id)s",
    "a function in RETURNING": "INSERT INTO dispatch (workspace_id) VALUES (%(workspace)s) RETURNING seq, now()",
    "an INSERT that selects constants": (
        "INSERT INTO rate_window AS held (workspace_id, kind) SELECT %(workspace)s, 1 "
        "ON CONFLICT (workspace_id) DO UPDATE SET kind = 2"
    ),
    "a time that is computed from a column in SET": (
        "UPDATE delivery SET due_at = now() + make_interval(secs => made.seconds) FROM made WHERE {one}"
    ),
    "a function in CASE or COALESCE in SET": (
        "UPDATE subscription SET state = 'a', previous_until = CASE WHEN %(s)s > 0 THEN now() END WHERE {one}"
    ),
    "a volatile function in UPDATE or DELETE": "UPDATE install SET headed_at = clock_timestamp()",
    "rows of several shards locked": "SELECT FROM event_tip ORDER BY workspace_id FOR UPDATE",
    "a subquery that depends on a reference table": (
        "SELECT id FROM workspace WHERE EXISTS (SELECT 1 FROM event WHERE workspace_id = workspace.id)"
    ),
    "a subquery without columns over all workspaces": "SELECT EXISTS (SELECT FROM event WHERE metadata IS NOT NULL)",
    "a recursion over all workspaces": "WITH RECURSIVE a AS (SELECT seq FROM event_tip) SELECT seq FROM a",
    "a UNION in a lateral subquery": (
        "SELECT i.seq FROM intent AS i CROSS JOIN LATERAL (SELECT i.user_id UNION SELECT unnest(i.approvers)) AS party"
    ),
    "a row that is stored in a WITH clause": (
        "WITH a AS (INSERT INTO attempt (workspace_id) VALUES (%(workspace)s)) UPDATE delivery SET seq = 1 WHERE {one}"
    ),
    "another role": "SET LOCAL ROLE synap_custodian",
}
"""A statement of each form."""

ACCEPTED = {
    "names in the select list": "WITH a AS (SELECT seq AS b FROM intent WHERE {one}) SELECT b FROM a",
    "an audit entry by itself": "SELECT audit_append(%(logs)s::text[], %(id)s)",
    "the column names of a function": "SELECT seq FROM intent, unnest(%(ids)s::text[]) AS asked (value) WHERE {one}",
    "a time that is computed before it is stored": (
        "WITH made AS (SELECT now() + make_interval(secs => seconds) AS at FROM given) "
        "UPDATE delivery SET due_at = made.at FROM made WHERE {one}"
    ),
    "a time that is a parameter": (
        "UPDATE delivery SET due_at = now() + make_interval(secs => %(seconds)s) WHERE {one} RETURNING seq"
    ),
    "a row of one shard locked": "SELECT FROM event_tip WHERE {one} FOR UPDATE",
    "the workspaces of a node": "SELECT workspace_id FROM event_tip WHERE workspace_id = ANY(%(workspaces)s::text[])",
}

ONE = "workspace_id = %(workspace)s"

ON_ONE_DATABASE = {
    "alone.APPEND",  # a distributed database is appended to under the lock alone
    "backlog.WITH_FIRST_OPEN",
    "backlog.LIST_SUBSCRIPTIONS_DUE.whole",
    "totals.COUNT_PENDING_DELIVERIES.whole",
}
"""The statements that are sent only to a database that is not distributed, because it refuses them."""

FIRST_ON_NODES = "0019"
"""The first migration of tables that may be distributed."""

OVER_ALL = {
    "heads.FORGET_HEADS",
    "heads.LIST_GROWN",
    "idempotency.GET_TIME_AFTER_ALL",
    "linker.LIST_LOGS",
    "log.LIST_UNWITNESSED_ENDS",
    "registered.HAS_TYPE",
    "rotation.FIND_STOPPED_LOG",
    "rotation.LIST_TIPS",
    "rotation.SET_KEY_OF_TIPS",
}
"""The statements over all workspaces that need all nodes: they belong to an act or a report that needs all logs."""


def _constants() -> dict[str, str]:
    """Every statement in a constant of the store, and the module and name of the constant."""
    constants: dict[str, str] = {}
    for found in pkgutil.walk_packages(app.store.__path__, "app.store."):
        if ".migrations." not in found.name:
            module = importlib.import_module(found.name)
            for name in re.findall(r"^([A-Z][A-Z_]+)(?:: .*)? = ", inspect.getsource(module), re.MULTILINE):
                shown = f"{found.name.rpartition('.')[2]}.{name}"
                constants |= {sql: text for text, sql in _texts(shown, getattr(module, name))}
    return constants


def _texts(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """The statements in the value of a constant."""
    if isinstance(value, Spanning):
        yield from _texts(f"{name}.whole", value.whole)
        yield from _texts(f"{name}.part", value.part)
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from _texts(f"{name}.{key}", each)
    elif isinstance(value, tuple) and value:
        yield from _texts(name, value[0])
    elif isinstance(value, str) and STATEMENT.match(value):
        yield name, value


class _Told(PipedConnection):
    """A connection that keeps the texts of the statements that it sends."""

    seen: list[Seen]

    async def outcomes(self, calls: Sequence[Call]) -> list[CallResult]:
        """Run the calls."""
        self.seen += [Seen((str(sql), {}), [], Cost(0, 0, [])) for sql, _ in calls]
        return await super().outcomes(calls)


class Told(Recording):
    """A database that keeps the texts of the statements that the store sends."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.pool.connection_class = type("_Told", (_Told,), {"seen": self.seen})


def _serving(url: str) -> Told:
    """The database for a role with the rights of a server only."""
    with psycopg.connect(url, autocommit=True) as owner:
        make_server_role(owner)
        grant_serving(owner, SERVER)
    return Told(url.replace(f"{OWNER}:@", f"{SERVER}:@"))


@pytest.fixture(scope="module")
def sent(postgres_url: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The statements that the store sends in all its operations, as the role that serves."""
    texts: set[str] = set()
    keys = tmp_path_factory.mktemp("distributable")
    with cloned(postgres_url, template, "test_distributable") as url, opened(url, keys, connected=_serving) as store:
        fill(url, 0, 499)
        subscribe(url, "default")
        ids, hashes = _some(url)
        assert isinstance(store.database, Told)
        for _, operation in Operations(store, "default", ids, hashes[0], 60, 0):
            store.run(operation())
            texts |= {seen.sql for seen in store.database.seen}
    return texts


def _some(url: str) -> tuple[list[Any], list[Any]]:
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT id, hash FROM event WHERE seq BETWEEN 50 AND 99 ORDER BY seq LIMIT 9"
        ).fetchall()
    return [id_ for id_, _ in rows], [hash_ for _, hash_ in rows]


@pytest.mark.parametrize(("form", "sql"), REFUSED.items(), ids=list(REFUSED))
def test_a_form_that_a_distributed_database_refuses_is_found(form: str, sql: str) -> None:
    assert refused(sql.replace("{one}", ONE)) == [form]


def test_each_form_has_an_example() -> None:
    assert REFUSED.keys() == FORMS.keys()


@pytest.mark.parametrize("sql", ACCEPTED.values(), ids=list(ACCEPTED))
def test_what_a_distributed_database_accepts_is_accepted(sql: str) -> None:
    one = sql.replace("{one}", ONE)

    assert (refused(one), spans_workspaces(one)) == ([], False)


def test_no_statement_of_the_store_has_a_form_that_a_distributed_database_refuses(sent: set[str]) -> None:
    constants = _constants()
    assert len(constants) > 200
    assert len(sent - constants.keys()) > 50

    found = {constants.get(sql, sql): refused(sql) for sql in constants.keys() | sent}

    assert {name for name, forms in found.items() if forms} == ON_ONE_DATABASE


def test_no_statement_of_a_migration_of_distributed_tables_has_such_a_form() -> None:
    migrations = Path(app.store.__path__[0]) / "install" / "migrations" / "versions"
    texts = [path.read_text() for path in migrations.glob("[0-9]*.py") if path.name >= FIRST_ON_NODES]
    statements = [
        sql for text in texts for sql in re.findall(r'"""\s*((?:INSERT|UPDATE|DELETE)\b.*?)"""', text, re.DOTALL)
    ]

    assert statements
    assert {sql: refused(sql) for sql in statements if refused(sql)} == {}


def test_every_statement_names_a_workspace_or_is_known_to_span_all(sent: set[str]) -> None:
    constants = _constants()

    spanning = {constants.get(sql, sql) for sql in constants.keys() | sent if spans_workspaces(sql)}

    assert {name for name in spanning if not name.endswith(".whole")} == OVER_ALL | {"backlog.WITH_FIRST_OPEN"}


def test_a_statement_for_the_workspaces_of_a_node_reads_only_that_node() -> None:
    parts = {name: plain(sql) for sql, name in _constants().items() if name.endswith(".part")}
    assert len(parts) > 15

    read = {name: len(re.findall(rf"\b(?:FROM|JOIN) ({'|'.join(DISTRIBUTED)})\b", sql)) for name, sql in parts.items()}
    limited = {name: sql.count("workspace_id = ANY(%(workspaces)s") for name, sql in parts.items()}

    assert {name for name in parts if limited[name] < read[name]} == set()
