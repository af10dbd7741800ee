"""The install of this machine, open for an administrator."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from app.ledger.kept import KeptNotes
from app.ledger.keyring import Keyring
from app.server.install import database, migrated, ready
from app.settings import Settings
from app.store.install.distribution import data_nodes
from app.store.install.distribution import distribute as distribute_tables
from app.store.install.idempotency import has_secret_ids
from app.store.install.install import connect, is_held_back, is_newest, require_schema
from app.store.postgres.driver import Connection
from app.store.postgres.roles import grant_serving


class Administration(msgspec.Struct, frozen=True):
    """An install as an administrator on its machine uses it."""

    connection: Connection
    keys: Keyring
    secret_path: Path
    url: str
    origin: str
    notes: KeptNotes


@contextmanager
def administered(*, recovering: bool = False) -> Iterator[Administration]:
    """Open the install of the settings. If no server runs its embedded database, it runs until the block ends."""
    settings = Settings.from_environment()
    with (
        ready(settings, serving=False, recovering=recovering) as install,
        connect(install.urls.owner) as connection,
    ):
        yield Administration(
            connection,
            Keyring(settings.node_key_path),
            settings.secret_path,
            install.database_url,
            install.origin,
            KeptNotes(settings.data_dir, install.node),
        )


def init() -> None:
    """Make the keys and the install in a migrated database. If it has an install, nothing changes."""
    settings = Settings.from_environment()
    with ready(settings, serving=False, init=True) as install:
        print(f"The install {install.node} is ready.")
    print(f"Keep {settings.node_key_path} and {settings.secret_path} safe, apart from the database.")
    if settings.control_token_path.exists():
        print(f"The control token, a key for everything, is in {settings.control_token_path}.")


def migrate(*, grant: str | None = None) -> None:
    """Migrate the database's schema to its newest version. It makes no keys: see synap init.

    Parameters
    ----------
    grant
        A role as which servers log in. Grant it the rights that a server needs, and no others.
    """
    with migrated(Settings.from_environment()) as connection:
        if grant is not None:
            grant_serving(connection, grant)
        if is_newest(connection):
            print("The schema is at its newest version.")
        elif not is_held_back(connection):
            print("The schema is not at its newest version; run this as the role that owns the tables.")
        if is_held_back(connection) or not has_secret_ids(connection):
            print("A server of an earlier version still uses this database; run this again when it has stopped.")


def distribute() -> None:
    """Distribute the tables over the nodes of a Citus cluster, by workspace. Stop all servers before.

    Tables that are distributed already stay as they are.
    """
    settings = Settings.from_environment()
    with database(settings, serving=False, creating=False) as urls, connect(urls.owner) as connection:
        require_schema(connection)
        made = distribute_tables(connection)
        print(f"{len(made)} tables were distributed." if made else "Every table is distributed already.")
        print(f"Nodes with rows of workspaces: {data_nodes(connection)}.")
