"""`synap distribute`: one PostgreSQL lacks Citus, and a cluster is not distributed twice."""

from pathlib import Path

from tests.kit.command import synap
from tests.kit.databases import is_cluster
from tests.kit.servers import environment


def test_distribute_says_what_a_database_lacks_and_changes_nothing_twice(
    database_url: str, postgres_url: str, tmp_path: Path
) -> None:
    done = synap("distribute", env=environment(tmp_path, database_url=database_url), cwd=tmp_path)

    if is_cluster(postgres_url):
        assert (done.returncode, done.stdout.splitlines()[0]) == (0, "Every table is distributed already.")
    else:
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("synap: The database is one PostgreSQL without the extension Citus")


def test_a_schema_that_is_missing_is_asked_for(tmp_path: Path) -> None:
    done = synap("distribute", env=environment(tmp_path / "none"), cwd=tmp_path)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"synap: There is no database in {tmp_path / 'none'}; synap serve makes one.\n"
