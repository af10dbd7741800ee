"""The command `synap`: what it does, and its one sentence with exit code 2 if it fails."""

import json
import os
import re
import shutil
import socket
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from app.cli.arguments import UsageError
from app.cli.main import cli
from app.cli.tail.follow import TailError
from app.cli.verify.evidence import UnreadableError
from app.ledger.signer import Signer
from app.server.install import ready
from app.settings import Settings, SettingsError
from app.store.install.install import InstallError
from app.store.install.secret import SecretError
from app.store.install.workspaces import WorkspaceError
from app.store.postgres.data_directory import DataDirectoryError
from benchmarks.process import free_port
from tests.kit import web
from tests.kit.authors import AUTHOR
from tests.kit.command import SYNAP, synap
from tests.kit.installs import initialised
from tests.kit.paths import ROOT
from tests.kit.servers import cloned, environment, serving

EXAMPLE = ROOT / "examples" / "review.py"

NOWHERE = "postgresql://synap:s3cr3t@127.0.0.1:1/nosuch"
"""A database that refuses connections."""

EVENT = {"type": "note.created", "data": {}}


def _synap(folder: Path, *arguments: str, umask: int = -1, **settings: object) -> subprocess.CompletedProcess[str]:
    """Run the command with these settings in `folder`, which contains the data directory."""
    return synap(*arguments, env=environment(folder / "data", **settings), cwd=folder, umask=umask)


def _printed(done: subprocess.CompletedProcess[str]) -> str:
    """The output of a command, which must have succeeded."""
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def _sentence(done: subprocess.CompletedProcess[str]) -> str:
    """The sentence of a command that failed; it must have printed nothing else."""
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("synap: ")
    return _checked(line.removeprefix("synap: "))


def _checked(sentence: str) -> str:
    """Check a sentence for the operator: one line, without secrets."""
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert "s3cr3t" not in sentence
    return sentence


def _refused(folder: Path, **settings: object) -> str:
    """Why an install with these settings cannot be made ready, in the sentence of `synap serve`."""
    variables = environment(folder / "data", **settings)
    with (
        pytest.raises((SettingsError, DataDirectoryError, InstallError, SecretError)) as refused,
        ready(Settings.from_environment(variables), serving=True, init=True),
    ):
        pass
    return _checked(str(refused.value))


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _keys(text: str) -> dict[str, dict[str, Any]]:
    return {key["id"]: key for key in map(json.loads, text.splitlines())}


# Administration.


def test_keys_are_made_listed_and_revoked(tmp_path: Path, database_url: str) -> None:
    initialised(database_url, tmp_path / "data")
    created = _printed(_synap(tmp_path, "workspaces", "create", "a-1_b", database_url=database_url))
    token = _printed(
        _synap(
            tmp_path,
            *("keys", "create", "--user", "ann é", "--scope", "events:read", "--scope", "events:write"),
            *("--workspace", "a-1_b", "--workspace", "default", "--expires-in-seconds", "60"),
            *("--author", AUTHOR.did),
            database_url=database_url,
        )
    )
    made = re.fullmatch(r"sk_([0-9A-Za-z]{10})_([0-9A-Za-z]{43})\n", token)
    assert made is not None
    revoked = _printed(_synap(tmp_path, "keys", "revoke", made[1], database_url=database_url))
    listed = _printed(_synap(tmp_path, "keys", "list", database_url=database_url))

    key = _keys(listed)[made[1]]
    assert created == "Created a-1_b.\n"
    assert revoked == f"Revoked {made[1]}.\n"
    assert made[2] not in listed
    assert (key["userId"], key["scopes"]) == ("ann é", ["events:read", "events:write"])
    assert key["workspaces"] == ["a-1_b", "default"]
    assert (key["authors"], key["authorRequired"]) == ([AUTHOR.did], True)
    assert key["createdAt"] < key["revokedAt"] < key["expiresAt"]
    assert _keys(listed)["control"]["revokedAt"] is None


