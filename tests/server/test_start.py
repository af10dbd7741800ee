"""The start of a server: what it creates, what it needs of the database, and what it prints."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from app.sealing.webhook_secrets import Sealer
from app.server.install import ready
from app.settings import Settings
from app.store.install.install import InstallError, migrate
from app.store.install.secret import SecretError, read_secret
from benchmarks.process import free_port
from tests.kit.command import SYNAP, synap
from tests.kit.databases import as_role
from tests.kit.servers import cloned, environment, serving

REMEDY = (
    "copy the file from another machine of this database or from a backup; if the secret is lost, run: "
    "synap node adopt-secret --yes."
)

OTHER_SECRET = "B" * 43 + "="


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    """The settings of a machine whose install is ready."""
    settings = Settings(database_url=database_url, data_dir=tmp_path / "first")
    with ready(settings, serving=True, init=True):
        return settings


def _second(settings: Settings, *names: str) -> Settings:
    """The settings of another machine of the same database that has these files."""
    folder = settings.data_dir.with_name("second")
    folder.mkdir()
    for name in names:
        shutil.copy(settings.data_dir / name, folder / name)
    return Settings(database_url=settings.database_url, data_dir=folder)


def _refused(settings: Settings, *, serving: bool = True) -> str:
    with pytest.raises((InstallError, SecretError)) as refused, ready(settings, serving=serving, init=serving):
        pass
    sentence = str(refused.value)
    assert "\n" not in sentence
    assert sentence.endswith(".")
    return sentence


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _execute(settings: Settings, statement: str, *parameters: object) -> None:
    assert settings.database_url is not None
    with psycopg.connect(settings.database_url, autocommit=True) as connection:
        connection.execute(statement, parameters)


# The files of the install.


@pytest.mark.parametrize("serving", [True, False], ids=["serve", "another command"])
@pytest.mark.parametrize("given", [["node.key"], []], ids=["only the key", "nothing"])
def test_a_second_machine_without_the_secret_makes_none(settings: Settings, given: list[str], serving: bool) -> None:  # noqa: FBT001
    second = _second(settings, *given)
    before = _files(second.data_dir)

    sentence = _refused(second, serving=serving)

    if given:
        assert sentence == f"The install secret is not in {second.secret_path}; {REMEDY}"
    else:
        assert sentence.endswith(f"there is no key file {second.node_key_path}; restore it.")
    assert _files(second.data_dir) == before


def test_a_second_machine_with_both_files_starts_and_makes_no_token(settings: Settings) -> None:
    second = _second(settings, "node.key", "install.secret")
    before = _files(second.data_dir)

    with ready(second, serving=True, init=True) as install:
        assert install.database_url == settings.database_url

    assert _files(second.data_dir) == before


def test_another_secret_is_rejected(settings: Settings) -> None:
    second = _second(settings, "node.key")
    second.secret_path.write_text(OTHER_SECRET)

    assert _refused(second) == f"The install secret in {second.secret_path} is not that of this database; {REMEDY}"


def test_an_earlier_database_learns_its_secret_at_the_next_start(settings: Settings) -> None:
    _execute(settings, "UPDATE install SET secret_fingerprint = NULL")
    second = _second(settings, "node.key")
    second.secret_path.write_text(OTHER_SECRET)

    with ready(settings, serving=True, init=True):
        pass

    assert "is not that of this database" in _refused(second)


def test_an_earlier_database_rejects_a_secret_that_opens_no_webhook(settings: Settings) -> None:
    sealed = Sealer(read_secret(settings.secret_path)).seal("whsec_x", "default", "sub_1")
    _execute(
        settings,
        "INSERT INTO subscription (workspace_id, id, event_types, url, ordered, state, secret, weak_secret, "
        "created_at) VALUES ('default', 'sub_1', '{*}', 'https://example.com', false, 'active', %s, false, now())",
        sealed,
    )
    _execute(settings, "UPDATE install SET secret_fingerprint = NULL")
    second = _second(settings, "node.key")
    second.secret_path.write_text(OTHER_SECRET)

    sentence = _refused(second)

    assert sentence == f"The install secret in {second.secret_path} opens no webhook secret of this database; {REMEDY}"
    with ready(settings, serving=True, init=True):
        pass


def test_a_lost_secret_is_replaced_only_on_purpose(settings: Settings) -> None:
    settings.secret_path.unlink()
    assert "is not in" in _refused(settings)
    assert not settings.secret_path.exists()

    unsure = _synap(settings, "node", "adopt-secret")
    done = _synap(settings, "node", "adopt-secret", "--yes")

    assert unsure.returncode == 2
    assert (done.returncode, done.stderr) == (0, "")
    assert settings.secret_path.stat().st_mode & 0o777 == 0o600
    with ready(settings, serving=True, init=True):
        pass


def test_secrets_of_a_mount_are_read_and_nothing_is_written_there(settings: Settings, tmp_path: Path) -> None:
    """Kubernetes mounts secrets as links into a folder that is replaced as a whole."""
    mount = tmp_path / "mount"
    (mount / "..data").mkdir(parents=True)
    for name in ("node.key", "install.secret"):
        shutil.copy(settings.data_dir / name, mount / "..data" / name)
        (mount / "..data" / name).chmod(0o400)
        (mount / name).symlink_to(Path("..data") / name)
    (mount / "..data").chmod(0o500)
    mount.chmod(0o500)
    before = [path.stat().st_mtime_ns for path in (mount, mount / "..data")]
    mounted = Settings(
        database_url=settings.database_url,
        data_dir=tmp_path / "third",
        node_key_file=mount / "node.key",
        secret_file=mount / "install.secret",
    )

    with ready(mounted, serving=True, init=True):
        assert _files(mounted.data_dir) == {}

    assert [path.stat().st_mtime_ns for path in (mount, mount / "..data")] == before


def test_a_first_start_takes_the_secrets_that_are_there(tmp_path: Path, database_url: str) -> None:
    secret, folder = tmp_path / "secret", tmp_path / "data"
    secret.write_text(OTHER_SECRET)
    secret.chmod(0o400)

    with ready(Settings(database_url=database_url, data_dir=folder, secret_file=secret), serving=True, init=True):
        pass

    assert secret.read_text() == OTHER_SECRET
    assert set(_files(folder)) == {"node.key", "control.token"}


# The database.


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_database_that_is_not_utf8_is_one_sentence(postgres_url: str, tmp_path: Path, encoding: str) -> None:
    name = f"test_start_{encoding.lower()}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0")
    settings = Settings(database_url=postgres_url.replace("/postgres?", f"/{name}?"), data_dir=tmp_path)

    done = _synap(settings, "serve", "--init")

    assert done.returncode == 2
    assert done.stderr == (
        f"synap: The database is encoded in {encoding}, which cannot hold every text; make one with: CREATE DATABASE "
        "synap ENCODING 'UTF8' TEMPLATE template0.\n"
    )


def test_a_role_or_an_environment_of_another_encoding_changes_no_text(tmp_path: Path, database_url: str) -> None:
    name = database_url.split("?", maxsplit=1)[0].rsplit("/", 1)[1]
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} SET client_encoding = 'LATIN1'")
    event = {"type": "note.created", "data": {"title": "žluťoučký 🐎"}}

    with serving(tmp_path, database_url=f"{database_url}&client_encoding=LATIN1") as server:
        logged = server.mutate("events.log", event).json()["result"]["data"]
        listed = server.query("events.list").json()["result"]["data"]

    assert logged["data"] == event["data"]
    assert listed == [logged]


@pytest.fixture
def empty_url(postgres_url: str) -> Iterator[str]:
    """An empty database, in which the role `guest` may log in."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE ROLE guest LOGIN")
    with cloned(postgres_url, "template0", "test_start_empty") as url:
        yield url
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("DROP ROLE guest")


