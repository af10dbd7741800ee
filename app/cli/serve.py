"""`synap serve`."""

import errno
import time

from app.cli.arguments import UsageError
from app.cli.ports import port_error, unusable
from app.server.extensions import load_extensions
from app.server.install import ready
from app.settings import Settings

PORT_SECONDS = 2.0
"""How long `synap serve` waits for a port that is in use."""


def serve() -> None:
    """Set up what is missing and serve until interrupted."""
    from app.server.workers import run  # noqa: PLC0415 - takes longer than all of most other commands

    settings = Settings.from_environment()
    load_extensions(settings.extensions)
    _check_port(settings, "PORT", settings.port)
    if settings.ledger_port:
        _check_port(settings, "LEDGER_PORT", settings.ledger_port)
    with ready(settings, serving=True) as install:
        run(settings, install)


def _check_port(settings: Settings, name: str, port: int) -> None:
    """Raise UsageError if the port cannot be used. Processes of a server that was just killed may still use it."""
    until = time.monotonic() + PORT_SECONDS
    while (error := port_error(settings.host, port)) is not None:
        if error.errno != errno.EADDRINUSE or time.monotonic() > until:
            raise UsageError(unusable(settings.host, port, f"SYNAP_{name}", error))
        time.sleep(PORT_SECONDS / 20)
