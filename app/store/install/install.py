"""Sets up what an install has once: its schema, identity and first key. One process at a time does this."""

import pkgutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import psycopg
from msgspec import Struct
from psycopg.errors import (
    InsufficientPrivilege,
    LockNotAvailable,
    QueryCanceled,
    ReadOnlySqlTransaction,
)

from app.ledger.chain import NODE_LOG
from app.ledger.keyring import Keyring
from app.ledger.signer import Signer, write_secret
from app.store.install.inspection import revision, serves
from app.store.install.keys import insert_key, new_token
from app.store.install.secret import fingerprint, first_secret, keep_fingerprint, require_secret
from app.store.install.workspaces import DEFAULT_WORKSPACE, create_workspace
from app.store.postgres.database import FORMER_APPLICATIONS
from app.store.postgres.driver import said
from app.store.postgres.pooler import hands_out_transactions
from app.store.postgres.readiness import OLDEST
from app.store.postgres.roles import grant_serving
from app.store.postgres.session import ONE_AFTER_THE_OTHER
from schemas.principal import EVERY

CONTROL_KEY_ID = "control"
_SETUP_LOCK = 0x53594E4151

_FORMER_SETUP_LOCK = 0x53594E4150
"""The lock for the set-up of servers of version 0.1. They wait for it in a statement, and the building of an index
waits for the end of that statement. So this lock is held only for what such a server may do too."""

_FORMER_HEAD = "0012"
"""The newest revision of version 0.1."""

INSERT_INSTALL = """
INSERT INTO install (id, node, kid, origin, created_at, secret_fingerprint, idempotency_since)
VALUES (1, %s, %s, %s, %s, %s, clock_timestamp())
"""
"""Creates the only row of the install. Ids of events with an Idempotency-Key depend on the secret from now on."""

TRY_SETUP_LOCK = "SELECT pg_try_advisory_xact_lock({})"
"""Takes a lock for the set-up, if nobody has it, until the transaction ends. Returns whether it did.

It has no parameters and is not prepared, so it is sent as a simple query. Any other statement would keep its snapshot
until the next one, and the building of an index waits for every older snapshot.
"""

LET_IT_TAKE_LONG = """
SELECT set_config(name, '0', true) FROM pg_settings
WHERE name IN ('idle_in_transaction_session_timeout', 'transaction_timeout')
"""
"""Lets this transaction hold its lock for as long as a migration takes, whatever the role's limits are."""

HOLD_KEY_IN_FORCE = "SELECT FROM install FOR KEY SHARE"
"""Prevents a change of the key in force until this transaction ends."""

GET_IDENTITY_OF_INSTALL = "SELECT node, kid, origin FROM install"
"""The identity of the install: its node, its key in force and its origin."""

POLL_SECONDS = 0.1

NEWER = "The database was migrated by a newer version of this server; run that one."
"""Why a schema cannot be used that a newer version made."""

TAKES_AWAY = {"0014": "0013"}
"""The revisions that remove something, each with the revision since which servers do not need it."""

GET_OLDEST_SERVER = f"""
SELECT min(split_part(application_name, ' ', 3)) FROM pg_stat_activity
WHERE datname = current_database()
    AND (starts_with(application_name, 'synap server') OR application_name IN ({FORMER_APPLICATIONS}))
"""
"""The schema revision for which the oldest connected server was written. Since 0014, servers write it into their
application names."""

MIGRATIONS = Path(__file__).parent / "migrations"
"""The folder of the migrations. A file's name begins with its revision, a number: `0001_the_event_log.py`."""


class InstallError(Exception):
    """The install cannot be used as it is; the message is one sentence for the operator."""


@contextmanager
def connect(url: str) -> Iterator[psycopg.Connection]:
    """Yield a connection for set-up and administration, in autocommit mode. Raises InstallError if it fails."""
    try:
        connection = psycopg.connect(
            url, autocommit=True, connect_timeout=5, application_name="synap command", client_encoding="utf8"
        )
    except psycopg.ProgrammingError:
        # The error's message quotes the URL with its password.
        raise InstallError("The database cannot be reached: libpq cannot read the URL in SYNAP_DATABASE_URL.") from None
    except psycopg.Error as error:
        raise InstallError(f"The database cannot be reached: {said(error)}.") from None
    with connection:
        if connection.info.server_version < 150000:
            raise InstallError("The database is older than PostgreSQL 15; use 15 or later.")
        if (encoding := connection.info.parameter_status("server_encoding")) != "UTF8":
            raise InstallError(
                f"The database is encoded in {encoding}, which cannot hold every text; make one with: CREATE DATABASE "
                "synap ENCODING 'UTF8' TEMPLATE template0."
            )
        _refuse_shared(connection, url)
        yield connection


