"""`synap export`: the signed bundle of the install on this machine, as a file."""

import json
import os
import stat
from pathlib import Path
from typing import Any

import psycopg
import pytest

from app.cli.arguments import UsageError
from app.cli.main import cli
from app.cli.output import OutputError
from app.store.install.workspaces import WorkspaceError
from tests.kit.servers import environment
from tests.store.opened import Store, draft, opened

EXPORTED = "SELECT workspace_id, actor, detail FROM audit_entry WHERE action = 'log.exported'"


@pytest.fixture
def store(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A closed install of the test's own with 1,500 events, in the environment of an operator."""
    data = tmp_path / "data"
    data.mkdir()
    with opened(database_url, data) as store:
        store.append(*[draft(data={"number": number}) for number in range(1500)])
    for name, value in environment(data, database_url=database_url).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return store


def _run(*arguments: str) -> None:
    cli(list(arguments), result_action="return_none")


def _verified(capfd: pytest.CaptureFixture[str], file: str) -> str:
    with pytest.raises(SystemExit) as exited:
        cli(["verify", file])
    assert exited.value.code == 0
    return capfd.readouterr().out


def test_the_whole_log_verifies_and_is_audited(store: Store, capfd: pytest.CaptureFixture[str]) -> None:
    _run("export", "-o", "log.json")

    said = capfd.readouterr()
    assert (said.out, said.err) == ("1500 events of the log default are in log.json.\n", "")
    assert _verified(capfd, "log.json").startswith("1500 events of the log default verify: seq 0 to 1499, node ")
    bundle: dict[str, Any] = json.loads(Path("log.json").read_text())
    assert [event["payload"]["number"] for event in bundle["events"]] == list(range(1500))
    assert stat.S_IMODE(Path("log.json").stat().st_mode) == 0o600
    with psycopg.connect(store.url) as connection:
        [(log, actor, detail)] = connection.execute(EXPORTED).fetchall()
    assert (log, actor) == ("default", store.node)
    assert json.loads(detail) == {"exportId": bundle["export_id"], "fromSeq": 0, "toSeq": 1499}


@pytest.mark.usefixtures("store")
def test_a_part_goes_to_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    _run("export", "--from-seq", "10", "--to-seq", "19")

    Path("part.json").write_text(capfd.readouterr().out)
    assert _verified(capfd, "part.json").startswith("10 events of the log default verify: seq 10 to 19, node ")


@pytest.mark.usefixtures("store")
def test_an_existing_file_is_replaced_only_by_force(capfd: pytest.CaptureFixture[str]) -> None:
    Path("log.json").write_text("mine")

    with pytest.raises(OutputError, match=r"^log\.json exists already; add --force to replace it\.$"):
        _run("export", "-o", "log.json")
    assert Path("log.json").read_text() == "mine"

    Path("log.json").chmod(0o666)
    _run("export", "-o", "log.json", "--force")
    capfd.readouterr()
    assert _verified(capfd, "log.json").startswith("1500 events ")
    assert stat.S_IMODE(Path("log.json").stat().st_mode) == 0o600


@pytest.mark.usefixtures("store")
def test_what_is_no_file_is_not_replaced_and_a_link_stays(capfd: pytest.CaptureFixture[str]) -> None:
    os.mkfifo("pipe")
    Path("log.json").write_text("old")
    Path("link.json").symlink_to("log.json")

    with pytest.raises(
        OutputError, match=r"^pipe is not a regular file; leave out -o, and redirect standard output to it\.$"
    ):
        _run("export", "-o", "pipe", "--force")
    _run("export", "-o", "link.json", "--force")

    assert Path("pipe").is_fifo()
    assert Path("link.json").is_symlink()
    capfd.readouterr()
    assert _verified(capfd, "log.json").startswith("1500 events ")


WRONG = {
    "a name that is too long": (["-o", "x" * 300], f"{'x' * 300} cannot be written: File name too long."),
    "past the end": (["--from-seq", "1501"], "--from-seq is past the end of the log, which is seq 1499."),
    "an end past it": (["--to-seq", "1500"], "--to-seq is past the end of the log, which is seq 1499; leave it out."),
    "backwards": (["--from-seq", "5", "--to-seq", "4"], "--to-seq must not be less than fromSeq."),
    "below zero": (["--from-seq", "-1"], "--from-seq must be from 0 to 2^53-1."),
    "no workspace": (["--workspace", "nosuch"], "There is no workspace 'nosuch'; see: synap workspaces list."),
    "no place": (["-o", "nosuch/log.json"], "nosuch/log.json cannot be written: No such file or directory."),
    "a directory": (["-o", "data"], "data is a directory."),
}


@pytest.mark.usefixtures("store")
def test_what_cannot_be_exported_is_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    for arguments, sentence in WRONG.values():
        output = [] if "-o" in arguments else ["-o", "log.json"]
        with pytest.raises((OutputError, UsageError, WorkspaceError)) as refused:
            _run("export", *arguments, *output)
        assert str(refused.value) == sentence

    assert [path.name for path in tmp_path.iterdir()] == ["data"]
