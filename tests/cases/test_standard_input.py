"""`synap import -`: input from a pipe has no name by which a later run recognises it, unless the caller names it."""

import json
import re
from pathlib import Path

import pytest

from tests.cases.importing import Importer, notes

TICK = b'{"type":"cron.tick","data":{"n":1}}\n'


@pytest.fixture
def importer(tmp_path: Path, database_url: str) -> Importer:
    return Importer(tmp_path, database_url)


def test_each_run_without_a_name_is_new(importer: Importer) -> None:
    monday = importer.run("-", sent=TICK)
    tuesday = importer.run("-", sent=TICK)

    assert monday.returncode == tuesday.returncode == 0
    assert "1 stored, 0 there already" in monday.stdout
    assert "1 stored, 0 there already" in tuesday.stdout
    assert importer.numbers() == [1, 1]


def test_a_run_with_a_name_is_known_again(importer: Importer) -> None:
    first = importer.run("-", "--name", "ticks", sent=TICK)
    again = importer.run("-", "--name", "ticks", sent=TICK * 2)
    other = importer.run("-", "--name", "others", sent=TICK)

    assert first.stdout.startswith("standard input into default: 1 stored, 0 there already")
    assert first.stdout.endswith(" Its name is ticks.\n")
    assert "1 stored, 1 there already" in again.stdout
    assert "1 stored, 0 there already" in other.stdout


def test_a_run_prints_the_name_by_which_to_continue(importer: Importer) -> None:
    lines = [json.dumps(each).encode() + b"\n" for each in notes(3)]

    broken = importer.run("-", sent=lines[0] + lines[1] + b'{"type": "note"}\n')
    [name] = re.findall(r"--name (stdin-[0-9a-f-]{36})", broken.stderr)
    mended = importer.run("-", "--name", name, sent=b"".join(lines))

    assert broken.returncode == 1
    assert "1 stored, 2 there already" in mended.stdout
    assert importer.numbers() == [0, 1, 2]


def test_another_file_of_the_same_name_is_noticed(importer: Importer) -> None:
    file = importer.folder / "app.log"
    file.write_bytes(b'{"type":"app.started","data":{"n":1}}\n' + TICK)
    importer.run(file)
    file.write_bytes(b'{"type":"app.started","data":{"n":2}}\n' + TICK)

    rotated = importer.run(file)
    named = importer.run(file, "--name", "app.log of Tuesday")

    assert "1 stored, 1 there already" in rotated.stdout
    assert "1 of the lines were there already, although they follow new ones" in rotated.stderr
    assert "An earlier import named app.log had the same text in the same place" in rotated.stderr
    assert "give it a --name" in rotated.stderr
    assert (named.stderr, importer.numbers()) == ("", [1, 1, 2, 2, 1])


def test_a_file_that_has_grown_is_not_taken_for_another(importer: Importer) -> None:
    file = importer.folder / "app.log"
    file.write_bytes(TICK * 3)
    importer.run(file)
    file.write_bytes(TICK * 5)

    grown = importer.run(file)

    assert "2 stored, 3 there already" in grown.stdout
    assert grown.stderr == ""
