"""`synap serve`."""

import errno
import sys
import time

from app.cli.arguments import Flag, UsageError
from app.cli.console import console_link
from app.cli.ports import port_error, unusable
from app.server.extensions import load_extensions
from app.server.install import ReadyInstall, ready
from app.settings import Settings
from app.store.install.install import connect

PORT_SECONDS = 2.0
"""How long `synap serve` waits for a port that is in use."""


def serve(*, init: Flag = False) -> None:
    """Serve until interrupted. With the embedded database, first create what is missing.

    Parameters
    ----------
    init
        Also migrate the database of SYNAP_DATABASE_URL first, and make its keys and its install if it has none.
    """
    from app.server.workers import run  # noqa: PLC0415 - takes longer than all of most other commands

    settings = Settings.from_environment()
    load_extensions(settings.extensions)
    _check_port(settings, "PORT", settings.port)
    if settings.ledger_port:
        _check_port(settings, "LEDGER_PORT", settings.ledger_port)
    with ready(settings, serving=True, init=init) as install:
        run(settings, install, console=_console(settings, install) if settings.console else None)


def _console(settings: Settings, install: ReadyInstall) -> str:
    """The address of the console. It signs in if it is printed to a terminal: other output is stored somewhere."""
    if not sys.stdout.isatty():
        return f"{settings.browser_url}/console"
    with connect(install.database_url) as connection:
        return console_link(settings.browser_url, connection)


def _check_port(settings: Settings, name: str, port: int) -> None:
    """Raise UsageError if the port cannot be used. Processes of a server that was just killed may still use it."""
    until = time.monotonic() + PORT_SECONDS
    while (error := port_error(settings.host, port)) is not None:
        if error.errno != errno.EADDRINUSE or time.monotonic() > until:
            raise UsageError(unusable(settings.host, port, f"SYNAP_{name}", error))
        time.sleep(PORT_SECONDS / 20)
