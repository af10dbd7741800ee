"""Behind Debian's PgBouncer: sessions are served, and anything less is refused in one sentence."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from msgspec import Struct

from benchmarks.process import free_port, listens
from tests.acceptance.processes import synap
from tests.kit.checks import check_log
from tests.kit.command import synap as run
from tests.kit.servers import environment, serving, until
from tests.store.states import postgres_15, programs_15

MODES = ("session", "transaction", "statement")

CONFIGURATION = """
[databases]
{databases}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
default_pool_size = 60
server_round_robin = {round_robin}
logfile = {folder}/pgbouncer.log
"""

SENTENCE = (
    "SYNAP_DATABASE_URL leads to a pooler that gives a connection to others after each transaction; set "
    "pool_mode=session for this database (PgBouncer), or name PostgreSQL itself."
)


class Pooler(Struct, frozen=True):
    """A running PgBouncer, in front of a database for each mode, which differ in nothing else."""

    direct: str
    """The URL of PostgreSQL, database `postgres`."""
    port: int

    def url(self, mode: str) -> str:
        """The database behind the pooler."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{mode}"

    def rows(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """What PostgreSQL itself says."""
        with psycopg.connect(self.direct.replace("/postgres?", f"/{database}?"), autocommit=True) as connection:
            return connection.execute(statement).fetchall()


def _missing(what: str) -> None:
    """Skip where a program is missing; in CI fail."""
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture(scope="module")
def direct() -> Iterator[str]:
    """The URL of a PostgreSQL 15 as Debian packages it, database `postgres`."""
    if (programs := programs_15()) is None:
        _missing("PostgreSQL 15 not found (apt-get install postgresql-15)")
        return
    with postgres_15(programs) as url:
        yield url


@pytest.fixture(scope="module", params=[0, 1], ids=["last used first", "round robin"])
def pooler(request: pytest.FixtureRequest, direct: str) -> Iterator[Pooler]:
    """PgBouncer as Debian packages it, with new databases."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        _missing("pgbouncer not found (apt-get install pgbouncer)")
        return
    folder, port = Path(direct.partition("host=")[2]), free_port()
    databases = [f"{mode} = host={folder} user=postgres dbname={mode} pool_mode={mode}" for mode in MODES]
    with psycopg.connect(direct, autocommit=True) as connection:
        for mode in MODES:
            connection.execute(f"DROP DATABASE IF EXISTS {mode} WITH (FORCE)")
            connection.execute(f"CREATE DATABASE {mode} ENCODING 'UTF8' TEMPLATE template0")
    configuration = folder / "pgbouncer.ini"
    text = {"databases": "\n".join(databases), "port": port, "folder": folder, "round_robin": request.param}
    configuration.write_text(CONFIGURATION.format(**text))
    user = folder.owner() if os.geteuid() == 0 else None  # it does not run as root
    process = subprocess.Popen([program, "-q", configuration], user=user, cwd="/")
    try:
        until(lambda: listens(port))
        yield Pooler(direct, port)
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.mark.parametrize("command", [["migrate"], ["serve"], ["keys", "list"]], ids=" ".join)
@pytest.mark.parametrize("mode", ["transaction", "statement"])
def test_a_pooler_without_sessions_is_refused_and_left_clean(
    pooler: Pooler, tmp_path: Path, mode: str, command: list[str]
) -> None:
    variables = environment(tmp_path, database_url=pooler.url(mode))

    done = run(*command, env=variables, cwd=tmp_path)

    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"synap: {SENTENCE}\n")
    assert pooler.rows("SELECT to_regclass('event')", mode) == [(None,)]
    assert pooler.rows("SELECT FROM pg_locks WHERE locktype = 'advisory'") == []


def test_doctor_says_that_a_pooler_has_no_sessions(pooler: Pooler, tmp_path: Path) -> None:
    said = synap(tmp_path, "doctor", database_url=pooler.url("transaction"), code=1)

    assert f"wrong: {SENTENCE}" in said.splitlines()


def test_a_pooler_with_sessions_serves_everything(pooler: Pooler, tmp_path: Path) -> None:
    url = pooler.url("session")
    synap(tmp_path, "migrate", database_url=url)
    synap(tmp_path, "init", database_url=url)
    locks = pooler.rows("SELECT FROM pg_locks WHERE locktype = 'advisory'")
    with serving(tmp_path, database_url=url, workers=2) as server:
        answers = [server.mutate("events.log", {"type": "note.created", "data": {"n": n}}) for n in range(50)]
        listed = [server.query("events.list", {"limit": 50}) for _ in range(50)]
        synap(tmp_path, "node", "rotate-key", database_url=url)
        after = server.mutate("events.log", {"type": "note.created", "data": {}})

    assert locks == []
    assert {answer.status_code for answer in [*answers, *listed, after]} == {200}
    assert len(check_log(pooler.direct.replace("/postgres?", "/session?"), "default")) == 52
