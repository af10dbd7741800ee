"""Runs `synap import` as a shell does, on a database of the test's own."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg

from tests.kit.command import synap
from tests.kit.installs import initialised
from tests.kit.servers import environment


class Importer:
    """Runs imports into one database, in which it makes the install."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.folder = folder
        self.url = initialised(database_url, folder / "data")
        self._environment = environment(folder / "data", database_url=database_url)

    def run(self, *arguments: object, sent: bytes = b"") -> "subprocess.CompletedProcess[str]":
        """Run an import that reads `sent` from a pipe."""
        done = synap("import", *arguments, env={**os.environ, **self._environment}, cwd=self.folder, sent=sent)
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def numbers(self) -> list[Any]:
        """`data.n` of each event, in order."""
        with psycopg.connect(self.url) as connection:
            rows = connection.execute("SELECT data FROM event WHERE workspace_id = 'default' ORDER BY seq").fetchall()
        return [json.loads(data)["n"] for (data,) in rows]


def notes(count: int, first: int = 0) -> Iterator[dict[str, Any]]:
    """Numbered events."""
    for number in range(first, first + count):
        yield {"type": "note.created", "data": {"n": number, "text": '], [ {" \\ é'}}
