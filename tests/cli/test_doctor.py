"""`synap doctor`: it checks an install, and compares its logs with a checkpoint that was stored elsewhere."""

import itertools
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from app.cli.doctor.checkpoints import prove
from app.cli.doctor.examine import examine
from app.cli.doctor.finding import Finding
from app.cli.main import cli
from app.cli.verify.evidence import UnreadableError
from app.ledger import checkpoint
from app.ledger.chain import NODE_LOG
from app.ledger.checkpoint import Checkpoint, parse
from app.ledger.keyring import Keyring
from app.ledger.merkle import Frontier
from app.ledger.signer import Signer
from app.ledger.vkeys import COSIGNATURE, of_kid
from app.sealing.webhook_secrets import Sealer
from app.server.install import ready
from app.settings import Settings
from app.store.install.deletion import delete_workspace
from app.store.install.inspection import unsafe_settings
from app.store.install.install import connect, find_identity
from app.store.install.rotation import rotate_key
from app.store.install.secret import adopt_secret, read_secret
from app.store.postgres.admission import HBA
from app.store.postgres.postmaster import url_of_server
from app.store.postgres.roles import SERVER, grant_serving, make_server_role
from benchmarks.process import free_port
from tests.kit.checks import check_log
from tests.kit.servers import cloned, environment, serving, until
from tests.store.opened import Store, draft, opened

_numbers = itertools.count()


@pytest.fixture(scope="module", autouse=True)
def _durable(postgres_url: str) -> Iterator[None]:
    """Make the shared PostgreSQL wait for the disk, as an operator's does."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        for setting in ("fsync", "full_page_writes"):
            connection.execute(f"ALTER SYSTEM RESET {setting}")
        connection.execute("SELECT pg_reload_conf()")
        until(lambda: not unsafe_settings(connection))
        yield
        for setting in ("fsync", "full_page_writes"):
            connection.execute(f"ALTER SYSTEM SET {setting} = off")
        connection.execute("SELECT pg_reload_conf()")


@pytest.fixture
def store(database_url: str, tmp_path: Path) -> Store:
    """A closed install of the test's own with 300 events; its files are in `data`."""
    (tmp_path / "data").mkdir()
    with opened(database_url, tmp_path / "data", workspaces=["acme"]) as store:
        store.append(*[draft() for _ in range(300)])
        store.append(draft(), workspace="acme")
    return store


@contextmanager
def _reopened(store: Store, url: str | None = None) -> Iterator[Store]:
    with opened(url or store.url, store.keys.path.parent) as again:
        yield again


@contextmanager
def _backup(store: Store, postgres_url: str) -> Iterator[str]:
    """A copy of the database, to which nobody may be connected."""
    name = store.url.split("?")[0].rsplit("/", 1)[1]
    with cloned(postgres_url, name, f"test_backup_{next(_numbers)}") as url:
        yield url


def _note(store: Store, log: str = "default", signer: Signer | None = None, origin: str | None = None) -> str:
    """The current checkpoint of a log, signed by the key in force or by another one."""
    with connect(store.url) as connection:
        identity = find_identity(connection)
        leaves = connection.execute("SELECT hash FROM event WHERE workspace_id = %s ORDER BY seq", [log]).fetchall()
    assert identity is not None
    tree = Frontier()
    for (leaf,) in leaves:
        tree.push(leaf)
    signer = signer or Keyring(store.keys.path).signer(identity.kid)
    assert signer is not None
    return checkpoint.sign(Checkpoint(f"{origin or identity.origin}/{log}", tree.size, tree.root()), signer)


def _prove(url: str, note: str) -> Finding:
    with connect(url) as connection:
        return prove(connection, parse(note))