def test_a_migration_without_the_right_is_one_sentence(empty_url: str, tmp_path: Path) -> None:
    settings = Settings(database_url=as_role(empty_url, "guest"), data_dir=tmp_path)

    done = _synap(settings, "migrate")

    assert done.returncode == 2
    assert done.stderr == (
        "synap: The schema cannot be migrated: permission denied for schema public; no step was left half done. "
        "The role of SYNAP_DATABASE_URL must own the tables, and needs CREATE on their schema.\n"
    )


def test_a_migration_that_waits_too_long_is_one_sentence(empty_url: str) -> None:
    with psycopg.connect(empty_url) as holder:
        holder.execute("CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)")
        holder.commit()
        holder.execute("LOCK TABLE alembic_version IN SHARE MODE")  # the table can be read, but not changed

        with pytest.raises(InstallError) as refused:
            migrate(f"{empty_url}&options=-c%20lock_timeout%3D100ms")
        holder.rollback()
        migrate(empty_url)

    assert str(refused.value) == (
        "The schema cannot be migrated: canceling statement due to lock timeout; no step was left half done. "
        "Another session holds a lock that the migration needs; end that session, and run this again."
    )


def test_a_database_that_is_read_only_at_the_start_is_one_sentence(settings: Settings) -> None:
    url = f"{settings.database_url}&options=-c%20default_transaction_read_only%3Don"

    done = _synap(Settings(database_url=url, data_dir=settings.data_dir), "serve", "--init")

    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "read-only transaction" in done.stderr


# What it prints.


def test_a_start_and_a_stop_are_a_line_each(database_url: str, tmp_path: Path) -> None:
    with serving(tmp_path, database_url=database_url, workers=2, cors_origins="https://example.org") as server:
        pass

    lines = [line for line in _logged(server.log) if line["logger"] == "synap.server"]
    assert [line["event"] for line in lines] == ["the server starts", "the server stops"]
    start, stop = lines
    assert start["node"] == stop["node"]
    assert start["node"].startswith("did:key:z6Mk")
    assert start["workers"] == 2
    assert start["database"].startswith("test_")
    assert "PostgreSQL 18" in start["database"]
    assert start["settings"]["cors_origins"] == ["https://example.org"]
    assert "database_url" not in start["settings"]
    assert database_url not in server.log.read_text()


def test_the_banner_names_the_control_token_only_if_it_is_there(settings: Settings) -> None:
    settings.control_token_path.unlink()
    port = free_port()
    variables = environment(settings.data_dir, port=port, database_url=settings.database_url)
    with subprocess.Popen(
        [SYNAP, "serve", "--init"], env=variables, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        process.terminate()
        rest = process.stdout.read()

    assert first.startswith(b"Synap Events serves at ")
    assert b"token" not in rest


def test_the_version_is_printed() -> None:
    done = subprocess.run([SYNAP, "--version"], capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout.startswith("synap ")
    assert done.stdout.split()[1][0].isdigit()


def _synap(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    return synap(*arguments, env=environment(settings.data_dir, port=free_port(), database_url=settings.database_url))


def _logged(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
