"""Links into the console: from `synap console`, and from `synap serve` in a terminal."""

import json
import os
import pty
import re
import subprocess
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from benchmarks.process import free_port
from schemas.principal import Scope
from tests.kit import web
from tests.kit.command import SYNAP, synap
from tests.kit.installs import initialised
from tests.kit.servers import environment, serving, until

LINK = r"(\S+)/console#token=(sk_(console[0-9A-Za-z]{10})_[0-9A-Za-z]{43})&temporary"

EXPIRE = "UPDATE api_key SET expires_at = now() WHERE id LIKE 'console%'"


def _console(folder: Path, *arguments: str, **settings: object) -> subprocess.CompletedProcess[str]:
    return synap("console", *arguments, env=environment(folder / "data", **settings), cwd=folder)


def _keys(folder: Path, database_url: str) -> list[dict[str, Any]]:
    """The keys for the console."""
    done = synap("keys", "list", env=environment(folder / "data", database_url=database_url), cwd=folder)
    return [key for key in map(json.loads, done.stdout.splitlines()) if key["id"].startswith("console")]


def test_a_link_has_a_key_of_8_hours_for_all_but_everything(tmp_path: Path, database_url: str) -> None:
    with serving(tmp_path / "data", database_url=database_url) as server:
        port = urlsplit(server.url).port
        done = _console(tmp_path, "--user", "ann", port=port, database_url=database_url)
        link = re.fullmatch(LINK + "\n", done.stdout)
        assert link is not None, done.stderr
        answer = web.get(f"{server.url}/trpc/keys.current", headers={"authorization": f"Bearer {link[2]}"})

    assert link[1] == server.url
    current = answer.json()["result"]["data"]
    assert current["scopes"] == sorted(scope for scope in Scope if scope is not Scope.ALL)
    assert (current["id"], current["userId"], current["workspaces"]) == (link[3], "ann", ["default"])
    [key] = _keys(tmp_path, database_url)
    assert (key["id"], key["workspaces"]) == (link[3], ["*"])
    assert datetime.fromisoformat(key["expiresAt"]) - datetime.fromisoformat(key["createdAt"]) == timedelta(hours=8)


def test_keys_that_have_ended_make_room_for_new_ones(tmp_path: Path, database_url: str) -> None:
    initialised(database_url, tmp_path / "data")
    for _ in range(2):
        assert _console(tmp_path, database_url=database_url).returncode == 0
    first = {key["id"] for key in _keys(tmp_path, database_url)}
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(EXPIRE)
    for _ in range(2):
        assert _console(tmp_path, database_url=database_url).returncode == 0

    second = {key["id"] for key in _keys(tmp_path, database_url)}

    assert (len(first), len(second)) == (2, 2)
    assert not first & second


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://events.example.org", "https://events.example.org"),
        ("https://example.org/base/", "https://example.org/base"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_a_link_may_have_another_address(tmp_path: Path, database_url: str, url: str, address: str) -> None:
    initialised(database_url, tmp_path / "data")

    done = _console(tmp_path, "--url", url, console="false", database_url=database_url)

    link = re.fullmatch(LINK + "\n", done.stdout)
    assert link is not None, done.stderr
    assert link[1] == address


@pytest.mark.parametrize(
    ("arguments", "settings", "told"),
    [
        (("--url", "events.example.org"), {}, "--url"),
        (("--url", "javascript:alert(1)"), {}, "--url"),
        (("--url", "https://a:b@example.org"), {}, "--url"),
        (("--url", "https://example.org/?a"), {}, "--url"),
        (("--url", "https://[example.org"), {}, "--url"),
        (("--user", ""), {}, "--user"),
        ((), {"console": "false"}, "SYNAP_CONSOLE"),
    ],
)
def test_what_makes_no_link_is_said(
    tmp_path: Path, database_url: str, arguments: tuple[str, ...], settings: dict[str, str], told: str
) -> None:
    done = _console(tmp_path, *arguments, database_url=database_url, **settings)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("synap: ")
    assert told in done.stderr


def _announced(folder: Path, **settings: object) -> str:
    """What `synap serve` writes to a terminal."""
    screen, terminal = pty.openpty()
    port, text = free_port(), b""
    variables = environment(folder / "data", port=port, **settings)
    with subprocess.Popen(
        [SYNAP, "serve", "--init"], env=variables, stdout=terminal, stderr=subprocess.DEVNULL
    ) as process:
        os.close(terminal)
        try:
            with suppress(OSError):  # a terminal without a process at its other end
                while b"curl" not in text:
                    text += os.read(screen, 4096)
        finally:
            process.terminate()
            os.close(screen)
    return text.decode()


def test_serve_signs_in_on_a_terminal(tmp_path: Path, database_url: str) -> None:
    text = _announced(tmp_path, database_url=database_url)

    link = re.search(f"The console is at {LINK}", text)
    assert link is not None, text
    assert [key["id"] for key in _keys(tmp_path, database_url)] == [link[3]]


def test_serve_writes_no_token_into_a_log(tmp_path: Path, database_url: str) -> None:
    with serving(tmp_path / "data", database_url=database_url) as server:
        until(lambda: "curl" in server.log.read_text())
        log = server.log.read_text()

    assert f"The console is at {server.url}/console\n" in log
    assert f"at {server.url}/docs, and for agents at {server.url}/llms.txt." in log
    assert "sk_" not in log
    assert _keys(tmp_path, database_url) == []


def test_serve_names_no_console_that_is_turned_off(tmp_path: Path, database_url: str) -> None:
    text = _announced(tmp_path, database_url=database_url, console="false")

    assert "Synap Events serves at" in text
    assert "The console is at" not in text
    assert _keys(tmp_path, database_url) == []
