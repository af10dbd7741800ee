"""Prepares an install before the first request: the data directory, the database, its schema, the keys."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path

import msgspec
import structlog
from msgspec import Struct

from app.ledger.kept import KeptNotes
from app.ledger.keyring import Keyring
from app.ledger.policy import Policy
from app.server.policy import read_policy
from app.settings import Settings
from app.store.audit.log import enter
from app.store.install.distribution import distribute
from app.store.install.idempotency import begin_secret_ids
from app.store.install.install import Files, connect, is_newest, migrate, require_schema, set_up
from app.store.install.parts import is_distributed
from app.store.install.registered import register_types
from app.store.install.rollback import compare_at_start
from app.store.postgres import embedded
from app.store.postgres.connection_limit import connected_processes, shortage
from app.store.postgres.data_directory import DataDirectoryError, hold
from app.store.postgres.driver import Connection
from app.store.postgres.postmaster import running, url_of_server
from app.store.postgres.roles import SERVER, make_server_role
from schemas.event_data import event_types
from schemas.metadata import registered_kinds
from schemas.principal import EVERY

logger = structlog.get_logger("synap.server")

HOLD_SECONDS = 3.0
"""How long a start waits for the data directory: a server that was killed releases it within that time."""


class Urls(Struct, frozen=True):
    """The URLs of a database. They are equal for an external one."""

    owner: str
    """For the role that migrates and administers."""
    server: str
    """For the role that serves."""


class ReadyInstall(Struct, frozen=True):
    """A ready install: its database and its identity."""

    urls: Urls
    node: str
    origin: str
    policy: Policy | None = None
    """The policy of the log `_node`, if it is witnessed."""

    @property
    def database_url(self) -> str:
        """The URL of its database for the role that serves."""
        return self.urls.server


@contextmanager
def ready(settings: Settings, *, serving: bool, init: bool = False, recovering: bool = False) -> Iterator[ReadyInstall]:
    """The install of `settings`. Its embedded database runs until the end of the block.

    Raises DataDirectoryError, InstallError, SecretError, each with one sentence for the operator. The schema and the
    install must be there, except: `init` makes the install in a migrated database. With `serving` it also migrates, and
    so does a server with the embedded database, which it makes if it is new.

    A server holds the data directory exclusively, and extensions must be loaded before. Other commands share the
    directory with the server that holds it. With `recovering`, the signing key and the install secret may be missing.
    """
    migrates = serving and (init or settings.database_url is None)
    with ExitStack() as stack:
        urls = stack.enter_context(database(settings, serving=serving, creating=migrates))
        if serving or init:
            _make_directory(settings.data_dir)
        if migrates:
            _migrate(urls)
        files = Files(settings.node_key_path, settings.secret_path, settings.control_token_path)
        with connect(urls.server) as connection:
            require_schema(connection)
            identity = set_up(connection, files, settings.origin, recovering=recovering, creating=init or migrates)
            policy = None
            if serving:
                if settings.witness_policy is not None:
                    policy = read_policy(settings.witness_policy, identity.origin)
                begin_secret_ids(connection)
                register_types(connection, registered_kinds(), event_types())
                notes = KeptNotes(settings.data_dir, identity.node)
                compare_at_start(urls.server, notes, Keyring(settings.node_key_path), identity)
                enter(connection, "server.started", _started(settings), [EVERY])
                stack.enter_context(_announced(settings, identity.node, connection))
                _warn(settings, connection)
        yield ReadyInstall(urls, identity.node, identity.origin, policy)


@contextmanager
def migrated(settings: Settings) -> Iterator[Connection]:
    """The database of `settings` with the newest schema that its servers work with: a connection of its owner.

    An embedded one is made if it is new. Raises DataDirectoryError, InstallError.
    """
    with database(settings, serving=False, creating=True) as urls:
        _migrate(urls)
        with connect(urls.owner) as connection:
            begin_secret_ids(connection)
            yield connection


@contextmanager
def migrated_to_serve(settings: Settings) -> Iterator[str]:
    """The URL of the database of `settings` for the role that serves. It needs no install.

    Only an embedded one is migrated. Raises DataDirectoryError, InstallError.
    """
    with database(settings, serving=True, creating=False) as urls:
        if settings.database_url is None:
            _migrate(urls)
        with connect(urls.server) as connection:
            require_schema(connection)
        yield urls.server


def _migrate(urls: Urls) -> None:
    """Migrate, and prepare the role that serves the embedded database. Raises InstallError.

    In a distributed database the tables that the migration made are distributed too.
    """
    if urls.owner == urls.server:
        migrate(urls.owner)
        with connect(urls.owner) as connection:
            if is_distributed(connection) and is_newest(connection):
                distribute(connection)
        return
    with connect(urls.owner) as connection:
        make_server_role(connection)
    migrate(urls.owner, serving_role=SERVER)


def _started(settings: Settings) -> dict[str, object]:
    """The audit's record of a start: the version, and the settings that differ from the default, without secrets."""
    differing = {
        field.name: value
        for field in msgspec.structs.fields(settings)
        if (value := getattr(settings, field.name)) != field.default and field.name != "database_url"
    }
    return {
        "version": version("synap-events"),
        "database": "embedded" if settings.database_url is None else "external",
        "settings": msgspec.to_builtins(differing, enc_hook=lambda path: os.fsencode(path).decode(errors="replace")),
    }


