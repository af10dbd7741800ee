"""An import that is interrupted, once by a signal and once killed, and run again stores each line once and in order.

`IMPORT_LINES` is the number of lines; `make soak` imports 200,000.
"""

import json
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest
from msgspec import Struct

from tests.kit.checks import check_log
from tests.kit.command import Process, start
from tests.kit.installs import initialised
from tests.kit.servers import environment, until

LINES = int(os.environ.get("IMPORT_LINES", "4000"))

END = "SELECT seq + 1 FROM event_tip WHERE workspace_id = 'default'"


def _event(number: int) -> dict[str, object]:
    return {
        "type": "entity.created",
        "subjectId": f"entity-{number // 2}",
        "data": {"number": number // 2, "title": "Call John"},  # two lines in a row are equal
        "metadata": {"ai": {"agent": "orchestrator", "confidence": {"score": 0.92}}},
    }


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection]:
    """A connection to the test's database."""
    with psycopg.connect(database_url, autocommit=True) as opened:
        yield opened


def _stored(connection: psycopg.Connection) -> int:
    row = connection.execute(END).fetchone()
    return 0 if row is None else int(row[0])


class Import(Struct, frozen=True):
    """A running import, and the files that it writes its output and its errors to."""

    process: Process
    output: Path
    errors: Path

    def ended(self, seconds: float) -> tuple[str, str]:
        """Wait for its end. Returns its output and its errors."""
        self.process.wait(timeout=seconds)
        return self.output.read_text(), self.errors.read_text()


def _started(file: Path, url: str) -> Import:
    output, errors = file.with_suffix(".output"), file.with_suffix(".errors")
    variables = environment(file.parent / "data", database_url=url)
    with Path(os.devnull).open("rb") as nothing, output.open("wb") as out, errors.open("wb") as err:
        process = start("import", file, env=variables, files=(nothing, out, err))
    return Import(process, output, errors)


@contextmanager
def _fed(file: Path, url: str, lines: Sequence[str]) -> Iterator[Import]:
    """Import a named pipe that these lines are written to. It stays open, so that the import does not end by itself."""
    os.mkfifo(file)
    importing = _started(file, url)
    with file.open("w") as pipe:
        pipe.writelines(lines)
        pipe.flush()
        yield importing
    file.unlink()


def test_an_import_that_is_interrupted_twice_stores_each_line_once_and_in_order(
    tmp_path: Path, database_url: str, connection: psycopg.Connection
) -> None:
    file = tmp_path / "events.ndjson"
    lines = [json.dumps(_event(number)) + "\n" for number in range(LINES)]

    initialised(database_url, tmp_path / "data")
    with _fed(file, database_url, lines[: LINES // 4]) as importing:
        until(lambda: _stored(connection) > LINES // 8, seconds=120)
        importing.process.send_signal(signal.SIGINT)
        said, complaints = importing.ended(60)
    stored = _stored(connection)
    assert importing.process.returncode == 130, complaints
    assert f" {stored} stored, 0 there already, 0 rejected" in said
    assert complaints == (
        f"synap: Interrupted; run the same command again to continue after line {stored} "
        f"(sooner with --from-line {stored + 1}).\n"
    )
    assert LINES // 8 < stored <= LINES // 4

    with _fed(file, database_url, lines[: LINES * 3 // 4]) as importing:
        until(lambda: _stored(connection) > LINES // 2, seconds=120)
        processes = psutil.Process(importing.process.pid).children(recursive=True)
        importing.process.kill()
        importing.ended(60)
        gone, alive = psutil.wait_procs(processes, timeout=60)
    stored = _stored(connection)
    assert gone
    assert not alive
    assert LINES // 2 < stored <= LINES * 3 // 4

    file.write_text("".join(lines))
    importing = _started(file, database_url)
    said, complaints = importing.ended(600)
    assert (importing.process.returncode, complaints) == (0, "")
    assert f" {LINES - stored} stored, {stored} there already, 0 rejected" in said
    print(said)  # noqa: T201 - for readers who measure the time

    events = check_log(database_url)
    assert [event["payload"]["number"] for event in events] == [number // 2 for number in range(LINES)]
