"""Makes an install ready: the data directory, the database, its schema, the keys. All before the first request."""

import base64
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path

import msgspec
from msgspec import Struct

from app.ledger.signer import write_secret
from app.settings import Settings
from app.store import embedded
from app.store.audit import enter
from app.store.install import CONTROL_KEY_ID, InstallError, connect, migrate, set_up
from app.store.keys import new_token
from app.store.registered import register_types
from schemas.event_data import event_types
from schemas.metadata import registered_kinds
from schemas.principal import EVERY

HOLD_SECONDS = 3.0
"""How long a start waits for the data directory: a server that was killed lets go within that time."""


class Install(Struct, frozen=True):
    """A ready install: where its database is and who it is."""

    database_url: str
    node: str
    origin: str


@contextmanager
def ready(settings: Settings, *, serving: bool, without_key: bool = False) -> Iterator[Install]:
    """The install of `settings`, made where it is new; its embedded database runs until the end of the block.

    Raises DataDirectoryError, InstallError: one sentence for the operator each. `serving` wants the data directory for
    itself, and extensions loaded before; administration shares the directory with the server that holds it.
    `without_key`: the signing key may be lost.
    """
    with database(settings, serving=serving) as url:
        _make_directory(settings.data_dir)
        migrate(url)
        _make_secret(settings.secret_path)
        with connect(url) as connection:
            identity = set_up(
                connection,
                settings.node_key_path,
                settings.control_token_path,
                new_token(CONTROL_KEY_ID),
                settings.origin,
                without_key=without_key,
            )
            if serving:
                register_types(connection, registered_kinds(), event_types())
                enter(connection, "server.started", _started(settings), [EVERY])
        yield Install(url, identity.node, identity.origin)


def _started(settings: Settings) -> dict[str, object]:
    """What the audit says of a start: the version, and the settings that are not the default; no secrets."""
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
def database(settings: Settings, *, serving: bool) -> Iterator[str]:
    """The URL of the database of `settings`, as it is; an embedded one runs until the end. Raises as `ready` does."""
    with ExitStack() as stack:
        if settings.database_url is None:
            held = _hold(stack, settings.data_dir, wait=serving)
            if serving and not held:
                raise embedded.DataDirectoryError(
                    f"The data directory {settings.data_dir} is held by another server; stop that one, or set "
                    "SYNAP_DATA_DIR (several servers share one SYNAP_DATABASE_URL)."
                )
            yield stack.enter_context(embedded.postgres(settings.data_dir, ours=held))
        else:
            yield settings.database_url


def read_secret(path: Path) -> bytes:
    """The install secret. Raises InstallError where the file does not hold 32 bytes in base64."""
    try:
        secret = base64.b64decode(path.read_text(encoding="ascii").strip(), validate=True)
    except (OSError, ValueError) as error:
        raise InstallError(f"The install secret {path} cannot be read ({type(error).__name__}).") from None
    if len(secret) != 32:
        raise InstallError(f"The install secret {path} must hold 32 bytes in base64.")
    return secret


def _hold(stack: ExitStack, data_dir: Path, *, wait: bool) -> bool:
    deadline = time.monotonic() + (HOLD_SECONDS if wait else 0)
    while True:
        attempt = ExitStack()
        if attempt.enter_context(embedded.hold(data_dir)):
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
        raise embedded.DataDirectoryError(f"The data directory {path} cannot be used: {error.strerror}.") from None


def _make_secret(path: Path) -> None:
    try:
        write_secret(path, base64.b64encode(os.urandom(32)).decode())
    except FileExistsError:
        read_secret(path)
    except OSError as error:
        raise InstallError(f"The install secret {path} cannot be written: {error.strerror}.") from None
