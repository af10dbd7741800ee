"""What `synap doctor` checks without the database: files, disk, ports and extensions."""

import http.client
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from app.cli.doctor.finding import Finding, wrong
from app.cli.ports import port_error, unusable
from app.server.extensions import load_extensions
from app.settings import Settings, SettingsError
from app.store.install.secret import SecretError, read_secret
from app.store.postgres.openings import openings, secrets

MIN_FREE_BYTES = 2**30
"""Free space that the disk of the embedded database should have. PostgreSQL stops if the disk is full."""

PROBE_SECONDS = 2.0
"""How long a server may take to answer."""


def files(settings: Settings) -> Iterator[Finding]:
    """Look at the files of keys and secrets."""
    try:
        read_secret(settings.secret_path)
        yield Finding(is_right=True, sentence=f"The install secret {settings.secret_path} can be read.")
    except SecretError as error:
        yield Finding(is_right=False, sentence=str(error))
    try:
        faults = list(openings(settings))
        there = len(secrets(settings))
    except OSError as error:
        yield wrong(f"{error.filename} cannot be checked: {error.strerror}.")
        return
    yield from map(wrong, faults)
    if not faults:
        yield Finding(is_right=True, sentence=f"Only this user may read the {there} files of keys and secrets.")


def machine(settings: Settings) -> Iterator[Finding]:
    """Look at the disk, the ports and the extensions."""
    free = _free_bytes(settings.data_dir)
    if settings.database_url is None and free is not None:
        said = f"{free / 2**30:.1f} GiB are free on the disk of {settings.data_dir}"
        if free < MIN_FREE_BYTES:
            yield wrong(f"Only {said}; make room before the database stops.")
        else:
            yield Finding(is_right=True, sentence=f"{said}.")
    for name, port in (("SYNAP_PORT", settings.port), ("SYNAP_LEDGER_PORT", settings.ledger_port)):
        if port:
            yield _port(settings.host, name, port)
    try:
        load_extensions(settings.extensions)
    except SettingsError as error:
        yield wrong(str(error))
    else:
        if settings.extensions:
            yield Finding(is_right=True, sentence=f"The extensions load: {', '.join(settings.extensions)}.")


def _free_bytes(path: Path) -> int | None:
    """The free space on the disk of a directory. None if there is no such directory, or we may not read it."""
    with suppress(OSError):
        return shutil.disk_usage(path).free
    return None


def _port(host: str, name: str, port: int) -> Finding:
    """Whether a port is free, or one of our servers listens there."""
    error = port_error(host, port)
    if error is None:
        return Finding(is_right=True, sentence=f"Port {port} on {host} is free.")
    if _is_served(host, port):
        return Finding(is_right=True, sentence=f"A server answers at {host}, port {port}.")
    return wrong(unusable(host, port, name, error))


def _is_served(host: str, port: int) -> bool:
    """Whether one of our servers listens there. All its answers have a request id."""
    connection = http.client.HTTPConnection(host, port, timeout=PROBE_SECONDS)
    try:
        connection.request("GET", "/")
        return "x-request-id" in connection.getresponse().headers
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
