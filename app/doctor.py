"""What `synap doctor` looks at: an install as it is, and whether a log still extends a checkpoint that was kept."""

import os
from collections.abc import Iterator
from contextlib import ExitStack

import psycopg
from msgspec import Struct

from app.ledger.checkpoint import Note, is_signed_by
from app.ledger.keyring import Keyring
from app.settings import Settings
from app.start import database, read_secret
from app.store import inspection
from app.store.embedded import DataDirectoryError
from app.store.install import Identity, InstallError, connect, find_identity, head
from app.store.key_history import kids


class Finding(Struct, frozen=True):
    """What was looked at, and whether it is right: one sentence."""

    is_right: bool
    sentence: str

    def __str__(self) -> str:
        """A line for the operator."""
        return f"{'ok' if self.is_right else 'wrong'}: {self.sentence}"


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at the install of `settings` without changing it: what is cheap to see. Servers may run."""
    with ExitStack() as stack:
        try:
            if settings.database_url is None and not (settings.data_dir / "postgres").exists():
                raise InstallError(f"There is no database in {settings.data_dir}; synap serve makes one.")
            connection = stack.enter_context(connect(stack.enter_context(database(settings, serving=False))))
        except (DataDirectoryError, InstallError) as error:
            yield Finding(is_right=False, sentence=str(error))
        else:
            version = connection.info.server_version
            yield Finding(is_right=True, sentence=f"The database answers (PostgreSQL {version // 10000}).")
            yield from _database(settings, connection)
    yield from _files(settings)


def prove(connection: psycopg.Connection, note: Note) -> Finding:
    """Whether the log that a note names still begins with the events that it is of."""
    checkpoint = note.checkpoint
    identity = find_identity(connection)
    if identity is None:
        return _wrong("The database has no install.")
    log = checkpoint.origin.removeprefix(f"{identity.origin}/")
    if fault := _origin_fault(connection, note, identity, log) or _size_fault(connection, log, checkpoint.size):
        return _wrong(fault)
    tree = inspection.tree(connection, log, checkpoint.size)
    if tree.size != checkpoint.size or tree.root() != checkpoint.root:
        return _wrong(
            f"The first {checkpoint.size} events of the log {log} are not those that the checkpoint was signed for: "
            "its history is another."
        )
    return Finding(is_right=True, sentence=f"The log {log} extends the checkpoint of its first {tree.size} events.")


def _origin_fault(connection: psycopg.Connection, note: Note, identity: Identity, log: str) -> str | None:
    origin = note.checkpoint.origin
    if log == origin or "/" in log:
        return f"The checkpoint is of {origin}, which is no log of this install ({identity.origin}/...)."
    if not any(is_signed_by(note, kid) for kid in kids(connection, identity.node)):
        return (
            "The checkpoint is not signed by a key that this database knows to be the install's: it is forged, or the "
            "database is a backup from before a change of keys."
        )
    return None


def _size_fault(connection: psycopg.Connection, log: str, size: int) -> str | None:
    has = inspection.log_size(connection, log)
    if has is None and inspection.is_deleted(connection, log):
        return f"The log {log} was deleted."
    if has is None:
        return f"There is no log {log}: the database is a backup from before it was opened."
    if has < size:
        return (
            f"The log {log} has {has} events, but had {size} when the checkpoint was signed: the database is an older "
            "backup, or events were cut off."
        )
    return None


def _database(settings: Settings, connection: psycopg.Connection) -> Iterator[Finding]:
    revision = inspection.revision(connection)
    if revision != head():
        yield _wrong(f"The schema is at {revision or 'none'}, not at {head()}; synap migrate brings it there.")
        return
    yield Finding(is_right=True, sentence=f"The schema is at its newest version ({revision}).")
    identity = find_identity(connection)
    if identity is None:
        yield _wrong("The database has no install yet; synap serve makes one.")
        return
    yield _key(settings, identity)
    if loose := inspection.loose_tips(connection):
        yield _wrong(f"Logs whose tip is not their last event under the key in force: {', '.join(loose)}.")
    else:
        yield Finding(is_right=True, sentence="Every log ends where its tip says, under the key in force.")


def _key(settings: Settings, identity: Identity) -> Finding:
    try:
        signer = Keyring(settings.node_key_path).signer(identity.kid)
    except (ValueError, OSError) as error:
        return _wrong(f"The signing key cannot be read: {error}.")
    if signer is None:
        return _wrong(f"The key in force {identity.kid} is not in {settings.node_key_path}; restore it.")
    return Finding(is_right=True, sentence=f"The key in force {identity.kid} is here.")


def _files(settings: Settings) -> Iterator[Finding]:
    try:
        read_secret(settings.secret_path)
        yield Finding(is_right=True, sentence=f"The install secret {settings.secret_path} can be read.")
    except InstallError as error:
        yield Finding(is_right=False, sentence=str(error))
    key = settings.node_key_path
    secrets = [key, *sorted(key.parent.glob(f"{key.name}.z*")), settings.secret_path, settings.control_token_path]
    there = [path for path in secrets if path.exists()]
    if open_ := [str(path) for path in there if path.stat().st_mode & 0o077 or path.stat().st_uid != os.geteuid()]:
        yield _wrong(f"Others than this user may read: {', '.join(open_)}; their mode should be 0600.")
    else:
        yield Finding(is_right=True, sentence=f"Only this user may read the {len(there)} files of keys and secrets.")


def _wrong(sentence: str) -> Finding:
    return Finding(is_right=False, sentence=sentence)
