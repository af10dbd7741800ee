"""`synap import`: what it stores, what it rejects, and how it continues."""

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from app.cli.arguments import UsageError
from app.cli.importing.reader import ImportingError
from app.cli.main import cli
from app.store.install.workspaces import WorkspaceError
from tests.kit import authors
from tests.kit.checks import check_log
from tests.kit.command import SYNAP
from tests.kit.installs import initialised
from tests.kit.servers import cloned, environment, until

EVENTS = "SELECT seq, id::text, type, user_id, data FROM event WHERE workspace_id = 'default' ORDER BY seq"

AUDIT = "SELECT action, detail FROM audit_entry WHERE workspace_id = 'default' ORDER BY seq"


@pytest.fixture
def url(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database of the test's own, in the environment of an operator."""
    for name, value in environment(tmp_path / "data", database_url=database_url).items():
        monkeypatch.setenv(name, value)
    return initialised(database_url, tmp_path / "data")


def _file(folder: Path, *lines: object, name: str = "notes.ndjson") -> Path:
    path = folder / name
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


def _note(number: int, **members: object) -> dict[str, object]:
    return {"type": "note.created", "data": {"n": number}} | members


def _import(capfd: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, list[str]]:
    """Run an import. Returns its exit code, its summary and its errors."""
    with pytest.raises(SystemExit) as exited:
        cli(["import", *map(str, arguments)])
    said = capfd.readouterr()
    (summary,) = said.out.splitlines()
    assert isinstance(exited.value.code, int)
    return exited.value.code, re.sub(r", in [0-9.]+ s \([0-9,]+ events/s\)\.$", "", summary), said.err.splitlines()


def _rows(url: str, query: str = EVENTS) -> list[Any]:
    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchall()


def _numbers(url: str) -> list[int]:
    return [json.loads(data)["n"] for *_, data in _rows(url)]


def test_a_file_is_stored_once_and_in_order_however_often_and_grown(
    url: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    id_ = str(uuid4())
    notes = [_note(0), _note(1), _note(1), _note(2, id=id_, userId="ann"), "", _note(3)]
    file = _file(tmp_path, *notes)

    first = _import(capfd, file, "--user", "bob")
    second = _import(capfd, file, "--user", "bob")
    file.write_text(file.read_text() + json.dumps(_note(4)) + "\n" + json.dumps(_note(5)))
    third = _import(capfd, file, "--user", "bob")

    assert first == (0, "notes.ndjson into default: 5 stored, 0 there already, 0 rejected", [])
    assert second == (0, "notes.ndjson into default: 0 stored, 5 there already, 0 rejected", [])
    assert third == (0, "notes.ndjson into default: 2 stored, 5 there already, 0 rejected", [])
    assert _numbers(url) == [0, 1, 1, 2, 3, 4, 5]
    rows = _rows(url)
    assert [user for _, _, _, user, _ in rows] == ["bob", "bob", "bob", "ann", "bob", "bob", "bob"]
    assert rows[3][1] == id_
    check_log(url)


def test_who_imported_what_is_in_the_audit(url: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    _import(capfd, _file(tmp_path, _note(0), _note(1)))
    with psycopg.connect(url) as connection:
        [(node,)] = connection.execute("SELECT node FROM install").fetchall()
        actors = {actor for (actor,) in connection.execute("SELECT actor FROM audit_entry WHERE action ~ 'import'")}

    assert actors == {node}
    assert [(action, json.loads(detail)) for action, detail in _rows(url, AUDIT) if "import" in action] == [
        ("events.import_started", {"file": "notes.ndjson"}),
        ("events.imported", {"file": "notes.ndjson", "stored": 2, "already": 0, "refused": 0}),
    ]


def test_the_first_bad_line_ends_it_until_it_is_fixed(
    url: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = _file(tmp_path, _note(0), _note(1), {"type": "note", "data": []}, _note(3))

    code, summary, said = _import(capfd, file)

    assert (code, summary) == (1, "notes.ndjson into default: 2 stored, 0 there already, 0 rejected")
    assert [line.split(": ")[:2] for line in said[:2]] == [
        ["notes.ndjson, line 3", "type"],
        ["notes.ndjson, line 3", "data"],
    ]
    assert said[2].startswith("synap: Everything before line 3 is stored; ")
    assert _numbers(url) == [0, 1]

    mended = _file(tmp_path, _note(0), _note(1), _note(2), _note(3))
    assert _import(capfd, mended)[:2] == (0, "notes.ndjson into default: 2 stored, 2 there already, 0 rejected")
    assert _numbers(url) == [0, 1, 2, 3]


def test_bad_lines_are_set_aside_if_a_file_is_given_for_them(
    url: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    taken = str(uuid4())
    lines = [_note(0, id=taken), "nonsense", _note(2), _note(3, id=taken), _note(4), _note(5, type="synap.x")]
    file, refused = _file(tmp_path, *lines), tmp_path / "refused"

    code, summary, said = _import(capfd, file, "--skip-bad", refused)

    assert (code, summary, said) == (1, "notes.ndjson into default: 3 stored, 0 there already, 3 rejected", [])
    assert _numbers(url) == [0, 2, 4]
    written = [json.loads(line) for line in refused.read_text().splitlines()]
    assert [(each["line"], each["issues"][0]["path"]) for each in written] == [(2, ""), (4, "id"), (6, "type")]
    assert [each["text"] for each in written] == file.read_text().splitlines()[1::2]
    assert "is taken by an event with other content" in written[1]["issues"][0]["message"]


def test_only_their_owner_reads_lines_that_were_set_aside(
    url: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file, new, there = _file(tmp_path, "bad", _note(1)), tmp_path / "new", tmp_path / "there"
    there.touch()
    there.chmod(0o666)

    for refused in (new, there):
        _import(capfd, file, "--skip-bad", refused)

    assert [refused.stat().st_mode & 0o777 for refused in (new, there)] == [0o600] * 2
    assert there.read_text() == new.read_text()
    assert _numbers(url) == [1]


def test_lines_set_aside_stay_when_the_import_continues(
    url: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file, refused = _file(tmp_path, "bad", _note(1), "worse", _note(3)), tmp_path / "refused"
    _import(capfd, file, "--skip-bad", refused)
    first = refused.read_text()
    refused.write_text(first[:-5])  # as if that run had been killed

    code, summary, _ = _import(capfd, file, "--skip-bad", refused, "--from-line", 3)

    assert (code, summary) == (1, "notes.ndjson into default: 0 stored, 1 there already, 1 rejected")
    assert [json.loads(line)["text"] for line in first.splitlines()] == ["bad", "worse"]
    assert refused.read_text() == first
    _import(capfd, file, "--skip-bad", refused)
    assert refused.read_text() == first
    assert _numbers(url) == [1, 3]


@pytest.mark.usefixtures("url")
@pytest.mark.parametrize("text", ['{"type":"a.b","data":{}}\n', "mine"])
def test_a_users_file_is_not_overwritten_with_bad_lines(tmp_path: Path, text: str) -> None:
    mine = tmp_path / "mine"
    mine.write_text(text)

    with pytest.raises(ImportingError, match=r"mine exists already, and no import wrote it; name another file "):
        cli(["import", str(_file(tmp_path, "bad")), "--skip-bad", str(mine)])

    assert mine.read_text() == text


def test_no_room_for_bad_lines_ends_it(url: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, _, (said,) = _import(capfd, _file(tmp_path, _note(0), "bad"), "--skip-bad", "/dev/full")

    assert code == 2
    assert said.startswith("synap: /dev/full cannot be written: No space left on device; run the same command again ")
    assert _numbers(url) == [0]


def test_a_file_of_another_system_is_read_and_known_again_when_it_grew(
    url: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "notes.ndjson"
    lines = [json.dumps(_note(number)).encode() for number in range(3)]

    file.write_bytes(b"\xef\xbb\xbf" + b"\r\n".join(lines[:2]))
    first = _import(capfd, file)
    file.write_bytes(file.read_bytes() + b"\r\n" + lines[2] + b"\r\n")
    second = _import(capfd, file)

    assert first[:2] == (0, "notes.ndjson into default: 2 stored, 0 there already, 0 rejected")
    assert second[:2] == (0, "notes.ndjson into default: 1 stored, 2 there already, 0 rejected")
    assert _numbers(url) == [0, 1, 2]


def test_a_line_that_is_too_large_is_rejected_and_not_stored(
    url: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file, refused = _file(tmp_path, _note(0), "x" * 5_000_000, _note(2)), tmp_path / "refused"

    assert _import(capfd, file, "--skip-bad", refused)[1].endswith(": 2 stored, 0 there already, 1 rejected")

    (written,) = map(json.loads, refused.read_text().splitlines())
    assert written["issues"] == [{"path": "", "message": "is larger than 1048576 bytes"}]
    assert len(written["text"]) < 2_500_000
    assert _numbers(url) == [0, 2]


def test_a_pipe_is_stored_as_it_comes(tmp_path: Path, database_url: str) -> None:
    initialised(database_url, tmp_path / "data")
    importing = subprocess.Popen(
        [SYNAP, "import", "-"],
        env=environment(tmp_path / "data", database_url=database_url),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert importing.stdin is not None
    with psycopg.connect(database_url, autocommit=True) as connection:
        for number in range(3):
            importing.stdin.write(json.dumps(_note(number)) + "\n")
            importing.stdin.flush()
            until(lambda: len(connection.execute(EVENTS).fetchall()) == number + 1)  # noqa: B023
        importing.send_signal(signal.SIGTERM)
        assert importing.wait(timeout=60) == 143  # although the pipe is still open
        said, _ = importing.communicate()

    assert said.startswith("standard input into default: 3 stored, ")


def test_who_cannot_wait_for_the_database_may_say_so(
    url: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    _import(capfd, _file(tmp_path, _note(0)))
    grown = _file(tmp_path, _note(0), _note(1))
    with psycopg.connect(url) as connection, psycopg.connect(url, autocommit=True) as watching:
        connection.execute("SELECT FROM event_tip FOR UPDATE")
        with subprocess.Popen([SYNAP, "import", grown], stderr=subprocess.PIPE, text=True) as importing:
            until(lambda: watching.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone())
            importing.send_signal(signal.SIGINT)
            _, said = importing.communicate(timeout=40)

    assert importing.returncode == 130
    assert "synap: Interrupted; run the same command again to continue after line 0 " in said


def test_a_conflict_ends_it_at_its_line(url: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    taken = str(uuid4())
    _import(capfd, _file(tmp_path, _note(0, id=taken)))
    lines = [_note(number) for number in range(1, 8)]
    lines[4] = _note(5, id=taken)

    code, _, said = _import(capfd, _file(tmp_path, *lines, name="more.ndjson"))

    assert code == 1
    assert said[0].startswith(f"more.ndjson, line 5: id: The id {taken} is taken ")
    assert _numbers(url) == [0, 1, 2, 3, 4]
    check_log(url)


def test_a_line_with_a_false_author_ends_it(url: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with psycopg.connect(url) as connection:
        [(node,)] = connection.execute("SELECT node FROM install").fetchall()
    signed = [authors.signed(authors.event() | {"node": node, "event_id": str(uuid4())}) for _ in range(3)]
    lines = [authors.sent(event) for event in signed]
    unnamed = {name: value for name, value in lines[2].items() if name != "id"}

    false = _file(tmp_path, lines[0], lines[1] | {"data": {}}, name="false.ndjson")
    code, _, said = _import(capfd, false, "--user", "agent")
    without_id = _import(capfd, _file(tmp_path, lines[1], unnamed), "--user", "agent")

    assert (code, said[0].split(": ")[:2]) == (1, ["false.ndjson, line 2", "metadata.synap.author.signature"])
    assert (without_id[0], without_id[2][0].split(": ")[:2]) == (1, ["notes.ndjson, line 2", "id"])
    assert [str(row[1]) for row in _rows(url)] == [line["id"] for line in lines[:2]]
    check_log(url)


def test_lines_may_be_passed_over_and_files_named(url: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = _file(tmp_path, *[_note(number) for number in range(2500)])

    assert _import(capfd, file, "--from-line", 1501)[1].endswith(": 1000 stored, 0 there already, 0 rejected")
    renamed = file.rename(tmp_path / "renamed")
    assert _import(capfd, renamed, "--name", "notes.ndjson")[1] == (
        "renamed into default: 1500 stored, 1000 there already, 0 rejected"
    )

    assert _numbers(url) == [*range(1500, 2500), *range(1500)]


@pytest.fixture(scope="module")
def unused_url(postgres_url: str, template: str, shared_folder: Path) -> Iterator[str]:
    """A database with an install in which nothing is stored."""
    with cloned(postgres_url, template, "test_importing_unused") as url:
        yield initialised(url, shared_folder)


@pytest.fixture(scope="module")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory of its install."""
    return tmp_path_factory.mktemp("importing")


UNUSABLE = {
    "no such file": (["nosuch"], "nosuch cannot be read: No such file or directory."),
    "a directory": (["."], ". cannot be read: Is a directory."),
    "no such workspace": (["notes.ndjson", "--workspace", "nosuch"], "There is no workspace 'nosuch'"),
    "the server's own log": (["notes.ndjson", "--workspace", "_node"], "There is no workspace '_node'"),
    "no slug": (["notes.ndjson", "--workspace", "\udcff"], "There is no workspace "),
    "no user": (["notes.ndjson", "--user", ""], "--user must have 1 to 256 characters."),
    "no line": (["notes.ndjson", "--from-line", "0"], "--from-line must be 1 or more."),
    "itself for the refused": (["notes.ndjson", "--skip-bad", "notes.ndjson"], "is the file to import"),
    "no place for the refused": (["notes.ndjson", "--skip-bad", "nosuch/x"], "nosuch/x cannot be written"),
}


@pytest.mark.parametrize(("arguments", "expected"), UNUSABLE.values(), ids=list(UNUSABLE))
def test_what_cannot_be_imported_is_one_sentence(
    unused_url: str,
    shared_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    expected: str,
) -> None:
    for name, value in environment(shared_folder, database_url=unused_url).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    _file(tmp_path, _note(0))

    with pytest.raises((ImportingError, UsageError, WorkspaceError)) as refused:
        cli(["import", *arguments], result_action="return_none")

    assert expected in str(refused.value)
    assert (tmp_path / "notes.ndjson").read_text()