def _refuse_shared(connection: psycopg.Connection, url: str) -> None:
    """Raise InstallError if a pooler gives the connection to others between transactions."""
    try:
        is_shared = hands_out_transactions(connection, url)
    except psycopg.Error as error:
        raise InstallError(f"The database cannot be reached: {said(error)}.") from None
    if is_shared:
        raise InstallError(
            "SYNAP_DATABASE_URL leads to a pooler that gives a connection to others after each transaction; set "
            "pool_mode=session for this database (PgBouncer), or name PostgreSQL itself."
        )


def migrate(url: str, *, serving_role: str | None = None) -> None:
    """Bring the schema to its newest version, and grant the `serving_role` the rights of a server.

    While older servers are connected, the schema stays at the newest version that they work with. A second process
    waits for the first. Raises InstallError.
    """
    with connect(url) as connection:
        try:
            with connect(url) as holder, _setting_up(holder, _SETUP_LOCK):
                with connect(url) as former, _setting_up(former, _FORMER_SETUP_LOCK):
                    _bring_up(url, connection, _FORMER_HEAD)
                _bring_up(url, connection, head())
                if serving_role is not None:
                    grant_serving(connection, serving_role)
        except psycopg.Error as error:
            raise InstallError(
                f"The schema cannot be migrated: {said(error)}; no step was left half done{_remedy(error)}."
            ) from None


def require_schema(connection: psycopg.Connection) -> None:
    """Raise InstallError, which names the command to run, if this code does not work with the schema."""
    current = revision(connection)
    if current is None:
        raise InstallError("The database is not migrated; run: synap migrate.")
    if not serves(connection, head()):
        if current > head():
            raise InstallError(NEWER)
        raise InstallError(f"The schema is at {current}, too old for this version ({head()}); run: synap migrate.")


def head() -> str:
    """The newest revision of the schema."""
    return _revisions()[-1]


def is_newest(connection: psycopg.Connection) -> bool:
    """Whether the schema is the newest one."""
    return revision(connection) == head()


def is_held_back(connection: psycopg.Connection) -> bool:
    """Whether an older server is connected that does not work with the newest schema."""
    return _target(connection) != head()


def _bring_up(url: str, connection: psycopg.Connection, newest: str) -> None:
    """Migrate under the lock. Raises InstallError for a newer schema that this code does not work with."""
    current = revision(connection)
    if current is not None and current > head():
        if not serves(connection, head()):
            raise InstallError(NEWER)
        return
    for each in _revisions():
        # The target may change meanwhile, because servers of version 0.1 may start.
        if (current or "") < each <= min(newest, _target(connection)):
            try:
                _upgrade(url, each)
            except InsufficientPrivilege:
                if current is None or current < OLDEST:
                    raise  # otherwise this code works with the schema, and the owner of the tables can migrate later
                return


def _target(connection: psycopg.Connection) -> str:
    """The newest revision that every connected server works with."""
    row = connection.execute(GET_OLDEST_SERVER).fetchone()
    oldest = row[0] if row else None
    if oldest is not None:
        for before, after in pairwise(_revisions()):
            if oldest < TAKES_AWAY.get(after, ""):
                return before
    return head()


@contextmanager
def _setting_up(connection: psycopg.Connection, *locks: int) -> Iterator[None]:
    """A transaction with locks for the set-up, which one process at a time has. No session keeps the locks.

    The others poll: a lock that they waited for would block the building of an index.
    """
    with connection.transaction():
        connection.execute(LET_IT_TAKE_LONG)
        for lock in locks:
            while connection.execute(TRY_SETUP_LOCK.format(lock), prepare=False).fetchone() != (True,):
                time.sleep(POLL_SECONDS)
        yield


class Identity(Struct, frozen=True):
    """The identity of an install: its node id, the kid in force, and the first part of its checkpoints' origins."""

    node: str
    kid: str
    origin: str


class Files(Struct, frozen=True):
    """The paths of an install's files."""

    node_key: Path
    secret: Path
    control_token: Path


