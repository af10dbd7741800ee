"""What an install has once: its schema, its identity and its first key. Made by one process at a time."""

import pkgutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from msgspec import Struct

from app.ledger.keyring import Keyring
from app.ledger.signer import Signer, write_secret
from app.store.inspection import revision
from app.store.keys import insert_key
from app.store.workspaces import NODE_LOG, create_workspace
from schemas.principal import EVERY

CONTROL_KEY_ID = "control"
DEFAULT_WORKSPACE = "default"
_SETUP_LOCK = 0x53594E4150

MIGRATIONS = Path(__file__).parent / "migrations"
"""A file is named by its revision, which is a number: `0001_the_event_log.py`."""


class InstallError(Exception):
    """The install cannot be used as it is; the message is one sentence for the operator."""


@contextmanager
def connect(url: str) -> Iterator[psycopg.Connection]:
    """One connection for set-up and administration, in autocommit mode. Raises InstallError where there is none."""
    try:
        connection = psycopg.connect(url, autocommit=True, connect_timeout=5, application_name="synap admin")
    except psycopg.ProgrammingError:
        # Its message quotes the URL, password and all.
        raise InstallError("The database cannot be reached: SYNAP_DATABASE_URL is no URL that libpq reads.") from None
    except psycopg.Error as error:
        raise InstallError(f"The database cannot be reached: {_first_line(error)}.") from None
    with connection:
        if connection.info.server_version < 150000:
            raise InstallError("The database is older than PostgreSQL 15; use 15 or later.")
        yield connection


def migrate(url: str) -> None:
    """Bring the schema to its newest version; a second process waits for the first. Raises InstallError."""
    with connect(url) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (_SETUP_LOCK,))
        current = revision(connection)
        if current not in {None, *_revisions()}:
            raise InstallError("The database was migrated by a newer version of this server; run that one.")
        if current != head():
            _upgrade(url)


def head() -> str:
    """The newest revision of the schema."""
    return max(_revisions())


class Identity(Struct, frozen=True):
    """Who an install is: its node id, the kid in force, and the first part of its checkpoints' origins."""

    node: str
    kid: str
    origin: str


def set_up(
    connection: psycopg.Connection,
    node_key: Path,
    control_token: Path,
    new_token: str,
    origin: str | None = None,
    *,
    without_key: bool = False,
) -> Identity:
    """Make what the first start makes: node key, install row, workspace `default`, control token. Idempotent.

    `new_token` becomes the control token, and is written to `control_token`, where there is none yet. Raises
    InstallError for a signing key that is not this install's, for a lost one (unless it may be `without_key`), and for
    an `origin` that is another.
    """
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_SETUP_LOCK,))
        connection.execute("SELECT FROM install FOR KEY SHARE")  # the key in force stays so until its file is looked at
        identity = find_identity(connection)
        if identity is None:
            signer = _first_key(node_key)
            identity = Identity(signer.did, signer.kid, origin or signer.kid)
            connection.execute(
                "INSERT INTO install (id, node, kid, origin, created_at) VALUES (1, %s, %s, %s, %s)",
                (identity.node, identity.kid, identity.origin, datetime.now(UTC)),
            )
            create_workspace(connection, DEFAULT_WORKSPACE)
        elif not without_key:
            _require_key(node_key, identity.kid)
        if origin not in {None, identity.origin}:
            raise InstallError(f"SYNAP_ORIGIN was {identity.origin} at the first start; it cannot change.")
        create_workspace(connection, NODE_LOG)
        if connection.execute("SELECT FROM api_key WHERE id = %s", (CONTROL_KEY_ID,)).fetchone() is None:
            insert_key(
                connection, CONTROL_KEY_ID, new_token, user_id=CONTROL_KEY_ID, scopes=[EVERY], workspaces=[EVERY]
            )
            control_token.unlink(missing_ok=True)  # of an install that this database does not know
            write_secret(control_token, new_token)
    return identity


def find_identity(connection: psycopg.Connection) -> Identity | None:
    """Who the install in this database is; None before its first start."""
    row = connection.execute("SELECT node, kid, origin FROM install").fetchone()
    return None if row is None else Identity(*row)


def _require_key(node_key: Path, kid: str) -> None:
    """Raise InstallError unless the key in force is in its file; a change of keys that was interrupted is finished."""
    keys = Keyring(node_key)
    try:
        if keys.signer(kid) is not None:
            keys.put_in_force(kid)
            return
        found = Signer.load(node_key)
    except (ValueError, OSError) as error:
        raise InstallError(f"The signing key cannot be read: {error}.") from None
    if found is None:
        raise InstallError(f"The database is signed by key {kid}, but there is no key file {node_key}; restore it.")
    raise InstallError(f"The key in {node_key} is {found.kid}, but the database is signed by {kid}.")


def _first_key(node_key: Path) -> Signer:
    """The key in the file, which an operator may have put there, else a new one. Raises InstallError."""
    try:
        return Signer.load(node_key) or Signer.create(node_key)
    except ValueError as error:
        raise InstallError(f"The signing key cannot be read: {error}.") from None
    except OSError as error:
        raise InstallError(f"The signing key {node_key} cannot be read or written: {error.strerror}.") from None


def _upgrade(url: str) -> None:
    # Imported here: they take longer than most commands, of which few find anything to migrate.
    import alembic.command  # noqa: PLC0415
    import alembic.config  # noqa: PLC0415
    import sqlalchemy  # noqa: PLC0415

    config = alembic.config.Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    engine = sqlalchemy.create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url))
    with engine.begin() as migrating:
        config.attributes["connection"] = migrating
        alembic.command.upgrade(config, "head")
    engine.dispose()


def _revisions() -> list[str]:
    return [module.name.partition("_")[0] for module in pkgutil.iter_modules([str(MIGRATIONS / "versions")])]


def _first_line(error: Exception) -> str:
    """What libpq says, without the connection string."""
    return str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