def test_a_log_that_went_on_extends_its_checkpoint(store: Store) -> None:
    notes = [_note(store)]
    with _reopened(store) as again:
        again.append(draft())
        notes.append(_note(store))
        with connect(store.url) as connection:
            rotate_key(connection, Keyring(store.keys.path))
        notes.append(_note(store))
        again.append(draft())
    notes.append(_note(store, "_node"))

    findings = [_prove(store.url, note) for note in notes]

    assert [finding.is_right for finding in findings] == [True] * 4
    assert findings[0].sentence == "The log default extends the checkpoint of its first 300 events."
    assert "its first 301 events" in findings[1].sentence
    assert "its first 302 events" in findings[2].sentence


def test_a_checkpoint_of_an_empty_log_is_extended(store: Store) -> None:
    note = _note(store, "_node")
    assert parse(note).checkpoint.size == 0

    assert _prove(store.url, note).is_right


def test_a_restore_from_an_older_backup_is_found(store: Store, postgres_url: str) -> None:
    with _backup(store, postgres_url) as backup:
        with _reopened(store) as again:
            again.append(draft())
        note = _note(store)

        restored = _prove(backup, note)
        with _reopened(store, backup) as again:
            again.append(draft(), draft())
        gone_on = _prove(backup, note)
        check_log(backup)

    assert _prove(store.url, note).is_right
    assert not restored.is_right
    assert restored.sentence.startswith("The log default has 300 events, but had 301 when the checkpoint was signed: ")
    # It has as many events as before, but different ones.
    assert not gone_on.is_right
    assert gone_on.sentence.startswith("The first 301 events of the log default are not the events ")


def test_a_backup_from_before_the_log_or_the_key_is_found(store: Store, postgres_url: str) -> None:
    with _backup(store, postgres_url) as backup:
        with _reopened(store) as again, connect(store.url) as connection:
            note = _note(store, "acme")
            rotate_key(connection, Keyring(store.keys.path))
            later = _note(again)
        with connect(backup) as connection:
            connection.execute("DELETE FROM event_tip WHERE workspace_id = 'acme'")

        without_log, without_key = _prove(backup, note), _prove(backup, later)

    assert without_log.sentence.startswith("There is no log acme: the database is a backup from before ")
    assert without_key.sentence.endswith("or the database is a backup from before a change of keys.")
    assert not without_log.is_right
    assert not without_key.is_right


REWRITTEN = {
    "a hash": "UPDATE event SET hash = sha256(hash) WHERE workspace_id = 'default' AND seq = 150",
    "the first": "UPDATE event SET hash = sha256(hash) WHERE workspace_id = 'default' AND seq = 0",
    "the last": "UPDATE event SET hash = sha256(hash) WHERE workspace_id = 'default' AND seq = 299",
    "one that is gone": "DELETE FROM event WHERE workspace_id = 'default' AND seq = 150",
}


@pytest.mark.parametrize("statement", REWRITTEN.values(), ids=list(REWRITTEN))
def test_another_history_is_found(store: Store, statement: str) -> None:
    note = _note(store)
    with connect(store.url) as connection:
        connection.execute("ALTER TABLE event DISABLE TRIGGER event_kept")
        connection.execute(statement)

    finding = _prove(store.url, note)

    assert not finding.is_right
    assert finding.sentence.startswith("The first 300 events of the log default are not the events ")


def test_a_note_of_another_origin_or_key_proves_nothing(store: Store) -> None:
    stranger = Signer(bytes(32))

    foreign = _prove(store.url, _note(store, origin="elsewhere.example"))
    forged = _prove(store.url, _note(store, signer=stranger))
    nosuch = _prove(store.url, _note(store, "nosuch"))

    assert foreign.sentence.startswith(
        "The checkpoint belongs to elsewhere.example/default, which is not a log of this "
    )
    assert forged.sentence.startswith("None of the install's keys in this database signed the checkpoint: ")
    assert nosuch.sentence.startswith("There is no log nosuch")
    assert not any(finding.is_right for finding in (foreign, forged, nosuch))