def set_up(
    connection: psycopg.Connection,
    files: Files,
    origin: str | None = None,
    *,
    recovering: bool = False,
    creating: bool = True,
) -> Identity:
    """Create what a first start creates: node key, secret, install row, workspace `default`, control token. Idempotent.

    If the database has an install, no file is created. Raises InstallError if the signing key is lost or not this
    install's, or if `origin` differs from the stored one. Raises SecretError if the install secret is lost or not this
    install's. With `recovering`, the key and the secret may be lost. Unless `creating`, nothing is created: raises
    InstallError if there is no install.
    """
    with _setting_up(connection, _SETUP_LOCK, _FORMER_SETUP_LOCK):
        connection.execute(HOLD_KEY_IN_FORCE)  # the key in force does not change before its file is read
        identity = find_identity(connection)
        if identity is None and not creating:
            raise InstallError("The database has no install yet; run: synap init.")
        if identity is None:
            identity = _first_install(connection, files, origin)
        elif not recovering:
            _require_key(files.node_key, identity.kid)
            require_secret(connection, files.secret)
            keep_fingerprint(connection, files.secret)
        if origin not in {None, identity.origin}:
            raise InstallError(f"SYNAP_ORIGIN was {identity.origin} at the first start; it cannot change.")
    return identity


def find_identity(connection: psycopg.Connection) -> Identity | None:
    """The identity of the install in this database; None before its first start."""
    row = connection.execute(GET_IDENTITY_OF_INSTALL).fetchone()
    return None if row is None else Identity(*row)


def _first_install(connection: psycopg.Connection, files: Files, origin: str | None) -> Identity:
    """Create the install in the database. Existing files are used, except the control token."""
    signer = _first_key(files.node_key)
    secret = first_secret(files.secret)
    identity = Identity(signer.did, signer.kid, origin or signer.kid)
    connection.execute(
        INSERT_INSTALL, (identity.node, identity.kid, identity.origin, datetime.now(UTC), fingerprint(secret))
    )
    create_workspace(connection, DEFAULT_WORKSPACE)
    create_workspace(connection, NODE_LOG)
    token = new_token(CONTROL_KEY_ID)
    insert_key(connection, CONTROL_KEY_ID, token, user_id=CONTROL_KEY_ID, scopes=[EVERY], workspaces=[EVERY])
    try:
        files.control_token.unlink(missing_ok=True)  # it belongs to an install of another database
        write_secret(files.control_token, token)
    except OSError as error:
        raise InstallError(
            f"The control token {files.control_token} cannot be written: {error.strerror}; the first start needs a "
            "data directory that it may write."
        ) from None
    return identity


def _require_key(node_key: Path, kid: str) -> None:
    """Raise InstallError unless the key in force is in its file. An interrupted change of keys is completed."""
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
    """Load the key from the file, which an operator may have put there, or create one. Raises InstallError."""
    try:
        return Signer.load(node_key) or Signer.create(node_key)
    except ValueError as error:
        raise InstallError(f"The signing key cannot be read: {error}.") from None
    except OSError as error:
        raise InstallError(f"The signing key {node_key} cannot be read or written: {error.strerror}.") from None


def _upgrade(url: str, target: str) -> None:
    # Imported here, because importing them takes longer than most commands, and few commands migrate anything.
    import alembic.command  # noqa: PLC0415
    import alembic.config  # noqa: PLC0415
    import sqlalchemy  # noqa: PLC0415

    config = alembic.config.Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    engine = sqlalchemy.create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url))
    try:
        with engine.connect() as migrating:
            migrating.exec_driver_sql(ONE_AFTER_THE_OTHER)
            migrating.commit()
            config.attributes["connection"] = migrating
            alembic.command.upgrade(config, target)
    except sqlalchemy.exc.DBAPIError as error:
        raise error.orig or error from None
    finally:
        engine.dispose()


def _revisions() -> list[str]:
    return sorted(module.name.partition("_")[0] for module in pkgutil.iter_modules([str(MIGRATIONS / "versions")]))


def _remedy(error: psycopg.Error) -> str:
    """How the operator can solve the failure of a migration."""
    if isinstance(error, InsufficientPrivilege):
        return ". The role of SYNAP_DATABASE_URL must own the tables, and needs CREATE on their schema"
    if isinstance(error, LockNotAvailable | QueryCanceled):
        return ". Another session holds a lock that the migration needs; end that session, and run this again"
    if isinstance(error, ReadOnlySqlTransaction):
        return ". SYNAP_DATABASE_URL must name a database that can be written, not a standby"
    return ""
