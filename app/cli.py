"""The command `synap`. What the operator did wrong is one sentence on standard error and exit code 2."""

import resource
import shlex
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated

import msgspec
import psycopg
from cyclopts import App, Parameter
from granian.constants import HTTPModes, Interfaces, Loops, RuntimeModes
from granian.server import Server

from app.extensions import load_extensions
from app.logs import configure_logs
from app.main import load_worker
from app.settings import Settings, SettingsError
from app.start import ready
from app.store.embedded import DataDirectoryError
from app.store.install import DEFAULT_WORKSPACE, InstallError, connect
from app.store.keys import insert_key, list_keys, new_key_id, new_token, revoke_key
from app.store.workspaces import create_workspace, list_workspaces
from app.surfaces.errors import TRPC_CODES
from app.typescript import typescript as typescript_contract
from procedures.registry import registry
from schemas.base import ShortText
from schemas.principal import EVERY, Scope, WorkspaceSlug

cli = App(
    name="synap", help="An append-only event log. Settings come from the environment (SYNAP_…).", version_flags=[]
)
keys = App(name="keys", help="API keys.")
workspaces = App(name="workspaces", help="Workspaces, each with a log of its own.")
cli.command(keys)
cli.command(workspaces)

STOP_SECONDS = 30
"""How long a server process may take to finish what it accepted before it is killed."""

MAX_CONNECTIONS = 65_536
RESERVED_FILES = 768
"""Open files of a server process that are not connections of its clients: the posts of webhooks most of them."""


class UsageError(Exception):
    """The command cannot be carried out; the message is one sentence."""


def main() -> None:
    """Entry point of `synap`."""
    configure_logs()
    try:
        cli()
    except (SettingsError, DataDirectoryError, InstallError, UsageError) as error:
        print(f"synap: {error}", file=sys.stderr)
        sys.exit(2)


@cli.command
def serve() -> None:
    """Set up what is missing and serve until interrupted."""
    settings = Settings.from_environment()
    load_extensions(settings.extensions)
    _check_port(settings)
    with ready(settings, serving=True) as install:
        server = Server(
            "synap",
            address=settings.host,
            port=settings.port,
            interface=Interfaces.ASGI,
            workers=settings.workers,
            # One thread of its own for the network: nearly twice the requests with a body of a shared one, measured.
            runtime_mode=RuntimeModes.mt,
            runtime_threads=1,
            loop=Loops.uvloop,
            http=HTTPModes.http1,
            log_enabled=False,
            respawn_failed_workers=True,
            # Open connections, not requests: beyond it nobody is answered, and every open stream is one.
            backpressure=_connections(),
            workers_kill_timeout=STOP_SECONDS,
        )
        threading.Thread(target=_announce, args=(settings,), daemon=True).start()
        server.serve(target_loader=partial(load_worker, settings=settings, install=install))


def _connections() -> int:
    """How many connections a process may have open: all that the system lets it, up to a bound."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = MAX_CONNECTIONS if hard == resource.RLIM_INFINITY else min(hard, MAX_CONNECTIONS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    return max(files - RESERVED_FILES, 128)


@cli.command
def migrate() -> None:
    """Bring the database's schema to its newest version."""
    with _administered():
        print("The schema is at its newest version.")


@cli.command
def contract(*, typescript: Annotated[bool, Parameter(negative="")] = False) -> None:
    """Write the contract of the tRPC door to standard output.

    Parameters
    ----------
    typescript
        As a TypeScript declaration of `AppRouter`, for `@trpc/client` 11.
    """
    if not typescript:
        raise UsageError("Say which contract: synap contract --typescript.")
    settings = Settings.from_environment()
    load_extensions(settings.extensions)
    print(typescript_contract(registry(), transformer=settings.transformer, error_codes=TRPC_CODES), end="")