def test_a_deleted_log_is_named_as_such(store: Store) -> None:
    note = _note(store, "acme")
    with connect(store.url) as connection:
        delete_workspace(connection, "acme")

    assert _prove(store.url, note) == Finding(is_right=False, sentence="The log acme was deleted.")


# The install itself.


def _settings(store: Store, **more: object) -> Settings:
    folder = store.keys.path.parent
    return Settings.from_environment(environment(folder, **{"database_url": store.url, "port": free_port()} | more))


def _secret(store: Store) -> Path:
    return store.keys.path.with_name("install.secret")


def _wrong(store: Store, **more: object) -> list[str]:
    """The findings that are wrong. All others must be right."""
    return [finding.sentence for finding in examine(_settings(store, **more)) if not finding.is_right]


def test_a_good_install_has_a_line_for_each_check(store: Store) -> None:
    before = {path: path.read_bytes() for path in store.keys.path.parent.iterdir()}

    with connect(store.url) as connection:
        make_server_role(connection)
        grant_serving(connection, SERVER)

    findings = list(examine(_settings(store, database_url=url_of_server(store.url))))

    assert [str(finding)[:4] for finding in findings] == ["ok: "] * 19
    assert {path: path.read_bytes() for path in store.keys.path.parent.iterdir()} == before


def test_what_witnesses_say_is_reported(store: Store, tmp_path: Path) -> None:
    with _reopened(store) as again:
        node = again.run(again.ledger().current(NODE_LOG))
    file = tmp_path / "policy"
    keys = [of_kid(f"w{number}", Signer(bytes([number]) * 32).kid, COSIGNATURE).spelled() for number in range(4)]
    witnesses = "".join(f"witness w{number} {key} https://w.example\n" for number, key in enumerate(keys[:3]))
    file.write_text(f"log {node.vkey}\n{witnesses}witness w3 {keys[3]}\nquorum w0\n")
    stands = [(keys[0], 0, None, None), (keys[1], 2, "It answered 500", None), (keys[2], 1, "It said", "It said")]
    with connect(store.url) as connection:
        for key, failures, problem, alarm in stands:
            connection.execute(
                "INSERT INTO node_witness (workspace_id, key, size, due_at, failures, problem, alarm) "
                "VALUES ('_node', %s, 1, now(), %s, %s, %s)",
                [key, failures, problem, alarm],
            )

    def said(**more: object) -> list[str]:
        found = examine(_settings(store, witness_policy=file, **more))
        about = ("The witness ", "The policy ", "No quorum ")
        return [str(each) for each in found if each.sentence.startswith(about)]

    expected = (
        "hint: The witness w3 is not asked: it has no URL, or its key is not of Ed25519.",
        "hint: The witness w1 failed 2 times since it cosigned. It answered 500.",
        "wrong: The witness w2 does not vouch for _node. It said. If this database is a restored",
        "hint: No quorum of witnesses has cosigned _node yet.",
    )
    for line, beginning in zip(said(), expected, strict=True):
        assert line.startswith(beginning)
    file.write_text(f"log {of_kid('another', Signer(bytes(32)).kid).spelled()}\nquorum none\n")
    [line] = said()
    assert line.startswith(f"wrong: The policy {file} in SYNAP_WITNESS_POLICY names the log another; its log lines")
    file.write_text("quorum none\n")
    assert said()[0] == (
        "hint: The policy lacks the key of _node that is in force, so its readers will reject checkpoints: "
        f"{node.vkey}."
    )


def test_a_role_that_could_switch_off_the_triggers_is_a_hint(store: Store) -> None:
    hints = [str(finding) for finding in examine(_settings(store)) if finding.is_hint]

    assert hints[0].startswith("hint: The role postgres is a superuser, so it could switch off the triggers that ")
    assert hints[0].endswith("; let another role serve (synap migrate --grant ROLE).")