@contextmanager
def _announced(settings: Settings, node: str, connection: Connection) -> Iterator[None]:
    """Log a line now and one at the end of the block, without secrets."""
    facts = _started(settings)
    server, started_at = connection.info, time.monotonic()
    place = "embedded" if settings.database_url is None else f"{server.dbname} at {server.host}, port {server.port}"
    logger.info(
        "the server starts",
        version=facts["version"],
        node=node,
        database=f"{place} (PostgreSQL {server.parameter_status('server_version')})",
        workers=settings.workers,
        port=settings.port,
        ledger_port=settings.ledger_port,
        settings=facts["settings"],
    )
    try:
        yield
    finally:
        logger.info(
            "the server stops",
            version=facts["version"],
            node=node,
            after_seconds=round(time.monotonic() - started_at, 1),
        )


def _warn(settings: Settings, connection: Connection) -> None:
    """Log a line if the processes of all machines, with those that start now, may need too many connections."""
    together = processes(settings) + connected_processes(connection)
    if settings.database_url is not None and (few := shortage(connection, together, settings.database_connections)):
        logger.warning("connections may run out", reason=few)


def observed(settings: Settings) -> str:
    """The URL of the database of `settings` for the role that serves. It does not start an embedded one.

    Raises DataDirectoryError if it is stopped.
    """
    if settings.database_url is not None:
        return settings.database_url
    _require_database(settings.data_dir)
    url = running(settings.data_dir)
    if url is None:
        raise DataDirectoryError(
            f"The embedded database in {settings.data_dir} is stopped, so it was not checked; synap serve starts it."
        )
    return url_of_server(url)


@contextmanager
def database(settings: Settings, *, serving: bool, creating: bool) -> Iterator[Urls]:
    """The database of `settings`, as it is. An embedded one runs until the end of the block. Raises as `ready`.

    An embedded one that is not there is made only if `creating`.
    """
    with ExitStack() as stack:
        if settings.database_url is None:
            if not creating:
                _require_database(settings.data_dir)
            held = _hold(stack, settings.data_dir, wait=serving)
            if serving and not held:
                raise DataDirectoryError(
                    f"Another server uses the data directory {settings.data_dir}; stop that server, or set "
                    "SYNAP_DATA_DIR (several servers can share one SYNAP_DATABASE_URL)."
                )
            url = stack.enter_context(
                embedded.postgres(
                    settings.data_dir,
                    ours=held,
                    connections=processes(settings) * settings.database_connections,
                    on_loss=_stop if serving else lambda: None,
                )
            )
            yield Urls(url, url_of_server(url))
        else:
            yield Urls(settings.database_url, settings.database_url)


def _require_database(data_dir: Path) -> None:
    """Raise DataDirectoryError if there is no embedded database."""
    if not (data_dir / "postgres").exists():
        raise DataDirectoryError(f"There is no database in {data_dir}; synap serve makes one.")


def processes(settings: Settings) -> int:
    """How many server processes these settings start."""
    return settings.workers + bool(settings.ledger_port)


def _stop() -> None:
    """Stop this process as a signal would."""
    os.kill(os.getpid(), signal.SIGTERM)


def _hold(stack: ExitStack, data_dir: Path, *, wait: bool) -> bool:
    deadline = time.monotonic() + (HOLD_SECONDS if wait else 0)
    while True:
        attempt = ExitStack()
        if attempt.enter_context(hold(data_dir)):
            stack.push(attempt.pop_all())
            return True
        attempt.close()
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.1)


def _make_directory(path: Path) -> None:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise DataDirectoryError(f"The data directory {path} cannot be used: {error.strerror}.") from None
