"""Deleting a workspace removes everything of it and nothing of others, by a role that nobody logs in as."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from threading import Barrier

import psycopg
import pytest
from psycopg.errors import RestrictViolation
from psycopg.sql import SQL, Identifier

from app.ledger.chain import NODE_LOG
from app.store.audit.log import Act
from app.store.install.deletion import delete_workspace
from app.store.install.install import connect
from app.store.install.keys import Keys, insert_key, list_keys
from app.store.install.parts import is_distributed
from app.store.install.workspaces import WorkspaceError, create_workspace, list_workspaces
from app.store.postgres.roles import CUSTODIAN, grant_serving
from schemas.errors import NotFound
from tests.kit.checks import check_log
from tests.kit.databases import as_role, require_one_postgresql
from tests.kit.servers import cloned
from tests.store.opened import Store, draft, opened

KEPT = {"audit_entry", "audit_tip", "dispatch"}

OF_NODE = ("tree_leaf", "node_witness", "cosignature")
"""They have rows of the log `_node` only."""

OWN_TABLES = """
SELECT table_name FROM information_schema.columns
WHERE table_schema = 'public' AND column_name = 'workspace_id' ORDER BY table_name
"""

FILL = """
INSERT INTO subscription (workspace_id, id, event_types, url, ordered, state, secret, weak_secret, created_at)
    VALUES (%(id)s, 's1', '{*}', 'https://example.com', false, 'active', '', false, now());
INSERT INTO delivery (workspace_id, subscription_id, delivery_seq, seq, ordered, created_at)
    VALUES (%(id)s, 's1', 1, 0, false, now());
INSERT INTO attempt (workspace_id, subscription_id, delivery_seq, number, at, elapsed_ms, body)
    VALUES (%(id)s, 's1', 1, 1, now(), 1, '');
INSERT INTO dispatch (workspace_id, seq, version) VALUES (%(id)s, 0, 7);
INSERT INTO merkle_node (workspace_id, height, place, hash) VALUES (%(id)s, 8, 0, '');
INSERT INTO intent (workspace_id, id, seq, user_id, timeout_seconds, uses, started, state)
    VALUES (%(id)s, '01938c1e-0000-7000-8000-000000000001', 0, 'u1', 1, 1, 1, 'open');
INSERT INTO intent_start (workspace_id, intent_id, use, id, started_at) VALUES (
    %(id)s, '01938c1e-0000-7000-8000-000000000001', 1, '01938c1e-0000-7000-8000-000000000002', now());
INSERT INTO intent_party (workspace_id, intent_id, user_id, seq, state)
    VALUES (%(id)s, '01938c1e-0000-7000-8000-000000000001', 'u1', 0, 'open');
INSERT INTO tree_head (workspace_id, size, hash, peaks) VALUES (%(id)s, 3, '', '');
INSERT INTO tree_leaf (workspace_id, seq, place, hash, log, size, root, salt)
    VALUES ('_node', 9, CASE WHEN %(id)s = 'acme' THEN 0 ELSE 1 END, 'leaf', %(id)s, 3, 'root', 'salt');
INSERT INTO rate_window (workspace_id, kind, start_seconds, leased, lease) VALUES (%(id)s, 'publish', 0, 1, 1);
"""


@pytest.fixture
def store(database_url: str, tmp_path: Path) -> Iterator[Store]:
    """An install of the test's own. `acme` and `default` have three events each, and one row in every other table."""
    with opened(database_url, tmp_path, workspaces=["acme"]) as store:
        for slug in ("default", "acme"):
            store.append(draft(), draft(producer="p"), draft("other.type"), workspace=slug)
            with psycopg.ClientCursor(psycopg.connect(store.url, autocommit=True)) as cursor:
                cursor.execute(FILL, {"id": slug})
                cursor.connection.close()
        _give_login(store)
        yield store


def _give_login(store: Store) -> None:
    """Give the custodian a login, if the database is distributed, as the message says that refuses the deletion."""
    with connect(store.url) as connection:
        if is_distributed(connection):
            with pytest.raises(WorkspaceError, match=r"a login of its own: ") as refused:
                delete_workspace(connection, "acme")
            remedy = str(refused.value).split("run ")[1].split(" PASSWORD")[0]
            connection.execute(remedy)
            grant_serving(connection, CUSTODIAN)


def _delete(store: Store, slug: str = "acme") -> int:
    with connect(store.url) as connection:
        if not is_distributed(connection):
            return delete_workspace(connection, slug)
    with connect(as_role(store.url, CUSTODIAN)) as connection:
        return delete_workspace(connection, slug)