OPENED = {
    "the data directory": ("", 0o777, "The data directory {} can be written by every user: "),
    "the database": ("postgres", 0o750, "Other users may enter {}; "),
    "its socket": ("postgres/.s.PGSQL.5432", 0o777, "Others reach the socket of the database: {}; "),
    "the token": ("control.token", 0o604, "Other users may read {}; "),
    "a key of before": ("node.key.zOld", 0o640, "Other users may read {}; "),
}


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        pytest.param(
            "ALTER TABLE event DISABLE TRIGGER event_kept",
            "run, as the owner of the tables, ALTER TABLE event ENABLE ALWAYS TRIGGER event_kept. Then",
            id="off",
        ),
        pytest.param(
            "ALTER TABLE audit_entry ENABLE TRIGGER audit_kept_whole",
            "ALTER TABLE audit_entry ENABLE ALWAYS TRIGGER audit_kept_whole. Then",
            id="off for replicas",
        ),
        pytest.param("DROP TRIGGER event_kept_whole ON event", "log are missing: event_kept_whole; restore", id="gone"),
    ],
)
def test_a_trigger_that_does_not_protect_is_reported(store: Store, statement: str, sentence: str) -> None:
    with connect(store.url) as connection:
        connection.execute(statement)

    [finding] = [each for each in _wrong(store) if "riggers that protect the log" in each]

    assert sentence in finding


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose path is short enough for a socket, wherever temporary files are."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder)


def test_what_other_users_can_reach_is_reported(short_folder: Path) -> None:
    settings = Settings.from_environment(environment(short_folder / "data", port=free_port()))
    with ready(settings, serving=True, init=True):
        (settings.data_dir / "node.key.zOld").touch(mode=0o600)
        right = [str(finding) for finding in examine(settings)]
        said = {}
        for name, mode, _ in OPENED.values():
            path = settings.data_dir / name
            before = path.stat().st_mode
            path.chmod(mode)
            said[name] = [finding.sentence for finding in examine(settings) if not finding.is_right]
            path.chmod(before)
        (settings.data_dir / "postgres" / HBA).write_text("local all all trust\n")
        trusting = [finding.sentence for finding in examine(settings) if not finding.is_right]

    assert [line for line in right if not line.startswith("ok: ")] == []
    assert right[0].startswith("ok: The embedded database answers (PostgreSQL 18.")
    assert "ok: The role synap cannot switch off the triggers that protect the log." in right
    for name, _, begin in OPENED.values():
        (sentence,) = said[name]
        assert sentence.startswith(begin.format(settings.data_dir / name))
    assert len(trusting) == 1
    assert trusting[0].endswith("is not as the server writes it, so others may log in; restart the server.")


def test_each_fault_is_reported(store: Store) -> None:
    secret, key = _secret(store), store.keys.path
    kept = secret.read_text()
    key.chmod(0o640)
    assert _wrong(store) == [f"Other users may read {key}; give them to this user, with mode 0600."]
    key.chmod(0o600)
    secret.write_text("s3cr3t\n")
    (sentence,) = _wrong(store)
    assert sentence.startswith(f"{secret} does not hold an install secret")
    assert "s3cr3t" not in sentence
    secret.write_text("B" * 43 + "=\n")
    (sentence,) = _wrong(store)
    assert sentence.startswith(f"The install secret in {secret} is not that of this database; copy the file from ")
    secret.write_text(kept)
    key.rename(key.with_name("elsewhere"))
    (sentence,) = _wrong(store)
    assert sentence.startswith("The signing key in force, z6Mk")
    assert sentence.endswith("restore it.")
    key.with_name("elsewhere").rename(key)
    assert _wrong(store) == []


def test_a_tip_that_is_not_the_last_event_is_reported(store: Store) -> None:
    with connect(store.url) as connection:
        connection.execute("UPDATE event_tip SET seq = 298 WHERE workspace_id = 'default'")
        connection.execute("UPDATE event_tip SET kid = 'z6Mk' WHERE workspace_id = '_node'")

    (sentence,) = _wrong(store)

    assert sentence == (
        "The tips of these logs are not their last events under the signing key in force: _node, default; restore the "
        "database from a backup."
    )