@keys.command(name="create")
def create_key(
    *,
    user: str,
    scope: Annotated[
        list[Scope], Parameter(negative="", name_transform=lambda name: Scope.__members__.get(name, name))
    ],
    workspace: Annotated[list[str] | None, Parameter(negative="")] = None,
    expires_in_seconds: int | None = None,
) -> None:
    """Make a key and print its token, which is never shown again.

    Parameters
    ----------
    user
        The user id that the key acts for.
    scope
        What it may do; repeat for more. `*` is everything.
    workspace
        Where it may act; repeat for more, the first is its default. `*` is every workspace. Default: `default`.
    expires_in_seconds
        When it ends by itself.
    """
    names = workspace or [DEFAULT_WORKSPACE]
    try:
        msgspec.convert(user.encode().decode(), ShortText)
    except (msgspec.ValidationError, UnicodeEncodeError):
        raise UsageError("--user must have 1 to 256 characters.") from None
    if expires_in_seconds is not None and not 0 < expires_in_seconds < 2**31:
        raise UsageError("--expires-in-seconds must be 1 or more.")
    with _administered() as connection:
        known = {slug for slug, _ in list_workspaces(connection)} | {EVERY}
        if unknown := [name for name in names if name not in known]:
            raise UsageError(
                f"There is no workspace {unknown[0]!r}; make it with: synap workspaces create {unknown[0]}."
            )
        key_id = new_key_id()
        token = new_token(key_id)
        expires_at = expires_in_seconds and datetime.now(UTC) + timedelta(seconds=expires_in_seconds)
        insert_key(
            connection, key_id, token, user_id=user, scopes=scope, workspaces=names, expires_at=expires_at or None
        )
    print(token)


@keys.command(name="list")
def show_keys() -> None:
    """Print every key as one JSON object a line, without its token."""
    with _administered() as connection:
        for key in list_keys(connection):
            print(msgspec.json.encode(key).decode())


@keys.command(name="revoke")
def revoke(key_id: str, /) -> None:
    """End a key for good. Every server refuses it within five seconds.

    Parameters
    ----------
    key_id
        The middle part of its token, as `synap keys list` shows it.
    """
    with _administered() as connection:
        if not key_id.isascii() or not revoke_key(connection, key_id):
            raise UsageError(f"There is no key {key_id!r}; see: synap keys list.")
    print(f"Revoked {key_id}.")


@workspaces.command(name="create")
def make_workspace(slug: str, /) -> None:
    """Make a workspace, whose slug never changes.

    Parameters
    ----------
    slug
        1 to 63 of a-z, 0-9, '_' and '-', the first a letter or digit.
    """
    try:
        msgspec.convert(slug, WorkspaceSlug)
    except msgspec.ValidationError:
        raise UsageError("A slug has 1 to 63 of a-z, 0-9, '_' and '-', the first a letter or digit.") from None
    with _administered() as connection:
        if not create_workspace(connection, slug):
            raise UsageError(f"The workspace {slug!r} exists.")
    print(f"Created {slug}.")


@workspaces.command(name="list")
def show_workspaces() -> None:
    """Print every workspace's slug, one a line."""
    with _administered() as connection:
        for slug, _ in list_workspaces(connection):
            print(slug)


@contextmanager
def _administered() -> Iterator[psycopg.Connection]:
    """A connection to the database of the settings, which is started for the while where no server runs it."""
    with ready(Settings.from_environment(), serving=False) as install, connect(install.database_url) as connection:
        yield connection


def _check_port(settings: Settings) -> None:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((settings.host, settings.port))
        except OSError as error:
            raise UsageError(
                f"Port {settings.port} on {settings.host} cannot be used ({error.strerror}); stop what listens "
                "there, or set SYNAP_PORT."
            ) from None


def _announce(settings: Settings) -> None:
    """Say where the server is, once it answers."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    url = f"http://{host}:{settings.port}"
    for _ in range(300):
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=2):  # noqa: S310 - our own server
                break
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    else:
        return  # the log says why
    event = '{"type":"note.created","data":{"title":"Hello"}}'
    if settings.transformer == "superjson":
        event = f'{{"json":{event}}}'
    token = shlex.quote(str(settings.control_token_path.absolute()))
    print(
        f"Synap Events serves at {url} (tRPC: {url}/trpc, types: {url}/trpc/contract.d.ts).\n"
        f"The control token is in {token}. Log a first event with:\n\n"
        f'curl -s {url}/trpc/events.log -H "authorization: Bearer $(cat {token})" '
        f"-H 'content-type: application/json' -d '{event}'\n",
        flush=True,
    )