def _rows(connection: psycopg.Connection, slug: str) -> dict[str, int]:
    """How many rows each table has of a workspace."""
    tables = [table for (table,) in connection.execute(OWN_TABLES)]
    counts = {}
    for table in tables:
        statement = SQL("SELECT count(*) FROM {} WHERE workspace_id = %s").format(Identifier(table))
        [(counts[table],)] = connection.execute(statement, [slug]).fetchall()
    return counts


def test_everything_of_a_workspace_goes_except_its_audit(store: Store) -> None:
    with connect(store.url) as connection:
        before = _rows(connection, "acme"), _rows(connection, "default")
        assert all(count for table, count in before[0].items() if not table.startswith(("audit", *OF_NODE)))

        events = _delete(store)

        assert events == 3
        after = _rows(connection, "acme")
        assert {table for table, count in after.items() if count} == KEPT
        assert _rows(connection, "default") == before[1]
        assert [slug for slug, _ in list_workspaces(connection)] == ["default"]
        dispatch = connection.execute("SELECT seq, version FROM dispatch WHERE workspace_id = 'acme'").fetchall()
        assert dispatch == [(2, 8)]
        leaves = connection.execute("SELECT hash, log, size, root, salt FROM tree_leaf ORDER BY place").fetchall()
        assert leaves == [(b"leaf", None, None, None, None), (b"leaf", "default", 3, b"root", b"salt")]
    assert len(check_log(store.url)) == 3


def test_the_audit_of_both_says_what_was_deleted(store: Store) -> None:
    tip = check_log(store.url, "acme")[-1]["hash"]

    _delete(store)

    with connect(store.url) as connection:
        entries = connection.execute(
            "SELECT workspace_id, actor, detail::json FROM audit_entry WHERE action = 'workspace.deleted' ORDER BY 1"
        ).fetchall()
    detail = {"workspace": "acme", "events": 3, "hash": tip}
    assert entries == [(NODE_LOG, store.node, detail), ("acme", store.node, detail)]


FIRST_OR_NOT = {"first": (["acme", "default"], True), "second": (["default", "acme"], False), "all": (["*"], False)}


@pytest.mark.parametrize(("workspaces", "must_name"), FIRST_OR_NOT.values(), ids=list(FIRST_OR_NOT))
def test_a_key_whose_first_workspace_went_must_name_one(
    store: Store,
    workspaces: list[str],
    must_name: bool,  # noqa: FBT001
) -> None:
    with connect(store.url) as connection:
        insert_key(connection, "k1", "sk_k1", user_id="u", scopes=["*"], workspaces=workspaces)
        _delete(store)
        keys = Keys(store.database)

        principal = store.run(keys.principal("k1"))
        act = Act.of("key.rotated", "k1", {}, ["default"])
        store.run(keys.rotate("k1", "k2", now=datetime.now(UTC), grace_seconds=0, act=act))
        successor = store.run(keys.principal("k2"))

    assert principal.must_name is must_name
    assert successor.must_name is must_name, "a rotated key keeps all rights"


def test_its_keys_end_and_other_keys_leave_it(store: Store) -> None:
    reaches = {"own": ["acme"], "both": ["acme", "default"], "other": ["default"], "every": ["*"]}
    with connect(store.url) as connection:
        for key_id, workspaces in reaches.items():
            insert_key(connection, key_id, f"sk_{key_id}", user_id="u", scopes=["*"], workspaces=workspaces)

        _delete(store)

        found = {key.id: (key.workspaces, key.revoked_at is not None) for key in list_keys(connection)}
    assert found["own"] == (["acme"], True)
    assert found["both"] == (["default"], False)
    assert found["other"] == (["default"], False)
    assert found["every"] == (["*"], False)


def test_nobody_appends_to_it_or_opens_it_again(store: Store) -> None:
    _delete(store)

    with pytest.raises(NotFound):
        store.append(draft(), workspace="acme")
    assert store.list("acme") == []
    with connect(store.url) as connection:
        with pytest.raises(WorkspaceError, match=r"^The workspace 'acme' was deleted; [^\n]* never used again\.$"):
            create_workspace(connection, "acme")
        assert [slug for slug, _ in list_workspaces(connection)] == ["default"]


@pytest.mark.parametrize("slug", ["nosuch", NODE_LOG, "acme"])
def test_what_is_no_workspace_is_not_deleted(store: Store, slug: str) -> None:
    if slug == "acme":
        _delete(store)

    with pytest.raises(WorkspaceError, match=r"^There is no workspace"):
        _delete(store, slug)

    assert len(check_log(store.url)) == 3
    check_log(store.url, NODE_LOG)