def test_an_old_schema_and_a_database_that_is_away_are_reported(store: Store, tmp_path: Path) -> None:
    with psycopg.connect(store.url, autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0004'")
        old = _wrong(store)
        connection.execute("UPDATE alembic_version SET version_num = '9999', serves_from = '9998'")
        new = _wrong(store)
        connection.execute("ALTER TABLE alembic_version RENAME version_num TO number")
        broken = _wrong(store)

    assert old[0].startswith("The schema is at 0004, not at ")
    assert new == ["The schema is at 9999, which a newer version of this server made; run that one."]
    assert broken == ['The database refuses: column "version_num" does not exist.']
    assert _wrong(store, database_url="postgresql://u:s3cr3t@127.0.0.1:1/nosuch")[0].startswith(
        "The database cannot be reached: "
    )
    embedded = Settings.from_environment(environment(tmp_path / "nosuch"))
    first = next(examine(embedded))
    assert first.sentence == f"There is no database in {tmp_path / 'nosuch'}; synap serve makes one."
    assert not (tmp_path / "nosuch").exists()


def test_an_unreadable_data_directory_is_reported(tmp_path: Path) -> None:
    closed = tmp_path / ("x" * 300)

    findings = list(examine(Settings.from_environment(environment(closed, port=free_port()))))

    assert str(findings[0]) == f"wrong: The data directory {closed} cannot be used: File name too long."
    assert [finding.is_right for finding in findings[:3]] == [False] * 3


def test_what_will_stop_the_install_is_reported(store: Store, postgres_url: str) -> None:
    with psycopg.connect(store.url, autocommit=True) as connection:
        connection.execute("UPDATE event_tip SET recorded_at = now() + interval '1 hour' WHERE workspace_id = 'acme'")
        connection.execute("UPDATE api_key SET revoked_at = now()")
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        try:
            connection.execute("ALTER SYSTEM SET full_page_writes = off")
            connection.execute("SELECT pg_reload_conf()")
            said = until(lambda: [line for line in _wrong(store) if "full_page_writes" in line])
            wrong = _wrong(store)
        finally:
            connection.execute("ALTER SYSTEM RESET full_page_writes")
            connection.execute("SELECT pg_reload_conf()")

    assert said[0].startswith("PostgreSQL runs with full_page_writes=off: ")
    assert wrong[1].startswith("The last event of these logs has a time in the future: acme; ")
    assert wrong[2] == "No API key is valid, so nobody can call the server; create one: synap keys create."


def test_a_control_token_of_another_install_and_one_that_is_none_are_reported(store: Store) -> None:
    token = store.keys.path.with_name("control.token")
    token.write_text("sk_control_of_another\n")

    (sentence,) = _wrong(store)
    token.write_text("sk_é\n")
    (unread,) = _wrong(store)

    assert unread == f"The control token {token} cannot be read: a token is text in ASCII."
    assert sentence.startswith(f"The control token in {token} belongs to no valid key; ")
    assert "sk_control" not in sentence


def test_webhooks_that_make_no_progress_are_reported(store: Store) -> None:
    sealed = Sealer(read_secret(_secret(store))).seal("whsec_x", "acme", "sub_1")
    with psycopg.connect(store.url, autocommit=True) as connection:
        connection.execute("INSERT INTO dispatch (workspace_id, seq, version) VALUES ('acme', 0, 0)")
        connection.execute(
            "INSERT INTO subscription (workspace_id, id, event_types, url, ordered, state, secret, weak_secret, "
            "created_at) VALUES ('acme', 'sub_1', '{*}', 'https://example.com', false, 'active', %s, false, now())",
            [sealed],
        )
        connection.execute(
            "INSERT INTO delivery (workspace_id, subscription_id, delivery_seq, seq, ordered, created_at, due_at) "
            "VALUES ('acme', 'sub_1', 1, 0, false, now(), now() - interval '1 hour')"
        )
        late = _wrong(store)
        connection.execute("UPDATE subscription SET state = 'disabled'")
        disabled = _wrong(store)
        connection.execute("DELETE FROM delivery")
        connection.execute("UPDATE subscription SET state = 'active'")
        assert _wrong(store) == []
        secret = _secret(store)
        secret.unlink()
        adopt_secret(connection, secret)
        (shut,) = _wrong(store)

    assert shut.startswith(f"The install secret in {secret} does not open the secrets of these webhooks: acme/sub_1; ")
    assert late[0].startswith("Webhook deliveries are overdue (1 wait), the oldest by 3600 s: ")
    assert disabled[0].startswith("The server disabled these webhooks: acme/sub_1; ")


def test_ports_and_extensions_are_checked(store: Store) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0)
        port = listener.getsockname()[1]
        taken = _wrong(store, port=port, extensions="nosuch")
    ports = [free_port(), free_port()]
    with serving(store.keys.path.parent, database_url=store.url, port=ports[0], ledger_port=ports[1]):
        served = list(examine(_settings(store, port=ports[0], ledger_port=ports[1])))

    assert taken[0].startswith(f"Port {port} on 127.0.0.1 cannot be used (Address already in use); ")
    assert taken[1].startswith("SYNAP_EXTENSIONS: 'nosuch' cannot be loaded: ")
    assert [finding.sentence for finding in served[-2:]] == [
        f"A server answers at 127.0.0.1, port {port}." for port in ports
    ]


