"""What makes an install, step by step, and what asks for the step that is missing."""

import re
import stat
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from benchmarks.process import free_port
from tests.kit.command import synap
from tests.kit.servers import Server, cloned, environment, serving

FILES = {"node.key", "install.secret", "control.token"}

COMMANDS = [
    ["serve"],
    ["keys", "list"],
    ["keys", "create", "--user", "u", "--scope", "*"],
    ["workspaces", "list"],
    ["node", "rotate-key"],
    ["node", "adopt-key", "--yes"],
    ["node", "adopt-secret", "--yes"],
    ["node", "accept-rollback"],
    ["export"],
    ["receipt", "01938c1e-0000-7000-8000-000000000001"],
    ["import", "-"],
]
"""Every command that uses a database as it is."""


@pytest.fixture
def empty_url(postgres_url: str) -> Iterator[str]:
    """A database without a schema."""
    with cloned(postgres_url, "template0", "test_init_empty") as url:
        yield url


@pytest.fixture(scope="module")
def bare_url(postgres_url: str, template: str) -> Iterator[str]:
    """A migrated database without an install, for tests that make none."""
    with cloned(postgres_url, template, "test_init_bare") as url:
        yield url


def _said(folder: Path, *arguments: str, **settings: object) -> tuple[int, str, str]:
    variables = environment(folder / "data", port=free_port(), **settings)
    done = synap(*arguments, env=variables, cwd=folder, umask=0)
    return done.returncode, done.stdout, done.stderr


def _tables(url: str) -> int:
    with psycopg.connect(url) as connection:
        [(tables,)] = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
    return int(tables)


def _logs(server: Server) -> int:
    return server.mutate("events.log", {"type": "note.created", "data": {}}).status_code


@pytest.mark.parametrize("command", [*COMMANDS, ["init"]], ids=" ".join)
def test_without_a_schema_a_command_makes_nothing_and_names_the_next_step(
    tmp_path: Path, empty_url: str, command: list[str]
) -> None:
    said = _said(tmp_path, *command, database_url=empty_url)

    assert said == (2, "", "synap: The database is not migrated; run: synap migrate.\n")
    assert _tables(empty_url) == 0
    assert not FILES & {path.name for path in tmp_path.glob("data/*")}


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_without_an_install_a_command_makes_no_keys_and_names_the_next_step(
    tmp_path: Path, bare_url: str, command: list[str]
) -> None:
    said = _said(tmp_path, *command, database_url=bare_url)

    assert said == (2, "", "synap: The database has no install yet; run: synap init.\n")
    assert not FILES & {path.name for path in tmp_path.glob("data/*")}


@pytest.mark.parametrize("command", [command for command in COMMANDS if command != ["serve"]], ids=" ".join)
def test_without_an_embedded_database_a_command_makes_none(tmp_path: Path, command: list[str]) -> None:
    said = _said(tmp_path, *command)

    assert said == (2, "", f"synap: There is no database in {tmp_path / 'data'}; synap serve makes one.\n")
    assert list(tmp_path.iterdir()) == []


def test_a_schema_that_is_too_old_is_one_sentence(tmp_path: Path, database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0012'")

    code, _, said = _said(tmp_path, "keys", "list", database_url=database_url)

    assert code == 2
    assert re.fullmatch(
        r"synap: The schema is at 0012, too old for this version \(\d{4}\); run: synap migrate\.\n", said
    )


def test_migrate_and_init_are_two_steps_that_may_be_repeated(tmp_path: Path, empty_url: str) -> None:
    migrated = [_said(tmp_path, "migrate", database_url=empty_url) for _ in range(2)]
    before = list(tmp_path.glob("data/*"))
    made = _said(tmp_path, "init", database_url=empty_url)
    files = {path.name: path.read_bytes() for path in (tmp_path / "data").iterdir()}
    again = _said(tmp_path, "init", database_url=empty_url)

    assert migrated == [(0, "The schema is at its newest version.\n", "")] * 2
    assert before == []
    assert made == again
    assert made[0] == 0
    assert re.match(r"The install did:key:z6Mk\w+ is ready\.\nKeep .*node\.key and .*install\.secret safe", made[1])
    assert set(files) == FILES
    assert {path.name: path.read_bytes() for path in (tmp_path / "data").iterdir()} == files
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "data").iterdir()} == {0o600}
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
    assert re.fullmatch(rb"sk_control_[0-9A-Za-z]{43}\n", files["control.token"])


def test_a_server_serves_what_was_made_and_with_init_makes_it(tmp_path: Path, empty_url: str) -> None:
    with serving(tmp_path / "data", database_url=empty_url) as server:  # with --init
        assert _logs(server) == 200

    with serving(tmp_path / "data", [], database_url=empty_url) as server:
        assert _logs(server) == 200


def test_an_embedded_database_is_made_step_by_step_as_well(tmp_path: Path) -> None:
    said = [_said(tmp_path, *command)[0] for command in (["migrate"], ["keys", "list"], ["init"], ["keys", "list"])]

    assert said == [0, 2, 0, 0]