@pytest.mark.usefixtures("started_before")
def test_administration_works_while_a_server_runs(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as server:
        created = _printed(_synap(tmp_path, "workspaces", "create", "acme"))
        token = _printed(_synap(tmp_path, "keys", "create", "--user", "u", "--scope", "*", "--workspace", "acme"))
        second = _sentence(_synap(tmp_path, "serve", port=free_port()))
        answer = web.post(
            f"{server.url}/trpc/events.log", json=EVENT, headers={"authorization": f"Bearer {token.strip()}"}
        )

        assert created == "Created acme.\n"
        assert answer.json()["result"]["data"]["seq"] == 0
        assert "; stop that server, or set SYNAP_DATA_DIR" in second
        assert server.mutate("events.log", EVENT).json()["result"]["data"]["seq"] == 0
    secrets = [tmp_path / "data" / name for name in ("control.token", "node.key", "install.secret")]
    assert [_mode(file) for file in secrets] == [0o600] * 3


@pytest.fixture(scope="module")
def shared_url(postgres_url: str, template: str, shared_folder: Path) -> Iterator[str]:
    """A database for tests that do not change it."""
    with cloned(postgres_url, template, "test_cli") as url:
        yield initialised(url, shared_folder)


@pytest.fixture(scope="module")
def unused_url(postgres_url: str, template: str) -> Iterator[str]:
    """A migrated database for tests that fail before they set it up."""
    with cloned(postgres_url, template, "test_cli_unused") as url:
        yield url


@pytest.fixture(scope="module")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory for tests that do not change it."""
    return tmp_path_factory.mktemp("cli")


@pytest.fixture
def administered(shared_url: str, shared_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of an operator, for commands that run in this process."""
    monkeypatch.setenv("SYNAP_DATABASE_URL", shared_url)
    monkeypatch.setenv("SYNAP_DATA_DIR", str(shared_folder))


@pytest.mark.usefixtures("administered")
def test_a_key_has_the_default_workspace_and_no_end_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    cli(["keys", "create", "--user", "u", "--scope", "*"], result_action="return_none")
    token = capsys.readouterr().out
    cli(["keys", "list"], result_action="return_none")

    key = _keys(capsys.readouterr().out)[token.split("_")[1]]
    assert (key["workspaces"], key["expiresAt"], key["scopes"]) == (["default"], None, ["*"])


@pytest.mark.usefixtures("administered")
def test_workspaces_are_listed_by_slug(capsys: pytest.CaptureFixture[str]) -> None:
    cli(["workspaces", "create", "acme"], result_action="return_none")
    cli(["workspaces", "list"], result_action="return_none")

    assert capsys.readouterr().out == "Created acme.\nacme\ndefault\n"


@pytest.mark.usefixtures("administered")
def test_a_key_may_be_revoked_again(capsys: pytest.CaptureFixture[str]) -> None:
    ended = []

    for _ in range(2):
        cli(["keys", "revoke", "control"], result_action="return_none")
        cli(["keys", "list"], result_action="return_none")
        revoked, *listed = capsys.readouterr().out.splitlines()
        assert revoked == "Revoked control."
        ended.append(_keys("\n".join(listed))["control"]["revokedAt"])

    assert ended[0] is not None
    assert ended[0] == ended[1]


SLUG = "A slug has 1 to 63 characters of a-z, 0-9, '_' and '-'; the first is a letter or digit."

USER = "--user must have 1 to 256 characters."

DELETES = (
    "This permanently deletes every event of the workspace 'default', its webhooks, and the keys that have no other "
    "workspace; add --yes to confirm."
)

ADOPTS = (
    "Use this only if the signing key is lost: nobody can then prove that the new key is this install's, and every "
    "verifier reports the break forever; add --yes to confirm."
)

WRONG_ARGUMENTS: dict[str, tuple[list[str], str]] = {
    "a workspace that is none": (
        ["keys", "create", "--user", "u", "--scope", "*", "--workspace", "nosuch"],
        "There is no workspace 'nosuch'; create it: synap workspaces create nosuch.",
    ),
    "no user": (["keys", "create", "--user", "", "--scope", "*"], USER),
    "a long user": (["keys", "create", "--user", "x" * 257, "--scope", "*"], USER),
    "an end before now": (
        ["keys", "create", "--user", "u", "--scope", "*", "--expires-in-seconds", "0"],
        "--expires-in-seconds must be from 1 to 2147483647.",
    ),
    "an end that no clock reaches": (
        ["keys", "create", "--user", "u", "--scope", "*", "--expires-in-seconds", "2147483648"],
        "--expires-in-seconds must be from 1 to 2147483647.",
    ),
    "an author that is none": (
        ["keys", "create", "--user", "u", "--scope", "*", "--author", "did:web:example.com"],
        "--author 'did:web:example.com' must be the did:key of an Ed25519 key, in its only form.",
    ),
    "a key that is none": (["keys", "revoke", "nosuch"], "There is no key 'nosuch'; see: synap keys list."),
    "a workspace that exists": (["workspaces", "create", "default"], "The workspace 'default' exists already."),
    "a slug that is none": (["workspaces", "create", "Acme Inc"], SLUG),
    "a slug that is too long": (["workspaces", "create", "a" * 64], SLUG),
    "the server's own log": (["workspaces", "create", "_node"], SLUG),
    "no contract": (["contract"], "Name one contract: synap contract --typescript, --json-schema or --openapi."),
    "two contracts": (
        ["contract", "--typescript", "--json-schema"],
        "Name one contract: synap contract --typescript, --json-schema or --openapi.",
    ),
    "a contract that is not there": (
        ["contract", "--check", "/nosuch.ts"],
        "The file /nosuch.ts cannot be read: No such file or directory.",
    ),
    "a user that is not UTF-8": (["keys", "create", "--user", "\udcff", "--scope", "*"], ""),
    "a key that is not UTF-8": (["keys", "revoke", "\udcff"], ""),
    "no word that it is meant": (
        ["workspaces", "delete", "default"],
        DELETES,
    ),
    "no word that the key is lost": (
        ["node", "adopt-key"],
        ADOPTS,
    ),
    "a token file that is none": (
        ["verify", "http://127.0.0.1:1/v1", "--token-file", "/nosuch"],
        "The token file /nosuch cannot be read: No such file or directory.",
    ),
}


@pytest.mark.usefixtures("administered")
@pytest.mark.parametrize(("arguments", "expected"), WRONG_ARGUMENTS.values(), ids=list(WRONG_ARGUMENTS))
def test_wrong_arguments_are_one_sentence(arguments: list[str], expected: str) -> None:
    with pytest.raises(UsageError) as refused:
        cli(arguments, result_action="return_none")

    assert expected in {"", _checked(str(refused.value))}


REFUSED: dict[str, tuple[list[str], type[Exception], str]] = {
    "a workspace that is none": (["workspaces", "delete", "nosuch", "--yes"], WorkspaceError, "There is no workspace"),
    "the server's own log": (["workspaces", "delete", "_node", "--yes"], WorkspaceError, "There is no workspace"),
    "a key that is at hand": (["node", "adopt-key", "--yes"], InstallError, "The signing key in force, z6Mk"),
}


@pytest.mark.usefixtures("administered")
@pytest.mark.parametrize(("arguments", "refusal", "start"), REFUSED.values(), ids=list(REFUSED))
def test_what_cannot_be_done_is_one_sentence(arguments: list[str], refusal: type[Exception], start: str) -> None:
    with pytest.raises(refusal) as refused:
        cli(arguments, result_action="return_none")

    assert _checked(str(refused.value)).startswith(start)


AUDIT = "SELECT workspace_id, action, actor, detail FROM audit_entry ORDER BY recorded_at, workspace_id"


def test_what_the_command_does_is_in_the_audit(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SYNAP_DATABASE_URL", database_url)
    monkeypatch.setenv("SYNAP_DATA_DIR", str(tmp_path))
    initialised(database_url, tmp_path)

    def run(*arguments: str) -> str:
        cli(arguments, result_action="return_none")
        return capsys.readouterr().out

    run("workspaces", "create", "acme")
    with psycopg.connect(database_url) as connection:
        first = len(connection.execute(AUDIT).fetchall())
    tokens = [
        run("keys", "create", "--user", "ann", "--scope", "events:read", "--workspace", "acme"),
        run("keys", "create", "--user", "bob", "--scope", "*", "--workspace", "*", "--expires-in-seconds", "60"),
    ]
    own, every = (token.split("_")[1] for token in tokens)
    for _ in range(2):  # the second run does nothing
        run("keys", "revoke", own)
    run("node", "rotate-key")
    run("workspaces", "delete", "acme", "--yes")
    with psycopg.connect(database_url) as connection:
        [(node,)] = connection.execute("SELECT node FROM install").fetchall()
        entries = connection.execute(AUDIT).fetchall()

    assert {actor for _, _, actor, _ in entries} == {node}
    assert [(log, action) for log, action, _, _ in entries if action == "workspace.created"] == [
        ("_node", "workspace.created"),
        ("acme", "workspace.created"),
    ]
    said = [(log, action, json.loads(detail)) for log, action, _, detail in entries[first:]]
    assert [(log, action) for log, action, _ in said] == [
        ("acme", "key.created"),
        ("_node", "key.created"),
        ("acme", "key.revoked"),
        ("_node", "node.key_rotated"),
        ("_node", "workspace.deleted"),
        ("acme", "workspace.deleted"),
    ]
    assert said[0][2] == {"keyId": own, "scopes": ["events:read"], "workspaces": ["acme"]}
    expires_at = said[1][2].pop("expiresAt")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", expires_at)
    assert said[1][2] == {"keyId": every, "scopes": ["*"], "workspaces": ["*"]}
    assert said[2][2] == {"keyId": own}
    assert set(said[3][2]) == {"kid_old", "kid_new"}
    written = str(entries)
    assert not any(secret in written for secret in ["ann", "bob", *(token.strip() for token in tokens)])


def test_a_lost_key_can_be_replaced_though_nothing_else_starts(tmp_path: Path, database_url: str) -> None:
    _printed(_synap(tmp_path, "init", database_url=database_url))
    key = tmp_path / "data" / "node.key"
    lost = Signer.load(key)
    key.unlink()
    assert lost is not None

    refused = _sentence(_synap(tmp_path, "node", "rotate-key", database_url=database_url))
    printed = _printed(_synap(tmp_path, "node", "adopt-key", "--yes", database_url=database_url))
    _printed(_synap(tmp_path, "init", database_url=database_url))

    adopted = Signer.load(key)
    assert adopted is not None
    assert refused.endswith("restore it.")
    assert printed.startswith(f"The signing key is now {adopted.kid}; it was {lost.kid}.\n")
    assert _mode(key) == 0o600


@pytest.mark.parametrize(
    "arguments",
    [
        ["nosuch"],
        ["keys", "create", "--user", "u"],
        ["keys", "create", "--user", "u", "--scope", "nosuch"],
        ["keys", "create", "--user", "u", "--scope", "*", "--expires-in-seconds", "soon"],
        ["serve", "--port", "1"],
    ],
    ids=" ".join,
)
def test_unknown_arguments_are_exit_code_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        cli(arguments)

    assert exited.value.code == 2


def _listed(output: int, folder: Path, url: str) -> tuple[int, str]:
    """The exit code and the errors of a command whose output is so short that Python buffers it until the end."""
    done = subprocess.run(
        [SYNAP, "keys", "list"],
        env=environment(folder, database_url=url) | {"PYTHONUNBUFFERED": ""},
        stdout=output,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


def test_an_output_that_is_full_is_one_sentence(shared_url: str, shared_folder: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        said = _listed(full.fileno(), shared_folder, shared_url)

    assert said == (2, "synap: The output cannot be written: No space left on device.\n")


def test_an_output_that_nobody_reads_ends_silently(shared_url: str, shared_folder: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    said = _listed(writer, shared_folder, shared_url)
    os.close(writer)

    assert said == (130, "")


def test_what_the_database_forbids_is_one_sentence(tmp_path: Path, database_url: str) -> None:
    _printed(_synap(tmp_path, "init", database_url=database_url))
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("ALTER TABLE alembic_version RENAME version_num TO number")

    sentence = _sentence(_synap(tmp_path, "keys", "list", database_url=database_url))

    assert sentence == 'The database refuses: column "version_num" does not exist.'


@pytest.mark.parametrize(
    "url", ["http://u:s3cr3t@127.0.0.1:1/v1", "http://127.0.0.1:1/v1?token=s3cr3t", "http://s3cr3t@[::1"]
)
def test_secrets_in_a_url_are_not_repeated(url: str) -> None:
    with pytest.raises(UnreadableError) as verified:
        cli(["verify", url], result_action="return_none")
    with pytest.raises(TailError) as tailed:
        cli(["tail", "--url", url], result_action="return_none")

    _checked(str(verified.value))
    _checked(str(tailed.value))


# The operator's view of a rejected start.


def test_a_port_in_use_is_one_sentence(tmp_path: Path, database_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        sentence = _sentence(_synap(tmp_path, "serve", "--init", port=port, database_url=database_url))

    assert sentence.startswith(f"Port {port} on 127.0.0.1 cannot be used (Address already in use)")
    assert "SYNAP_PORT" in sentence


def test_an_address_that_is_not_ours_is_one_sentence(tmp_path: Path) -> None:
    sentence = _sentence(_synap(tmp_path, "serve", port=free_port(), host="203.0.113.7"))

    assert "203.0.113.7 cannot be used" in sentence


def test_a_bad_setting_is_one_sentence(tmp_path: Path) -> None:
    sentence = _sentence(_synap(tmp_path, "serve", port=free_port(), database_url="mysql://u:s3cr3t@db.example/synap"))

    assert sentence == "SYNAP_DATABASE_URL must be a URL that begins with postgresql://."


def test_an_unreachable_database_is_one_sentence(tmp_path: Path) -> None:
    sentence = _sentence(_synap(tmp_path, "serve", port=free_port(), database_url=NOWHERE))

    assert sentence.startswith("The database cannot be reached: ")
    assert "Connection refused" in sentence


def test_a_foreign_key_is_rejected(tmp_path: Path, database_url: str) -> None:
    with serving(tmp_path / "first", database_url=database_url) as server:
        assert server.mutate("events.log", EVENT).status_code == 200
    (tmp_path / "data").mkdir()
    stranger = Signer.create(tmp_path / "data" / "node.key")

    sentence = _sentence(_synap(tmp_path, "serve", "--init", port=free_port(), database_url=database_url))

    assert stranger.kid in sentence
    assert "but the database is signed by z6Mk" in sentence
    assert not (tmp_path / "data" / "control.token").exists()


def test_a_key_that_is_garbage_is_one_sentence(tmp_path: Path, database_url: str) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "node.key").write_text("s3cr3t\n")

    sentence = _sentence(_synap(tmp_path, "serve", "--init", port=free_port(), database_url=database_url))

    assert "node.key" in sentence


def test_an_extension_that_is_missing_is_one_sentence(tmp_path: Path) -> None:
    sentence = _sentence(_synap(tmp_path, "serve", port=free_port(), extensions="nosuch"))

    assert sentence.startswith("SYNAP_EXTENSIONS: 'nosuch' cannot be loaded: ")
    assert not (tmp_path / "data").exists()


# Rejected starts of every kind, in this process.

UNREACHABLE = {
    "no such host": "postgresql://u:s3cr3t@nosuch.invalid/synap",
    "a port that is none": "postgresql://u:s3cr3t@127.0.0.1:nosuch/synap",
    "a password that is not encoded": "postgresql://u:s3cr3t%ZZ@127.0.0.1/synap",
    "text behind an address": "postgresql://u:s3cr3t@[::1]x/synap",
    "an address without its bracket": "postgresql://u:s3cr3t@[::1/synap",
    "an unknown option": "postgresql://u:s3cr3t@127.0.0.1/synap?nosuch=1",
    "an option without a value": "postgresql://u:s3cr3t@127.0.0.1/synap?s3cr3t",
    "no such socket": "postgresql://u:s3cr3t@/synap?host=/nosuch",
}


@pytest.mark.parametrize("url", UNREACHABLE.values(), ids=list(UNREACHABLE))
def test_an_unreachable_database_is_named_without_its_password(tmp_path: Path, url: str) -> None:
    sentence = _refused(tmp_path, database_url=url)

    assert sentence.startswith("The database cannot be reached: ") or "SYNAP_DATABASE_URL" in sentence


def test_a_database_that_does_not_exist_is_named(tmp_path: Path, database_url: str) -> None:
    sentence = _refused(tmp_path, database_url=re.sub(r"/test_\d+\?", "/nosuch?", database_url))

    assert 'database "nosuch" does not exist' in sentence


def test_a_database_of_a_newer_server_is_left_alone(tmp_path: Path, database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999', serves_from = '9998'")

    sentence = _refused(tmp_path, database_url=database_url)

    assert sentence == "The database was migrated by a newer version of this server; run that one."


def test_a_lost_key_is_missed(tmp_path: Path, database_url: str) -> None:
    settings = Settings.from_environment(environment(tmp_path / "data", database_url=database_url))
    with ready(settings, serving=True, init=True):
        settings.node_key_path.unlink()

    sentence = _refused(tmp_path, database_url=database_url)

    assert sentence.startswith("The database is signed by key z6Mk")
    assert sentence.endswith("restore it.")
    assert not settings.node_key_path.exists()


GARBAGE = {
    "nothing": b"",
    "text": b"not base64!\n",
    "31 bytes": b"A" * 42 + b"\n",
    "bytes": bytes(range(256)),
    "base64 and text": b"A" * 43 + b"=\ns3cr3t\n",
}


@pytest.mark.parametrize("name", ["node.key", "install.secret"])
@pytest.mark.parametrize("content", GARBAGE.values(), ids=list(GARBAGE))
def test_garbage_instead_of_a_key_is_left_alone(tmp_path: Path, unused_url: str, name: str, content: bytes) -> None:
    file = tmp_path / "data" / name
    file.parent.mkdir()
    file.write_bytes(content)

    sentence = _refused(tmp_path, database_url=unused_url)

    assert name in sentence
    assert file.read_bytes() == content


@pytest.mark.parametrize("setting", ["node_key_file", "secret_file"])
@pytest.mark.parametrize("where", ["nosuch/file", "."], ids=["no folder", "a folder"])
def test_a_key_file_that_cannot_be_one_is_named(tmp_path: Path, unused_url: str, setting: str, where: str) -> None:
    path = tmp_path / where

    assert str(path) in _refused(tmp_path, database_url=unused_url, **{setting: path})


def test_the_key_and_the_secret_may_be_elsewhere(tmp_path: Path, database_url: str) -> None:
    paths = {"node_key_file": tmp_path / "key", "secret_file": tmp_path / "secret"}

    with ready(
        Settings.from_environment(environment(tmp_path / "data", database_url=database_url, **paths)),
        serving=True,
        init=True,
    ):
        pass

    assert {_mode(path) for path in paths.values()} == {0o600}
    assert {file.name for file in (tmp_path / "data").iterdir()} == {"control.token"}


@pytest.mark.parametrize("settings", [{}, {"database_url": NOWHERE}], ids=["embedded", "another"])
def test_a_data_directory_that_cannot_be_one_is_named(tmp_path: Path, settings: dict[str, object]) -> None:
    (tmp_path / "data").write_text("a file")

    assert _refused(tmp_path, **settings) == f"The data directory {tmp_path / 'data'} cannot be used: File exists."


# Extensions.

KIND = """
from schemas.base import Section
from schemas.metadata import metadata_type

class Review(Section, frozen=True, kw_only=True):
    stars: int

metadata_type({name}=Review)
"""

DATA = """
from schemas.base import Section
from schemas.event_data import event_data

class NoteCreated(Section, frozen=True, kw_only=True):
    title: {type}

event_data({{"{name}": NoteCreated}})
"""

COUNT = """
from procedures.context import Context
from procedures.procedure import {kind}
from schemas.base import Input

class CountNotes(Input, frozen=True, kw_only=True):
    pass

@{kind}("{name}", scope=None)
async def count(wanted: {input}, context: Context) -> {output}:
    "How many notes there are."
"""

COUNTING = {"kind": "query", "input": "CountNotes", "output": "int"}

NOTES = (
    KIND.format(name="review")
    + DATA.format(name="note.created", type="str")
    + COUNT.format(name="notes.count", **COUNTING)
)

EXTENSIONS: dict[str, tuple[str, dict[str, str], str]] = {
    "missing in a package": (
        "mine.nosuch",
        {"mine/__init__.py": ""},
        "ModuleNotFoundError: No module named 'mine.nosuch'.",
    ),
    "raising": ("mine", {"mine.py": "raise LookupError('no luck')"}, "LookupError: no luck (mine.py, line 1)."),
    "raising several lines": (
        "mine",
        {"mine.py": "raise LookupError('a\\nb.')"},
        "LookupError: a b (mine.py, line 1).",
    ),
    "raising without a word": ("mine", {"mine.py": "\nassert False"}, "AssertionError (mine.py, line 2)."),
    "raising further in": (
        "mine",
        {"mine.py": "import json, theirs", "theirs.py": "import json\njson.loads('')"},
        "JSONDecodeError: Expecting value: line 1 column 1 (char 0) (theirs.py, line 2).",
    ),
    "ending the process": ("mine", {"mine.py": "import sys\nsys.exit('bye')"}, "SystemExit: bye (mine.py, line 2)."),
    "no Python": ("mine", {"mine.py": "class:"}, "SyntaxError: invalid syntax (mine.py, line 1)."),
    "no text": ("mine", {"mine.py": "\0"}, "Error: source code string cannot contain null bytes"),
    "importing what is missing": (
        "mine",
        {"mine.py": "import nosuch"},
        "ModuleNotFoundError: No module named 'nosuch' (mine.py, line 1).",
    ),
    "importing itself": (
        "mine",
        {"mine.py": "import yours", "yours.py": "from mine import x"},
        "ImportError: cannot import name 'x' from partially initialized module 'mine'",
    ),
    "a built-in kind": (
        "mine",
        {"mine.py": KIND.format(name="ai")},
        "ValueError: metadata kind 'ai' is registered already, by schemas.metadata (mine.py, line 8).",
    ),
    "a kind of another extension": (
        "mine,yours",
        {"mine.py": KIND.format(name="review"), "yours.py": KIND.format(name="review")},
        "'yours' cannot be loaded: ValueError: metadata kind 'review' is registered already, by mine (yours.py",
    ),
    "a name that is none": (
        "mine",
        {"mine.py": KIND.format(name="my_review")},
        "a name must be camelCase, at most 64 letters and digits",
    ),
    "data of another extension": (
        "mine,yours",
        {name: DATA.format(name="note.created", type="str") for name in ("mine.py", "yours.py")},
        "'yours' cannot be loaded: ValueError: event type 'note.created' is registered by mine (yours.py, line 8).",
    ),
    "an event type of the server's": (
        "mine",
        {"mine.py": DATA.format(name="synap.event.erased", type="str")},
        "event type 'synap.event.erased': must not begin with 'synap.': only the server logs those (mine.py, line 8).",
    ),
    "an event type that is none": (
        "mine",
        {"mine.py": DATA.format(name="created", type="str")},
        "event type 'created': Event type must follow dot notation",
    ),
    "data without a contract": (
        "mine",
        {"mine.py": DATA.format(name="note.created", type="complex")},
        "what is registered cannot be served: ",
    ),
    "two Structs of one name": (
        "mine",
        {"mine.py": DATA.format(name="note.created", type="str").replace("NoteCreated", "CaughtUp")},
        "the name CaughtUp is taken by ",
    ),
    "a procedure of ours": (
        "mine",
        {"mine.py": COUNT.format(name="events.log", **COUNTING)},
        "procedure 'events.log' of mine is declared already, by procedures.events.log.",
    ),
    "a procedure among ours": (
        "mine",
        {"mine.py": COUNT.format(name="events.count", **COUNTING)},
        "procedure 'events.count' of mine: the namespace 'events' is the server's own; use another.",
    ),
    "a procedure of another extension": (
        "mine,yours",
        {name: COUNT.format(name="notes.count", **COUNTING) for name in ("mine.py", "yours.py")},
        "procedure 'notes.count' of yours is declared already, by mine.",
    ),
    "a procedure that is a namespace": (
        "mine,yours",
        {
            "mine.py": COUNT.format(name="notes.count", **COUNTING),
            "yours.py": COUNT.format(name="notes.count.all", **COUNTING),
        },
        "notes.count: a procedure cannot be a namespace too.",
    ),
    "a procedure of one word": (
        "mine",
        {"mine.py": COUNT.format(name="notes", **COUNTING)},
        "procedure 'notes' of mine: a name must be two or more camelCase words",
    ),
    "a procedure that no client calls": (
        "mine",
        {"mine.py": COUNT.format(name="notes.then", **COUNTING)},
        "procedure 'notes.then' of mine: clients cannot call a name that contains 'then'; use another.",
    ),
    "a procedure of no Input": (
        "mine",
        {"mine.py": COUNT.format(name="notes.count", **COUNTING | {"input": "Context"})},
        "procedure 'notes.count' of mine: its input must be a subclass of schemas.base.Input.",
    ),
    "a procedure without a contract": (
        "mine",
        {"mine.py": COUNT.format(name="notes.count", **COUNTING | {"output": "complex"})},
        "the output of notes.count: the contract cannot express <class 'complex'>; use ",
    ),
    "a download": (
        "mine",
        {"mine.py": COUNT.format(name="notes.count", **COUNTING | {"kind": "download"})},
        "procedure 'notes.count' of mine: extensions cannot add downloads.",
    ),
    "named app.x": (
        "app.x",
        {"app/__init__.py": "", "app/x.py": ""},
        "the server has a package 'app' of its own; rename yours.",
    ),
    "named schemas": (
        "schemas",
        {"schemas/__init__.py": ""},
        "the server has a package 'schemas' of its own; rename yours.",
    ),
    "named procedures.mine": (
        "procedures.mine",
        {"procedures/__init__.py": "", "procedures/mine.py": ""},
        "the server has a package 'procedures' of its own; rename yours.",
    ),
    "named as one of Python's": (
        "json",
        {"json.py": KIND.format(name="review")},
        "Python finds another module 'json' first, ",
    ),
    "named as one that we use": (
        "msgspec",
        {"msgspec/__init__.py": ""},
        "Python finds another module 'msgspec' first, ",
    ),
    "an empty name": (".", {}, "'.' cannot be loaded: "),
}


def _write(folder: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_text(content)


@pytest.mark.parametrize(("names", "files", "expected"), EXTENSIONS.values(), ids=list(EXTENSIONS))
def test_a_bad_extension_is_one_sentence(tmp_path: Path, names: str, files: dict[str, str], expected: str) -> None:
    _write(tmp_path, files)

    sentence = _sentence(_synap(tmp_path, "serve", port=free_port(), extensions=names))

    assert sentence.startswith("SYNAP_EXTENSIONS: ")
    assert expected in sentence
    assert not (tmp_path / "data").exists()


def test_an_extension_may_be_loaded_twice(tmp_path: Path) -> None:
    twice = "import importlib, sys\nimport notes\nimportlib.reload(sys.modules['notes'])\n"
    _write(tmp_path, {"twice.py": twice, "notes.py": NOTES})

    contract = _printed(_synap(tmp_path, "contract", "--typescript", extensions="twice,notes,notes"))

    assert contract.count("export interface NoteCreated ") == 1
    assert contract.count("  review?: Review;") == 1
    assert contract.count(" count: TRPCQueryProcedure<{ input: CountNotes | void;") == 1


def test_a_type_that_shrinks_is_one_sentence(tmp_path: Path, database_url: str) -> None:
    data = DATA.format(name="note.created", type="str")
    _write(tmp_path, {"data/notes.py": data, "notes.py": data.replace("title: str", "title: int")})
    with serving(tmp_path / "data", database_url=database_url, extensions="notes") as server:
        assert server.mutate("events.log", {**EVENT, "data": {"title": "x"}}).status_code == 200

    sentence = _sentence(_synap(tmp_path, "serve", port=free_port(), database_url=database_url, extensions="notes"))

    assert sentence == (
        "The data of the event type 'note.created' has changed, but events with its earlier form are stored: title "
        "was string and is integer; register it for another type, or accept everything that was valid before."
    )


def test_a_type_may_grow_and_go(tmp_path: Path, database_url: str) -> None:
    data = DATA.format(name="note.created", type="str")
    _write(tmp_path, {"notes.py": data, "grown.py": data.replace("title: str", "title: str | int | None = None")})
    for extensions, title in [("notes", "x"), ("grown", 1), ("", [])]:
        with serving(tmp_path, database_url=database_url, extensions=extensions) as server:
            assert server.mutate("events.log", {**EVENT, "data": {"title": title}}).status_code == 200


SHADOWED = "raise RuntimeError('shadowed')"

SHADOWS = [
    *[f"app/{module}.py" for module in ("__init__", "cli", "main", "settings")],
    *[f"schemas/{module}.py" for module in ("__init__", "base", "event")],
    *[f"procedures/{module}.py" for module in ("__init__", "registry")],
    *["msgspec.py", "litestar.py", "uuid.py", "logging.py"],
]


@pytest.fixture
def shadowed(tmp_path: Path) -> Path:
    """A developer's folder with modules that have the names of ours and of our dependencies, and with the example."""
    _write(tmp_path, dict.fromkeys(SHADOWS, SHADOWED))
    shutil.copy(EXAMPLE, tmp_path)
    return tmp_path


def test_a_developers_own_folders_shadow_nothing(shadowed: Path, database_url: str) -> None:
    with serving(shadowed, database_url=database_url, extensions="review") as server:
        answer = server.mutate("events.log", {**EVENT, "metadata": {"review": {"stars": 9}}})

    assert [issue["path"] for issue in answer.json()["error"]["data"]["issues"]] == [
        "metadata.review.stars",
        "metadata.review.verdict",
    ]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("contract.ts", ["--typescript"]),
        ("contract.d.ts", ["--typescript"]),
        ("contract.json", ["--json-schema"]),
        ("openapi.json", ["--openapi"]),
    ],
)
def test_a_contract_that_is_kept_is_checked(tmp_path: Path, name: str, options: list[str]) -> None:
    path = tmp_path / name
    path.write_text(_printed(_synap(tmp_path, "contract", *options)))

    same = _synap(tmp_path, "contract", "--check", name)
    path.write_text(path.read_text().replace("BrowseEvents", "ScanEvents"))
    other = _synap(tmp_path, "contract", "--check", name)

    assert (same.returncode, same.stdout) == (0, f"{name} is the contract of this server.\n")
    assert (other.returncode, other.stderr) == (1, "")
    assert other.stdout.startswith(
        f"{name} is not the contract of this server. To renew it: synap contract {options[0]} >"
    )
    changed = [line for line in other.stdout.splitlines() if line.startswith(("-", "+"))]
    assert all("ScanEvents" in line for line in changed if line.startswith("-") and not line.startswith("---"))
    assert any("BrowseEvents" in line for line in changed)


def test_a_contract_in_declarations_is_checked_too(tmp_path: Path) -> None:
    whole = _printed(_synap(tmp_path, "contract", "--typescript"))
    (tmp_path / "contract.d.ts").write_text(whole.partition("\n/** The version of this contract.")[0])

    assert _synap(tmp_path, "contract", "--check", "contract.d.ts").returncode == 0


def test_another_transformer_makes_another_contract(tmp_path: Path) -> None:
    (tmp_path / "contract.ts").write_text(_printed(_synap(tmp_path, "contract", "--typescript")))

    checked = _synap(tmp_path, "contract", "--check", "contract.ts", transformer="superjson")

    assert checked.returncode == 1
    assert "+  { ctx: object; meta: object; errorShape: ErrorShape; transformer: true }," in checked.stdout


def test_the_contract_has_the_kinds_of_extensions(shadowed: Path) -> None:
    contract = _printed(_synap(shadowed, "contract", "--typescript", extensions="review"))

    assert "export interface Review {" in contract
    assert "AppRouter" in contract
    assert not (shadowed / "data").exists()