@pytest.mark.usefixtures("started_before")
def test_the_disk_is_checked_if_the_database_is_embedded(data_dir: Path) -> None:
    with serving(data_dir):
        settings = Settings.from_environment(environment(data_dir, port=free_port()))

        sentences = [finding.sentence for finding in examine(settings)]

    (said,) = [sentence for sentence in sentences if "GiB" in sentence]
    assert str(data_dir) in said


# The command.


@pytest.fixture
def administered(store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The environment of an operator, for commands that run in this process."""
    for name, value in environment(store.keys.path.parent, database_url=store.url, port=free_port()).items():
        monkeypatch.setenv(name, value)
    return store


def test_the_exit_code_says_whether_the_checkpoint_holds(
    administered: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    note = tmp_path / "note"
    note.write_text(_note(administered))
    cli(["doctor", "--checkpoint", str(note)], result_action="return_none")
    assert capsys.readouterr().out == "ok: The log default extends the checkpoint of its first 300 events.\n"

    note.write_text(_note(administered, signer=Signer(bytes(32))))
    with pytest.raises(SystemExit) as exited:
        cli(["doctor", "--checkpoint", str(note)])
    assert exited.value.code == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("wrong: None of the install's keys ")


def test_the_command_without_a_note_checks_the_install(administered: Store, capsys: pytest.CaptureFixture[str]) -> None:
    cli(["doctor"], result_action="return_none")
    assert all(line.startswith(("ok: ", "hint: The role ")) for line in capsys.readouterr().out.splitlines())

    administered.keys.path.chmod(0o644)
    with pytest.raises(SystemExit) as exited:
        cli(["doctor"])
    assert exited.value.code == 1
    assert [line[:6] for line in capsys.readouterr().out.splitlines()].count("wrong:") == 1


@pytest.mark.parametrize("text", [None, b"", b"no note\n", b"\xff\xfe", b"a" * 100_000])
@pytest.mark.usefixtures("administered")
def test_a_file_that_is_no_note_is_one_sentence(tmp_path: Path, text: bytes | None) -> None:
    note = tmp_path / "note"
    if text is not None:
        note.write_bytes(text)

    with pytest.raises(UnreadableError, match=r"note cannot be read: [^\n]+\.$"):
        cli(["doctor", "--checkpoint", str(note)], result_action="return_none")
