"""Commands start fast, because they import only what they need."""

import subprocess
import sys
from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory

from app.store.install.install import MIGRATIONS, head
from tests.kit.installs import initialised
from tests.kit.paths import ROOT
from tests.kit.servers import environment

SLOW = {"alembic", "granian", "litestar", "sqlalchemy", "sqlmodel"}
"""Packages that take longer to import than everything that most commands need."""

LOADED = (
    "import sys, app.cli.main; app.cli.main.cli(['keys', 'list'], result_action='return_none'); print(*sys.modules)"
)


def test_the_newest_revision_is_what_alembic_takes_for_it() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))

    assert head() == ScriptDirectory.from_config(config).get_current_head()


def test_a_command_on_a_current_schema_imports_neither_server_nor_migrations(tmp_path: Path, database_url: str) -> None:
    initialised(database_url, tmp_path / "data")
    done = subprocess.run(
        [sys.executable, "-c", LOADED],
        env=environment(tmp_path / "data", database_url=database_url),
        capture_output=True,
        text=True,
        check=True,
    )

    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "psycopg" in loaded
    assert not loaded & SLOW


def test_the_process_that_drafts_lines_imports_neither_the_api_nor_the_database() -> None:
    code = "import sys, app.cli.importing.drafting; print(*sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "msgspec" in loaded
    assert not loaded & {"procedures", "psycopg", "structlog", *SLOW}