def test_the_leave_to_delete_ends_with_the_deletion(store: Store) -> None:
    require_one_postgresql("deleting a workspace without a login of its own")
    _delete(store)

    with connect(store.url) as connection:
        with pytest.raises(RestrictViolation):
            connection.execute("DELETE FROM event WHERE workspace_id = 'default'")
        leave = connection.execute(f"SELECT has_table_privilege('{CUSTODIAN}', 'event', 'DELETE')").fetchone()
        login = connection.execute(f"SELECT rolcanlogin FROM pg_roles WHERE rolname = '{CUSTODIAN}'").fetchone()
    assert (leave, login) == ((False,), (False,))


def test_a_deletion_that_fails_leaves_all_as_it_was(store: Store) -> None:
    with connect(store.url) as connection:
        connection.execute("ALTER TABLE workspace ADD CONSTRAINT kept CHECK (deleted_at IS NULL)")
        before = _rows(connection, "acme")

        with pytest.raises(psycopg.errors.CheckViolation):
            _delete(store)

        assert _rows(connection, "acme") == before
    store.append(draft(), workspace="acme")
    assert len(check_log(store.url, "acme")) == 4


@pytest.fixture
def login(store: Store) -> Iterator[str]:
    """The URL of a login that owns the tables, but may not create roles."""
    require_one_postgresql("deleting a workspace without a login of its own")
    with connect(store.url) as connection:
        connection.execute("CREATE ROLE synap_plain LOGIN")
        for (table,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall():
            connection.execute(SQL("ALTER TABLE {} OWNER TO synap_plain").format(Identifier(table)))
    yield as_role(store.url, "synap_plain")
    with connect(store.url) as connection:
        connection.execute("REASSIGN OWNED BY synap_plain TO CURRENT_USER")
        connection.execute("DROP OWNED BY synap_plain")
        connection.execute("DROP ROLE synap_plain")


REMEDIES = {
    "no role": ([], r"with: CREATE ROLE synap_custodian NOLOGIN; GRANT"),
    "a role": (["CREATE ROLE synap_custodian NOLOGIN"], "with: GRANT"),
}


@pytest.mark.parametrize(("made", "remedy"), REMEDIES.values(), ids=list(REMEDIES))
def test_a_login_without_leave_is_told_how_to_get_it(store: Store, login: str, made: list[str], remedy: str) -> None:
    with connect(store.url) as administrator:
        for statement in (f"DROP ROLE IF EXISTS {CUSTODIAN}", *made):
            administrator.execute(statement)
        with connect(login) as connection:
            with pytest.raises(WorkspaceError, match=f"^The login synap_plain may not .* {remedy}") as refused:
                delete_workspace(connection, "acme")
            assert _rows(connection, "acme")["event"] == 3

            remedy = str(refused.value).split("with: ")[1].removesuffix(".")
            administrator.execute(remedy)  # the remedy of the message
            assert delete_workspace(connection, "acme") == 3


def test_databases_of_one_postgresql_may_delete_at_once(
    store: Store, postgres_url: str, template: str, tmp_path: Path
) -> None:
    require_one_postgresql("making the role that deletes at the first deletion")
    (tmp_path / "second").mkdir()
    with ExitStack() as stack:
        url = stack.enter_context(cloned(postgres_url, template, "test_deletion_second"))
        second = stack.enter_context(opened(url, tmp_path / "second", workspaces=["acme"]))
        second.append(draft(), workspace="acme")
        with connect(store.url) as connection:
            connection.execute(f"DROP ROLE IF EXISTS {CUSTODIAN}")
        barrier = Barrier(2)

        def at_once(each: Store) -> int:
            barrier.wait(timeout=20)
            return _delete(each)

        with ThreadPoolExecutor(2) as pool:
            assert list(pool.map(at_once, [store, second])) == [3, 1]


def test_two_workspaces_may_be_deleted_at_once(store: Store) -> None:
    with connect(store.url) as connection:
        assert all(create_workspace(connection, f"w{place}") for place in range(4))
    barrier = Barrier(6)

    def at_once(slug: str) -> int:
        barrier.wait(timeout=20)
        return _delete(store, slug)

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(at_once, ["acme", "default", "w0", "w1", "w2", "w3"])) == [3, 3, 0, 0, 0, 0]


def test_the_time_of_deletion_is_stored(store: Store) -> None:
    before = datetime.now(UTC)

    _delete(store)

    with connect(store.url) as connection:
        [(at,)] = connection.execute("SELECT deleted_at FROM workspace WHERE id = 'acme'").fetchall()
    assert before <= at <= datetime.now(UTC)
